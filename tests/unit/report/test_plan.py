"""A plan reads the same in a terminal, in a merge request and in a program."""

from __future__ import annotations

import json
import re
from dataclasses import replace
from datetime import UTC, datetime, timedelta

from sslops.model.cause import Cause
from sslops.model.names import GenerationId
from sslops.model.plan import Action, Hazard, HazardName, Plan, Verb, Wait
from sslops.report.plan import DoneRow, applied_as_text, as_json, as_markdown, as_text, view
from sslops.report.text import Paint

NOW = datetime(2026, 11, 24, 14, 30, tzinfo=UTC)
DIGEST = "sha256:" + "ab" * 32
RECORD = "+_25._tcp.mail.example.com. 3 1 1 9b1c"
PLAN = Plan(
    actions=(
        Action(Verb.RENEW, "example.com", "mail-ec", "issue", "due", why="29.9 of 90 days are left"),
        Action(
            Verb.PUBLISH,
            "example.com",
            "",
            "tlsa",
            "records",
            GenerationId("20261124T143000Z-9b1c"),
            targets=(RECORD,),
        ),
    ),
    waits=(
        Wait(
            Verb.ROLL,
            "example.com",
            "web-ec",
            "roll",
            NOW + timedelta(hours=2, minutes=10),
            "min_roll_mins is 130",
            Cause.MIN_ROLL,
        ),
        Wait(Verb.DEPLOY, "example.com", "web-ec", "serve", None, "smtp2 is down", Cause.EARLIER_STEP, fatal=True),
    ),
    hazards=(Hazard(HazardName.NS_UNREACHABLE, "192.0.2.9", "no answer from 192.0.2.9"),),
)


def test_what_was_done_is_not_what_would_be_done() -> None:
    """After --apply each action has its end, at each host, with what waits and where its merge request stands."""
    rows = [
        DoneRow("publish", "proposed", "example.com", "tlsa", "20261124T143000Z-9b1c", (RECORD,)),
        DoneRow("deploy", "done", "example.com/mail-ec", "serve", "", ("smtp1", "smtp2")),
        DoneRow("deploy", "failed", "example.com/mail-ec", "serve", "", ("smtp3",), "port 25 cannot be asked"),
    ]
    url = "https://forge.example.com/dns/-/merge_requests/12"
    waits = replace(PLAN, waits=PLAN.waits[:1], hazards=())
    expected = f"""\
publish: 1 proposed
  proposed  example.com  tlsa  20261124T143000Z-9b1c
      {RECORD}

roll: 1 waiting
  example.com/web-ec  roll waits  in 2 h 10 min (16:40 UTC)
      min_roll_mins is 130

deploy: 2 done, 1 failed
  done      example.com/mail-ec  serve
      smtp1
      smtp2
  failed    example.com/mail-ec  serve
      smtp3
      port 25 cannot be asked

merge requests
  {url} waits for a person to merge it

plan {DIGEST}"""

    told = {url: f"{url} waits for a person to merge it"}
    assert expected == applied_as_text(view(waits, DIGEST, NOW), rows, told)


def test_a_plan_has_colours_where_a_terminal_has_them() -> None:
    """What is added is green, what is withdrawn red, what is refused red; without colours it is the same text."""
    action = replace(PLAN.actions[1], targets=(RECORD, f"-{RECORD[1:]}"))
    shown = view(replace(PLAN, actions=(action,)), DIGEST, NOW)
    text = as_text(shown, Paint(is_on=True))

    assert f"\x1b[32m{RECORD}\x1b[0m" in text
    assert f"\x1b[31m-{RECORD[1:]}\x1b[0m" in text
    assert as_text(shown) == re.sub(r"\x1b\[[0-9]+m", "", text)


def test_a_person_reads_it_stage_by_stage() -> None:
    """The text goes through the stages in the order of the work, and ends with the digest."""
    expected = f"""\
renew
  example.com/mail-ec  issue
      29.9 of 90 days are left

publish
  example.com  tlsa  20261124T143000Z-9b1c
      records
      {RECORD}

roll
  example.com/web-ec  roll waits  in 2 h 10 min (16:40 UTC)
      min_roll_mins is 130

deploy
  example.com/web-ec  serve waits  until that step is done, too long for the certificate
      smtp2 is down

hazards
  ns-unreachable  192.0.2.9
      no answer from 192.0.2.9
      accept with: --accept ns-unreachable=192.0.2.9

plan {DIGEST}"""

    assert expected == as_text(view(PLAN, DIGEST, NOW))


