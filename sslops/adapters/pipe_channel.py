"""A byte channel through the stdin and stdout of a program, such as `ssh -W`, with one deadline for all of it.

>>> channel = PipeChannel(["cat"], {"PATH": "/usr/bin:/bin"}, timeout_seconds=10)
>>> channel.send(b"hello"), channel.receive()
(None, b'hello')
>>> channel.close()
"""

from __future__ import annotations

import os
import select
import subprocess
import time
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

_CHUNK_BYTES = 16384
_GRACE_SECONDS = 2.0


class PipeChannel:
    """Bytes to and from a program; its stderr goes nowhere."""

    def __init__(self, words: Sequence[str], environ: Mapping[str, str], timeout_seconds: float) -> None:
        """Start the program *words*; OSError when it cannot be started."""
        self._deadline = time.monotonic() + timeout_seconds
        self._process = subprocess.Popen(
            list(words),
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL,
            env=dict(environ),
            bufsize=0,
        )
        assert self._process.stdin is not None  # noqa: S101  (it is a pipe)
        assert self._process.stdout is not None  # noqa: S101
        self._in, self._out = self._process.stdin, self._process.stdout
        os.set_blocking(self._in.fileno(), False)

    def send(self, content: bytes) -> None:
        """Send all of *content*."""
        rest = memoryview(content)
        while rest:
            self._wait([], [self._in.fileno()])
            rest = rest[os.write(self._in.fileno(), rest) :]

    def receive(self) -> bytes:
        """Return what has come; empty at the end."""
        self._wait([self._out.fileno()], [])
        return os.read(self._out.fileno(), _CHUNK_BYTES)

    def close(self) -> None:
        """End the program."""
        self._process.terminate()
        for pipe in (self._in, self._out):
            pipe.close()
        try:
            self._process.wait(_GRACE_SECONDS)
        except subprocess.TimeoutExpired:
            self._process.kill()
            self._process.wait()

    def _wait(self, readable: list[int], writable: list[int]) -> None:
        left = self._deadline - time.monotonic()
        if left <= 0 or select.select(readable, writable, [], left) == ([], [], []):
            raise TimeoutError
