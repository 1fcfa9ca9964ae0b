"""The time ahead as text and JSON."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

from sslops.model.names import format_time
from sslops.report.escape import visible

if TYPE_CHECKING:
    from collections.abc import Iterable

    from sslops.model.forecast import Event, Forecast


def as_text(found: Forecast) -> str:
    """Return a line for each step, then what waits at the end and what cannot work."""
    given = found.assumptions
    lines = _lines(found.events) or ["nothing happens"]
    if found.waits:
        lines += ["", f"on {given.until:%Y-%m-%d} waits", *_lines(found.waits)]
    if found.flags:
        return "\n".join([*lines, "", "cannot work", *_lines(found.flags)])
    promise = "at no moment could a cache hold what does not match"
    return "\n".join([*lines, "", f"until {given.until:%Y-%m-%d}: {len(found.events)} steps, and {promise}"])


def as_json(found: Forecast) -> str:
    """Return `{from, until, events, waits, flags}`; each of the last three a list of `{at, verb, subject, what}`."""
    document = {
        "from": format_time(found.begins),
        "until": format_time(found.assumptions.until),
        "events": _documents(found.events),
        "waits": _documents(found.waits),
        "flags": _documents(found.flags),
    }
    return json.dumps(document, indent=2)


def _documents(events: Iterable[Event]) -> list[dict[str, str]]:
    return [{"at": format_time(e.at), "verb": e.verb, "subject": e.subject, "what": e.what} for e in events]


def _lines(events: Iterable[Event]) -> list[str]:
    return [f"{e.at:%Y-%m-%d %H:%M}  {e.verb:<7}  {visible(e.subject)}: {visible(e.what)}" for e in events]
