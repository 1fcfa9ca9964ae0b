"""One mail site in the simulated world, and everything that people, time, servers and bad luck may do to it.

A host shows the certificate of each service that it has, as a port with an EC and an RSA key does, under every name
that the site had since it was first to be served. Whatever a cache may hold of such a name must match all
of them, in each combination by itself (RFC 7671 section 9).
"""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from datetime import timedelta
from functools import cache
from itertools import product
from typing import TYPE_CHECKING

from sslops.dane.records import Material
from sslops.deploy.host_plan import DeployOptions, is_certain
from sslops.issue.rules import signing_generation
from sslops.model.acme import ChallengeType, Proof
from sslops.model.change import Change, GenerationFiles
from sslops.model.inventory import CaSpec, DaneOwners, DaneSpec, Host, ServerClass, Verify
from sslops.model.ledger import ApexEntry
from sslops.model.names import GenerationId, ServiceId
from sslops.model.observations import BaseCommit
from sslops.model.plan import Consents, HazardName
from sslops.model.state import Generation, Slots, Status
from sslops.model.tlsa import TlsaParams, owner_name
from sslops.roll.rules import RollOptions
from sslops.simulate.dns import Dns, Line, NameServer
from sslops.simulate.hosts import HostFate, SimulatedHost
from sslops.simulate.ops import OpsRepository
from sslops.simulate.stages import Machine
from sslops.simulate.world import PromiseError, World
from tests.proof.byhand import ByHand
from tests.unit.dane import builders
from tests.unit.dane.builders import APEX, START

if TYPE_CHECKING:
    from sslops.model.inventory import Inventory
    from sslops.model.observations import Zone
    from sslops.simulate.scheduler import Run

EC, RSA, RENAMED, CA = (
    *(ServiceId(APEX, name) for name in ("mail-ec", "mail-rsa", "mail-renamed")),
    ServiceId("ca", "my-sub"),
)
LEAVES = (EC, RSA, RENAMED)
MAIL, SPARE = "mail.example.com", "spare.example.com"
HOSTS = ("smtp1", "smtp2", "smtp3")
SMTP, SUBMISSION = 25, 465
SHORT, LARGE = 5, 40
"""The two TTLs of this world, in seconds."""
KEY, WHOLE, LONG_HASH, IN_FULL = (TlsaParams(3, *rest) for rest in ((1, 1), (0, 1), (1, 2), (0, 0)))
CA_KEY, CA_WHOLE, CA_LONG = (TlsaParams(2, *rest) for rest in ((1, 1), (0, 1), (0, 2)))
RESTART = "deploy --force-restart"
MOST_ROUNDS, ENOUGH = 20, 2
DAY = 24 * 60 * 60
AT_ONCE = RollOptions(force=True)


@dataclass(frozen=True, slots=True)
class Setting:
    """What one search is about: which parts of the world there are. Each is a world of its own."""

    is_reviewed: bool = False
    """Whether people merge rolls and DNS proposals, at any time, late, never."""
    forge_merges: bool | None = None
    """Where rolls and proposals are requests: whether the forge merges them by itself, at once or when it likes."""
    views: int = 1
    """How many `tlsa_dirs` there are; each is shown by some server."""
    services: tuple[ServiceId, ...] = (EC,)
    begins: str = "settled"
    """`nothing`: hosts show what they like; `settled`: all is served and published; `rolled`: a second key as well."""
    ttl_seconds: int = SHORT
    depends: tuple[str, ...] = ()
    """What else restarts the daemons of hosts, as `depends` of their class has it."""
    classes: tuple[str, ...] = ("smtp",)
    """The classes of servers; each host is in all of them, and each shows all services."""


