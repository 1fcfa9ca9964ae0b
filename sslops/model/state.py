"""What exists: generations and the slots that point at them."""

from __future__ import annotations

from dataclasses import dataclass, field
from enum import StrEnum
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Mapping
    from datetime import datetime

    from sslops.model.inventory import CertificateAuthority
    from sslops.model.names import GenerationId, ServiceId


class Status(StrEnum):
    """How far a generation has come; `issued` is final and immutable."""

    KEYED = "keyed"
    ORDERED = "ordered"
    ISSUED = "issued"


@dataclass(frozen=True, slots=True)
class Order:
    """An ACME order under way: its URL, its end, and the challenges as JSON text."""

    url: str
    expires: datetime
    challenges: tuple[str, ...] = ()
    account: str | None = None
    """The URL of the account that ordered; null where an older release wrote it down."""


@dataclass(frozen=True, slots=True)
class Issued:
    """The public facts of a certificate. *serial* and hashes are lower-case hex."""

    issued_at: datetime
    serial: str
    issuer: str
    not_before: datetime
    not_after: datetime
    sans: tuple[str, ...]
    cert_sha256: str
    signer: str | None = None
    """The generation of the own CA that signed; null for ACME and for a self-signed root."""

    def is_ending(self, now: datetime) -> bool:
        """Whether the last tenth of its life has begun, in which a wait without an end is a failure."""
        return now >= self.not_after - (self.not_after - self.not_before) / 10

    def ends_before(self, until: datetime | None, now: datetime) -> bool:
        """Whether a wait *until* then outlives it, which makes the wait a failure.

        Of one without an end nobody can tell, so that it is one in the last tenth.
        """
        return self.is_ending(now) if until is None else until >= self.not_after


@dataclass(frozen=True, slots=True)
class Generation:
    """One version of a service: key and CSR, later certificate and chain."""

    id: GenerationId
    status: Status
    created_at: datetime
    ca: str
    profile: str | None
    reason: str
    reused_from: GenerationId | None
    key_type: str
    """`ec`, `rsa` or `ed25519`."""
    key_size: str
    """The curve, the bits, or empty."""
    spki_sha256: str
    csr_sha256: str
    """Hash of what the CSR asks for (subject, SANs, key usage), to see drift from the inventory."""
    order: Order | None = None
    issued: Issued | None = None
    failure: str | None = None
    """Why the last order for it failed; null once there is a certificate."""
    said: str | None = None
    """*reason* in the words of the person who asked; null where nobody gave any."""
    directory: str | None = None
    """The ACME server that it was ordered from; null for own CAs, and where an older release wrote it down."""

    def comes_from(self, ca: CertificateAuthority) -> bool:
        """Whether it is of that very *ca*: an entry that names another server now is another CA."""
        return self.ca == ca.name and self.directory in {None, ca.directory}


@dataclass(frozen=True, slots=True)
class AriWindow:
    """The renewal window a CA suggested (RFC 9773), and why."""

    start: datetime
    end: datetime
    explanation_url: str | None = None


@dataclass(frozen=True, slots=True)
class Slots:
    """The pointers of one service, and all about it that changes."""

    curr: GenerationId | None = None
    next: GenerationId | None = None
    prev: GenerationId | None = None
    rolled_at: datetime | None = None
    renew_at: datetime | None = None
    """When the newest certificate is to be renewed; chosen once, when it was issued."""
    ari: AriWindow | None = None
    retry_at: datetime | None = None
    failures: int = 0
    refused: GenerationId | None = None
    revoked: tuple[GenerationId, ...] = ()
    """What a person had revoked: it is replaced where it is in use, and never rolled again."""


@dataclass(frozen=True, slots=True)
class ServiceState:
    """One service as one branch has it."""

    slots: Slots = Slots()
    generations: Mapping[GenerationId, Generation] = field(default_factory=dict)

    def at(self, slot: GenerationId | None) -> Generation | None:
        """Return the generation a slot points at."""
        return None if slot is None else self.generations.get(slot)

    @property
    def curr(self) -> Generation | None:
        """The generation in `curr`."""
        return self.at(self.slots.curr)

    @property
    def next(self) -> Generation | None:
        """The generation in `next`."""
        return self.at(self.slots.next)


UNKNOWN_SERVICE = ServiceState()
"""A service the engine has not touched yet."""


@dataclass(frozen=True, slots=True)
class State:
    """Every service as one branch has it."""

    services: Mapping[ServiceId, ServiceState] = field(default_factory=dict)

    def __getitem__(self, service: ServiceId) -> ServiceState:
        """Return the state of *service*, empty slots when there is none yet."""
        return self.services.get(service, UNKNOWN_SERVICE)


@dataclass(frozen=True, slots=True)
class Branches:
    """State on both branches: *main* as merged, *next* with main already taken in."""

    main: State
    next: State
