"""Run one program with a payload on stdin and bounded answers: the peer may be slow, silent, or talk for ever.

>>> run_piped(["cat"], payload=b"hello", environ={"PATH": "/usr/bin:/bin"}, timeout_seconds=10).stdout
b'hello'
"""

from __future__ import annotations

import contextlib
import os
import signal
import subprocess
from dataclasses import dataclass
from threading import Thread
from typing import IO, TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

STDOUT_LIMIT_BYTES = 16 * 1024 * 1024
STDERR_TAIL_BYTES = 16 * 1024
_CHUNK_BYTES = 64 * 1024
_GRACE_SECONDS = 2.0


@dataclass(frozen=True, slots=True)
class Finished:
    """How the program ended: *code* is null when it was killed at the time limit; stderr is its tail."""

    code: int | None
    stdout: bytes
    stderr: str


def run_piped(words: Sequence[str], *, payload: bytes, environ: Mapping[str, str], timeout_seconds: float) -> Finished:
    """Run *words*, feed *payload*, collect what it says; OSError when it cannot be started.

    It gets a session of its own, so that a Ctrl-C at our terminal does not stop a receiver half way.
    """
    process = subprocess.Popen(
        list(words),
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        env=dict(environ),
        start_new_session=True,
    )
    assert process.stdin is not None and process.stdout is not None and process.stderr is not None  # noqa: S101, PT018
    heard, said = _Bounded(process.stdout, STDOUT_LIMIT_BYTES), _Tail(process.stderr)
    threads = [Thread(target=_feed, args=(process.stdin, payload), daemon=True)]
    threads += [Thread(target=reader.read, daemon=True) for reader in (heard, said)]
    for thread in threads:
        thread.start()
    code = _wait(process, timeout_seconds)
    # A connection-sharing ssh in the background may hold the pipes: no waiting for that one.
    for thread in threads:
        thread.join(_GRACE_SECONDS)
    return Finished(code, bytes(heard.content), said.text())


def _wait(process: subprocess.Popen[bytes], timeout_seconds: float) -> int | None:
    try:
        return process.wait(timeout_seconds)
    except subprocess.TimeoutExpired:
        for number in (signal.SIGTERM, signal.SIGKILL):
            with contextlib.suppress(ProcessLookupError):
                os.killpg(process.pid, number)
            with contextlib.suppress(subprocess.TimeoutExpired):
                process.wait(_GRACE_SECONDS)
        return None


def _feed(pipe: IO[bytes], payload: bytes) -> None:
    # A peer that refuses does not read to the end; its exit code says why.
    with contextlib.suppress(BrokenPipeError), pipe:
        pipe.write(payload)


class _Bounded:
    """Reads to the end, keeps the first *limit* bytes."""

    def __init__(self, pipe: IO[bytes], limit: int) -> None:
        self.content = bytearray()
        self._pipe, self._limit = pipe, limit

    def read(self) -> None:
        while chunk := os.read(self._pipe.fileno(), _CHUNK_BYTES):
            self.content += chunk[: self._limit - len(self.content)]
        self._pipe.close()


class _Tail:
    """Reads to the end, keeps the last `STDERR_TAIL_BYTES`."""

    def __init__(self, pipe: IO[bytes]) -> None:
        self._content = b""
        self._pipe = pipe

    def read(self) -> None:
        while chunk := os.read(self._pipe.fileno(), _CHUNK_BYTES):
            self._content = (self._content + chunk)[-STDERR_TAIL_BYTES:]
        self._pipe.close()

    def text(self) -> str:
        return self._content.decode(errors="replace")
