"""The present site as a world: inventory and state as they are, DNS and hosts as the ledger knows them.

Nobody is asked. The DNS base is what the ledger has evidence of; a host serves what it was last proven to serve; the
mail hosts of an apex are those that the ledger knows names of, on whatever port, else the apex itself.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from sslops.dane.names import dane_owners
from sslops.dane.records import Index, Keys
from sslops.inventory.reach import deliveries
from sslops.model.inventory import DaneOwners
from sslops.model.ledger import ApexEntry
from sslops.model.names import CA_GROUP
from sslops.model.observations import BaseCommit
from sslops.model.tlsa import Rrset
from sslops.simulate.dns import Dns, Line, NameServer
from sslops.simulate.hosts import SimulatedHost
from sslops.simulate.ops import OpsRepository
from sslops.simulate.world import World

if TYPE_CHECKING:
    from collections.abc import Mapping
    from datetime import datetime

    from sslops.dane.records import Material
    from sslops.model.inventory import Inventory
    from sslops.model.ledger import HostEntry, Ledger
    from sslops.model.names import GenerationId, ServiceId
    from sslops.model.observations import Zone
    from sslops.model.state import Branches


BASE = "present"


def world_of(
    inventory: Inventory,
    branches: Branches,
    ledger: Ledger,
    now: datetime,
    material: Mapping[tuple[ServiceId, GenerationId], Material],
    *,
    is_reviewed: bool = False,
) -> World:
    """Return the world that begins with this repository; *is_reviewed*: people merge what is proposed."""
    apexes = [domain for domain, group in sorted(inventory.groups.items()) if group.active and domain != CA_GROUP]
    mx = _mail_hosts(inventory, ledger, Keys.of(branches, material))
    lines = {apex: _line(ledger.apex(apex) or ApexEntry(), inventory, mx.get(apex, ())) for apex in apexes}
    hosts = {
        delivery.host.name: _host(delivery.host.name, ledger.host(delivery.host.name))
        for delivery in deliveries(inventory)
    }
    ops = OpsRepository(inventory, next=branches.next, ledger=ledger)
    ops.set_main(branches.main)
    ops.taken_in = ops.main_moves
    dns = Dns(lines, bases=[BASE], known=dict.fromkeys({BASE, *_commits(ledger)}, 0))
    dns.ours = {record for entry in ledger.apexes.values() for record in entry.records}
    world = World(now, ops, dns, hosts, material, _shown_at(inventory, lines))
    if is_reviewed:
        world.use_forges()
    return world


def _commits(ledger: Ledger) -> set[str]:
    """Return every commit of the DNS base that the ledger names."""
    found = {name.commit for entry in ledger.apexes.values() for name in entry.names.values()}
    return found | {evidence.commit for entry in ledger.apexes.values() for evidence in entry.records.values()}


def _mail_hosts(inventory: Inventory, ledger: Ledger, keys: Keys) -> dict[str, tuple[str, ...]]:
    """Return the mail hosts of each apex, as far as records tell: hosts with records of a service that asks by MX.

    Whose a record is its key tells. A name whose records tell it of nobody is taken for one of its own zone.
    """
    found: dict[str, set[str]] = {}
    for apex, entry in ledger.apexes.items():
        index = Index.of(keys, frozenset(record.params for record in entry.records))
        for owner in entry.names:
            versions = {each for record in entry.records if record.owner == owner for each in index.versions(record)}
            groups = {service.group for service, _ in versions if service.group != CA_GROUP} or {apex}
            for group in groups:
                if any(owner.startswith(prefix) for prefix in _mail_prefixes(inventory, group)):
                    found.setdefault(group, set()).add(owner.split(".", 2)[2])
    return {group: tuple(sorted(hosts)) for group, hosts in found.items()}


def _mail_prefixes(inventory: Inventory, group: str) -> frozenset[str]:
    """Return how names begin that a group asks for at its mail hosts, where no service asks so for what it is named."""
    specs = [spec for service in inventory.active() if service.id.group == group for spec in service.dane]
    by_name = {(spec.port, spec.proto) for spec in specs if spec.owners is not DaneOwners.MX}
    return frozenset(f"_{port}._{proto}." for port, proto in {(s.port, s.proto) for s in specs} - by_name)


def _line(entry: ApexEntry, inventory: Inventory, mx: tuple[str, ...]) -> Line:
    zone: Zone = {}
    for owner, name in entry.names.items():
        records = frozenset(record for record in entry.records if record.owner == owner)
        if records:
            zone[owner] = Rrset(name.ttl_seconds, records)
    folders = len(inventory.dns.tlsa_dirs) if inventory.dns is not None else 1
    servers = [NameServer(f"folder {place}", place) for place in range(folders)]
    return Line([BaseCommit(BASE, (zone,) * folders)], servers, mx)


def _host(name: str, entry: HostEntry) -> SimulatedHost:
    serving = {service: served.may_serve[0] for service, served in entry.services.items() if served.may_serve}
    known = {service: generation for service, generation in serving.items() if generation is not None}
    return SimulatedHost(name, dict(known), dict(known), seq=entry.seq)


def _shown_at(inventory: Inventory, lines: Mapping[str, Line]) -> dict[ServiceId, set[str]]:
    found: dict[ServiceId, set[str]] = {}
    for name in dane_owners(inventory, {apex: line.mx for apex, line in lines.items()}).names:
        found.setdefault(name.service, set()).add(name.owner)
    return found
