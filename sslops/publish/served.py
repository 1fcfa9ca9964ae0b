"""Which generations of a service may be met on its hosts, as ledger and slots tell, and how a name's host is asked."""

from __future__ import annotations

from typing import TYPE_CHECKING

from sslops.dane import transitions
from sslops.inventory.reach import hosts_copying, hosts_serving
from sslops.model.inventory import Verify

if TYPE_CHECKING:
    from sslops.dane.names import DaneName
    from sslops.dane.transitions import Needed
    from sslops.model.inventory import Inventory
    from sslops.model.ledger import Served
    from sslops.model.names import GenerationId, ServiceId
    from sslops.publish.world import World

SMTP_PORTS = frozenset({25, 587})


def needed(service: ServiceId, world: World) -> Needed:
    """Return which generations of *service* have to stay published under every name of it."""
    serving = [host.name for host in hosts_serving(world.inventory, service)]
    exempt = frozenset(host.name for host in hosts_copying(world.inventory, service))
    return transitions.needed(service, world.branches, world.ledger, serving, exempt)


def proven_hosts(service: ServiceId, world: World) -> dict[str, GenerationId | None]:
    """Return what each host is proven to serve (null: not proven); one that left the inventory counts while unknown."""
    served = {
        host: entry.services[service]
        for host, entry in world.ledger.hosts.items()
        if service in entry.services
        and None in entry.services[service].may_serve
        and not entry.services[service].is_copy
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


def ports_of(names: tuple[DaneName, ...], inventory: Inventory) -> tuple[Verify, ...]:
    """Return how the host of one owner is asked: the classes' `verify`, by default the `dane_tls` port itself."""
    port = names[0].port
    hosts = [host for name in names for host in hosts_serving(inventory, name.service)]
    found = {host.verify for host in hosts if host.verify is not None}
    exact = {verify for verify in found if verify.port == port}
    default = Verify(port, "smtp" if port in SMTP_PORTS else None)
    return tuple(sorted(exact or found or {default}, key=lambda verify: (verify.port, verify.starttls or "")))
