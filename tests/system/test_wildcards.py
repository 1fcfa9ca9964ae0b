"""A name that begins to exist changes what wildcards answer (RFC 4592): on real servers, judged by what is served."""

from __future__ import annotations

import shutil
from typing import TYPE_CHECKING

import pytest

from tests.system.acme import MAIL, NET, WEB, assert_clean, staged
from tests.system.launching import Launched
from tests.system.story import LONG_TTL, Story
from tests.world.certificates import write_certificate
from tests.world.dns import ask
from tests.world.dns_files import ZONES
from tests.world.programs import wait_until
from tests.world.site import HOSTS, OWNER
from tests.world.validating_resolver import ValidatingResolver
from tests.world.watch import records_matching

if TYPE_CHECKING:
    from collections.abc import Callable
    from collections.abc import Set as AbstractSet

    from tests.world.acme_site import AcmeSite
    from tests.world.site import Site

ZONE = f"{ZONES}/example.com.zone"
MAIL_FILE = "inventory/example.com/mail-ec.yaml"
OTHER_PORT = "_587._tcp.mail.example.com."
BALANCER = (frozenset({"lb.example.org."}),) * 2
"""What both servers answer for a name that is an alias of the load balancer."""


@pytest.fixture
def long_ttl(start_site: Callable[..., Site]) -> Site:
    """Return a site whose records live for an hour in caches."""
    return start_site(files=LONG_TTL)


def with_another_tool(site: Site) -> tuple[Story, str]:
    """Let every host show a certificate of another tool; return the story and the record that matches it."""
    story, folder = Story(site), site.folder / "another-tool"
    write_certificate(folder)
    for name, host in site.hosts.items():
        shutil.copytree(folder, host.prod_cert_dir / "example.com/mail-rsa/curr")
        site.mail[name].stop()
        site.mail[name].start()
    (certificate,) = {mail.certificate() for mail in site.mail.values()}
    assert certificate is not None
    (record,) = {each for each in records_matching(certificate) if each.startswith("3 1 1 ")}
    return story, record


def without_another_tool(story: Story) -> None:
    """Let the hosts show what sslops brought them."""
    for name, host in story.site.hosts.items():
        shutil.rmtree(host.prod_cert_dir / "example.com/mail-rsa")
        assert story.site.mail[name].certificate() is not None


def edit_zone(story: Story, change: Callable[[str], str]) -> None:
    """Let a person change the zone by hand; the name servers load it, and resolvers ask."""
    story.site.dns.edit({ZONE: change(story.site.dns.read(ZONE))}, "by hand")
    story.site.dns.settle()
    story.ask()


def add(story: Story, *records: str) -> None:
    """Add records to the zone."""
    edit_zone(story, lambda text: "\n".join([text.rstrip(), *records, ""]))


def shown(story: Story, owner: str = OWNER, rdtype: str = "TLSA") -> AbstractSet[str]:
    """Return what both servers show."""
    first, second = story.site.dns.show(owner, rdtype)

    assert first == second

    return first


def test_a_wildcard_record_of_another_tool_is_carried_along(long_ttl: Site) -> None:
    """`*._tcp.mail TLSA` of a site that has DANE: the record joins ours at once, goes last, and does not come back."""
    story, old = with_another_tool(long_ttl)
    wildcard = f"*._tcp.mail 7200 TLSA {old}"
    add(story, wildcard)
    cache = ValidatingResolver(long_ttl.folder / "cache", long_ttl.dns)
    try:
        assert {old} == ask(cache.endpoint, OWNER)[1]

        story.run("run", "--apply").succeeded()

        assert [] == story.broken()
        assert {
            old,
            f"3 1 1 {story.fact(story.slot('curr', 'next') or story.slot('next', 'next'), 'spki_sha256')}",
        } == (shown(story))
        assert {old} == shown(story, OTHER_PORT)
        assert {None} == set(story.served().values())
    finally:
        cache.stop()

    # The wildcard lived two hours in caches: one TTL of ours later it still counts.
    story.pass_time()
    story.run("run", "--apply").succeeded()

    assert {None} == set(story.served().values())

    story.pass_time(2 * 7200)
    without_another_tool(story)
    refused = story.run("run", "--apply")

    assert (3, True) == (refused.exit_code, "--accept tlsa-foreign=" in refused.stdout)
    assert dict.fromkeys(HOSTS, story.slot("curr")) == story.served()
    assert [] == story.broken()

    story.run("publish", "--apply", "--accept", f"tlsa-foreign={OWNER}").succeeded()

    assert old not in shown(story)
    assert [] == story.broken()

    without_dane = LONG_TTL[MAIL_FILE].replace("dane_tls: [[25, tcp, 3, 1, 1, MX]]\n", "")
    story.site.ops.edit({MAIL_FILE: without_dane.replace("dane_tls_ttl: 3600\n", "")})
    refused = story.run("publish", "--apply")

    assert (3, True) == (refused.exit_code, f"--accept wildcard={OWNER}" in refused.stdout)
    assert old not in shown(story)

    edit_zone(story, lambda text: text.replace(wildcard, ""))
    story.run("publish", "--apply").succeeded()

    assert frozenset() == shown(story)
    assert [] == story.broken()


