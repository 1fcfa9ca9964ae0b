"""The time ahead as text and JSON."""

from __future__ import annotations

import json
from datetime import timedelta
from typing import TYPE_CHECKING

from sslops.model.names import format_time
from sslops.report.text import visible

if TYPE_CHECKING:
    from collections.abc import Iterable

    from sslops.model.outlook import Event, Forecast, LongWait


def as_text(found: Forecast) -> str:
    """Return a line for each step, then what waited for long, what waits at the end, and what cannot work."""
    given = found.assumptions
    lines = [*map(visible, found.lifetimes), *([""] if found.lifetimes else [])]
    lines += _lines(found.events) or ["nothing happens"]
    ended = [wait for wait in found.waits if wait.until is not None]
    still = [wait for wait in found.waits if wait.until is None]
    if ended:
        lines += ["", f"waited for more than {_span(found.patience)}", *map(_wait_line, ended)]
    if still:
        lines += ["", f"on {given.until:%Y-%m-%d} waits", *map(_wait_line, still)]
    if found.flags:
        return "\n".join([*lines, "", "cannot work", *_lines(found.flags)])
    promise = "at no moment could a cache hold what does not match"
    return "\n".join([*lines, "", f"until {given.until:%Y-%m-%d}: {len(found.events)} steps, and {promise}"])


def as_json(found: Forecast) -> str:
    """Return `{from, until, lifetimes, events, waits, flags}`.

    *events* and *flags* are lists of `{at, verb, subject, what}`; *waits* have their end too, `until`, null at the end.
    """
    document = {
        "from": format_time(found.begins),
        "until": format_time(found.assumptions.until),
        "lifetimes": list(found.lifetimes),
        "events": _documents(found.events),
        "waits": [_wait_document(wait) for wait in found.waits],
        "flags": _documents(found.flags),
    }
    return json.dumps(document, indent=2)


def _documents(events: Iterable[Event]) -> list[dict[str, str]]:
    return [{"at": format_time(e.at), "verb": e.verb, "subject": e.subject, "what": e.what} for e in events]


def _wait_document(wait: LongWait) -> dict[str, str | None]:
    until = None if wait.until is None else format_time(wait.until)
    return {
        "at": format_time(wait.at),
        "until": until,
        "verb": wait.verb,
        "subject": wait.subject,
        "what": wait.what,
    }


def _wait_line(wait: LongWait) -> str:
    what = visible(wait.what) if wait.until is None else f"{_span(wait.until - wait.at)}: {visible(wait.what)}"
    return f"{wait.at:%Y-%m-%d %H:%M}  {wait.verb:<7}  {visible(wait.subject)}: {what}"


def _span(span: timedelta) -> str:
    hours = span / timedelta(hours=1)
    return f"{hours:.0f} hours" if hours < 48 else f"{hours / 24:.1f} days"  # noqa: PLR2004  (two days)


def _lines(events: Iterable[Event]) -> list[str]:
    return [f"{e.at:%Y-%m-%d %H:%M}  {e.verb:<7}  {visible(e.subject)}: {visible(e.what)}" for e in events]
