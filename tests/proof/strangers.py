"""Records of others beside ours, by hand in the include file or beside it in the zone, and what people owe the engine.

A record of others may break an RRset at once, where nothing that is served matches its combination. That is the
person's act, so here people add only what matches all that may be served, now and under any open proposal, and the
engine must not make it false later. Beside the include file the engine knows only what servers show. So what is added
there is on every server at once, and a combination that only others have stays until a look at DNS is on the ledger.
"""

from __future__ import annotations

from dataclasses import replace
from itertools import product
from typing import TYPE_CHECKING

from sslops.model.ledger import NameEntry
from sslops.model.tlsa import EMPTY, Rrset, TlsaRecord, owner_name
from sslops.simulate.dns import with_others
from sslops.simulate.world import STRANGE
from tests.proof import life as of
from tests.proof import machine
from tests.proof.life import LARGE, SHORT, Life, Setting
from tests.proof.machine import Action, Pick
from tests.unit.dane.builders import APEX

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Sequence

    from sslops.model.observations import Zone
    from sslops.model.tlsa import TlsaParams
    from sslops.simulate.dns import Line

SETTINGS = {
    "records of others": Setting(),
    "records of others, after a roll": Setting(begins="rolled"),
    "records of others, EC and RSA": Setting(services=(of.EC, of.RSA)),
    "records of others, two folders": Setting(views=2),
    "records of others, reviewed": Setting(is_reviewed=True, begins="rolled"),
    "records of others, from nothing": Setting(begins="nothing"),
}
IN_FILE, BESIDE = "0f" * 32, "be" * 32
"""What records of others say that no key of ours matches: in the include file, and beside it."""
KINDS = (of.KEY, of.WHOLE, of.KEY, of.CA_WHOLE, of.LONG_HASH)
OWNERS = tuple(owner_name(*each) for each in product((of.SMTP, of.SUBMISSION), ("tcp",), (of.MAIL, of.SPARE)))


