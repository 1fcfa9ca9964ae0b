"""How long to wait: between two looks of a poll loop, and after a failure. Each rule once.

>>> [round(pause, 2) for pause in rising_pauses(0.2, 1.5, 1.0, total_seconds=2)]
[0.2, 0.3, 0.45, 0.68, 1.0]
>>> [backoff(failures, (1, 10)).total_seconds() / 60 for failures in (1, 2, 3)]
[1.0, 10.0, 10.0]
"""

from __future__ import annotations

from datetime import timedelta
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence


def _nothing() -> float:
    return 0.0


def rising_pauses(
    first: float,
    factor: float,
    longest: float,
    *,
    total_seconds: float,
    asked_seconds: Callable[[], float] = _nothing,
) -> Iterator[float]:
    """Yield the pauses of a poll loop, in seconds, each *factor* times the last, until *total_seconds* are over.

    A pause is at least what the peer asks for at that moment (Retry-After), as far as the total lets it be.

    >>> list(rising_pauses(1.0, 2.0, 8.0, total_seconds=10, asked_seconds=lambda: 5.0))
    [5.0, 5.0]
    """
    waited, pause = 0.0, first
    while waited < total_seconds:
        step = max(pause, min(asked_seconds(), total_seconds - waited))
        yield step
        waited, pause = waited + step, min(pause * factor, longest)


def backoff(failures: int, minutes: Sequence[int]) -> timedelta:
    """Return how long to wait after that many *failures* in a row (at least one); the last of *minutes* goes on."""
    return timedelta(minutes=minutes[min(failures, len(minutes)) - 1])
