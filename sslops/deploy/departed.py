"""Hosts and services that are gone: their entries on the ledger stay, because leaving the inventory proves nothing.

An entry ends when every certificate it may serve has expired, or when a person forgets the host.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from sslops.inventory.reach import deliveries
from sslops.model.plan import Hazard, HazardName, Verb, Wait

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from sslops.deploy.decision import DeployOptions, World
    from sslops.model.ledger import HostEntry, Served
    from sslops.model.names import ServiceId


def left_behind(world: World, closed: Mapping[str, frozenset[ServiceId]]) -> Iterator[Wait]:
    """Yield a wait for each host that left the inventory while it may still serve something."""
    known = {delivery.host.name for delivery in deliveries(world.inventory)}
    for name, entry in sorted(world.ledger.hosts.items()):
        if name not in known and entry.services.keys() - closed.get(name, frozenset()):
            why = f"'{name}' left the inventory and may still serve; sslops deploy --forget {name} ends that"
            yield Wait(Verb.DEPLOY, "", "", name, None, why)


def expired(world: World) -> dict[str, frozenset[ServiceId]]:
    """Return the services of entries that nobody brings up to date any more, and whose certificates all expired."""
    wanted = {delivery.host.name: frozenset(delivery.services) for delivery in deliveries(world.inventory)}
    found = {
        name: frozenset(
            service
            for service, served in entry.services.items()
            if service not in wanted.get(name, frozenset()) and _has_expired(service, served, world)
        )
        for name, entry in world.ledger.hosts.items()
    }
    return {name: services for name, services in found.items() if services}


def _has_expired(service: ServiceId, served: Served, world: World) -> bool:
    group = world.inventory.groups.get(service.group)
    if group is not None and not group.active:
        return False
    known = {**world.branches.next[service].generations, **world.branches.main[service].generations}
    issued = [known[key].issued if key is not None and key in known else None for key in served.may_serve]
    return all(facts is not None and facts.not_after <= world.now for facts in issued)


def forget(world: World, options: DeployOptions) -> tuple[frozenset[str], list[Hazard]]:
    """Return the hosts of `--forget` that a person consented to forget, and the hazard of each other one."""
    hazards = [
        Hazard(HazardName.HOST_REMOVED, name, _may_serve_words(world.ledger.host(name)), Verb.DEPLOY)
        for name in sorted(options.forget)
    ]
    refused = [hazard for hazard in hazards if not options.consents.cover(hazard)]
    return options.forget - {hazard.subject for hazard in refused}, refused


def _may_serve_words(entry: HostEntry) -> str:
    words = [
        f"{service} ({', '.join(key or 'unknown' for key in served.may_serve) or 'nothing of ours'})"
        for service, served in sorted(entry.services.items())
    ]
    return f"it may still serve {'; '.join(words)}" if words else "it serves nothing that is known"
