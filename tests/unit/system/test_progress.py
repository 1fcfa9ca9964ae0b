"""Long work is told: drawn on a terminal, in a log a line now and then, and never on stdout."""

from __future__ import annotations

import os
import pty
import subprocess
import sys
import threading
from contextlib import ExitStack
from typing import TYPE_CHECKING

from sslops.app import progress
from sslops.app.progress import Board, line
from sslops.system.progress import Task

if TYPE_CHECKING:
    import pytest

WORK = """
import sys
from datetime import UTC, datetime
from pathlib import Path
from sslops.app.session import Session

session = Session(Path(), datetime.now(tz=UTC))
with session.progress("hosts switched and verified", 3) as task:
    with task.item("smtp2", "verifies port 25"):
        session.say("a line of talk")
        sys.stdin.readline()
session.show("the result")
"""


def test_a_log_is_told_of_what_lasts(monkeypatch: pytest.MonkeyPatch) -> None:
    """A line names the task, how much of it is done, and each item with what it is at; the last says how long."""
    monkeypatch.setattr(progress, "PLAIN_SECONDS", 0.05)
    lines: list[str] = []
    was_told = threading.Event()

    def say(text: str) -> None:
        lines.append(text)
        was_told.set()

    with Board().task("hosts switched and verified", 3, say=say, is_live=False) as task:
        task()
        with task.item("smtp2", "verifies port 25"):
            assert was_told.wait(30)

    assert lines[0].startswith("hosts switched and verified: 1 of 3 in 0 s")
    assert lines[0].endswith("smtp2 verifies port 25 (0 s)")
    assert lines[-1].startswith("hosts switched and verified: 2 of 3 in")


def test_what_ends_soon_is_not_told() -> None:
    """A run that does not keep anybody waiting has no more to say than before."""
    lines: list[str] = []

    with Board().task("hosts", 1, say=lines.append, is_live=False) as task, task.item("smtp1", "begins"):
        pass

    assert [] == lines


def test_a_line_estimates_what_is_left() -> None:
    """By the rate so far; nothing is promised before the first is done, nor where nobody knows how many there are."""
    task = Task("hosts", 10, begun=0.0)
    assert "hosts: 0 of 10 in 30 s" == line(task, 30.0)
    task(5)
    assert "hosts: 5 of 10 in 30 s, about 30 s left" == line(task, 30.0)
    assert "waiting in 30 s" == line(Task("waiting", begun=0.0, done=2), 30.0)


def test_a_line_with_many_items_stays_short() -> None:
    """Those that have taken longest are named, the others counted."""
    task = Task("hosts", 9, begun=0.0)
    with ExitStack() as items:
        for name in "abcdef":
            items.enter_context(task.item(name, "restarts"))
        told = line(task, task.items()[0][1].since)

    assert [*"abcd"] == [part.split()[0] for part in told.partition("; ")[2].split(", ")[:4]]
    assert told.endswith("and 2 more")


def test_a_terminal_shows_who_is_waited_for() -> None:
    """Each item has a line of its own while it lasts; talk is kept, and stdout has the result only."""
    near, far = pty.openpty()
    environ = {name: os.environ[name] for name in ("PATH", "HOME") if name in os.environ} | {"TERM": "xterm"}
    with subprocess.Popen(
        [sys.executable, "-c", WORK], stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=far, env=environ
    ) as process:
        os.close(far)
        seen = b""
        while b"verifies port 25" not in seen:
            seen += os.read(near, 4096)
        stdout, _ = process.communicate(b"go on\n", timeout=60)
    os.close(near)

    assert b"smtp2" in seen and b"0 of 3" in seen and b"a line of talk" in seen  # noqa: PT018
    assert (0, b"the result\n") == (process.returncode, stdout)
