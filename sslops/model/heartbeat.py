"""Heartbeats: the last run of each verb that ended well, and which of them are too long ago.

>>> from datetime import UTC, datetime, timedelta
>>> now = datetime(2026, 11, 24, 12, tzinfo=UTC)
>>> runs = [Heartbeat("run", now - timedelta(hours=30)), Heartbeat("deploy", now - timedelta(hours=2))]
>>> [(each.stage, each.is_late) for each in judge(runs, ("renew", "deploy"), now, timedelta(hours=26))]
[('renew', True), ('deploy', False)]
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import timedelta
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterable
    from datetime import datetime


STAGES = ("renew", "publish", "roll", "deploy")
WHOLE = "run"
"""The verb that is all of them."""

_SKEW = timedelta(minutes=10)


@dataclass(frozen=True, slots=True)
class Heartbeat:
    """The last run of *verb* that ended well, *at* this moment by its runner's clock; *run* names it, null: unknown."""

    verb: str
    at: datetime
    run: str | None = None


@dataclass(frozen=True, slots=True)
class StageHeartbeat:
    """The heartbeat of one stage (null: none was ever seen), and whether that is too long ago."""

    stage: str
    last: Heartbeat | None
    is_late: bool


def judge(
    runs: Iterable[Heartbeat], stages: Iterable[str], now: datetime, max_age: timedelta
) -> tuple[StageHeartbeat, ...]:
    """Return for each of *stages* its heartbeat, and whether it is older than *max_age*.

    A run from the future is late too: one of two clocks is wrong, and nobody knows since when.
    """
    known = tuple(runs)
    return tuple(_finding(stage, known, now, max_age) for stage in stages)


def _finding(stage: str, runs: tuple[Heartbeat, ...], now: datetime, max_age: timedelta) -> StageHeartbeat:
    mine = [run for run in runs if run.verb in {stage, WHOLE}]
    last = max(mine, key=lambda run: run.at, default=None)
    is_late = last is None or now - last.at > max_age or last.at - now > _SKEW
    return StageHeartbeat(stage, last, is_late)
