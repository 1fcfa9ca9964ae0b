"""The small world of `simulation` with a forge: publish only proposes, and a person merges at any time, or never.

A merge is git's: what both sides changed since they parted comes together record by record. Where one side took a whole
combination away and the other touched it the lines lie side by side, and git finds a conflict.
"""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING

from sslops.dane.evidence import advance
from sslops.model.ledger import Pending
from sslops.model.seen import ApexSeen, BaseCommit, DnsRepoSeen, ServerSeen
from sslops.model.tlsa import EMPTY, Rrset
from sslops.publish.rules import publication
from tests.dane.builders import OWNER
from tests.dane.simulation import PRIMARY, SECONDARY, Simulation

if TYPE_CHECKING:
    from sslops.model.seen import Zone
    from sslops.model.tlsa import TlsaRecord


@dataclass(frozen=True, slots=True)
class Branch:
    """`sslops/tlsa`: its commit's number, what it has, and what base had where it left it (null: it is merged)."""

    number: int
    zone: Zone
    start: Zone | None


@dataclass(frozen=True, slots=True)
class Asleep:
    """A publish that wrote `pending` and did not push yet: the commit it leases on, and what it would push."""

    lease: int | None
    zone: Zone
    start: Zone


@dataclass
class Reviewed(Simulation):
    """The world, with one branch for proposals."""

    branch: Branch | None = None
    commits_made: int = 0
    asleep: list[Asleep] = field(default_factory=list)
    declined: set[tuple[str, str]] = field(default_factory=set)

    # What people do

    def merge_proposal(self, *, squashes: bool = False) -> bool:
        """Let a person merge what the branch brings; false when there is nothing, or git finds a conflict."""
        merged = self._merged()
        if self.branch is None or merged is None or merged == self.base.views[0]:
            return False
        self.check()
        self.commit(merged)
        self.branch = replace(self.branch, start=self.branch.start if squashes else None)
        self.check()
        return True

    def decline_proposal(self) -> None:
        """Let a person close the request: the same change is not to be proposed again."""
        if self.branch is not None:
            self.declined.add(_change(self.base.views[0], self.branch.zone))

    def delete_branch(self) -> None:
        """Let a person, or the forge, delete the branch."""
        self.branch = None

    # What the engine does

    def look(self, *, silent: bool = False) -> ApexSeen:
        """Look, at the branch too."""
        line = {each.commit: place for place, each in enumerate(self.history)}
        shown = self.shown(SECONDARY)
        secondary = ServerSeen("ns2", error="timed out") if silent else ServerSeen("ns2", {OWNER: shown})
        servers = self.asked((ServerSeen("ns1", {OWNER: self.shown(PRIMARY)}), secondary))
        seen = ApexSeen(self.now, DnsRepoSeen(self.base, tuple(self.history), line, self._head()), servers)
        self._record(advance(self.entry, seen))
        return seen

    def publish_intent(self) -> None:
        """Look, decide, and write `pending` where the branch has to move; else take back what is not wanted."""
        found = publication(self._world(self.look()))
        proposal = next(iter(found.proposals), None)
        base = self.base.views[0]
        zone = base if proposal is None else proposal.zone
        if zone == base or _change(base, zone) in self.declined:
            self._take_back()
            return
        if self.branch is not None and self.branch.start == base and self.branch.zone == zone:
            return
        if self.entry.pending is not None or self.branch is None:
            self._move(base, base)
        assert self.branch is not None
        records = frozenset(record for rrset in zone.values() for record in rrset.records)
        self._record(replace(self.entry, pending=Pending("run", self.base.commit, None, records)))
        self.asleep.append(Asleep(self.branch.number, zone, base))

    def publish_push(self) -> bool:
        """Let the publish that sleeps longest push; false when its lease is not good any more."""
        sleeper = self.asleep.pop(0)
        if self.branch is None or self.branch.number != sleeper.lease:
            return False
        self._move(sleeper.zone, sleeper.start)
        return True

    def publish_outcome(self) -> None:
        """Take `pending` off the ledger, unless the base moved meanwhile: then another try finds it."""
        if self.branch is not None and self.branch.start == self.base.views[0]:
            self._record(replace(self.entry, pending=None))

    def publish(self) -> None:
        """Publish without being interrupted."""
        known = len(self.asleep)
        self.publish_intent()
        if len(self.asleep) > known:
            self.asleep = [self.asleep[-1], *self.asleep[:-1]]
            if self.publish_push():
                self.publish_outcome()

    def publish_and_merge(self) -> None:
        """Publish, and let a person merge it at once, and publish look at it."""
        self.publish()
        self.merge_proposal()
        self.load_all()
        self.publish()

    def rest(self) -> None:
        """Run everything until quiet, with a person who merges what is proposed."""
        self.declined.clear()
        for _ in range(6):
            self.publish_and_merge()
            self.roll()
            for host in self.serving:
                self.deploy(host)
                self.load_all()
            self.publish_and_merge()
            self.wait(120)

    def _take_back(self) -> None:
        base = self.base.views[0]
        if self.entry.pending is not None or self._head() is not None:
            self._move(base, base)
        self._record(replace(self.entry, pending=None))

    def _move(self, zone: Zone, start: Zone) -> None:
        self.commits_made += 1
        self.branch = Branch(self.commits_made, zone, start)

    def _head(self) -> BaseCommit | None:
        base = self.base.views[0]
        if self.branch is None or self.branch.start is None or self.branch.zone == base:
            return None
        merged = None if self.branch.start == base else self._merged()
        views = (self.branch.zone,) if merged is None else (self.branch.zone, merged)
        return BaseCommit(f"p{self.branch.number}", views)

    def _merged(self) -> Zone | None:
        """Return what base would be after a merge; null when there is nothing to merge, or git finds a conflict."""
        if self.branch is None or self.branch.start is None:
            return None
        sides = (self.branch.start, self.base.views[0], self.branch.zone)
        start, ours, theirs = (side.get(OWNER, EMPTY) for side in sides)
        if ours in (start, theirs):
            return self.branch.zone
        if start == theirs:
            return self.base.views[0]
        if start.ttl_seconds != ours.ttl_seconds or start.ttl_seconds != theirs.ttl_seconds:
            return None  # the TTL stands on every line
        records = _together(start.records, ours.records, theirs.records)
        if records is None:
            return None
        return {OWNER: Rrset(start.ttl_seconds, records)} if records else {}


def _together(
    start: frozenset[TlsaRecord], ours: frozenset[TlsaRecord], theirs: frozenset[TlsaRecord]
) -> frozenset[TlsaRecord] | None:
    for params in {record.params for record in start | ours | theirs}:
        was, here, there = (
            frozenset(record for record in side if record.params == params) for side in (start, ours, theirs)
        )
        if was not in (here, there) and here != there and not (here and there):
            return None
    return (start | ours | theirs) - (start - ours) - (start - theirs)


def _change(base: Zone, zone: Zone) -> tuple[str, str]:
    """Name a change as its digest does."""
    before, after = (side.get(OWNER, EMPTY) for side in (base, zone))
    return str(sorted(map(str, before.records - after.records))), str(sorted(map(str, after.records - before.records)))
