"""Asking real name servers, and some that lie."""

from __future__ import annotations

import contextlib
import errno
import socket
import threading
from typing import TYPE_CHECKING

import dns.flags
import pytest

from sslops.errors import DnsError
from sslops.model.inventory import Endpoint
from sslops.model.tlsa import EMPTY, Rrset, TlsaRecord
from sslops.probe.dns_question import Patience
from sslops.probe.name_servers import Resolver
from tests.world.forged import ForgedServer
from tests.world.loopback import DNS_PORT, fresh_address
from tests.world.validating_resolver import ValidatingResolver

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

    import dns.message

    from tests.world.dns import DnsWorld

OWNER = "_25._tcp.mail.example.com."
OTHER = "_25._tcp.other.example.com."
INCLUDE = "external/zones/include-tlsa/tlsa.example.com"
OLD = f"3 1 1 {'aa' * 32}"
NEW = f"3 1 1 {'bb' * 32}"
QUICK = Patience(timeout_seconds=0.2, tries=2)
"""For a server that says nothing; one that answers gets the usual time, since a test machine may stall."""


def record(text: str, owner: str = OWNER) -> TlsaRecord:
    """Read a record of *owner*."""
    return TlsaRecord.parse(f"{owner} {text}")


def publish(world: DnsWorld, *records: str, ttl_seconds: int = 7) -> None:
    """Push *records* of OWNER."""
    world.edit({INCLUDE: "".join(f"{OWNER} {ttl_seconds} IN TLSA {text}\n" for text in records)})


def both(world: DnsWorld) -> dict[str, tuple[Endpoint, ...]]:
    """Name the two servers of *world*."""
    return {"ns1": (world.primary,), "ns2": (world.secondary,)}


def test_each_server_shows_what_it_has(dns_world: DnsWorld) -> None:
    """A lagging secondary is seen with its old record and its TTL, the primary with the new one."""
    publish(dns_world, OLD)
    dns_world.settle()
    dns_world.lag()
    publish(dns_world, NEW, OLD, ttl_seconds=9)
    first, second = Resolver().tlsa(both(dns_world), [OWNER])

    assert Rrset(9, frozenset({record(NEW), record(OLD)})) == first.answers[OWNER]
    assert Rrset(7, frozenset({record(OLD)})) == second.answers[OWNER]
    assert second.shows(record(NEW)) is False


def test_a_name_without_records_is_empty(dns_world: DnsWorld) -> None:
    """NODATA and NXDOMAIN are answers: nothing is there."""
    publish(dns_world, OLD)
    (first, _) = Resolver().tlsa(both(dns_world), [OTHER, "mail.example.com."])

    assert {OTHER: EMPTY, "mail.example.com.": EMPTY} == first.answers


def test_a_stopped_server_is_an_error_that_names_it(dns_world: DnsWorld) -> None:
    """Nothing is known of it, and the others are unharmed."""
    publish(dns_world, OLD)
    dns_world.stop("ns2")
    first, second = Resolver().tlsa(both(dns_world), [OWNER])

    assert first.shows(record(OLD)) is True
    assert second.shows(record(OLD)) is None
    assert str(dns_world.secondary) in (second.error or "")


def test_a_zone_that_is_not_served_is_an_error(dns_world: DnsWorld) -> None:
    """REFUSED says nothing about the records."""
    (seen, _) = Resolver().tlsa(both(dns_world), ["_25._tcp.mail.example.org."])

    assert "REFUSED" in (seen.error or "")


def test_an_alias_is_told_of_its_own_owner_and_of_no_other(dns_world: DnsWorld) -> None:
    """The records at its end belong to somebody else."""
    dns_world.edit({INCLUDE: f"{OWNER} 7 IN CNAME {OTHER}\n{OTHER} 7 IN TLSA {OLD}\n"})
    (seen, _) = Resolver().tlsa(both(dns_world), [OWNER])

    assert (None, [OWNER], True) == (seen.error, list(seen.aliases), "alias" in seen.aliases[OWNER])
    assert {OWNER} == seen.differing


def test_a_delegated_name_is_an_error(dns_world: DnsWorld) -> None:
    """A referral is no authoritative answer."""
    dns_world.edit({INCLUDE: "mail2.example.com. 7 IN NS ns.example.net.\n"})
    (seen, _) = Resolver().tlsa(both(dns_world), ["_25._tcp.mail2.example.com."])

    assert "not authoritative" in (seen.error or "")


