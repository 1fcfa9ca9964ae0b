"""The environment of this process, and the secrets that were taken out of it.

A forge hands tokens and identities to a job as variables. The kernel shows what a process was started with in
`/proc/PID/environ` as long as the process lives, and every child inherits it. So they are taken away before anything
else is done: the memory that the kernel shows is overwritten, other processes of the same user are kept from reading
the rest (`PR_SET_DUMPABLE`, prctl(2)), and whoever needs a secret asks `environment` for it.
"""

from __future__ import annotations

import contextlib
import os
from typing import TYPE_CHECKING

from sslops.system.processes import without_secrets

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

_PR_SET_DUMPABLE = 4

_taken: dict[str, str] = {}


def take_secrets() -> None:
    """Take every secret out of this process's environment; nothing happens where there is none."""
    names = os.environ.keys() - without_secrets(os.environ).keys()
    if not names:
        return
    entries = _entries(names)
    for name in names:
        _taken[name] = os.environ.pop(name)
    _overwrite(entries)


def environment() -> dict[str, str]:
    """Return the environment with the secrets that were taken out of it. Never give it to a child as it is."""
    return {**_taken, **os.environ}


def give_back(names: Iterable[str]) -> None:
    """Put *names* back into `os.environ`, for the one who takes them from there at once; /proc does not show them."""
    for name in names:
        if name in _taken:
            os.environ[name] = _taken.pop(name)


@contextlib.contextmanager
def set_aside() -> Iterator[None]:
    """Let `environment` know none of what was taken, for a world that has nothing to do with the real one."""
    before = dict(_taken)
    _taken.clear()
    try:
        yield
    finally:
        _taken.update(before)


def _entries(names: Iterable[str]) -> list[tuple[int, int]]:
    """Return address and length of the `NAME=value` strings of C's environment; none where it cannot be read."""
    import ctypes

    wanted = {os.fsencode(name) for name in names}
    try:
        pointers = ctypes.POINTER(ctypes.c_void_p).in_dll(ctypes.CDLL(None), "environ")
    except (OSError, ValueError):
        return []
    found, number = [], 0
    while address := pointers[number]:
        text = ctypes.string_at(address)
        if text.partition(b"=")[0] in wanted:
            found.append((address, len(text)))
        number += 1
    return found


def _overwrite(entries: Iterable[tuple[int, int]]) -> None:
    import ctypes

    for address, length in entries:
        ctypes.memset(address, 0, length)
    with contextlib.suppress(OSError, AttributeError):
        ctypes.CDLL(None).prctl(_PR_SET_DUMPABLE, 0, 0, 0, 0)
