"""`hosts/<host>.yaml` on the branch `ledger`: what one host may be serving, one service per line.

>>> from sslops.model.ledger import HostEntry
>>> print(write_host(HostEntry(seq=41)).decode(), end="")
seq: "41"
services: {}
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from sslops.model.ledger import HostEntry, Served
from sslops.model.names import GenerationId, ServiceId
from sslops.state.plain_yaml import Block, write
from sslops.state.record import Record
from sslops.state.slots_file import is_generation_id, time_or_null

if TYPE_CHECKING:
    from sslops.state.plain_yaml import Value

KEYS = ("seq", "services", "tlsa")
_SERVED_KEYS = ("may_serve", "at", "proof", "failures", "retry_at")


def write_host(entry: HostEntry) -> bytes:
    """Return the file's content for *entry*."""
    values: dict[str, Value] = {
        "seq": str(entry.seq),
        "services": Block({str(service): _served(served) for service, served in sorted(entry.services.items())}),
    }
    if entry.tlsa:
        values["tlsa"] = Block(dict(sorted(entry.tlsa.items())))
    return write(values)


def read_host(content: bytes, file: str) -> HostEntry:
    """Read the file back; StateError where it says what cannot be."""
    record = Record.read(content, file, known=KEYS)
    services = {}
    for name, served in record.entries("services", known=_SERVED_KEYS).items():
        services[_service(record, name)] = _read_served(served)
    tlsa = {}
    if record.has("tlsa"):
        hashes = record.inner("tlsa", known=_keys(record, "tlsa"))
        tlsa = {apex: hashes.text(apex) for apex in hashes.values}
    return HostEntry(record.count("seq"), services, tlsa)


def _served(served: Served) -> Value:
    return {
        "may_serve": list(served.may_serve),
        "at": time_or_null(served.at),
        "proof": served.proof,
        "failures": str(served.failures),
        "retry_at": time_or_null(served.retry_at),
    }


def _read_served(record: Record) -> Served:
    return Served(
        may_serve=tuple(_generation(record, text) for text in record.texts_or_nulls("may_serve")),
        at=record.moment_or_null("at"),
        proof=record.text_or_null("proof"),
        failures=record.count("failures", 0),
        retry_at=record.moment_or_null("retry_at"),
    )


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