def test_what_the_wildcard_gave_to_other_ports_ends_only_with_consent(long_ttl: Site) -> None:
    """`*.mail TLSA` reaches all ports as long as `_tcp.mail` does not exist; the consent that is printed leads on."""
    story, old = with_another_tool(long_ttl)
    add(story, f"*.mail 3600 TLSA {old}")
    refused = story.run("run", "--apply")
    line = f"*._tcp.mail.example.com. 3600 IN TLSA {old}"

    assert (3, True) == (refused.exit_code, f"'{line}'" in " ".join(refused.stdout.split()))
    assert ({old}, {old}) == (shown(story), shown(story, OTHER_PORT))
    assert [] == story.broken()

    story.run("run", "--apply", "--accept", f"wildcard={OWNER}").succeeded()

    assert old in shown(story)
    assert len(shown(story)) > 1
    assert frozenset() == shown(story, OTHER_PORT)
    assert [] == story.broken()


def test_a_mail_host_keeps_the_addresses_that_a_wildcard_gives_it(long_ttl: Site) -> None:
    """`mail` has its address of `* A`: a record at `_25._tcp.mail` would take it away, so it is added first."""
    story = Story(long_ttl)
    addresses = shown(story, "mail.example.com.", "A")

    def as_wildcard(text: str) -> str:
        return text.replace("\nmail A ", "\n* A ")

    edit_zone(story, as_wildcard)
    refused = story.run("run", "--apply")

    assert (3, True) == (refused.exit_code, f"--accept wildcard={OWNER}" in refused.stdout)
    words = " ".join(refused.stdout.split())

    assert all(f"'mail.example.com. 1 IN A {address}'" in words for address in addresses)
    assert addresses == shown(story, "mail.example.com.", "A")
    assert dict.fromkeys(HOSTS, story.slot("curr")) == story.served()

    add(story, *(f"mail.example.com. 1 IN A {address}" for address in addresses))
    story.run("run", "--apply").succeeded()

    assert all(story.slot("curr") in records for records in story.records())
    assert addresses == shown(story, "mail.example.com.", "A")


def test_a_challenge_below_a_wildcard_takes_nothing_from_what_it_answers(acme_site: AcmeSite) -> None:
    """`* CNAME lb.example.org.`: the challenge stands at its own name, and `www` goes on being that alias meanwhile."""
    site = acme_site
    text = site.dns.read(ZONE).rstrip()
    site.dns.edit({ZONE: f"{text}\n* CNAME lb.example.org.\n"})
    site.dns.settle()
    site.dns.hold()
    with Launched(site.ops, "renew", "--apply", "example.com:web-ec") as renewing:
        wait_until(lambda: "instead of" in site.challenge_files()["example.com"], lambda: "no challenge was published")
        shown = site.challenge_files()["example.com"]
        site.dns.release()
        site.dns.hold()
        renewing.finish().succeeded()
    site.dns.settle()

    assert 2 == shown.count(" IN CNAME lb.example.org. ; instead of the wildcard *.example.com.")
    assert all(site.dns.show("_acme-challenge.www.example.com.", "TXT"))
    for name in ("www.example.com.", "any.www.example.com."):
        assert BALANCER == site.dns.show(name, "CNAME")

    site.dns.release()
    site.dns.settle()

    assert BALANCER == site.dns.show("www.example.com.", "CNAME")
    assert "issued" == staged(site, WEB)["status"]
    assert_clean(site)


def test_what_can_never_be_proved_is_told_before_anything_is_ordered(acme_site: AcmeSite) -> None:
    """An alias of its own out of our zones, and a delegation: each run fails, with the reason, and no order is made."""
    site = acme_site
    text = site.dns.read(ZONE).rstrip()
    lines = "_acme-challenge.www CNAME www.example.org.\nwww A 192.0.2.7\n"
    site.dns.edit({ZONE: f"{text}\n{lines}"})
    site.dns.settle()
    for _ in range(2):
        failed = site.sslops("renew", "--apply", "example.com:web-ec")

        assert (1, True) == (failed.exit_code, "'www.example.org.', where '_acme-challenge.www" in failed.stderr)
    site.dns.edit({ZONE: f"{text}\nwww NS ns.example.org.\n"})
    site.dns.settle()
    failed = site.sslops("renew", "--apply")

    assert (1, True) == (failed.exit_code, "zone cut: 'www.example.com.'" in failed.stderr)
    assert 2 == site.ca.orders_made()
    assert ["issued", "issued"] == [staged(site, service)["status"] for service in (MAIL, NET)]
