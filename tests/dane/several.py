"""A world of several services behind one port: they join, leave, are renamed and lose DANE; mail hosts come and go.

Every host shows the certificate of each service that it has, as a port with an EC and an RSA key does. Whatever a cache
may hold of any name must match all of them, in each combination. The servers and the clock are those of `simulation`.
"""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta
from itertools import product
from typing import TYPE_CHECKING

from sslops.dane.evidence import advance
from sslops.dane.first_use import AddressSeen
from sslops.dane.gate import Gate
from sslops.dane.names import Owners
from sslops.dane.records import Keys
from sslops.deploy.entries import Proven, close, intend, restore, settle
from sslops.model.ledger import ApexEntry, HostEntry, Ledger, Pending
from sslops.model.names import GenerationId, ServiceId
from sslops.model.plan import Verb
from sslops.model.seen import ApexSeen, BaseCommit, DnsRepoSeen, PortSeen, ServerSeen
from sslops.model.state import Branches, ServiceState, Slots, State, Status
from sslops.model.tlsa import EMPTY, Rrset, owner_name
from sslops.publish.rules import publication
from sslops.publish.world import World
from sslops.roll import rules as roll
from tests.dane import builders
from tests.dane.builders import APEX, PARAMS, START
from tests.dane.simulation import HOSTS, LARGE, PRIMARY, SECONDARY, SHORT, Sleeper, Violation

if TYPE_CHECKING:
    from sslops.model.inventory import Inventory
    from sslops.model.tlsa import TlsaParams

EC, RSA, RENAMED = (ServiceId(APEX, name) for name in ("mail-ec", "mail-rsa", "mail-renamed"))
MAIL, SPARE = "mail.example.com", "spare.example.com"
OWNERS = tuple(owner_name(25, "tcp", host) for host in (MAIL, SPARE))


