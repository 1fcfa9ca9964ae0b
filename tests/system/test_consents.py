"""Every consent that a message offers is tried here as it was printed, and leads on.

`TRIED` is the table: each place of the code that offers a consent, and the test that takes it at its word. A test of
the unit tests walks the code and fails where a place has no row.
"""

from __future__ import annotations

import json
import re
from typing import TYPE_CHECKING

import pytest

from tests.system.acme import MAIL as MAIL_EC
from tests.system.acme import staged
from tests.system.story import LONG_TTL, MAIL_TARGET, Story, settled
from tests.system.test_dane_life import test_a_site_with_dane_of_its_own_is_taken_over_without_a_gap as taken_over
from tests.world.dns import SECONDARY
from tests.world.dns_files import ZONES
from tests.world.forged import ForgedServer
from tests.world.loopback import fresh_address
from tests.world.site import HOSTS, OWNER
from tests.world.validating_resolver import ValidatingResolver

if TYPE_CHECKING:
    from collections.abc import Callable

    from tests.world.acme_site import AcmeSite
    from tests.world.ops import Finished
    from tests.world.site import Site

FIRST, SECOND = HOSTS
SETTINGS = "inventory/sslops.yaml"
MAIL_FILE = "inventory/example.com/mail-ec.yaml"
ZONE = f"{ZONES}/example.com.zone"
STRANGER = f"3 1 1 {'ab' * 32}"
THIRD_PARTY = "mx.example.org"


def offered(finished: Finished) -> set[str]:
    """Return what follows `--accept` wherever one command printed it, as a person would copy it."""
    words = " ".join(f"{finished.stdout} {finished.stderr}".split())
    return {found.rstrip(",;:)") for found in re.findall(r"--accept (\S+)", words)}


def accepting(consents: set[str]) -> list[str]:
    """Return the words that accept *consents* on a command line."""
    return [word for each in sorted(consents) for word in ("--accept", each)]


def add_to_zone(site: Site, *records: str) -> None:
    """Let a person add records to the zone; the name servers load it."""
    site.dns.edit({ZONE: "\n".join([site.dns.read(ZONE).rstrip(), *records, ""])}, "by hand")
    site.dns.settle()


def set_in_dns(site: Site, line: str) -> None:
    """Add a *line* of settings below `dns`."""
    settings = site.ops.show("main", SETTINGS)
    site.ops.edit({SETTINGS: f"{settings}\n".replace("dns:\n", f"dns:\n  {line}\n", 1)})


@pytest.fixture
def long_ttl(start_site: Callable[..., Site]) -> Site:
    """Return a site whose records live for an hour in caches."""
    return start_site(files=LONG_TTL)


def test_before_the_first_record(long_ttl: Site) -> None:
    """A host whose clock is not ours, an address that shows nothing, an MX of a third party."""
    story, site = Story(long_ttl), long_ttl
    for verb in ("renew", "roll"):
        story.run(verb, "--apply").succeeded()
    its_root, new = site.hosts[SECOND].prod_cert_dir, story.slot("curr")
    told = f'[ "$root" = {its_root} ] && slow=7200 || slow=0; tell "clock $(($(date +%s) - slow))"'
    behind = ["--patch-receiver", f'tell "clock $(date +%s)"=>{told}']
    refused = story.run("deploy", "--apply", options=behind)

    assert f"the clock of '{SECOND}' is 120 min behind this machine's" in " ".join(refused.stdout.split())
    assert (3, {f"clock={SECOND}"}) == (refused.exit_code, offered(refused))
    assert {FIRST: new, SECOND: None} == story.served()

    story.run("deploy", "--apply", *accepting(offered(refused)), options=behind).succeeded()

    assert dict.fromkeys(HOSTS, new) == story.served()

    add_to_zone(site, f"mail A {fresh_address()}", f"@ MX 20 {THIRD_PARTY}.")
    refused = story.run("publish", "--apply")

    assert (3, {"name-unproven=mail.example.com", f"name-unproven={THIRD_PARTY}"}) == (
        refused.exit_code,
        offered(refused),
    )
    assert (frozenset(), frozenset()) == story.records()

    accepted = accepting(offered(refused))
    story.run("publish", "--apply", *accepted).succeeded()

    assert ({new}, {new}) == story.records()

    quiet = story.run("publish", "--apply", "--json", *accepted).succeeded()

    assert [] == [each for each in json.loads(quiet.stdout)["waits"] if each["cause"] == "outside-zones"]


