"""What the rules for one RRset judge by: inventory, ledger, DNS, and which generations may be met on hosts."""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from functools import cached_property
from typing import TYPE_CHECKING

from sslops.dane import rrset_rules as transitions
from sslops.dane.evidence import evidence_at, pending_at, ready_at
from sslops.dane.rrset_rules import NameSeen
from sslops.inventory.reach import deliveries, hosts_copying, hosts_serving
from sslops.model.derived import grouped
from sslops.model.inventory import Verify
from sslops.model.ledger import ApexEntry
from sslops.model.names import CA_GROUP
from sslops.model.plan import Consents
from sslops.model.tlsa import EMPTY, Rrset, TlsaRecord, port_and_host

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping
    from datetime import datetime

    from sslops.dane.first_use import AddressSeen
    from sslops.dane.names import DaneName, Owners
    from sslops.dane.records import Keys
    from sslops.dane.rrset_rules import Needed
    from sslops.inventory.reach import Delivery
    from sslops.model.inventory import Inventory
    from sslops.model.ledger import HostEntry, Ledger, Served
    from sslops.model.names import GenerationId, ServiceId
    from sslops.model.observations import ApexSeen, DnsRepoSeen, Surroundings
    from sslops.model.state import Branches


@dataclass(frozen=True)
class World:
    """What publish judges by: *ledger* after the look; *repo* has all active apexes, *seen* those looked at."""

    inventory: Inventory
    branches: Branches
    ledger: Ledger
    owners: Owners
    keys: Keys
    repo: Mapping[str, DnsRepoSeen]
    seen: Mapping[str, ApexSeen]
    now: datetime
    addresses: Mapping[str, tuple[AddressSeen, ...]] = field(default_factory=dict)
    """Owner name to what each address of its host shows; only needed for the owners of `to_be_asked`."""
    ports: Mapping[str, tuple[AddressSeen, ...]] = field(default_factory=dict)
    """Owner name to what is presented there now; only needed for the owners of `is_withdrawing`."""
    surroundings: Mapping[str, Surroundings] = field(default_factory=dict)
    """Owner name to what its existence decides; only needed for the owners of `is_to_be_surveyed`."""
    consents: Consents = Consents()
    failed: Mapping[str, str] = field(default_factory=dict)
    """Apex to the reason why it could not be observed."""

    def names(self, apex: str, owner: str) -> tuple[DaneName, ...]:
        """Return what the inventory asks for at *owner*: one entry for each service and combination."""
        return self._names.get((apex, owner), ())

    def names_in(self, apex: str) -> tuple[DaneName, ...]:
        """Return what the inventory asks for in the include file of *apex*."""
        return self._names_in.get(apex, ())

    @cached_property
    def _names(self) -> Mapping[tuple[str, str], tuple[DaneName, ...]]:
        return grouped(((name.apex, name.owner), name) for name in self.owners.names)

    @cached_property
    def _names_in(self) -> Mapping[str, tuple[DaneName, ...]]:
        return grouped((name.apex, name) for name in self.owners.names)

    @cached_property
    def new_at(self) -> Mapping[str, frozenset[ServiceId]]:
        """Host to the services that it is to show and was never proven to show."""
        return new_at(self.inventory, self.ledger)

    def entry(self, apex: str) -> ApexEntry:
        """Return the apex on the ledger, empty when it was never looked at."""
        return self.ledger.apex(apex) or ApexEntry()

    def current(self, apex: str, owner: str) -> Rrset:
        """Return what base has at *owner*, in whichever view."""
        rrsets = self.repo[apex].base.rrsets(owner) if apex in self.repo else ()
        records = frozenset(record for rrset in rrsets for record in rrset.records)
        return Rrset(max((rrset.ttl_seconds for rrset in rrsets), default=0), records)

    def name_seen(self, apex: str, owner: str) -> NameSeen:
        """Return what is published at *owner*, by source."""
        base, seen, pending = self.current(apex, owner).records, self.seen.get(apex), self.entry(apex).pending
        if seen is None:
            return NameSeen(base)
        head = () if seen.repo.head is None else seen.repo.head.rrsets(owner)
        underway = frozenset(pending_at(pending).get(owner, ())) if pending else frozenset[TlsaRecord]()
        shown = [server.answers.get(owner, EMPTY).records for server in seen.servers]
        commits = (*seen.repo.history, seen.repo.base)
        return NameSeen(
            base=base,
            servers=frozenset().union(*shown),
            proposed=underway.union(*(rrset.records for rrset in head)),
            underway=underway,
            everywhere=frozenset.intersection(*shown) if shown else frozenset(),
            synthesised=frozenset().union(
                *(
                    rrset.records
                    for server in seen.servers
                    if (rrset := server.answers.get(owner, EMPTY)).wildcard is not None
                )
            ),
            past=frozenset(r for commit in commits for rrset in commit.rrsets(owner) for r in rrset.records),
            views=tuple(rrset.combinations for rrset in seen.repo.base.rrsets(owner)),
        )

    def ready(self, apex: str, owner: str) -> dict[TlsaRecord, datetime]:
        """Return the records of *owner* with evidence, and from when on no cache can lack each."""
        entry = self.entry(apex)
        return {record: ready_at(entry.records[record]) for record in evidence_at(entry).get(owner, ())}