def test_a_large_answer_comes_by_tcp(dns_world: DnsWorld) -> None:
    """What does not fit into a datagram is asked again."""
    records = [f"3 0 0 {number:02x}{'cc' * 400}" for number in range(8)]
    publish(dns_world, *records)
    (seen, _) = Resolver().tlsa(both(dns_world), [OWNER])

    assert {record(text) for text in records} == seen.answers[OWNER].records


def test_two_addresses_that_differ_are_taken_at_their_worst(dns_world: DnsWorld) -> None:
    """Only what both show is there, with the larger TTL."""
    publish(dns_world, OLD)
    dns_world.settle()
    dns_world.lag()
    publish(dns_world, NEW, OLD, ttl_seconds=9)
    (seen,) = Resolver().tlsa({"ns": (dns_world.primary, dns_world.secondary)}, [OWNER])

    assert Rrset(9, frozenset({record(OLD)})) == seen.answers[OWNER]
    assert frozenset({OWNER}) == seen.differing
    assert seen.shows(record(OLD)) is False


def test_one_dead_address_of_two_is_only_mentioned(dns_world: DnsWorld) -> None:
    """Each server needs one address that answers."""
    publish(dns_world, OLD)
    said: list[str] = []
    dead = Endpoint(fresh_address(), DNS_PORT)
    (seen,) = Resolver(said.append).tlsa({"ns": (dead, dns_world.primary)}, [OWNER])

    assert seen.shows(record(OLD)) is True
    assert str(dead) in said[0]


def test_a_server_without_any_address_is_an_error() -> None:
    """A name server that does not resolve cannot be asked."""
    (seen,) = Resolver().tlsa({"ns": ()}, [OWNER])

    assert seen.error == "name server 'ns' has no address"


def test_mail_hosts_and_name_servers_come_from_the_primary(dns_world: DnsWorld) -> None:
    """The primary gives NS, MX and addresses of an apex."""
    resolver = Resolver()
    servers = resolver.name_servers("example.com", dns_world.primary, ())

    assert ("mail.example.com.",) == resolver.mx("example.com", dns_world.primary)
    assert ("192.0.2.1",) == resolver.addresses("mail.example.com.", dns_world.primary)
    assert {
        "ns1.example.com.": (Endpoint(dns_world.primary.address),),
        "ns2.example.com.": (Endpoint(dns_world.secondary.address),),
    } == servers


def test_listed_servers_are_taken_as_they_are(dns_world: DnsWorld) -> None:
    """What is listed wins over NS records, and each entry is a server of its own."""
    servers = Resolver().name_servers("example.com", None, (dns_world.primary, dns_world.secondary))

    assert {str(endpoint): (endpoint,) for endpoint in (dns_world.primary, dns_world.secondary)} == servers


def test_a_listed_name_has_all_its_addresses(dns_world: DnsWorld) -> None:
    """A server may be listed by name; it is one server, whatever its addresses."""
    listed = Endpoint("mail.example.com", DNS_PORT)
    servers = Resolver().name_servers("example.com", dns_world.primary, (listed,))

    assert {f"mail.example.com:{DNS_PORT}": (Endpoint("192.0.2.1", DNS_PORT),)} == servers


