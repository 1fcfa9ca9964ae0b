"""Runs side by side, one port call at a time: whoever plays a history decides which run goes on, and which is killed.

The code that runs is the code of production, so it neither knows of this nor helps: each run is a thread that moves
only while it has the baton, and each of its ports stands behind a `Gate`, which hands the baton back before a call
happens. What a run does for several hosts at once are more threads of that run, and these wait for the baton too.
Nothing here depends on how threads are scheduled: at every moment one of them has the baton, all others wait.
"""

from __future__ import annotations

import threading
from typing import TYPE_CHECKING, TypeVar, cast

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable

    Item = TypeVar("Item")
    Result = TypeVar("Result")

Port = TypeVar("Port")

WRITES = frozenset(
    {"write_ledger", "write_next", "write_roll", "publish", "propose", "fence", "write", "empty"}
    | {"put", "back", "ask", "open", "edit", "close", "merge"}
)
"""The calls of ports after which the world is another one; before them a run is most often asleep."""


class Killed(BaseException):
    """The run is gone: nothing of it happens any more."""


class Gate:
    """A port of which every call hands over to whoever plays, before it happens; values are just values."""

    def __init__(self, port: object, run: Run) -> None:
        self._port, self._run = port, run

    def __getattr__(self, name: str) -> object:
        """Return what the port has of that *name*: a method stops first."""
        found = getattr(self._port, name)
        return self._stopping(name, found) if callable(found) else found

    def __call__(self, *args: object, **kwargs: object) -> object:
        """Call a port that is a function."""
        return self._stopping("call", cast("Callable[..., object]", self._port))(*args, **kwargs)

    def _stopping(self, name: str, act: Callable[..., object]) -> Callable[..., object]:
        def call(*args: object, **kwargs: object) -> object:
            self._run.stop_before(name)
            return act(*args, **kwargs)

        return call


class _Strand:
    """One thread of a run. *before* is the call that it waits to do; null: it has ended, or waits for its children."""

    def __init__(self, act: Callable[[], object], parent: _Strand | None) -> None:
        self._act, self.parent = act, parent
        self.children: list[_Strand] = []
        self.before: str | None = None
        self.has_ended = False
        self.error: BaseException | None = None
        self.result: object = None
        self._mine, self._theirs = threading.Lock(), threading.Lock()
        self._mine.acquire()
        self._theirs.acquire()
        self._thread: threading.Thread | None = None

    def go(self) -> None:
        """Give it the baton; return when it has handed it back."""
        if self._thread is None:
            self._thread = threading.Thread(target=self._live, daemon=True)
            self._thread.start()
        else:
            self._mine.release()
        self._theirs.acquire()

    def hand_over(self) -> None:
        """Hand the baton back, and wait until it comes again; called in the thread itself."""
        self._theirs.release()
        self._mine.acquire()

    def _live(self) -> None:
        _HERE.strand = self
        try:
            self.result = self._act()
        except BaseException as error:  # noqa: BLE001  (whoever plays must hear of everything)
            self.error = error
        self.has_ended = True
        self._theirs.release()


_HERE = threading.local()


class Run:
    """One run of a verb. Until it is `begun` nothing of it waits: it is played to its end by `finish`."""

    def __init__(self, act: Callable[[Run], object]) -> None:
        """Let it do *act*, which makes the ports it works with by `gate`."""
        self._act = act
        self._root: _Strand | None = None
        self._leaves: list[_Strand] = []
        self.is_killed = False
        self._is_hurried = False
        self.result: object = None

    # What the code that runs is given.

    def gate(self, port: Port) -> Port:
        """Return *port*, whose calls stop."""
        return cast("Port", Gate(port, self))

    def stop_before(self, call: str) -> None:
        """Wait until whoever plays lets the *call* happen; Killed when that is never."""
        if self.is_killed:
            raise Killed
        if self._is_hurried or self._root is None:
            return
        strand: _Strand = _HERE.strand
        strand.before = call
        strand.hand_over()
        strand.before = None
        if self.is_killed:
            raise Killed

    def at_once(self, act: Callable[[Item], Result], items: Iterable[Item]) -> list[Result]:
        """Do the same to many, each in a strand of its own."""
        every = list(items)
        if self._root is None or self._is_hurried or len(every) < 2:  # noqa: PLR2004  (one alone needs no other)
            return [act(item) for item in every]
        parent: _Strand = _HERE.strand
        parent.children = [_Strand(lambda item=item: act(item), parent) for item in every]  # type: ignore[misc]
        children = parent.children
        parent.hand_over()
        parent.children = []
        error = next((each.error for each in children if each.error is not None), None)
        if error is not None:
            raise error
        return [cast("Result", each.result) for each in children]

    def kill(self) -> None:
        """Let nothing of it happen any more."""
        self.is_killed = True
        while self._leaves:
            self._go(self._leaves[0])

    # What whoever plays does with it.

    @property
    def has_ended(self) -> bool:
        """Whether it came to its end, or was killed."""
        return self._root is not None and not self._leaves

    @property
    def waits_before(self) -> tuple[str, ...]:
        """The calls that its strands are about to do."""
        return tuple(leaf.before or "" for leaf in self._leaves)

    def finish(self) -> None:
        """Let it come to its end, in one piece."""
        if self._root is None and not self.is_killed:
            self._is_hurried = True
            try:
                self.result = self._act(self)
            except Killed:
                self.is_killed = True
            self._root = _Strand(lambda: None, None)
            return
        self._is_hurried = True
        while self._leaves:
            self._go(self._leaves[0])

    def begin(self) -> None:
        """Let it go as far as its first call."""
        self._root = _Strand(lambda: self._act(self), None)
        self._leaves = [self._root]
        self._go(self._root)

    def go_on(self, number: int = 0) -> str | None:
        """Let one of its strands do its next call; return what that was, null when it had ended."""
        if not self._leaves:
            return None
        strand = self._leaves[number % len(self._leaves)]
        done = strand.before
        self._go(strand)
        if self.is_killed:
            self.kill()
        return done

    def go_to_a_write(self, number: int = 0) -> None:
        """Let it go on until a strand is about to change something, or it has ended; at least by one call."""
        self.go_on(number)
        while self._leaves and not any(leaf.before in WRITES for leaf in self._leaves):
            self.go_on()

    def _go(self, strand: _Strand) -> None:
        """Let *strand* go on, and whatever its end sets free, until every strand waits before a call."""
        strand.go()
        if strand.children:
            place = self._leaves.index(strand)
            self._leaves[place : place + 1] = strand.children
            for child in strand.children:
                self._go(child)
        elif strand.has_ended:
            self._leaves.remove(strand)
            parent = strand.parent
            # Whatever kills one strand of a process kills all of them.
            self.is_killed = self.is_killed or isinstance(strand.error, Killed)
            if parent is None:
                self._conclude(strand)
            elif all(child.has_ended for child in parent.children):
                self._leaves.append(parent)
                self._go(parent)

    def _conclude(self, root: _Strand) -> None:
        if root.error is not None and not isinstance(root.error, Killed):
            raise root.error
        self.result = root.result
