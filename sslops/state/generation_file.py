"""`generation.yaml`: the public facts of one generation, in clear and flat, one key per line.

Keys of an order and of a certificate are there only while there is one, `said` only where somebody gave a reason; the
generation's id is its folder's name.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from sslops.model.names import format_time
from sslops.model.state import Generation, Issued, Order, Status
from sslops.state.plain_yaml import write
from sslops.state.record import Record
from sslops.state.slots_file import generation_or_null

if TYPE_CHECKING:
    from sslops.model.names import GenerationId
    from sslops.state.plain_yaml import Value

FACT_KEYS = (
    "status",
    "created_at",
    "ca",
    "profile",
    "reason",
    "said",
    "reused_from",
    "key_type",
    "key_size",
    "spki_sha256",
    "csr_sha256",
)
ORDER_KEYS = ("order_url", "order_expires", "challenges", "failure")
ISSUED_KEYS = ("issued_at", "serial", "issuer", "not_before", "not_after", "sans", "cert_sha256", "signer")
KEYS = frozenset({*FACT_KEYS, *ORDER_KEYS, *ISSUED_KEYS})


def write_generation(generation: Generation) -> bytes:
    """Return the file's content for *generation*."""
    values: dict[str, Value] = {
        "status": str(generation.status),
        "created_at": format_time(generation.created_at),
        "ca": generation.ca,
        "profile": generation.profile,
        "reason": generation.reason,
        **({"said": generation.said} if generation.said is not None else {}),
        "reused_from": generation.reused_from,
        "key_type": generation.key_type,
        "key_size": generation.key_size,
        "spki_sha256": generation.spki_sha256,
        "csr_sha256": generation.csr_sha256,
    }
    if generation.order is not None:
        values |= _order_values(generation.order)
    if generation.failure is not None:
        values["failure"] = generation.failure
    if generation.issued is not None:
        values |= _issued_values(generation.issued)
    return write(values)


def read_generation(content: bytes, file: str, generation: GenerationId) -> Generation:
    """Read the facts of *generation* back; StateError where they say what cannot be."""
    record = Record.read(content, file, known=KEYS)
    status = _status(record)
    order = _read_order(record) if record.has("order_url") else None
    issued = _read_issued(record) if record.has("issued_at") else None
    if status is Status.ORDERED and order is None:
        record.fail("status", "status is 'ordered' and there is no order_url")
    if (status is Status.ISSUED) != (issued is not None):
        record.fail("status", f"status is '{status}', which does not fit the rest of the file")
    return Generation(
        id=generation,
        status=status,
        created_at=record.moment("created_at"),
        ca=record.text("ca"),
        profile=record.text_or_null("profile"),
        reason=record.text("reason"),
        reused_from=generation_or_null(record, "reused_from"),
        key_type=record.text("key_type"),
        key_size=record.text("key_size"),
        spki_sha256=record.text("spki_sha256"),
        csr_sha256=record.text("csr_sha256"),
        order=order,
        issued=issued,
        failure=record.text_or_null("failure"),
        said=record.text_or_null("said"),
    )


def _order_values(order: Order) -> dict[str, Value]:
    return {
        "order_url": order.url,
        "order_expires": format_time(order.expires),
        "challenges": list(order.challenges),
    }


def _issued_values(issued: Issued) -> dict[str, Value]:
    return {
        "issued_at": format_time(issued.issued_at),
        "serial": issued.serial,
        "issuer": issued.issuer,
        "not_before": format_time(issued.not_before),
        "not_after": format_time(issued.not_after),
        "sans": list(issued.sans),
        "cert_sha256": issued.cert_sha256,
        "signer": issued.signer,
    }


def _status(record: Record) -> Status:
    text = record.text("status")
    if text not in list(Status):
        record.fail("status", f"unknown status '{text}'")
    return Status(text)


def _read_order(record: Record) -> Order:
    return Order(record.text("order_url"), record.moment("order_expires"), record.texts("challenges"))


def _read_issued(record: Record) -> Issued:
    return Issued(
        issued_at=record.moment("issued_at"),
        serial=record.text("serial"),
        issuer=record.text("issuer"),
        not_before=record.moment("not_before"),
        not_after=record.moment("not_after"),
        sans=record.texts("sans"),
        cert_sha256=record.text("cert_sha256"),
        signer=record.text_or_null("signer"),
    )
