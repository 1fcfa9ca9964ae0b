"""What a step writes into `state/`: one change is one commit (design section 5)."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Mapping

    from sslops.model.names import GenerationId, ServiceId
    from sslops.model.state import Generation, Slots


@dataclass(frozen=True, slots=True)
class GenerationFiles:
    """A generation's files; null leaves a file as it is. *privkey_sops* is already encrypted."""

    generation: Generation
    csr: bytes | None = None
    cert: bytes | None = None
    chain: bytes | None = None
    privkey_sops: bytes | None = None


@dataclass(frozen=True, slots=True)
class Change:
    """One service, one step: the new slots, the generations written, and what the commit says.

    The subject becomes `<action>(<service>): <title>`; *why* is the sentence of the body.
    """

    action: str
    service: ServiceId
    title: str
    why: str
    slots: Slots
    generation: GenerationId | None = None
    put: tuple[GenerationFiles, ...] = ()
    plan: str | None = None
    """The plan's digest, for the trailer `Sslops-Plan`."""


@dataclass(frozen=True, slots=True)
class AccountChange:
    """The account at one CA as it is to be stored; *document* is already encrypted, *account* names its file."""

    account: str
    document: bytes
    title: str
    why: str


@dataclass(frozen=True, slots=True)
class BulkChange:
    """What one commit does to the files of many services; the subject becomes `<action>: <title>`.

    *dropped* generations go as a whole, slots stay. *documents* replace encrypted files, by path.
    """

    action: str
    title: str
    why: str
    dropped: Mapping[ServiceId, tuple[GenerationId, ...]] = field(default_factory=dict)
    documents: Mapping[str, bytes] = field(default_factory=dict)
    plan: str | None = None


@dataclass(frozen=True, slots=True)
class Note:
    """What a commit on `ledger` says: action, title and sentence, and the services it is about."""

    action: str
    title: str
    why: str
    trailers: Mapping[str, str] = field(default_factory=dict)
