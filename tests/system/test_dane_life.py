"""The life of a record on real servers: DANE off and on, other ports and combinations, services that come and go."""

from __future__ import annotations

import json
import shutil
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from sslops.probe.tls import ask_port
from tests.system.story import INCLUDES, LONG_TTL, MAIL_TARGET, Story, settled
from tests.world.certificates import write_certificate
from tests.world.loopback import SMTP_PORT
from tests.world.mailhost import MailHost
from tests.world.site import HOSTS, OWNER
from tests.world.watch import records_matching

if TYPE_CHECKING:
    from collections.abc import Callable
    from collections.abc import Set as AbstractSet

    from tests.world.site import Site

MAIL_FILE, RSA_FILE = "inventory/example.com/mail-ec.yaml", "inventory/example.com/mail-rsa.yaml"
SETTINGS = "inventory/sslops.yaml"
MAIL_YAML = LONG_TTL[MAIL_FILE]
DANE = "dane_tls: [[25, tcp, 3, 1, 1, MX]]\n"
NO_DANE = MAIL_YAML.replace(DANE, "").replace("dane_tls_ttl: 3600\n", "")
RSA_YAML = MAIL_YAML.replace("{ktype: ec, ec_algo: secp256r1}", "{ktype: rsa, rsa_bits: 2048}")
ONE, BOTH = "svc_depends: [[example.com, [mail-ec]]]", "svc_depends: [[example.com, [mail-ec, mail-rsa]]]"


@pytest.fixture
def long_ttl(start_site: Callable[..., Site]) -> Site:
    """Return a site whose records live for an hour in caches."""
    return start_site(files=LONG_TTL)


def run(story: Story, times: int = 1) -> None:
    """Run the one scheduled job of a small site, and let time pass; the promise holds all along."""
    for _ in range(times):
        story.run("run", "--apply").succeeded()

        assert [] == story.broken()

        story.pass_time()


def shown(story: Story) -> AbstractSet[str]:
    """Return the records that both servers show."""
    first, second = story.site.dns.show(OWNER)

    assert first == second

    return first


def combinations(story: Story) -> set[str]:
    """Return the kinds of record that are there."""
    return {record.rpartition(" ")[0] for record in shown(story)}


def test_dane_off_empties_the_name_and_holds_the_key_until_no_cache_knows_it(long_ttl: Site) -> None:
    """The records go at once; the next key is not served before every cache has forgotten them."""
    story = settled(long_ttl)
    story.run("renew", MAIL_TARGET, "--force", "--new-key", "--apply").succeeded()
    story.site.ops.edit({MAIL_FILE: NO_DANE})
    story.run("publish", "--apply").succeeded()

    assert frozenset() == shown(story)

    waits = story.waits("roll")

    assert [True] == ["caches may still hold withdrawn records" in str(wait["why"]) for wait in waits]
    assert [] == story.broken()

    story.pass_time()
    story.run("roll", "--apply").succeeded()
    story.run("deploy", "--apply").succeeded()
    new = story.slot("curr")

    assert dict.fromkeys(HOSTS, new) == story.served()
    assert [] == story.broken()

    story.site.ops.edit({MAIL_FILE: MAIL_YAML})
    run(story)

    assert new in story.records()[0]


def test_another_combination_comes_first_and_the_old_one_goes_later(long_ttl: Site) -> None:
    """For the same key, without a renewal: 3 1 1 alone, both, 3 0 1 alone."""
    story = settled(long_ttl)
    curr = story.slot("curr")
    seen = [combinations(story)]
    story.site.ops.edit({MAIL_FILE: MAIL_YAML.replace("3, 1, 1", "3, 0, 1")})
    for _ in range(3):
        run(story)
        seen.append(combinations(story))

    assert [{"3 1 1"}, {"3 1 1", "3 0 1"}, {"3 0 1"}, {"3 0 1"}] == seen
    assert curr == story.slot("curr")


def test_a_ca_usage_is_served_by_what_the_own_ca_signs(long_ttl: Site) -> None:
    """2 1 1 of the intermediate joins, then stands alone, and a new leaf key needs no change of DNS."""
    story = settled(long_ttl)
    story.site.ops.edit({MAIL_FILE: MAIL_YAML.replace("3, 1, 1", "2, 1, 1")})
    for _ in range(2):
        story.run("run", "--apply").succeeded()
        story.pass_time()
    (record,) = shown(story)

    assert f"2 1 1 {facts(story, 'my-sub', 'ca')['spki_sha256']}" == record
    assert "; ca/my-sub " in story.site.dns.read(INCLUDES[0])

    story.run("renew", MAIL_TARGET, "--force", "--new-key", "--apply").succeeded()
    story.run("roll", "--apply").succeeded()
    story.run("deploy", "--apply").succeeded()

    assert dict.fromkeys(HOSTS, story.slot("curr")) == story.served()
    assert {record} == shown(story)


