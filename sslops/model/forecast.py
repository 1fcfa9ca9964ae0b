"""The time ahead as it was played: what happens when, and what cannot work."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import timedelta
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from datetime import datetime


@dataclass(frozen=True, slots=True)
class Assumptions:
    """What is taken for granted: how often the jobs run, how long people take to merge, how long certificates last.

    *lifetime* is that of certificates from ACME servers; own CAs sign for as long as the inventory says.
    """

    until: datetime
    every: timedelta = timedelta(hours=1)
    merge_delay: timedelta = timedelta()
    lifetime: timedelta = timedelta(days=90)


@dataclass(frozen=True, slots=True)
class Event:
    """One small step: when, of which stage, about a service or a name, and what."""

    at: datetime
    verb: str
    subject: str
    what: str


@dataclass(frozen=True, slots=True)
class Forecast:
    """Everything that happens, in order; what waits at the end; and what cannot work, empty when all is well."""

    begins: datetime
    assumptions: Assumptions
    events: tuple[Event, ...]
    waits: tuple[Event, ...] = ()
    flags: tuple[Event, ...] = ()
