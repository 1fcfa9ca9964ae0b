"""What `info` and `verify` found, as text for a person and JSON for a program."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

from sslops.model.names import parse_time
from sslops.report.text import on_one_line, span

if TYPE_CHECKING:
    from collections.abc import Sequence
    from datetime import datetime

    from sslops.pki.inspection import Item
    from sslops.pki.verification import Check

_LABELS = {"not_before": "valid from", "not_after": "valid until", "spki_sha256": "key sha256", "cert_sha256": "sha256"}


def items_as_text(name: str, items: Sequence[Item], now: datetime) -> str:
    """Return each item of *name* under a heading, one fact a line; what is empty is left out."""
    return "\n\n".join(_item(name, number, item, len(items), now) for number, item in enumerate(items, 1))


def items_as_json(found: Sequence[tuple[str, Sequence[Item]]]) -> str:
    """Return `{subjects: [{name, items: [{kind, FACT: VALUE}]}]}`."""
    subjects = [{"name": name, "items": [{"kind": item.kind, **item.facts} for item in items]} for name, items in found]
    return json.dumps({"subjects": subjects}, indent=2, ensure_ascii=False)


def checks_as_text(name: str, checks: Sequence[Check]) -> str:
    """Return one line for each check: `ok`, `failed` or `skipped`, what was checked, and the cause."""
    width = max((len(check.name) for check in checks), default=0)
    lines = [f"  {check.state:7}  {check.name:{width}}  {on_one_line(check.cause)}".rstrip() for check in checks]
    return "\n".join(
        [f"{on_one_line(name)}: {'good' if all(check.is_good for check in checks) else 'not good'}", *lines]
    )


def checks_as_json(found: Sequence[tuple[str, Sequence[Check]]]) -> str:
    """Return `{subjects: [{name, good, checks: [{name, state, cause}]}]}`."""
    subjects = [
        {
            "name": name,
            "good": all(check.is_good for check in checks),
            "checks": [{"name": check.name, "state": str(check.state), "cause": check.cause} for check in checks],
        }
        for name, checks in found
    ]
    return json.dumps({"subjects": subjects}, indent=2, ensure_ascii=False)


def _item(name: str, number: int, item: Item, many: int, now: datetime) -> str:
    place = f", {number} of {many}" if many > 1 else ""
    rows = [(_LABELS.get(key, key.replace("_", " ")), _words(key, value, now)) for key, value in item.facts.items()]
    width = max((len(label) for label, _ in rows), default=0)
    lines = [f"  {label:{width}}  {on_one_line(words)}" for label, words in rows if words]
    return "\n".join([f"{on_one_line(name)}: {item.kind}{place}", *lines])


def _words(key: str, value: object, now: datetime) -> str:
    if isinstance(value, bool):
        return "yes" if value else "no"
    if isinstance(value, tuple):
        return ", ".join(map(str, value))
    if key == "not_after" and isinstance(value, str):
        end = parse_time(value)
        return f"{value} ({span(end - now)} left)" if end > now else f"{value} (expired {span(now - end)} ago)"
    return "" if value is None else str(value)
