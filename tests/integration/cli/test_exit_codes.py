"""Every exit code, from what a run came to; and what a program reads that asked for JSON when nothing came of it."""

from __future__ import annotations

import itertools
import json
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING

import pytest

from sslops.app.outcome import Outcome
from sslops.cli.main import VERBS, run
from sslops.errors import ExitCode, Moved, PeerError, UsageError, worst
from sslops.model.cause import Cause
from sslops.model.names import ServiceId
from sslops.model.plan import Action, Hazard, HazardName, Plan, Verb, Wait

if TYPE_CHECKING:
    from pathlib import Path

NOW = datetime(2026, 11, 24, 14, 30, tzinfo=UTC)
ACTION = Action(Verb.DEPLOY, "example.com", "web-ec", "serve", "rolled", targets=("web1", "web2"))
WAIT = Wait(Verb.ROLL, "example.com", "web-ec", "roll", NOW + timedelta(hours=1), "young", Cause.MIN_ROLL)
HAZARD = Hazard(HazardName.NS_UNREACHABLE, "ns1", "no answer")
WITHOUT_REPOSITORY = {
    "demo",
    "init",
    "schema",
    "doctor",
    "info",
    "verify",
    "tlsa",
    "tlsrpt",
    "trust",
    "dhparm",
    "completion",
}


@pytest.mark.parametrize("count", range(1, len(ExitCode) + 1))
def test_of_several_codes_one_decides_whichever_they_are(count: int) -> None:
    """No combination ends in a traceback, and none in a code that did not occur."""
    for codes in itertools.combinations(ExitCode, count):
        assert worst(codes) in codes
        assert (worst(codes) is ExitCode.DONE) == (set(codes) == {ExitCode.DONE})


@pytest.mark.parametrize(
    ("outcome", "code"),
    [
        (Outcome(Plan((ACTION,)), is_applied=True), ExitCode.DONE),
        (Outcome(Plan((ACTION,))), ExitCode.PENDING),
        (Outcome(Plan(waits=(WAIT,))), ExitCode.WAITING),
        (Outcome(Plan(waits=(WAIT,), hazards=(HAZARD,))), ExitCode.REFUSED),
        (Outcome(failures=(Moved("moved"),)), ExitCode.BUSY),
        (Outcome(failures=(PeerError("down"), Moved("moved"))), ExitCode.FAILED),
        (Outcome(failures=(UsageError("no repository"), PeerError("down"))), ExitCode.USAGE),
    ],
)
def test_a_run_ends_in_each_of_the_codes(outcome: Outcome, code: ExitCode) -> None:
    """With `--detailed-exitcode`; without it what waits and what is pending is no news."""
    quiet = {ExitCode.PENDING, ExitCode.WAITING}

    assert code is outcome.exit_code(detailed=True)
    assert (ExitCode.DONE if code in quiet else code) is outcome.exit_code(detailed=False)


@pytest.mark.parametrize("words", [[], ["--apply"], ["--json"], ["--apply", "--json"]])
@pytest.mark.parametrize("verb", sorted(VERBS.keys() - WITHOUT_REPOSITORY))
def test_outside_of_a_repository_every_verb_ends_with_a_usage_error(
    verb: str, words: list[str], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """Or says that it does not know the option; a program that asked for JSON gets the error as JSON."""
    code = run(["-C", str(tmp_path), verb, *words])
    shown = capsys.readouterr()

    assert ExitCode.USAGE == code
    assert shown.err.startswith("sslops: error: ")
    if "--json" in words:
        document = json.loads(shown.out)

        assert (2, 1) == (document["exit_code"], len(document["errors"]))
        assert shown.err.startswith(f"sslops: error: {document['errors'][0]['what']}")


def test_what_became_of_an_action_is_told_for_each_of_its_hosts() -> None:
    """A dry-run has no results; a service that failed is among them though its action is not."""
    failed = ((Verb.RENEW, ServiceId("example.com", "mail-ec"), "order failed"),)
    outcome = Outcome(Plan((ACTION,)), is_applied=True, troubles={"web2": "login refused"}, failed=failed)

    assert [("serve", "web1", None), ("serve", "web2", "login refused"), ("renew", None, "order failed")] == [
        (each.action.what, each.target, each.failure) for each in outcome.results()
    ]
    assert () == Outcome(Plan((ACTION,))).results()
