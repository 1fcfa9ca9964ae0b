"""What `check` says about services that an ACME server signs."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from tests.unit.inventory.samples import CAS, SETTINGS, SOUND, WEB, faults, sound

if TYPE_CHECKING:
    from collections.abc import Mapping

ACME_DNS = SOUND[SETTINGS].replace("  tlsa_dirs:", "  acme_dir: zones/include-acme\n  tlsa_dirs:")


def spoiled(ca: str, web: str = SOUND[WEB], settings: str = ACME_DNS) -> list[str]:
    """Return what is told when `web` is signed by the ACME CA `le: {ca_type: acme*ca*}`."""
    cas = f"{SOUND[CAS]}le: {{ca_type: acme{ca}}}\n"
    return whats(sound({CAS: cas, WEB: web.replace("sub", "le"), SETTINGS: settings}))


def test_a_sound_acme_inventory_has_no_faults() -> None:
    """With a place for the challenges."""
    assert [] == spoiled("")


def test_somebody_has_to_show_the_challenges() -> None:
    """dns-01 needs `acme_dir`, http-01 a `server_dir`."""
    assert ["nobody would show the challenges of 'le': there is no 'dns.acme_dir'"] == spoiled(
        "", settings=SOUND[SETTINGS]
    )
    assert ["http-01, and no server class has a 'server_dir'"] == spoiled(", ca_validation: http-01")


def test_a_wildcard_needs_dns_01() -> None:
    """The fault stands at the name."""
    settings = ACME_DNS.replace("web: {", "web: {server_dir: /srv/http, ")
    web = SOUND[WEB].replace("www.example.com", '"*.example.com"')

    assert ["'le' proves names by http-01, which no wildcard can"] == spoiled(", ca_validation: http-01", web, settings)


@pytest.mark.parametrize("name", ["www.example.org", "*.example.org", "notexample.com", "example.com.org"])
def test_a_name_outside_every_zone_cannot_be_proved_by_dns_01(name: str) -> None:
    """The fault stands at the name, before anything is ordered; http-01 may prove it."""
    web = SOUND[WEB].replace("www.example.com", f'www.example.com, "{name}"')
    (what,) = spoiled("", web)

    assert f"'{name.removeprefix('*.')}' lies in no zone that sslops writes challenges to" in what

    aliases = ACME_DNS.replace("  acme_dir:", "  acme_aliases: [example.org]\n  acme_dir:")

    assert spoiled("", web, aliases) == ([] if name.endswith(".example.org") else [what])

    if not name.startswith("*"):
        settings = ACME_DNS.replace("web: {", "web: {server_dir: /srv/http, ")

        assert [] == spoiled(", ca_validation: http-01", web, settings)


def test_the_zone_of_another_group_counts_while_that_is_active() -> None:
    """Challenges go to the include files of active groups, whichever group a service is of."""
    web = SOUND[WEB].replace("www.example.com", "www.example.com, BÜCHER.example.net, '*.bücher.example.net'")
    other = "  - {domain: example.net, active: ACTIVE, services: ALL}\n  - {domain: ca"
    active = ACME_DNS.replace("  - {domain: ca", other.replace("ACTIVE", "true"))

    assert [] == spoiled("", web, active)
    assert 2 == len(spoiled("", web, active.replace("example.net, active: true", "example.net, active: false")))


def test_an_ip_address_needs_http_01_and_at_lets_encrypt_a_short_life() -> None:
    """dns-01 cannot prove one; Let's Encrypt has them in one profile only."""
    settings = ACME_DNS.replace("web: {", "web: {server_dir: /srv/http, ")
    web = SOUND[WEB].replace("www.example.com", '"8.8.8.8"')
    http = ", ca_validation: http-01"

    assert ["'le' proves names by dns-01, which no IP address can"] == spoiled("", web)
    assert ["Let's Encrypt has no IP addresses in profile 'tlsserver'"] == spoiled(http, web, settings)
    assert [] == spoiled(f"{http}, ca_preferred_acme_profile: shortlived", web, settings)
    assert [] == spoiled(f"{http}, directory: 'https://ca.example.net/dir'", web, settings)


@pytest.mark.parametrize(
    "profile", ["", ", ca_preferred_acme_profile: tlsserver", ", ca_preferred_acme_profile: shortlived"]
)
def test_an_hour_and_a_review_do_not_go_together(profile: str) -> None:
    """With a human merge only the profile with seven days works, and the hint names the three ways out."""
    settings = ACME_DNS.replace('repo: {url: "file:///srv/dns.git"}', REVIEWED)
    (fault,) = spoiled(profile, settings=settings)

    assert "leaves one hour for a challenge, and 'dns.merge.acme' waits for a person" in fault
    assert [] == spoiled(", ca_preferred_acme_profile: classic", settings=settings)


def test_a_review_that_nobody_named_is_one_too() -> None:
    """Where there is a forge a person merges, unless the file says `auto`."""
    forge = REVIEWED.partition("\n")[0]
    settings = ACME_DNS.replace('repo: {url: "file:///srv/dns.git"}', forge)
    (fault,) = spoiled("", settings=settings)

    assert "waits for a person" in fault
    assert [] == spoiled("", settings=settings.replace(forge, f"{forge}\n  merge: {{acme: auto}}"))


def test_settings_of_acme_are_not_for_own_cas() -> None:
    """They would be without effect."""
    cas = SOUND[CAS].replace("sub: {ca_type: local", "sub: {ca_type: local, directory: 'https://ca.example.net/'")

    assert ["'directory' is for ACME servers only"] == whats(sound({CAS: cas}))


REVIEWED = """\
repo: {url: "file:///srv/dns.git", forge: gitlab, project: infra/dns}
  merge: {acme: review}"""


def whats(files: Mapping[str, bytes]) -> list[str]:
    """Return what is wrong with *files*, without the places."""
    return [fault.partition(" ")[2] for fault in faults(files)]
