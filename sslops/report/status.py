"""The status report as a table for a person, Markdown for a chat, JSON for a program (design section 6).

On a terminal rich draws the table; everywhere else it is plain columns, which also cost nothing to load.
"""

from __future__ import annotations

import json
from collections import Counter
from typing import TYPE_CHECKING

from sslops.model.names import format_time
from sslops.model.state import Status
from sslops.report.columns import columns
from sslops.report.escape import as_code, for_markdown, on_one_line
from sslops.report.phase import Phase
from sslops.report.words import count, span, until

if TYPE_CHECKING:
    from collections.abc import Mapping

    from sslops.report.status_view import ServiceStatus, StatusReport, StatusWait

_HEADS = ("service", "phase", "days left", "curr", "next", "hosts", "waits for")
_STYLES = {
    Phase.LIVE: "green",
    Phase.EXPIRED: "bold red",
    Phase.REFUSED: "red",
    Phase.HELD: "yellow",
    Phase.DUE: "yellow",
    Phase.RETIRED: "dim",
    Phase.FROZEN: "dim",
}


def as_text(report: StatusReport) -> str:
    """Return the report in plain columns, generations by the last four digits of their ids."""
    rows = [_cells(each, report) for each in report.services]
    return f"{columns([_HEADS, *rows])}\n\n{_closing_line(report)}"


def as_rich(report: StatusReport, width: int | None = None) -> str:
    """Return the report as rich draws it for a terminal of *width* columns (null: the one there is)."""
    from rich.console import Console
    from rich.table import Table
    from rich.text import Text

    table = Table(box=None, pad_edge=False, header_style="bold")
    for head in _HEADS:
        table.add_column(head, no_wrap=head != "waits for", justify="right" if head == "days left" else "left")
    for each in report.services:
        cells = [Text(on_one_line(cell)) for cell in _cells(each, report)]
        cells[1].stylize(_STYLES.get(each.phase, "cyan"))
        table.add_row(*cells)
    console = Console(width=width)
    with console.capture() as captured:
        console.print(table)
    return f"{captured.get()}\n{_closing_line(report)}"


def as_markdown(report: StatusReport) -> str:
    """Return the report as one table, generations in full."""
    rows = [_HEADS, ("---",) * len(_HEADS), *(_markdown_cells(each, report) for each in report.services)]
    table = "\n".join(f"| {' | '.join(row)} |" for row in rows)
    return f"{table}\n\n{for_markdown(_closing_line(report))}"


def as_json(report: StatusReport, live: Mapping[str, object] | None = None) -> str:
    """Return `{fetched_at, services}`, and *live* when there is any; a null generation of a host is unknown."""
    document: dict[str, object] = {
        "fetched_at": None if report.fetched_at is None else format_time(report.fetched_at),
        "services": [_service_json(each) for each in report.services],
    }
    if live is not None:
        document["live"] = live
    return json.dumps(document, indent=2, ensure_ascii=False)


def _cells(each: ServiceStatus, report: StatusReport) -> tuple[str, ...]:
    return (
        str(each.id),
        str(each.phase),
        _days(each),
        each.curr[-4:] if each.curr else "-",
        _next(each, (each.next or "")[-4:]),
        f"{each.settled}/{len(each.hosts)}" if each.hosts else "-",
        "; ".join(_wait(wait, report) for wait in each.waits),
    )


def _markdown_cells(each: ServiceStatus, report: StatusReport) -> tuple[str, ...]:
    return (
        as_code(str(each.id)),
        str(each.phase),
        _days(each),
        as_code(each.curr or ""),
        _next(each, as_code(each.next or "")),
        f"{each.settled} of {len(each.hosts)}" if each.hosts else "",
        "<br>".join(for_markdown(_wait(wait, report)) for wait in each.waits),
    )


def _days(each: ServiceStatus) -> str:
    return "-" if each.days_left is None else f"{each.days_left:.1f}"


def _next(each: ServiceStatus, shown: str) -> str:
    if each.next is None:
        return "-"
    suffix = {Status.KEYED: " key", Status.ORDERED: " ordered"}
    return shown + (suffix.get(each.next_status, "") if each.next_status else "")


def _wait(wait: StatusWait, report: StatusReport) -> str:
    when = "" if wait.until is None else f" {until(wait.until, report.now)}"
    return f"{wait.step}{when}: {wait.why}"


def _closing_line(report: StatusReport) -> str:
    phases = Counter(each.phase for each in report.services)
    told = ", ".join(f"{phases[phase]} {phase}" for phase in Phase if phases[phase])
    services = count(len(report.services), "service")
    fetched = "" if report.fetched_at is None else f"; fetched {span(report.now - report.fetched_at)} ago"
    return f"{services}{': ' if told else ''}{told}{fetched}"


def _service_json(each: ServiceStatus) -> dict[str, object]:
    return {
        "group": each.id.group,
        "service": each.id.name,
        "phase": str(each.phase),
        "curr": each.curr,
        "next": each.next,
        "not_after": None if each.not_after is None else format_time(each.not_after),
        "days_left": each.days_left,
        "waits": [
            {"for": wait.step, "until": None if wait.until is None else format_time(wait.until), "why": wait.why}
            for wait in each.waits
        ],
        "hosts": {host: list(may_serve) for host, may_serve in each.hosts.items()},
    }
