"""Asking a real name server on ::1, and one whose IPv6 address leads to another machine than its IPv4 address."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from sslops.model.inventory import Endpoint
from sslops.model.tlsa import Rrset, TlsaRecord
from sslops.probe.name_servers import Resolver
from tests.integration.probe.test_dns import NEW, OLD, OWNER, publish
from tests.world.dns_files import ZONES
from tests.world.ipv6 import Ipv6Secondary
from tests.world.loopback import IPV6
from tests.world.peers import need_ipv6

if TYPE_CHECKING:
    from collections.abc import Iterator

    from tests.world.dns import DnsWorld


@pytest.fixture
def ipv6_server(dns_world: DnsWorld) -> Iterator[Ipv6Secondary]:
    """Yield another secondary of `dns_world`, on ::1."""
    need_ipv6()
    started = Ipv6Secondary(dns_world)
    yield started
    started.stop()


def rrset(ttl_seconds: int, *texts: str) -> Rrset:
    """Return records of OWNER."""
    return Rrset(ttl_seconds, frozenset(TlsaRecord.parse(f"{OWNER} {text}") for text in texts))


def test_addresses_of_both_families_are_known_and_asked(dns_world: DnsWorld, ipv6_server: Ipv6Secondary) -> None:
    """NS and MX hosts have an A and an AAAA; both sides of a name server show the same."""
    path = f"{ZONES}/example.com.zone"
    dns_world.edit({path: dns_world.read(path) + f"\nns2 AAAA {IPV6}\nmail AAAA {IPV6}\n"})
    publish(dns_world, OLD)
    dns_world.settle()
    ipv6_server.settle()
    said: list[str] = []
    resolver = Resolver(said.append)
    servers = resolver.name_servers("example.com", dns_world.primary, ())

    assert (Endpoint(dns_world.secondary.address), Endpoint(IPV6)) == servers["ns2.example.com."]
    assert ("192.0.2.1", IPV6) == resolver.addresses("mail.example.com.", dns_world.primary)

    (seen,) = resolver.tlsa({"ns2": (dns_world.secondary, ipv6_server.endpoint)}, [OWNER])

    assert (rrset(7, OLD), frozenset(), None) == (seen.answers[OWNER], seen.differing, seen.error)
    assert [] == said


def test_another_rrset_on_ipv6_is_noticed(dns_world: DnsWorld, ipv6_server: Ipv6Secondary) -> None:
    """What IPv4 alone shows is not there, and the name is said to differ."""
    publish(dns_world, OLD)
    ipv6_server.settle()
    ipv6_server.lag()
    publish(dns_world, OLD, NEW)
    dns_world.settle()
    (seen,) = Resolver().tlsa({"ns2": (dns_world.secondary, ipv6_server.endpoint)}, [OWNER])

    assert (rrset(7, OLD), frozenset({OWNER})) == (seen.answers[OWNER], seen.differing)

    ipv6_server.catch_up()
    (seen,) = Resolver().tlsa({"ns2": (dns_world.secondary, ipv6_server.endpoint)}, [OWNER])

    assert (rrset(7, OLD, NEW), frozenset()) == (seen.answers[OWNER], seen.differing)


def test_a_server_with_ipv6_only_is_asked_there(dns_world: DnsWorld, ipv6_server: Ipv6Secondary) -> None:
    """It is a server as any other: its records count, and when it is gone that is an error which names it."""
    publish(dns_world, OLD)
    ipv6_server.settle()
    servers = Resolver().name_servers("example.com", None, (dns_world.primary, ipv6_server.endpoint))
    seen = {each.server: each for each in Resolver().tlsa(servers, [OWNER])}

    assert rrset(7, OLD) == seen[str(ipv6_server.endpoint)].answers[OWNER]

    ipv6_server.stop()
    said: list[str] = []
    gone = {each.server: each for each in Resolver(said.append).tlsa(servers, [OWNER])}

    assert f"name server '[{IPV6}]:{ipv6_server.endpoint.port}'" in (gone[str(ipv6_server.endpoint)].error or "")
    assert [] == said

    (seen_by_ipv4,) = Resolver(said.append).tlsa({"ns2": (dns_world.secondary, ipv6_server.endpoint)}, [OWNER])

    assert rrset(7, OLD) == seen_by_ipv4.answers[OWNER]
    assert [True] == ["another address of 'ns2' answered" in words for words in said]
