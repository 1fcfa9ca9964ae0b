"""One issue that says where everything stands: what needs a person first, then every service.

It says dates, never how long something is ago or away, so that a run without news has nothing to write.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import TYPE_CHECKING

from sslops.model.proposal import RequestState
from sslops.model.state import Status
from sslops.report.status import AlarmKind, Phase
from sslops.report.text import Part, Table, as_code, bullets, count, fitted, for_markdown, on_one_row, stamp

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence
    from datetime import datetime

    from sslops.model.ledger import Ledger
    from sslops.model.proposal import MergeRequest
    from sslops.model.state import Branches
    from sslops.report.status import ServiceStatus, StatusReport, StatusWait
    from sslops.report.text import Written


MARKER = "<!-- sslops-dashboard -->"
TITLE = "Certificates: where everything stands"
ARTIFACT = "sslops-dashboard.md"

_HEADS = ("service", "stands at", "waits for")
_URL = re.compile(r"https?://[\w.~:/?#@!$&+,;=%-]+")
_SHOWN = 50


@dataclass(frozen=True, slots=True)
class LastRun:
    """The newest commit of one verb: when it was, and the run that made it, as its trailer says."""

    verb: str
    at: datetime
    run: str


@dataclass(frozen=True, slots=True)
class DashboardView:
    """Everything the dashboard tells; *urgent* is Markdown, one sentence each."""

    urgent: tuple[str, ...]
    services: tuple[ServiceStatus, ...]
    runs: tuple[LastRun, ...]
    limit: int


def dashboard_view(
    report: StatusReport,
    branches: Branches,
    ledger: Ledger,
    requests: Sequence[MergeRequest],
    runs: Sequence[LastRun],
    limit: int,
) -> DashboardView:
    """Return what the dashboard tells; *requests* are those of each kind, newest first."""
    urgent = (
        *_mismatches(report),
        *_requests(requests),
        *_services(report, branches),
        *_hosts(ledger, report),
        *_blocked(report),
    )
    return DashboardView(urgent, report.services, tuple(sorted(runs, key=lambda run: run.verb)), limit)


def dashboard(view: DashboardView) -> Written:
    """Return the body of the issue."""
    urgent = [*view.urgent[:_SHOWN]]
    urgent += [f"and {len(view.urgent) - _SHOWN} more"] if len(view.urgent) > _SHOWN else []
    asked = count(len(view.urgent), "thing needs", "things need")
    head = f"**{asked} a person.**" if urgent else "**Nothing needs a person.**"
    parts = [
        Part("", (head, bullets(urgent)) if urgent else (head,)),
        Part(count(len(view.services), "service"), (Table(_HEADS, tuple(map(_cells, view.services))),)),
    ]
    if view.runs:
        rows = tuple((as_code(run.verb), stamp(run.at), _link("job", run.run)) for run in view.runs)
        parts.append(Part("Last changes", (Table(("by", "at", "run"), rows),)))
    return fitted(tuple(parts), MARKER, view.limit, ARTIFACT)


# What needs a person.


def _mismatches(report: StatusReport) -> Iterator[str]:
    for alarm in report.alarms:
        if alarm.kind is AlarmKind.MISMATCH:
            yield f"{as_code(alarm.subject)}: {on_one_row(alarm.what)}"


def _requests(requests: Sequence[MergeRequest]) -> Iterator[str]:
    for request in requests:
        if request.state is RequestState.OPEN:
            yield f"To be merged or closed: {_link(request.title, request.url)}"
    told: set[str] = set()
    for request in requests:
        if request.source not in told and request.state is RequestState.CLOSED and request.digest is not None:
            yield f"Declined, by closing {_link(request.title, request.url)}: reopen it, or let `--force` open it again"
        told.add(request.source)


def _services(report: StatusReport, branches: Branches) -> Iterator[str]:
    for each in report.services:
        name, slots = as_code(str(each.id)), branches.next[each.id].slots
        if each.phase is Phase.EXPIRED and each.not_after is not None:
            yield f"{name} expired on {each.not_after:%Y-%m-%d}"
        if each.phase is Phase.HELD:
            hold = each.waits[0]
            yield f"{name} is held {_until(hold) or 'until somebody removes the hold'}: {on_one_row(hold.why)}"
        if each.phase is Phase.REFUSED:
            yield f"{name} was taken back on main: `sslops roll --force` tries it again"
        if slots.failures and slots.retry_at is not None:
            why = next((f": {on_one_row(wait.why)}" for wait in each.waits if wait.step == "renew"), "")
            yield f"{name} could not be renewed; the next try is at {stamp(slots.retry_at)}{why}"


def _hosts(ledger: Ledger, report: StatusReport) -> Iterator[str]:
    known = {each.id for each in report.services}
    troubled = {host for each in report.services for host in each.troubles}
    for host, trouble in sorted(ledger.troubles.items()):
        if host in troubled:
            yield f"deploy to {as_code(host)} has failed since {stamp(trouble.since)}: {on_one_row(trouble.why)}"
    for host, entry in sorted(ledger.hosts.items()):
        for service, served in sorted(entry.services.items()):
            if served.failures and served.retry_at is not None and service in known:
                tries = count(served.failures, "failure")
                who, what = as_code(host), as_code(str(service))
                yield f"{who} could not be given {what}: {tries}, the next try is at {stamp(served.retry_at)}"


def _blocked(report: StatusReport) -> Iterator[str]:
    for each in report.blocked:
        what = f"{each.verb} of {as_code(each.subject)} is blocked at {as_code(each.what)}"
        yield f"{what} since {stamp(each.since)}: {each.says}"


# Rows.


def _cells(each: ServiceStatus) -> tuple[str, ...]:
    facts = (
        f"**{each.phase}**" if each.phase is Phase.EXPIRED else str(each.phase),
        "" if each.not_after is None else f"until {each.not_after:%Y-%m-%d}",
        f"curr {as_code(each.curr[-4:])}" if each.curr else "",
        f"next {_next(each)}" if each.next else "",
        f"on {each.settled} of {len(each.hosts)}" if each.hosts else "",
    )
    return as_code(str(each.id)), "<br>".join(filter(None, facts)), "<br>".join(map(_wait, each.waits))


def _next(each: ServiceStatus) -> str:
    words = {Status.KEYED: " key", Status.ORDERED: " ordered"}
    return as_code((each.next or "")[-4:]) + (words.get(each.next_status, "") if each.next_status else "")


def _wait(wait: StatusWait) -> str:
    when = "" if wait.until is None else f" {stamp(wait.until)}"
    return f"{wait.step}{when}: {on_one_row(wait.why)}"


def _until(wait: StatusWait) -> str:
    return "" if wait.until is None else f"until {stamp(wait.until)}"


def _link(text: str, url: str) -> str:
    """Return a link where *url* is one, else both as text: what a forge or a trailer says may be anything."""
    return f"[{for_markdown(text)}]({url})" if _URL.fullmatch(url) else f"{for_markdown(text)} {as_code(url)}".strip()
