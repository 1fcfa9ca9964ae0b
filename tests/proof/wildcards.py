"""Wildcards of others with TLSA records, above names that come and go: they answer where a name has no records.

What people owe is the same as of other records: no wildcard may answer at once with what is served does not match, and
none is taken away before a look found it. From then on the engine must not let a name begin or end so that it is wrong.
"""

from __future__ import annotations

from dataclasses import replace
from itertools import product
from typing import TYPE_CHECKING

from sslops.model.tlsa import EMPTY, Rrset, TlsaRecord
from sslops.simulate.dns import answered, is_wildcard, with_others
from tests.proof import life as of
from tests.proof.life import LARGE, SHORT, Setting
from tests.proof.machine import Action
from tests.proof.strangers import BESIDE, KINDS, OWNERS, Shared
from tests.unit.dane.builders import APEX

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from sslops.model.observations import Zone
    from tests.proof.life import Life
    from tests.proof.machine import Pick

SETTINGS = {
    "wildcards": Setting(),
    "wildcards, after a roll": Setting(begins="rolled"),
    "wildcards, EC and RSA": Setting(services=(of.EC, of.RSA)),
    "wildcards, two folders": Setting(views=2),
    "wildcards, reviewed": Setting(is_reviewed=True, begins="rolled"),
    "wildcards, from nothing": Setting(begins="nothing"),
}
WILDCARDS = tuple(f"*.{below}{host}." for below, host in product(("_tcp.", ""), (of.MAIL, of.SPARE)))


class Wild(Shared):
    """A site with wildcards."""

    def __post_init__(self) -> None:
        """Begin without any; whoever likes may ask for any port."""
        super().__post_init__()
        self.world.dns.asked = frozenset(OWNERS)

    def whole(self, views: Sequence[Zone]) -> list[Zone]:
        """Return what servers answer once they have *views*, and what others keep beside them."""
        return [_answers(zone) for zone in super().whole(views)]

    @property
    def has_wildcards(self) -> bool:
        """Whether there is any now."""
        return any(is_wildcard(owner) for view in self.beside for owner in view)

    def add_wildcard(self, wildcard: str, records: frozenset[TlsaRecord], folders: Iterable[int]) -> None:
        """Let *wildcard* have *records* in the zone of some folders; the next look comes before anything else does."""
        views = self.beside
        for folder in folders:
            known = views[folder].get(wildcard, EMPTY)
            made = frozenset(replace(each, owner=wildcard) for each in records)
            views[folder][wildcard] = Rrset(max(SHORT, known.ttl_seconds), known.records | made)
        if not records or self._is_being_proposed() or not self._is_harmless(views):
            return
        self.touched.update(owner for owner in OWNERS if owner.endswith(wildcard.removeprefix("*")))
        self.world.dns.keep_beside(APEX, tuple(views))
        self.load_all()
        self.run("publish")

    def take_wildcard(self, wildcard: str) -> None:
        """Take *wildcard* away, once a look has found what it answers."""
        views = self.beside
        before = [_answers(with_others(view, others)) for view, others in product(self._shown_views(), views)]
        for view in views:
            view.pop(wildcard, None)
        after = [_answers(with_others(view, others)) for view, others in product(self._shown_views(), views)]
        ended = {(owner, each) for zone in before for owner, rrset in zone.items() for each in rrset.combinations}
        ended -= {(owner, each) for zone in after for owner, rrset in zone.items() for each in rrset.combinations}
        known = {(owner, each) for owner, name in self.entry.names.items() for each in name.gone}
        is_known = all(each in known for each in ended if each[0] in self._shown())
        if views != self.beside and is_known and self._is_harmless(views) and not self._is_being_proposed():
            self.world.dns.keep_beside(APEX, tuple(views))

    def take_from_beside(self, owner: str) -> None:
        """Take away all that others keep of a name, where no wildcard would answer for it."""
        if not self.has_wildcards:
            super().take_from_beside(owner)

    def _freed(self, owner: str, in_file: Rrset, beside: Rrset) -> tuple[Rrset, Rrset]:
        """Leave everything as it is below a wildcard, which would answer for what is taken away."""
        return (in_file, beside) if self.has_wildcards else super()._freed(owner, in_file, beside)

    def _is_harmless(self, beside: Sequence[Zone]) -> bool:
        """Whether all that may be served matches what is answered under the names that it is shown under."""
        shown = self._shown()
        if not shown & {*OWNERS} <= self._looked_at():
            return False
        zones = [_answers(with_others(view, others)) for view, others in product(self._shown_views(), beside)]
        met = {*OWNERS} if self.has_strangers else shown
        return all(self._matches_everything(owner, zone.get(owner, EMPTY)) for zone in zones for owner in met)

    def _shown(self) -> set[str]:
        """Return the names that hosts show something under."""
        return set[str]().union(*self.shown_at.values())

    def _looked_at(self) -> set[str]:
        """Return the names that each look asks for."""
        return {*self.entry.names} | (set(self.owners) if any(self.asks.values()) else set())

    def _shown_views(self) -> list[Zone]:
        """Return the include files that servers show or may come to show, as they load and people merge."""
        loaded = min(server.loaded for server in self.line.servers)
        return [*self._may_become(), *(view for commit in self.line.commits[loaded:] for view in commit.views)]

    def come_to_rest(self) -> None:
        """Let every wildcard be taken away; where one is needed for now the site does not come to rest by itself."""
        self.kill_all()
        self.repair()
        for wildcard in WILDCARDS:
            self.load_all()
            self.run("publish")
            self.take_wildcard(wildcard)
        self.load_all()
        self.wait(3 * LARGE)
        super().come_to_rest()
        for wildcard in WILDCARDS if self.has_wildcards else ():
            self.take_wildcard(wildcard)
            self.load_all()
            self.wait(3 * LARGE)
            self.rest()


def _answers(zone: Zone) -> Zone:
    """Return what a server with *zone* answers for every name that clients ask for."""
    made = {owner: answered(zone, owner) for owner in {*OWNERS, *zone} if not is_wildcard(owner)}
    return {owner: rrset for owner, rrset in made.items() if rrset.records}


# What can happen.


def _added(life: Life, pick: Pick) -> None:
    assert isinstance(life, Wild)
    wildcard, number = pick(WILDCARDS), pick(range(60))
    params = KINDS[number % len(KINDS)]
    records = life.made_by_hand(wildcard, params, foreign=BESIDE if number % 3 else None)
    life.add_wildcard(
        wildcard, records, range(life.setting.views) if pick((True, False)) else (life.setting.views - 1,)
    )


def _taken(life: Life, pick: Pick) -> None:
    assert isinstance(life, Wild)
    life.take_wildcard(pick(WILDCARDS))


ACTIONS = {
    "somebody adds a wildcard": Action(_added, 6),
    "somebody takes a wildcard away": Action(_taken, 3),
}
