"""Tiny builders for the tests of the safety rules: one service, one name, few words.

>>> str(record(1))[:34]
'_25._tcp.mail.example.com. 3 1 1 0'
"""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING

from sslops.dane.names import DaneName
from sslops.dane.records import Keys
from sslops.model.inventory import (
    CaType,
    CertificateAuthority,
    DaneOwners,
    DaneSpec,
    DnsSettings,
    Group,
    Host,
    Inventory,
    KeySpec,
    RepoSettings,
    ServerClass,
    Service,
    Settings,
    Subject,
)
from sslops.model.ledger import ApexEntry, Evidence, HostEntry, Ledger, Served
from sslops.model.names import GenerationId, ServiceId, generation_id
from sslops.model.observations import ApexSeen, BaseCommit, DnsRepoSeen, ServerSeen, Zone
from sslops.model.state import Branches, Generation, Issued, ServiceState, Slots, State, Status
from sslops.model.tlsa import EMPTY, Rrset, TlsaParams, TlsaRecord, owner_name

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence

APEX = "example.com"
HOST = "mail.example.com"
OWNER = owner_name(25, "tcp", HOST)
PARAMS = TlsaParams(3, 1, 1)
SERVICE = ServiceId(APEX, "mail-ec")
START = datetime(2026, 11, 24, 12, 0, tzinfo=UTC)
TTL = 100
LONG = timedelta(days=365)


def after(seconds: float) -> datetime:
    """Return the moment that many seconds after the start."""
    return START + timedelta(seconds=seconds)


def spki(number: int) -> str:
    """Return the hash that stands for the key of generation *number*."""
    return f"{number:04x}" * 16


def gen(number: int) -> GenerationId:
    """Return the id of generation *number*."""
    return generation_id(after(number), spki(number))


def generation(number: int, *, signer: str | None = None, not_after: datetime = START + LONG) -> Generation:
    """Return an issued generation."""
    issued = Issued(after(number), f"{number:x}", "CN=ca", after(number), not_after, (HOST,), f"{number:064x}", signer)
    return Generation(
        gen(number), Status.ISSUED, after(number), "my-sub", None, "due", None, "ec", "secp384r1",
        spki(number), "00", None, issued,
    )  # fmt: skip


def keyed(number: int) -> Generation:
    """Return a generation that has its key and no certificate yet."""
    return replace(generation(number), status=Status.KEYED, issued=None)


def record(number: int, owner: str = OWNER, params: TlsaParams = PARAMS) -> TlsaRecord:
    """Return the record of generation *number*."""
    return TlsaRecord(owner, params, spki(number))


def zone(*records: TlsaRecord | int, ttl: int = TTL) -> Zone:
    """Return the zone with these records, generations given by number."""
    found = [record(each) if isinstance(each, int) else each for each in records]
    return {
        owner: Rrset(ttl, frozenset(each for each in found if each.owner == owner))
        for owner in sorted({each.owner for each in found})
    }


def commit(name: str, *views: Zone) -> BaseCommit:
    """Return a commit of the DNS base; without views the include file is empty."""
    return BaseCommit(name, views or ({},))


def server(shown: Zone | None, name: str = "ns1", owners: Iterable[str] = (OWNER,)) -> ServerSeen:
    """Return a server that shows a zone; null: it did not answer."""
    if shown is None:
        return ServerSeen(name, error="timed out")
    return ServerSeen(name, {owner: shown.get(owner, EMPTY) for owner in {*owners, *shown}})


def repo(*history: BaseCommit, head: BaseCommit | None = None) -> DnsRepoSeen:
    """Return a DNS repository whose base went through *history*, every commit of it on the line."""
    return DnsRepoSeen(history[-1], history, {each.commit: place for place, each in enumerate(history)}, head)


