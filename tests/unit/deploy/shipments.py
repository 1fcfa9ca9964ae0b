"""Shipments for tests: parcels whose files say which generation they are, and restarts that leave a trace."""

from __future__ import annotations

import datetime as dt
from typing import TYPE_CHECKING

from sslops.model.inventory import FileModes
from sslops.model.names import GenerationId, ServiceId
from sslops.model.secret import Secret
from sslops.model.shipment import Include, Parcel, Restart, ServiceFiles, Shipment

if TYPE_CHECKING:
    from collections.abc import Collection
    from pathlib import Path

OLD = GenerationId("20261124T143000Z-9b1c")
NEW = GenerationId("20261125T021705Z-77aa")
LATER = GenerationId("20261126T031500Z-1d2f")
ISSUED_AT = dt.datetime(2026, 11, 24, 14, 31, 7, tzinfo=dt.UTC)
"""When every certificate here was issued."""
MAIL = ServiceId("example.com", "mail-ec")
WEB = ServiceId("example.com", "web-ec")
KEY_WORD = "the-private-key-of"
"""Stands in every key that a parcel here carries."""


def parcel(
    service: ServiceId,
    generation: GenerationId,
    *,
    modes: FileModes | None = None,
    returns_to: Collection[GenerationId] | None = None,
) -> Parcel:
    """Return a parcel with small files."""
    return Parcel(
        service=service,
        generation=generation,
        files=ServiceFiles(b"csr\n", f"cert {generation}\n".encode(), b"chain\n", b"; records\n"),
        private_key=Secret(f"{KEY_WORD} {generation}\n".encode()),
        serial="0a",
        not_after=dt.datetime(2027, 2, 22, tzinfo=dt.UTC),
        rolled_at=None,
        issued_at=ISSUED_AT,
        modes=modes or FileModes(),
        returns_to=None if returns_to is None else frozenset(returns_to),
    )


def shipment(
    *services: ServiceId,
    generation: GenerationId,
    restart: Restart | None = None,
    include: str | None = None,
    returns_to: Collection[GenerationId] | None = None,
) -> Shipment:
    """Return a shipment of *services*, with one restart and the include file of example.com when given."""
    includes = () if include is None else (Include("example.com", include.encode()),)
    parcels = tuple(parcel(service, generation, returns_to=returns_to) for service in services)
    return Shipment(parcels, includes, (restart,) if restart else ())


def noting(
    log: Path, *, server_class: str = "smtp", fails_while: Path | None = None, fails_once: bool = False
) -> Restart:
    """Return a restart that adds a line to *log*, and fails while the file *fails_while* exists, or the first time."""
    script = 'echo restart >> "$0"; test ! -e "$1"'
    if fails_once:
        script = 'echo restart >> "$0"; test "$(wc -l < "$0")" -gt 1'
    return Restart(server_class, (("sh", "-c", script, str(log), str(fails_while or log.parent / "never")),))


def failing_with(log: Path, root: Path, generation: GenerationId) -> Restart:
    """Return a restart that adds a line to *log*, and fails while `mail-ec` below *root* is *generation*."""
    script = 'echo restart >> "$0"; ! grep -q "$2" "$1/example.com/mail-ec/curr/info"'
    return Restart("smtp", (("sh", "-c", script, str(log), str(root), generation),))
