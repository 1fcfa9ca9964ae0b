"""A merge request can be decided on from its body alone, and nothing in it acts on the forge."""

from __future__ import annotations

import re
from dataclasses import replace
from datetime import timedelta
from typing import TYPE_CHECKING

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from sslops.model.names import ServiceId
from sslops.model.plan import Consents, Plan
from sslops.model.proposal import MergeRequest, RequestState
from sslops.model.tlsa import Rrset, TlsaParams, TlsaRecord
from sslops.publish.rules import Publication, ZoneChange, publication
from sslops.report.merge_request import (
    AcmeView,
    ChallengeRow,
    Deadline,
    HostRow,
    RecordRow,
    RollRow,
    RollView,
    ShownRow,
    TlsaView,
    acme_body,
    roll_body,
    tlsa_body,
)
from sslops.report.plan import HazardRow
from sslops.report.proposed import acme_view, roll_view, tlsa_view
from tests.unit.report.markdown import OURS, cells, elements, html
from tools import sample_world as site
from tools import samples
from tools.samples import SAMPLES

if TYPE_CHECKING:
    from collections.abc import Callable

DIGEST = "sha256:" + "ab" * 32
MANY = 3000
HOSTILE = st.text(alphabet="a|\\`<>&*_[]()!@#~$%\n\r\t\x1b -1/:") | st.sampled_from(
    [
        "-->",
        "<!-- sslops-plan: withdrawn -->",
        "`|`",
        "\\|",
        "@all",
        "!1",
        "/merge",
        "[a](http://b)",
        "</details>",
        "# a",
    ]
)


def section(body: str, heading: str) -> str:
    """Return what stands below a heading."""
    return body.partition(f"### {heading}\n\n")[2].partition("\n\n###")[0]


def tlsa(text: str) -> TlsaView:
    """Return a view where everything from outside is *text*."""
    record = TlsaRecord(text, TlsaParams(3, 1, 1), text)
    return TlsaView(
        apexes=(text,),
        rows=(RecordRow(True, record, text, "live", (text,)), RecordRow(False, record, "", "not ours")),
        ttls=((text, 1, 2),),
        missing=(text,),
        why=(),
        shown=(ShownRow(record, text, site.NOW, site.NOW),),
        servers=(text,),
        hazards=(HazardRow("tlsa-foreign", text, text, text),),
        accepted=(text,),
        deadline=None,
        caches=timedelta(hours=1),
        digest=DIGEST,
    )


def roll(text: str) -> RollView:
    """Return a view where everything from outside is *text*."""
    row = RollRow(ServiceId(text, text), text, text, site.NOW, site.NOW, site.NOW, "new", text, (text,))
    record = ShownRow(TlsaRecord(text, TlsaParams(3, 1, 1), text), text, None, None)
    host = HostRow(text, (text,), (text,), "port 25")
    return RollView((row,), (), (host,), (record,), (text,), None, DIGEST)


def acme(text: str) -> AcmeView:
    """Return a view where everything from outside is *text*."""
    rows = tuple(ChallengeRow(appears, text, text, text, text, text) for appears in (True, False))
    return AcmeView(rows, (ServiceId(text, text),), None, DIGEST)


def bodies(text: str) -> tuple[str, ...]:
    """Return all three bodies about *text*."""
    return tlsa_body(tlsa(text)).text, roll_body(roll(text)).text, acme_body(acme(text)).text


@given(HOSTILE)
@settings(max_examples=40)
def test_a_hostile_name_stays_in_its_cell(text: str) -> None:
    """Tables keep their shape, and no element comes out but those we write."""
    assert [cells(body) for body in bodies("harmless")] == [cells(body) for body in bodies(text)]
    assert set() == set().union(*map(elements, bodies(text))) - OURS


@given(HOSTILE)
@settings(max_examples=40)
def test_a_hostile_name_does_not_act_on_a_forge(text: str) -> None:
    """No line is a quick action, nobody is mentioned, and the digest that a later run reads is ours."""
    for body in bodies(text):
        shown = re.sub(r"<code>.*?</code>|<[^>]*>", " ", html(body))
        request = MergeRequest(1, "", RequestState.OPEN, "", "", None, "", body)

        assert not re.search(r"^\s*(?:[-|>*]\s*)?/\w", body, re.MULTILINE)
        assert not re.search(r"[@#!~%$]\w", shown)
        assert DIGEST == request.digest


@given(HOSTILE, st.sampled_from([tlsa, roll, acme]))
def test_a_title_is_one_line(text: str, view: Callable[[str], TlsaView | RollView | AcmeView]) -> None:
    """A forge takes no line feed there."""
    assert view(text).title.isprintable()


def test_the_decision_comes_first() -> None:
    """One line says what is asked, from when it is safe and by when it must be merged."""
    world = site.world()
    first, *_ = tlsa_body(tlsa_view(publication(world), world)).text.splitlines()

    assert (
        "**Add 2 TLSA records and withdraw 2 in `example.com`.** Safe to merge now or later. Merge before "
        "**2026-12-24 00:47 UTC**: `example.com/mail-ec` ends 2026-12-24 02:17 UTC, and caches need their time before."
    ) == first


