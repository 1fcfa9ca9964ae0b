"""`slots.yaml`: the pointers of one service, and all about it that changes.

A roll is a diff of this file alone, so its keys have a fixed order and a line each.

>>> from sslops.model.state import Slots
>>> read_slots(write_slots(Slots()), "state/example.com/mail/slots.yaml") == Slots()
True
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

from sslops.model.names import GenerationId, format_time
from sslops.model.state import AriWindow, Slots
from sslops.state.plain_yaml import write
from sslops.state.record import Record

if TYPE_CHECKING:
    from datetime import datetime

    from sslops.state.plain_yaml import Value

KEYS = ("curr", "next", "prev", "rolled_at", "renew_at", "ari", "retry_at", "failures", "refused")
_GENERATION_ID = re.compile(r"[0-9]{8}T[0-9]{6}Z-[0-9a-f]{4}")
_ARI_KEYS = ("start", "end", "explanation_url")


def write_slots(slots: Slots) -> bytes:
    """Return the file's content for *slots*."""
    return write(
        {
            "curr": slots.curr,
            "next": slots.next,
            "prev": slots.prev,
            "rolled_at": time_or_null(slots.rolled_at),
            "renew_at": time_or_null(slots.renew_at),
            "ari": _ari(slots.ari),
            "retry_at": time_or_null(slots.retry_at),
            "failures": str(slots.failures),
            "refused": slots.refused,
        },
    )


def read_slots(content: bytes, file: str) -> Slots:
    """Read the file back; StateError where it says what cannot be."""
    record = Record.read(content, file, known=KEYS)
    window = record.inner_or_null("ari", known=_ARI_KEYS)
    return Slots(
        curr=generation_or_null(record, "curr"),
        next=generation_or_null(record, "next"),
        prev=generation_or_null(record, "prev"),
        rolled_at=record.moment_or_null("rolled_at"),
        renew_at=record.moment_or_null("renew_at"),
        ari=None
        if window is None
        else AriWindow(window.moment("start"), window.moment("end"), window.text_or_null("explanation_url")),
        retry_at=record.moment_or_null("retry_at"),
        failures=record.count("failures", 0),
        refused=generation_or_null(record, "refused"),
    )


def time_or_null(moment: datetime | None) -> str | None:
    """Write a time, or null."""
    return None if moment is None else format_time(moment)


def generation_or_null(record: Record, key: str) -> GenerationId | None:
    """Read a generation's id, or null; StateError when it is not one."""
    text = record.text_or_null(key)
    if text is None:
        return None
    if not is_generation_id(text):
        record.fail(key, f"'{key}' must be a generation like 20261124T143000Z-9b1c, not '{text}'")
    return GenerationId(text)


def is_generation_id(text: str) -> bool:
    """Whether *text* has the form `<UTC basic time>-<4 hex>`.

    >>> is_generation_id("20261124T143000Z-9b1c"), is_generation_id("../../etc")
    (True, False)
    """
    return _GENERATION_ID.fullmatch(text) is not None


def _ari(window: AriWindow | None) -> Value:
    if window is None:
        return None
    return {
        "start": format_time(window.start),
        "end": format_time(window.end),
        "explanation_url": window.explanation_url,
    }
