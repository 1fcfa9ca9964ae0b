"""The outlook of names with DANE, as text, Markdown and JSON."""

from __future__ import annotations

from typing import TYPE_CHECKING

from sslops.model.names import format_time
from sslops.report.text import as_code, for_markdown, markdown_table, until, visible

if TYPE_CHECKING:
    from collections.abc import Iterable
    from datetime import datetime

    from sslops.model.outlook import NameOutlook, Step
    from sslops.model.tlsa import TlsaRecord


def as_text(names: Iterable[NameOutlook], now: datetime) -> str:
    """Return a block for each name: its records (`=` stays, `+` comes, `-` goes) and its steps, soonest first."""
    lines = ["dane"]
    for name in names:
        lines.append(f"  {visible(name.owner)}  {', '.join(map(str, name.services)) or 'nobody'}")
        lines += [f"      {mark} {_short(record)}" for mark, record in _marked(name)]
        lines += [f"      {step.what} {_when(step, now)}: {visible(step.why)}" for step in name.steps]
    return "\n".join(lines)


def as_markdown(names: Iterable[NameOutlook], now: datetime) -> str:
    """Return one table: a row for each name."""
    rows = []
    for name in names:
        records = "<br>".join(as_code(f"{mark} {_short(record)}") for mark, record in _marked(name))
        steps = "<br>".join(for_markdown(f"{step.what} {_when(step, now)}: {step.why}") for step in name.steps)
        rows.append((as_code(name.owner), records, steps))
    return markdown_table(("name", "records", "next steps"), rows)


def as_document(names: Iterable[NameOutlook]) -> list[dict[str, object]]:
    """Return what JSON says of each name: `{owner, services, now, will, steps: [{what, at, why}]}`."""
    return [
        {
            "owner": name.owner,
            "services": [str(service) for service in name.services],
            "now": [str(record) for record in name.now],
            "will": [str(record) for record in name.will],
            "steps": [
                {"what": step.what, "at": None if step.at is None else format_time(step.at), "why": step.why}
                for step in name.steps
            ],
        }
        for name in names
    ]


def _marked(name: NameOutlook) -> list[tuple[str, TlsaRecord]]:
    both = sorted({*name.now, *name.will})
    return [("=" if r in name.now and r in name.will else "+" if r in name.will else "-", r) for r in both]


def _short(record: TlsaRecord) -> str:
    return f"{record.params} {record.data[:16]}"


def _when(step: Step, now: datetime) -> str:
    if step.at is not None and step.at <= now:
        return "now"
    return until(step.at, now)
