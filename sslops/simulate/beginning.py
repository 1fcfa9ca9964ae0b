"""The present site as a world: inventory and state as they are, DNS and hosts as the ledger knows them.

Nobody is asked. The DNS base is what the ledger has evidence of; a host serves what it was last proven to serve; the
mail hosts of an apex are those that the ledger knows names of, else the apex itself.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from sslops.dane.names import dane_owners
from sslops.inventory.reach import deliveries
from sslops.model.ledger import ApexEntry
from sslops.model.names import CA_GROUP
from sslops.model.observations import BaseCommit
from sslops.model.tlsa import Rrset
from sslops.simulate.dns import Dns, Line, NameServer
from sslops.simulate.hosts import SimulatedHost
from sslops.simulate.world import OpsRepository, World

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
    lines = {
        domain: _line(ledger.apex(domain) or ApexEntry(), inventory)
        for domain, group in sorted(inventory.groups.items())
        if group.active and domain != CA_GROUP
    }
    hosts = {
        delivery.host.name: _host(delivery.host.name, ledger.host(delivery.host.name))
        for delivery in deliveries(inventory)
    }
    ops = OpsRepository(inventory, branches.main, branches.next, ledger, is_reviewed)
    ops.set_main(branches.main)
    ops.taken_in = {service: len(slots) for service, slots in ops.past.items()}
    dns = Dns(lines, ours={record for entry in ledger.apexes.values() for record in entry.records})
    return World(now, ops, dns, hosts, material, is_reviewed, _shown_at(inventory, lines))


def _line(entry: ApexEntry, inventory: Inventory) -> Line:
    zone: Zone = {}
    for owner, name in entry.names.items():
        records = frozenset(record for record in entry.records if record.owner == owner)
        if records:
            zone[owner] = Rrset(name.ttl_seconds, records)
    known = {evidence.commit for evidence in entry.records.values()} | {name.commit for name in entry.names.values()}
    folders = len(inventory.dns.tlsa_dirs) if inventory.dns is not None else 1
    servers = [NameServer(f"folder {place}", place) for place in range(folders)]
    mx = {owner.split(".", 2)[2] for owner in entry.names if owner.startswith("_25._tcp.")}
    places = dict.fromkeys({BASE, *known}, 0)
    return Line([BaseCommit(BASE, (zone,) * folders)], servers, places, tuple(sorted(mx)))


def _host(name: str, entry: HostEntry) -> SimulatedHost:
    serving = {service: served.may_serve[0] for service, served in entry.services.items() if served.may_serve}
    known = {service: generation for service, generation in serving.items() if generation is not None}
    return SimulatedHost(name, dict(known), dict(known), seq=entry.seq)


def _shown_at(inventory: Inventory, lines: Mapping[str, Line]) -> dict[ServiceId, set[str]]:
    found: dict[ServiceId, set[str]] = {}
    for name in dane_owners(inventory, {apex: line.mx for apex, line in lines.items()}).names:
        found.setdefault(name.service, set()).add(name.owner)
    return found
