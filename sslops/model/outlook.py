"""What lies before a name with DANE: what is in DNS now, what will be, the earliest moment of each next step."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import timedelta
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


@dataclass(frozen=True, slots=True)
class Assumptions:
    """What is taken for granted: how often the jobs run, how long people take to merge, how long certificates last.

    *lifetime* is that of certificates from ACME servers, null: as they announced it; own CAs sign for as long as the
    inventory says.
    """

    until: datetime
    every: timedelta = timedelta(hours=1)
    merge_delay: timedelta = timedelta()
    lifetime: timedelta | None = None


@dataclass(frozen=True, slots=True)
class Event:
    """One small step: when, of which stage, about a service or a name, and what."""

    at: datetime
    verb: str
    subject: str
    what: str


@dataclass(frozen=True, slots=True)
class LongWait:
    """A step that did not happen from *at* until *until* (null: it waits at the end), and why, as last told."""

    at: datetime
    until: datetime | None
    verb: str
    subject: str
    what: str


@dataclass(frozen=True, slots=True)
class Forecast:
    """Everything that happens, in order; what waited; and what cannot work, empty when all is well.

    *waits* has what waited for longer than *patience*, and whatever waits at the end; *lifetimes* says in words how
    long the certificates of each ACME server were taken to last.
    """

    begins: datetime
    assumptions: Assumptions
    events: tuple[Event, ...]
    waits: tuple[LongWait, ...] = ()
    flags: tuple[Event, ...] = ()
    patience: timedelta = timedelta()
    lifetimes: tuple[str, ...] = ()