def active_apexes(inventory: Inventory) -> tuple[str, ...]:
    """Return the apexes that have an include file: every active group but `ca`, sorted."""
    return tuple(sorted(domain for domain, group in inventory.groups.items() if group.active and domain != CA_GROUP))


SMTP_PORTS = frozenset({25, 587})


def needed(service: ServiceId, world: World) -> Needed:
    """Return which generations of *service* have to stay published under every name of it."""
    serving = [host.name for host in hosts_serving(world.inventory, service)]
    exempt = frozenset(host.name for host in hosts_copying(world.inventory, service))
    return transitions.needed(service, world.branches, world.ledger, serving, exempt)


def proven_hosts(service: ServiceId, world: World) -> dict[str, GenerationId | None]:
    """Return what each host is proven to serve (null: not proven); one that left the inventory counts while unknown."""
    served = {
        host: entry
        for host, entry in world.ledger.hosts_of(service).items()
        if None in entry.may_serve and not entry.is_copy
    }
    served |= {
        host.name: world.ledger.host(host.name).serves(service) for host in hosts_serving(world.inventory, service)
    }
    served |= {host: entry for host, entry in _copies(service, world).items() if not entry.is_copy and entry.may_serve}
    return {host: entry.settled if entry.proof and not entry.is_copy else None for host, entry in served.items()}


def _copies(service: ServiceId, world: World) -> dict[str, Served]:
    """Return the entries of the hosts that are to keep copies only; one may have served before."""
    names = [host.name for host in hosts_copying(world.inventory, service)]
    entries = {name: world.ledger.host(name).services for name in names}
    return {name: services[service] for name, services in entries.items() if service in services}


def ports_of(owner: str, names: tuple[DaneName, ...], inventory: Inventory) -> tuple[Verify, ...]:
    """Return how the addresses of *owner* are asked: the classes' `verify`, by default the `dane_tls` port itself.

    *names* is what the inventory asks for there; nothing, where the name is given up.
    """
    port, _ = port_and_host(owner)
    hosts = [host for name in names for host in hosts_serving(inventory, name.service)]
    found = {replace(host.verify, address=None) for host in hosts if host.verify is not None}
    exact = {verify for verify in found if verify.port == port}
    default = Verify(port, "smtp" if port in SMTP_PORTS else None)
    return tuple(sorted(exact or found or {default}, key=lambda verify: (verify.port, verify.starttls or "")))


def new_at(inventory: Inventory, ledger: Ledger) -> dict[str, frozenset[ServiceId]]:
    """Return for each host the services that it is to show and was never proven to show any generation of."""
    return {
        delivery.host.name: frozenset(
            service for service in delivery.serving if _is_new(ledger.host(delivery.host.name).serves(service))
        )
        for delivery in deliveries(inventory)
    }


def as_expected(ledger: Ledger, inventory: Inventory) -> Ledger:
    """Return *ledger* as each stage has to read it: a proof is about what the inventory asked for when it was made.

    What a host of copies presents is unverified once it is to serve; so is a service that it is to serve no more, which
    people take away. Should that come back the host is asked again. What it may serve stays. Each stage writes that
    down, whichever is first: the inventory may be as before when deploy runs.
    """
    hosts = dict(ledger.hosts)
    for delivery in deliveries(inventory):
        entry = ledger.host(delivery.host.name)
        old = {s: replace(entry.services[s], proof=None) for s in _doubtful(entry, delivery, inventory)}
        if old:
            hosts[delivery.host.name] = replace(entry, services={**entry.services, **old})
    return replace(ledger, hosts=hosts)


def _doubtful(entry: HostEntry, delivery: Delivery, inventory: Inventory) -> Iterator[ServiceId]:
    """Yield the services of a host whose proof is from before a change of the inventory; frozen groups change none."""
    for service, served in entry.services.items():
        group = inventory.groups.get(service.group)
        if served.proof is None or (group is not None and not group.active):
            continue
        if served.is_copy == (service in delivery.serving):
            yield service


def _is_new(served: Served) -> bool:
    return not served.may_serve or None in served.may_serve or served.is_copy
