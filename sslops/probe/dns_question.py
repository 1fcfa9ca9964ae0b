"""One DNS question to one address, and what of the answer may be believed.

By UDP, and TCP when the answer was truncated; or by TCP at once, where nobody off the path can forge an answer.
Everything that comes back is hostile: it is bounded, and what breaks the rules is a DnsError that names the server.
"""

from __future__ import annotations

import errno
import secrets
import select
import socket
import struct
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Self

from sslops.errors import DnsError
from sslops.model.inventory import Endpoint
from sslops.model.tlsa import EMPTY, Rrset, TlsaParams, TlsaRecord
from sslops.system.debug_log import step

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping, Sequence

    import dns.message
    import dns.rrset


MAX_RECORDS = 64
"""More records than this in one RRset are not a site's own."""

MAX_DATA_BYTES = 8192
"""A whole certificate (matching type 0) fits; a flood does not."""

EDNS_PAYLOAD_BYTES = 1232
"""What passes without fragments on every path (DNS flag day 2020)."""

_LACKS_FAMILY = frozenset({errno.EAFNOSUPPORT, errno.ENETUNREACH, errno.EADDRNOTAVAIL, errno.EPROTONOSUPPORT})


class FamilyLackingError(DnsError):
    """This machine has no way to addresses of that family."""


class SilentError(DnsError):
    """An address gave no answer that could be read."""


OTHERS_TTL_SECONDS = 86400
"""How long somebody else's records may live in caches where an alias leads to a zone that was not asked."""


class AliasError(DnsError):
    """A CNAME or DNAME where TLSA records belong; no second address makes it right.

    *rrset* is what a resolver makes of it, as records of the alias itself: those at its end, as far as the same server
    tells, and how long they live in caches.
    """

    def __init__(self, what: str, rrset: Rrset) -> None:
        """Keep what caches may hold."""
        super().__init__(what)
        self.rrset = rrset


@dataclass(frozen=True, slots=True)
class Patience:
    """How long an address may take for one try, and how many tries it gets."""

    timeout_seconds: float = 2.0
    tries: int = 2


class Conversation:
    """One TCP connection to *endpoint* for many questions (RFC 7766 section 6.2.1); a server may end it between two."""

    def __init__(self, endpoint: Endpoint) -> None:
        """Nothing is connected before the first question."""
        self._endpoint = _numeric(endpoint)
        self._socket: socket.socket | None = None
        self._ahead: dict[_Question, dns.message.Message] = {}
        self.stranger = stranger()
        """A label that no zone has; one for all questions of this connection."""

    def __enter__(self) -> Self:
        """Begin."""
        return self

    def __exit__(self, *_: object) -> None:
        """End the connection."""
        self._end()

    def exchange(self, query: dns.message.Message, timeout_seconds: float) -> dns.message.Message:
        """Return the answer; a connection that was used before and has ended is begun once more."""
        early = self._ahead.pop(_question(query), None)
        if early is not None:
            return early
        is_new = self._socket is None
        try:
            return self._exchange(query, timeout_seconds)
        except (EOFError, ConnectionError):
            self._end()
            if is_new:
                raise
            return self._exchange(query, timeout_seconds)
        except BaseException:
            self._end()
            raise

    def ask_ahead(self, owners: Sequence[str], timeout_seconds: float) -> None:
        """Ask all that `authoritative_tlsa` asks for *owners*: records, and what tells a wildcard's from their own."""
        queries = [_query(owner, "TLSA", is_signed=True) for owner in owners]
        self._send_ahead(queries, timeout_seconds)
        answers = (self._ahead.get(_question(query)) for query in queries)
        unsigned = [owner for owner, each in zip(owners, answers, strict=True) if each is not None and _is_bare(each)]
        self._send_ahead([_query(f"{self.stranger}.{owner}", "TLSA") for owner in unsigned], timeout_seconds)

    def _send_ahead(self, queries: Iterable[dns.message.Message], timeout_seconds: float) -> None:
        """Ask many questions without waiting between them (RFC 7766 section 6.2.1.1), and keep the answers.

        `exchange` then has them at once; a question without an answer by then is asked as if nothing had been. Ends
        when all are there, when nothing came for *timeout_seconds*, or when the server ended the connection.
        """
        waiting: dict[int, dns.message.Message] = {}
        for query in queries:
            while query.id in waiting:
                query.id = secrets.randbelow(_NUMBERS)
            waiting[query.id] = query
        if not waiting:
            return
        try:
            for wire in _pipelined(self._connected(timeout_seconds), waiting, timeout_seconds):
                self._keep(wire, waiting)
        except (OSError, EOFError):
            # What is still under way here would be taken for the answer to a later question.
            self._end()

    def _keep(self, wire: bytes, waiting: dict[int, dns.message.Message]) -> None:
        import dns.exception
        import dns.message

        try:
            response = dns.message.from_wire(wire)
        except (dns.exception.DNSException, ValueError) as error:
            raise EOFError from error
        query = waiting.get(response.id)
        if query is None or not query.is_response(response):
            raise EOFError
        del waiting[response.id]
        self._ahead[_question(query)] = response

    def _connected(self, timeout_seconds: float) -> socket.socket:
        if self._socket is None:
            where, port = self._endpoint.address, self._endpoint.port
            self._socket = socket.create_connection((where, port), timeout=timeout_seconds)
            self._socket.setblocking(False)
        return self._socket

    def _exchange(self, query: dns.message.Message, timeout_seconds: float) -> dns.message.Message:
        import dns.query

        where, port = self._endpoint.address, self._endpoint.port
        return dns.query.tcp(query, where, timeout_seconds, port, sock=self._connected(timeout_seconds))

    def _end(self) -> None:
        if self._socket is not None:
            self._socket.close()
            self._socket = None


