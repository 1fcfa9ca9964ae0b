"""Run a command several times and take what the operating system says about each finished process."""

from __future__ import annotations

import os
import statistics
import subprocess
import time
from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence
    from pathlib import Path


@dataclass(frozen=True, slots=True)
class Figure:
    """Medians over the runs: wall time in seconds, and the peak memory of the largest single process in MiB."""

    seconds: float
    fastest: float
    slowest: float
    mebibytes: float
    runs: int


def measure(
    words: Sequence[str],
    *,
    cwd: Path,
    environment: Mapping[str, str],
    runs: int,
    before: Callable[[], None] = lambda: None,
) -> Figure:
    """Run *words* *runs* times, *before* ahead of each one (not timed); RuntimeError when one fails."""
    taken = []
    for _ in range(runs):
        before()
        taken.append(_once(words, cwd, environment))
    seconds = [each[0] for each in taken]
    return Figure(
        statistics.median(seconds), min(seconds), max(seconds), statistics.median(each[1] for each in taken), runs
    )


def _once(words: Sequence[str], cwd: Path, environment: Mapping[str, str]) -> tuple[float, float]:
    begun = time.perf_counter()
    process = subprocess.Popen(
        list(words), cwd=cwd, env=dict(environment), stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL
    )
    _, status, usage = os.wait4(process.pid, 0)
    seconds = time.perf_counter() - begun
    process.returncode = os.waitstatus_to_exitcode(status)
    if process.returncode != 0:
        message = f"{' '.join(words)} ended with exit code {process.returncode}"
        raise RuntimeError(message)
    return seconds, usage.ru_maxrss / 1024
