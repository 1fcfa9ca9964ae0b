"""The inventory of a working tree as bytes by name, the form that `load` takes and git gives."""

from __future__ import annotations

from typing import TYPE_CHECKING

from sslops.errors import InventoryError
from sslops.inventory.found import FOLDER

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping
    from pathlib import Path


def read_folder(top: Path, name: str = FOLDER) -> Mapping[str, bytes]:
    """Return every file of the folder *name* below *top*, the repository's root, by its name relative to *top*.

    Hidden files and folders are left out. A link is refused, because a commit does not carry what it shows, which may
    be a file of this machine. Raises `InventoryError` when there is no such folder.
    """
    folder = top / name
    if folder.is_symlink():
        raise _link(name)
    if not folder.is_dir():
        message = f"there is no '{name}' in '{top}'"
        raise InventoryError(message, hint="sslops init DIR, or sslops -C DIR ...")
    return {file.relative_to(top).as_posix(): file.read_bytes() for file in _files(folder, top)}


def _files(folder: Path, top: Path) -> Iterator[Path]:
    for entry in sorted(folder.iterdir()):
        if entry.name.startswith("."):
            continue
        if entry.is_symlink():
            raise _link(entry.relative_to(top).as_posix())
        if entry.is_dir():
            yield from _files(entry, top)
        elif entry.is_file():
            yield entry


def _link(name: str) -> InventoryError:
    return InventoryError(f"'{name}' is a link", hint="put the file itself there")
