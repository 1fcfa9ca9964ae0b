r"""What mail senders report about TLS (RFC 8460): JSON, gzip, or a mail that brings one. All of it is hostile.

>>> reports = read_reports(b'{"organization-name": "x", "report-id": "1", "policies": [], "date-range": '
...     b'{"start-datetime": "2026-11-30T00:00:00Z", "end-datetime": "2026-11-30T23:59:59Z"}}')
>>> [(each.organization, each.report_id, each.begin.isoformat()) for each in reports]
[('x', '1', '2026-11-30T00:00:00+00:00')]
"""

from __future__ import annotations

import email
import json
import zlib
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import TYPE_CHECKING

from sslops.errors import StateError
from sslops.model.tlsa import TlsaParams, TlsaRecord

if TYPE_CHECKING:
    from collections.abc import Iterator
    from email.message import Message

MAX_BYTES = 16 * 1024 * 1024
"""Of one file, packed; a larger one is refused unread."""
MAX_JSON_BYTES = 64 * 1024 * 1024
"""Of a report, unpacked; a longer one is a bomb."""
MAX_POLICIES, MAX_FAILURES, MAX_STRINGS, MAX_PARTS = 10_000, 10_000, 200, 200
MAX_COUNT = 10**12
"""Sessions of one day; more is nonsense."""
_LONGEST_TEXT = 500
_GZIP = b"\x1f\x8b"
_TLSA_FIELDS = 4
_KINDS = frozenset({"application/tlsrpt+json", "application/tlsrpt+gzip", "application/gzip", "application/x-gzip"})
_ENDINGS = (".json", ".json.gz", ".gz")


class NoReportError(StateError):
    """It is something else, and no broken report."""


@dataclass(frozen=True, slots=True)
class Failure:
    """Sessions that failed: why (RFC 8460 section 4.3), at which MX host and address, how many."""

    result: str
    mx_host: str
    address: str
    sessions: int
    detail: str = ""


@dataclass(frozen=True, slots=True)
class PolicyResult:
    """What a sender saw of one policy of a domain: *kind* is `tlsa`, `sts` or `no-policy-found`."""

    kind: str
    domain: str
    mx_hosts: tuple[str, ...]
    records: tuple[TlsaRecord, ...]
    """The TLSA records it went by; their owners are not told, and empty."""
    successful: int
    failed: int
    failures: tuple[Failure, ...]


@dataclass(frozen=True, slots=True)
class TlsReport:
    """One report: who sends it, its id, the time it is about, and each policy."""

    organization: str
    report_id: str
    begin: datetime
    end: datetime
    policies: tuple[PolicyResult, ...]


def read_reports(content: bytes) -> tuple[TlsReport, ...]:
    """Return the reports in *content*: JSON, gzip of it, or a mail with such parts. StateError says why there is none.

    A mail may bring several; one part of it that is broken makes the whole fail, so that nothing is lost unseen.
    """
    if len(content) > MAX_BYTES:
        message = f"it is larger than {MAX_BYTES // 2**20} MiB, which no report is"
        raise StateError(message)
    if content.startswith(_GZIP) or content.lstrip()[:1] == b"{":
        return (_report(content),)
    parts = list(_attachments(content))
    if not parts:
        message = "it is neither JSON, nor gzip, nor a mail with a TLS report"
        raise NoReportError(message)
    return tuple(map(_report, parts))


def _attachments(content: bytes) -> Iterator[bytes]:
    """Yield what a mail attaches as a report (RFC 8460 section 5.3); ours alone decide by kind or by name."""
    try:
        for number, part in enumerate(email.message_from_bytes(content).walk()):
            if number >= MAX_PARTS:
                message = f"it is a mail of more than {MAX_PARTS} parts"
                raise StateError(message)
            if not part.is_multipart() and _is_report(part):
                body = part.get_payload(decode=True)
                if isinstance(body, bytes) and body:
                    yield body
    except (ValueError, LookupError, TypeError, AttributeError, RecursionError) as error:
        message = "it is a mail that cannot be read"
        raise StateError(message) from error


def _is_report(part: Message) -> bool:
    name = part.get_filename()
    return part.get_content_type() in _KINDS or (isinstance(name, str) and name.lower().endswith(_ENDINGS))


