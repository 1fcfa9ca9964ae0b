"""How a run waits until every name server shows its challenges: a delay before the first look, and what it says."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

from tests.system.acme import NET, WEB, assert_clean, dns_commits, dns_history, staged
from tests.system.launching import Launched
from tests.world.dns_files import ZONES

if TYPE_CHECKING:
    from tests.world.acme_site import AcmeSite

DELAY_SECONDS = 7200
SETTINGS, WEB_FILE = "inventory/sslops.yaml", f"inventory/{WEB}.yaml"
HELD_WHILE_IT_WAITS = (
    f"time:sleep=lambda seconds: __import__('os').kill(__import__('os').getpid(), 19) if seconds == {DELAY_SECONDS} "
    "else original(seconds)"
)
"""A wait of exactly that long is a SIGSTOP, which the test ends."""


def test_the_delay_comes_after_the_challenges_are_written_and_before_anybody_is_asked(acme_site: AcmeSite) -> None:
    """`dns_check_delay` is for name servers that need a while: asked too early, resolvers remember the no."""
    site = acme_site
    settings = site.ops.show("main", "inventory/sslops.yaml").replace(
        "globals: {", f"globals: {{dns_check_delay: {DELAY_SECONDS}, "
    )
    site.ops.edit({"inventory/sslops.yaml": f"{settings}\n"})
    words = ("renew", "--apply", "example.net")
    with Launched(site.ops, *words, options=["--patch", HELD_WHILE_IT_WAITS]) as launched:
        launched.wait_until_held()

        assert ["acme: show 2 challenges for example.net"] == dns_commits(site)
        assert {} == site.ca.answered()

        launched.wake()
        launched.finish().succeeded()

    assert "issued" == staged(site, NET)["status"]
    assert_clean(site)


def test_a_long_wait_says_how_far_it_is_and_where_a_challenge_lacks(acme_site: AcmeSite) -> None:
    """A line a minute, here a second: how many are shown, and the server that lacks the first of the others."""
    site = acme_site
    site.dns.lag()
    patches = ("PROOF_SECONDS=4", "_SAY_SECONDS=1")
    options = [word for patch in patches for word in ("--patch", f"sslops.issue.acme_steps:{patch}")]
    with Launched(site.ops, "renew", "--apply", "example.net", options=options) as launched:
        done = launched.finish().succeeded()
    said = re.findall(r"^(\d) of (\d) challenges are shown; (.*)$", done.stderr, re.MULTILINE)

    assert len(said) > 1
    assert {("0", "2")} == {(shown, all_of_them) for shown, all_of_them, _ in said}
    assert all(site.dns.secondary.address in where for _, _, where in said), said
    assert "the next run looks again" in done.stdout

    site.dns.catch_up()
    site.sslops("renew", "--apply", "example.net").succeeded()

    assert_clean(site)


def test_a_name_of_others_is_proved_where_its_alias_leads_into_a_zone_of_ours(acme_site: AcmeSite) -> None:
    """`check` refuses it until the inventory says so, and nothing is ordered before the alias is there."""
    site, zone = acme_site, f"{ZONES}/example.net.zone"
    lines = site.ops.show("main", SETTINGS).splitlines(keepends=True)
    settings = "".join([*(line for line in lines if "example.net" not in line), "\n"])
    web = f"{site.ops.show('main', WEB_FILE)}\n".replace("example.com]", "example.com, shop.example.net]")
    site.ops.edit({SETTINGS: settings, WEB_FILE: web, f"inventory/{NET}.yaml": None})
    refused = site.sslops("check")

    assert (1, True) == (refused.exit_code, "dns.acme_aliases" in refused.stderr)

    site.ops.edit({SETTINGS: settings.replace("  acme_dir:", "  acme_aliases: [example.net]\n  acme_dir:")})
    site.sslops("check").succeeded()
    early = site.sslops("renew", "--apply", "example.com:web-ec")

    assert (1, True, 0) == (early.exit_code, "no alias leads from" in early.stderr, site.ca.orders_made())

    alias = "_acme-challenge.shop CNAME shop.acme.example.com.\n"
    site.dns.edit({zone: f"{site.dns.read(zone).rstrip()}\n{alias}"})
    site.dns.settle()
    site.sslops("renew", "--apply", "example.com:web-ec").succeeded()

    assert "shop.example.net" in staged(site, WEB)["sans"]
    assert any('shop.acme.example.com. 60 IN TXT "' in text for text in dns_history(site, "example.com"))
    assert_clean(site)