def test_a_family_that_this_machine_lacks_is_left_out_and_said(
    dns_world: DnsWorld, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Many CI networks have no IPv6; what they cannot ask must not stop them."""

    class Lacking(socket.socket):
        """A socket of a machine without a route for IPv6."""

        def connect(self, address: tuple[str, int]) -> None:  # type: ignore[override]
            """Refuse what has a colon."""
            if ":" in address[0]:
                raise OSError(errno.ENETUNREACH, "network is unreachable")
            super().connect(address)

    monkeypatch.setattr(socket, "socket", Lacking)
    said: list[str] = []
    far = Endpoint("2001:db8::1")
    servers = Resolver(said.append).name_servers("example.com", None, (dns_world.primary, far))

    assert {str(dns_world.primary)} == set(servers)
    assert [f"name server '{far}' is left out: this machine lacks its address family"] == said
    assert {str(far): (far,)} == Resolver().name_servers("example.com", None, (far,))

    (seen,) = Resolver().tlsa({"ns": (far, dns_world.primary)}, [OWNER])

    assert seen.error is None


def test_an_apex_without_mail_hosts_has_none(dns_world: DnsWorld) -> None:
    """No MX and a null MX (RFC 7505) both name no host."""
    path = "external/zones/example.com.zone"
    zone = dns_world.read(path) + "\n"
    dns_world.edit({path: zone.replace("@ MX 10 mail\n", "")})
    without = Resolver().mx("example.com", dns_world.primary)
    dns_world.edit({path: zone.replace("@ MX 10 mail\n", "@ MX 0 .\n")})
    null = Resolver().mx("example.com", dns_world.primary)

    assert ((), ()) == (without, null)


def test_no_answer_about_mail_is_not_no_mail(dns_world: DnsWorld) -> None:
    """A primary that is away, or does not know the apex, is an error."""
    with pytest.raises(DnsError, match=r"does not know 'example.org'"):
        Resolver().mx("example.org", dns_world.primary)
    dns_world.stop("ns1")
    with pytest.raises(DnsError, match="gave no answer"):
        Resolver().mx("example.com", dns_world.primary)


def test_an_alias_inside_the_zone_is_followed_for_addresses(dns_world: DnsWorld) -> None:
    """Addresses are asked as a client would."""
    dns_world.edit({INCLUDE: "smtp.example.com. 7 IN CNAME mail.example.com.\n"})

    assert ("192.0.2.1",) == Resolver().addresses("smtp.example.com.", dns_world.primary)


@pytest.fixture
def liar() -> Iterator[Callable[[Callable[[dns.message.Message], bytes]], Endpoint]]:
    """Yield a function that starts a server which answers every question with the bytes of a function of ours."""
    sockets: list[socket.socket] = []

    def start(answer: Callable[[dns.message.Message], bytes]) -> Endpoint:
        endpoint = Endpoint(fresh_address(), DNS_PORT)
        server = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
        server.bind((endpoint.address, endpoint.port))
        sockets.append(server)
        threading.Thread(target=_answer_all, args=(server, answer), daemon=True).start()
        return endpoint

    yield start
    for server in sockets:
        server.close()


def _answer_all(server: socket.socket, answer: Callable[[dns.message.Message], bytes]) -> None:
    import dns.message

    while True:
        try:
            wire, peer = server.recvfrom(4096)
        except OSError:
            return
        server.sendto(answer(dns.message.from_wire(wire)), peer)


def _reply(query: dns.message.Message, owner: str, records: list[str], *, authoritative: bool = True) -> bytes:
    import dns.rrset

    response = dns.message.make_response(query)
    if authoritative:
        response.flags |= dns.flags.AA
    if records:
        response.answer.append(dns.rrset.from_text(owner, 7, "IN", "TLSA", *records))
    return response.to_wire(max_size=65535)


def test_garbage_is_no_answer(liar: Callable[..., Endpoint]) -> None:
    """What is no DNS message is said to be broken, and nothing is known."""
    endpoint = liar(lambda _: b"\x00\x01garbage")
    (seen,) = Resolver().tlsa({"ns": (endpoint,)}, [OWNER])

    assert "broken message" in (seen.error or "")


def test_an_answer_without_authority_is_an_error(liar: Callable[..., Endpoint]) -> None:
    """A cache in the way proves nothing about the server."""
    endpoint = liar(lambda query: _reply(query, OWNER, [OLD], authoritative=False))
    (seen,) = Resolver().tlsa({"ns": (endpoint,)}, [OWNER])

    assert "not authoritative" in (seen.error or "")


def test_a_silent_server_times_out() -> None:
    """A server that swallows every question costs its tries and no more."""
    endpoint = Endpoint(fresh_address(), DNS_PORT)
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as silent:
        silent.bind((endpoint.address, endpoint.port))
        (seen,) = Resolver(patience=QUICK).tlsa({"ns": (endpoint,)}, [OWNER])

    assert "timed out" in (seen.error or "")


def test_a_malformed_record_is_an_error(liar: Callable[..., Endpoint]) -> None:
    """A hash of the wrong length would be dropped by a resolver; here it is named."""
    right, wrong = b"\x00\x23\x03\x01\x01" + b"\xaa" * 32, b"\x00\x06\x03\x01\x01" + b"\xaa" * 3
    endpoint = liar(lambda query: _reply(query, OWNER, [OLD]).replace(right, wrong))
    (seen,) = Resolver().tlsa({"ns": (endpoint,)}, [OWNER])

    assert "broken message" in (seen.error or "")


def test_records_of_another_name_do_not_count(liar: Callable[..., Endpoint]) -> None:
    """Only the owner that was asked is read."""
    endpoint = liar(lambda query: _reply(query, OTHER, [OLD]))
    (seen,) = Resolver().tlsa({"ns": (endpoint,)}, [OWNER])

    assert EMPTY == seen.answers[OWNER]


def test_a_flood_of_records_is_an_error(liar: Callable[..., Endpoint]) -> None:
    """Bounded, before anything of it reaches the ledger."""
    endpoint = liar(lambda query: _reply(query, OWNER, [f"3 1 1 {number:064x}" for number in range(65)]))
    (seen,) = Resolver().tlsa({"ns": (endpoint,)}, [OWNER])

    assert "more at" in (seen.error or "")


def test_answers_to_other_spellings_are_lower_case(liar: Callable[..., Endpoint]) -> None:
    """A server that shouts gives the same records."""
    endpoint = liar(lambda query: _reply(query, OWNER.upper(), [OLD.upper()]))
    (seen,) = Resolver().tlsa({"ns": (endpoint,)}, [OWNER])

    assert frozenset({record(OLD)}) == seen.answers[OWNER].records


def test_a_validating_resolver_vouches_for_what_is_signed(dns_world: DnsWorld, validator: ValidatingResolver) -> None:
    """Records and their proven absence count; a resolver that refuses to look, or is away, vouches for nothing."""
    publish(dns_world, OLD)
    dns_world.settle()
    elsewhere = "_25._tcp.mail.example.org."
    found = Resolver().unsigned(validator.endpoint, [OWNER, OTHER, elsewhere])

    assert [(elsewhere, True)] == [(owner, "REFUSED" in why) for owner, why in found.items()]

    validator.stop()

    assert [OWNER] == list(Resolver(patience=QUICK).unsigned(validator.endpoint, [OWNER]))


def test_an_unsigned_name_is_not_vouched_for(dns_world: DnsWorld, world_folder: Path) -> None:
    """Without AD nobody heeds its TLSA records; a CA asks as before."""
    validator = ValidatingResolver(world_folder / "unsigned", dns_world, untrusted=["example.com"])
    found = Resolver().unsigned(validator.endpoint, [OWNER])
    bogus = Resolver().bogus(validator.endpoint, [("mail.example.com", "CAA")])
    validator.stop()

    assert "does not find" in found[OWNER]
    assert {} == bogus


def test_a_broken_signature_is_bogus_at_its_name_only(dns_world: DnsWorld, world_folder: Path) -> None:
    """The TLSA records are there, their signature does not hold; the rest of the zone is vouched for."""
    publish(dns_world, OLD)
    dns_world.settle()
    forged = ForgedServer(world_folder / "forged", dns_world.primary, "example.com", [OWNER])
    validator = ValidatingResolver(world_folder / "validator", dns_world, servers=[forged.endpoint])
    resolver = Resolver()
    unsigned = resolver.unsigned(validator.endpoint, [OWNER, OTHER])
    questions = [(OWNER, "TLSA"), ("mail.example.com", "CAA"), ("mail.example.com", "A")]
    bogus = resolver.bogus(validator.endpoint, questions)
    forged.stop()
    unreachable = resolver.bogus(validator.endpoint, [("other.example.com", "CAA")])
    validator.stop()

    assert [(OWNER, True)] == [(owner, "broken" in why) for owner, why in unsigned.items()]
    assert [(OWNER, "TLSA")] == list(bogus)
    assert {} == unreachable


def test_evidence_is_asked_by_tcp_where_nobody_can_forge_it(dns_world: DnsWorld, liar: Callable[..., Endpoint]) -> None:
    """What a forger says by UDP is not heard while the server answers by TCP; without TCP that is said."""
    publish(dns_world, OLD)
    forger = liar(lambda query: _reply(query, OWNER, [NEW]))
    relay = _relayed_by_tcp(forger, dns_world.primary)
    said: list[str] = []
    (seen,) = Resolver(said.append).tlsa({"ns": (forger,)}, [OWNER])
    relay.shutdown(socket.SHUT_RDWR)
    relay.close()

    assert frozenset({record(OLD)}) == seen.answers[OWNER].records
    assert [] == said

    (seen,) = Resolver(said.append).tlsa({"ns": (forger,)}, [OWNER])

    assert frozenset({record(NEW)}) == seen.answers[OWNER].records
    assert ["does not answer by TCP" in words for words in said] == [True]


def _relayed_by_tcp(at: Endpoint, to: Endpoint) -> socket.socket:
    """Take TCP connections at *at* and pass each on to *to*, one after the other."""
    server = socket.create_server((at.address, at.port))

    def serve() -> None:
        with contextlib.suppress(OSError):
            while True:
                client, _ = server.accept()
                with client, socket.create_connection((to.address, to.port)) as far:
                    far.sendall(client.recv(4096))
                    client.sendall(far.recv(65536))

    threading.Thread(target=serve, daemon=True).start()
    return server
