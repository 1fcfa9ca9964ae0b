"""Which TLSA records a sender heeds, and what it makes of a destination (RFC 7672, RFC 7671). Pure.

>>> from sslops.model.tlsa import TlsaRecord
>>> both = [TlsaRecord.parse(f"_25._tcp.a.example. 3 1 {match} {'ab' * size}") for match, size in ((1, 32), (2, 64))]
>>> [each.params.match for each in heeded(both)]
[2]
"""

from __future__ import annotations

from enum import StrEnum
from typing import TYPE_CHECKING

from sslops.dane.records import DANE_TA, FULL, SHA256, SHA512

if TYPE_CHECKING:
    from collections.abc import Iterable

    from sslops.model.tlsa import TlsaRecord

DANE_EE = 3
_USAGES = range(4)
_MAIL_USAGES = frozenset({DANE_TA, DANE_EE})
_SELECTORS = frozenset({0, 1})
_LENGTHS = {SHA256: 64, SHA512: 128}
"""Hex digits of each digest."""


class SenderVerdict(StrEnum):
    """What a sender that insists on DANE does at one address."""

    VERIFIED = "verified"
    """It delivers: a heeded record matches what the port presents."""
    NO_DANE = "no dane"
    """It finds no records that it may trust, so it delivers without authentication, or not at all."""
    FAILED = "failed"
    """Records are there, and what the port presents matches none of them."""
    DEFERRED = "deferred"
    """It tries again later: DNS or the port gave no answer that can be used."""
    SKIPPED = "not asked"
    """This machine has no way to the address's family."""


def unusable(record: TlsaRecord, *, is_mail: bool) -> str | None:
    """Return why a sender ignores *record*; null: it is usable (RFC 7671 section 10.1, RFC 7672 section 3.1)."""
    usage, selector, match = record.params.usage, record.params.selector, record.params.match
    if usage not in _USAGES or selector not in _SELECTORS or match not in (FULL, *_LENGTHS):
        return f"{record.params} has a number that RFC 6698 does not define"
    if is_mail and usage not in _MAIL_USAGES:
        return f"{record.params} has a PKIX usage, which mail senders do not use (RFC 7672 section 3.1.3)"
    if match in _LENGTHS and len(record.data) != _LENGTHS[match]:
        return f"{record.params} has {len(record.data) // 2} bytes of data, not {_LENGTHS[match] // 2}"
    return None


def heeded(records: Iterable[TlsaRecord]) -> tuple[TlsaRecord, ...]:
    """Return those of usable *records* that count, sorted: of the digests of a usage and selector only the strongest.

    That is digest agility (RFC 7671 section 9); a record of the whole (matching type 0) always counts.
    """
    found = sorted(records)
    strongest: dict[tuple[int, int], int] = {}
    for record in found:
        kind = (record.params.usage, record.params.selector)
        strongest[kind] = max(record.params.match, strongest.get(kind, FULL))
    return tuple(
        record
        for record in found
        if record.params.match in (FULL, strongest[record.params.usage, record.params.selector])
    )
