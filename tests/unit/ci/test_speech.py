"""What a job writes for its forge: commands that runners read, and none that somebody else slips in."""

from __future__ import annotations

import json
from datetime import UTC, datetime
from typing import TYPE_CHECKING
from xml.etree import ElementTree as ET

from hypothesis import given
from hypothesis import strategies as st

from sslops.app.session import Session
from sslops.ci.environment import Environment
from sslops.ci.junit import junit
from sslops.ci.speech import SUMMARY_BYTES, annotation, defused, fitting, section_end, section_start
from sslops.errors import Faults, InventoryError, Location
from sslops.model.forges import Forge

if TYPE_CHECKING:
    from pathlib import Path

    import pytest

NOW = datetime(2026, 11, 24, 12, tzinfo=UTC)
FAULT = InventoryError("no CA 'a,b:c'\n::add-mask::x", where=Location("inventory/a,b.yaml", 3, 5), hint="add % it")


@given(st.text(st.sampled_from("#:[ \na]")) | st.text())
def test_no_line_of_somebody_else_is_a_command(text: str) -> None:
    """Neither in the form of today, however it is indented, nor in the old one, which counts anywhere in a line."""
    shown = defused(Forge.GITHUB, text)

    assert not any(line.lstrip().startswith("::") for line in shown.split("\n"))
    assert "##[" not in shown


def test_an_old_command_in_the_middle_of_a_line_is_none() -> None:
    """GitHub's runner would obey what a server says about itself; and JSON stays JSON."""
    said = "sslops: error: the server said ##[add-mask]example.com"

    assert "sslops: error: the server said ## [add-mask]example.com" == defused(Forge.GITHUB, said)
    assert "said ## [x]" == json.loads(defused(Forge.FORGEJO, '"said ##[x]"'))


def test_elsewhere_nothing_is_changed() -> None:
    """GitLab and a terminal have no such commands."""
    assert ["::error::x"] * 2 == [defused(forge, "::error::x") for forge in (Forge.GITLAB, None)]


def test_an_annotation_is_one_line_with_its_place() -> None:
    """Commas, colons, percent signs and line breaks of a fault stay part of it."""
    assert (
        "::error title=sslops,file=inventory/a%2Cb.yaml,line=3,col=5::"
        "no CA 'a,b:c'%0A::add-mask::x%0Ahint: add %25 it" == annotation(Forge.GITHUB, FAULT)
    )
    assert annotation(Forge.GITLAB, FAULT) is None


def test_gitlab_folds_what_a_stage_says() -> None:
    """The form that its job pages read."""
    second = int(NOW.timestamp())

    assert f"\x1b[0Ksection_start:{second}:roll[collapsed=true]\r\x1b[0Kroll" == section_start(
        Forge.GITLAB, "roll", "roll", NOW
    )
    assert f"\x1b[0Ksection_end:{second}:roll\r\x1b[0K" == section_end(Forge.GITLAB, "roll", NOW)


@given(st.text(alphabet="aä\n", max_size=400), st.integers(0, 400))
def test_a_summary_fits(markdown: str, room: int) -> None:
    """Whole lines, and a word that there is more."""
    fitted = fitting(markdown, room)

    assert len(fitted.encode()) <= max(room, 0)
    assert fitted in (markdown, "") or "This was cut" in fitted


def test_a_page_takes_no_more_than_it_may(tmp_path: Path) -> None:
    """Two steps' worth of text end in one file below GitHub's limit."""
    page = tmp_path / "summary.md"
    session = Session(tmp_path, NOW, job=Environment(forge=Forge.GITHUB, summary_file=page))
    for _ in range(3):
        session.summarise("a line of text\n" * 40_000)

    assert "This was cut" in page.read_text()
    assert page.stat().st_size <= SUMMARY_BYTES


def test_a_fault_is_shown_in_the_changes_and_told(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """Once for a person, once for the forge."""
    Session(tmp_path, NOW, job=Environment(forge=Forge.GITHUB)).complain(Faults([FAULT]))
    lines = capsys.readouterr().err.splitlines()

    assert "sslops: error: no CA 'a,b:c'" == lines[0]
    assert r"\::add-mask::x" == lines[1]
    assert lines[-1].startswith("::error title=sslops,file=")


@given(st.lists(st.tuples(st.sampled_from(["a.yaml", "b.yaml"]), st.text()), max_size=6))
def test_junit_is_sound_whatever_the_faults_say(told: list[tuple[str, str]]) -> None:
    """One test for each file with faults, failed; one good test without faults."""
    faults = Faults([InventoryError(text, where=Location(file, 1, 1)) for file, text in told]).faults
    cases = list(ET.fromstring(junit(faults)).iter("testcase"))  # noqa: S314  (our own)
    files = sorted({file for file, _ in told})

    assert (files or ["inventory and state"]) == [case.get("name") for case in cases]
    assert bool(told) == all(case.find("failure") is not None for case in cases)
