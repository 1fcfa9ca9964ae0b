"""What deploy judges by, what it may decide, and the closed list of reasons: values only."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass, field, replace
from enum import StrEnum
from typing import TYPE_CHECKING

from sslops.model.plan import Consents, Hazard, Wait

if TYPE_CHECKING:
    from collections.abc import Callable, Collection, Mapping
    from datetime import datetime

    from sslops.dane.gate import Verdict
    from sslops.inventory.reach import Delivery
    from sslops.model.inventory import Host, Inventory
    from sslops.model.ledger import Ledger
    from sslops.model.names import GenerationId, ServiceId
    from sslops.model.state import Branches

    Verdicts = Callable[[ServiceId, GenerationId, Host], Verdict]

EMPTY_INCLUDE = b""
"""What a host gets for an apex that has no include file yet: zones include it, so it must exist."""


class Reason(StrEnum):
    """Why a host is touched; part of the digest."""

    ROLLED = "rolled"
    UNPROVEN = "unproven"
    INCLUDE = "include-changed"
    FORCED = "forced-restart"
    REMOVED = "host-removed"
    EXPIRED = "expired"


@dataclass(frozen=True, slots=True)
class DeployOptions:
    """What the command line asks for; *targets* null: all; *hosts* empty: all."""

    targets: frozenset[ServiceId] | None = None
    hosts: frozenset[str] = frozenset()
    force_restart: bool = False
    forget: frozenset[str] = frozenset()
    consents: Consents = Consents()
    is_shard: bool = False
    """Whether *hosts* are a job's share of a fleet, which nobody asked for by name."""

    @property
    def is_insistent(self) -> bool:
        """Whether a person asked for these hosts by name, or for restarts: the backoff does not count then.

        >>> DeployOptions(hosts=frozenset({"web1"})).is_insistent
        True
        >>> DeployOptions(hosts=frozenset({"web1"}), is_shard=True).is_insistent
        False
        """
        return (bool(self.hosts) and not self.is_shard) or self.force_restart


@dataclass(frozen=True, slots=True)
class Work:
    """What one host needs.

    *due* are the services to be proven to serve a generation; *unproven* those of them whose entry tells nothing
    certain, so that the host is asked before anything is sent. *includes*: apex to the hash it should have.
    """

    delivery: Delivery
    due: Mapping[ServiceId, GenerationId] = field(default_factory=dict)
    unproven: frozenset[ServiceId] = frozenset()
    includes: Mapping[str, str] = field(default_factory=dict)
    restart: frozenset[str] = frozenset()
    """Classes to restart whatever changes."""
    former: frozenset[ServiceId] = frozenset()
    """Services that the host gets no more and may still serve; their entries close when it is seen not to."""

    @property
    def host(self) -> Host:
        """How it is reached."""
        return self.delivery.host

    @property
    def is_empty(self) -> bool:
        """Whether nothing is left to do."""
        return not (self.due or self.includes or self.restart or self.former)


@dataclass(frozen=True, slots=True)
class Decision:
    """The works, the entries that end (host to its services), and what does not happen now."""

    works: tuple[Work, ...] = ()
    closed: Mapping[str, frozenset[ServiceId]] = field(default_factory=dict)
    forgotten: frozenset[str] = frozenset()
    waits: tuple[Wait, ...] = ()
    hazards: tuple[Hazard, ...] = ()

    def without(self, hazards: Collection[Hazard]) -> Decision:
        """Return the decision with nothing for the hosts that are the subjects of *hazards*, and with these."""
        stopped = {hazard.subject for hazard in hazards}
        works = tuple(work for work in self.works if work.host.name not in stopped)
        return replace(self, works=works, hazards=tuple(sorted({*self.hazards, *hazards})))


@dataclass(frozen=True, slots=True)
class World:
    """What deploy judges by; *includes* maps an apex to the SHA-256 of its include file, null when it has none."""

    inventory: Inventory
    branches: Branches
    ledger: Ledger
    includes: Mapping[str, str | None]
    now: datetime


def include_sha256(content: bytes | None) -> str:
    """Return the hash of an include file as a host will have it; no file is an empty one."""
    return hashlib.sha256(EMPTY_INCLUDE if content is None else content).hexdigest()
