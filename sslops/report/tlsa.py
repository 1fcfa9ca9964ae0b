"""What `tlsa` found: records as a zone file has them, and what a sender does at a destination."""

from __future__ import annotations

import json
from dataclasses import dataclass
from typing import TYPE_CHECKING

from sslops.dane.sender_rules import SenderVerdict
from sslops.report.table import Column, as_lines
from sslops.report.text import on_one_line

if TYPE_CHECKING:
    from collections.abc import Sequence

    from sslops.model.tlsa import TlsaRecord
    from sslops.probe.sender import SenderView

_SHOWN = 16


@dataclass(frozen=True, slots=True)
class Listing:
    """Records to print, the TTL of a service (seconds, null: none is known), whose they are, and what is left out."""

    subject: str
    records: tuple[TlsaRecord, ...]
    ttl_seconds: int | None = None
    notes: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Judged:
    """What a sender does at one address (null: it gets to none) of a host, by which record, and why."""

    host: str
    address: str | None
    verdict: SenderVerdict
    record: TlsaRecord | None
    cause: str


@dataclass(frozen=True, slots=True)
class Judgement:
    """What a sender does at a destination: every host and address, and what else a person should know."""

    view: SenderView
    rows: tuple[Judged, ...]
    notes: tuple[str, ...]

    @property
    def is_good(self) -> bool:
        """Whether a sender that insists on DANE delivers at every address that could be asked, and there is one."""
        asked = [row.verdict for row in self.rows if row.verdict is not SenderVerdict.SKIPPED]
        return bool(asked) and set(asked) == {SenderVerdict.VERIFIED}


def listings_as_text(listings: Sequence[Listing]) -> str:
    """Return the records as lines of a zone file (RFC 1035 section 5, RFC 6698 section 2.2), with comments."""
    lines = []
    for listing in listings:
        lines += [f"; {on_one_line(listing.subject)}", *(f"; {on_one_line(note)}" for note in listing.notes)]
        ttl = "" if listing.ttl_seconds is None else f" {listing.ttl_seconds}"
        lines += [f"{each.owner}{ttl} IN TLSA {each.params} {each.data}" for each in listing.records]
    return "\n".join(lines)


def listings_as_json(listings: Sequence[Listing]) -> str:
    """Return `{subjects: [{name, ttl, records: [{owner, usage, selector, match, data}], notes}]}`."""
    subjects = [
        {
            "name": listing.subject,
            "ttl": listing.ttl_seconds,
            "records": [{"owner": each.owner, **_numbers(each), "data": each.data} for each in listing.records],
            "notes": list(listing.notes),
        }
        for listing in listings
    ]
    return json.dumps({"subjects": subjects}, indent=2, ensure_ascii=False)


_COLUMNS: tuple[Column[Judged], ...] = (
    Column("verdict", lambda row: str(row.verdict)),
    Column("host", lambda row: row.host.rstrip(".")),
    Column("address", lambda row: row.address or ""),
    Column("record", lambda row: "" if row.record is None else _short(row.record)),
    Column("cause", lambda row: row.cause),
)


def judgements_as_text(judgements: Sequence[Judgement]) -> str:
    """Return a verdict for each destination, a line for each address, and what else a sender would meet."""
    return "\n\n".join(_judgement(each) for each in judgements)


def judgements_as_json(judgements: Sequence[Judgement]) -> str:
    """Return `{destinations: [{name, good, mx_signed, hosts: [{host, address, verdict, record, cause}], notes}]}`."""
    destinations = [
        {
            "name": str(each.view.destination),
            "good": each.is_good,
            "mx_signed": each.view.is_mx_signed if each.view.destination.by_mx else None,
            "hosts": [
                {
                    "host": row.host,
                    "address": row.address,
                    "verdict": str(row.verdict),
                    "record": None if row.record is None else str(row.record),
                    "cause": row.cause,
                }
                for row in each.rows
            ],
            "notes": list(each.notes),
        }
        for each in judgements
    ]
    return json.dumps({"destinations": destinations}, indent=2, ensure_ascii=False)


def _judgement(judgement: Judgement) -> str:
    good = (
        "a sender with DANE delivers"
        if judgement.is_good
        else "a sender that insists on DANE does not deliver everywhere"
    )
    lines = [f"{judgement.view.destination}: {good}"]
    lines += [f"  {line}" for line in as_lines(_COLUMNS, judgement.rows)]
    return "\n".join([*lines, *(f"  note: {on_one_line(note)}" for note in judgement.notes)])


def _short(record: TlsaRecord) -> str:
    data = record.data if len(record.data) <= _SHOWN else f"{record.data[:_SHOWN]}..."
    return f"{record.params} {data}"


def _numbers(record: TlsaRecord) -> dict[str, int]:
    params = record.params
    return {"usage": params.usage, "selector": params.selector, "match": params.match}