@dataclass
class Life(ByHand):
    """The site; its methods are what can happen. PromiseError as soon as some cache may not match some host."""

    setting: Setting = Setting()
    ttl_seconds: int = SHORT
    ports: frozenset[int] = frozenset({SMTP})
    mx: frozenset[str] = frozenset({MAIL})
    host_names: tuple[str, ...] = HOSTS[:2]
    asks: dict[ServiceId, frozenset[TlsaParams]] = field(default_factory=dict)
    active: list[Run] = field(default_factory=list)
    made: int = 0
    world: World = field(init=False)
    machine: Machine = field(init=False)
    """The one that the last run began on."""
    shown_at: dict[ServiceId, set[str]] = field(default_factory=dict)
    aside: set[ServiceId] = field(default_factory=set)
    """Services that asked for no records when hosts first had them, while others did: no port showed them then."""
    taken: set[tuple[str, ServiceId]] = field(default_factory=set)
    """(host, service) of what people took off a host while the ledger says that it is served there."""
    material: dict[tuple[ServiceId, GenerationId], Material] = field(default_factory=dict)
    given: set[tuple[str, str | None]] = field(default_factory=set)
    """To what people consent."""
    has_ipv6: bool = True
    """Whether the machine has IPv6 that runs begin on now."""

    def __post_init__(self) -> None:
        """Begin with an empty world, or with one where every service is served and published for ever."""
        self.asks = dict.fromkeys(self.setting.services, frozenset({KEY}))
        self.ttl_seconds = self.setting.ttl_seconds
        ops = OpsRepository(self.inventory)
        strange = self.host_names if self.setting.begins == "nothing" else ()
        hosts = {name: SimulatedHost(name, is_strange=name in strange) for name in HOSTS}
        self.world = World(START, ops, Dns(self.lines()), hosts, self.material, shown_at=self.shown_at)
        self.configure()
        self.make_key(CA)
        self.issue(CA)
        if self.setting.begins != "nothing":
            self.settle()
        if self.setting.begins == "rolled":
            self.roll_again()
        if self.setting.is_reviewed:
            self.world.use_forges(merges=self.setting.forge_merges)

    def lines(self) -> dict[str, Line]:
        """Return the DNS base as it begins, by apex."""
        return {APEX: self.begun_line()}

    def begun_line(self) -> Line:
        """Return an include file without records in each folder, and two servers, each with a folder of its own."""
        servers = [NameServer("ns1"), NameServer("ns2", self.setting.views - 1)]
        return Line([BaseCommit("c0", ({},) * self.setting.views)], servers)

    def settle(self) -> None:
        """Let everything that is asked for be served and published, its records as old as can be asked."""
        for service in self.setting.services:
            self.make_key(service)
            self.issue(service)
        self.rest()

    def roll_again(self) -> None:
        """Let a second key be served, while the record of the first is still there."""
        for service in self.setting.services:
            self.make_key(service)
            self.issue(service)
        self.run("publish")
        self.load_all()
        self.run("publish")
        self.wait(3 * LARGE)
        self.run("roll")
        self.run("deploy")

    # What the inventory asks for.

    @property
    def inventory(self) -> Inventory:
        """The inventory as it is on main."""
        asks = tuple(sorted((service, tuple(sorted(params))) for service, params in self.asks.items()))
        made = _inventory(asks, self.ports, self.ttl_seconds, self.host_names)
        return _with_classes(made, self.setting.classes, self.setting.depends)

    def configure(self) -> None:
        """Merge a change of the inventory."""
        self.follow_inventory()
        self.world.ops.inventory = self.inventory
        self.world.dns.lines[APEX].mx = tuple(f"{host}." for host in sorted(self.mx))

    # Names and records.

    @property
    def base(self) -> Zone:
        """What the first folder of the base has."""
        return self.line.views[0]

    @property
    def owners(self) -> tuple[str, ...]:
        """The owner names that are asked for."""
        return tuple(owner_name(port, "tcp", host) for port, host in product(sorted(self.ports), sorted(self.mx)))

    def asked(self, service: ServiceId) -> tuple[str, ...]:  # noqa: ARG002  (groups ask for names of their own)
        """Return the owner names of one service."""
        return self.owners

    def met(self, service: ServiceId) -> tuple[str, ...]:  # noqa: ARG002  (groups may be told apart by SNI)
        """Return the owner names under which daemons show a service."""
        return self.owners

    def follow_inventory(self) -> None:
        """Let the daemons show each service that is live under the names that it is asked for now.

        One that asks for none is shown where nobody asks. Where others do people show it later, and only when every
        cache would match it: that the inventory keeps silent about a certificate on a port with DANE is their doing.
        """
        for service, kinds in self.asks.items():
            is_quiet = not kinds and service not in self.shown_at
            if self.curr(service) is None or (is_quiet and not self._is_anywhere(service)):
                continue
            if is_quiet and any(self.asks.values()):
                self.aside.add(service)
            if service not in self.aside:
                self.shown_at.setdefault(service, set()).update(self.met(service))
            elif kinds or not any(self.asks.values()):
                self._show_if_harmless(service)

    def _is_anywhere(self, service: ServiceId) -> bool:
        return any(service in host.serving for host in self.world.hosts.values())

    def _show_if_harmless(self, service: ServiceId) -> None:
        for owner in set(self.met(service)) - self.shown_at.setdefault(service, set()):
            self.shown_at[service].add(owner)
            try:
                self.world.witness()
            except PromiseError:
                self.shown_at[service].remove(owner)

    def slots(self, service: ServiceId) -> Slots:
        """Return the slots of a service as a run sees them on next."""
        return self.world.ops.branches.next[service].slots

    def curr(self, service: ServiceId) -> GenerationId | None:
        """Return what main says is to be served."""
        return self.world.ops.main[service].slots.curr

    # Keys and certificates.

    def make_key(self, service: ServiceId, *, replaces: bool = False) -> None:
        """Make the key of the following generation; nothing while one is staged, unless it is replaced."""
        ops = self.world.ops
        if self.slots(service).next is not None and not replaces:
            return
        self.made += 1
        facts = replace(builders.keyed(self.made), key_type="rsa" if service == RSA else "ec")
        self.material[service, facts.id] = Material(f"key {self.made}".encode())
        self._write(service, facts, replace(ops.branches.next[service].slots, next=facts.id))

    def issue(self, service: ServiceId) -> None:
        """Get the certificate of what is staged."""
        following = self.world.ops.branches.next
        facts = following[service].next
        if facts is None or facts.status is Status.ISSUED:
            return
        number = int(facts.spki_sha256[:4], 16)
        signer = None if service == CA else signing_generation(following[CA])
        issued = builders.generation(number, signer=None if signer is None else signer.id).issued
        assert issued is not None
        names = replace(issued, sans=sans(service))
        self.material[service, facts.id] = Material(f"key {number}".encode(), f"certificate {number}".encode())
        self._write(service, replace(facts, status=Status.ISSUED, issued=names), following[service].slots)

    def _write(self, service: ServiceId, facts: Generation, slots: Slots) -> None:
        change = Change("renew", service, "", "", slots, put=(GenerationFiles(facts),))
        self.world.ops.write_next(self.world.ops.refresh(), [change])

    # Runs.

    def run(self, verb: str, fate: HostFate = HostFate.WELL, skew_seconds: int = 0) -> None:
        """Run a verb from its beginning to its end, or until it is killed."""
        self.world.witness()
        run = self._made(verb, fate, skew_seconds)
        run.finish()
        self._after(run)

    def begin(self, verb: str, fate: HostFate = HostFate.WELL, skew_seconds: int = 0, calls: int | None = None) -> Run:
        """Begin a run: it has looked and decided, and is about to write something, or it has done so many *calls*."""
        self.world.witness()
        run = self._made(verb, fate, skew_seconds)
        self.active.append(run)
        run.begin()
        if calls is None:
            run.go_to_a_write()
        for _ in range(calls or 0):
            run.go_on()
        self._after(run)
        return run

    def _made(self, verb: str, fate: HostFate, skew_seconds: int) -> Run:
        self.machine = machine = Machine(
            self.world,
            timedelta(seconds=skew_seconds),
            dict.fromkeys(HOSTS, fate),
            Consents(frozenset(self.given)),
            patience_seconds=0 if self.setting.forge_merges is None else 1,
            has_ipv6=self.has_ipv6,
        )
        if verb == "publish":
            return machine.publish()
        if verb == "roll":
            return machine.roll(AT_ONCE)
        return machine.deploy(DeployOptions(force_restart=verb == RESTART))

    def challenges(self, is_shown: bool, *, begins: bool) -> None:
        """Let `renew` show a challenge in the DNS repository, or take it away; or let it begin to."""
        proofs = frozenset({Proof(ChallengeType.DNS_01, APEX, MAIL, "", "A" * 43)})
        machine = Machine(self.world)
        run = machine.show(proofs) if is_shown else machine.clean(proofs)
        if begins:
            self.active.append(run)
            run.begin()
            run.go_to_a_write()
        else:
            run.finish()
        self._after(run)

    def fall_asleep(self) -> None:
        """Let a publish fall asleep when its intent is written and nothing is proposed yet."""
        run = self.begin("publish")
        while not run.has_ended and not {"publish", "propose"} & {*run.waits_before}:
            self.go_on(run)

    def go_on(self, run: Run, strand: int = 0, *, calls: int | None = None) -> bool:
        """Let a run go on by so many *calls*, or to what it writes next; whether there is more of it."""
        if calls is None:
            run.go_to_a_write(strand)
        for _ in range(calls or 0):
            run.go_on(strand)
        self._after(run)
        return not run.has_ended

    def end(self, run: Run) -> None:
        """Let a run come to its end."""
        run.finish()
        self._after(run)

    def _after(self, run: Run) -> None:
        self.follow_inventory()
        self.taken = {(name, service) for name, service in self.taken if service not in self.world.hosts[name].serving}
        self.witness()
        if run.has_ended and run in self.active:
            self.active.remove(run)

    def witness(self) -> None:
        """Hold the promise against the world, and that no branch has lost what a host serves."""
        self.world.witness()
        for name, host in self.world.hosts.items():
            for service, generation in host.serving.items():
                if self.world.facts(service, generation) is None:
                    raise PromiseError(f"'{name}' serves {generation} of {service}, which the repository has lost")

    def kill(self, run: Run) -> None:
        """Nothing of that run happens any more."""
        run.kill()
        if run in self.active:
            self.active.remove(run)

    def kill_all(self) -> None:
        """Leave no run half done."""
        for run in list(self.active):
            self.kill(run)

    def forget(self, host: str) -> None:
        """Let a person forget a host that left the inventory and was switched off."""
        consent = Consents(frozenset({(HazardName.HOST_REMOVED, host)}))
        options = DeployOptions(hosts=frozenset(self.host_names), forget=frozenset({host}), consents=consent)
        if host not in self.host_names and host in self.world.ops.ledger.hosts:
            Machine(self.world).deploy(options).finish()
            self.world.witness()

    # Servers of names.

    def load(self, place: int) -> None:
        """Let a server take over what is newer."""
        self.world.witness()
        self.world.dns.load(APEX, place % len(self.line.servers))
        self.world.witness()

    def load_all(self) -> None:
        """Let every server come up to date."""
        self.world.witness()
        self.world.dns.load_all()
        self.world.witness()

    def add_server(self) -> None:
        """Let a third server join; it has just transferred the zone from whoever is ahead."""
        if len(self.line.servers) == 2:
            ahead = max(self.line.servers, key=lambda server: (server.loaded, server.beside))
            self.line.servers.append(NameServer("ns3", 0, ahead.loaded, beside=ahead.beside))

    def remove_server(self) -> None:
        """Take the third server away; what it showed stays in caches."""
        self.world.witness()
        del self.line.servers[2:]

    # The end.

    @property
    def entry(self) -> ApexEntry:
        """The apex on the ledger."""
        return self.world.ops.ledger.apex(APEX) or ApexEntry()

    def wait(self, seconds: int) -> None:
        """Let time pass; servers go on showing what they show."""
        self.world.wait(timedelta(seconds=seconds))

    def merge_everything(self) -> None:
        """Let people do what is asked of them."""
        for forge in (self.world.dns_forge, self.world.ops_forge):
            if forge is not None:
                forge.forget_what_was_closed()
                forge.people_merge()
        self.follow_inventory()
        self.world.witness()

    def rest(self) -> bool:
        """Run the scheduled jobs until two days change nothing any more; whether it came to that."""
        quiet = 0
        for _ in range(MOST_ROUNDS):
            before = self._moves()
            for verb in ("publish", "roll", "deploy", "publish"):
                self.run(verb)
                self.merge_everything()
                self.load_all()
            quiet = quiet + 1 if before == self._moves() else 0
            if quiet == ENOUGH:
                return True
            # What failed is tried again after a day at most.
            self.wait(2 * DAY if quiet else 3 * LARGE)
        return False

    def _moves(self) -> tuple[object, ...]:
        ops, dns = self.world.ops, self.world.dns
        serving = tuple(tuple(sorted(host.serving.items())) for host in self.world.hosts.values())
        return ops.ledger, ops.main, ops.next, dns.base_moves, dns.head, serving

    def retire_from_hosts(self) -> None:
        """Take services that left the inventory out of the hosts' own configuration, hosts that left it off the net."""
        for name, host in self.world.hosts.items():
            for service in {*LEAVES, *self.asks}:
                if service not in self.asks or name not in self.host_names:
                    if is_certain(self.world.ops.ledger.host(name).serves(service)):
                        self.taken.add((name, service))
                    host.remove(service)
                    host.under_way = [
                        each for each in host.under_way if all(p.service != service for p in each[1].parcels)
                    ]
            if name not in self.host_names:
                self.forget(name)

    def repair(self) -> None:
        """Let every machine work again, and no run be half done."""
        self.kill_all()
        for host in self.world.hosts.values():
            host.is_up = True
        self.has_ipv6 = True
        for line in self.world.dns.lines.values():
            line.is_unheard = False
            for server in line.servers:
                server.is_silent = False

    def stalled(self) -> list[str]:
        """Return what the jobs do not bring any further once all machines work, with hosts and inventory as they are.

        Only a site alone goes on by itself: records of others, groups that rest, issuers not listed wait for people.
        So does a service that came back before any deploy saw it gone, when its files were taken away meanwhile.
        """
        if type(self) is not Life:
            return []
        if not self.rest():
            return ["the jobs change something in every run, without an end"]
        staged = {service: self.world.ops.branches.next[service].next for service in self.asks}
        found = [f"{s} {n.id} is not rolled" for s, n in staged.items() if n is not None and n.issued is not None]
        for service, name in product(self.asks, self.host_names):
            curr, serves = self.curr(service), self.world.hosts[name].serving.get(service)
            is_believed = (name, service) in self.taken and is_certain(self.world.ops.ledger.host(name).serves(service))
            if curr is not None and curr != serves and not (serves is None and is_believed):
                found.append(f"{name} serves {serves} of {service}, not {curr}")
        return found

    def come_to_rest(self) -> None:
        """Repair everything and let the jobs run; then what is asked for must be so."""
        self.repair()
        self.ttl_seconds = SHORT
        self.asks = dict.fromkeys(self.asks, frozenset({KEY}))
        self.configure()
        self.retire_from_hosts()
        for service in self.asks:
            self.make_key(service)
            self.issue(service)
        self.rest()

    def published(self, line: Line) -> tuple[Zone, ...]:
        """Return what each include file has of ours."""
        return line.views

    def unfinished(self) -> list[str]:
        """Return what is not as the inventory asks; empty when the world came to rest."""
        wanted = {service: self.curr(service) for service in self.asks}
        found = [
            f"{name} serves {host.serving}, not {wanted}"
            for name, host in self.world.hosts.items()
            if name in self.host_names and host.serving != wanted
        ]
        needed = {(s, key) for s in self.asks for key in (self.slots(s).curr, self.slots(s).next) if key}
        for apex, line in self.world.dns.lines.items():
            owners = {o for s in self.asks for o in self.asked(s) if o.endswith(f".{apex}.")}
            for place, view in enumerate(self.published(line)):
                if set(view) != owners:
                    found.append(f"folder {place} of {apex} has {sorted(view)}, not {owners}")
                for owner, rrset in view.items():
                    here = [version for version in needed if owner in self.asked(version[0])]
                    expected = frozenset().union(*(self.world.keys.matching(owner, KEY, *each) for each in here))
                    if rrset.records != expected:
                        found.append(f"folder {place} of {apex} has {rrset} of {owner}, not {expected}")
        if any(entry.pending is not None for entry in self.world.ops.ledger.apexes.values()):
            found.append("a proposal is pending")
        return found


