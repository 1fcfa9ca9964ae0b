"""`tlsa/<apex>.yaml` on the branch `ledger`: the proposal under way, the names and the evidence, one entry per line.

>>> from sslops.model.ledger import ApexEntry
>>> print(write_apex(ApexEntry()).decode(), end="")
pending: null
names: {}
records: {}
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from sslops.model.ledger import ApexEntry, Evidence, Lowered, NameEntry, Pending
from sslops.model.names import format_time
from sslops.model.tlsa import TlsaParams, TlsaRecord
from sslops.state.plain_yaml import Block, write
from sslops.state.record import Record
from sslops.state.slots_file import time_or_null

if TYPE_CHECKING:
    from sslops.state.plain_yaml import Value

KEYS = ("pending", "names", "records", "rebuilt_at")
_PENDING_KEYS = ("run", "base", "head", "records")
_NAME_KEYS = ("ttl", "empty_since", "commit", "lowered", "gone")
_COMBINATIONS = {
    str(params): params
    for params in (
        TlsaParams(usage, selector, match) for usage in range(4) for selector in range(2) for match in range(3)
    )
}
_LOWERED_KEYS = ("ttl", "since")
_EVIDENCE_KEYS = ("since", "commit", "max_ttl")


def write_apex(entry: ApexEntry) -> bytes:
    """Return the file's content for *entry*."""
    values: dict[str, Value] = {
        "pending": _pending(entry.pending),
        "names": Block({owner: _name(name) for owner, name in sorted(entry.names.items())}),
        "records": Block({str(record): _evidence(found) for record, found in sorted(entry.records.items())}),
    }
    if entry.rebuilt_at is not None:
        values["rebuilt_at"] = format_time(entry.rebuilt_at)
    return write(values)


def read_apex(content: bytes, file: str) -> ApexEntry:
    """Read the file back; StateError where it says what cannot be."""
    record = Record.read(content, file, known=KEYS)
    pending = record.inner_or_null("pending", known=_PENDING_KEYS)
    names = record.entries("names", known=_NAME_KEYS)
    evidence = record.entries("records", known=_EVIDENCE_KEYS)
    return ApexEntry(
        None if pending is None else _read_pending(pending),
        {owner: _read_name(entry) for owner, entry in names.items()},
        {_tlsa(record, text): _read_evidence(entry) for text, entry in evidence.items()},
        record.moment_or_null("rebuilt_at"),
    )


def _pending(pending: Pending | None) -> Value:
    if pending is None:
        return None
    return {
        "run": pending.run,
        "base": pending.base,
        "head": pending.head,
        "records": [str(record) for record in sorted(pending.records)],
    }


def _read_pending(record: Record) -> Pending:
    return Pending(
        run=record.text("run"),
        base=record.text("base"),
        head=record.text_or_null("head"),
        records=frozenset(_tlsa(record, text) for text in record.texts("records")),
    )


def _name(name: NameEntry) -> Value:
    values: dict[str, Value] = {
        "ttl": str(name.ttl_seconds),
        "empty_since": time_or_null(name.empty_since),
        "commit": name.commit,
    }
    if name.lowered is not None:
        values["lowered"] = {"ttl": str(name.lowered.ttl_seconds), "since": format_time(name.lowered.since)}
    if name.gone:
        values["gone"] = {str(params): time_or_null(since) for params, since in sorted(name.gone.items())}
    return values


def _read_name(record: Record) -> NameEntry:
    lowered = record.inner_or_null("lowered", known=_LOWERED_KEYS)
    gone = record.inner_or_null("gone", known=_COMBINATIONS)
    return NameEntry(
        record.count("ttl"),
        record.text("commit"),
        record.moment_or_null("empty_since"),
        None if lowered is None else Lowered(lowered.count("ttl"), lowered.moment("since")),
        {} if gone is None else {_COMBINATIONS[text]: gone.moment_or_null(text) for text in gone.values},
    )


def _evidence(found: Evidence) -> Value:
    return {"since": format_time(found.since), "commit": found.commit, "max_ttl": str(found.max_ttl_seconds)}


def _read_evidence(record: Record) -> Evidence:
    return Evidence(record.moment("since"), record.text("commit"), record.count("max_ttl"))


def _tlsa(record: Record, text: str) -> TlsaRecord:
    try:
        return TlsaRecord.parse(text)
    except ValueError:
        record.fail(text, f"'{text}' is not a TLSA record")
