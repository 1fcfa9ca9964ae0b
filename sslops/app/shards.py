"""A fleet's work in shards: renew by group, deploy by host, for forges that run a job for each.

The limit suits both: GitHub takes 256 jobs of a matrix, GitLab 200. A forge refuses an empty matrix, so where nothing
is to be done there is one shard of nothing, which a job takes for everything, and finds nothing to do.

>>> split(["a", "b", "c"], limit=2)
(('a', 'c'), ('b',))
>>> split([])
((),)
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from sslops.model.plan import Verb

if TYPE_CHECKING:
    from collections.abc import Iterable

    from sslops.model.plan import Plan

    Shards = tuple[tuple[str, ...], ...]

MOST_SHARDS = 200


@dataclass(frozen=True, slots=True)
class Matrix:
    """The groups of each renew job and the hosts of each deploy job; never empty."""

    renew: Shards
    deploy: Shards


def matrix(plan: Plan, limit: int = MOST_SHARDS) -> Matrix:
    """Return the shards of what *plan* can do now, at most *limit* of a kind."""
    actions = plan.actions
    return Matrix(
        renew=split((action.group for action in actions if action.verb is Verb.RENEW), limit),
        deploy=split((host for action in actions if action.verb is Verb.DEPLOY for host in action.targets), limit),
    )


def split(names: Iterable[str], limit: int = MOST_SHARDS) -> Shards:
    """Return *names* (each once, sorted) dealt out to at most *limit* shards of almost the same size."""
    dealt = sorted(set(names))
    shards = min(len(dealt), limit)
    return tuple(tuple(dealt[number::shards]) for number in range(shards)) or ((),)
