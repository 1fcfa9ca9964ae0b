"""A small world without servers, driven by the real rules: a DNS base, two name servers, two hosts, all caches.

A cache may have asked any server at any moment, so the world remembers when each RRset was last shown; until its TTL
passed, some cache holds it. Every step ends with the promise: what a cache may hold matches what each host serves.

The secondary takes what the primary has; the primary loads the base as it is. Times are whole seconds.
"""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta
from typing import TYPE_CHECKING

from sslops.dane.evidence import advance
from sslops.dane.first_use import AddressSeen
from sslops.dane.gate import Gate, Verdict
from sslops.dane.names import Owners
from sslops.dane.records import Keys
from sslops.deploy.entries import Proven, intend, restore, settle
from sslops.model.ledger import ApexEntry, HostEntry, Ledger, Pending
from sslops.model.plan import Verb
from sslops.model.seen import ApexSeen, BaseCommit, DnsRepoSeen, PortSeen, ServerSeen, Zone
from sslops.model.state import Branches, ServiceState, Slots, State
from sslops.model.tlsa import EMPTY, Rrset
from sslops.publish.rules import Proposal, publication
from sslops.publish.world import World
from sslops.roll import rules as roll
from tests.dane import builders
from tests.dane.builders import APEX, OWNER, PARAMS, SERVICE, START

if TYPE_CHECKING:
    from sslops.model.inventory import Inventory
    from sslops.model.names import GenerationId
    from sslops.model.tlsa import TlsaParams

HOSTS = ("smtp1", "smtp2")
SHORT, LARGE = 5, 40
"""The two TTLs of this world, in seconds."""
PRIMARY, SECONDARY = 0, 1


class Violation(AssertionError):  # noqa: N818  (it is a finding, not a malfunction)
    """Some cache may hold an RRset that does not match what a host serves."""


@dataclass(frozen=True, slots=True)
class Sleeper:
    """A publish that wrote `pending` and did not push yet: what it leases on, and what it would write."""

    lease: tuple[int, int]
    proposal: Proposal | None


