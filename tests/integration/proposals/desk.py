"""A publish, or a roll, with real repositories on a local forge, and name servers that show the DNS base at once."""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta
from typing import TYPE_CHECKING

from sslops.app import descriptions
from sslops.errors import DnsError, Moved
from sslops.model.change import Note
from sslops.model.inventory import MergePolicy
from sslops.model.ledger import HostEntry, Ledger, Served
from sslops.model.observations import PortSeen, ServerSeen
from sslops.model.proposal import Kind
from sslops.model.secret import Secret
from sslops.model.state import Status
from sslops.model.tlsa import EMPTY
from sslops.probe.survey import Observer
from sslops.proposals.branch import RequestBranch
from sslops.proposals.dns_repository import DnsRepository
from sslops.proposals.engine import OrByPush, Proposer
from sslops.proposals.forges.push_options import request_options
from sslops.proposals.forges.registry import open_forge
from sslops.proposals.forges.tokens import Role, Token
from sslops.proposals.forges.wire import ForgePatience
from sslops.proposals.include_file import parse
from sslops.publish.steps import ByRequest, Publisher
from sslops.repo.git import Git, Person
from sslops.repo.git_process import GitCredential
from sslops.roll.rules import RollOptions
from sslops.roll.steps import ByRequest as RollByRequest
from sslops.roll.steps import Roller
from tests.unit.dane import builders
from tests.unit.repo.yard import BOT, MAIL, START, Yard, generation, open_ops, renewed
from tests.world import remotes
from tests.world.forge import Forge, Protection, Rights

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Mapping
    from pathlib import Path

    from sslops.model.inventory import Endpoint, Hold, Inventory, Verify
    from sslops.model.names import GenerationId
    from sslops.model.observations import Surroundings
    from sslops.model.plan import Plan
    from sslops.probe.survey import Servers
    from sslops.proposals.ports import Requests
    from sslops.repo.snapshot import Snapshot

INCLUDE = "zones/tlsa.example.com"
HOSTS = ("smtp1", "smtp2")


@dataclass
class Clock:
    """The moment, as a test sets it."""

    at: datetime = START + timedelta(days=2)

    def now(self) -> datetime:
        """Return it."""
        return self.at


@dataclass
class Mirror:
    """Name servers that load every commit of the DNS base the moment it is there."""

    repo: Path
    is_down: bool = False

    def name_servers(self, apex: str, primary: Endpoint | None, fixed: tuple[Endpoint, ...]) -> Servers:  # noqa: ARG002
        """Return two that are never asked by address."""
        if self.is_down:
            raise DnsError("nobody tells the name servers")
        return {"ns1": (), "ns2": ()}

    def mx(self, apex: str, via: Endpoint | None) -> tuple[str, ...]:  # noqa: ARG002
        """Return the one mail host."""
        return (f"{builders.HOST}.",)

    def addresses(self, host: str, via: Endpoint | None) -> tuple[str, ...]:  # noqa: ARG002
        """Return its one address."""
        return ("192.0.2.1",)

    def tlsa(self, servers: Mapping[str, tuple[Endpoint, ...]], owners: Iterable[str]) -> tuple[ServerSeen, ...]:
        """Show what main has now."""
        zone = parse(remotes.git(self.repo, "show", f"main:{INCLUDE}") + "\n", INCLUDE)
        return tuple(ServerSeen(name, {owner: zone.get(owner, EMPTY) for owner in owners}) for name in servers)

    def tlsa_of_zones(
        self, zones: Mapping[str, tuple[Servers, tuple[str, ...]]]
    ) -> Mapping[str, tuple[ServerSeen, ...]]:
        """Ask zone by zone."""
        return {apex: self.tlsa(servers, owners) for apex, (servers, owners) in zones.items()}

    def surroundings(
        self,
        servers: Mapping[str, tuple[Endpoint, ...]],  # noqa: ARG002
        apex: str,  # noqa: ARG002
        owners: Iterable[str],  # noqa: ARG002
    ) -> Mapping[str, Surroundings]:
        """Know no wildcards."""
        return {}

    def unsigned(self, validator: Endpoint, owners: Iterable[str]) -> Mapping[str, str]:  # noqa: ARG002
        """Vouch for all."""
        return {}


