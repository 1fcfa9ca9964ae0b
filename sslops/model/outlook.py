"""What lies before a name with DANE: what is in DNS now, what will be, the earliest moment of each next step."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from datetime import datetime

    from sslops.model.names import ServiceId
    from sslops.model.tlsa import TlsaRecord


@dataclass(frozen=True, slots=True)
class Step:
    """One step to come: which, not before when (null: that is not known yet), and why then."""

    what: str
    at: datetime | None
    why: str


@dataclass(frozen=True, slots=True)
class NameOutlook:
    """One owner name: its services, the records in the DNS base, those of the next one, and the steps in order."""

    owner: str
    services: tuple[ServiceId, ...]
    now: tuple[TlsaRecord, ...]
    will: tuple[TlsaRecord, ...]
    steps: tuple[Step, ...]