def test_the_reviewer_sees_whose_record_appears_where() -> None:
    """Each row names the change, the owner, the record, the generation and its hosts."""
    world = site.world()
    rows = [line for line in tlsa_body(tlsa_view(publication(world), world)).text.splitlines() if "mail.ex" in line]

    assert (
        "| **add** `3 1 1 14b6a7d4181c1fce…` | `_25._tcp.mail.example.com.` | `example.com/mail-ec` "
        "`20261124T021700Z-14b6`, renewed, staged<br>to be on `smtp1.example.com`, `smtp2` |"
    ) == rows[0]
    assert rows[1].startswith("| **withdraw** `3 1 1")
    assert rows[1].endswith("served before<br>on none |")


@pytest.mark.parametrize("name", SAMPLES)
def test_a_body_fits_a_phone(name: str) -> None:
    """No table has more than three columns, and what it is about stands in the first."""
    tables = [line.strip("> |").split(" | ") for line in SAMPLES[name]().splitlines() if " --- |" in line]

    assert tables
    assert max(map(len, tables)) <= 3


def test_a_record_is_told_by_whose_it_is() -> None:
    """A CA of our own, one that the inventory lists, and one of somebody else."""
    listed = f"tlsa_issuers: ['1 1 {'cc' * 32}']"
    acme = f"le-dns: {{ca_type: acme, ca_validation: dns-01, {listed}}}\n"
    world = replace(site.world(), inventory=site.inventory({"inventory/cas.yaml": acme}))
    owner, issuer = next(iter(site.records())), TlsaParams(2, 1, 1)
    added = {TlsaRecord(owner, issuer, data) for data in (site.SUB.spki_sha256, "cc" * 32, "dd" * 32)}
    zone = site.records(site.FORMER, site.LIVE)
    zone[owner] = Rrset(site.TTL, zone[owner].records | added)
    records = frozenset(record for rrset in zone.values() for record in rrset.records)
    view = tlsa_view(Publication(Plan(), (ZoneChange(site.APEX, zone, records),)), world)
    told = {row.record.data: (row.of.partition(" ")[0], row.role, row.hosts) for row in view.rows}

    assert ("ca/my-sub", "certificate authority", ("smtp1.example.com", "smtp2")) == told[site.SUB.spki_sha256]
    assert ("le-dns", "issuer that cas.yaml lists", ("smtp1.example.com", "smtp2")) == told["cc" * 32]
    assert ("", "not ours", ()) == told["dd" * 32]
    assert None is view.deadline


def test_a_day_later_the_same_plan_gives_the_same_body() -> None:
    """Nothing counts down: a second run writes nothing."""
    world = site.world()
    later = replace(world, now=world.now + timedelta(days=1))

    assert tlsa_body(tlsa_view(publication(world), world)) == tlsa_body(tlsa_view(publication(later), later))


def test_an_accepted_hazard_is_told() -> None:
    """The reviewer sees what somebody consented to."""
    world = replace(site.world(), consents=Consents(frozenset({("tlsa-foreign", "x"), ("clock", None)})))

    assert "- Accepted: `clock`, `tlsa-foreign=x`" == section(
        tlsa_body(tlsa_view(publication(world), world)).text, "Hazards"
    )


def test_a_hazard_says_how_to_accept_it() -> None:
    """The exact words stand there."""
    body = tlsa_body(replace(tlsa("a"), accepted=(), hazards=(HazardRow("clock", "ns1", "it is late", "--accept x"),)))

    assert "- `clock` at `ns1`: it is late. The name is left as it is; to accept: `--accept x`" == section(
        body.text, "Hazards"
    )


def test_a_withdrawal_alone_is_in_no_hurry() -> None:
    """Only a record that a renewal waits for has a deadline."""
    world = site.world()
    view = tlsa_view(publication(world), world)
    gone = replace(view, rows=tuple(row for row in view.rows if not row.appears), deadline=None)

    assert (
        "**Withdraw 2 TLSA records in `example.com`.** Safe to merge now or later. No hurry."
        == tlsa_body(gone).text.partition("\n")[0]
    )


def rolled(*shown: object) -> RollView:
    """Return the sample's roll; *shown* is what the ledger has seen."""
    return roll_view(site.INVENTORY, site.branches(is_rolled=True), site.ledger(*shown), DIGEST)  # type: ignore[arg-type]


