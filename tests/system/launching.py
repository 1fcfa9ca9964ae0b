"""Start the launcher against a site, and look at, hold, wake or end what was started."""

from __future__ import annotations

import signal
import subprocess
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Self

from tests.world.leaks import holds_key
from tests.world.ops import TIMEOUT_SECONDS, Finished
from tests.world.programs import wait_until
from tests.world.warm import Process

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence
    from types import TracebackType

    from tests.world.ops import OpsRepository

PATIENCE_SECONDS = 60.0


class Launched:
    """One command line under the launcher. Use it as a context: whatever still runs at its end is killed."""

    def __init__(self, ops: OpsRepository, *words: str, options: Sequence[str | Path] = ()) -> None:
        """Start `sslops -C <ops> words` with the launcher's *options*."""
        begun = ["tests.system.launcher", *map(str, options), "--", "-C", str(ops.folder), *words]
        self._process = Process(begun, ops.environment, ops.folder)

    def __enter__(self) -> Self:
        """Hand it on."""
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        """Kill it if it still runs."""
        if self._process.poll() is None:
            self.kill()

    def wait_until_held(self) -> None:
        """Return once it stopped itself; AssertionError with its streams when it ended instead."""
        if not self._is_held_in_time("it is not held"):
            message = f"it ended instead of being held: {self.finish()}"
            raise AssertionError(message)

    def wake(self) -> None:
        """Let a held one go on."""
        self._process.send_signal(signal.SIGCONT)

    def go_on(self) -> bool:
        """Let a held one go on until it is held again or ends; whether it is held."""
        self.wake()
        return self._is_held_in_time("it goes on for ever")

    def kill(self) -> Finished:
        """Kill it, held or not, and return what it said."""
        self._process.kill()
        return self.finish()

    def kill_at_work(self, count: Path, seconds: float) -> None:
        """Kill it *seconds* after its first effect, unless it has ended by then; *count* is its `--count`, and removed.

        How long it takes to start says nothing: on a loaded machine a kill by the clock alone meets nothing at work.
        """
        wait_until(lambda: count.exists() or self._has_paused(), lambda: "it does nothing", seconds=PATIENCE_SECONDS)
        try:
            self._process.wait(seconds)
        except subprocess.TimeoutExpired:
            self.kill()
        else:
            self.finish()
        count.unlink(missing_ok=True)

    def finish(self) -> Finished:
        """Wait for its end and return what it left; the exit code is negative where a signal ended it."""
        stdout, stderr = self._process.communicate(timeout=TIMEOUT_SECONDS)
        assert not holds_key(f"{stdout}{stderr}".encode()), "a private key was printed"
        return Finished(self._process.wait(), stdout, stderr)

    def _is_held_in_time(self, otherwise: str) -> bool:
        wait_until(self._has_paused, lambda: otherwise, seconds=PATIENCE_SECONDS)
        return self._process.poll() is None

    def _has_paused(self) -> bool:
        return self._process.is_held or self._process.poll() is not None


@dataclass(frozen=True, slots=True)
class Step:
    """One step of one receiver, as the launcher logged it."""

    pid: int
    operation: str
    seq: int
    folder: str
    name: str


def steps(log: Path) -> list[Step]:
    """Return every step in a receiver log, in order."""
    return list(_steps(log.read_text())) if log.exists() else []


def _steps(text: str) -> Iterator[Step]:
    for line in text.splitlines():
        pid, operation, seq, folder, _, name = line.split(" ", 5)
        yield Step(int(pid), operation, int(seq), folder, name)


def effects(count: Path) -> list[str]:
    """Return the names of the effects in a count file, in the order in which they began."""
    return count.read_text().splitlines() if count.exists() else []


def is_gone(pid: int) -> bool:
    """Whether the process *pid* has ended."""
    return not Path(f"/proc/{pid}").exists()
