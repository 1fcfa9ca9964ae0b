"""TLSA records of whatever has a key, and what a sender makes of a destination: for `sslops tlsa`."""

from __future__ import annotations

import re
from dataclasses import dataclass
from functools import partial
from typing import TYPE_CHECKING

from sslops.app.entry import ops_repository
from sslops.app.subjects import PORTS, find_subject, known_roots
from sslops.dane.names import dane_owners
from sslops.dane.records import CA_USAGES, CERT, Der, hashed
from sslops.dane.sender_rules import SenderVerdict, heeded, unusable
from sslops.errors import DnsError, SslopsError, StateError, UsageError
from sslops.inventory.files import read_folder
from sslops.inventory.loading import load
from sslops.inventory.targets import parse_targets
from sslops.model.inventory import DaneOwners, Endpoint
from sslops.model.names import is_address
from sslops.model.tlsa import TlsaParams, TlsaRecord, owner_name
from sslops.report.tlsa import Judged, Judgement, Listing

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Sequence

    from sslops.app.session import Session
    from sslops.model.inventory import Inventory
    from sslops.model.names import GenerationId, ServiceId
    from sslops.model.state import Branches
    from sslops.probe.sender import Destination, Port, SenderHost, SenderView

DEFAULT = TlsaParams(3, 1, 1)
MAIL, SUBMISSION = 25, 587
_DESTINATION = re.compile(r"(?P<left>\[)?(?P<host>[^\s:/\[\]]+)(?(left)\])(?::(?P<port>[0-9]{1,5}))?")


@dataclass(frozen=True, slots=True)
class Wanted:
    """What to print: combinations, owners (host names), ports as (number, protocol); empty means what fits best."""

    params: tuple[TlsaParams, ...] = ()
    names: tuple[str, ...] = ()
    ports: tuple[tuple[int, str], ...] = ()


# Records to print.


def listings(session: Session, word: str, wanted: Wanted, starttls: str | None) -> tuple[Listing, ...]:
    """Return the records of what *word* means, as `find_subject` reads it; of a service those of curr and next."""
    if _is_service(session, word):
        return tuple(_of_services(session, word, wanted))
    subject = find_subject(session, word, starttls=starttls, server_name=wanted.names[0] if wanted.names else None)
    port = _port_of(word) if subject.host is not None else MAIL
    names = wanted.names or ((subject.host,) if subject.host else ())
    return (_listing(subject.name, subject.content, Wanted(wanted.params, names, wanted.ports or ((port, "tcp"),))),)


def _of_services(session: Session, word: str, wanted: Wanted) -> Iterator[Listing]:
    inventory = load(read_folder(session.folder))
    services = sorted(parse_targets([word], inventory) or ())
    ops = ops_repository(session)
    snapshot = ops.snapshot()
    owners = _owners(inventory, services)
    for service in services:
        named = owners.get(service, ())
        ttl_seconds = inventory.services[service].dane_ttl_seconds if named else None
        versions = _versions(snapshot.branches, service)
        documents = ops.documents(snapshot, [(service, version) for version in versions])
        for version, slot in versions.items():
            found = documents[service, version]
            content = (found.cert or found.csr or b"") + (found.chain or b"")
            subject, combinations = f"{service} {version} {slot}", wanted.params or tuple({each[2] for each in named})
            if named and not (wanted.names or wanted.ports):
                yield _about_owners(subject, content, combinations, named, ttl_seconds)
            else:
                sans = tuple(san for san in inventory.services[service].sans if not is_address(san))
                names, ports = wanted.names or sans, wanted.ports or ((MAIL, "tcp"),)
                yield _listing(subject, content, Wanted(combinations, names, ports))


def _versions(branches: Branches, service: ServiceId) -> dict[GenerationId, str]:
    curr, following = branches.main[service].slots.curr, branches.next[service].slots.next
    return {key: slot for key, slot in ((following, "next"), (curr, "curr")) if key is not None}


def _owners(
    inventory: Inventory, services: Iterable[ServiceId]
) -> dict[ServiceId, tuple[tuple[str, int, TlsaParams], ...]]:
    """Return owner, port and combination of each record that the inventory asks for; MX hosts are looked up."""
    from sslops.probe.name_servers import Resolver

    resolver = Resolver()
    asked = [inventory.services[service] for service in services]
    apexes = {each.id.group for each in asked if any(spec.owners is DaneOwners.MX for spec in each.dane)}
    mx = {apex: resolver.mx(apex, inventory.primary_of(apex)) for apex in sorted(apexes)}
    found = dane_owners(inventory, mx)
    return {each.id: tuple((name.owner, name.port, name.params) for name in found.of(each.id)) for each in asked}


