"""The same for many at once: hosts, ports, services."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from typing import TYPE_CHECKING, TypeVar

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable

    Item = TypeVar("Item")
    Result = TypeVar("Result")

MOST = 16


def in_threads(act: Callable[[Item], Result], items: Iterable[Item]) -> list[Result]:
    """Return what *act* returns for each of *items*, in their order; up to `MOST` are at work at a time.

    An exception of one is raised once all have ended.
    """
    with ThreadPoolExecutor(max_workers=MOST) as pool:
        return list(pool.map(act, items))
