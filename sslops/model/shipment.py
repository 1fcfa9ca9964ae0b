"""What travels to a host and what comes back: parcels of files, restarts, and the answer of the receiver there.

>>> from sslops.model.names import GenerationId
>>> held = Held(GenerationId("20261124T143000Z-9b1c"), {"cert.pem": "77"}, intact=True)
>>> held.is_exactly("20261124T143000Z-9b1c", "77")
True
"""

from __future__ import annotations

from dataclasses import dataclass, field
from enum import StrEnum
from typing import TYPE_CHECKING

from sslops.model.inventory import FileModes

if TYPE_CHECKING:
    from collections.abc import Mapping
    from datetime import datetime, timedelta

    from sslops.errors import SslopsError
    from sslops.model.names import GenerationId, ServiceId
    from sslops.model.secret import Secret


@dataclass(frozen=True, slots=True)
class ServiceFiles:
    """The public files of one generation, as the repository has them; *tlsa_rr* are its records as a zone file."""

    csr: bytes
    cert: bytes
    chain: bytes
    tlsa_rr: bytes = b""


@dataclass(frozen=True, slots=True)
class Parcel:
    """One service for one host: everything that goes below its `curr`."""

    service: ServiceId
    generation: GenerationId
    files: ServiceFiles
    private_key: Secret
    serial: str
    not_after: datetime
    rolled_at: datetime | None
    issued_at: datetime
    """What the files carry as the time of their last change: copies and reloads that go by it see a new key."""
    modes: FileModes = field(default_factory=FileModes)
    returns_to: frozenset[GenerationId] | None = None
    """The generations that the host may go back to when a restart fails; null: whatever it has. Where it has no other
    one of them it stays with this one."""
    returns_to_same: bool = False
    """Whether the host holds this very generation, whole, and may go back to those files: only their owner, group or
    mode are other ones."""


@dataclass(frozen=True, slots=True)
class Include:
    """The include file `tlsa.<apex>` of one apex."""

    apex: str
    content: bytes


@dataclass(frozen=True, slots=True)
class DhFiles:
    """Diffie-Hellman parameters for `<group>/dh/`: PEM by name of RFC 7919, the one that is linked first."""

    group: str
    files: Mapping[str, bytes]


@dataclass(frozen=True, slots=True)
class Restart:
    """The commands of one server class, each a list of words that no shell reads again."""

    server_class: str
    commands: tuple[tuple[str, ...], ...]


@dataclass(frozen=True, slots=True)
class Shipment:
    """All that one host gets in one session."""

    parcels: tuple[Parcel, ...] = ()
    includes: tuple[Include, ...] = ()
    restarts: tuple[Restart, ...] = ()
    dhparm: tuple[DhFiles, ...] = ()


@dataclass(frozen=True, slots=True)
class KeyAccess:
    """Who may read a key on a host: its mode, owner and group, each as a name and as a number."""

    mode: int
    owners: frozenset[str]
    groups: frozenset[str]

    def is_as(self, wanted: FileModes) -> bool:
        """Whether it is what *wanted* says; an owner or a group that it does not name is right as it is.

        >>> access = KeyAccess(0o640, frozenset({"root", "0"}), frozenset({"postfix", "103"}))
        >>> access.is_as(FileModes(group="103", key_mode="0640"))
        True
        """
        return (
            self.mode == int(wanted.key_mode, 8)
            and (wanted.owner is None or wanted.owner in self.owners)
            and (wanted.group is None or wanted.group in self.groups)
        )


@dataclass(frozen=True, slots=True)
class Held:
    """What a host has below `curr` of one service: the generation it names, and SHA-256 (hex) of each file."""

    generation: GenerationId | None
    files: Mapping[str, str] = field(default_factory=dict)
    intact: bool = False
    """Whether every file is still what was put there, by the list that came with it."""
    access: KeyAccess | None = None
    """Who may read its key; null: the host did not say."""

    def is_exactly(self, generation: str, cert_sha256: str) -> bool:
        """Whether it is *generation*, untouched, with the `cert.pem` whose content hashes to *cert_sha256*."""
        return self.intact and self.generation == generation and self.files.get("cert.pem") == cert_sha256

    def is_open_as(self, wanted: FileModes) -> bool:
        """Whether its key may be read as *wanted* says, as far as the host told."""
        return self.access is None or self.access.is_as(wanted)


NOTHING = Held(None)


class Outcome(StrEnum):
    """How one call of a receiver ended; the words are for people."""

    DONE = "done"
    UNREACHABLE = "unreachable"
    HOST_KEY = "host key refused"
    DENIED = "login refused"
    FENCED = "a newer run was there"
    BUSY = "another receiver is running"
    WENT_BACK = "a restart failed, everything went back"
    STUCK = "a restart failed, and so did the rollback"
    STAYED = "a restart failed; the files are there for the first time, and stay"
    NOT_SWITCHED = "the files could not be switched, everything went back"
    REFUSED = "the receiver refused"
    TIMEOUT = "no answer in time"
    BROKEN = "the receiver failed"

    @property
    def is_untouched(self) -> bool:
        """Whether the host certainly did nothing in this call."""
        # Not unreachable: a connection may break while the receiver at its other end goes on.
        return self in {Outcome.REFUSED, Outcome.BUSY, Outcome.FENCED, Outcome.HOST_KEY, Outcome.DENIED}


@dataclass(frozen=True, slots=True)
class Answer:
    """What a receiver said: how it ended, the number it knows, and what it holds (of a `put`: of what was put)."""

    outcome: Outcome
    seq: int = 0
    services: Mapping[ServiceId, Held] = field(default_factory=dict)
    includes: Mapping[str, str] = field(default_factory=dict)
    """Apex to SHA-256 (hex) of its include file."""
    unfinished: frozenset[ServiceId] = frozenset()
    """Services whose files were switched by a session that did not get through its restarts."""
    restarted: tuple[str, ...] = ()
    trouble: SslopsError | None = None
    """What to tell a person; set unless the outcome is `DONE`."""
    drift: timedelta | None = None
    """How far the host's clock is ahead of ours, as far as the time that the call took lets tell; null: not known."""
    first: frozenset[ServiceId] = frozenset()
    """Services of which nothing lay there before the `put`: they have nothing to go back to, and stay."""
    dhparm: frozenset[str] = frozenset()
    """Groups whose Diffie-Hellman parameters are there: brought by the `put`, or somebody's own."""

    def holds(self, service: ServiceId) -> Held:
        """Return what it holds of *service*."""
        return self.services.get(service, NOTHING)