class Shared(Life):
    """A site with records of others."""

    touched: set[str]
    """The owners that ever had one."""

    def __post_init__(self) -> None:
        """Begin without any."""
        self.touched = set()
        super().__post_init__()

    # What there is.

    @property
    def beside(self) -> list[Zone]:
        """What others keep beside the include file of each folder now."""
        return [dict(view) for view in self.line.beside[-1]] if self.line.beside else [{}] * self.setting.views

    def whole(self, views: Sequence[Zone]) -> list[Zone]:
        """Return what servers show once they have *views*, and what others keep beside them."""
        return [with_others(view, others) for view, others in zip(views, self.beside, strict=True)]

    def is_ours(self, record: TlsaRecord) -> bool:
        """Whether a record is about something of ours, whoever put it there."""
        keys = self.world.keys
        return any(record in keys.matching(record.owner, record.params, *version) for version in keys.generations)

    def made_by_hand(self, owner: str, params: TlsaParams, *, foreign: str | None) -> frozenset[TlsaRecord]:
        """Return what somebody adds: one record that says *foreign*, or one for everything that may be served."""
        if foreign is not None:
            return frozenset({TlsaRecord(owner, params, foreign)})
        shown = frozenset({TlsaRecord(owner, params, STRANGE)}) if self.has_strangers else frozenset()
        return shown.union(*(self.world.keys.matching(owner, params, *version) for version in self.may_be_served()))

    # What people may do: nothing that is wrong at that moment.

    def _may_become(self) -> list[Zone]:
        """Return what the include files are now, and what a proposal may make of them."""
        found = [*self.line.views]
        if self.world.dns.head is not None:
            found += [view for views in self.world.dns.head.brings(APEX, self.world.dns.content) for view in views]
        if self.entry.pending is not None:
            owners = {record.owner for record in self.entry.pending.records}
            found.append(
                {o: Rrset(SHORT, frozenset(r for r in self.entry.pending.records if r.owner == o)) for o in owners}
            )
        return found

    def is_harmless(self, owner: str, added: Rrset) -> bool:
        """Whether *added* leaves no RRset of *owner* that something which may be served does not match."""
        found = [
            with_others(with_others(view, {owner: added}), others)
            for view, others in product(self._may_become(), self.beside)
        ]
        return all(self._matches_everything(owner, zone[owner]) for zone in found)

    def add_to_file(self, owner: str, records: frozenset[TlsaRecord], folders: Iterable[int]) -> None:
        """Add *records* to the include file of some folders."""
        views = list(self.line.views)
        for folder in folders:
            ttl_seconds = views[folder].get(owner, EMPTY).ttl_seconds or SHORT
            if records and self.is_harmless(owner, Rrset(ttl_seconds, records)):
                views[folder] = with_others(views[folder], {owner: Rrset(ttl_seconds, records)})
        self.touched.add(owner)
        super().commit_by_hand(views)

    def add_beside(self, owner: str, records: frozenset[TlsaRecord], folders: Iterable[int]) -> None:
        """Add *records* beside the include file of some folders, where every server shows them at once."""
        views = self.beside
        ttl_seconds = max([view.get(owner, EMPTY).ttl_seconds for view in self.line.views]) or SHORT
        added = Rrset(ttl_seconds, records)
        if not records or not self.is_harmless(owner, added) or self._is_being_proposed():
            return
        for folder in folders:
            views[folder] = with_others(views[folder], {owner: added})
        self.touched.add(owner)
        self.world.dns.keep_beside(APEX, tuple(views))
        self.load_all()

    def _is_being_proposed(self) -> bool:
        """Whether a run may be about to propose what it decided before; a merge would not notice what lies beside."""
        return self.setting.is_reviewed and bool(self.active)

    def commit_by_hand(self, views: Sequence[Zone]) -> None:
        """Write the include files, unless what others keep beside them would be left alone in a combination."""
        before = self.whole(self.line.views)
        for old, new in zip(before, self.whole(views), strict=True):
            for owner in self.touched:
                left = new.get(owner, EMPTY)
                if left.records and left != old.get(owner) and not self._matches_everything(owner, left):
                    return
        super().commit_by_hand(views)

    def take_from_file(self, owner: str) -> None:
        """Take what is not ours out of every include file."""
        views = [dict(view) for view in self.line.views]
        kept = [self._ours(view).get(owner) for view in views]
        for view, rrset in zip(views, kept, strict=True):
            view.pop(owner, None)
            view.update({owner: rrset} if rrset is not None else {})
        self.commit_by_hand(views)

    def take_from_beside(self, owner: str) -> None:
        """Take away all that others keep of a name, once a look has found every combination of it.

        Of one that is asked for it stays until no host shows what is not ours: a record of ours may be joining it.
        """
        if self.has_strangers and owner in self.owners:
            return
        views, entry = self.beside, self.entry.names.get(owner, NameEntry(0, ""))
        known = set(entry.gone).union(*(view.get(owner, EMPTY).combinations for view in self.line.views))
        kept = frozenset[TlsaRecord]().union(*(view.pop(owner, EMPTY).records for view in views))
        left = [view.get(owner, EMPTY) for view in self._may_become()]
        if (
            kept
            and {record.params for record in kept} <= known
            and all(self._matches_everything(owner, each) for each in left)
        ):
            self.world.dns.keep_beside(APEX, tuple(views))

    def may_turn_to(self, ports: frozenset[int], mx: frozenset[str]) -> bool:
        """Whether clients may be sent to these names: whoever does it looks first at what others have there."""
        new = {owner_name(port, "tcp", host) for port, host in product(ports, mx)}
        shown = set.intersection(*(self.shown_at.get(service, set()) for service in self.asks))
        return not (new - shown) & self.touched

    def lose_the_ledger(self) -> None:
        """Let somebody delete the branch `ledger`, unless only it tells what a cache may hold of others' records."""
        kept = {
            (o, each)
            for commit in self.line.commits
            for view in commit.views
            for o, rrset in view.items()
            for each in rrset.combinations
        }
        shown = {(o, each) for view in self.beside for o, rrset in view.items() for each in rrset.combinations}
        cached = {(owner, each) for owner, rrset in self.world.dns.cached for each in rrset.combinations}
        if cached <= kept | shown:
            super().lose_the_ledger()

    # The end.

    def come_to_rest(self) -> None:
        """Repair everything; of others stays what lies beside records of ours, in the combination that is asked for.

        The rest is taken away where that is harmless, and where it is not, once the jobs have run.
        """
        self.kill_all()
        self._clear_away()
        super().come_to_rest()
        for host in self.world.hosts.values():
            # A receiver that sleeps and would be refused brings nothing, so nothing has to match it.
            host.under_way = [each for each in host.under_way if each[0] >= host.seq]
        if self._clear_away():
            self.rest()

    def _clear_away(self) -> bool:
        """Take away what may not stay, and let every cache forget it; whether there was something.

        Where a host shows what is not ours most of it has to stay until that ends; only what keeps it from ending goes.
        """
        views, beside = list(map(dict, self.line.views)), self.beside
        for owner, folder in product(sorted(self.touched), range(self.setting.views)):
            ours = self._ours(views[folder])
            kept = with_others(ours, self._stays(views[folder], ours)).get(owner, EMPTY)
            others = (
                self._stays(beside[folder], ours).get(owner, EMPTY) if len(self._shown_beside(owner)) == 1 else EMPTY
            )
            left = with_others({owner: kept}, {owner: others})[owner]
            if self._matches_everything(owner, left):
                views[folder][owner], beside[folder][owner] = kept, others
            elif self.has_strangers:
                found = views[folder].get(owner, EMPTY), beside[folder].get(owner, EMPTY)
                views[folder][owner], beside[folder][owner] = self._freed(owner, *found)
        views, beside = ([{o: r for o, r in each.items() if r.records} for each in found] for found in (views, beside))
        if (views, beside) == (list(self.line.views), self.beside):
            return False
        self.world.dns.commit({APEX: tuple(views)})
        self.world.dns.keep_beside(APEX, tuple(beside))
        self.load_all()
        self.wait(3 * LARGE)
        return True

    def _freed(self, owner: str, in_file: Rrset, beside: Rrset) -> tuple[Rrset, Rrset]:
        """Return what of others stays in the include file and beside it while a host shows what is not ours.

        What the jobs wait with for a person goes: a name that nobody asks for, a copy of ours beside the file; and what
        was in the file, and lies beside it now, is put back.
        """
        if owner not in self.owners:
            return EMPTY, EMPTY
        if any(map(self.is_ours, beside.records)) and self._matches_everything(owner, in_file):
            return in_file, EMPTY
        past = {
            record for commit in self.line.commits for view in commit.views for record in view.get(owner, EMPTY).records
        }
        back = beside.records & past
        ttl_seconds = max(in_file.ttl_seconds, beside.ttl_seconds)
        return Rrset(ttl_seconds, in_file.records | back), replace(beside, records=beside.records - back)

    def _shown_beside(self, owner: str) -> set[Rrset]:
        """Return what others keep beside the include files of a name; where folders differ no evidence can begin."""
        return {view.get(owner, EMPTY) for view in self.beside}

    def _stays(self, view: Zone, ours: Zone) -> Zone:
        """Return what of others may stay in *view* beside *ours*."""
        found = {}
        for owner in view.keys() & ours.keys() & set(self.owners):
            kept = frozenset(r for r in view[owner].records if r.params == of.KEY and not self.is_ours(r))
            own = replace(ours[owner], records=frozenset(r for r in ours[owner].records if r.params == of.KEY))
            if kept and own.records and self._matches_everything(owner, own):
                found[owner] = replace(view[owner], records=kept)
        return found

    def published(self, line: Line) -> tuple[Zone, ...]:
        """Return what each include file has of ours: what others put there stays, and is nobody's fault."""
        return tuple(map(self._ours, line.views))

    def _ours(self, view: Zone) -> Zone:
        found = {o: replace(rrset, records=frozenset(filter(self.is_ours, rrset.records))) for o, rrset in view.items()}
        return {owner: rrset for owner, rrset in found.items() if rrset.records}