@dataclass
class Several:
    """The world: its true state, and what the engine knows of it."""

    now: datetime = START
    ttl_seconds: int = SHORT
    present: set[ServiceId] = field(default_factory=lambda: {EC})
    asks: dict[ServiceId, frozenset[TlsaParams]] = field(default_factory=dict)
    mx: set[str] = field(default_factory=lambda: {MAIL})
    history: list[BaseCommit] = field(default_factory=lambda: [BaseCommit("c0", ({},))])
    loaded: list[int] = field(default_factory=lambda: [0, 0])
    proposal_moves: int = 0
    sleepers: list[Sleeper] = field(default_factory=list)
    made: dict[ServiceId, list[int]] = field(default_factory=dict)
    keyed: set[GenerationId] = field(default_factory=set)
    slots: dict[ServiceId, Slots] = field(default_factory=dict)
    ledger: Ledger = field(default_factory=Ledger)
    serving: dict[str, dict[ServiceId, GenerationId]] = field(default_factory=lambda: {host: {} for host in HOSTS})
    under_way: dict[tuple[str, ServiceId], GenerationId] = field(default_factory=dict)
    last_shown: dict[tuple[str, Rrset], datetime] = field(default_factory=dict)

    # The promise

    def check(self) -> None:
        """Raise Violation when a cache may hold an RRset without a record of something that some host serves."""
        for place, owner in product((PRIMARY, SECONDARY), OWNERS):
            self.last_shown[owner, self.shown(place, owner)] = self.now
        keys = self.keys
        for (owner, rrset), at in self.last_shown.items():
            if not rrset.records or self.now > at + timedelta(seconds=rrset.ttl_seconds):
                continue
            for host, certificates in self.serving.items():
                for (service, generation), params in product(certificates.items(), rrset.combinations):
                    if keys.record(owner, params, service, generation) not in rrset.records:
                        raise Violation(f"{host} serves {generation} of {service}, a cache may hold {rrset} of {owner}")

    def shown(self, place: int, owner: str) -> Rrset:
        """Return what a server shows now."""
        return self.history[self.loaded[place]].views[0].get(owner, EMPTY)

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

    # What people do

    def configure(self, service: ServiceId, params: frozenset[TlsaParams]) -> None:
        """Have the service in the inventory, asking for these combinations under every name."""
        self.present.add(service)
        self.asks[service] = params

    def retire(self, service: ServiceId) -> None:
        """Take the service out of the inventory; its hosts go on serving it."""
        self.present.discard(service)

    def stop_serving(self, service: ServiceId) -> None:
        """Take the service out of the hosts' own configuration, once it left the inventory."""
        for host in HOSTS:
            self.serving[host].pop(service, None)
            self.under_way.pop((host, service), None)

    def revert(self, service: ServiceId, generation: GenerationId) -> None:
        """Revert a roll on `main`."""
        slots = self.slots[service]
        self.slots[service] = replace(slots, curr=generation, next=None, refused=slots.curr)

    # What the engine knows

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
        services = {}
        for service, numbers in self.made.items():
            facts = [builders.generation(number) for number in numbers]
            found = {
                each.id: replace(each, status=Status.KEYED, issued=None) if each.id in self.keyed else each
                for each in facts
            }
            services[service] = ServiceState(self.slots[service], found)
        return Branches(State(services), State(services))

    @property
    def inventory(self) -> Inventory:
        """The inventory: each present service on both hosts."""
        services = [
            builders.service(
                service.name,
                dane_ttl_seconds=self.ttl_seconds,
                min_roll_minutes=0,
                dane=builders.service().dane if self.asks.get(service) else (),
            )
            for service in sorted(self.present)
        ]
        return builders.inventory(*services, hosts=HOSTS)

    @property
    def owners(self) -> Owners:
        """What the inventory asks for: each service's combinations under each mail host."""
        names = [
            replace(builders.name(host, service, params), ttl_seconds=self.ttl_seconds)
            for host, service in product(sorted(self.mx), sorted(self.present))
            for params in sorted(self.asks.get(service, ()))
        ]
        return Owners(tuple(sorted(names)), ())

    @property
    def entry(self) -> ApexEntry:
        """The apex on the ledger."""
        return self.ledger.apex(APEX) or ApexEntry()

    def look(self) -> ApexSeen:
        """Look at the base and both servers, and put on the ledger what that teaches."""
        line = {each.commit: place for place, each in enumerate(self.history)}
        servers = tuple(
            ServerSeen(f"ns{place}", {owner: self.shown(place, owner) for owner in OWNERS})
            for place in (PRIMARY, SECONDARY)
        )
        seen = ApexSeen(self.now, DnsRepoSeen(self.base, tuple(self.history), line), servers)
        self._record(advance(self.entry, seen))
        return seen

    # What the engine does

    def make_key(self, service: ServiceId) -> None:
        """Make the key of the next generation; nothing while one is on deck."""
        slots = self.slots.setdefault(service, Slots())
        if slots.next is None:
            number = 1 + sum(map(len, self.made.values()))
            self.made.setdefault(service, []).append(number)
            self.keyed.add(builders.gen(number))
            self.slots[service] = replace(slots, next=builders.gen(number))

    def issue(self, service: ServiceId) -> None:
        """Get the certificate of what is on deck."""
        self.keyed -= {self.slots.get(service, Slots()).next}

    def roll(self) -> None:
        """Make each `next` the one to be served, where the rules allow it."""
        gate = self._gate(self.look())
        plan = roll.plan(self.inventory, self.branches, gate, roll.RollOptions(force=True))
        for action in plan.of(Verb.ROLL).actions:
            service = ServiceId(action.group, action.service)
            self.slots[service] = roll.rolled_slots(self.slots[service], self.now)

    def publish_intent(self) -> None:
        """Look, decide, and write `pending`; a run that left one before is fenced off."""
        seen = self.look()
        found = publication(self._world(seen))
        if not found.plan.actions:
            return
        self.proposal_moves += self.entry.pending is not None
        proposal = next(iter(found.proposals), None)
        records = proposal.records if proposal else frozenset()
        self._record(replace(self.entry, pending=Pending("run", self.base.commit, None, records)))
        self.sleepers.append(Sleeper((self.proposal_moves, len(self.history)), proposal))

    def publish_push(self) -> bool:
        """Let the publish that sleeps longest push; false when its lease is not good any more."""
        sleeper = self.sleepers.pop(0)
        if sleeper.lease != (self.proposal_moves, len(self.history)):
            return False
        self.proposal_moves += 1
        zone = sleeper.proposal.zone if sleeper.proposal else self.base.views[0]
        self.history.append(BaseCommit(f"c{len(self.history)}", (zone,)))
        return True

    def publish(self) -> None:
        """Publish without being interrupted."""
        known = len(self.sleepers)
        self.publish_intent()
        if len(self.sleepers) > known:
            self.sleepers = self.sleepers[-1:]
            self.publish_push()
            self.look()
            self._record(replace(self.entry, pending=None))

    def send(self, host: str, service: ServiceId) -> bool:
        """Do the first half of a deploy: intent, gate, a payload under way. False when nothing may or need be sent."""
        curr = self.slots.get(service, Slots()).curr
        if service not in self.present or curr is None:
            return False
        self._ask(host, service)
        before = self.ledger.host(host)
        if before.serves(service).settled == curr and before.serves(service).proof:
            return False
        seq = before.seq + 1
        self._note(host, intend(before, seq, {service: curr}, at=self.now))
        if not self._gate(self.look()).may_serve(service, curr).allowed:
            self._note(host, restore(self.ledger.host(host), seq, before, [service]))
            return False
        self.under_way[host, service] = curr
        return True

    def arrive(self, host: str, service: ServiceId) -> None:
        """Let the receiver act on what is under way; the run that sent it may be long gone."""
        self.check()
        self.serving[host][service] = self.under_way.pop((host, service))
        self.check()

    def deploy(self, host: str) -> None:
        """Deploy without being interrupted; entries of what the host neither gets nor shows any more are closed."""
        for service in (EC, RSA, RENAMED):
            if self.send(host, service):
                self.arrive(host, service)
                self._prove(host, service)
        entry = self.ledger.host(host)
        left = entry.services.keys() - self.present - self.serving[host].keys()
        fenced = {service for service in left if (host, service) not in self.under_way}
        if fenced:
            self._note(host, close(entry, fenced))

    def rest(self) -> None:
        """Run everything until quiet, as the scheduled jobs would."""
        for _ in range(6):
            self.publish()
            self.load_all()
            self.roll()
            for host in HOSTS:
                self.deploy(host)
            self.publish()
            self.load_all()
            self.look()
            self.wait(3 * LARGE)

    def _certificates(self, host: str) -> frozenset[str]:
        generations = self.keys.generations
        found = [generations[served].issued for served in self.serving[host].items()]
        return frozenset(issued.cert_sha256 for issued in found if issued) or frozenset({"other"})

    def _world(self, seen: ApexSeen) -> World:
        ports = [PortSeen(self._certificates(host), 1) for host in HOSTS]
        addresses = tuple(AddressSeen(f"192.0.2.{place}", 25, port) for place, port in enumerate(ports, 1))
        return World(
            self.inventory, self.branches, self.ledger, self.owners, self.keys,
            {APEX: seen.repo}, {APEX: seen}, self.now, dict.fromkeys(OWNERS, addresses),
        )  # fmt: skip

    def _gate(self, seen: ApexSeen) -> Gate:
        return Gate(self.ledger, {APEX: seen}, self.keys, self.owners.names, self.now)

    def _record(self, entry: ApexEntry) -> None:
        self.ledger = replace(self.ledger, apexes={APEX: entry})

    def _note(self, host: str, entry: HostEntry) -> None:
        self.ledger = replace(self.ledger, hosts={**self.ledger.hosts, host: entry})

    def _ask(self, host: str, service: ServiceId) -> None:
        """Settle an uncertain entry with a number of one's own: nothing older can act on the host after that."""
        if self.ledger.host(host).serves(service).proof is None and service in self.serving[host]:
            self.under_way.pop((host, service), None)
            self._prove(host, service)

    def _prove(self, host: str, service: ServiceId) -> None:
        entry = self.ledger.host(host)
        entry = replace(entry, seq=entry.seq + 1)
        fact = {service: Proven(self.serving[host][service], "port")}
        self._note(host, settle(entry, entry.seq, fact, at=self.now))


def settled(*services: ServiceId) -> Several:
    """Return a world in which each of *services* is served everywhere and its record as old as can be asked."""
    world = Several()
    for service in services:
        world.configure(service, frozenset({PARAMS}))
        world.make_key(service)
        world.issue(service)
        world.rest()
    return world