def _about_owners(
    subject: str,
    content: bytes,
    combinations: Iterable[TlsaParams],
    named: Iterable[tuple[str, int, TlsaParams]],
    ttl_seconds: int | None,
) -> Listing:
    owners = sorted({owner for owner, _, _ in named})
    records, notes = _records(content, owners, sorted(combinations))
    return Listing(subject, records, ttl_seconds, notes)


def _listing(subject: str, content: bytes, wanted: Wanted) -> Listing:
    names = wanted.names or tuple(sorted(name for name in _names_in(content) if not name.startswith("*.")))
    if not names:
        raise UsageError(f"'{subject}' names no host to own the records", hint="--name HOST")
    owners = [owner_name(port, proto, name) for name in names for port, proto in wanted.ports]
    records, notes = _records(content, owners, wanted.params or (DEFAULT,))
    return Listing(subject, records, None, notes)


def _records(
    content: bytes, owners: Sequence[str], combinations: Sequence[TlsaParams]
) -> tuple[tuple[TlsaRecord, ...], tuple[str, ...]]:
    leaf_spki, certificates = _material(content)
    records: list[TlsaRecord] = []
    notes: list[str] = []
    for params in combinations:
        about = certificates[1:2] if params.usage in CA_USAGES else certificates[:1]
        data = [each.data(params) for each in about]
        if not data and params.usage not in CA_USAGES and params.selector != CERT:
            data = [hashed(leaf_spki, params.match)]
        if not data:
            what = "CA certificate" if params.usage in CA_USAGES else "certificate"
            notes.append(f"{params} needs a {what}, and none is there")
        records += [TlsaRecord(owner, params, each) for owner in owners for each in data]
    return tuple(dict.fromkeys(records)), tuple(notes)


def _material(content: bytes) -> tuple[bytes, tuple[Der, ...]]:
    """Return the public key (DER) and the certificates of PEM or DER, the leaf first; StateError when there is none."""
    from sslops.pki.inspection import certificates_in, public_key_in

    certificates = certificates_in(content)
    key = public_key_in(content) if not certificates else certificates[0].spki
    if key is None:
        message = "there is neither a certificate nor a key to make a record of"
        raise StateError(message, hint="sslops info says what is there")
    return key, certificates


def _names_in(content: bytes) -> Iterable[str]:
    from sslops.pki.inspection import inspect

    for item in inspect(content):
        names = item.facts.get("names")
        if isinstance(names, tuple) and names:
            return tuple(name for name in names if not is_address(name))
    return ()


# A destination as a sender meets it.


def destinations(session: Session, word: str, starttls: str | None) -> tuple[Destination, ...]:
    """Return where *word* leads a sender: `DOMAIN`, `HOST:PORT`, `[HOST]:PORT` (no MX, as in postfix), `GROUP:SVC`."""
    from sslops.probe.sender import Destination

    if _is_service(session, word):
        return tuple(_of_inventory(session, word, starttls))
    found = _DESTINATION.fullmatch(word)
    if found is None or (found["port"] is not None and not 0 < int(found["port"]) < 2**16):
        raise UsageError(f"'{word}' is no destination", hint="DOMAIN, HOST:PORT, [HOST]:PORT or GROUP:SVC")
    port = int(found["port"] or MAIL)
    spoken = PORTS.get(port) if starttls is None else None if starttls == "none" else starttls
    by_mx = spoken == "smtp" and port != SUBMISSION and found["left"] is None
    return (Destination(_host_name(found["host"]), port, spoken, by_mx),)


def _of_inventory(session: Session, word: str, starttls: str | None) -> Iterator[Destination]:
    from sslops.probe.sender import Destination

    inventory = load(read_folder(session.folder))
    found: dict[Destination, None] = {}
    for service in sorted(parse_targets([word], inventory) or ()):
        asked = inventory.services[service]
        for spec in asked.dane:
            spoken = PORTS.get(spec.port) if starttls is None else None if starttls == "none" else starttls
            if spec.owners is DaneOwners.MX:
                found[Destination(f"{service.group}.", spec.port, starttls or "smtp", by_mx=True)] = None
            else:
                hosts = (san for san in asked.sans if not san.startswith("*.") and not is_address(san))
                found |= dict.fromkeys(Destination(f"{host}.", spec.port, spoken, by_mx=False) for host in hosts)
    if not found:
        raise StateError(f"nothing of '{word}' has dane_tls", hint="sslops tlsa --check HOST:PORT")
    yield from found


