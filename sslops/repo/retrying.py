"""Trying again, with an end: after another run was faster (all is planned anew), and until a forge has merged."""

from __future__ import annotations

from itertools import islice
from math import inf
from typing import TYPE_CHECKING, TypeVar

from sslops.errors import Busy, Moved
from sslops.model.waiting import rising_pauses

if TYPE_CHECKING:
    from collections.abc import Callable


Result = TypeVar("Result")

TRIES = 5
FIRST_PAUSE_SECONDS = 0.4


def retrying(
    attempt: Callable[[], Result],
    *,
    tries: int = TRIES,
    sleep: Callable[[float], None],
    random: Callable[[], float],
) -> Result:
    """Return what *attempt* returns; on Moved pause and call it again, after *tries* raise Busy.

    *attempt* must fetch and decide anew each time. *random* returns 0 to 1 and spreads the pauses, so that two runs
    that collided do not collide again.
    """
    for pause in islice(rising_pauses(FIRST_PAUSE_SECONDS, 2.0, inf, total_seconds=inf), tries - 1):
        try:
            return attempt()
        except Moved:
            sleep(pause * (0.5 + random()))
    try:
        return attempt()
    except Moved as error:
        message = f"{error.what}, {tries} times"
        raise Busy(message, hint="run again later; nothing is lost") from error


def comes_true(look: Callable[[], bool], *, sleep: Callable[[float], None], seconds: int) -> bool:
    """Whether *look* says so in about *seconds*: it is asked at once, then once a second, *seconds* times in all.

    *look* must fetch each time.
    """
    if look():
        return True
    for pause in rising_pauses(1.0, 1.0, 1.0, total_seconds=seconds - 1):
        sleep(pause)
        if look():
            return True
    return False
