"""Where a service's records live."""

from __future__ import annotations

from dataclasses import replace

from sslops.dane.names import dane_apexes, dane_owners
from sslops.model.inventory import DaneOwners, DaneSpec
from sslops.model.names import zone_of
from tests.unit.dane.builders import APEX, PARAMS, SERVICE, inventory, service

SANS = (DaneSpec(443, "tcp", PARAMS, DaneOwners.SANS),)


def test_each_mx_host_owns_records() -> None:
    """MX owners are the hosts of the MX records, in order of their names."""
    found = dane_owners(inventory(), {APEX: ("mx2.example.com.", "mx1.example.com.")})
    assert ["_25._tcp.mx1.example.com.", "_25._tcp.mx2.example.com."] == [name.owner for name in found.names]


def test_an_apex_without_mx_is_its_own_mail_host() -> None:
    """Without MX, mail goes to the apex itself (RFC 5321 section 5.1)."""
    assert ["_25._tcp.example.com."] == [name.owner for name in dane_owners(inventory(), {}).names]


def test_the_apex_gets_records_beside_the_mx_hosts_where_it_is_asked_for() -> None:
    """Once, also when it is one of them."""
    asked = inventory(service(dane_apex=True))
    for mx in (("mx.example.com.",), ("example.com.", "mx.example.com.")):
        owners = [name.owner for name in dane_owners(asked, {APEX: mx}).names]
        assert ["_25._tcp.example.com.", "_25._tcp.mx.example.com."] == owners


def test_a_mail_host_of_somebody_else_is_named_and_not_written() -> None:
    """A host outside every apex of ours has no zone that we could write."""
    found = dane_owners(inventory(), {APEX: ("mx.example.org.",)})
    assert ((), ((SERVICE, "mx.example.org."),)) == (found.names, found.outside)


def test_wildcards_and_addresses_own_no_records() -> None:
    """Only host names among the SANs can be asked for TLSA."""
    made = service(dane=SANS, sans=("www.example.com", "*.example.com", "192.0.2.1", "2001:db8::1"))
    assert ["www.example.com"] == [name.host for name in dane_owners(inventory(made), {}).names]


def test_a_host_belongs_to_the_longest_apex() -> None:
    """A delegated zone of ours comes before the one that delegates; a mere ending does not count."""
    groups = ("ca", "example.com", "sub.example.com")
    assert ["sub.example.com", "example.com", None, None] == [
        zone_of(host, groups) for host in ("A.Sub.Example.com.", "example.com", "notexample.com", "x.ca")
    ]


def test_services_of_inactive_groups_own_nothing() -> None:
    """An inactive group is frozen."""
    active = inventory()
    frozen = replace(active, groups={APEX: replace(active.groups[APEX], active=False)})
    assert ((), ()) == (dane_owners(frozen, {}).names, dane_apexes(frozen))
