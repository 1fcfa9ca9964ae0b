"""Revocation: a real CA is told, the replacement starts by itself, and nothing revoked becomes live again."""

from __future__ import annotations

from typing import TYPE_CHECKING

from cryptography import x509
from cryptography.hazmat.primitives.serialization import Encoding

from sslops.pki.certificate import read_certificate
from tests.system.acme import MAIL, NET, slots, staged
from tests.system.test_next_lies import Desk

if TYPE_CHECKING:
    from pathlib import Path

    from tests.world.acme_site import AcmeSite


def certificate(site: AcmeSite, service: str, generation: str) -> x509.Certificate:
    """Return the certificate of a generation on main."""
    return x509.load_pem_x509_certificate(site.ops.show("main", f"state/{service}/{generation}/cert.pem").encode())


def test_the_ca_is_told_by_key_and_by_account_and_asked_again_it_is_still_well(acme_site: AcmeSite) -> None:
    """What is live goes on being served; renew replaces it with another key, and names the reason."""
    site = acme_site
    site.sslops("run", "--apply").succeeded()
    old = {service: certificate(site, service, slots(site, service, "main")["curr"]) for service in (MAIL, NET)}
    planned = site.sslops("revoke", MAIL, "--reason", "key-compromise").succeeded()

    assert "it is live: hosts serve it until renew, roll and deploy have replaced it" in " ".join(
        planned.stdout.split()
    )
    assert "Valid" == site.pebble.status(old[MAIL].serial_number)

    by_key = ("revoke", MAIL, "--reason", "key-compromise", "--by", "key", "--note", "it was mailed", "--apply")
    site.sslops(*by_key).succeeded()
    site.sslops("revoke", NET, "--reason", "superseded", "--apply").succeeded()
    again = site.sslops("revoke", NET, "--reason", "superseded", "--apply").succeeded()

    assert ["Revoked"] * 2 == [site.pebble.status(each.serial_number) for each in old.values()]
    assert "le-dns" in again.stdout
    assert [slots(site, MAIL, "main")["curr"]] == slots(site, MAIL)["revoked"]
    assert "it was mailed" in site.ops.git_remote("log", "--format=%B", "-1", "--grep=^revoke(example.com", "next")

    renewed = site.sslops("renew", "--apply").succeeded().stdout

    assert "its certificate was revoked" in renewed
    assert ["issued"] * 2 == [staged(site, service)["status"] for service in (MAIL, NET)]
    assert read_certificate(old[NET].public_bytes(Encoding.PEM)).spki_sha256 != staged(site, NET)["spki_sha256"]

    site.sslops("roll", NET, "--apply").succeeded()
    back = site.sslops("roll", NET, "--back", "--apply")

    assert 1 == back.exit_code
    assert "was revoked" in back.stdout
    assert "nothing to do" in site.sslops("renew", NET, "--apply").succeeded().stdout


def test_of_an_own_ca_the_replacement_is_all(tmp_path: Path) -> None:
    """It says that there is no list; a staged certificate gets another key, and what a revoked CA signed follows."""
    desk = Desk(tmp_path)
    first = desk.slot("curr")
    told = desk.run("revoke", "example.com/a", "--reason", "unspecified", "--apply").succeeded().stdout
    desk.run("renew", "--apply").succeeded()
    second = desk.slot("next", branch="next")
    desk.run("revoke", f"example.com:a@{second}", "--reason", "superseded", "--apply").succeeded()
    kept = desk.run("roll", "example.com/a", "--force", "--apply")
    desk.run("renew", "--apply").succeeded()
    desk.run("roll", "--apply").succeeded()
    third = desk.slot("curr")

    assert "which publishes no list" in " ".join(told.split())
    assert "was revoked; sslops renew makes another one" in " ".join(kept.stdout.split())
    assert 3 == len({first, second, third} - {""})
    assert 3 == len({each[-4:] for each in (first, second, third)})

    desk.run("revoke", "ca/my-sub", "--reason", "key-compromise", "--apply").succeeded()
    chained = desk.run("renew", "--apply").succeeded().stdout
    desk.run("roll", "--apply").succeeded()

    assert 2 == chained.count("the certificate of the CA that signed it was revoked")
    assert third != desk.slot("curr")
    assert 1 == desk.run("revoke", f"example.com/a@{third[:-4]}0000", "--reason", "superseded", "--apply").exit_code

    desk.ops.git("pull", "--quiet", "--ff-only")
    desk.run("check").succeeded()
    desk.run("audit").succeeded()
