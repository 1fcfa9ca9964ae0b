"""The outlook of a name for people and for programs."""

from __future__ import annotations

from datetime import UTC, datetime

from sslops.model.names import ServiceId
from sslops.model.outlook import NameOutlook, Step
from sslops.model.plan import Plan
from sslops.model.tlsa import TlsaRecord
from sslops.report.outlook import as_document, as_markdown, as_text
from sslops.report.plan import as_json

NOW = datetime(2026, 11, 24, 14, 30, tzinfo=UTC)
OWNER = "_25._tcp.mail.example.com."
OLD, STAYS, NEW = (TlsaRecord.parse(f"{OWNER} 3 1 1 {digit * 64}") for digit in "abc")
STEPS = (Step("publish", NOW, "the include file changes"), Step("roll", NOW.replace(hour=16), "in DNS since 14:30"))
NAME = NameOutlook(OWNER, (ServiceId("example.com", "mail-ec"),), (OLD, STAYS), (STAYS, NEW), STEPS)


def test_text_shows_what_goes_what_stays_what_comes_and_when() -> None:
    """One block for each name, the steps in order."""
    assert """\
dane
  _25._tcp.mail.example.com.  example.com/mail-ec
      - 3 1 1 aaaaaaaaaaaaaaaa
      = 3 1 1 bbbbbbbbbbbbbbbb
      + 3 1 1 cccccccccccccccc
      publish now: the include file changes
      roll in 2 h (16:30 UTC): in DNS since 14:30""" == as_text([NAME], NOW)


def test_a_step_without_a_moment_says_so() -> None:
    """Something else has to change first."""
    assert "roll without a date: a server lags" in as_text(
        [NameOutlook(OWNER, (), (), (), (Step("roll", None, "a server lags"),))], NOW
    )


def test_markdown_is_one_table() -> None:
    """A row for each name; nothing in it breaks the table."""
    odd = NameOutlook(OWNER, (), (OLD,), (), (Step("publish", None, "a | b"),))
    lines = as_markdown([NAME, odd], NOW).splitlines()
    assert (4, True) == (len(lines), "a \\| b" in lines[-1])


def test_json_has_it_beside_the_plan() -> None:
    """Times in UTC, records whole."""
    (document,) = as_document([NAME])
    assert [str(STAYS), str(NEW)] == document["will"]
    assert {"what": "roll", "at": "2026-11-24T16:30:00Z", "why": "in DNS since 14:30"} == document["steps"][1]  # type: ignore[index]
    assert ('"dane": [' in as_json(Plan(), "sha256:0", [NAME]), '"dane"' in as_json(Plan(), "sha256:0")) == (
        True,
        False,
    )
