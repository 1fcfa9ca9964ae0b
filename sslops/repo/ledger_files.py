"""`hosts/<host>.yaml` on the branch `ledger`: what one host may be serving, one service per line.

>>> from sslops.model.ledger import HostEntry
>>> print(write_host(HostEntry(seq=41)).decode(), end="")
seq: "41"
services: {}
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

from sslops.errors import StateError
from sslops.model.inventory import FileModes
from sslops.model.ledger import (
    ApexEntry,
    Evidence,
    HostEntry,
    Ledger,
    Lowered,
    NameEntry,
    Pending,
    Served,
    Sessions,
    Trouble,
)
from sslops.model.names import GenerationId, ServiceId, format_time
from sslops.model.tlsa import TlsaParams, TlsaRecord
from sslops.repo.plain_yaml import Block, write
from sslops.repo.record import Record
from sslops.repo.state_files import is_generation_id, time_or_null

if TYPE_CHECKING:
    from collections.abc import Mapping
    from datetime import datetime

    from sslops.repo.plain_yaml import Value


HOST_KEYS = ("seq", "services", "tlsa", "dhparm")
_SERVED_KEYS = ("may_serve", "at", "proof", "failures", "retry_at", "files")
_FILES = re.compile(r"([A-Za-z0-9_.$-]*):([A-Za-z0-9_.$-]*) ([0-7]{3,4})")
"""Owner and group, each empty where nobody said, and the mode of the key."""


def write_host(entry: HostEntry) -> bytes:
    """Return the file's content for *entry*."""
    values: dict[str, Value] = {
        "seq": str(entry.seq),
        "services": Block({str(service): _served(served) for service, served in sorted(entry.services.items())}),
    }
    if entry.tlsa:
        values["tlsa"] = Block(dict(sorted(entry.tlsa.items())))
    if entry.dhparm:
        values["dhparm"] = Block({group: " ".join(names) for group, names in sorted(entry.dhparm.items())})
    return write(values)


def read_host(content: bytes, file: str) -> HostEntry:
    """Read the file back; StateError where it says what cannot be."""
    record = Record.read(content, file, known=HOST_KEYS)
    services = {}
    for name, served in record.entries("services", known=_SERVED_KEYS).items():
        services[_service(record, name)] = _read_served(served)
    tlsa = {}
    if record.has("tlsa"):
        hashes = record.inner("tlsa", known=_keys(record, "tlsa"))
        tlsa = {apex: hashes.text(apex) for apex in hashes.values}
    dhparm = {}
    if record.has("dhparm"):
        groups = record.inner("dhparm", known=_keys(record, "dhparm"))
        dhparm = {group: tuple(groups.text(group).split()) for group in groups.values}
    return HostEntry(record.count("seq"), services, tlsa, dhparm)


def _served(served: Served) -> Value:
    values: dict[str, Value] = {
        "may_serve": list(served.may_serve),
        "at": time_or_null(served.at),
        "proof": served.proof,
        "failures": str(served.failures),
        "retry_at": time_or_null(served.retry_at),
    }
    if served.files != FileModes():
        values["files"] = f"{served.files.owner or ''}:{served.files.group or ''} {served.files.key_mode}"
    return values


def _read_served(record: Record) -> Served:
    return Served(
        may_serve=tuple(_generation(record, text) for text in record.texts_or_nulls("may_serve")),
        at=record.moment_or_null("at"),
        proof=record.text_or_null("proof"),
        failures=record.count("failures", 0),
        retry_at=record.moment_or_null("retry_at"),
        files=_read_files(record) if record.has("files") else FileModes(),
    )


def _read_files(record: Record) -> FileModes:
    found = _FILES.fullmatch(record.text("files"))
    if found is None:
        record.fail("files", f"'{record.text('files')}' is not owner:group and a mode")
    return FileModes(found[1] or None, found[2] or None, found[3])


def _generation(record: Record, text: str | None) -> GenerationId | None:
    if text is not None and not is_generation_id(text):
        record.fail("may_serve", f"'{text}' is not a generation")
    return None if text is None else GenerationId(text)


