"""DANE over IPv6 on real servers: a mail host, the ssh to it and a name server that are reached at ::1."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from tests.system.story import LONG_TTL, MAIL_TARGET, Story
from tests.system.test_five_rules import ONE_LOOK
from tests.world.certificates import write_certificate
from tests.world.ipv6 import Ipv6Secondary
from tests.world.loopback import IPV6, fresh_port
from tests.world.mailhost import MailHost
from tests.world.peers import need_ipv6
from tests.world.site import HOSTS, MX_HOST, OWNER
from tests.world.watch import records_matching

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from tests.world.site import Site

SETTINGS = "inventory/sslops.yaml"
IPV4_ONLY = (
    "sslops.probe.name_servers:Resolver.tlsa_of_zones=lambda self, zones: original(self, "
    "{apex: ({name: each for name, each in servers.items() if not name.startswith('[')}, owners) "
    "for apex, (servers, owners) in zones.items()})"
)


@pytest.fixture
def site(start_site: Callable[..., Site]) -> Site:
    """Return a site whose second mail server is an AAAA of the MX host."""
    need_ipv6()
    made = start_site(files=LONG_TTL, is_dual=True)

    assert (True, IPV6) == (":" not in made.hosts[HOSTS[0]].address, made.hosts[HOSTS[1]].address)

    return made


@pytest.fixture
def ipv6_server(site: Site) -> Iterator[Ipv6Secondary]:
    """Yield a name server of the site on ::1, named in the inventory."""
    started = Ipv6Secondary(site.dns)
    settings = site.inventory_files()[SETTINGS]
    secondary = f'"{site.dns.secondary}"]'
    site.ops.edit({SETTINGS: settings.replace(secondary, f'{secondary[:-1]}, "{started.endpoint}"]')})
    yield started
    started.stop()


def test_no_first_record_before_the_ipv6_address_of_the_name_shows_the_certificate(site: Site) -> None:
    """Deploy proved both hosts; then somebody else answers at the AAAA, and only publish can notice."""
    for verb in ("renew", "roll", "deploy"):
        site.sslops(verb, "--apply").succeeded()
    ours = site.mail[HOSTS[1]]

    assert {site.mail[HOSTS[0]].served()} == {ours.served()} != {None}

    ours.stop()
    write_certificate(site.folder / "theirs")
    ports = {"smtp_port": ours.smtp_port, "tls_port": fresh_port(), "control_port": fresh_port()}
    theirs = MailHost(site.folder / "their-host", IPV6, [site.folder / "theirs"], **ports)
    refused = site.sslops("publish", "--apply")
    theirs.stop()
    nobody = site.sslops("publish", "--apply")

    hazard = f"name-unproven={MX_HOST}"

    assert [(3, True)] * 2 == [(done.exit_code, hazard in done.stdout) for done in (refused, nobody)]
    assert f"[{IPV6}]:{ours.smtp_port} of {MX_HOST} does not show" in refused.stdout
    assert (frozenset(), frozenset()) == site.dns.show(OWNER)

    ours.start()
    site.sslops("publish", "--apply").succeeded()
    records, _ = site.dns.show(OWNER)

    assert [True, True] == [listener.is_accepted_with(records) for listener in site.mail.values()]


@pytest.mark.soak
def test_a_key_waits_for_a_name_server_that_lags_on_ipv6(site: Site, ipv6_server: Ipv6Secondary) -> None:
    """Both servers of IPv4 show its record; it is rolled when the one of IPv6 does too."""
    story = Story(site)
    story.run("run", "--apply").succeeded()
    ipv6_server.settle()
    held = ipv6_server.answers(OWNER)

    assert (held, held) == site.dns.show(OWNER)

    ipv6_server.lag()
    story.run("renew", MAIL_TARGET, "--force", "--apply").succeeded()
    story.run("publish", "--apply", patches=[ONE_LOOK]).succeeded()
    new = story.slot("next", "next")
    story.pass_time()
    waits = story.waits("roll")

    assert [True] == [str(ipv6_server.endpoint) in str(wait["why"]) for wait in waits]
    assert [True, True] == [new in records for records in story.records()]
    assert held == ipv6_server.answers(OWNER)

    ipv6_server.catch_up()
    story.run("publish", "--apply").succeeded()
    story.pass_time()
    story.run("run", "--apply").succeeded()

    assert dict.fromkeys(HOSTS, new) == story.served()
    assert [] == story.broken()
    assert site.mail[HOSTS[1]].is_accepted_with(ipv6_server.answers(OWNER))


@pytest.mark.soak
def test_by_ipv4_alone_a_name_server_that_lags_on_ipv6_is_missed(site: Site, ipv6_server: Ipv6Secondary) -> None:
    """The wait is needed: without it DANE breaks."""
    story = Story(site)
    story.run("run", "--apply").succeeded()
    ipv6_server.settle()
    ipv6_server.lag()
    story.run("renew", MAIL_TARGET, "--force", "--new-key", "--apply").succeeded()
    story.run("publish", "--apply", patches=[IPV4_ONLY]).succeeded()
    story.pass_time()
    story.run("run", "--apply", patches=[IPV4_ONLY]).succeeded()
    certificate = site.mail[HOSTS[1]].certificate()

    assert certificate is not None
    assert not ipv6_server.answers(OWNER) & records_matching(certificate)
