"""Do this machine and a host agree about the time? How old a record is, and with it DANE, rests on the clock.

A clock that is fast by twice the TTL takes away the whole wait. Nobody here knows whose is right: that two disagree is
a hazard, and the host gets nothing new of what it serves until they agree.

>>> str(words(timedelta(hours=-3, seconds=40)))
'179 min behind'
"""

from __future__ import annotations

from datetime import timedelta
from typing import TYPE_CHECKING

from sslops.model.plan import Hazard, HazardName, Verb

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

    from sslops.deploy.decision import Work, World
    from sslops.model.plan import Consents
    from sslops.model.shipment import Answer

TOLERANCE = timedelta(minutes=1)


def hazards(works: Iterable[Work], looked: Mapping[str, Answer], world: World, consents: Consents) -> list[Hazard]:
    """Return one for each host that is to serve something new while its clock, as it *looked*, is not ours.

    On a site that has no records, and never had, nothing rests on the time.
    """
    if not (world.ledger.apexes or any(service.dane for service in world.inventory.services.values())):
        return []
    drifts = {work.host.name: looked[work.host.name].drift for work in works if _is_news(work, looked, world)}
    off = {name: why for name, drift in sorted(drifts.items()) if (why := _complaint(name, drift))}
    found = [Hazard(HazardName.CLOCK, name, why, Verb.DEPLOY) for name, why in off.items()]
    return [hazard for hazard in found if not consents.cover(hazard)]


def words(drift: timedelta) -> str:
    """Return how far a clock is off, to the minute."""
    return f"{round(abs(drift) / timedelta(minutes=1))} min {'ahead of' if drift > timedelta() else 'behind'}"


def _is_news(work: Work, looked: Mapping[str, Answer], world: World) -> bool:
    """Whether the host would serve something that it neither is settled on nor has loaded already."""
    answer, entry = looked[work.host.name], world.ledger.host(work.host.name)
    loaded = {s for s, key in work.due.items() if answer.holds(s).generation == key and s not in answer.unfinished}
    settled = {service for service, generation in work.due.items() if entry.serves(service).settled == generation}
    return bool((work.due.keys() & work.delivery.serving) - loaded - settled)


def _complaint(host: str, drift: timedelta | None) -> str:
    if drift is None:
        return f"'{host}' does not tell its time, so nobody knows whether a record is as old as it seems"
    if abs(drift) <= TOLERANCE:
        return ""
    return f"the clock of '{host}' is {words(drift)} this machine's, so nobody knows how old a record is"