UNDER_WAY = 100
"""So many questions without an answer yet on one connection: more, and a server may drop some."""

_Question = tuple[object, ...]


def _question(query: dns.message.Message) -> _Question:
    asked = query.question[0]
    return (asked.name, asked.rdtype, asked.rdclass, query.flags, query.ednsflags)


def _pipelined(
    connection: socket.socket, waiting: Mapping[int, dns.message.Message], timeout_seconds: float
) -> Iterator[bytes]:
    """Send the questions *waiting* and yield answers as they come; whoever takes one removes it from *waiting*."""
    questions = iter(list(waiting.values()))
    sent, unsent, received = 0, bytearray(), bytearray()
    total = len(waiting)
    while waiting:
        while sent - (total - len(waiting)) < UNDER_WAY and (query := next(questions, None)) is not None:
            wire = query.to_wire()
            unsent += struct.pack("!H", len(wire)) + wire
            sent += 1
        readable, writable, _ = select.select([connection], [connection] if unsent else [], [], timeout_seconds)
        if not (readable or writable):
            raise TimeoutError
        if writable:
            del unsent[: connection.send(unsent)]
        if readable:
            chunk = connection.recv(_CHUNK_BYTES)
            if not chunk:
                raise EOFError
            received += chunk
            yield from _messages(received)


def _messages(received: bytearray) -> Iterator[bytes]:
    """Take whole messages off the front of *received* (RFC 1035 section 4.2.2)."""
    while len(received) >= _LENGTH_BYTES:
        end = _LENGTH_BYTES + int.from_bytes(received[:_LENGTH_BYTES], "big")
        if len(received) < end:
            return
        wire = bytes(received[_LENGTH_BYTES:end])
        del received[:end]
        yield wire


_NUMBERS = 1 << 16
_LENGTH_BYTES = 2
_CHUNK_BYTES = 65536


def _is_bare(response: dns.message.Message) -> bool:
    """Whether it has records and no signature of any."""
    import dns.rdatatype

    return bool(response.answer) and all(each.rdtype != dns.rdatatype.RRSIG for each in response.answer)


def _query(
    name: str, rdtype: str, *, recursive: bool = False, is_checked: bool = True, is_signed: bool = False
) -> dns.message.Message:
    import dns.flags
    import dns.message

    # AD in a question asks for it in the answer (RFC 6840 section 5.7); who does not validate ignores it.
    flags = dns.flags.RD | dns.flags.AD if recursive else 0
    flags |= 0 if is_checked else dns.flags.CD
    return dns.message.make_query(
        name, rdtype, flags=flags, use_edns=0, payload=EDNS_PAYLOAD_BYTES, want_dnssec=is_signed
    )


