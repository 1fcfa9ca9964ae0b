"""What the inventory says about DANE beyond one service's own records: issuers of public CAs, the apex."""

from __future__ import annotations

import pytest

from sslops.model.inventory import TlsaIssuer
from sslops.model.names import ServiceId
from tests.unit.inventory.samples import CAS, MAIL, SETTINGS, SOUND, faults, loaded, sound

SHA256, SHA512 = "ab" * 32, "cd" * 64
ACME_DNS = SOUND[SETTINGS].replace("  tlsa_dirs:", "  acme_dir: zones/include-acme\n  tlsa_dirs:")
TOO_MANY, REST = "could come under one name", "'curr' and 'next'; 12 are read everywhere"
WITH_CA = SOUND[MAIL].replace("signing_ca: sub", "signing_ca: le").replace("3, 1, 1", "2, 1, 1")


def issuers(*listed: str, mail: str = WITH_CA) -> dict[str, bytes]:
    """Return an inventory whose mail service has usage 2 of a public CA with these issuers."""
    lines = "".join(f"\n    - {each}" for each in listed) or " []"
    cas = f"{SOUND[CAS]}le:\n  ca_type: acme\n  tlsa_issuers:{lines}\n"
    return sound({SETTINGS: ACME_DNS, CAS: cas, MAIL: mail})


def test_issuers_are_read_sorted() -> None:
    """The order of the list does not matter."""
    found = loaded(issuers(f"1 2 {SHA512}", f"1 1 {SHA256}")).cas["le"].tlsa_issuers
    assert (TlsaIssuer(1, 1, SHA256), TlsaIssuer(1, 2, SHA512)) == found


@pytest.mark.parametrize("listed", [(), (f"1 2 {SHA512}",), (f"0 1 {SHA256}",)])
def test_usage_2_of_a_public_ca_needs_its_issuers(listed: tuple[str, ...]) -> None:
    """Of the same selector and match: nobody knows which of them signs the next certificate."""
    assert [f"{MAIL}:2:12 TLSA usage 2 needs the issuers of 'le' with selector 1 and match 1"] == faults(
        issuers(*listed)
    )


def test_usage_2_of_an_own_ca_needs_no_list() -> None:
    """Its generations are known."""
    assert [] == faults(sound({MAIL: SOUND[MAIL].replace("3, 1, 1", "2, 1, 1")}))
    own = sound({CAS: f"root: {{ca_type: self}}\nsub: {{ca_type: local, tlsa_issuers: [1 1 {SHA256}]}}\n"})
    assert [f"{CAS}:2:23 an own CA needs no list of issuers"] == faults(own)


def test_more_than_a_dozen_issuers_are_refused() -> None:
    """Some senders would not read all of them."""
    many = [f"1 1 {number:064x}" for number in range(13)]
    assert [] == faults(issuers(*many[:12]))
    assert ["13 issuers of '1 1'; 12 records of a name are read everywhere"] == [
        fault.partition(" ")[2] for fault in faults(issuers(*many))
    ]


def test_all_that_can_come_under_a_name_is_counted() -> None:
    """Both kinds, every service there, `curr` and `next` of each: what a sender has to read is the whole RRset."""
    five = [f"1 1 {number:064x}" for number in range(5)] + [f"0 1 {number:064x}" for number in range(5)]
    two, three = (
        f"{WITH_CA}".replace(", MX]]", f", MX], {more}]") for more in ("[25, tcp, 2, 0, 1]", "[25, tcp, 3, 1, 1]")
    )
    assert [] == faults(issuers(*five, mail=two))
    assert [] == faults(issuers(*five, mail=three))
    both = two.replace("2, 0, 1]", "2, 0, 1], [25, tcp, 3, 1, 1], [465, tcp, 2, 1, 1]")
    assert [] == faults(issuers(*five, mail=both))
    assert [f"{MAIL}:2:12 14 records {TOO_MANY}, 10 of issuers and 4 of {REST}"] == faults(
        issuers(*five, mail=both.replace("[465", "[25, tcp, 3, 0, 1], [465"))
    )


def test_services_at_one_name_are_counted_together() -> None:
    """Another CA's issuers, or an own CA's generations, join those of the first; other groups and ports do not."""
    eleven = [f"1 1 {number:064x}" for number in range(11)]
    files = issuers(*eleven)
    assert [] == faults(files)
    beside = SOUND[MAIL].replace("3, 1, 1", "2, 1, 1")
    files["inventory/example.com/web.yaml"] = beside.encode()
    told = [fault for fault in faults(files) if "could come" in fault]
    assert [f"{MAIL}:2:12 13 records {TOO_MANY}, 11 of issuers and 2 of {REST}"] == told
    files["inventory/example.com/web.yaml"] = beside.replace("[[25", "[[465").encode()
    assert [] == [fault for fault in faults(files) if "could come" in fault]


def test_an_issuer_is_listed_once() -> None:
    """Twice is a mistake of somebody."""
    assert ["this issuer is there twice"] == [
        fault.partition(" ")[2] for fault in faults(issuers(f"1 1 {SHA256}", f"1 1 {SHA256}"))
    ]


@pytest.mark.parametrize("wrong", ["1 1 ab", f"1 1 {SHA256.upper()}", f"2 1 {SHA256}", f"1 3 {SHA256}", SHA256])
def test_an_issuer_has_the_form_of_a_record(wrong: str) -> None:
    """Selector, match, and as much hex as the match has."""
    assert 1 <= len(faults(issuers(wrong)))


def test_the_apex_may_be_asked_for_beside_the_mx_hosts() -> None:
    """As ssl-mgr did: always."""
    found = loaded(sound({MAIL: SOUND[MAIL] + "dane_apex: true\n"}))
    assert found.services[ServiceId("example.com", "mail")].dane_apex


@pytest.mark.parametrize(("written", "port"), [("192.0.2.53", 53), ("[2001:db8::53]:5353", 5353)])
def test_a_validating_resolver_is_named_by_address(written: str, port: int) -> None:
    """With a port where it is not the usual one."""
    more = SOUND[SETTINGS].replace("  tlsa_dirs", f'  validator: "{written}"\n  tlsa_dirs')
    dns = loaded(sound({SETTINGS: more})).dns
    assert dns is not None
    assert dns.validator is not None
    assert port == dns.validator.port
