"""Where the TLSA records of a service live: owners per MX host or per SAN (RFC 7672 section 3.1, RFC 7671 section 4).

A host belongs to the zone of the longest apex among our groups that it ends in; a host outside all of them is named
in `Owners.outside` and never written anywhere.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from sslops.model.inventory import DaneOwners
from sslops.model.names import is_address, zone_of
from sslops.model.tlsa import owner_name

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

    from sslops.model.inventory import DaneSpec, Inventory, Service
    from sslops.model.names import ServiceId
    from sslops.model.tlsa import TlsaParams


@dataclass(frozen=True, slots=True, order=True)
class DaneName:
    """One owner of one service: the records of *service* under *owner*, in the include file of *apex*."""

    apex: str
    owner: str
    service: ServiceId
    params: TlsaParams
    host: str
    port: int
    ttl_seconds: int


@dataclass(frozen=True, slots=True)
class Owners:
    """All owners the inventory asks for, and the hosts outside every zone that sslops manages."""

    names: tuple[DaneName, ...]
    outside: tuple[tuple[ServiceId, str], ...]

    def of(self, service: ServiceId) -> tuple[DaneName, ...]:
        """Return the owners of one service."""
        return tuple(name for name in self.names if name.service == service)


def dane_owners(inventory: Inventory, mx: Mapping[str, tuple[str, ...]]) -> Owners:
    """Find every owner of every active service; *mx* maps an apex to its MX hosts (absolute, lower case)."""
    names: list[DaneName] = []
    outside: list[tuple[ServiceId, str]] = []
    for service in inventory.active():
        for spec in service.dane:
            for host in _hosts(service, spec, mx.get(service.id.group, ())):
                apex = zone_of(host, inventory.groups)
                if apex is None:
                    outside.append((service.id, host))
                else:
                    names.append(_name(service, spec, host, apex))
    return Owners(tuple(sorted(set(names))), tuple(sorted(set(outside))))


def dane_apexes(inventory: Inventory) -> tuple[str, ...]:
    """Return the apexes whose DNS must be looked at: those of active services with `dane_tls`, sorted."""
    return tuple(sorted({service.id.group for service in inventory.active() if service.dane}))


def covers(sans: Iterable[str], owner: str) -> bool:
    """Whether a certificate with *sans* is good for the host of *owner*, `_port._proto.host.` (RFC 6125 section 6.4).

    >>> covers(["*.example.com"], "_25._tcp.mail.example.com."), covers(["example.com"], "_25._tcp.mail.example.com.")
    (True, False)
    """
    names = covering(owner)
    return any(san.lower() in names for san in sans)


def covering(owner: str) -> tuple[str, str]:
    """Return what a certificate may call the host of *owner*: its name, or the wildcard for it.

    >>> covering("_25._tcp.mail.example.com.")
    ('mail.example.com', '*.example.com')
    """
    host = owner.rstrip(".").lower().split(".", 2)[-1]
    return host, f"*.{host.partition('.')[2]}"


def _hosts(service: Service, spec: DaneSpec, mx: tuple[str, ...]) -> tuple[str, ...]:
    if spec.owners is DaneOwners.MX:
        apex = f"{service.id.group}."
        return (*mx, apex) if service.dane_apex and apex not in mx else mx or (apex,)
    return tuple(san for san in service.sans if not san.startswith("*.") and not is_address(san))


def _name(service: Service, spec: DaneSpec, host: str, apex: str) -> DaneName:
    return DaneName(
        apex=apex,
        owner=owner_name(spec.port, spec.proto, host),
        service=service.id,
        params=spec.params,
        host=host.rstrip(".").lower(),
        port=spec.port,
        ttl_seconds=service.dane_ttl_seconds,
    )
