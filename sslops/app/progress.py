"""Long work as a person sees it: lines that move on a terminal, in a log a plain line now and then.

>>> task = Task("hosts switched and verified", 12, begun=0.0, done=3, doing={"smtp2": Doing("verifies port 25", 2.0)})
>>> print(line(task, 20.0))
hosts switched and verified: 3 of 12 in 20 s, about 1 min left; smtp2 verifies port 25 (18 s)
"""

from __future__ import annotations

import time
from contextlib import contextmanager
from datetime import timedelta
from threading import Event, Lock, Thread
from typing import TYPE_CHECKING

from sslops.report.text import span, visible
from sslops.system.progress import Doing, Task

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from rich.live import Live
    from rich.table import Table

__all__ = ["Board", "Doing", "Task", "line"]

PLAIN_SECONDS = 10.0
"""After so long, and again and again, a log gets a line about what is not done yet."""
_FRAME_SECONDS = 0.2
_ITEMS_IN_A_LINE = 4
_ITEMS_ON_A_TERMINAL = 12


class Board:
    """Every task of one invocation that is not over, and the thread that shows them."""

    def __init__(self) -> None:
        """Begin with nothing to show."""
        self._tasks: list[Task] = []
        self._lock = Lock()
        self._over = Event()
        self._thread: Thread | None = None

    @contextmanager
    def task(self, description: str, total: int | None, *, say: Callable[[str], None], is_live: bool) -> Iterator[Task]:
        """Show a task as long as the context lasts: drawn where *is_live*, else said by *say* now and then."""
        task = Task(description, total)
        with self._lock:
            self._tasks.append(task)
            if self._thread is None:
                self._over = Event()
                show = _draw if is_live else _tell
                self._thread = Thread(target=show, args=(self._shown, self._over, say), daemon=True)
                self._thread.start()
        try:
            yield task
        finally:
            self._end(task)
            if not is_live and time.monotonic() - task.begun >= PLAIN_SECONDS:
                say(line(task, time.monotonic()))

    def _end(self, task: Task) -> None:
        with self._lock:
            self._tasks.remove(task)
            ended = None if self._tasks else self._thread
            if ended is not None:
                self._over.set()
                self._thread = None
        if ended is not None:
            ended.join()

    def _shown(self) -> list[Task]:
        with self._lock:
            return list(self._tasks)


def line(task: Task, now: float) -> str:
    """Return one plain line about *task* at *now* of the monotonic clock."""
    items = [f"{name} {doing.what} ({_seconds(now - doing.since)})" for name, doing in task.items()]
    more = len(items) - _ITEMS_IN_A_LINE
    items = [*items[:_ITEMS_IN_A_LINE], f"and {more} more"] if more > 0 else items
    count = f": {task.done} of {task.total}" if task.total is not None else ""
    left = _left(task, now)
    head = f"{task.description}{count} in {_seconds(now - task.begun)}{f', about {left} left' if left else ''}"
    return f"{head}; {', '.join(items)}" if items else head


def _left(task: Task, now: float) -> str:
    """Say how long the rest takes at the rate so far; empty where nothing tells."""
    if not task.total or not 0 < task.done < task.total:
        return ""
    return _seconds((now - task.begun) / task.done * (task.total - task.done))


def _seconds(amount: float) -> str:
    return span(timedelta(seconds=amount))


def _tell(shown: Callable[[], list[Task]], over: Event, say: Callable[[str], None]) -> None:
    """Say a line about each task that has lasted, until all are over."""
    while not over.wait(PLAIN_SECONDS):
        for task in shown():
            say(line(task, time.monotonic()))


def _draw(shown: Callable[[], list[Task]], over: Event, say: Callable[[str], None]) -> None:
    """Draw all tasks on the terminal that stderr is, until all are over. What ends at once is not drawn."""
    del say
    live: Live | None = None
    while not over.wait(_FRAME_SECONDS):
        if live is None:
            live = _live()
        live.update(_drawn(shown(), time.monotonic()), refresh=True)
    if live is not None:
        live.stop()


def _live() -> Live:
    from rich.console import Console
    from rich.live import Live

    # Only stderr is ours: what is written to stdout may go to a file.
    live = Live(console=Console(stderr=True), auto_refresh=False, transient=True, redirect_stdout=False)
    live.start()
    return live


def _drawn(tasks: list[Task], now: float) -> Table:
    from rich.progress_bar import ProgressBar
    from rich.table import Table
    from rich.text import Text

    grid = Table.grid(padding=(0, 1))
    for task in tasks:
        bar = ProgressBar(task.total, task.done, width=20, pulse=task.total is None, animation_time=now)
        count = "" if task.total is None else f"{task.done} of {task.total}{_rate(task, now)}"
        left = _left(task, now)
        grid.add_row(
            Text(task.description),
            bar,
            Text(count),
            Text(f"{_seconds(now - task.begun)}{f', {left} left' if left else ''}"),
        )
        items = task.items()
        for name, doing in items[:_ITEMS_ON_A_TERMINAL]:
            grid.add_row(
                Text(f"  {visible(name)}"), Text(visible(doing.what)), Text(""), Text(_seconds(now - doing.since))
            )
        if len(items) > _ITEMS_ON_A_TERMINAL:
            grid.add_row(Text(f"  and {len(items) - _ITEMS_ON_A_TERMINAL} more"))
    return grid


def _rate(task: Task, now: float) -> str:
    return f", {task.done / (now - task.begun):.1f}/s" if task.done and now > task.begun else ""