def sans(service: ServiceId) -> tuple[str, ...]:
    """Return what the certificates of a service name: by the first a daemon tells it from others, then its group's."""
    return f"{service.name}.{service.group}", f"mail.{service.group}", f"spare.{service.group}", service.group


@cache
def _inventory(
    asks: tuple[tuple[ServiceId, tuple[TlsaParams, ...]], ...],
    ports: frozenset[int],
    ttl_seconds: int,
    host_names: tuple[str, ...],
) -> Inventory:
    services = [
        builders.service(
            service.name,
            service.group,
            dane_ttl_seconds=ttl_seconds,
            min_roll_minutes=0,
            sans=sans(service),
            dane=tuple(DaneSpec(port, "tcp", each, DaneOwners.MX) for port in sorted(ports) for each in params),
        )
        for service, params in asks
    ]
    ca = builders.service(CA.name, CA.group, dane=(), ca=CaSpec(365), signing_ca="my-root", min_roll_minutes=0)
    hosts = tuple(Host(name, "192.0.2.1", verify=Verify(SMTP, "smtp")) for name in host_names)
    made = builders.inventory(*services, ca)
    smtp = ServerClass("smtp", hosts, restart_cmd=(("reload",),))
    return replace(made, classes={"smtp": smtp})


def _with_classes(made: Inventory, classes: tuple[str, ...], depends: tuple[str, ...]) -> Inventory:
    """Return the inventory with these classes instead of the one."""
    smtp = made.classes["smtp"]
    if (classes, depends) == (("smtp",), smtp.depends):
        return made
    found = {name: replace(smtp, name=name, restart_cmd=((f"reload {name}",),), depends=depends) for name in classes}
    return replace(made, classes=found)