def _service(record: Record, name: str) -> ServiceId:
    try:
        return ServiceId.parse(name)
    except ValueError:
        record.fail(name, f"'{name}' is not group/service")


def _keys(record: Record, key: str) -> tuple[str, ...]:
    value = record.values[key]
    return tuple(value) if isinstance(value, dict) else ()


APEX_KEYS = ("pending", "names", "records", "rebuilt_at")
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
    record = Record.read(content, file, known=APEX_KEYS)
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


HOSTS = "hosts/"
TLSA = "tlsa/"
SUFFIX = ".yaml"
BLOCKED = "blocked.yaml"
"""What is blocked, and since when; there is none while nothing is."""
REPORTS = "tlsrpt.yaml"
"""What senders reported, a line for each report; there is none before the first."""


def write_ledger(ledger: Ledger) -> dict[str, bytes]:
    """Return path to content of every file of *ledger*."""
    hosts = {_path(HOSTS, host): write_host(entry) for host, entry in ledger.hosts.items()}
    apexes = {_path(TLSA, apex): write_apex(entry) for apex, entry in ledger.apexes.items()}
    blocked = {BLOCKED: _write_blocked(ledger)} if ledger.blocked or ledger.troubles else {}
    return hosts | apexes | blocked | ({REPORTS: _write_reports(ledger)} if ledger.reports else {})


def read_ledger(files: Mapping[str, bytes]) -> Ledger:
    """Read the ledger from its *files*; StateError where one says what cannot be. Other files are not ours."""
    hosts, apexes = {}, {}
    for path, content in sorted(files.items()):
        if not path.endswith(SUFFIX):
            continue
        if path.startswith(HOSTS):
            hosts[path.removeprefix(HOSTS).removesuffix(SUFFIX)] = read_host(content, path)
        elif path.startswith(TLSA):
            apexes[path.removeprefix(TLSA).removesuffix(SUFFIX)] = read_apex(content, path)
    blocked, troubles = _read_blocked(files[BLOCKED]) if BLOCKED in files else ({}, {})
    reports = _read_reports(files[REPORTS]) if REPORTS in files else {}
    return Ledger(hosts, apexes, blocked, troubles, reports)


def _write_reports(ledger: Ledger) -> bytes:
    lines: dict[str, Value] = {
        key: {"successful": str(each.successful), "failed": str(each.failed)}
        for key, each in sorted(ledger.reports.items())
    }
    return write({"reports": Block(lines)})


def _read_reports(content: bytes) -> dict[str, Sessions]:
    record = Record.read(content, REPORTS, known=("reports",))
    entries = record.entries("reports", known=("successful", "failed"))
    return {key: Sessions(each.count("successful"), each.count("failed")) for key, each in entries.items()}


def _write_blocked(ledger: Ledger) -> bytes:
    values: dict[str, Value] = {
        "blocked": Block({key: format_time(since) for key, since in sorted(ledger.blocked.items())})
    }
    if ledger.troubles:
        told = sorted(ledger.troubles.items())
        values["hosts"] = Block({host: {"since": format_time(each.since), "why": each.why} for host, each in told})
    return write(values)


def _read_blocked(content: bytes) -> tuple[dict[str, datetime], dict[str, Trouble]]:
    record = Record.read(content, BLOCKED, known=("blocked", "hosts"))
    entries = record.inner("blocked", known=_keys(record, "blocked"))
    hosts = record.entries("hosts", known=("since", "why")) if record.has("hosts") else {}
    troubles = {host: Trouble(each.moment("since"), each.text("why")) for host, each in hosts.items()}
    return {key: entries.moment(key) for key in entries.values}, troubles


def _path(folder: str, name: str) -> str:
    if not name or "/" in name or name.startswith(".") or not name.isprintable():
        message = f"'{name}' cannot name a file of the ledger"
        raise StateError(message)
    return f"{folder}{name}{SUFFIX}"
