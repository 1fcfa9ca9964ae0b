"""Times and counts as a person says them.

>>> from datetime import UTC, datetime, timedelta
>>> now = datetime(2026, 11, 24, 14, 30, tzinfo=UTC)
>>> until(now + timedelta(hours=2, minutes=10), now)
'in 2 h 10 min (16:40 UTC)'
>>> span(timedelta(days=3, hours=5))
'3 days 5 h'
"""

from __future__ import annotations

from datetime import UTC, timedelta
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from datetime import datetime

_TENTH_OF_A_DAY = timedelta(days=1) / 10
_SECONDS_A_DAY = 86400
_TWO_WORDS_UNTIL = timedelta(days=10)


def span(length: timedelta) -> str:
    """Say how long *length* is, in its two largest units; what is negative or under a second is `0 s`."""
    seconds = max(0, int(length.total_seconds()))
    days, rest = divmod(seconds, _SECONDS_A_DAY)
    hours, rest = divmod(rest, 3600)
    minutes, seconds = divmod(rest, 60)
    if length >= _TWO_WORDS_UNTIL:
        return count(days, "day")
    words = [
        (days, count(days, "day")),
        (hours, f"{hours} h"),
        (minutes, f"{minutes} min"),
        (seconds, f"{seconds} s"),
    ]
    first = next((place for place, (amount, _) in enumerate(words) if amount), len(words) - 1)
    return " ".join(word for amount, word in words[first : first + 2] if amount or first == len(words) - 1)


def until(moment: datetime | None, now: datetime) -> str:
    """Say when *moment* is, seen from *now*: in how long, and at what time (with the date when it is another day)."""
    if moment is None:
        return "until something changes"
    if moment <= now:
        return f"since {clock(moment, now)}"
    return f"in {span(moment - now)} ({clock(moment, now)})"


def clock(moment: datetime, now: datetime) -> str:
    """Write *moment* in UTC: the time alone on the day of *now*, seconds only within two minutes of it."""
    moment, now = moment.astimezone(UTC), now.astimezone(UTC)
    time = f"{moment:%H:%M:%S}" if abs(moment - now) < timedelta(minutes=2) else f"{moment:%H:%M}"
    return f"{time} UTC" if moment.date() == now.date() else f"{moment:%Y-%m-%d} {time} UTC"


def stamp(moment: datetime) -> str:
    """Write *moment* in UTC with its date, the same whenever it is read.

    >>> from datetime import datetime
    >>> stamp(datetime(2026, 11, 24, 14, 30, tzinfo=UTC))
    '2026-11-24 14:30 UTC'
    """
    return f"{moment.astimezone(UTC):%Y-%m-%d %H:%M} UTC"


def days_left(end: datetime, now: datetime) -> float:
    """Return the days from *now* to *end*, to a tenth, rounded down; negative when *end* has passed."""
    return (end - now) // _TENTH_OF_A_DAY / 10


def count(amount: int, noun: str, plural: str | None = None) -> str:
    """Say *amount* of *noun*.

    >>> count(1, "service"), count(2, "service")
    ('1 service', '2 services')
    """
    return f"{amount} {noun if amount == 1 else plural or noun + 's'}"
