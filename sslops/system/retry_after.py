"""Retry-After (RFC 9110 section 10.2.3): how long a CA or a forge asks to wait."""

from __future__ import annotations

import email.utils
import re
from datetime import UTC, timedelta
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from datetime import datetime

LONGEST_RETRY = timedelta(days=7)
"""What a Retry-After counts as at the most: the longest period of any limit that a CA publishes."""

_SECONDS = re.compile(r"[0-9]{1,18}")


def retry_after_seconds(text: str | None, now: datetime) -> float | None:
    """Return the seconds that a Retry-After asks for, a number or a date (RFC 9110 section 10.2.3).

    It is `LONGEST_RETRY` at the most, and null for what is neither.
    """
    if text is None:
        return None
    longest, text = LONGEST_RETRY.total_seconds(), text.strip()
    if _SECONDS.fullmatch(text):
        return min(float(text), longest)
    try:
        moment = email.utils.parsedate_to_datetime(text)
        moment = moment if moment.tzinfo is not None else moment.replace(tzinfo=UTC)
        asked = (moment - now).total_seconds()
    except (ValueError, TypeError, OverflowError, IndexError):
        return None
    return min(max(0.0, asked), longest)
