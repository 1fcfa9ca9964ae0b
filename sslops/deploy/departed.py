"""Hosts and services that are gone: their entries on the ledger stay, because leaving the inventory proves nothing.

An entry ends when every certificate it may serve has expired, or when a person forgets the host.
"""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

from sslops.inventory.reach import deliveries
from sslops.model.plan import Hazard, HazardName, Verb, Wait

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator, Mapping

    from sslops.deploy.decision import DeployOptions, World
    from sslops.inventory.reach import Delivery
    from sslops.model.inventory import Inventory
    from sslops.model.ledger import HostEntry, Ledger, Served
    from sslops.model.names import GenerationId, ServiceId
    from sslops.model.seen import PortSeen
    from sslops.model.shipment import Answer


def left_behind(world: World, closed: Mapping[str, frozenset[ServiceId]]) -> Iterator[Wait]:
    """Yield a wait for each host that left the inventory while it may still serve something."""
    known = {delivery.host.name for delivery in deliveries(world.inventory)}
    for name, entry in sorted(world.ledger.hosts.items()):
        if name not in known and entry.services.keys() - closed.get(name, frozenset()):
            why = f"'{name}' left the inventory and may still serve; sslops deploy --forget {name} ends that"
            yield Wait(Verb.DEPLOY, "", "", name, None, why)


def former(delivery: Delivery, world: World) -> frozenset[ServiceId]:
    """Return the services that a host of the inventory is not to serve any more, though it may serve them still.

    It gets them no more, or only keeps copies now. One of an inactive group is frozen: nothing about it changes.
    """
    groups, entry = world.inventory.groups, world.ledger.host(delivery.host.name)
    return frozenset(
        service
        for service, served in entry.services.items()
        if (service not in delivery.services or (service not in delivery.serving and not served.is_copy))
        and served.may_serve
        and (service.group not in groups or groups[service.group].active)
    )


def as_expected(ledger: Ledger, inventory: Inventory) -> Ledger:
    """Return *ledger* as deploy has to read it: what a keeper of copies shows once it is to serve is not proven."""
    hosts = dict(ledger.hosts)
    for delivery in deliveries(inventory):
        entry = ledger.host(delivery.host.name)
        begun = {s: replace(entry.services[s], proof=None) for s in delivery.serving if entry.serves(s).is_copy}
        if begun:
            hosts[delivery.host.name] = replace(entry, services={**entry.services, **begun})
    return replace(ledger, hosts=hosts)


def is_gone(
    service: ServiceId,
    served: Served,
    answer: Answer,
    keys: Mapping[GenerationId, str],
    shown: Callable[[], Iterable[PortSeen]],
    right: frozenset[str],
) -> bool:
    """Whether a host certainly does not serve *service*: by its files, which *answer* tells, or by its ports.

    *served* is its entry; *keys* and *right* are as for `not_seen`; *shown* asks the ports, where files do not decide.
    """
    has_files, is_unfinished = bool(answer.holds(service).files), service in answer.unfinished
    if has_files and is_unfinished:
        # They were switched and no daemon loaded them since: the next restart may show what the port does not now.
        return False
    if not has_files and not is_unfinished:
        return True
    return not_seen(served, keys, shown(), right)


def not_seen(
    served: Served, keys: Mapping[GenerationId, str], ports: Iterable[PortSeen], right: frozenset[str]
) -> bool:
    """Whether *ports* show that nothing of an entry is served: all answered, and none with one of its certificates.

    *keys* maps the generations that are known to their certificates. What may be something unknown is not served only
    where the ports show nothing but what is *right*, the certificates that the host is settled on.
    """
    seen = list(ports)
    shown = frozenset[str]().union(*(port.certificates for port in seen))
    if not seen or any(port.error is not None or not port.certificates for port in seen):
        return False
    if any(key is None or key not in keys for key in served.may_serve):
        return shown <= right
    return not shown & {keys[key] for key in served.may_serve if key is not None}


def expired(world: World) -> dict[str, frozenset[ServiceId]]:
    """Return the services of entries that nobody brings up to date any more, and whose certificates all expired."""
    wanted = {
        delivery.host.name: frozenset(delivery.services) - former(delivery, world)
        for delivery in deliveries(world.inventory)
    }
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
