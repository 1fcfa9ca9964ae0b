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
    """Return one for each host that is to serve something while its clock, as it *looked*, is not ours.

    On a site that has no records, and never had, nothing rests on the time.
    """
    if not (world.ledger.apexes or any(service.dane for service in world.inventory.services.values())):
        return []
    serving = [work.host.name for work in works if work.due.keys() & work.delivery.serving]
    off = {name: drift for name in serving if (drift := looked[name].drift) is not None and abs(drift) > TOLERANCE}
    why = "the clock of '{}' is {} this machine's, so nobody knows how old a record is"
    found = [Hazard(HazardName.CLOCK, name, why.format(name, words(off[name])), Verb.DEPLOY) for name in sorted(off)]
    return [hazard for hazard in found if not consents.cover(hazard)]


def words(drift: timedelta) -> str:
    """Return how far a clock is off, to the minute."""
    return f"{round(abs(drift) / timedelta(minutes=1))} min {'ahead of' if drift > timedelta() else 'behind'}"
