"""What one host's session consists of: what is sent, which classes restart, which certificates prove it. Pure."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

from sslops.deploy.host_plan import is_certain
from sslops.model.names import is_address
from sslops.model.shipment import Restart

if TYPE_CHECKING:
    from collections.abc import Collection, Iterable, Mapping

    from sslops.deploy.host_plan import Work
    from sslops.inventory.reach import Delivery
    from sslops.model.inventory import Host, Service, Verify
    from sslops.model.ledger import HostEntry
    from sslops.model.names import GenerationId, ServiceId
    from sslops.model.shipment import Answer
    from sslops.model.state import Generation, ServiceState


DANE_CONNECTIONS = 3
DANE_SECONDS = 2.0
"""A reload is not instant: with DANE so many new connections over so long show the new certificate only."""


@dataclass(frozen=True, slots=True)
class Question:
    """One question to a port: how, under which name (SNI), how often, and which certificates are right.

    *own* is the certificate (SHA-256) that the service should show; *others* those of other services of the same class
    that the port may show instead: it may not look at the name. With DANE at the port that is no excuse, since the
    records of the name are about this service: then they are only those that no name and no kind of key tells apart.
    """

    service: ServiceId
    verify: Verify
    server_name: str
    connections: int
    over_seconds: float
    own: str
    others: frozenset[str]
    key_type: str | None = None
    """Ask as a client that takes only `ec` or only `rsa`: the port holds certificates of both."""
    former: frozenset[str] | None = None
    """Set where a further name of the service is asked for. There only one of these, its certificates of other
    generations, is wrong: what else the port shows, or whether it answers, is not about this service."""


@dataclass(frozen=True, slots=True)
class Shown:
    """What the ports said about one service: the proof (`port` or `files`), or null and why not."""

    proof: str | None
    why: str = ""
    hint: str | None = None
    """What to change, where to ask again is of no use."""


def to_send(work: Work, answer: Answer, cert_sha256: Mapping[ServiceId, str]) -> frozenset[ServiceId]:
    """Return the services to send to the host that gave *answer*; *cert_sha256* hashes each due `cert.pem`.

    What the host has already, untouched, readable by whom it should, and with its restarts done, need not be sent, only
    proven.
    """
    return frozenset(
        service
        for service, generation in work.due.items()
        if service in answer.unfinished
        or not answer.holds(service).is_exactly(generation, cert_sha256[service])
        or not answer.holds(service).is_open_as(work.delivery.files)
    )


def restarts(
    work: Work, sent: Collection[ServiceId], includes: Collection[str], more: Collection[str] = ()
) -> tuple[Restart, ...]:
    """Return the classes that restart: for what is *sent*, for a changed include file, or because *more* names them."""
    return tuple(
        Restart(part.class_name, part.restart_cmd)
        for part in work.delivery.parts
        if part.restart_cmd
        and (
            not part.services.isdisjoint(sent)
            or (part.restarts_on_tlsa and not part.apexes.isdisjoint(includes))
            or part.class_name in work.restart
            or part.class_name in more
        )
    )


def stranger(work: Work, entry: HostEntry, answer: Answer, restarted: Iterable[Restart]) -> ServiceId | None:
    """Return a service that a restart would reach although nobody knows whether its files may be served; null: none.

    With a ledger that was lost, or a TARGET, there may be files of ours that no entry tells about.
    """
    unknown = [
        service
        for service in sorted(reached(work.delivery, restarted) - work.due.keys())
        if not is_certain(entry.serves(service)) and answer.holds(service).generation is not None
    ]
    return unknown[0] if unknown else None


def classes_of(delivery: Delivery, services: Iterable[ServiceId]) -> frozenset[str]:
    """Return the classes of the host that one of *services* belongs to."""
    wanted = frozenset(services)
    return frozenset(part.class_name for part in delivery.parts if not part.services.isdisjoint(wanted))


def reached(delivery: Delivery, restarted: Iterable[Restart]) -> frozenset[ServiceId]:
    """Return every service of the classes in *restarted*."""
    names = {restart.server_class for restart in restarted}
    return frozenset(service for part in delivery.parts if part.class_name in names for service in part.services)


def questions(
    delivery: Delivery,
    service: Service,
    state: ServiceState,
    generation: GenerationId,
    right: Mapping[ServiceId, Generation],
) -> tuple[Question, ...]:
    """Return how the host's ports are asked whether *generation* is served.

    One question for each `verify`, and where the port has records of the service one more for each of its further host
    names. *right* maps every service of the host to the generation it should show. Empty: the files are the proof.
    """
    facts = state.at(generation)
    if facts is None or facts.issued is None:
        return ()
    often = (DANE_CONNECTIONS, DANE_SECONDS) if service.dane else (1, 0.0)
    found = []
    for verify in delivery.verifies(service.id):
        others = _others(delivery, service.id, verify, right)
        own = facts.issued.cert_sha256
        key_type = facts.key_type if service.dane and _certificates(others) - {own} else None
        excused = _excused(delivery, service, verify, facts, others)
        first = Question(service.id, verify, server_name(service), *often, own, excused, key_type)
        former = _certificates(state.generations.values()) - {own} - _certificates(others)
        once = replace(first, connections=1, over_seconds=0.0, former=former)
        found += [first, *(replace(once, server_name=name) for name in _further_names(service, verify) if former)]
    return tuple(found)


def _further_names(service: Service, verify: Verify) -> tuple[str, ...]:
    """Return under which other host names clients that look at records may ask this port for the service."""
    if all(spec.port != verify.port for spec in service.dane):
        return ()
    return tuple(name for name in dict.fromkeys(named_hosts(service)) if name != server_name(service))


def _excused(
    delivery: Delivery, service: Service, verify: Verify, facts: Generation, others: Iterable[Generation]
) -> frozenset[str]:
    """Return what the port may show in place of *facts*."""
    if not _is_dane_port(delivery, service, verify):
        return _certificates(others)
    alike = (other for other in others if _bears(other, server_name(service)))
    return _certificates(other for other in alike if other.key_type == facts.key_type)


def _is_dane_port(delivery: Delivery, service: Service, verify: Verify) -> bool:
    """Whether what this port shows is what the records of *service* are about; a probe may stand in for the port."""
    ports = {each.port for each in service.dane}
    is_asked_itself = any(other.port in ports for other in delivery.verifies(service.id))
    return bool(ports) and (verify.port in ports or not is_asked_itself)


def _bears(facts: Generation, name: str) -> bool:
    """Whether the certificate of *facts* is one for *name*."""
    sans = facts.issued.sans if facts.issued is not None else ()
    return name in sans or f"*.{name.partition('.')[2]}" in sans


def _certificates(found: Iterable[Generation]) -> frozenset[str]:
    return frozenset(facts.issued.cert_sha256 for facts in found if facts.issued is not None)


def server_name(service: Service) -> str:
    """Return the name that the port is asked under: the first DNS name of the certificate, a wildcard filled in."""
    wildcards = [f"sslops.{san[2:]}" for san in service.sans if san.startswith("*.")]
    return next(iter((*named_hosts(service), *wildcards)), service.id.group)


def named_hosts(service: Service) -> tuple[str, ...]:
    """Return the host names that the inventory asks for."""
    return host_names(service.sans)


def host_names(sans: Iterable[str]) -> tuple[str, ...]:
    """Return the host names among the names of a certificate: without wildcards and addresses."""
    return tuple(san for san in sans if not (san.startswith("*.") or is_address(san)))


def _others(
    delivery: Delivery, service: ServiceId, verify: Verify, right: Mapping[ServiceId, Generation]
) -> list[Generation]:
    parts = [part for part in delivery.parts if part.verify == verify and service in part.services]
    others = {other for part in parts for other in part.services} - {service}
    return [right[other] for other in sorted(others) if other in right]


def start_hint(host: Host, services: Iterable[ServiceId]) -> str:
    """Return what to do on *host* where files of *services* lie for the first time and no daemon reads them yet."""
    folders = ", ".join(f"{host.prod_cert_dir}/{service}/curr/" for service in sorted(services))
    again = f"sslops deploy --host {host.name} --apply"
    return f"let the daemon on '{host.name}' read {folders} and start or reload it, then {again}"
