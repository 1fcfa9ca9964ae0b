"""One invocation of sslops: the repository it works on, the moment it runs at, and where it may speak.

The clock is read once, by the command line, and never again below it.
"""

from __future__ import annotations

import os
import sys
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime
from traceback import format_exception
from typing import TYPE_CHECKING, TextIO

from sslops.app.progress import Board
from sslops.ci import speech
from sslops.ci.environment import NO_JOB, Environment
from sslops.errors import Bug, Faults, UsageError
from sslops.report.text import Paint, visible
from sslops.system.debug_log import LOG
from sslops.system.effects import NO_EFFECTS
from sslops.system.processes import without_secrets

if TYPE_CHECKING:
    from collections.abc import Iterator
    from contextlib import AbstractContextManager
    from pathlib import Path

    from sslops.errors import SslopsError
    from sslops.system.effects import Effects
    from sslops.system.progress import Task


INVENTORY_FILE = "inventory/sslops.yaml"
"""The file that makes a folder an ops repository."""


@dataclass(frozen=True, slots=True)
class Session:
    """One invocation of sslops.

    *start* is where the search for the ops repository begins (`-C`, else the working directory); *now* is aware UTC in
    whole seconds; *effects* is notified of every change to the outside world; *job* is what a forge says of this run.
    """

    start: Path
    now: datetime
    effects: Effects = NO_EFFECTS
    job: Environment = NO_JOB
    color: str = "auto"
    """`always`, `never`, or `auto`: where stdout is a terminal and NO_COLOR (no-color.org) is not set."""
    _told: set[str] = field(default_factory=set)
    _board: Board = field(default_factory=Board)

    @property
    def folder(self) -> Path:
        """The top of the ops repository, the nearest folder upwards that has an inventory; UsageError without one."""
        here = self.start.resolve()
        for folder in (here, *here.parents):
            if (folder / INVENTORY_FILE).is_file():
                return folder
        what = f"no ops repository at '{visible(str(here))}': neither it nor a folder above has '{INVENTORY_FILE}'"
        raise UsageError(what, hint="sslops -C DIR ... for one that exists, sslops init DIR for a new one")

    @property
    def is_terminal(self) -> bool:
        """Whether a person sees stdout as it is written."""
        return sys.stdout.isatty() and not self.job.is_job

    @property
    def paint(self) -> Paint:
        """What gives the text on stdout its colours, if it may have any."""
        is_plain = os.environ.get("NO_COLOR") or os.environ.get("TERM") == "dumb"
        is_on = self.color == "always" or (self.color == "auto" and self.is_terminal and not is_plain)
        return Paint(is_on)

    @property
    def author(self) -> tuple[str, str] | None:
        """Name and address of the person at the terminal, as git knows them; null for a job, or when git does not."""
        if self.job.is_job or not (sys.stdin.isatty() and sys.stderr.isatty()):
            return None
        name, email = _git_config(self.start, "user.name"), _git_config(self.start, "user.email")
        return (name, email) if name and email else None

    def show(self, text: str, *, styled: bool = False) -> None:
        """Write *text* to stdout: the result, and nothing else. *styled* text is escaped already."""
        _write(sys.stdout, speech.defused(self.job.forge, text if styled else visible(text)))

    def say(self, text: str) -> None:
        """Write *text* to stderr: the talk that surrounds a result."""
        LOG.debug("says: %s", text, extra={"is_said": True})
        _write(sys.stderr, speech.defused(self.job.forge, visible(text)))

    def complain(self, error: SslopsError) -> None:
        """Say *error*, and in a job have each fault shown at its line of the merge request."""
        if isinstance(error, Bug):
            self.say("".join(format_exception(error.error)).rstrip())
        self.say(error.render())
        faults = error.faults if isinstance(error, Faults) else (error,)
        for fault in faults[: speech.MOST_ANNOTATIONS]:
            line = speech.annotation(self.job.forge, fault)
            if line is not None:
                _write(sys.stderr, visible(line))

    def summarise(self, markdown: str) -> None:
        """Put *markdown* on the page of this job, where its forge has one; as much of it as the page takes."""
        if self.job.summary_file is None:
            return
        try:
            with self.job.summary_file.open("ab") as file:
                file.write(speech.fitting(f"{markdown}\n\n", speech.SUMMARY_BYTES - file.tell()).encode())
        except OSError as error:
            self.say(f"the summary of this job cannot be written: {error.strerror}")

    @contextmanager
    def section(self, title: str) -> Iterator[None]:
        """Fold what is written meanwhile, where the forge can, under *title* (a word)."""
        begin = speech.section_start(self.job.forge, title, title, datetime.now(tz=UTC))
        if begin is None:
            yield
            return
        _write(sys.stderr, begin)
        try:
            yield
        finally:
            _write(sys.stderr, speech.section_end(self.job.forge, title, datetime.now(tz=UTC)) or "")

    def say_once(self, text: str) -> None:
        """Say *text* unless it was said this way before: `run` is several verbs in one."""
        if text not in self._told:
            self._told.add(text)
            self.say(text)

    def progress(self, description: str, total: int | None = None) -> AbstractContextManager[Task]:
        """Show a task on stderr as long as the context lasts: drawn on a terminal, else a plain line now and then."""
        is_live = sys.stderr.isatty() and not self.job.is_job and os.environ.get("TERM") != "dumb"
        return self._board.task(description, total, say=self.say, is_live=is_live)


def _write(stream: TextIO, text: str) -> None:
    """Write a line; a reader that went away must not stop work that is half done."""
    try:
        stream.write(f"{text}\n")
        stream.flush()
    except BrokenPipeError:
        os.dup2(os.open(os.devnull, os.O_WRONLY), stream.fileno())


def _git_config(folder: Path, key: str) -> str | None:
    import subprocess

    try:
        found = subprocess.run(
            ["git", "-C", str(folder), "config", "--get", key],
            env=without_secrets(os.environ),
            capture_output=True,
            text=True,
            timeout=5,
            check=False,
        )
    except OSError:
        return None
    return found.stdout.strip() or None