# What can happen.


def _added_to_file(life: Life, pick: Pick) -> None:
    _add(life, pick, Shared.add_to_file, IN_FILE)


def _added_beside(life: Life, pick: Pick) -> None:
    _add(life, pick, Shared.add_beside, BESIDE)


def _add(
    life: Life, pick: Pick, add: Callable[[Shared, str, frozenset[TlsaRecord], Iterable[int]], None], foreign: str
) -> None:
    assert isinstance(life, Shared)
    owner, number = pick(OWNERS), pick(range(60))
    records = life.made_by_hand(owner, KINDS[number % len(KINDS)], foreign=foreign if number % 3 else None)
    folders = range(life.setting.views)
    add(life, owner, records, folders if pick((True, False)) else folders[-1:])


def _taken_from_file(life: Life, pick: Pick) -> None:
    assert isinstance(life, Shared)
    life.take_from_file(pick(OWNERS))


def _taken_from_beside(life: Life, pick: Pick) -> None:
    assert isinstance(life, Shared)
    life.take_from_beside(pick(OWNERS))


def _mail_hosts_change(life: Life, pick: Pick) -> None:
    assert isinstance(life, Shared)
    mx = pick(machine.MX)
    if life.may_turn_to(life.ports, mx):
        life.mx = mx
        life.configure()


def _ports_change(life: Life, pick: Pick) -> None:
    assert isinstance(life, Shared)
    ports = pick(machine.PORTS)
    if life.may_turn_to(ports, life.mx):
        life.ports = ports
        life.configure()


ACTIONS = {
    "somebody adds a record to the include file": Action(_added_to_file, 5),
    "somebody adds a record beside the include file": Action(_added_beside, 5),
    "somebody takes it out of the include file": Action(_taken_from_file, 5),
    "somebody takes it away beside the include file": Action(_taken_from_beside, 5),
    "mail hosts change": Action(_mail_hosts_change, 1),
    "other ports are asked for": Action(_ports_change, 1),
}
