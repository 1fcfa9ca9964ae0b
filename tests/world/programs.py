"""Long-running programs that a test starts, watches and ends.

Each writes to a log file of its own, dies with the test process, and is ended by its process id only.
"""

from __future__ import annotations

import shutil
import signal
import socket
import subprocess
import time
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence
    from pathlib import Path

PATIENCE_SECONDS = 60.0
"""How long a server may take to come up; generous, since CI machines stall."""


class Program:
    """One running program; `stop` ends it, `start` runs it again with the same words."""

    def __init__(self, words: Sequence[str | Path], log: Path, environment: Mapping[str, str] | None = None) -> None:
        """Start *words* with both streams appended to *log*."""
        self.log = log
        self._words = [str(word) for word in words]
        self._environment = None if environment is None else dict(environment)
        self._process: subprocess.Popen[bytes] | None = None
        self.start()

    def start(self) -> None:
        """Run the program unless it runs already."""
        if self.is_running:
            return
        with self.log.open("ab") as log:
            self._process = subprocess.Popen(
                [*_tied_to_us(), *self._words],
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
                env=self._environment,
                start_new_session=True,
            )

    @property
    def is_running(self) -> bool:
        """Whether the process is there."""
        return self._process is not None and self._process.poll() is None

    @property
    def pid(self) -> int:
        """The process id, for signals; an error when it was never started."""
        if self._process is None:
            message = f"'{self._words[0]}' was not started"
            raise RuntimeError(message)
        return self._process.pid

    def stop(self) -> None:
        """End it: politely, then not; a stopped (SIGSTOP) one too."""
        if self._process is None:
            return
        if self.is_running:
            self._process.terminate()
            self._process.send_signal(signal.SIGCONT)
        try:
            self._process.wait(5)
        except subprocess.TimeoutExpired:
            self._process.kill()
            self._process.wait()

    def wait_until(self, is_ready: Callable[[], bool]) -> None:
        """Return when *is_ready* holds; AssertionError with the end of the log when it dies or takes too long."""
        wait_until(is_ready, lambda: f"{self._words[0]} did not come up:\n{self.tail()}", lambda: self.is_running)

    def tail(self) -> str:
        """Return the last lines of the log."""
        return "\n".join(self.log.read_text(errors="replace").splitlines()[-20:])


def wait_until(
    holds: Callable[[], bool],
    complaint: Callable[[], str],
    is_worth_waiting: Callable[[], bool] = lambda: True,
    seconds: float = PATIENCE_SECONDS,
) -> None:
    """Return as soon as *holds* does; AssertionError with *complaint* after *seconds*."""
    end = time.monotonic() + seconds
    while not holds():
        assert is_worth_waiting(), complaint()
        assert time.monotonic() < end, complaint()
        time.sleep(0.01)


def listens(address: str, port: int) -> bool:
    """Whether something accepts TCP connections there."""
    try:
        with socket.create_connection((address, port), timeout=1):
            return True
    except OSError:
        return False


def _tied_to_us() -> list[str]:
    # A test run that is killed must not leave servers behind, whatever killed it.
    setpriv = shutil.which("setpriv")
    return [setpriv, "--pdeathsig", "KILL", "--"] if setpriv else []
