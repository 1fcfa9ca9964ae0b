"""The page about a site: what needs a person comes first, nothing in it runs, and what peers say stays text."""

from __future__ import annotations

import re
from dataclasses import replace
from datetime import timedelta
from html.parser import HTMLParser
from xml.etree import ElementTree as ET

import pytest

from sslops.dane.records import Keys
from sslops.model.inventory import LETS_ENCRYPT, CaType, CertificateAuthority
from sslops.model.ledger import HostEntry, Ledger, Served, Trouble
from sslops.model.outlook import Assumptions, Event, Forecast
from sslops.model.proposal import Kind, MergeRequest, RequestState
from sslops.model.state import Branches, State
from sslops.report.live import Known
from sslops.report.page import Commit, PageInput, page, page_view
from sslops.report.status import status_report
from sslops.report.svg import Bar, Lane, Mark, Span, timeline
from tests.unit.report.test_status_view import (
    INVENTORY,
    LIVE,
    MAIL,
    NEW,
    NOW,
    OLD,
    OWNER,
    RECEIVERS,
    SETTLED,
    STAGED,
    with_evidence,
)

VOID = {"meta", "br", "line", "rect", "polygon"}


def site(
    ledger: Ledger = SETTLED, deck: State = LIVE, requests: tuple[MergeRequest, ...] = (), url: str = ""
) -> PageInput:
    """Return what is known of a site with one service, a planned step and a commit."""
    branches = Branches(LIVE, deck)
    report = status_report(INVENTORY, branches, ledger, RECEIVERS, NOW, None)
    steps = (
        Event(NOW + timedelta(days=9), "renew", str(MAIL), "issue: it is due"),
        Event(NOW + timedelta(days=10), "publish", OWNER, "- 3 1 1 aaaa"),
    )
    forecast = Forecast(NOW, Assumptions(NOW + timedelta(days=90)), steps)
    commits = (Commit("c0ffee" * 6, NOW, "renew(<b>x</b>)", "sslops", url=url),)
    return PageInput(Known(INVENTORY, branches, ledger, Keys.of(branches)), report, forecast, requests, "", commits)


def written(known: PageInput) -> str:
    """Return the page."""
    return page(page_view(known))


class Balance(HTMLParser):
    """Notes every start tag with its attributes, and each end tag that does not close the newest open one."""

    def __init__(self) -> None:
        """Begin."""
        super().__init__()
        self.open: list[str] = []
        self.wrong: list[str] = []
        self.seen: list[tuple[str, dict[str, str | None]]] = []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        """Note it."""
        self.seen.append((tag, dict(attrs)))
        if tag not in VOID:
            self.open.append(tag)

    def handle_endtag(self, tag: str) -> None:
        """Compare it."""
        if tag not in VOID and (not self.open or self.open.pop() != tag):
            self.wrong.append(tag)


def read(text: str) -> Balance:
    """Return the page as a parser reads it."""
    parser = Balance()
    parser.feed(text)
    return parser


EITHER = replace(
    with_evidence(OLD, NEW, since=NOW - timedelta(minutes=5)),
    hosts={"smtp1": HostEntry(2, {MAIL: Served((OLD, None), NOW, "port")})},
    troubles={"smtp1": Trouble(NOW - timedelta(hours=2), "<script>alert(1)</script>\x1b[2J")},
)


def test_the_page_is_whole_and_runs_nothing() -> None:
    """Every tag is closed; no script, no frame, nothing fetched; the page's own policy forbids all of it too."""
    found = read(written(site(EITHER, STAGED)))
    attributes = {name for _, attrs in found.seen for name in attrs}

    assert ([], []) == (found.open, found.wrong)
    assert set() == {tag for tag, _ in found.seen} & {"script", "link", "img", "iframe", "object", "form"}
    assert set() == {name for name in attributes if name.startswith("on")} | (attributes & {"src", "srcset", "style"})
    assert "default-src 'none'; style-src 'unsafe-inline'" in {attrs.get("content") for _, attrs in found.seen}