def ask(
    endpoint: Endpoint,
    name: str,
    rdtype: str,
    patience: Patience,
    *,
    recursive: bool = False,
    is_checked: bool = True,
    is_signed: bool = False,
    conversation: Conversation | None = None,
) -> dns.message.Message:
    """Return the answer of *endpoint*, whatever its rcode; DnsError when there is none that can be read.

    *is_checked* false asks a validating resolver for what it would refuse (flag CD), *is_signed* for the signatures too
    (flag DO). A *conversation* with the endpoint is asked by TCP only. SilentError when nothing came back that could be
    read.
    """
    import dns.exception
    import dns.rcode

    numeric = _numeric(endpoint)
    query = _query(name, rdtype, recursive=recursive, is_checked=is_checked, is_signed=is_signed)
    failure: Exception | None = None
    for _ in range(patience.tries):
        try:
            with step("asks %s for %s %s", endpoint, rdtype, name) as came:
                if conversation is not None:
                    answer = conversation.exchange(query, patience.timeout_seconds)
                else:
                    answer = _exchange(query, numeric, patience.timeout_seconds)
                came.came = f"{dns.rcode.to_text(answer.rcode())}, {len(answer.answer)} RRsets"
                return answer
        except OSError as error:
            if error.errno in _LACKS_FAMILY:
                raise FamilyLackingError(f"this machine has no way to '{endpoint}'") from error
            failure = error
        except (dns.exception.DNSException, EOFError, ValueError) as error:
            failure = error
    said = f"name server '{endpoint}' gave no answer for {rdtype} '{name}': {_reason(failure)}"
    raise SilentError(said) from failure


def has_way_to(endpoint: Endpoint) -> bool:
    """Whether this machine has the address family and a route; asked of the kernel, nothing is sent.

    True for a name, which may have addresses of both families.
    """
    try:
        with socket.socket(_family(endpoint), socket.SOCK_DGRAM) as probe:
            probe.connect((endpoint.address, endpoint.port))
    except OSError as error:
        return error.errno not in _LACKS_FAMILY
    return True


def authoritative_tlsa(
    endpoint: Endpoint, owner: str, patience: Patience, conversation: Conversation | None = None
) -> Rrset:
    """Return the TLSA records that *endpoint* is authoritative for at *owner*; EMPTY when it says there are none.

    What it makes of a wildcard has that `wildcard`; so have the records at the end of an alias that a wildcard gives,
    where the same zone has both. DnsError for an answer that a resolver would not use: lame, refused, failed, or an
    alias of the owner's own (AliasError).
    """
    import dns.rcode

    response = ask(endpoint, owner, "TLSA", patience, is_signed=True, conversation=conversation)
    if response.rcode() not in (dns.rcode.NOERROR, dns.rcode.NXDOMAIN):
        raise DnsError(f"name server '{endpoint}' answers {dns.rcode.to_text(response.rcode())} for '{owner}'")
    if not is_authoritative(response):
        raise DnsError(f"name server '{endpoint}' is not authoritative for '{owner}'")
    if is_alias(response):
        return _behind_wildcard_alias(response, endpoint, owner, patience)
    found = records_of(response, owner, "TLSA")
    if found is None:
        return EMPTY
    rrset = _rrset(found, owner, endpoint)
    wildcard = wildcard_of(response, endpoint, owner, "TLSA", patience, conversation)
    return rrset if wildcard is None else _synthesised(rrset, response, wildcard)


def is_alias(response: dns.message.Message) -> bool:
    """Whether the answer goes through a CNAME or DNAME."""
    import dns.rdatatype

    return any(rrset.rdtype in (dns.rdatatype.CNAME, dns.rdatatype.DNAME) for rrset in response.answer)


def wildcard_of(
    response: dns.message.Message,
    endpoint: Endpoint,
    name: str,
    rdtype: str,
    patience: Patience,
    conversation: Conversation | None = None,
) -> str | None:
    """Return the wildcard that *endpoint* made the RRset of *name* in *response* of; null where the name has its own.

    The signature counts the labels of the wildcard (RFC 4034 section 3.1.3). An RRset without one is compared with what
    a name below *name*, which nobody can have made, is answered: only while *name* does not exist that is the same.
    """
    import dns.name
    import dns.rdataclass
    import dns.rdatatype

    found = records_of(response, name, rdtype)
    if found is None:
        return None
    owner, wanted = dns.name.from_text(name), dns.rdatatype.from_text(rdtype)
    signatures = response.get_rrset(response.answer, owner, dns.rdataclass.IN, dns.rdatatype.RRSIG, wanted)
    if signatures is None:
        below = f"{stranger() if conversation is None else conversation.stranger}.{name}"
        other = records_of(ask(endpoint, below, rdtype, patience, conversation=conversation), below, rdtype)
        return UNKNOWN_WILDCARD if other is not None and set(other) == set(found) else None
    labels = min(int(signature.labels) for signature in signatures)
    above = owner.labels[:-1]
    if labels >= len(above):
        return None
    return f"*.{dns.name.Name((*above[len(above) - labels :], b'')).to_text().lower()}"


