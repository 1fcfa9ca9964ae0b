"""One lock file, held by one process of this machine at a time; the kernel lets go of it when the process dies."""

from __future__ import annotations

import fcntl
import os
import time
from contextlib import contextmanager
from typing import TYPE_CHECKING

from sslops.errors import Busy

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path


POLL_SECONDS = 0.05


@contextmanager
def locked(path: Path, wait_seconds: float) -> Iterator[None]:
    """Hold the lock *path*, waiting at most *wait_seconds* for another process; Busy after that."""
    path.parent.mkdir(parents=True, exist_ok=True)
    descriptor = os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
    try:
        _acquire(descriptor, path, wait_seconds)
        yield
    finally:
        os.close(descriptor)


def _acquire(descriptor: int, path: Path, wait_seconds: float) -> None:
    end = time.monotonic() + wait_seconds
    while True:
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError as error:
            if time.monotonic() >= end:
                message = f"another sslops is running in this clone (it holds '{path}')"
                raise Busy(message, hint="wait for it to end, then run again") from error
            time.sleep(POLL_SECONDS)
        else:
            return
