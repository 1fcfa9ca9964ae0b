"""The example inventory that `sslops init` starts from, with the JSON Schemas for editors."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from sslops.inventory.files import FOLDER

if TYPE_CHECKING:
    from collections.abc import Mapping


_FOLDER = Path(__file__).with_name("example")


def files() -> Mapping[str, bytes]:
    """Return every file of the example, hidden ones too, by its name relative to the root of an ops repository."""
    found = (path for path in _FOLDER.rglob("*") if path.is_file())
    return {f"{FOLDER}/{path.relative_to(_FOLDER).as_posix()}": path.read_bytes() for path in found}
