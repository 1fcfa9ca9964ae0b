"""Start the launcher against a site, and look at, hold, wake or end what was started."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Self

from tests.world.leaks import holds_key
from tests.world.ops import TIMEOUT_SECONDS, Finished
from tests.world.programs import wait_until

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence
    from types import TracebackType

    from tests.world.ops import OpsRepository

PATIENCE_SECONDS = 60.0


class Launched:
    """One command line under the launcher. Use it as a context: whatever still runs at its end is killed."""

    def __init__(self, ops: OpsRepository, *words: str, options: Sequence[str | Path] = ()) -> None:
        """Start `sslops -C <ops> words` with the launcher's *options*."""
        self._process = subprocess.Popen(
            [
                *(sys.executable, "-m", "tests.system.launcher", *map(str, options)),
                *("--", "-C", str(ops.folder), *words),
            ],
            env=ops.environment,
            cwd=ops.folder,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        )

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
        wait_until(lambda: self._state() is not None, lambda: "it is not held", seconds=PATIENCE_SECONDS)
        if self._state() != os.CLD_STOPPED:
            message = f"it ended instead of being held: {self.finish()}"
            raise AssertionError(message)

    def wake(self) -> None:
        """Let a held one go on."""
        self._process.send_signal(signal.SIGCONT)

    def go_on(self) -> bool:
        """Let a held one go on until it is held again or ends; whether it is held."""
        self.wake()
        wait_until(lambda: self._state() is not None, lambda: "it goes on for ever", seconds=PATIENCE_SECONDS)
        return self._state() == os.CLD_STOPPED

    def kill(self) -> Finished:
        """Kill it, held or not, and return what it said."""
        self._process.kill()
        return self.finish()

    def kill_at_work(self, count: Path, seconds: float) -> None:
        """Kill it *seconds* after its first effect, unless it has ended by then; *count* is its `--count`, and removed.

        How long it takes to start says nothing: on a loaded machine a kill by the clock alone meets nothing at work.
        """
        wait_until(
            lambda: count.exists() or self._state() is not None, lambda: "it does nothing", seconds=PATIENCE_SECONDS
        )
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
        return Finished(self._process.returncode, stdout, stderr)

    def _state(self) -> int | None:
        wanted = os.WSTOPPED | os.WEXITED | os.WNOWAIT | os.WNOHANG
        found = os.waitid(os.P_PID, self._process.pid, wanted)
        return None if found is None else found.si_code


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


def is_stopped(pid: int) -> bool:
    """Whether the process *pid* is held by SIGSTOP."""
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] == "T"
    except FileNotFoundError:
        return False


def is_gone(pid: int) -> bool:
    """Whether the process *pid* has ended."""
    return not Path(f"/proc/{pid}").exists()