def test_nothing_to_do_is_said_in_one_line() -> None:
    """An empty plan is not an empty screen."""
    assert "nothing to do, nothing waits" == as_text(view(Plan(), DIGEST, NOW))


def test_markdown_carries_the_digest_where_nobody_sees_it() -> None:
    """The next run finds the digest in a comment, as the design writes it."""
    first, *_ = as_markdown(view(PLAN, DIGEST, NOW)).splitlines()

    assert f"<!-- sslops-plan: {DIGEST} -->" == first


def test_markdown_rows_have_as_many_cells_as_their_heads() -> None:
    """A table that a forge cannot read is no table."""
    hostile = Wait(Verb.ROLL, "a|b", "c`d", "e|f", None, "why | not\n| at all", Cause.REVIEW)
    rows = [
        line
        for line in as_markdown(view(PLAN + Plan(waits=(hostile,)), DIGEST, NOW)).splitlines()
        if line.startswith("|")
    ]

    assert {6, 5} == {line.replace("\\|", "").count("|") for line in rows}


def test_json_has_the_keys_of_the_design() -> None:
    """Programs rely on these names (design section 6)."""
    document = json.loads(as_json(PLAN, DIGEST))

    assert ["digest", "actions", "waits", "hazards"] == list(document)
    assert ["verb", "group", "service", "generation", "what", "reason", "why"] == list(document["actions"][0])
    assert {
        "group": "example.com",
        "service": "web-ec",
        "for": "roll",
        "what": "roll",
        "until": "2026-11-24T16:40:00Z",
        "why": "min_roll_mins is 130",
        "kind": "waits",
        "cause": "min-roll",
        "since": None,
        "fails_at": None,
        "next": None,
    } == document["waits"][0]
    assert {
        "name": "ns-unreachable",
        "subject": "192.0.2.9",
        "why": "no answer from 192.0.2.9",
    } == document["hazards"][0]


def test_what_is_blocked_says_since_when_and_what_to_do() -> None:
    """The grace is over in the second row: who reads it knows that it is a failure, and the next command."""
    row = Wait(
        Verb.PUBLISH, "example.com", "", "ns2", None, "ns2 lags", Cause.NOT_LOADED, since=NOW - timedelta(minutes=10)
    )
    waiting, over = (replace(row, deadline=NOW + timedelta(minutes=minutes)) for minutes in (50, -1))
    text = as_text(view(Plan(waits=(waiting, replace(over, fatal=True))), DIGEST, NOW))

    assert (
        f"""\
publish
  example.com  ns2 blocked  since 14:20 UTC, a failure
      ns2 lags
      next: {over.end}
  example.com  ns2 blocked  since 14:20 UTC, a failure from 15:20 UTC on
      ns2 lags
      next: {over.end}

plan {DIGEST}"""
        == text
    )
    assert "tlsa.example.com" in over.end


def test_a_long_list_of_targets_is_cut_for_a_person_only() -> None:
    """Six targets are shown, the rest is counted."""
    action = Action(Verb.DEPLOY, "example.com", "web-ec", "serve", "rolled", targets=tuple(f"web{n}" for n in range(9)))

    assert "      and 3 more" in as_text(view(Plan(actions=(action,)), DIGEST, NOW)).splitlines()


def test_the_most_urgent_waits_are_shown_and_the_rest_is_counted() -> None:
    """Five hundred renewals that lie far ahead hide nothing: what fails comes first, then what is blocked."""
    later = tuple(
        Wait(Verb.RENEW, "g", f"s{n:02}", "renewal", NOW + timedelta(days=90 - n), "due", Cause.BACKOFF)
        for n in range(20)
    )
    endless = Wait(Verb.RENEW, "g", "endless", "renewal", None, "no signer", Cause.SIGNER)
    fatal = Wait(Verb.RENEW, "g", "fatal", "renewal", NOW + timedelta(days=99), "too late", Cause.CACHES, fatal=True)
    lines = as_text(view(Plan(waits=(*later, endless, fatal)), DIGEST, NOW)).splitlines()
    subjects = [line.split()[0] for line in lines if " waits" in line or " blocked" in line]

    assert ["g/fatal", "g/endless", "g/s19"] == subjects[:3]
    assert "  and 10 more wait, for longer; --json has them all" in lines


def test_hostile_prose_cannot_move_the_cursor() -> None:
    """Escape sequences in a reason are shown, not obeyed."""
    wait = Wait(Verb.ROLL, "a", "b", "roll", None, "\x1b[2Jgone", Cause.REVIEW)

    assert "\x1b" not in as_text(view(Plan(waits=(wait,)), DIGEST, NOW))
