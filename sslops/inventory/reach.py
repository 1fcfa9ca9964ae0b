"""Who gets what: which services go to which host, through which class, and who may show them to clients.

Only leaves of active groups go anywhere; keys of group `ca` never do.
"""

from __future__ import annotations

from dataclasses import astuple, dataclass, replace
from typing import TYPE_CHECKING

from sslops.model.derived import derived
from sslops.model.inventory import FileModes
from sslops.model.names import ServiceId

if TYPE_CHECKING:
    from collections.abc import Mapping

    from sslops.model.inventory import Host, Inventory, ServerClass, Verify


ANY_GROUP = "any"
ON_TLSA = "dns"
"""The word of `depends` that makes a class restart when a `tlsa.<apex>` on it changed."""


@dataclass(frozen=True, slots=True)
class Part:
    """What one class asks of a host: its services, how it restarts for them, how it is asked what it serves."""

    class_name: str
    services: frozenset[ServiceId]
    restart_cmd: tuple[tuple[str, ...], ...] = ()
    restarts_on_tlsa: bool = False
    verify: Verify | None = None
    serves: bool = True
    server_dir: str | None = None
    dhparm: tuple[str, ...] = ()

    @property
    def apexes(self) -> frozenset[str]:
        """The apexes whose `tlsa.<apex>` matter to this class."""
        return frozenset(service.group for service in self.services)


@dataclass(frozen=True, slots=True)
class Delivery:
    """Everything one host gets, its classes put together. `host.verify` is null: each part has its own."""

    host: Host
    parts: tuple[Part, ...]
    """One for each class that names the host, sorted by class name."""
    services: tuple[ServiceId, ...]
    """Sorted; each once, however many classes ask for it."""
    serving: frozenset[ServiceId]
    """Those of `services` that the host may show to clients; it only keeps copies of the rest."""
    files: FileModes

    @property
    def apexes(self) -> tuple[str, ...]:
        """The groups whose include files go to the host, sorted."""
        return tuple(sorted({service.group for service in self.services}))

    @property
    def dhparm(self) -> dict[str, tuple[str, ...]]:
        """Group of the inventory to the groups of RFC 7919 that go to the host beside its services, in their order."""
        found: dict[str, dict[str, None]] = {}
        for part in self.parts:
            for apex in sorted(part.apexes) if part.dhparm else ():
                found.setdefault(apex, {}).update(dict.fromkeys(part.dhparm))
        return {apex: tuple(names) for apex, names in sorted(found.items())}

    def gets(self, service: ServiceId) -> bool:
        """Whether *service* is among `services`, told by the sets of the classes."""
        return any(service in part.services for part in self.parts)

    def verifies(self, service: ServiceId) -> tuple[Verify, ...]:
        """Return how the host is asked whether it serves *service*: one for each class that shows it and says how."""
        found = {part.verify for part in self.parts if part.serves and service in part.services and part.verify}
        return tuple(sorted(found, key=lambda verify: tuple(str(value or "") for value in astuple(verify))))


@derived
def deliveries(inventory: Inventory) -> tuple[Delivery, ...]:
    """Return what each host gets, one entry for each host that a class names, sorted by host name."""
    services = _assigned(inventory).services
    found: dict[str, list[tuple[Host, ServerClass, Part]]] = {}
    for name in sorted(inventory.classes):
        server_class = inventory.classes[name]
        for host in server_class.hosts:
            found.setdefault(host.name, []).append((host, server_class, _part(server_class, host, services[name])))
    # Most hosts of a class get the same; the sorted tuple is then made once.
    ordered: dict[frozenset[ServiceId], tuple[ServiceId, ...]] = {}
    return tuple(_delivery(found[name], ordered) for name in sorted(found))


def hosts_serving(inventory: Inventory, service: ServiceId) -> tuple[Host, ...]:
    """Return every host that may show *service* to clients, sorted; each with the `verify` of a class that does."""
    return _hosts(inventory, service, serves=True)


def hosts_copying(inventory: Inventory, service: ServiceId) -> tuple[Host, ...]:
    """Return every host that gets *service* but only keeps a copy of it, sorted."""
    serving = {host.name for host in hosts_serving(inventory, service)}
    return tuple(host for host in _hosts(inventory, service, serves=False) if host.name not in serving)


def _hosts(inventory: Inventory, service: ServiceId, *, serves: bool) -> tuple[Host, ...]:
    found: dict[str, Host] = {}
    for server_class in _assigned(inventory).classes.get(service, ()):
        if server_class.serves is serves:
            for host in server_class.hosts:
                known = found.get(host.name)
                if known is None or known.verify is None:
                    found[host.name] = host
    return tuple(found[name] for name in sorted(found))


@dataclass(frozen=True, slots=True)
class _Assigned:
    """Class name to the services it gets, and service to the classes that get it, sorted by name."""

    services: Mapping[str, frozenset[ServiceId]]
    classes: Mapping[ServiceId, tuple[ServerClass, ...]]


@derived
def _assigned(inventory: Inventory) -> _Assigned:
    """Match classes and services once: whoever asks service by service must not go through every pair again."""
    leaves = frozenset(service.id for service in inventory.active() if not service.is_ca)
    named: dict[str, set[ServiceId]] = {}
    for service in leaves:
        named.setdefault(service.name, set()).add(service)
    services: dict[str, frozenset[ServiceId]] = {}
    classes: dict[ServiceId, tuple[ServerClass, ...]] = {}
    for name in sorted(inventory.classes):
        server_class = inventory.classes[name]
        services[name] = _services_of(server_class, leaves, named)
        for service in services[name]:
            classes[service] = (*classes.get(service, ()), server_class)
    return _Assigned(services, classes)


def _services_of(
    server_class: ServerClass, leaves: frozenset[ServiceId], named: Mapping[str, set[ServiceId]]
) -> frozenset[ServiceId]:
    if server_class.svc_depends is None:
        return leaves
    found: set[ServiceId] = set()
    for group, names in server_class.svc_depends:
        if group == ANY_GROUP:
            found.update(*(named.get(name, ()) for name in names))
        else:
            found.update(ServiceId(group, name) for name in names)
    return leaves & found


def _part(server_class: ServerClass, host: Host, services: frozenset[ServiceId]) -> Part:
    return Part(
        server_class.name,
        services,
        server_class.restart_cmd,
        ON_TLSA in server_class.depends,
        host.verify,
        server_class.serves,
        server_class.server_dir,
        server_class.dhparm,
    )


def _delivery(
    found: list[tuple[Host, ServerClass, Part]], ordered: dict[frozenset[ServiceId], tuple[ServiceId, ...]]
) -> Delivery:
    parts = tuple(part for _, _, part in found)
    services = parts[0].services if len(parts) == 1 else frozenset().union(*(part.services for part in parts))
    if services not in ordered:
        ordered[services] = tuple(sorted(services))
    # The inventory holds that classes which say something about files say the same; who says nothing agrees.
    files = next((each.files for _, each, _ in found if each.files != FileModes()), FileModes())
    return Delivery(
        host=replace(found[0][0], verify=None),
        parts=parts,
        services=ordered[services],
        serving=frozenset().union(*(part.services for part in parts if part.serves)),
        files=files,
    )