@dataclass
class Simulation:
    """The world: its true state, and what the engine knows of it."""

    now: datetime = START
    ttl_seconds: int = SHORT
    wanted: frozenset[TlsaParams] = frozenset({PARAMS})
    history: list[BaseCommit] = field(default_factory=lambda: [BaseCommit("c0", ({},))])
    loaded: list[int] = field(default_factory=lambda: [0, 0])
    proposal_moves: int = 0
    sleepers: list[Sleeper] = field(default_factory=list)
    generations: list[GenerationId] = field(default_factory=list)
    slots: Slots = field(default_factory=Slots)
    ledger: Ledger = field(default_factory=Ledger)
    serving: dict[str, GenerationId | None] = field(default_factory=lambda: dict.fromkeys(HOSTS))
    under_way: dict[str, GenerationId] = field(default_factory=dict)
    last_shown: dict[Rrset, datetime] = field(default_factory=dict)

    # The promise

    def check(self) -> None:
        """Raise Violation when a cache may hold an RRset without a record of what some host serves."""
        for place in (PRIMARY, SECONDARY):
            self.last_shown[self.shown(place)] = self.now
        for rrset, at in self.last_shown.items():
            if rrset.records and self.now <= at + timedelta(seconds=rrset.ttl_seconds):
                for host, generation in self.serving.items():
                    if generation is None or not all(
                        self.matches(each, generation, rrset) for each in rrset.combinations
                    ):
                        raise Violation(f"{host} serves {generation}, a cache may hold {rrset}")

    def matches(self, params: TlsaParams, generation: GenerationId | None, rrset: Rrset) -> bool:
        """Whether a resolver that goes by one combination alone finds what is served."""
        return generation is not None and self.keys.record(OWNER, params, SERVICE, generation) in rrset.records

    def shown(self, place: int) -> Rrset:
        """Return what a server shows now."""
        return self.history[self.loaded[place]].views[0].get(OWNER, EMPTY)

    # What the world does by itself

    def wait(self, seconds: int) -> None:
        """Let time pass; servers go on showing what they show."""
        self.check()
        self.now += timedelta(seconds=seconds)
        self.check()

    def load(self, place: int) -> None:
        """Let a server take over what is newer."""
        self.check()
        self.loaded[place] = len(self.history) - 1 if place == PRIMARY else max(self.loaded)
        self.check()

    def load_all(self) -> None:
        """Let both servers come up to date."""
        self.load(PRIMARY)
        self.load(SECONDARY)

    def commit(self, view: Zone) -> None:
        """Add a commit to the DNS base."""
        self.history.append(BaseCommit(f"c{len(self.history)}", (view,)))

    # What people do

    def empty_by_hand(self) -> None:
        """Take every record out of the DNS base."""
        self.commit({})

    def drop_by_hand(self, generation: GenerationId) -> None:
        """Take one record out of the DNS base, for a person thinks nobody needs it."""
        rrset = self.base.views[0].get(OWNER, EMPTY)
        left = rrset.records - {self.keys.record(OWNER, PARAMS, SERVICE, generation)}
        self.commit({OWNER: replace(rrset, records=left)} if left else {})

    def restore_by_hand(self) -> None:
        """Revert the last commit of the DNS base, as far as it took something away."""
        records = self.base.views[0].get(OWNER, EMPTY).records
        before = self.history[-2].views[0].get(OWNER, EMPTY)
        self.commit({OWNER: replace(before, records=before.records | records)} if before.records | records else {})

    def make_curr(self, generation: GenerationId) -> None:
        """Revert a roll on `main`, or revert that revert: some older generation is to be served."""
        self.slots = replace(self.slots, curr=generation, next=None, refused=self.slots.curr)

    # What the engine does

    @property
    def base(self) -> BaseCommit:
        """The DNS base as it is."""
        return self.history[-1]

    @property
    def keys(self) -> Keys:
        """The keys of all generations."""
        return Keys.of(self.branches)

    @property
    def branches(self) -> Branches:
        """Both branches; they are the same, for the engine merges."""
        made = {key: builders.generation(number) for number, key in enumerate(self.generations, 1)}
        state = State({SERVICE: ServiceState(self.slots, made)})
        return Branches(state, state)

    @property
    def entry(self) -> ApexEntry:
        """The apex on the ledger."""
        return self.ledger.apex(APEX) or ApexEntry()

    def needed(self) -> frozenset[GenerationId]:
        """Return what some slot or host may need, written down independently of the code under test."""
        served = {each for host in HOSTS for each in self.ledger.host(host).serves(SERVICE).may_serve if each}
        return frozenset(served | {each for each in (self.slots.curr, self.slots.next) if each})

    def look(self, *, silent: bool = False) -> ApexSeen:
        """Look at the base and both servers, and put on the ledger what that teaches; *silent*: one does not answer."""
        line = {each.commit: place for place, each in enumerate(self.history)}
        secondary = (
            ServerSeen("ns2", error="timed out") if silent else ServerSeen("ns2", {OWNER: self.shown(SECONDARY)})
        )
        servers = self.asked((ServerSeen("ns1", {OWNER: self.shown(PRIMARY)}), secondary))
        seen = ApexSeen(self.now, DnsRepoSeen(self.base, tuple(self.history), line), servers)
        self._record(advance(self.entry, seen))
        return seen

    def asked(self, servers: tuple[ServerSeen, ...]) -> tuple[ServerSeen, ...]:
        """Return the servers that the engine asks: all."""
        return servers

    def renew(self) -> None:
        """Make a new generation for the slot `next`; one that is there is given up, as with `--new-key`."""
        self.generations.append(builders.gen(len(self.generations) + 1))
        self.slots = replace(self.slots, next=self.generations[-1])

    def roll(self) -> None:
        """Make `next` the one to be served, where the rules allow it."""
        gate = self._gate(self.look())
        plan = roll.plan(self.inventory, self.branches, gate, roll.RollOptions(force=True))
        if plan.of(Verb.ROLL).actions:
            self.slots = roll.rolled_slots(self.slots, self.now)

    def publish_intent(self) -> None:
        """Look, decide, and write `pending`; a run that left one before is fenced off."""
        seen = self.look()
        found = publication(self._world(seen))
        if not found.plan.actions:
            return
        self.proposal_moves += self.entry.pending is not None
        proposal = next(iter(found.proposals), None)
        lease = (self.proposal_moves, len(self.history))
        records = proposal.records if proposal else frozenset()
        self._record(replace(self.entry, pending=Pending("run", self.base.commit, None, records)))
        self.sleepers.append(Sleeper(lease, proposal))

    def publish_push(self) -> bool:
        """Let the publish that sleeps longest push; false when its lease is not good any more."""
        sleeper = self.sleepers.pop(0)
        if sleeper.lease != (self.proposal_moves, len(self.history)):
            return False
        self.proposal_moves += 1
        self.commit(sleeper.proposal.zone if sleeper.proposal else self.base.views[0])
        return True

    def publish_outcome(self) -> None:
        """Look, and take `pending` off the ledger."""
        self.look()
        self._record(replace(self.entry, pending=None))

    def publish(self) -> None:
        """Publish without being interrupted."""
        known = len(self.sleepers)
        self.publish_intent()
        if len(self.sleepers) > known:
            self.sleepers = self.sleepers[-1:]
            self.publish_push()
            self.publish_outcome()

    def may_serve(self) -> Verdict:
        """Ask the gate about what is to be served, after a look of its own."""
        return self._gate(self.look()).may_serve(SERVICE, self.curr)

    @property
    def curr(self) -> GenerationId:
        """The generation to be served."""
        assert self.slots.curr is not None
        return self.slots.curr

    def send(self, host: str) -> bool:
        """Do the first half of a deploy: intent, gate, a payload under way. False when nothing may or need be sent."""
        self._ask(host)
        before = self.ledger.host(host)
        if before.serves(SERVICE).settled == self.curr:
            return False
        seq = before.seq + 1
        self._note(host, intend(before, seq, {SERVICE: self.curr}, at=self.now))
        if not self.may_serve().allowed:
            self._note(host, restore(self.ledger.host(host), seq, before, [SERVICE]))
            return False
        self.under_way[host] = self.curr
        return True

    def arrive(self, host: str) -> None:
        """Let the receiver act on what is under way; the run that sent it may be long gone."""
        self.check()
        self.serving[host] = self.under_way.pop(host)
        self.check()

    def deploy(self, host: str) -> None:
        """Deploy without being interrupted."""
        if self.send(host):
            self.arrive(host)
            self._prove(host)

    def rest(self) -> None:
        """Run everything until quiet, as the scheduled jobs would."""
        for _ in range(6):
            for verb in (
                self.publish,
                self.roll,
                *(lambda host=host: self.deploy(host) for host in HOSTS),
                self.publish,
            ):
                verb()
                self.load_all()
            self.wait(3 * LARGE)

    @property
    def inventory(self) -> Inventory:
        """The inventory: one service on two hosts."""
        return builders.inventory(builders.service(dane_ttl_seconds=self.ttl_seconds, min_roll_minutes=0), hosts=HOSTS)

    @property
    def owners(self) -> Owners:
        """The one name, once for each combination that is asked for."""
        names = (replace(builders.name(params=each), ttl_seconds=self.ttl_seconds) for each in sorted(self.wanted))
        return Owners(tuple(names), ())

    def _world(self, seen: ApexSeen) -> World:
        certs = {
            made.id: made.issued.cert_sha256 for made in self.branches.main[SERVICE].generations.values() if made.issued
        }
        ports = (PortSeen(frozenset({certs.get(at, "other") if at else "other"}), 1) for at in self.serving.values())
        addresses = tuple(AddressSeen(f"192.0.2.{place}", 25, port) for place, port in enumerate(ports, 1))
        return World(
            self.inventory, self.branches, self.ledger, self.owners, self.keys,
            {APEX: seen.repo}, {APEX: seen}, self.now, {OWNER: addresses},
        )  # fmt: skip

    def _gate(self, seen: ApexSeen) -> Gate:
        return Gate(self.ledger, {APEX: seen}, self.keys, self.owners.names, self.now)

    def _record(self, entry: ApexEntry) -> None:
        self.ledger = replace(self.ledger, apexes={APEX: entry})

    def _note(self, host: str, entry: HostEntry) -> None:
        self.ledger = replace(self.ledger, hosts={**self.ledger.hosts, host: entry})

    def _ask(self, host: str) -> None:
        """Settle an uncertain entry with a number of one's own: nothing older can act on the host after that."""
        served = self.ledger.host(host).serves(SERVICE)
        if served.proof is None and self.serving[host] is not None:
            self.under_way.pop(host, None)
            self._prove(host)

    def _prove(self, host: str) -> None:
        generation, entry = self.serving[host], self.ledger.host(host)
        assert generation is not None
        entry = replace(entry, seq=entry.seq + 1)
        self._note(host, settle(entry, entry.seq, {SERVICE: Proven(generation, "port")}, at=self.now))
