"""What waits in a play, since when, and which of it is more than a person takes for granted.

Everything waits now and then: for caches, for people who merge. What is reported is a wait that goes on for longer than
people were said to take, and a day more; a day is much for certificates of a few days, so a tenth of the shortest life
counts where that is less.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import timedelta
from typing import TYPE_CHECKING

from sslops.model.cause import Cause
from sslops.model.names import ServiceId
from sslops.model.outlook import Event, LongWait
from sslops.model.plan import Verb, Wait
from sslops.simulate.lifetimes import shortest

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator
    from datetime import datetime

    from sslops.model.inventory import Inventory
    from sslops.model.outlook import Assumptions
    from sslops.model.plan import Plan


DAY = timedelta(days=1)
SHARE = 10


def patience(inventory: Inventory, given: Assumptions) -> timedelta:
    """Return how long something may wait before it is reported."""
    life = shortest(inventory, given.lifetime, given.until)
    return given.merge_delay + (DAY if life is None else min(DAY, life / SHARE))


@dataclass(slots=True)
class _Standing:
    """A wait that was heard of in every run since *began*; *first* is how it was reported at first, *last* at last."""

    began: datetime
    first: Wait
    last: Wait

    @property
    def overdue_since(self) -> datetime:
        """From when on nobody expects it any more: the moment that was named for its end, or its beginning."""
        return self.began if self.first.until is None else max(self.began, self.first.until)


@dataclass(slots=True)
class Waits:
    """Told run by run what waits; knows what waited for long, and what cannot work."""

    inventory: Inventory
    longest: timedelta
    flags: list[Event] = field(default_factory=list)
    _ended: list[LongWait] = field(default_factory=list)
    _standing: dict[tuple[str, str, str], _Standing] = field(default_factory=dict)
    _flagged: set[tuple[str, str, str]] = field(default_factory=set)

    def hear(self, plans: Iterable[Plan], now: datetime) -> None:
        """Take what all the jobs of one run said; what none of them says any more has ended."""
        heard: dict[tuple[str, str, str], Wait] = {}
        for wait in (wait for plan in plans for wait in _all(plan)):
            key = (str(wait.verb), _who(wait), wait.what)
            if key not in heard or wait.fatal:
                heard[key] = wait
        for over in self._standing.keys() - heard.keys():
            gone = self._standing.pop(over)
            if now - gone.began > self.longest:
                self._ended.append(_told(gone, now))
        for key, wait in heard.items():
            standing = self._standing.setdefault(key, _Standing(now, wait, wait))
            standing.last = wait
            if wait.fatal:
                self._flag(key, now, _why(wait))

    def untils(self) -> Iterator[datetime]:
        """Yield the moments at which something that waits may go on."""
        yield from (each.last.until for each in self._standing.values() if each.last.until is not None)

    def long(self) -> tuple[LongWait, ...]:
        """Return what waited for long, and whatever waits still, in order."""
        return tuple(sorted([*self._ended, *(_told(each, None) for each in self._standing.values())], key=_order))

    def flag_endless(self, now: datetime) -> None:
        """Flag, at the end of the play, what should be over and is not; a hold is a person's wish."""
        for key, each in self._standing.items():
            if now - each.overdue_since > self.longest and not self._is_held(each.last, now):
                self._flag(key, each.began, f"still waits on {now:%Y-%m-%d}: {_why(each.last)}")

    def _flag(self, key: tuple[str, str, str], at: datetime, what: str) -> None:
        if key not in self._flagged:
            self._flagged.add(key)
            self.flags.append(Event(at, key[0], key[1], what))

    def _is_held(self, wait: Wait, now: datetime) -> bool:
        service = self.inventory.services.get(ServiceId(wait.group, wait.service))
        return service is not None and self.inventory.hold_on(service, now) is not None


def _all(plan: Plan) -> Iterator[Wait]:
    """Yield the waits, and the hazards: nobody consents in a play, so each is a wait without an end."""
    yield from plan.waits
    for each in plan.hazards:
        yield Wait(each.verb, each.group, each.service, each.subject, None, f"{each.name}: {each.why}", Cause.CONSENT)


def _who(wait: Wait) -> str:
    return str(ServiceId(wait.group, wait.service)) if wait.service else wait.group or wait.what


def _told(standing: _Standing, until: datetime | None) -> LongWait:
    wait = standing.last
    return LongWait(standing.began, until, wait.verb, _who(wait), _why(wait))


def _why(wait: Wait) -> str:
    """Return why it waits; one of deploy is about a host, which its words need not name."""
    return f"{wait.what}: {wait.why}" if wait.verb is Verb.DEPLOY and wait.service else wait.why


def _order(wait: LongWait) -> tuple[datetime, str, str]:
    return wait.at, wait.verb, wait.subject