@dataclass(frozen=True, slots=True)
class Interrupted(DnsRepository):
    """The DNS repository, with what happens, once, right before or right after the branch is pushed."""

    before: list[Callable[[], object]] = field(default_factory=list, repr=False)
    after: list[Callable[[], object]] = field(default_factory=list, repr=False)

    def propose(self, base: str, head: str | None, files: Mapping[str, bytes], message: str) -> str:
        """Propose, between the two."""
        while self.before:
            self.before.pop()()
        made = DnsRepository.propose(self, base, head, files, message)
        while self.after:
            self.after.pop()()
        return made


class Desk:
    """`certs` and `zones` on *forge*; generation 1 is live on both hosts, and nothing is published yet."""

    def __init__(self, folder: Path, dialect: str = "github") -> None:
        """Begin."""
        self.forge = Forge(folder / "forge", dialect)
        self.certs, self.zones = (self.forge.project(name) for name in ("infra/certs", "infra/dns"))
        self.person = remotes.Person(self.zones.path, folder / "dns-person")
        self.person.push({INCLUDE: "", "other": "1\n"}, "the zones")
        ops_person = remotes.Person(self.certs.path, folder / "person")
        ops_person.push({"inventory/sslops.yaml": "globals: {}\n", ".sops.yaml": "creation_rules: []\n"}, "first")
        remotes.git(folder, "clone", "--quiet", str(self.certs.path), str(folder / "engine"))
        self.yard = Yard(open_ops(folder / "engine", "none"), self.certs.path, ops_person)
        self.first = self.yard.roll_to(1)
        for project in (self.certs, self.zones):
            project.protections["main"] = Protection()
        self.folder, self.clock = folder, Clock()
        self.yard.ops = open_ops(folder / "engine", dialect)
        self.secret = self.forge.token("sslops")
        self.policy = MergePolicy.REVIEW
        self.has_dane = True
        self.groups = builders.inventory().groups
        self.dns_is_down = False
        self.hold: Hold | None = None
        self.dns = self.clone("dns")
        served = Served((self.first,), self.clock.at, "port")
        entries = {host: HostEntry(1, {MAIL: served}) for host in HOSTS}
        note = Note("deploy", "served", "Both hosts were asked.")
        self.yard.ops.write_ledger(self.yard.ops.refresh(), Ledger(entries), note)

    @property
    def inventory(self) -> Inventory:
        """One service with DANE on two hosts; without `has_dane` nothing is published, and rolls wait for nothing."""
        service = builders.service(min_roll_minutes=0, hold=self.hold)
        if self.has_dane:
            return replace(builders.inventory(service), groups=self.groups)
        return replace(builders.inventory(replace(service, dane=())), dns=None)

    def clone(self, name: str) -> Interrupted:
        """Return a clone of the DNS repository, as another run on another machine has it."""
        git = Git.clone_bare(str(self.zones.path), self.folder / f"{name}.git").acting_as(Person("sslops", BOT))
        return Interrupted(git, "main", ("zones",))

    def snapshot(self) -> Snapshot:
        """Fetch both repositories and look."""
        self.dns.refresh()
        return self.yard.ops.refresh()

    def publish(self, *, force: bool = False, dns: Interrupted | None = None, run: str = "test#1") -> Plan:
        """Publish once."""
        return self.publisher(force=force, dns=dns, run=run).publish(self.yard.ops.refresh())

    def publisher(self, *, force: bool = False, dns: Interrupted | None = None, run: str = "test#1") -> Publisher:
        """Return a publish with the DNS repository just fetched."""
        dns = dns or self.dns
        dns.refresh()
        way = ByRequest(self.requests(Kind.TLSA, force=force), descriptions.tlsa)
        clock = self.clock
        observer = Observer(self.inventory, dns, Mirror(self.zones.path, self.dns_is_down), clock)
        return Publisher(self.inventory, self.yard.ops, dns, observer, self._ask, clock, _no_sleep, run, way=way)

    def publish_again_when_moved(self) -> Plan:
        """Publish as the command line does: again from the start when another was faster."""
        try:
            return self.publish()
        except Moved:
            return self.publish()

    def roll(self, *, force: bool = False, back: bool = False) -> Plan:
        """Roll once, or take the last roll back."""
        return self.roller(force=force, back=back).roll(self.snapshot())

    def roller(self, *, force: bool = False, back: bool = False) -> Roller:
        """Return a roll."""
        options = RollOptions(frozenset({MAIL}) if back else None, force, back=back)
        way = RollByRequest(
            self.requests(Kind.ROLL, force=options.force),
            lambda snapshot, digest, limit: descriptions.roll(self.inventory, None, snapshot, digest, limit),
            lambda _: None,
        )
        observer = Observer(self.inventory, self.dns, Mirror(self.zones.path), self.clock)
        return Roller(self.inventory, self.yard.ops, observer, self.clock, options, way=way)

    def pushes_only(self) -> None:
        """From now on the bot has a token that may push over http, and the API is closed to it."""
        self.secret = self.forge.token("sslops", Rights.PUSH)
        shown = GitCredential(self.forge.url, "oauth2", Secret(self.secret.encode()))
        git = Git.clone_bare(self.zones.http_url, self.folder / "http.git").acting_as(Person("sslops", BOT))
        self.dns = Interrupted(git.showing(shown), "main", ("zones",))
        remotes.git(self.yard.clone, "remote", "set-url", "origin", self.certs.http_url)
        ops = open_ops(self.yard.clone, self.forge.dialect)
        self.yard.ops = replace(ops, git=ops.git.showing(shown))

    def requests(self, kind: Kind, *, force: bool = False) -> Requests:
        """Return who keeps the requests of *kind* with the token of the moment."""
        role, name = (Role.OPS, "infra/certs") if kind is Kind.ROLL else (Role.DNS, "infra/dns")
        token, patience = (
            Token(role, Secret(self.secret.encode(), "token"), role),
            ForgePatience(self.clock.now, _no_sleep),
        )
        opened = open_forge(self.forge.dialect, name, token, self.forge.url, patience)
        proposer = Proposer(lambda: opened, kind, "main", self.policy, force)
        git = self.yard.ops.git if kind is Kind.ROLL else self.dns.git
        return OrByPush(proposer, RequestBranch(git, kind, "main", "test#1"), request_options, f"'{name}' on GitLab")

    def renew(self, number: int) -> GenerationId:
        """Put generation *number* staged."""
        snapshot, made = self.yard.ops.refresh(), generation(number)
        self.yard.ops.write_next(snapshot, [renewed(snapshot, made)])
        return made.id

    def prepublish(self, number: int) -> GenerationId:
        """Put the key of generation *number* staged, without a certificate."""
        snapshot, made = self.yard.ops.refresh(), generation(number, status=Status.KEYED)
        self.yard.ops.write_next(snapshot, [renewed(snapshot, made)])
        return made.id

    def base(self) -> str:
        """Return the include file as main has it."""
        return remotes.git(self.zones.path, "show", f"main:{INCLUDE}")

    def heads(self) -> dict[str, str]:
        """Return branch to commit of the DNS repository."""
        words = ("for-each-ref", "--format=%(refname:short) %(objectname)", "refs/heads")
        return dict(line.split(" ") for line in remotes.git(self.zones.path, *words).splitlines())

    def has_pending(self) -> bool:
        """Whether the ledger names a proposal under way."""
        entries = self.yard.ops.refresh().ledger.apexes.values()
        return any(entry.pending is not None for entry in entries)

    def close(self) -> None:
        """End the forge."""
        self.forge.close()

    def _ask(self, address: str, verify: Verify, server_name: str, host: str | None = None) -> PortSeen:  # noqa: ARG002
        return PortSeen(frozenset({"cd" * 32}), 1)


def _no_sleep(_: float) -> None:
    """Pass no time."""


def waits(plan: Plan) -> list[str]:
    """Return why each wait of a plan waits."""
    return [wait.why for wait in plan.waits]
