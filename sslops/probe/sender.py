"""The way to a destination as a sender with DANE goes it: MX, addresses, TLSA by a validating resolver, then ports.

RFC 7672 section 2.2: MX hosts count when their MX records are signed, a host when its addresses are; the TLSA base
domain is the end of a signed alias, else the name itself. A lookup that fails is no "there is none".
"""

from __future__ import annotations

import contextlib
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

from sslops.dane.sender_rules import SenderVerdict
from sslops.errors import DnsError, PeerError
from sslops.model.inventory import Endpoint
from sslops.model.tlsa import TlsaParams, TlsaRecord, owner_name
from sslops.probe.dns_question import Patience, ask, has_way_to, is_recursive
from sslops.probe.name_servers import MAX_HOSTS, WORKERS, host_name
from sslops.probe.tls import NoSuchKeyError, SocketChannel, presented_chain, why_not

if TYPE_CHECKING:
    import dns.rdata

_TIMEOUT_SECONDS = 20.0
_MAX_DATA_BYTES = 8192


@dataclass(frozen=True, slots=True)
class Destination:
    """Where mail or a client goes: a domain or host (absolute, lower case), the port and what is spoken before TLS.

    *by_mx*: MX hosts are looked up first, as mail senders do. *names* are more reference identifiers for DANE-TA(2).
    """

    name: str
    port: int
    starttls: str | None
    by_mx: bool

    @property
    def is_mail(self) -> bool:
        """Whether the rules for mail hold (RFC 7672)."""
        return self.starttls == "smtp"

    def __str__(self) -> str:
        """Return what a person typed, or would."""
        host = self.name.rstrip(".")
        return f"{host}:{self.port}" if self.by_mx or not self.is_mail else f"[{host}]:{self.port}"


@dataclass(frozen=True, slots=True)
class Port:
    """One address of a host: each chain (DER, the leaf first) that it presents, or why it presents none."""

    address: str
    chains: tuple[tuple[bytes, ...], ...] = ()
    error: str | None = None
    is_within_reach: bool = True


@dataclass(frozen=True, slots=True)
class SenderHost:
    """One host of a destination, and what a sender finds for it.

    *base* is the TLSA base domain, null where *obstacle* says why DANE is out of the question; *verdict* is then
    DEFERRED or NO_DANE. *names* are what a certificate may be for with DANE-TA(2).
    """

    name: str
    base: str | None = None
    records: tuple[TlsaRecord, ...] = ()
    names: tuple[str, ...] = ()
    addresses: tuple[str, ...] = ()
    obstacle: str | None = None
    verdict: SenderVerdict = SenderVerdict.VERIFIED
    ports: tuple[Port, ...] = ()


@dataclass(frozen=True, slots=True)
class SenderView:
    """All that a sender finds on its way to *destination*; *error* where it ends before any host."""

    destination: Destination
    hosts: tuple[SenderHost, ...] = ()
    is_mx_signed: bool = True
    error: str | None = None
    verdict: SenderVerdict = SenderVerdict.VERIFIED


@dataclass(frozen=True, slots=True)
class _Reply:
    """What the resolver answers for one name and type, aliases followed; *is_signed*: it vouches for all of it."""

    records: tuple[dns.rdata.Rdata, ...]
    canonical: str
    is_signed: bool