def judge(session: Session, destination: Destination, validator: Endpoint) -> Judgement:
    """Go the way of a sender to *destination* and judge every address, by what *validator* says of DNS."""
    from sslops.probe.sender import Sender

    view = Sender(validator).view(destination)
    if view.error is not None:
        return Judgement(view, (Judged(destination.name, None, view.verdict, None, view.error),), ())
    rows = tuple(row for host in view.hosts for row in _judged(session, destination, host))
    return Judgement(view, rows, tuple(_notes(view)))


def validator_of(session: Session, given: str | None) -> Endpoint:
    """Return the resolver to believe: *given*, else the inventory's `dns.validator`, else that of this machine."""
    if given is not None:
        return _endpoint(given)
    try:
        settings = load(read_folder(session.folder)).dns
    except SslopsError:
        settings = None
    return settings.validator if settings is not None and settings.validator is not None else _system_resolver()


def _endpoint(text: str) -> Endpoint:
    from sslops.inventory import names

    try:
        return names.endpoint(text)
    except ValueError as error:
        raise UsageError(f"'{text}' is no resolver: {error}", hint="--resolver 127.0.0.1") from error


def _system_resolver() -> Endpoint:
    import dns.exception
    import dns.resolver

    try:
        found = dns.resolver.Resolver().nameservers
    except dns.exception.DNSException:
        found = []
    if not found:
        raise DnsError("this machine has no resolver", hint="--resolver ADDRESS")
    return Endpoint(str(found[0]), 53)


def _judged(session: Session, destination: Destination, host: SenderHost) -> Iterator[Judged]:
    if host.obstacle is not None:
        for address in host.addresses or (None,):
            yield Judged(host.name, address, host.verdict, None, host.obstacle)
        return
    usable = [record for record in host.records if unusable(record, is_mail=destination.is_mail) is None]
    for port in host.ports:
        yield _judge_port(session, host, port, heeded(usable))


def _judge_port(session: Session, host: SenderHost, port: Port, records: Sequence[TlsaRecord]) -> Judged:
    from cryptography import x509

    from sslops.pki.certificate import split_chain
    from sslops.pki.dane_verification import Client, match_chain

    told = partial(Judged, host.name, port.address)
    if not port.is_within_reach:
        return told(SenderVerdict.SKIPPED, None, port.error or "")
    if port.error is not None:
        return told(SenderVerdict.DEFERRED, None, port.error)
    if not records:
        return told(SenderVerdict.FAILED, None, "no record is usable: a sender encrypts, and verifies nothing")
    needs_roots = any(record.params.usage in (0, 1) for record in records)
    pem = known_roots(session) if needs_roots else []
    roots = [x509.load_pem_x509_certificate(block) for each in pem for block in split_chain(each)]
    names = tuple(dict.fromkeys(name.rstrip(".") for name in host.names))
    found = [match_chain(chain, records, Client(names, session.now, roots)) for chain in port.chains]
    failed = next((match for match in found if match.record is None), None)
    if failed is not None:
        return told(SenderVerdict.FAILED, None, failed.cause)
    return told(SenderVerdict.VERIFIED, found[0].record, "; ".join(dict.fromkeys(m.cause for m in found if m.cause)))


def _notes(view: SenderView) -> Iterator[str]:
    """Yield what a sender ignores, and what it finds though some other sender would not."""
    for host in view.hosts:
        for record in host.records:
            fault = unusable(record, is_mail=view.destination.is_mail)
            if fault is not None:
                yield f"{record.owner} is ignored in part: {fault}"
        usable = [record for record in host.records if unusable(record, is_mail=view.destination.is_mail) is None]
        weaker = sorted({str(record.params) for record in set(usable) - set(heeded(usable))})
        if weaker:
            yield f"{host.name}: {', '.join(weaker)} counts only for a sender without the stronger digest"


def _is_service(session: Session, word: str) -> bool:
    """Whether *word* is a TARGET, and neither a file nor a host with a port."""
    if (session.start / word).is_file() or _DESTINATION.fullmatch(word):
        return False
    return ":" in word or "/" in word


def _port_of(word: str) -> int:
    return int(word.rpartition(":")[2])


def _host_name(text: str) -> str:
    from sslops.probe.name_servers import host_name

    if is_address(text):
        raise UsageError(f"'{text}' is an address, and DANE is about names", hint="the name of the host")
    try:
        ascii_form = text if text.isascii() else _a_labels(text)
        return host_name(f"{ascii_form.rstrip('.')}.", text)
    except (DnsError, ValueError) as error:
        raise UsageError(f"'{text}' is no host name") from error


def _a_labels(text: str) -> str:
    import idna

    try:
        return idna.encode(text.lower(), uts46=True).decode()
    except idna.IDNAError as error:
        raise ValueError(str(error)) from error
