"""The dashboard says first what needs a person, and changes only when something happened."""

from __future__ import annotations

from dataclasses import replace
from datetime import timedelta
from typing import TYPE_CHECKING

from hypothesis import given, settings
from hypothesis import strategies as st

from sslops.inventory.reach import deliveries
from sslops.model.ledger import HostEntry, Served, Trouble
from sslops.model.plan import Plan, digest
from sslops.model.proposal import WITHDRAWN, Kind, MergeRequest, RequestState, mark
from sslops.model.state import Branches
from sslops.report.dashboard import MARKER, LastRun, dashboard, dashboard_view
from sslops.report.merge_request import BODY_LIMIT
from sslops.report.status import receivers, status_report
from tests.unit.report.markdown import OURS, elements
from tools import sample_world as site

if TYPE_CHECKING:
    from sslops.model.inventory import Inventory
    from sslops.model.ledger import Ledger

URL = "https://git.example.com/infra/dns/-/merge_requests/7"


def request(state: RequestState, url: str = URL, title: str = "a title", stamp: str = digest(Plan())) -> MergeRequest:
    """Return a request about TLSA records."""
    return MergeRequest(7, url, state, Kind.TLSA.branch, "main", "", title, mark(stamp))


def body(
    *requests: MergeRequest,
    inventory: Inventory = site.INVENTORY,
    branches: Branches | None = None,
    ledger: Ledger | None = None,
    hours: float = 0,
    limit: int = BODY_LIMIT,
    run: str = "",
) -> str:
    """Return the dashboard of the sample site."""
    state, known, now = branches or site.branches(), ledger or site.ledger(), site.NOW + timedelta(hours=hours)
    report = status_report(inventory, state, known, receivers(deliveries(inventory)), now, None)
    return dashboard(dashboard_view(report, state, known, requests, [LastRun("renew", site.NOW, run)], limit)).text


def urgent(text: str) -> list[str]:
    """Return what needs a person."""
    return [line.removeprefix("- ") for line in text.partition("### ")[0].splitlines() if line.startswith("- ")]


def test_a_quiet_site_needs_nobody() -> None:
    """It says so in its first line."""
    assert "**Nothing needs a person.**" == body().partition("\n")[0]


def test_a_host_that_no_record_matches_comes_first() -> None:
    """Nothing is more urgent than mail that is deferred."""
    quiet = site.ledger((site.LIVE, site.NOW - timedelta(days=5)))
    served = {site.MAIL: Served((site.FORMER.id,), site.NOW, "port")}
    told = urgent(body(ledger=replace(quiet, hosts={"smtp1": HostEntry(1, served)})))

    assert told[0].startswith(f"`example.com/mail-ec`: smtp1 may serve {site.FORMER.id}, and no 3 1 1 record at")


def test_an_hour_later_it_says_the_same() -> None:
    """Nothing counts down."""
    assert body() == body(hours=1)


def test_what_is_blocked_and_where_deploy_fails_needs_a_person() -> None:
    """With since when and the cause in words; a host that is settled by now is left out."""
    quiet = site.ledger()
    host, settled = min(quiet.hosts), max(quiet.hosts)
    entry = quiet.hosts[host]
    unknown = replace(entry, services=dict.fromkeys(entry.services, Served()))
    known = replace(
        quiet,
        hosts={**quiet.hosts, host: unknown},
        blocked={"publish example.com/ ns2.example.net not-loaded": site.NOW},
        troubles={host: Trouble(site.NOW, "login refused"), settled: Trouble(site.NOW, "x")},
    )
    blocked = "publish of `example.com` is blocked at `ns2.example.net` since 2026-11-24 14:30 UTC"

    assert [
        f"deploy to `{host}` has failed since 2026-11-24 14:30 UTC: login refused",
        f"{blocked}: name servers do not show what the DNS base has",
    ] == urgent(body(ledger=known))


def test_a_request_waits_for_a_person() -> None:
    """It is linked."""
    assert [f"To be merged or closed: [a title]({URL})"] == urgent(body(request(RequestState.OPEN)))


def test_a_declined_request_is_told_until_another_one_follows() -> None:
    """Only the newest of a kind counts; what the bot closed itself was not declined."""
    closed, withdrawn = request(RequestState.CLOSED), request(RequestState.CLOSED, stamp=WITHDRAWN)

    assert [f"Declined, by closing [a title]({URL}): reopen it, or let `--force` open it again"] == urgent(body(closed))
    assert [] == urgent(body(request(RequestState.MERGED), closed))
    assert [] == urgent(body(withdrawn))


def test_a_renewal_that_fails_is_told_with_its_next_try() -> None:
    """The reason stands there."""
    state = site.branches()
    failing = replace(state.next[site.NET].slots, failures=3, retry_at=site.at("2026-11-25 14:30"))
    known = {**state.next.services, site.NET: replace(state.next[site.NET], slots=failing)}
    told = urgent(body(branches=Branches(state.main, replace(state.next, services=known))))

    first = "`example.net/web-ec` could not be renewed; the next try is at 2026-11-25 14:30 UTC"
    assert [f"{first}: tried 3 times without success"] == told


def test_what_was_taken_back_is_told() -> None:
    """With the words that try it again."""
    state = site.branches()
    refused = replace(state.next[site.MAIL].slots, refused=site.NEXT.id)
    known = {**state.next.services, site.MAIL: replace(state.next[site.MAIL], slots=refused)}
    told = urgent(body(branches=Branches(state.main, replace(state.next, services=known))))

    assert ["`example.com/mail-ec` was taken back on main: `sslops roll --force` tries it again"] == told


def test_a_url_that_is_none_is_no_link() -> None:
    """What a forge says may be anything."""
    told = body(request(RequestState.OPEN, url="javascript:alert(1)"), run="local")

    assert not any(element.startswith("<a ") for element in elements(told))


@given(st.text(alphabet="a|\\`<>&*_[]()!@#~$%\n -"))
@settings(max_examples=40)
def test_a_hostile_title_stays_text(text: str) -> None:
    """No element comes out but ours, and the marker is where the next run finds it."""
    told = body(request(RequestState.OPEN, title=text))

    assert {f'<a href="{URL}">'} == elements(told) - OURS
    assert told.endswith(MARKER)


def test_a_long_dashboard_is_cut() -> None:
    """It fits, and keeps its marker."""
    told = body(limit=600)

    assert len(told) <= 600
    assert "more rows: `sslops-dashboard.md`" in told