def test_while_a_name_server_is_silent(long_ttl: Site) -> None:
    """It holds up the roll, the host and what is to be withdrawn; who knows that it is dead goes on without it."""
    story = settled(long_ttl)
    story.run("renew", MAIL_TARGET, "--force", "--apply").succeeded()
    story.run("publish", "--apply").succeeded()
    story.pass_time()
    old, new = story.slot("curr"), story.slot("next", "next")
    story.site.dns.stop(SECONDARY)
    story.secondary_follows = False
    consent = {f"ns-unreachable={story.site.dns.secondary}"}
    for verb in ("roll", "deploy"):
        refused = story.run(verb, "--apply")

        assert (3, consent) == (refused.exit_code, offered(refused))

        story.run(verb, "--apply", *accepting(offered(refused))).succeeded()

    assert dict.fromkeys(HOSTS, new) == story.served()

    told = story.run("publish", "--apply")

    assert ({"blocked"}, consent) == (set(re.findall(r"blocked|waits", told.stdout)), offered(told))
    assert "nothing is withdrawn" in told.stdout
    assert old in story.records()[0]

    accepted = story.run("publish", "--apply", *accepting(offered(told))).succeeded()

    assert set() == offered(accepted)
    assert {new} == story.records()[0] - {story.slot("next", "next")}

    story.site.dns.start(SECONDARY)


def test_when_a_name_and_a_host_are_given_up(long_ttl: Site) -> None:
    """Records that are not ours stay until a person says so, and so does a name that a wildcard would answer for."""
    story, site = settled(long_ttl), long_ttl
    story.edit_include(lambda text: f"{text}\n{OWNER} 3600 IN TLSA {STRANGER} ; by hand\n")
    add_to_zone(site, f"*._tcp.mail 3600 TLSA {STRANGER}")
    without_dane = LONG_TTL[MAIL_FILE].replace("dane_tls: [[25, tcp, 3, 1, 1, MX]]\n", "")
    lines = site.ops.show("main", SETTINGS).splitlines()
    settings = "\n".join(line for line in lines if f"host: {SECOND}" not in line)
    site.ops.edit({MAIL_FILE: without_dane.replace("dane_tls_ttl: 3600\n", ""), SETTINGS: f"{settings}\n"})
    consents: set[str] = set()
    for consent in (f"tlsa-foreign={OWNER}", f"wildcard={OWNER}"):
        refused = story.run("publish", "--apply", *accepting(consents))

        assert (3, {consent}) == (refused.exit_code, offered(refused) - consents)

        consents |= offered(refused)
    story.run("publish", "--apply", *accepting(consents)).succeeded()

    assert "TLSA" not in site.dns.read(f"{ZONES}/include-tlsa/tlsa.example.com")
    assert ({STRANGER}, {STRANGER}) == story.records()

    told = story.run("deploy", "--apply", "--json")
    (words,) = {each["next"] for each in json.loads(told.stdout)["waits"] if each["cause"] == "host-removed"}
    forget = words.partition(",")[0].removeprefix("sslops ").split()
    at = forget.index("--accept")
    refused = story.run(*forget[:at], *forget[at + 2 :])

    assert (3, {forget[at + 1]}) == (refused.exit_code, offered(refused))

    story.run(*forget).succeeded()

    assert f"hosts/{SECOND}.yaml" not in site.ops.git_remote("ls-tree", "-r", "--name-only", "ledger")


