"""When a wait of publish is a failure: what is served ends first, and what is to follow it lacks its record.

A record that stays too long endangers nothing, and a name without any record does not hold up a roll.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterable
    from datetime import datetime

    from sslops.dane.names import DaneName
    from sslops.publish.world import World


def is_failure(names: Iterable[DaneName], world: World, until: datetime | None = None) -> bool:
    """Whether a wait *until* then, at *names*, outlives a certificate that one of them leads to."""
    return any(_outlives(name, world, until) for name in names)


def _outlives(name: DaneName, world: World, until: datetime | None) -> bool:
    served, on_deck = world.branches.main[name.service].curr, world.branches.next[name.service].next
    if served is None or served.issued is None or on_deck is None or on_deck.issued is None:
        return False
    present = world.current(name.apex, name.owner).records
    wanted = world.keys.matching(name.owner, name.params, name.service, on_deck.id)
    lacks = bool(present) and bool(wanted) and present.isdisjoint(wanted)
    return lacks and served.issued.ends_before(until, world.now)
