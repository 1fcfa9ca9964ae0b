"""What a person sees while something takes its time: a task with its items, shown by whoever listens.

A stage says what it is at; a terminal draws it, a log gets a line now and then, a test and the proof get nothing.

>>> with NOBODY.progress("hosts asked", 2) as task:
...     with task.item("smtp1", "asks what it holds"):
...         print(task.doing["smtp1"].what, task.done)
...     print(task.done)
asks what it holds 0
1
"""

from __future__ import annotations

import time
from contextlib import contextmanager
from dataclasses import dataclass, field
from threading import Lock
from typing import TYPE_CHECKING, Protocol

from sslops.system.debug_log import LOG

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from contextlib import AbstractContextManager


@dataclass(frozen=True, slots=True)
class Doing:
    """What one item is at, and since which moment of the monotonic clock, in seconds."""

    what: str
    since: float = field(default_factory=time.monotonic)


@dataclass(slots=True)
class Task:
    """Something that takes a while: *total* steps (null: nobody knows how many), of which some are done.

    Any thread may move it.
    """

    description: str
    total: int | None = None
    begun: float = field(default_factory=time.monotonic)
    done: int = 0
    doing: dict[str, Doing] = field(default_factory=dict)
    """What each item that was begun and has not ended is at, in the order in which they began."""
    _lock: Lock = field(default_factory=Lock, repr=False)

    def __call__(self, steps: int = 1) -> None:
        """Count *steps* more as done."""
        with self._lock:
            self.done += steps

    @contextmanager
    def item(self, name: str, what: str) -> Iterator[Callable[[str], None]]:
        """Work on the item *name*, which is at *what*; yields what says that it is at something else by now.

        It counts as one step when it ends, well or not.
        """

        def at(what: str) -> None:
            LOG.debug("%s: %s %s", self.description, name, what)
            with self._lock:
                self.doing[name] = Doing(what)

        at(what)
        try:
            yield at
        finally:
            with self._lock:
                self.doing.pop(name, None)
                self.done += 1

    def items(self) -> list[tuple[str, Doing]]:
        """Return what the items are at now, the one that has been at it longest first."""
        with self._lock:
            return sorted(self.doing.items(), key=lambda each: each[1].since)


class Talk(Protocol):
    """Who shows what takes its time."""

    def say(self, text: str) -> None:
        """Say one line."""
        ...

    def progress(self, description: str, total: int | None = None) -> AbstractContextManager[Task]:
        """Show a task of *total* steps (null: nobody knows how many) as long as the context lasts."""
        ...


class _Nobody:
    """Nobody listens."""

    def say(self, text: str) -> None:
        """Say nothing."""

    @contextmanager
    def progress(self, description: str, total: int | None = None) -> Iterator[Task]:
        """Show nothing."""
        yield Task(description, total)


NOBODY: Talk = _Nobody()
