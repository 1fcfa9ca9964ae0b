"""What a certificate is asked to say, and a key that was made for it."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from datetime import datetime

    from sslops.model.inventory import KeySpec, Subject
    from sslops.model.secret import Secret


@dataclass(frozen=True, slots=True)
class Request:
    """What a CSR asks for, as the inventory has it.

    *subject* is as it will appear, without empty or impossible fields; *path_length* is null where there is no limit.
    """

    subject: Subject
    sans: tuple[str, ...]
    key: KeySpec
    eku: tuple[str, ...] = ()
    is_ca: bool = False
    path_length: int | None = None


@dataclass(frozen=True, slots=True)
class Validity:
    """From when and until when a certificate counts, both moments included (RFC 5280 section 4.1.2.5)."""

    not_before: datetime
    not_after: datetime


@dataclass(frozen=True, slots=True)
class MadeKey:
    """A new private key as PKCS#8 PEM, and the SHA-256 (hex) of its public half."""

    private: Secret
    spki_sha256: str