def test_what_peers_say_stays_text() -> None:
    """Words of a host and subjects of commits are shown, escaped for HTML and for a terminal."""
    text = written(site(EITHER, STAGED))

    assert "&lt;script&gt;alert(1)&lt;/script&gt;\\x1b[2J" in text
    assert "renew(&lt;b&gt;x&lt;/b&gt;)" in text
    assert "<script" not in text


@pytest.mark.parametrize(
    ("url", "leads"),
    [("https://git.example.com/c/1", True), ("javascript:alert(1)", False), ('https://x/" onclick="y', False)],
)
def test_a_link_leads_to_http_only(url: str, leads: bool) -> None:
    """What a forge or a trailer gives as an address may be anything."""
    request = MergeRequest(7, url, RequestState.OPEN, Kind.ROLL.branch, "main", None, "roll it", "")
    links = {attrs.get("href") for tag, attrs in read(written(site(requests=(request,)))).seen if tag == "a"}

    assert leads is (url in links)
    assert set() == {each for each in links if each and not each.startswith(("https://", "#"))}


def test_what_needs_a_person_comes_first_and_says_so_when_nothing_does() -> None:
    """A mismatch stands above every service; a quiet site says that it is quiet."""
    mismatch = replace(with_evidence(NEW, since=NOW - timedelta(days=5)), hosts=SETTLED.hosts)
    loud = written(site(mismatch))

    assert 0 < loud.index("mismatch: smtp1 may serve") < loud.index('id="services"')
    assert "Nothing needs a person." in written(site())
    assert "Nothing needs a person." not in loud


def test_a_service_has_its_time_line_for_each_width_and_its_steps_in_words() -> None:
    """Slots, evidence and planned steps are drawn; what is drawn is also said."""
    text = written(site(EITHER, STAGED))
    charts = re.findall(r"<svg.*?</svg>", text)

    assert [980, 600, 310] == [int(ET.fromstring(chart).get("width") or 0) for chart in charts]  # noqa: S314  (our own)
    assert ["curr aaaa", "next bbbb", "TLSA 3 1 1 of aaaa", "planned steps (2)"] == [
        words for words in ("curr aaaa", "next bbbb", "TLSA 3 1 1 of aaaa", "planned steps (2)") if words in charts[0]
    ]
    assert "renew: issue: it is due" in text
    assert f"publish: - 3 1 1 aaaa at {OWNER}" in text


def test_a_name_says_what_caches_may_hold_and_when_the_next_step_is_possible() -> None:
    """Twice the TTL after a record was seen everywhere."""
    text = written(site(EITHER, STAGED))

    assert "caches may lack it until 2026-11-24 15:25 UTC (2 x 1800 s)" in text
    assert "roll and deploy by these records: in 55 min (15:25 UTC)" in text


def test_a_ca_says_what_is_left_of_its_limits() -> None:
    """As the budget of the next renewal counts it."""
    acme = CertificateAuthority("my-sub", CaType.ACME, directory=LETS_ENCRYPT)
    known = site()
    inventory = replace(INVENTORY, cas={"my-sub": acme})
    text = written(replace(known, whose=replace(known.whose, inventory=inventory)))

    assert "certificates for the same names (mail.example.com): 1 of 5 used in" in text


def test_a_chart_is_a_value() -> None:
    """The same input gives the same bytes; what lies outside its time is drawn at its edge; words are escaped."""
    lanes = [
        Lane("a <b> & 'c'", (Bar(NOW - timedelta(days=900), NOW + timedelta(days=900), "curr"),)),
        Lane("x" * 500, marks=(Mark(NOW, "step", "<&>"),)),
    ]
    drawn = [timeline(lanes, Span(NOW - timedelta(days=1), NOW + timedelta(days=9)), NOW, 310, "<t>") for _ in range(2)]
    chart = ET.fromstring(drawn[0])  # noqa: S314  (our own)

    assert drawn[0] == drawn[1]
    assert ("<t>", "310") == (chart.get("aria-label"), chart.get("width"))
    assert ["0.0", "310.0"] == [chart.findall("rect")[0].get(key) for key in ("x", "width")]
    assert "<b>" not in drawn[0]