UNKNOWN_WILDCARD = "*"
"""Some wildcard above: a zone without signatures does not tell which."""


def stranger() -> str:
    """Return a label that no zone has: what is answered for it comes from a wildcard."""
    return f"sslops-{secrets.token_hex(8)}"


def zone_cut(response: dns.message.Message, apex: str, name: str) -> str | None:
    """Return why a record of *name* in the zone *apex* would be seen by nobody; null when it would be.

    A referral names the cut, an answer from a zone of its own its SOA; below a DNAME nothing exists (RFC 6672 section
    2.4).
    """
    import dns.name
    import dns.rdatatype

    owner, top = dns.name.from_text(name), dns.name.from_text(apex)
    for rrset in response.answer:
        if rrset.rdtype == dns.rdatatype.DNAME and owner != rrset.name and owner.is_subdomain(rrset.name):
            return f"'{name}' lies below the DNAME of '{rrset.name.to_text().lower()}', and has no records of its own"
    kinds = {dns.rdatatype.SOA} if is_authoritative(response) else {dns.rdatatype.SOA, dns.rdatatype.NS}
    zones = [rrset.name for rrset in response.authority if rrset.rdtype in kinds]
    zones += [each.signer for rrset in response.answer if rrset.rdtype == dns.rdatatype.RRSIG for each in rrset]
    for zone in zones:
        if owner.is_subdomain(zone) and zone.is_subdomain(top) and zone != top:
            cut = zone.to_text().lower()
            return f"'{name}' lies behind a zone cut: '{cut}' is a zone of its own, and '{apex}' does not answer for it"
    return None


def distrust(validator: Endpoint, owner: str, patience: Patience) -> str | None:
    """Return why the validating resolver *validator* does not vouch for the TLSA records at *owner*; null: it does.

    A name without records is vouched for when that itself is proven; a resolver that gives no answer vouches for
    nothing (RFC 4035 section 3.2.3, RFC 7672 section 2.1).
    """
    import dns.flags
    import dns.rcode

    try:
        response = ask(validator, owner, "TLSA", patience, recursive=True)
    except DnsError as error:
        return error.what
    if response.rcode() == dns.rcode.SERVFAIL:
        return f"'{validator}' finds '{owner}' broken: its DNSSEC chain does not hold, or its servers do not answer"
    if response.rcode() not in (dns.rcode.NOERROR, dns.rcode.NXDOMAIN):
        return f"'{validator}' answers {dns.rcode.to_text(response.rcode())} for '{owner}'"
    if not response.flags & dns.flags.AD:
        return f"'{validator}' does not find '{owner}' signed, so nobody heeds its TLSA records"
    return None


def broken(validator: Endpoint, name: str, rdtype: str, patience: Patience) -> str | None:
    """Return why *validator* finds the answer for *name* bogus (RFC 4035 section 4.3); null: it does not.

    Bogus is what it refuses as long as it checks, and answers with checking disabled (flag CD). A resolver or a name
    server that does not answer at all says nothing about signatures.
    """
    import dns.rcode

    try:
        if ask(validator, name, rdtype, patience, recursive=True).rcode() != dns.rcode.SERVFAIL:
            return None
        unchecked = ask(validator, name, rdtype, patience, recursive=True, is_checked=False)
    except DnsError:
        return None
    if unchecked.rcode() not in (dns.rcode.NOERROR, dns.rcode.NXDOMAIN):
        return None
    return f"'{validator}' finds {rdtype} '{name}' broken: its DNSSEC chain does not hold"


def is_authoritative(response: dns.message.Message) -> bool:
    """Whether the answer carries the flag AA."""
    import dns.flags

    return bool(response.flags & dns.flags.AA)


def is_recursive(response: dns.message.Message) -> bool:
    """Whether the server offers recursion (flag RA), so that its answer is more than a referral."""
    import dns.flags

    return bool(response.flags & dns.flags.RA)


def records_of(response: dns.message.Message, name: str, rdtype: str) -> dns.rrset.RRset | None:
    """Return the RRset of exactly *name* in the answer section; null when there is none."""
    import dns.name
    import dns.rdataclass
    import dns.rdatatype

    owner, wanted = dns.name.from_text(name), dns.rdatatype.from_text(rdtype)
    return response.get_rrset(response.answer, owner, dns.rdataclass.IN, wanted)


