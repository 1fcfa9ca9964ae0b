"""What DNS and the hosts show right now, beside what the repository remembers: for `status --live`, without a write."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

from sslops.dane.names import dane_apexes, dane_owners
from sslops.errors import DnsError
from sslops.model.names import zone_of

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Mapping

    from sslops.model.inventory import Endpoint, Host, Inventory, Verify
    from sslops.model.ledger import Ledger
    from sslops.model.names import ServiceId
    from sslops.model.observations import PortSeen, ServerSeen
    from sslops.probe.survey import NameServers

    Question = tuple[Host, Verify, ServiceId]

_AT_ONCE = 16


@dataclass(frozen=True, slots=True)
class LiveName:
    """What each authoritative server shows at one TLSA owner; *error* when the servers could not be found."""

    owner: str
    servers: tuple[ServerSeen, ...] = ()
    error: str | None = None
    services: frozenset[ServiceId] = frozenset()
    """Those that the inventory asks for records of there."""


@dataclass(frozen=True, slots=True)
class LivePort:
    """What one port of one host shows to somebody who asks for *service*."""

    host: str
    port: int
    service: ServiceId
    seen: PortSeen


def live_names(inventory: Inventory, ledger: Ledger, name_servers: NameServers) -> tuple[LiveName, ...]:
    """Ask every name server for every owner that the inventory wants or the ledger knows."""
    found: list[LiveName] = []
    mx: dict[str, tuple[str, ...]] = {}
    for apex in dane_apexes(inventory):
        try:
            mx[apex] = name_servers.mx(apex, inventory.primary_of(apex))
        except DnsError as error:
            found.append(LiveName(apex, error=error.what))
    asked_for: dict[str, set[ServiceId]] = {owner: set() for entry in ledger.apexes.values() for owner in entry.names}
    for name in dane_owners(inventory, mx).names:
        if name.service.group in mx:
            asked_for.setdefault(name.owner, set()).add(name.service)
    for apex in sorted({zone for owner in asked_for if (zone := zone_of(owner, inventory.groups))}):
        owners = [owner for owner in asked_for if zone_of(owner, inventory.groups) == apex]
        asked = _ask(inventory, apex, owners, name_servers)
        found += [replace(name, services=frozenset(asked_for[name.owner])) for name in asked]
    return tuple(sorted(found, key=lambda name: name.owner))


def live_ports(
    questions: Iterable[Question], ask: Callable[[Host, Verify, ServiceId], PortSeen]
) -> tuple[LivePort, ...]:
    """Put every question (which host, how it is asked, for which service), many at once."""
    asked = list(questions)
    with ThreadPoolExecutor(max_workers=_AT_ONCE) as pool:
        answers = pool.map(lambda each: ask(*each), asked)
        return tuple(
            LivePort(host.name, verify.port, service, seen)
            for (host, verify, service), seen in zip(asked, answers, strict=True)
        )


def _ask(inventory: Inventory, apex: str, owners: Iterable[str], name_servers: NameServers) -> list[LiveName]:
    fixed: Mapping[str, tuple[Endpoint, ...]] = inventory.dns_servers
    try:
        servers = name_servers.name_servers(apex, inventory.primary_of(apex), fixed.get(apex, ()))
    except DnsError as error:
        return [LiveName(owner, error=error.what) for owner in owners]
    answers = name_servers.tlsa(servers, owners)
    return [LiveName(owner, answers) for owner in owners]