def _report(content: bytes) -> TlsReport:
    raw = _unpacked(content) if content.startswith(_GZIP) else content
    try:
        document = json.loads(raw)
    except (ValueError, RecursionError) as error:
        message = "it is no JSON that can be read"
        raise StateError(message) from error
    top = _table(document, "a report")
    span = _table(top.get("date-range"), "its date-range")
    policies = _list(top.get("policies"), MAX_POLICIES, "policies")
    return TlsReport(
        _text(top, "organization-name"),
        _text(top, "report-id"),
        _moment(span, "start-datetime"),
        _moment(span, "end-datetime"),
        tuple(_policy(_table(each, "a policy")) for each in policies),
    )


def _unpacked(content: bytes) -> bytes:
    """Unpack gzip (RFC 1952), within bounds; every member counts."""
    found, left = b"", content
    while left.startswith(_GZIP):
        packed = zlib.decompressobj(wbits=31)
        try:
            found += packed.decompress(left, MAX_JSON_BYTES - len(found) + 1)
        except zlib.error as error:
            message = "it is gzip that is broken"
            raise StateError(message) from error
        if len(found) > MAX_JSON_BYTES:
            message = f"it unpacks to more than {MAX_JSON_BYTES // 2**20} MiB, which no report does"
            raise StateError(message)
        if not packed.eof:
            message = "it is gzip that breaks off"
            raise StateError(message)
        left = packed.unused_data
    return found


def _policy(given: dict[str, object]) -> PolicyResult:
    policy, summary = _table(given.get("policy"), "a policy"), _table(given.get("summary"), "a summary")
    strings = _list(policy.get("policy-string"), MAX_STRINGS, "lines of a policy")
    hosts = policy.get("mx-host")
    named = [hosts] if isinstance(hosts, str) else _list(hosts, MAX_STRINGS, "MX hosts")
    failures = _list(given.get("failure-details"), MAX_FAILURES, "failures")
    return PolicyResult(
        _text(policy, "policy-type"),
        _text(policy, "policy-domain").lower().rstrip("."),
        tuple(_bounded(each).lower().rstrip(".") for each in named if isinstance(each, str)),
        tuple(found for each in strings if isinstance(each, str) and (found := _tlsa(each)) is not None),
        _count(summary, "total-successful-session-count"),
        _count(summary, "total-failure-session-count"),
        tuple(_failure(_table(each, "a failure")) for each in failures),
    )


def _failure(given: dict[str, object]) -> Failure:
    return Failure(
        _text(given, "result-type"),
        _text(given, "receiving-mx-hostname").lower().rstrip("."),
        _text(given, "receiving-ip"),
        _count(given, "failed-session-count"),
        "; ".join(filter(None, (_text(given, "failure-reason-code"), _text(given, "additional-information")))),
    )


def _tlsa(text: str) -> TlsaRecord | None:
    """Read `3 1 1 9b1c...`, as senders write the records they went by; null for any other line."""
    words = text.split(None, _TLSA_FIELDS - 1)
    if len(words) != _TLSA_FIELDS or not all(word in {"0", "1", "2", "3"} for word in words[:3]):
        return None
    data = "".join(words[3].split()).lower()
    is_hex = len(data) <= 2 * _LONGEST_TEXT * 10 and all(each in "0123456789abcdef" for each in data)
    return TlsaRecord("", TlsaParams(*map(int, words[:3])), data) if data and is_hex else None


def _table(value: object, what: str) -> dict[str, object]:
    if not isinstance(value, dict):
        message = f"{what} is no table"
        raise StateError(message)
    return value


def _list(value: object, most: int, what: str) -> list[object]:
    found = [] if value is None else value
    if not isinstance(found, list) or len(found) > most:
        message = f"{what}: no list of at most {most}"
        raise StateError(message)
    return found


def _text(table: dict[str, object], key: str) -> str:
    value = table.get(key, "")
    return _bounded(value) if isinstance(value, str) else ""


def _bounded(text: str) -> str:
    return text.encode("utf-8", "replace").decode("utf-8")[:_LONGEST_TEXT]


def _count(table: dict[str, object], key: str) -> int:
    value = table.get(key, 0)
    if isinstance(value, bool) or not isinstance(value, int) or not 0 <= value <= MAX_COUNT:
        message = f"'{key}' is no number of sessions"
        raise StateError(message)
    return value


def _moment(table: dict[str, object], key: str) -> datetime:
    text = _text(table, key)
    try:
        found = datetime.fromisoformat(text)
        return (found if found.tzinfo else found.replace(tzinfo=UTC)).astimezone(UTC)
    except (ValueError, OverflowError) as error:
        message = f"'{key}' is no moment"
        raise StateError(message) from error
