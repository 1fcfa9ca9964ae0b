"""State files: where they lie in the ops repository, and their content as values (design section 4).

>>> from sslops.model.names import GenerationId, ServiceId
>>> generation_path(ServiceId("example.com", "mail-ec"), GenerationId("20261124T143000Z-9b1c"), "cert.pem")
'state/example.com/mail-ec/20261124T143000Z-9b1c/cert.pem'
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import TYPE_CHECKING

from sslops.model.names import ACCOUNTS, GenerationId, ServiceId, format_time
from sslops.model.state import AriWindow, Generation, Issued, Order, Slots, Status
from sslops.repo.plain_yaml import write
from sslops.repo.record import Record

if TYPE_CHECKING:
    from datetime import datetime

    from sslops.repo.plain_yaml import Value


STATE = "state"
SLOTS = "slots.yaml"
FACTS = "generation.yaml"
CSR = "csr.pem"
CERT = "cert.pem"
CHAIN = "chain.pem"
PRIVKEY = "privkey.pem.sops"
GENERATION_FILES = (FACTS, CSR, CERT, CHAIN, PRIVKEY)

_SERVICE_PARTS = 4
_GENERATION_PARTS = 5


def slots_path(service: ServiceId) -> str:
    """Return the path of the service's `slots.yaml`."""
    return f"{STATE}/{service}/{SLOTS}"


def generation_folder(service: ServiceId, generation: GenerationId) -> str:
    """Return the folder of one generation, without a final slash."""
    return f"{STATE}/{service}/{generation}"


def generation_path(service: ServiceId, generation: GenerationId, name: str) -> str:
    """Return the path of one file of a generation."""
    return f"{generation_folder(service, generation)}/{name}"


def account_path(account: str) -> str:
    """Return the path of an account's file: `state/accounts/<account>.json.sops`."""
    return f"{STATE}/{ACCOUNTS}/{account}.json.sops"


@dataclass(frozen=True, slots=True)
class StatePath:
    """A path below `state/` taken apart; *generation* is null for `slots.yaml`."""

    service: ServiceId
    generation: GenerationId | None
    name: str


def parse_path(path: str) -> StatePath | None:
    """Take a path below `state/` apart; null for one that belongs to no service."""
    parts = path.split("/")
    if parts[0] != STATE:
        return None
    if len(parts) == _SERVICE_PARTS and parts[3] == SLOTS:
        return StatePath(ServiceId(parts[1], parts[2]), None, SLOTS)
    if len(parts) == _GENERATION_PARTS and is_generation_id(parts[3]) and parts[4] in GENERATION_FILES:
        return StatePath(ServiceId(parts[1], parts[2]), GenerationId(parts[3]), parts[4])
    return None


SLOT_KEYS = ("curr", "next", "prev", "rolled_at", "renew_at", "ari", "retry_at", "failures", "refused", "revoked")
_GENERATION_ID = re.compile(r"[0-9]{8}T[0-9]{6}Z-[0-9a-f]{4}")
_ARI_KEYS = ("start", "end", "explanation_url")


def write_slots(slots: Slots) -> bytes:
    """Return the file's content for *slots*."""
    return write(
        {
            "curr": slots.curr,
            "next": slots.next,
            "prev": slots.prev,
            "rolled_at": time_or_null(slots.rolled_at),
            "renew_at": time_or_null(slots.renew_at),
            "ari": _ari(slots.ari),
            "retry_at": time_or_null(slots.retry_at),
            "failures": str(slots.failures),
            "refused": slots.refused,
            **({"revoked": list(slots.revoked)} if slots.revoked else {}),
        },
    )


def read_slots(content: bytes, file: str) -> Slots:
    """Read the file back; StateError where it says what cannot be."""
    record = Record.read(content, file, known=SLOT_KEYS)
    window = record.inner_or_null("ari", known=_ARI_KEYS)
    return Slots(
        curr=generation_or_null(record, "curr"),
        next=generation_or_null(record, "next"),
        prev=generation_or_null(record, "prev"),
        rolled_at=record.moment_or_null("rolled_at"),
        renew_at=record.moment_or_null("renew_at"),
        ari=None
        if window is None
        else AriWindow(window.moment("start"), window.moment("end"), window.text_or_null("explanation_url")),
        retry_at=record.moment_or_null("retry_at"),
        failures=record.count("failures", 0),
        refused=generation_or_null(record, "refused"),
        revoked=_generations(record, "revoked"),
    )


def time_or_null(moment: datetime | None) -> str | None:
    """Write a time, or null."""
    return None if moment is None else format_time(moment)


def generation_or_null(record: Record, key: str) -> GenerationId | None:
    """Read a generation's id, or null; StateError when it is not one."""
    text = record.text_or_null(key)
    if text is None:
        return None
    if not is_generation_id(text):
        record.fail(key, f"'{key}' must be a generation like 20261124T143000Z-9b1c, not '{text}'")
    return GenerationId(text)


def _generations(record: Record, key: str) -> tuple[GenerationId, ...]:
    found = record.texts(key)
    wrong = next((text for text in found if not is_generation_id(text)), None)
    if wrong is not None:
        record.fail(key, f"'{key}' must list generations like 20261124T143000Z-9b1c, not '{wrong}'")
    return tuple(map(GenerationId, found))


def is_generation_id(text: str) -> bool:
    """Whether *text* has the form `<UTC basic time>-<4 hex>`.

    >>> is_generation_id("20261124T143000Z-9b1c"), is_generation_id("../../etc")
    (True, False)
    """
    return _GENERATION_ID.fullmatch(text) is not None


def _ari(window: AriWindow | None) -> Value:
    if window is None:
        return None
    return {
        "start": format_time(window.start),
        "end": format_time(window.end),
        "explanation_url": window.explanation_url,
    }


FACT_KEYS = (
    "status",
    "created_at",
    "ca",
    "directory",
    "profile",
    "reason",
    "said",
    "reused_from",
    "key_type",
    "key_size",
    "spki_sha256",
    "csr_sha256",
)
ORDER_KEYS = ("order_url", "order_expires", "order_account", "challenges", "failure")
ISSUED_KEYS = ("issued_at", "serial", "issuer", "not_before", "not_after", "sans", "cert_sha256", "signer")
GENERATION_KEYS = frozenset({*FACT_KEYS, *ORDER_KEYS, *ISSUED_KEYS})


def write_generation(generation: Generation) -> bytes:
    """Return the file's content for *generation*."""
    values: dict[str, Value] = {
        "status": str(generation.status),
        "created_at": format_time(generation.created_at),
        "ca": generation.ca,
        **({"directory": generation.directory} if generation.directory is not None else {}),
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
    record = Record.read(content, file, known=GENERATION_KEYS)
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
        directory=record.text_or_null("directory"),
    )


def _order_values(order: Order) -> dict[str, Value]:
    return {
        "order_url": order.url,
        "order_expires": format_time(order.expires),
        **({"order_account": order.account} if order.account is not None else {}),
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
    expires, account = record.moment("order_expires"), record.text_or_null("order_account")
    return Order(record.text("order_url"), expires, record.texts("challenges"), account)


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
