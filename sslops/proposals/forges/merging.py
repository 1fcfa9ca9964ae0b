"""What stands between a request and its merge: what passes, what the forge can wait for, what a person has to end."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime, timedelta
from enum import Enum
from fnmatch import fnmatchcase
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Collection, Mapping

REPORTS_WITHIN = timedelta(hours=1)
"""How long a required check may take to report anything at all."""


class MergeFate(Enum):
    """How an obstacle ends."""

    PASSES = "passes"
    """In a moment: the forge is still making up its mind."""
    WAITS = "waits"
    """When checks or approvals come; the forge can be asked to merge then."""
    BLOCKS = "blocks"
    """Only when somebody does something about it."""


@dataclass(frozen=True, slots=True)
class Obstacle:
    """Why a request is not merged now: *why* in words of ours or the forge's, *hint* what to do about it."""

    fate: MergeFate
    why: str
    hint: str | None = None
    is_behind: bool = False
    """Whether it ends when the branch is made anew on the newest commit of its target."""


class CheckState(Enum):
    """How a check of one commit stands."""

    RUNNING = "running"
    GOOD = "good"
    FAILED = "failed"


def checks(
    required: Collection[str], reported: Mapping[str, CheckState], committed_at: datetime | None, now: datetime
) -> Obstacle | None:
    """Return what the checks of a commit that are *required* (names, or patterns) stand for; null when all are good.

    One that failed, or that nobody began within REPORTS_WITHIN of the commit, makes the forge wait for ever.
    *committed_at* null: not known, and nothing is late.

    >>> checks(["test"], {"test": CheckState.FAILED}, None, datetime(2026, 12, 1)).why
    "check 'test' failed"
    """
    states = {name: [state for each, state in reported.items() if fnmatchcase(each, name)] for name in required}
    failed = next((name for name, found in states.items() if CheckState.FAILED in found), None)
    if failed is not None:
        return Obstacle(MergeFate.BLOCKS, f"check '{failed}' failed", "mend what it says, and run it again")
    silent = next((name for name, found in states.items() if not found), None)
    if silent is not None and committed_at is not None and now - committed_at > REPORTS_WITHIN:
        why = f"check '{silent}' did not begin within {REPORTS_WITHIN.seconds // 3600} h"
        return Obstacle(
            MergeFate.BLOCKS, why, "does a job of that name run for this branch, and is there a runner for it?"
        )
    running = next((name for name, found in states.items() if not found or CheckState.RUNNING in found), None)
    return None if running is None else Obstacle(MergeFate.WAITS, f"check '{running}' is not done yet")


def moment(written: str) -> datetime | None:
    """Return the moment that a forge writes in ISO 8601; null when it is none, or has no time zone.

    >>> moment("2026-12-01T12:00:00Z").isoformat(), moment("soon")
    ('2026-12-01T12:00:00+00:00', None)
    """
    try:
        found = datetime.fromisoformat(written)
    except ValueError:
        return None
    return found if found.tzinfo is not None else None
