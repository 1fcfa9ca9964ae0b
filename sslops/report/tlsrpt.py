"""What mail senders reported about TLS (RFC 8460), per day, domain, host and generation: text, JSON, the ledger."""

from __future__ import annotations

import hashlib
import json
from collections import defaultdict
from dataclasses import dataclass
from datetime import timedelta
from typing import TYPE_CHECKING

from sslops.model.ledger import Sessions
from sslops.report.table import Column, as_lines
from sslops.report.text import count, on_one_line

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
    from datetime import datetime

    from sslops.model.tlsa import TlsaRecord
    from sslops.probe.tls_reports import Failure, PolicyResult, TlsReport

    Whose = Callable[[TlsaRecord], Iterable[str]]
    """Names the generations that a record matches, as `group/service generation`."""

KEPT = timedelta(days=90)
"""For so long the ledger keeps what was reported."""
_SHOWN_FAILURES = 50


@dataclass(frozen=True, slots=True)
class SeenBySender:
    """What one sender saw of one policy of a domain in the time of one report."""

    day: str
    sender: str
    result: PolicyResult
    generations: tuple[str, ...]
    """Those whose records it went by."""


def seen(reports: Iterable[TlsReport], whose: Whose) -> tuple[SeenBySender, ...]:
    """Return what all reports tell, by day, domain and sender; a report that is there twice counts once."""
    found: dict[str, SeenBySender] = {}
    for report in reports:
        for number, result in enumerate(report.policies):
            generations = sorted({name for record in result.records for name in whose(record)})
            row = SeenBySender(f"{report.begin:%Y-%m-%d}", report.organization, result, tuple(generations))
            found.setdefault(f"{report_key(report, result.domain)} {number}", row)
    return tuple(sorted(found.values(), key=lambda row: (row.day, row.result.domain, row.sender, row.result.kind)))


def report_key(report: TlsReport, domain: str) -> str:
    """Return how the ledger names what *report* says of *domain*: `day domain hash`."""
    named = hashlib.sha256(json.dumps([report.organization, report.report_id]).encode()).hexdigest()
    return f"{report.begin:%Y-%m-%d} {domain} {named[:16]}"


def ledger_entries(reports: Iterable[TlsReport], domains: Iterable[str]) -> dict[str, Sessions]:
    """Return what the ledger keeps of *reports* about *domains*: sessions that went well and that failed."""
    known, found = frozenset(domains), dict[str, Sessions]()
    for report in reports:
        totals: dict[str, list[int]] = defaultdict(lambda: [0, 0])
        for result in report.policies:
            if result.domain in known:
                totals[result.domain][0] += result.successful
                totals[result.domain][1] += result.failed
        found |= {report_key(report, domain): Sessions(*total) for domain, total in totals.items()}
    return found


def kept(reports: Mapping[str, Sessions], now: datetime) -> dict[str, Sessions]:
    """Return those of the ledger's *reports* that are not older than KEPT, nor of a time to come."""
    begin, end = f"{now - KEPT:%Y-%m-%d}", f"{now + timedelta(days=1):%Y-%m-%d}"
    return {key: each for key, each in reports.items() if begin <= key.partition(" ")[0] <= end}


def per_day(reports: Mapping[str, Sessions]) -> Iterator[tuple[str, str, int, Sessions]]:
    """Yield day, domain, how many reports, and their sessions together; the newest day first."""
    totals: dict[tuple[str, str], list[int]] = defaultdict(lambda: [0, 0, 0])
    for key, each in reports.items():
        day, _, rest = key.partition(" ")
        total = totals[day, rest.rpartition(" ")[0]]
        total[0] += 1
        total[1] += each.successful
        total[2] += each.failed
    for (day, domain), (number, successful, failed) in sorted(totals.items(), key=lambda one: one[0], reverse=True):
        yield day, domain, number, Sessions(successful, failed)


_COLUMNS: tuple[Column[SeenBySender], ...] = (
    Column("day", lambda row: row.day),
    Column("domain", lambda row: row.result.domain),
    Column("sender", lambda row: row.sender),
    Column("hosts", lambda row: ", ".join(row.result.mx_hosts)),
    Column("policy", lambda row: row.result.kind),
    Column("records of", lambda row: ", ".join(row.generations) or ("unmanaged" if row.result.records else "")),
    Column("good", lambda row: str(row.result.successful)),
    Column("failed", lambda row: str(row.result.failed)),
)


def as_text(rows: Sequence[SeenBySender]) -> str:
    """Return a line for each report and policy, then why sessions failed, and all sessions together."""
    if not rows:
        return "no report says anything of a policy"
    lines = as_lines(_COLUMNS, rows)
    failures = [(row, failure) for row in rows for failure in row.result.failures]
    lines += ["", "why sessions failed:"] if failures else []
    lines += [_failure(row, failure) for row, failure in failures[:_SHOWN_FAILURES]]
    if len(failures) > _SHOWN_FAILURES:
        lines.append(f"  and {len(failures) - _SHOWN_FAILURES} more; --json has all of them")
    good, bad = (sum(each) for each in zip(*((r.result.successful, r.result.failed) for r in rows), strict=True))
    return "\n".join([*lines, "", f"{count(good, 'session')} went well, {bad} failed"])


def _failure(row: SeenBySender, failure: Failure) -> str:
    where = " ".join(filter(None, (failure.mx_host, failure.address and f"[{failure.address}]"))) or "no host named"
    detail = f": {failure.detail}" if failure.detail else ""
    return on_one_line(f"{row.day} {row.sender}: {failure.sessions} x {failure.result} at {where}{detail}")


def as_json(rows: Sequence[SeenBySender], unread: Mapping[str, str]) -> str:
    """Return `{results: [{day, sender, domain, policy, hosts, generations, successful, failed, failures}], unread}`."""
    results = [
        {
            "day": row.day,
            "sender": row.sender,
            "domain": row.result.domain,
            "policy": row.result.kind,
            "hosts": list(row.result.mx_hosts),
            "generations": list(row.generations),
            "successful": row.result.successful,
            "failed": row.result.failed,
            "failures": [
                {
                    "result": each.result,
                    "host": each.mx_host,
                    "address": each.address,
                    "sessions": each.sessions,
                    "detail": each.detail,
                }
                for each in row.result.failures
            ],
        }
        for row in rows
    ]
    return json.dumps({"results": results, "unread": dict(unread)}, indent=2, ensure_ascii=False)