def look(
    history: Sequence[BaseCommit],
    *shown: Zone | None,
    at: datetime = START,
    head: BaseCommit | None = None,
    owners: Iterable[str] = (OWNER,),
) -> ApexSeen:
    """Return a look at *history* and at one server for each zone *shown*."""
    asked = tuple(owners)
    servers = tuple(server(each, f"ns{place}", asked) for place, each in enumerate(shown, 1))
    return ApexSeen(at, repo(*history, head=head), servers)


def aged(*records: TlsaRecord, since: datetime = START, at_commit: str = "c1", ttl: int = TTL) -> ApexEntry:
    """Return an entry with evidence for *records*."""
    return ApexEntry(records={each: Evidence(since, at_commit, ttl) for each in records})


def service(name: str = "mail-ec", group: str = APEX, **changes: object) -> Service:
    """Return a service with DANE on port 25."""
    spec = DaneSpec(25, "tcp", PARAMS, DaneOwners.MX)
    made = Service(ServiceId(group, name), "", "my-sub", Subject(), (HOST,), KeySpec(), (spec,), TTL)
    return replace(made, **changes)  # type: ignore[arg-type]


def inventory(*services: Service, hosts: Sequence[str] = ("smtp1", "smtp2"), copies: Sequence[str] = ()) -> Inventory:
    """Return an inventory with one class `smtp` for all services, and one that keeps copies."""
    found = services or (service(),)
    domains = sorted({APEX, *(each.id.group for each in found)})
    groups = {
        domain: Group(domain, True, tuple(each.id for each in found if each.id.group == domain)) for domain in domains
    }
    classes = {
        "smtp": ServerClass("smtp", tuple(Host(name, "192.0.2.1") for name in hosts)),
        "other": ServerClass("other", tuple(Host(name, "192.0.2.2") for name in copies), serves=False),
    }
    return Inventory(
        settings=Settings(),
        repo=RepoSettings(),
        groups=groups,
        services={each.id: each for each in found},
        cas={
            "my-root": CertificateAuthority("my-root", CaType.SELF),
            "my-sub": CertificateAuthority("my-sub", CaType.LOCAL),
        },
        classes=classes,
        dns=DnsSettings("dns.git", "main", ("zones",)),
    )


def slots(curr: int | None = None, next: int | None = None, refused: int | None = None) -> Slots:  # noqa: A002
    """Return slots that name generations by number."""
    return Slots(
        curr=None if curr is None else gen(curr),
        next=None if next is None else gen(next),
        refused=None if refused is None else gen(refused),
    )


def state(pointers: Slots, *generations: Generation | int, of: ServiceId = SERVICE) -> State:
    """Return the state of one service."""
    made = [generation(each) if isinstance(each, int) else each for each in generations]
    return State({of: ServiceState(pointers, {each.id: each for each in made})})


def branches(pointers: Slots, *generations: Generation | int, main: Slots | None = None) -> Branches:
    """Return both branches with the same generations; *main* may differ in its slots."""
    return Branches(state(main or pointers, *generations), state(pointers, *generations))


def keys(*numbers: int, of: ServiceId = SERVICE) -> Keys:
    """Return the keys of these generations."""
    return Keys({(of, gen(number)): generation(number) for number in numbers})


def name(owner_host: str = HOST, of: ServiceId = SERVICE, params: TlsaParams = PARAMS) -> DaneName:
    """Return the one owner on port 25 of *owner_host*."""
    return DaneName(APEX, owner_name(25, "tcp", owner_host), of, params, owner_host, 25, TTL)


def settled(number: int) -> Served:
    """Return the entry of a host that is proven to serve generation *number*."""
    return Served((gen(number),), START, "port")


def ledger(hosts: Mapping[str, Served] | None = None, entry: ApexEntry | None = None) -> Ledger:
    """Return a ledger with these hosts and one apex."""
    found = {host: HostEntry(1, {SERVICE: served}) for host, served in (hosts or {}).items()}
    return Ledger(found, {} if entry is None else {APEX: entry})