def _exchange(query: dns.message.Message, endpoint: Endpoint, timeout_seconds: float) -> dns.message.Message:
    import dns.flags
    import dns.query

    where, port = endpoint.address, endpoint.port
    with socket.socket(_family(endpoint), socket.SOCK_DGRAM) as connected:
        # Only a connected socket learns at once that nobody listens, and takes answers from nobody else.
        connected.connect((where, port))
        connected.setblocking(False)
        answer = dns.query.udp(query, where, timeout_seconds, port, sock=connected)
    if answer.flags & dns.flags.TC:
        return dns.query.tcp(query, where, timeout_seconds, port)
    return answer


def _family(endpoint: Endpoint) -> socket.AddressFamily:
    return socket.AF_INET6 if ":" in endpoint.address else socket.AF_INET


def _numeric(endpoint: Endpoint) -> Endpoint:
    # A name server may be given by name; dnspython wants an address.
    try:
        found = socket.getaddrinfo(endpoint.address, endpoint.port, type=socket.SOCK_DGRAM)
    except OSError as error:
        raise DnsError(f"name server '{endpoint}' has no address") from error
    return Endpoint(str(found[0][4][0]), endpoint.port)


def _behind_wildcard_alias(response: dns.message.Message, endpoint: Endpoint, owner: str, patience: Patience) -> Rrset:
    """Return what stands at the end of an alias that a wildcard gives *owner*; AliasError for one of its own.

    Such an alias ends with the first record at *owner*. Where it leads out of the zone it cannot be known what is
    lost then, so that is an AliasError too.
    """
    import dns.rdatatype

    wildcard = wildcard_of(response, endpoint, owner, "CNAME", patience)
    found = [rrset for rrset in response.answer if rrset.rdtype == dns.rdatatype.TLSA]
    is_whole = bool(found) or any(rrset.rdtype == dns.rdatatype.SOA for rrset in response.authority)
    longest = max(rrset.ttl for rrset in response.answer)
    reached = replace(_rrset(found[0], owner, endpoint), ttl_seconds=longest) if found else EMPTY
    if wildcard is None or not is_whole:
        raise AliasError(_alias_words(response, endpoint, owner, reached), _cached(reached, longest, is_whole=is_whole))
    return _synthesised(reached, response, wildcard) if found else EMPTY


def _cached(reached: Rrset, longest: int, *, is_whole: bool) -> Rrset:
    """Return what caches may hold of an alias whose end has the records *reached*, as far as that is known."""
    return replace(reached, ttl_seconds=longest if is_whole else max(longest, OTHERS_TTL_SECONDS))


def _alias_words(response: dns.message.Message, endpoint: Endpoint, owner: str, reached: Rrset) -> str:
    """Say where an alias leads, and which lines give the same answer without it."""
    import dns.rdatatype

    targets = [rrset[0].target for rrset in response.answer if rrset.rdtype == dns.rdatatype.CNAME]
    to = f" of '{targets[-1].to_text().lower()}'" if targets else ""
    lines = ", ".join(
        f"'{owner} {reached.ttl_seconds} IN TLSA {each.params} {each.data}'" for each in sorted(reached.records)
    )
    instead = f"; in its place belong {lines}" if lines else ""
    return f"'{owner}' is an alias{to} on name server '{endpoint}', and no record can stand beside it{instead}"


def _synthesised(rrset: Rrset, response: dns.message.Message, wildcard: str) -> Rrset:
    """Return *rrset* as made of *wildcard*.

    A resolver that keeps the proof that the name does not exist may go on making the answer by itself, of a wildcard it
    asked for anew, for as long as that proof lives (RFC 8198 section 5.3): so its TTL counts too.
    """
    import dns.rdatatype

    denials = (dns.rdatatype.NSEC, dns.rdatatype.NSEC3)
    proof = max((each.ttl for each in response.authority if each.rdtype in denials), default=0)
    return replace(rrset, ttl_seconds=max(rrset.ttl_seconds, proof), wildcard=wildcard)


def _rrset(found: dns.rrset.RRset, owner: str, endpoint: Endpoint) -> Rrset:
    if len(found) > MAX_RECORDS or any(len(record.cert) > MAX_DATA_BYTES for record in found):
        raise DnsError(f"name server '{endpoint}' shows more at '{owner}' than TLSA records of one name can be")
    records = (
        TlsaRecord(owner, TlsaParams(int(record.usage), int(record.selector), int(record.mtype)), record.cert.hex())
        for record in found
    )
    return Rrset(found.ttl, frozenset(records))


def _reason(failure: Exception | None) -> str:
    import dns.exception

    if isinstance(failure, dns.exception.Timeout):
        return "timed out"
    if isinstance(failure, OSError):
        return (failure.strerror or "failed").lower()
    return f"a broken message ({type(failure).__name__})"
