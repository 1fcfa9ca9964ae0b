"""What every verb is handed: the repository it works on, the moment it runs at, and where it may speak.

The clock is read once, by the command line, and never again below it.
"""

from __future__ import annotations

import os
import sys
from contextlib import contextmanager, nullcontext
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Protocol, TextIO

import click

from sslops.adapters.effects import NO_EFFECTS
from sslops.errors import UsageError
from sslops.report.escape import visible

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from contextlib import AbstractContextManager
    from datetime import datetime
    from pathlib import Path

    from sslops.adapters.effects import Effects

INVENTORY_FILE = "inventory/sslops.yaml"
"""The file that makes a folder an ops repository."""


class Advance(Protocol):
    """Tell a progress bar that *steps* more are done."""

    def __call__(self, steps: int = 1) -> None:
        """Move the bar."""


@dataclass(frozen=True, slots=True)
class Session:
    """One invocation of sslops.

    *start* is where the search for the ops repository begins (`-C`, else the working directory); *now* is aware UTC in
    whole seconds; *effects* is told about every change to the outside world.
    """

    start: Path
    now: datetime
    effects: Effects = NO_EFFECTS
    _told: set[str] = field(default_factory=set)

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
        return sys.stdout.isatty()

    @property
    def author(self) -> tuple[str, str] | None:
        """Name and address of the person at the terminal, as git knows them; null for a job, or when git does not."""
        if not (sys.stdin.isatty() and sys.stderr.isatty()):
            return None
        name, email = _git_config(self.start, "user.name"), _git_config(self.start, "user.email")
        return (name, email) if name and email else None

    def show(self, text: str, *, styled: bool = False) -> None:
        """Write *text* to stdout: the result, and nothing else. *styled* text is escaped already."""
        _write(sys.stdout, text if styled else visible(text))

    def say(self, text: str) -> None:
        """Write *text* to stderr: the talk that surrounds a result."""
        _write(sys.stderr, visible(text))

    def say_once(self, text: str) -> None:
        """Say *text* unless it was said this way before: `run` is several verbs in one."""
        if text not in self._told:
            self._told.add(text)
            self.say(text)

    def progress(self, description: str, total: int) -> AbstractContextManager[Advance]:
        """Return a context that shows a bar of *total* steps on a terminal, and nothing anywhere else."""
        return _bar(description, total) if sys.stderr.isatty() else nullcontext(_stand_still)


def current() -> Session:
    """Return the session of the verb that is running."""
    session = click.get_current_context().obj
    if not isinstance(session, Session):
        message = "a verb was called without the command line"
        raise TypeError(message)
    return session


def _write(stream: TextIO, text: str) -> None:
    """Write a line; a reader that went away must not stop work that is half done."""
    try:
        stream.write(f"{text}\n")
        stream.flush()
    except BrokenPipeError:
        os.dup2(os.open(os.devnull, os.O_WRONLY), stream.fileno())


def _stand_still(steps: int = 1) -> None:
    """Show nothing."""


@contextmanager
def _bar(description: str, total: int) -> Iterator[Callable[..., None]]:
    from rich.console import Console
    from rich.progress import Progress

    with Progress(console=Console(stderr=True), transient=True) as progress:
        task = progress.add_task(description, total=total)

        def advance(steps: int = 1) -> None:
            progress.advance(task, steps)

        yield advance


def _git_config(folder: Path, key: str) -> str | None:
    import subprocess

    try:
        found = subprocess.run(
            ["git", "-C", str(folder), "config", "--get", key], capture_output=True, text=True, timeout=5, check=False
        )
    except OSError:
        return None
    return found.stdout.strip() or None
