"""Reports of mail senders (RFC 8460): what is read of them, and bounds for those who mean harm."""

from __future__ import annotations

import gzip
import json

import pytest

from sslops.errors import StateError
from sslops.probe import tls_reports
from sslops.probe.tls_reports import Failure, read_reports
from tests.unit.test_hostile_input import TLS_REPORT, tls_report_mail


@pytest.mark.parametrize(
    "content", [TLS_REPORT, gzip.compress(TLS_REPORT), tls_report_mail()], ids=["json", "gzip", "mail"]
)
def test_a_report_says_the_same_however_it_comes(content: bytes) -> None:
    """Bare, packed, or as a mail: sender, time, policy, records, sessions, failures."""
    (report,) = read_reports(content)
    (policy,) = report.policies

    assert ("Company-X", "2026-11-30") == (report.organization, f"{report.begin:%Y-%m-%d}")
    assert ("tlsa", "example.com", ("mail.example.com",)) == (policy.kind, policy.domain, policy.mx_hosts)
    assert (5326, 303) == (policy.successful, policy.failed)
    assert ["3 1 1", "2 1 1"] == [str(record.params) for record in policy.records]
    assert (
        Failure(
            "validation-failure",
            "mail.example.com",
            "203.0.113.56",
            303,
            "X509_V_ERR_PROXY_PATH_LENGTH_EXCEEDED",
        ),
    ) == policy.failures


def _nested() -> bytes:
    return b'{"policies": ' + b"[" * 100_000


@pytest.mark.parametrize(
    ("content", "why"),
    [
        (gzip.compress(b"{" + b" " * (tls_reports.MAX_JSON_BYTES + 1)), "unpacks to more than"),
        (gzip.compress(TLS_REPORT)[:-9], "breaks off"),
        (b"\x1f\x8bxxxxxxxxxx", "broken"),
        (_nested(), "no JSON that can be read"),
        (b'{"n": ' + b"9" * 10_000 + b"}", "no JSON that can be read"),
        (TLS_REPORT.replace(b"5326", b"-1"), "no number of sessions"),
        (TLS_REPORT.replace(b"2026-11-30T00", b"2026-13-30T00"), "no moment"),
        (json.dumps({"policies": 7}).encode(), "date-range"),
        (b" " * (tls_reports.MAX_BYTES + 1), "larger than"),
        (b"From: x\n\nhello\n", "neither JSON, nor gzip"),
        (tls_report_mail(b"x"), "no JSON that can be read"),
    ],
    ids=["bomb", "cut", "noise", "deep", "long number", "negative", "date", "shape", "large", "no report", "mail"],
)
def test_what_is_no_report_is_refused_with_its_cause(content: bytes, why: str) -> None:
    """Whoever wrote it: nothing hangs, nothing grows, and no traceback."""
    with pytest.raises(StateError, match=why):
        read_reports(content)
