"""Renewal windows (RFC 9773): asked as often as the CA wants to be asked, kept, and followed."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING

from tests.system.acme import NET, WEB, later, slots, staged
from tests.world.acme_faults import problem
from tests.world.remotes import BRANCHES_ONLY, install_hook

if TYPE_CHECKING:
    from pathlib import Path

    from tests.world.acme_site import AcmeSite

HOUR = 3600
DAY = 24 * HOUR
A_LOOK = ["directory", "renewalInfo"]
"""What a run asks that has nothing to do but to look at one window."""


def asked(site: AcmeSite, since: int) -> list[str]:
    """Return the kinds of the requests that came after the first *since*."""
    return [each.kind for each in site.ca.exchanges[since:]]


def test_a_run_with_nothing_due_asks_for_windows_and_no_earlier_than_the_ca_wants(acme_site: AcmeSite) -> None:
    """No commit, no order, no challenge; pebble wants to be asked every six hours, and other services do not count."""
    site = acme_site
    site.pebble.need_modern()
    site.sslops("renew", "--apply").succeeded()
    refs = site.ops.refs()
    found = []
    for hours in (0, 5, 7, 12, 14):
        before = len(site.ca.exchanges)
        later(site, hours * HOUR, "renew", "--apply", "example.com:web-ec").succeeded()
        found.append(asked(site, before))

    assert [[], [], A_LOOK, [], A_LOOK] == found
    assert refs == site.ops.refs()


def test_a_fresh_clone_knows_when_the_ca_wants_to_be_asked(acme_site: AcmeSite, world_folder: Path) -> None:
    """Each job of a pipeline starts from one; what one service was told leaves the others of its group alone."""
    site = acme_site
    site.pebble.need_modern()
    site.sslops("renew", "--apply").succeeded()
    later(site, 7 * HOUR, "renew", "--apply", "example.com:web-ec").succeeded()
    fresh, before = site.ops.clone(world_folder / "fresh"), len(site.ca.exchanges)
    later(site, 8 * HOUR, "renew", "--apply", "example.com:web-ec", ops=fresh).succeeded()

    assert [] == asked(site, before)

    later(site, 8 * HOUR, "renew", "--apply", ops=fresh).succeeded()

    assert 2 == asked(site, before).count("renewalInfo")


def test_a_day_is_the_longest_that_a_ca_is_not_asked(acme_site: AcmeSite) -> None:
    """Whatever it says, and if it says it with an error: a window may have moved for a reason (section 4.3.2)."""
    site = acme_site
    site.pebble.need_modern()
    site.sslops("renew", "--apply", "example.net").succeeded()
    site.ca.plan("renewalInfo", problem("rateLimited", 429, retry_after=str(365 * DAY)))
    done = later(site, DAY, "renew", "--apply", "example.net").succeeded()
    before = len(site.ca.exchanges)
    later(site, DAY + 20 * HOUR, "renew", "--apply", "example.net").succeeded()

    assert "no renewal windows from 'le-dns'" in done.stderr
    assert [] == asked(site, before)

    later(site, 2 * DAY + HOUR, "renew", "--apply", "example.net").succeeded()

    assert A_LOOK == asked(site, before)


def test_a_remote_without_a_place_for_such_times_costs_a_question(acme_site: AcmeSite) -> None:
    """It is said, the certificate is there, and the next run asks once more."""
    site = acme_site
    site.pebble.need_modern()
    assert site.ops.remote is not None
    install_hook(site.ops.remote, "update", BRANCHES_ONLY)
    done = site.sslops("renew", "--apply", "example.net").succeeded()
    before = len(site.ca.exchanges)
    site.sslops("renew", "--apply", "example.net").succeeded()

    assert "could not be written down" in done.stderr
    assert "issued" == staged(site, NET)["status"]
    assert A_LOOK == asked(site, before)


def test_a_window_in_the_past_renews_as_soon_as_it_is_seen_and_quotes_why(acme_site: AcmeSite) -> None:
    """A mass revocation reaches every site as soon as the CA wants to be asked again."""
    site = acme_site
    site.pebble.need_modern()
    site.sslops("run", "--apply", "example.net").succeeded()
    first = slots(site, NET, "main")["curr"]
    cert = site.ops.show("main", f"state/{NET}/{first}/cert.pem") + "\n"
    now = datetime.now(UTC)
    why = "https://ca.example.net/incident"
    site.pebble.set_renewal_info(cert, now - timedelta(days=2), now - timedelta(days=1), why)
    later(site, 7 * HOUR, "renew", "--apply", "example.net").succeeded()

    assert first != slots(site, NET)["next"]
    assert "issued" == staged(site, NET)["status"]
    assert why in site.ops.git_remote("log", "-1", "--format=%B", "next")


NO_WINDOWS = ("", "[]", '{"suggestedWindow": 5}', '{"suggestedWindow": {"start": "x", "end": "y"}}')


def test_a_renewal_window_that_is_nonsense_is_none(acme_site: AcmeSite) -> None:
    """The certificate then follows the lifetime rule, and the CA is asked again."""
    site = acme_site
    site.pebble.need_modern()
    site.sslops("run", "--apply", "example.net").succeeded()
    cert = site.ops.show("main", f"state/{NET}/{slots(site, NET, 'main')['curr']}/cert.pem") + "\n"
    refs = site.ops.refs()
    for turn, answer in enumerate(NO_WINDOWS, 1):
        before = len(site.ca.exchanges)
        site.pebble.set_renewal_text(cert, answer)
        later(site, turn * 7 * HOUR, "renew", "--apply", "example.net").succeeded()

        assert (A_LOOK, refs["next"]) == (asked(site, before), site.ops.refs()["next"]), answer


def test_the_window_is_kept_and_the_moment_chosen_once(acme_site: AcmeSite) -> None:
    """Every run after the first finds the same moment."""
    site = acme_site
    site.pebble.need_modern()
    site.sslops("renew", "--apply", "example.com:web-ec").succeeded()
    found = slots(site, WEB)

    assert found["ari"]["start"] <= found["renew_at"] <= found["ari"]["end"]
