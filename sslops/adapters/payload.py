"""Pack a shipment into the archive that the receiver reads: numbered folders, a manifest, and a list of hashes.

No name of the inventory becomes a path of the archive; names stand in the manifest only, and an unsafe one is refused.
"""

from __future__ import annotations

import hashlib
import io
import re
import shlex
import tarfile
from typing import TYPE_CHECKING

from sslops.errors import SshError
from sslops.model.names import format_time
from sslops.model.secret import Secret

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

    from sslops.model.inventory import FileModes
    from sslops.model.shipment import Include, Parcel, Restart, Shipment

_NAME = re.compile(r"[A-Za-z0-9_][A-Za-z0-9._-]{0,252}")
_OWNER = re.compile(r"[A-Za-z0-9_][A-Za-z0-9._-]*\$?")
_KEY_MODE = re.compile(r"0?[0-7]{3}")
_SECRET_FILES = ("privkey.pem", "bundle.pem")


def pack(shipment: Shipment, seq: int) -> Secret:
    """Return the archive that `put` reads; *seq* becomes part of folder names on the server. SshError: a bad name."""
    archive = _Archive()
    batches = sorted({_ownership(parcel.modes) for parcel in shipment.parcels})
    for number, parcel in enumerate(shipment.parcels):
        batch = batches.index(_ownership(parcel.modes))
        archive.add_parcel(f"batch{batch}/{number}", number, parcel, seq)
    for batch, ownership in enumerate(batches):
        if ownership != ":":
            archive.say("owner", f"batch{batch}", ownership)
    archive.add_rest(shipment)
    return Secret(archive.close(), "shipment")


def pack_names(shipment: Shipment) -> Secret:
    """Return the archive that `back` reads: the same session's names and restarts, without any file of a service."""
    archive = _Archive()
    for parcel in shipment.parcels:
        archive.name_service("-", parcel)
    for include in shipment.includes:
        archive.say("include", "-", include_path(include.apex))
    archive.add_restarts(shipment.restarts)
    return Secret(archive.close(), "shipment")


def contents(parcel: Parcel) -> Mapping[str, bytes]:
    """Return the files of `curr` by name; `fullchain.pem`, `bundle.pem` and `info` are derived here."""
    key, files = parcel.private_key.reveal(), parcel.files
    fullchain = files.cert + files.chain
    return {
        "privkey.pem": key,
        "csr.pem": files.csr,
        "cert.pem": files.cert,
        "chain.pem": files.chain,
        "fullchain.pem": fullchain,
        "bundle.pem": key + fullchain,
        "tlsa.rr": files.tlsa_rr,
        "info": _info(parcel).encode(),
    }


def include_path(apex: str) -> str:
    """Return where the include file of *apex* lies below `prod_cert_dir`."""
    return f"{_safe(apex)}/tlsa.{apex}"