def test_a_port_that_changes_moves_its_records(long_ttl: Site) -> None:
    """The old name is emptied, the new one begins like any first use."""
    story = settled(long_ttl)
    story.site.ops.edit({MAIL_FILE: MAIL_YAML.replace("[25, tcp, 3, 1, 1, MX]", "[465, tcp, 3, 1, 1, MX]")})
    run(story)
    site = story.site

    assert frozenset() == shown(story)
    assert (2, 2) == tuple(map(len, site.dns.show(OWNER.replace("_25", "_465"))))


@pytest.mark.soak
def test_an_rsa_key_joins_the_port_and_leaves_it(long_ttl: Site) -> None:
    """Its record is there before any host serves it, and goes when no host and no port can show it."""
    story = settled(long_ttl)
    ops = story.site.ops
    settings = ops.show("main", SETTINGS) + "\n"
    ops.edit({RSA_FILE: RSA_YAML, SETTINGS: settings.replace(ONE, BOTH)})
    run(story)

    rsa = facts(story, "mail-rsa", slot="next")

    assert {None} == set(rsa_shown(story).values())
    assert f"3 1 1 {rsa['spki_sha256']}" in shown(story)

    run(story, 2)

    assert dict.fromkeys(HOSTS, rsa["cert_sha256"]) == rsa_shown(story)
    assert f"3 1 1 {rsa['spki_sha256']}" in shown(story)

    ops.edit({RSA_FILE: None, SETTINGS: settings})
    run(story)

    assert f"3 1 1 {rsa['spki_sha256']}" in shown(story)

    for name, host in story.site.hosts.items():
        shutil.rmtree(host.prod_cert_dir / "example.com/mail-rsa")
        story.site.mail[name].stop()
        story.site.mail[name].start()
    run(story, 2)

    assert f"3 1 1 {rsa['spki_sha256']}" not in shown(story)
    assert story.slot("curr") in story.records()[0]


def rsa_shown(story: Story) -> dict[str, str | None]:
    """Return what each host shows to a client that takes RSA only; null when it has nothing for it."""
    seen = {
        name: ask_port(
            mail.address, mail.smtp_port, starttls="smtp", server_name="mail.example.com", key_types=("rsa",)
        )
        for name, mail in story.site.mail.items()
    }

    assert {None} == {each.error for each in seen.values()}

    return {name: next(iter(each.certificates), None) for name, each in seen.items()}


def facts(story: Story, service: str, group: str = "example.com", slot: str = "curr") -> dict[str, str]:
    """Return the public facts of what is in a slot of a service on next."""
    generation = story.slot(slot, "next", f"{group}/{service}")
    text = story.site.ops.show("next", f"state/{group}/{service}/{generation}/generation.yaml")
    return {key: json.loads(value) for key, _, value in (line.partition(": ") for line in text.splitlines())}


def test_a_site_with_dane_of_its_own_is_taken_over_without_a_gap(long_ttl: Site) -> None:
    """Certificates of another tool, a record by hand: ours joins, is rolled when it may, and the old one goes last."""
    story = Story(long_ttl)
    others = Path(long_ttl.folder / "another-tool")
    write_certificate(others)
    for name, host in long_ttl.hosts.items():
        shutil.copytree(others, host.prod_cert_dir / "example.com/mail-rsa/curr")
        long_ttl.mail[name].stop()
        long_ttl.mail[name].start()
    (by_hand,) = {each for each in records_matching(certificates(story)[0]) if each.startswith("3 1 1 ")}
    story.edit_include(lambda _: f"{OWNER} 3600 IN TLSA {by_hand} ; by hand\n")

    assert [] == story.broken()

    run(story)

    assert by_hand in shown(story)
    assert {None} == set(story.served().values())

    for name, host in long_ttl.hosts.items():
        shutil.rmtree(host.prod_cert_dir / "example.com/mail-rsa")
        assert long_ttl.mail[name].certificate() is not None
    refused = story.run("run", "--apply")

    assert (3, True) == (refused.exit_code, "--accept tlsa-foreign=" in refused.stdout)
    assert dict.fromkeys(HOSTS, story.slot("curr")) == story.served()
    assert by_hand in shown(story)

    assert [] == story.broken()

    story.run("publish", "--apply", "--accept", f"tlsa-foreign={OWNER}").succeeded()

    assert by_hand not in shown(story)
    assert story.slot("curr") in story.records()[0]
    assert [] == story.broken()


