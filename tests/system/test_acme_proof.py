"""How a run waits until every name server shows its challenges: a delay before the first look, and what it says."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

from tests.system.acme import NET, assert_clean, dns_commits, staged
from tests.system.launching import Launched

if TYPE_CHECKING:
    from tests.world.acme_site import AcmeSite

DELAY_SECONDS = 7200
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