class _Archive:
    """The archive as it grows. Everything has its final mode in it, so that the receiver need not call chmod."""

    def __init__(self) -> None:
        self._content = io.BytesIO()
        self._tar = tarfile.open(fileobj=self._content, mode="w", format=tarfile.GNU_FORMAT)  # noqa: SIM115  (close())
        self._manifest: list[str] = []
        self._names: list[str] = []
        self._folders: list[str] = []
        self._sums: list[str] = []

    def say(self, *words: str) -> None:
        """Add a line to the manifest."""
        self._manifest.append("\t".join(words) + "\n")

    def name_service(self, source: str, parcel: Parcel) -> None:
        """Add a service to the manifest."""
        path = f"{_safe(parcel.service.group)}/{_safe(parcel.service.name)}"
        self._names.append(f"{path}\n")
        self.say("service", source, path, _safe(parcel.generation), _named(parcel))

    def add_parcel(self, source: str, number: int, parcel: Parcel, seq: int) -> None:
        """Add a service's files below *source*, and the link that will be its `curr`."""
        self.name_service(source, parcel)
        self._folders.append(f"{self._names[-1].rstrip()}/.generations\n")
        folder = tarfile.TarInfo(source)
        folder.type, folder.mode = tarfile.DIRTYPE, 0o755
        self._tar.addfile(folder)
        files = contents(parcel)
        sums = "".join(_sum_line(name, content) for name, content in files.items())
        for name, content in {**files, "sums": sums.encode()}.items():
            self._file(f"{source}/{name}", content, _mode(name, parcel.modes))
        link = tarfile.TarInfo(f"links/{number}")
        link.type, link.linkname = tarfile.SYMTYPE, f".generations/{parcel.generation}.{seq}"
        self._tar.addfile(link)

    def add_rest(self, shipment: Shipment) -> None:
        """Add include files and restarts."""
        for number, include in enumerate(shipment.includes):
            self._include(number, include)
        self.add_restarts(shipment.restarts)

    def add_restarts(self, restarts: Iterable[Restart]) -> None:
        """Add each command as a file in which every word is quoted: a shell starts it, none reads it."""
        commands = [(restart.server_class, words) for restart in restarts for words in restart.commands]
        for number, (server_class, words) in enumerate(commands):
            self._file(f"restart/{number}", f"exec {shlex.join(words)}\n".encode(), 0o600)
            self.say("restart", _safe(server_class), f"restart/{number}")

    def close(self) -> bytes:
        """Return the archive, with its manifest, its lists and the hash of every file in it."""
        for name, lines in (("manifest", self._manifest), ("names", self._names), ("folders", self._folders)):
            self._file(name, "".join(lines).encode(), 0o600)
        sums = "".join(self._sums).encode()
        entry = tarfile.TarInfo("sums")
        entry.size, entry.mode = len(sums), 0o600
        self._tar.addfile(entry, io.BytesIO(sums))
        self._tar.close()
        return self._content.getvalue()

    def _include(self, number: int, include: Include) -> None:
        path = include_path(include.apex)
        self._folders.append(f"{include.apex}\n")
        self._file(f"include/{number}", include.content, 0o644)
        self.say("include", f"include/{number}", path)

    def _file(self, path: str, content: bytes, mode: int) -> None:
        entry = tarfile.TarInfo(path)
        entry.size, entry.mode = len(content), mode
        self._tar.addfile(entry, io.BytesIO(content))
        self._sums.append(_sum_line(path, content))


def _named(parcel: Parcel) -> str:
    """Return the generations that the host may go back to, as the receiver reads them."""
    return "any" if parcel.returns_to is None else " ".join(map(_safe, sorted(parcel.returns_to)))


def _sum_line(path: str, content: bytes) -> str:
    return f"{hashlib.sha256(content).hexdigest()}  {path}\n"


def _mode(name: str, modes: FileModes) -> int:
    if name not in _SECRET_FILES:
        return 0o644
    if not _KEY_MODE.fullmatch(modes.key_mode):
        message = f"'{modes.key_mode}' is not a file mode for keys"
        raise SshError(message, hint="three octal digits, as in 'files: {key_mode: 0640}'")
    return int(modes.key_mode, 8)


def _ownership(modes: FileModes) -> str:
    """Return `owner:group` as chown reads it; `:` leaves both."""
    for name in (modes.owner, modes.group):
        if name is not None and not _OWNER.fullmatch(name):
            message = f"'{name}' is not a name of a user or a group"
            raise SshError(message)
    return f"{modes.owner or ''}:{modes.group or ''}"


def _info(parcel: Parcel) -> str:
    rolled_at = "null" if parcel.rolled_at is None else f'"{format_time(parcel.rolled_at)}"'
    return (
        f'generation: "{parcel.generation}"\nserial: "{parcel.serial}"\n'
        f'not_after: "{format_time(parcel.not_after)}"\nrolled_at: {rolled_at}\n'
    )


def _safe(name: str) -> str:
    if not _NAME.fullmatch(name):
        message = f"'{name}' is not safe as a file name on a server"
        raise SshError(message, hint="letters, digits, '.', '_' and '-', and none of the last three marks in front")
    return name