def test_a_roll_says_what_each_host_gets_and_runs() -> None:
    """Hosts that only keep copies are told too."""
    hosts = section(roll_body(rolled()).text, "Hosts").splitlines()[2:]
    both = "`example.com/mail-ec`<br>`example.com/web-ec`"

    assert [
        f"| `backup.example.com` | {both} | runs nothing<br>not verified: it keeps copies |",
        "| `smtp1.example.com` | `example.com/mail-ec` | runs `/usr/sbin/postfix reload`<br>verified: port 25 |",
        "| `smtp2` | `example.com/mail-ec` | runs `/usr/sbin/postfix reload`<br>verified: port 25 |",
        "| `web1.example.com` | `example.com/web-ec` | runs `/usr/bin/systemctl reload nginx`<br>verified: port 443 |",
    ] == hosts


def test_a_roll_is_safe_from_when_no_cache_lacks_the_record() -> None:
    """Twice the TTL after every name server showed it."""
    first = roll_body(rolled((site.NEXT, site.at("2026-11-24 15:09")))).text.partition("\n")[0]

    assert "Safe to merge from 2026-11-24 16:09 UTC on." in first


def test_a_roll_without_evidence_says_that_deploy_waits() -> None:
    """The record of what is live is there, that of what is rolled is not."""
    hazards = section(roll_body(rolled((site.LIVE, site.at("2026-09-25 03:04")))).text, "Hazards")

    assert "No evidence at `_25._tcp.mail.example.com.`, `_25._tcp.smtp.example.com.`" == hazards.partition(":")[0]


def test_a_roll_says_whether_the_key_changes() -> None:
    """A certificate for the same key needs no new record."""
    same = replace(site.NEXT, spki_sha256=site.LIVE.spki_sha256)
    state = site.branches(is_rolled=True)
    known = state.next[site.MAIL]
    state.next.services[site.MAIL] = replace(known, generations={**known.generations, same.id: same})  # type: ignore[index]
    rows = roll_view(site.INVENTORY, state, site.ledger(), DIGEST).rows

    assert ["the same, `ec` `secp384r1`", "new, `ec` `secp256r1`"] == [row.key for row in rows]


def test_challenges_that_nobody_needs_are_taken_away() -> None:
    """The request says so, and that nothing follows."""
    view = acme_view((), {("_acme-challenge.example.com.", "x")}, DIGEST)

    assert "ACME challenges: withdraw what no order needs any more" == view.title
    assert "- Nothing: nobody looks at them any more." == section(acme_body(view).text, "After the merge")


def test_what_comes_in_place_of_a_wildcard_is_shown_to_the_reviewer() -> None:
    """It is no challenge, and clients look at it."""
    line = "www.example.com. 300 IN CNAME lb.example.org."
    body = acme_body(acme_view((), (), DIGEST, carried={line})).text

    assert f"`{line}`" in section(body, "Please check")
    assert "a wildcard answers no more" in section(body, "Hazards")
    assert "no client looks" in section(acme_body(acme_view((), (), DIGEST)).text, "Hazards")


@pytest.mark.parametrize("limit", [4000, 20_000, 60_000])
def test_a_long_body_is_cut_between_rows(limit: int) -> None:
    """It fits, keeps its digest, says how many rows are where, and the whole of it is given back."""
    rows = tlsa("a.example.com.").rows * MANY
    written = tlsa_body(replace(tlsa("a"), rows=rows, limit=limit))
    shown = _rows(written.text)

    assert limit >= len(written.text) > limit - 400
    assert f"{len(rows) - shown} more rows: `sslops-tlsa.md`" in written.text
    assert written.text.endswith(f"<!-- sslops-plan: {DIGEST} -->")
    assert len(rows) == sum(
        line.startswith(("| **add**", "| **withdraw**")) for line in (written.overflow or "").splitlines()
    )


def _rows(text: str) -> int:
    """Return how many rows of changes a body has."""
    return sum(line.startswith(("| **add**", "| **withdraw**")) for line in text.splitlines())


def test_a_short_body_has_no_overflow() -> None:
    """There is nothing to keep elsewhere."""
    assert (None, None, None) == tuple(
        body.overflow for body in (tlsa_body(tlsa("a")), roll_body(roll("a")), acme_body(acme("a")))
    )


def test_a_deadline_is_told_with_its_reason() -> None:
    """A challenge is worth nothing after its order has ended."""
    view = replace(acme("a"), deadline=Deadline(site.NOW, "the order ends then"))

    assert (
        acme_body(view).text.partition("\n")[0].endswith("Merge before **2026-11-24 14:30 UTC**: the order ends then.")
    )


def test_nothing_to_publish_has_no_rows() -> None:
    """A view of an empty plan is still a view."""
    assert () == tlsa_view(replace(publication(site.world()), plan=Plan(), proposals=()), site.world()).rows


@pytest.mark.parametrize("name", samples.SAMPLES)
def test_a_sample_reads_as_markdown(name: str) -> None:
    """What the documentation shows are headings, lists and tables, none of them broken."""
    assert "<table>" in html(samples.SAMPLES[name]())
    others = elements(samples.SAMPLES[name]()) - OURS
    assert {"<blockquote>", "<h2>"} >= {each for each in others if not each.startswith('<a href="https://git.example.')}
