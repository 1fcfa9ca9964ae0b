"""What an audit came to, as text for a person and JSON for a program."""

from __future__ import annotations

import json
from itertools import groupby
from typing import TYPE_CHECKING, Any

from sslops.model.names import format_time
from sslops.pki.history_check import Rule
from sslops.report.text import count, on_one_line

if TYPE_CHECKING:
    from collections.abc import Sequence

    from sslops.pki.history_check import AuditedCertificate, AuditResult, Breach


_MOST = 5
"""Breaches of one commit that text shows."""
_ASKED = {
    Rule.TRAILERS: "every change of the bot says action, service and run",
    Rule.SIGNATURES: "every commit of the bot is signed by a key that counted",
    Rule.AUTHORS: "nobody else put anything into state/",
    Rule.GENERATIONS: "what is issued never changed",
    Rule.SLOTS: "each roll was allowed by the evidence of its time",
    Rule.KEYS: "no private key was ever in clear",
    Rule.RECIPIENTS: "each key was encrypted to those whom .sops.yaml named",
}


def as_text(result: AuditResult) -> str:
    """Return what was asked and proved, the first breach and the others, then the ledger of certificates."""
    since = f" since {format_time(result.since)}" if result.since else ""
    lines = [f"looked at {_counts(result)}{since}", ""]
    unjudged = dict(result.unjudged)
    for rule, asked in _ASKED.items():
        broken = sum(breach.rule is rule for breach in result.breaches)
        verdict = count(broken, "breach", "breaches") if broken else "not proved" if rule in unjudged else "proved"
        lines.append(f"  {verdict:<11}  {asked}")
    lines += [f"  not proved   {name}: {on_one_line(why)}" for name, why in result.unjudged]
    for number, (_, breaches) in enumerate(groupby(result.breaches, key=lambda breach: breach.commit)):
        lines += ["", *_commit("first breach" if number == 0 else "breach", list(breaches))]
    lines += ["", f"{count(len(result.certificates), 'certificate')}", *map(_certificate, result.certificates)]
    return "\n".join(lines)


def as_json(result: AuditResult) -> str:
    """Return one document: `{sound, since, commits, unjudged, breaches, certificates}`."""
    return json.dumps(
        {
            "sound": not result.breaches and not result.failures,
            "since": format_time(result.since) if result.since else None,
            "commits": dict(result.counts),
            "unjudged": [{"what": str(name), "why": why} for name, why in result.unjudged],
            "breaches": [_breach_document(breach) for breach in result.breaches],
            "certificates": [_certificate_document(each) for each in result.certificates],
        },
        indent=2,
        ensure_ascii=False,
    )


def _counts(result: AuditResult) -> str:
    names = {"state": "of main, next and sslops/roll", "ledger": "of the ledger", "dns": "of the DNS repository"}
    return ", ".join(f"{count(number, 'commit')} {names[branch]}" for branch, number in result.counts.items())


def _commit(head: str, breaches: Sequence[Breach]) -> Sequence[str]:
    first, more = breaches[0], len(breaches) - _MOST
    return (
        f"{head}: commit {first.commit} ({first.branch}), {format_time(first.at)}",
        f"  {on_one_line(first.subject)}",
        *(f"  {breach.rule}: {on_one_line(breach.what)}" for breach in breaches[:_MOST]),
        *([f"  and {more} more (--json shows all)"] if more > 0 else []),
    )


def _certificate(each: AuditedCertificate) -> str:
    live = f"live {format_time(each.live_at)}" if each.live_at else "never live"
    request = f" by {each.request}" if each.request else ""
    why = f"{each.reason}, {each.said}" if each.said else each.reason
    return "\n".join(
        [
            f"  {format_time(each.issued_at)}  {each.service}  {each.generation}  until {format_time(each.not_after)}",
            f"    serial {each.serial} of '{each.ca}'; {on_one_line(why)}; run {on_one_line(each.run or 'unknown')}",
            f"    commit {each.commit[:12]} by {on_one_line(each.author)}; {live}{on_one_line(request)}",
            *(f"    CT log {log[:16]}... since {format_time(at)}" for log, at in each.logs),
        ]
    )


def _breach_document(breach: Breach) -> dict[str, Any]:
    return {
        "branch": breach.branch,
        "commit": breach.commit,
        "at": format_time(breach.at),
        "subject": breach.subject,
        "rule": str(breach.rule),
        "what": breach.what,
    }


def _certificate_document(each: AuditedCertificate) -> dict[str, Any]:
    return {
        "service": each.service,
        "generation": each.generation,
        "serial": each.serial,
        "issuer": each.issuer,
        "ca": each.ca,
        "names": list(each.names),
        "not_before": format_time(each.not_before),
        "not_after": format_time(each.not_after),
        "cert_sha256": each.cert_sha256,
        "issued_at": format_time(each.issued_at),
        "commit": each.commit,
        "author": each.author,
        "reason": each.reason,
        "said": each.said,
        "run": each.run,
        "live_commit": each.live_commit,
        "live_at": format_time(each.live_at) if each.live_at else None,
        "request": each.request,
        "ct_logs": [{"log_id": log, "at": format_time(at)} for log, at in each.logs],
    }
