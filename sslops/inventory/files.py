"""The files of an inventory that could be read, by what they are; what the checks across files look at."""

from __future__ import annotations

import re
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from sslops.errors import Faults, InventoryError, Location
from sslops.inventory.document import Document, read, without_nulls
from sslops.inventory.validation import fits
from sslops.model.names import ServiceId

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping
    from pathlib import Path


FOLDER = "inventory"
SETTINGS_FILE = f"{FOLDER}/sslops.yaml"
CAS_FILE = f"{FOLDER}/cas.yaml"

_SERVICE_FILE = re.compile(rf"{FOLDER}/(?P<group>[^/]+)/(?P<name>[^/]+)\.yaml\Z")
_SAFE = re.compile(r"[A-Za-z0-9](?:[A-Za-z0-9_-]|\.[A-Za-z0-9_-])*\Z")
_LONGEST_PART = 253


@dataclass(slots=True)
class Found:
    """What was read, and what was wrong with the rest. `unread` are services whose file is there but has faults."""

    settings: Document | None = None
    cas: Document | None = None
    services: dict[ServiceId, Document] = field(default_factory=dict)
    unread: set[ServiceId] = field(default_factory=set)
    faults: list[InventoryError] = field(default_factory=list)

    def documents(self) -> dict[str, Document]:
        """Return every file that was read, by name."""
        documents = (self.settings, self.cas, *self.services.values())
        return {document.file: document for document in documents if document is not None}

    def members(self) -> dict[str, set[str]]:
        """Return group to the names of the services that have a file in its folder."""
        members: dict[str, set[str]] = {}
        for service in self.known():
            members.setdefault(service.group, set()).add(service.name)
        return members

    def known(self) -> set[ServiceId]:
        """Return every service that has a file, sound or not."""
        return self.services.keys() | self.unread


def find(files: Mapping[str, bytes]) -> Found:
    """Read *files* (name relative to the repository's root, content) as far as each has the shape of its schema."""
    found = Found()
    for file in sorted(files):
        if is_read(file):
            _sort_in(found, file, files[file])
    if SETTINGS_FILE not in files:
        message = f"there is no '{SETTINGS_FILE}'"
        found.faults.append(InventoryError(message, where=Location(SETTINGS_FILE, 1, 1), hint="sslops init DIR"))
    return found


def _sort_in(found: Found, file: str, raw: bytes) -> None:
    if file == SETTINGS_FILE:
        found.settings = _read(found, file, raw, "sslops")
    elif file == CAS_FILE:
        found.cas = _read(found, file, raw, "cas")
    else:
        service = _service_id(found, file)
        if service is not None:
            document = _read(found, file, raw, "service")
            if document is None:
                found.unread.add(service)
            else:
                found.services[service] = document


def _service_id(found: Found, file: str) -> ServiceId | None:
    """Return which service *file* is; null, and a fault, when it can be none."""
    match = _SERVICE_FILE.match(file)
    where = Location(file, 1, 1)
    if match is None:
        hint = f"services are files '{FOLDER}/<group>/<service>.yaml'"
        found.faults.append(InventoryError(f"unexpected file {file!r} in {FOLDER}/", where=where, hint=hint))
        return None
    for part, text in match.groupdict().items():
        if _SAFE.match(text) is None or len(text) > _LONGEST_PART:
            hint = "letters, digits, '-', '_' and single dots; the first is a letter or digit"
            found.faults.append(InventoryError(f"unsafe {part} name {text!r}", where=where, hint=hint))
            return None
    return ServiceId(match["group"], match["name"])


def _read(found: Found, file: str, raw: bytes, name: str) -> Document | None:
    try:
        document = read(file, raw)
    except Faults as faults:
        found.faults += list(_inventory_errors(faults))
        return None
    if fits(name)(document.plain):
        return Document(file, raw, without_nulls(document.plain))
    from sslops.inventory.validation import complaints

    found.faults += [complaint.located({file: document}) for complaint in complaints(document, name)]
    return None


def _inventory_errors(faults: Faults) -> Iterator[InventoryError]:
    return (fault for fault in faults.faults if isinstance(fault, InventoryError))


def is_read(file: str) -> bool:
    """Whether *file* is part of the inventory: YAML, and not hidden."""
    return file.endswith((".yaml", ".yml")) and not any(part.startswith(".") for part in file.split("/"))


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