def test_while_no_resolver_vouches_for_the_zone(long_ttl: Site) -> None:
    """No first record, no new key; a person who knows that the resolver is wrong goes on, step by step."""
    story, site = Story(long_ttl), long_ttl
    for verb in ("renew", "roll", "deploy"):
        story.run(verb, "--apply").succeeded()
    validator = ValidatingResolver(site.folder / "validator", site.dns, untrusted=["example.com"])
    set_in_dns(site, f"validator: {validator.endpoint}")
    consent = {f"dnssec-bogus={OWNER}"}
    refused = story.run("publish", "--apply")

    assert (3, consent) == (refused.exit_code, offered(refused))

    story.run("publish", "--apply", *accepting(offered(refused))).succeeded()
    told = story.run("publish", "--apply")

    assert ({story.slot("curr")},) * 2 == story.records()
    assert ("blocked" in told.stdout, consent) == (True, offered(told))
    assert set() == offered(story.run("publish", "--apply", *accepting(consent)).succeeded())

    story.run("renew", MAIL_TARGET, "--force", "--apply").succeeded()
    story.run("publish", "--apply", *accepting(consent)).succeeded()
    new = story.slot("next", "next")
    story.pass_time()
    story.run("publish", "--apply", *accepting(consent)).succeeded()
    for verb in ("roll", "deploy"):
        refused = story.run(verb, "--apply")

        assert (3, consent) == (refused.exit_code, offered(refused))

        story.run(verb, "--apply", *accepting(offered(refused))).succeeded()
    validator.stop()

    assert dict.fromkeys(HOSTS, new) == story.served()
    assert [] == story.broken()


def test_before_a_ca_is_asked(acme_site: AcmeSite) -> None:
    """Nothing is ordered while signatures do not hold; a resolver of `dns_xtra_ns` that is silent holds up an order."""
    site, silent = acme_site, fresh_address()
    forged = ForgedServer(site.folder / "forged", site.dns.primary, "example.com", ["mail.example.com."])
    validator = ValidatingResolver(site.folder / "validator", site.dns, servers=[forged.endpoint])
    set_in_dns(site, f"validator: {validator.endpoint}")
    settings = site.ops.show("main", SETTINGS)
    site.ops.edit({SETTINGS: f"{settings}\n".replace("globals: {", f"globals: {{dns_xtra_ns: [{silent}], ", 1)})
    consents: set[str] = set()
    for consent, orders in (("dnssec-bogus=mail.example.com", 0), (f"xtra-ns-unreachable={silent}", 1)):
        refused = site.sslops("renew", "example.com:mail-ec", "--apply", *accepting(consents))

        assert (3, {consent}, orders) == (refused.exit_code, offered(refused) - consents, site.ca.orders_made())

        consents |= offered(refused)
    site.sslops("renew", "example.com:mail-ec", "--apply", *accepting(consents)).succeeded()
    forged.stop()
    validator.stop()

    assert ("issued", 1) == (staged(site, MAIL_EC)["status"], site.ca.orders_made())


TRIED = {
    "dane.may_serve:_silent_server ns-unreachable": test_while_a_name_server_is_silent,
    "dane.may_serve:_unsigned dnssec-bogus": test_while_no_resolver_vouches_for_the_zone,
    "dane.rrset_plan:_first_use dnssec-bogus": test_while_no_resolver_vouches_for_the_zone,
    "dane.rrset_plan:_first_use name-unproven": test_before_the_first_record,
    "dane.rrset_plan:_given_up tlsa-foreign": test_when_a_name_and_a_host_are_given_up,
    "dane.rrset_plan:_in_its_surroundings wildcard": test_when_a_name_and_a_host_are_given_up,
    "dane.rrset_plan:_kept_strangers tlsa-foreign": taken_over,
    "dane.rrset_plan:_while_silent ns-unreachable": test_while_a_name_server_is_silent,
    "deploy.host_plan:forget host-removed": test_when_a_name_and_a_host_are_given_up,
    "deploy.steps:clock_hazards clock": test_before_the_first_record,
    "issue.dnssec:_hazards dnssec-bogus": test_before_a_ca_is_asked,
    "model.cause: host-removed": test_when_a_name_and_a_host_are_given_up,
    "model.cause: name-unproven": test_before_the_first_record,
    "probe.challenges:_lacks_extra xtra-ns-unreachable": test_before_a_ca_is_asked,
    "publish.rules:_outside name-unproven": test_before_the_first_record,
    "publish.rules:_served_otherwise dnssec-bogus": test_while_no_resolver_vouches_for_the_zone,
    "publish.rules:_served_otherwise ns-unreachable": test_while_a_name_server_is_silent,
}
"""Module, function and hazard of each place that offers a consent, and the test that takes it at its word."""