def certificates(story: Story) -> list[bytes]:
    """Return the certificate that each host shows."""
    found = [mail.certificate() for mail in story.site.mail.values()]

    return [each for each in found if each is not None]


@pytest.mark.soak
def test_a_host_that_is_to_keep_copies_only_counts_until_its_port_shows_something_else(long_ttl: Site) -> None:
    """Its daemon was told nothing: the record of what it shows stays until it is seen not to."""
    story = settled(long_ttl)
    old, site = story.slot("curr"), long_ttl
    site.ops.edit({SETTINGS: keeping_copies(site)})
    story.run("renew", MAIL_TARGET, "--force", "--apply").succeeded()
    run(story, 2)
    new = story.slot("curr")

    assert {HOSTS[0]: new, HOSTS[1]: old} == story.served()
    assert old in story.records()[0]

    site.mail[HOSTS[1]].stop()
    write_certificate(site.folder / "another-tool")
    host = site.hosts[HOSTS[1]]
    other = MailHost(site.folder / "another-listener", host.address, [site.folder / "another-tool"])
    story.run("run", "--apply").succeeded()
    story.run("run", "--apply").succeeded()
    other.stop()

    assert old not in story.records()[0]
    assert new in story.records()[0]
    assert new in (host.prod_cert_dir / "example.com/mail-ec/curr/info").read_text()


def keeping_copies(site: Site) -> str:
    """Return the settings in which the second host only keeps copies."""
    settings = site.ops.show("main", SETTINGS) + "\n"
    line = next(line for line in settings.splitlines(keepends=True) if f"host: {HOSTS[1]}" in line)
    servers = settings.replace(line, "")
    more = f"svc_depends: [[example.com, [mail-ec]]], serves: false, verify: {{port: {SMTP_PORT}, starttls: smtp}}"
    return f"{servers}  spare: {{hosts: [{line.strip().removeprefix('- ')}], {more}}}\n"


def test_the_addresses_of_a_name_are_asked_from_where_its_ports_are(site: Site) -> None:
    """With `from: host` by ssh: while no host can be logged in to, the refusal says so and what would be accepted."""
    for verb in ("renew", "roll", "deploy"):
        site.sslops(verb, "--apply").succeeded()
    settings = site.ops.show("main", SETTINGS) + "\n"
    site.ops.edit({SETTINGS: settings.replace("from: runner", "from: host")})
    for host in site.hosts.values():
        host.stop()
    refused = site.sslops("publish", "--apply")

    assert (3, True, True) == (
        refused.exit_code,
        f"asked on '{HOSTS[1]}'" in " ".join(refused.stdout.split()),
        "--accept name-unproven=mail.example.com" in refused.stdout,
    )

    for host in site.hosts.values():
        host.start()
    site.sslops("publish", "--apply").succeeded()

    assert (1, 1) == tuple(map(len, site.dns.show(OWNER)))


def test_a_service_without_dane_is_not_drawn_into_it_by_the_ca_it_shares(long_ttl: Site) -> None:
    """imap beside smtp on one host, both of one CA: nothing waits for it, and it never gets a record of its own."""
    imap = NO_DANE.replace("Example.com Mail", "Example.com IMAP")
    story = Story(long_ttl)
    settings = story.site.ops.show("main", SETTINGS)
    both = "svc_depends: [[example.com, [mail-ec, imap-ec]]]"
    wanted = MAIL_YAML.replace("3, 1, 1", "2, 0, 1")
    imap_file = "inventory/example.com/imap-ec.yaml"
    story.site.ops.edit({SETTINGS: settings.replace(ONE, both), MAIL_FILE: wanted, imap_file: imap})
    story.run("run", "--apply").succeeded()
    story.pass_time()

    assert 0 == story.run("run", "--apply", "--detailed-exitcode").exit_code
    assert {"2 0 1"} == combinations(story)

    story.site.ops.edit({MAIL_FILE: MAIL_YAML})
    for _ in range(2):
        story.run("run", "--apply").succeeded()
        story.pass_time()

    assert {f"3 1 1 {facts(story, 'mail-ec', slot=slot)['spki_sha256']}" for slot in ("curr", "next")} == shown(story)
