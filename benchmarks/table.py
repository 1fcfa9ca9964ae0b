"""The one table that `make bench` prints: what was timed, how long it took, how much memory, and the goal."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from benchmarks.process import Figure


def row(what: str, figure: Figure, limit_seconds: float | None = None, limit_mebibytes: float | None = None) -> None:
    """Print one row; a figure above its limit is called missed."""
    goals = []
    if limit_seconds is not None:
        goals.append(f"goal {limit_seconds:.3g} s{'' if figure.seconds <= limit_seconds else ', MISSED'}")
    if limit_mebibytes is not None:
        goals.append(f"goal {limit_mebibytes:.3g} MiB{'' if figure.mebibytes <= limit_mebibytes else ', MISSED'}")
    spread = f"({figure.fastest:.3f} to {figure.slowest:.3f})"
    line = f"{what:34} {figure.seconds:7.3f} s {spread:20} {figure.mebibytes:6.1f} MiB"
    print("  ".join([line, *goals]), flush=True)
