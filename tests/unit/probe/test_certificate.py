"""Certificates as they are: their facts, and every fault that keeps one from being used."""

from __future__ import annotations

import hashlib
from datetime import timedelta
from typing import TYPE_CHECKING

import pytest

from sslops.errors import StateError
from sslops.pki.certificate import certificate_der, certificate_spki, csr_spki, faults, read_certificate, split_chain
from tests.unit.issue.site import NOW, ROOT, SUB, WEB, Site, ca, inventory_of, leaf

if TYPE_CHECKING:
    from datetime import datetime

NAMES = ("www.example.com", "192.0.2.7", "2001:db8::7")


@pytest.fixture(scope="module")
def site() -> Site:
    """Return a root, an intermediate and a leaf."""
    web = leaf(WEB, *NAMES)
    made = Site(inventory_of(ca("my-root", "self", 730), ca("my-sub", "my-root", 365), web))
    made.renew()
    return made


def found(site: Site, *, sans: tuple[str, ...] = NAMES, now: datetime = NOW, **files: bytes) -> tuple[str, ...]:
    """Return the faults of the leaf of *site*, with some of its *files* replaced."""
    used = {
        "cert": site.newest(WEB, "cert.pem"),
        "chain": site.newest(WEB, "chain.pem"),
        "anchor": site.newest(ROOT, "cert.pem"),
    } | files
    key = read_certificate(site.newest(WEB, "cert.pem")).spki_sha256
    return faults(used["cert"], used["chain"], used["anchor"], spki_sha256=key, sans=sans, now=now)


def test_a_sound_certificate_has_no_fault(site: Site) -> None:
    """Names are compared as sets, host names in any case, addresses in any form."""
    assert () == found(site)
    assert () == found(site, sans=("2001:DB8:0::7", "192.0.2.7", "WWW.example.com"))
    assert () == found(site, chain=site.newest(WEB, "chain.pem") + site.newest(ROOT, "cert.pem"))


def test_other_names_are_a_fault(site: Site) -> None:
    """Too few and too many alike."""
    assert (
        "the certificate names '192.0.2.7', '2001:db8::7', 'www.example.com', the inventory 'www.example.com'",
    ) == (found(site, sans=("www.example.com",)))


@pytest.mark.parametrize("days", [-1, 400])
def test_a_time_outside_of_the_validity_is_a_fault(site: Site, days: int) -> None:
    """Too early and too late alike, for each certificate of the path."""
    assert any("is valid from" in fault for fault in found(site, now=NOW + timedelta(days=days)))


def test_a_missing_intermediate_is_a_fault(site: Site) -> None:
    """The path has to lead to the anchor without a gap."""
    assert any("is not signed by" in fault for fault in found(site, chain=b""))


def test_a_foreign_root_is_a_fault(site: Site) -> None:
    """The same name with another key is another CA."""
    other = Site(site.inventory)
    other.renew()

    assert any("is not signed by" in fault for fault in found(site, anchor=other.newest(ROOT, "cert.pem")))


def test_another_key_is_a_fault(site: Site) -> None:
    """A certificate that does not belong to the generation's key would not start."""
    other = Site(site.inventory)
    other.renew()

    assert "the certificate is not for the key of its generation" in found(site, cert=other.newest(WEB, "cert.pem"))


def test_a_leaf_that_signs_is_a_fault(site: Site) -> None:
    """Only a CA stands between leaf and root."""
    problems = found(site, cert=site.newest(SUB, "cert.pem"), chain=site.newest(WEB, "cert.pem"))

    assert any("signs without being a CA" in problem for problem in problems)


def test_what_is_no_certificate_is_a_fault_and_an_error(site: Site) -> None:
    """In a chain it is reported, alone it is refused."""
    assert found(site, cert=b"no certificate")[0].startswith("a certificate cannot be read")
    with pytest.raises(StateError, match="a certificate cannot be read"):
        read_certificate(b"no certificate")
    with pytest.raises(StateError, match="a CSR cannot be read"):
        csr_spki(b"no csr")


def test_what_tlsa_records_are_about_is_the_same_from_every_source(site: Site) -> None:
    """Selector 0 is the certificate, selector 1 the public key, which the CSR has as well."""
    cert, facts = site.newest(WEB, "cert.pem"), read_certificate(site.newest(WEB, "cert.pem"))

    assert facts.cert_sha256 == hashlib.sha256(certificate_der(cert)).hexdigest()
    assert facts.spki_sha256 == hashlib.sha256(certificate_spki(cert)).hexdigest()
    assert certificate_spki(cert) == csr_spki(site.newest(WEB, "csr.pem"))


def test_a_chain_is_split_into_its_certificates(site: Site) -> None:
    """In order, and each as it was."""
    certs = (site.newest(SUB, "cert.pem"), site.newest(ROOT, "cert.pem"))

    assert certs == split_chain(b"text before\n" + b"".join(certs))