class Sender:
    """Looks at destinations by what *validator* says."""

    def __init__(self, validator: Endpoint, patience: Patience = Patience(timeout_seconds=5.0, tries=2)) -> None:
        """Use *patience* for each question."""
        self._validator, self._patience = validator, patience

    def view(self, destination: Destination) -> SenderView:
        """Look at everything on the way to *destination*; whatever goes wrong is in the value."""
        try:
            found = self._hosts(destination) if destination.by_mx else SenderView(destination, (_host(destination),))
        except DnsError as error:
            return SenderView(destination, error=error.what, verdict=SenderVerdict.DEFERRED)
        with ThreadPoolExecutor(WORKERS) as pool:
            hosts = list(pool.map(lambda host: self._resolved(host, destination), found.hosts))
            asked = [(host, address) for host in hosts for address in host.addresses]
            ports = list(pool.map(lambda each: _ask(each[1], each[0].base or each[0].name, destination), asked))
        shown = [
            replace(host, ports=tuple(port for (of, _), port in zip(asked, ports, strict=True) if of is host))
            for host in hosts
        ]
        return replace(found, hosts=tuple(shown))

    def _hosts(self, destination: Destination) -> SenderView:
        """Return the MX hosts, the most preferred first; the domain itself where there are none (RFC 5321 5.1)."""
        domain = destination.name
        reply = self._look_up(domain, "MX")
        if not reply.records:
            names = (domain, reply.canonical) if reply.is_signed else (domain,)
            return SenderView(destination, (SenderHost(domain, names=names),), reply.is_signed)
        if [str(record.exchange) for record in reply.records] == ["."]:  # type: ignore[attr-defined]
            return SenderView(
                destination,
                is_mx_signed=reply.is_signed,
                error=f"'{domain}' takes no mail (null MX, RFC 7505)",
                verdict=SenderVerdict.NO_DANE,
            )
        ordered = sorted(reply.records, key=lambda record: (record.preference, str(record.exchange)))  # type: ignore[attr-defined]
        exchanges = dict.fromkeys(host_name(str(record.exchange), domain) for record in ordered)  # type: ignore[attr-defined]
        if reply.is_signed:
            hosts = tuple(SenderHost(name, names=(domain, reply.canonical)) for name in exchanges)
            return SenderView(destination, hosts)
        why = f"the MX records of '{domain}' are not signed, by what '{self._validator}' says"
        hosts = tuple(SenderHost(name, obstacle=why, verdict=SenderVerdict.NO_DANE) for name in exchanges)
        return SenderView(destination, hosts, is_mx_signed=False)

    def _resolved(self, host: SenderHost, destination: Destination) -> SenderHost:
        """Find the addresses, the TLSA base domain and the records of *host*."""
        try:
            replies = [self._look_up(host.name, rdtype) for rdtype in ("A", "AAAA")]
            addresses = tuple(str(record.address) for reply in replies for record in reply.records)  # type: ignore[attr-defined]
            if not addresses:
                return replace(host, obstacle=f"'{host.name}' has no address", verdict=SenderVerdict.DEFERRED)
            found = replace(host, addresses=addresses[:MAX_HOSTS])
            if host.obstacle is not None:
                return found
            return self._with_records(found, replies, destination)
        except DnsError as error:
            return replace(host, obstacle=error.what, verdict=SenderVerdict.DEFERRED)

    def _with_records(self, host: SenderHost, replies: list[_Reply], destination: Destination) -> SenderHost:
        canonical = next((reply.canonical for reply in replies if reply.records), host.name)
        is_signed = all(reply.is_signed for reply in replies)
        bases = [canonical, host.name] if is_signed else []
        if not is_signed and canonical != host.name and self._look_up(host.name, "CNAME").is_signed:
            # The end of the alias lies in a zone without signatures; the name itself does not (section 2.2.2).
            bases = [host.name]
        if not bases:
            why = f"the addresses of '{host.name}' are not signed, by what '{self._validator}' says"
            return replace(host, obstacle=why, verdict=SenderVerdict.NO_DANE)
        why = ""
        for base in dict.fromkeys(bases):
            owner = owner_name(destination.port, "tcp", base)
            reply = self._look_up(owner, "TLSA")
            if reply.records and reply.is_signed:
                records = tuple(sorted(_record(owner, each) for each in reply.records))
                return replace(host, base=base, records=records, names=(*host.names, host.name, base))
            why = why or (f"no TLSA records at {owner}" if not reply.records else f"records at {owner} are not signed")
        return replace(host, obstacle=why, verdict=SenderVerdict.NO_DANE)

    def _look_up(self, name: str, rdtype: str) -> _Reply:
        """Return records of *name*, aliases followed; DnsError where a sender would have to try again later."""
        import dns.exception
        import dns.flags
        import dns.rcode

        response = ask(self._validator, name, rdtype, self._patience, recursive=True)
        if response.rcode() == dns.rcode.SERVFAIL:
            raise DnsError(
                f"'{self._validator}' has no answer for {rdtype} '{name}' (SERVFAIL): "
                "its DNSSEC chain does not hold, or its servers do not answer"
            )
        if response.rcode() not in (dns.rcode.NOERROR, dns.rcode.NXDOMAIN):
            raise DnsError(f"'{self._validator}' answers {dns.rcode.to_text(response.rcode())} for {rdtype} '{name}'")
        if not is_recursive(response):
            raise DnsError(f"'{self._validator}' is no resolver: it does not look up '{name}'")
        is_signed = bool(response.flags & dns.flags.AD)
        if rdtype == "CNAME":
            return _Reply((), name, is_signed and bool(response.answer))
        try:
            chain = response.resolve_chaining()  # type: ignore[attr-defined]
        except dns.exception.DNSException as error:
            raise DnsError(f"'{self._validator}' gave a broken answer for {rdtype} '{name}'") from error
        records = tuple(chain.answer or ())
        if len(records) > MAX_HOSTS:
            raise DnsError(f"'{name}' has {len(records)} records of type {rdtype}; {MAX_HOSTS} are believed")
        return _Reply(records, str(chain.canonical_name).lower(), is_signed)


def _host(destination: Destination) -> SenderHost:
    return SenderHost(destination.name)


def _record(owner: str, rdata: dns.rdata.Rdata) -> TlsaRecord:
    params = TlsaParams(rdata.usage, rdata.selector, rdata.mtype)  # type: ignore[attr-defined]
    data: bytes = rdata.cert  # type: ignore[attr-defined]
    if len(data) > _MAX_DATA_BYTES:
        raise DnsError(f"a TLSA record at '{owner}' has {len(data)} bytes; {_MAX_DATA_BYTES} are believed")
    return TlsaRecord(owner, params, data.hex())


def _ask(address: str, server_name: str, destination: Destination) -> Port:
    """Ask for the chain that the port likes to present, then for one with the other type of key: senders differ."""
    if not has_way_to(Endpoint(address, destination.port)):
        return Port(address, error="this machine has no way to that address family", is_within_reach=False)

    def chain_for(key_type: str | None) -> tuple[bytes, ...]:
        return presented_chain(
            lambda: SocketChannel(address, destination.port, _TIMEOUT_SECONDS),
            destination.starttls,
            server_name,
            key_type,
        )

    try:
        chains = [chain_for(None)]
        with contextlib.suppress(NoSuchKeyError):
            chains.append(chain_for(_other_key_type(chains[0])))
    except (OSError, PeerError) as error:
        return Port(address, error=why_not(error))
    return Port(address, tuple(dict.fromkeys(chains)))


def _other_key_type(chain: tuple[bytes, ...]) -> str:
    from cryptography import x509
    from cryptography.hazmat.primitives.asymmetric import rsa

    try:
        return "ec" if isinstance(x509.load_der_x509_certificate(chain[0]).public_key(), rsa.RSAPublicKey) else "rsa"
    except (ValueError, IndexError, TypeError):
        return "rsa"
