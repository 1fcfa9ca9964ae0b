"""What was last proved about hosts and DNS: the branch `ledger` as values (design sections 2 and 4)."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from sslops.model.derived import derived
from sslops.model.inventory import FileModes

if TYPE_CHECKING:
    from collections.abc import Mapping
    from datetime import datetime

    from sslops.model.names import GenerationId, ServiceId
    from sslops.model.tlsa import TlsaParams, TlsaRecord


COPY = "copy"
"""The proof of a host that keeps files and shows them to nobody (`serves: false`, from the first file on)."""


@dataclass(frozen=True, slots=True)
class Served:
    """What a host may be serving for one service.

    One id: settled. Several: either of them. A null among them: something unknown. Empty: nothing of ours.
    """

    may_serve: tuple[GenerationId | None, ...] = (None,)
    at: datetime | None = None
    proof: str | None = None
    """`port`, `files`, `copy`, or null while it is not settled."""
    failures: int = 0
    retry_at: datetime | None = None
    files: FileModes = field(default_factory=FileModes)
    """Owner, group and key mode that its files were last given."""

    @property
    def settled(self) -> GenerationId | None:
        """The one generation it is known to serve, else null."""
        return self.may_serve[0] if len(self.may_serve) == 1 else None

    @property
    def is_copy(self) -> bool:
        """Whether it never served it: files came to it only while it was to keep copies."""
        return self.proof == COPY


UNPROVEN = Served()


@dataclass(frozen=True, slots=True)
class HostEntry:
    """One host: the number of its last intent, what it may serve, which include files it holds."""

    seq: int = 0
    services: Mapping[ServiceId, Served] = field(default_factory=dict)
    tlsa: Mapping[str, str] = field(default_factory=dict)
    """Apex to SHA-256 of the `tlsa.<apex>` that the host holds."""
    dhparm: Mapping[str, tuple[str, ...]] = field(default_factory=dict)
    """Group to the groups of RFC 7919 that were brought to it; what somebody put there himself is not told apart."""

    def serves(self, service: ServiceId) -> Served:
        """Return what it may serve of *service*; unknown when it was never asked."""
        return self.services.get(service, UNPROVEN)


@dataclass(frozen=True, slots=True)
class Lowered:
    """A smaller TTL, and since when nothing larger was seen anywhere."""

    ttl_seconds: int
    since: datetime


@dataclass(frozen=True, slots=True)
class NameEntry:
    """One owner name: the largest TTL a cache could still hold, and since when it is empty everywhere.

    *commit* is what the DNS base was when this entry was last changed: the base's history from there on says
    whether the name had records, or a larger TTL, between two looks.
    """

    ttl_seconds: int
    commit: str
    empty_since: datetime | None = None
    lowered: Lowered | None = None
    gone: Mapping[TlsaParams, datetime | None] = field(default_factory=dict)
    """Combinations that the name had and has no more, while others stay: since when none was seen anywhere (null: some
    server may still show it). A cache may use one of them alone until it forgets it (RFC 7671 section 9)."""


@dataclass(frozen=True, slots=True)
class Evidence:
    """Since when a record was seen everywhere, at which DNS base commit, and the TTL that counts."""

    since: datetime
    commit: str
    max_ttl_seconds: int


@dataclass(frozen=True, slots=True, weakref_slot=True)
class Pending:
    """What publish is about to propose: the records the apex will have. *head*: `sslops/tlsa` as the run saw it."""

    run: str
    base: str
    head: str | None
    records: frozenset[TlsaRecord]


@dataclass(frozen=True, slots=True, weakref_slot=True)
class ApexEntry:
    """One apex: the proposal under way, its names, the evidence of its records.

    *rebuilt_at*: when the entry was begun, where the DNS base had records of ours by then: an earlier ledger was lost,
    and with it which hosts that have left since may serve what was issued before. Null: nothing was there to forget.
    """

    pending: Pending | None = None
    names: Mapping[str, NameEntry] = field(default_factory=dict)
    records: Mapping[TlsaRecord, Evidence] = field(default_factory=dict)
    rebuilt_at: datetime | None = None


@dataclass(frozen=True, slots=True)
class Trouble:
    """Why a host does not serve what it should, in the words of the last try, and since when it has not gone well."""

    since: datetime
    why: str


@dataclass(frozen=True, slots=True)
class Sessions:
    """How many TLS sessions of senders went well, and how many failed."""

    successful: int
    failed: int


@dataclass(frozen=True, slots=True, weakref_slot=True)
class Ledger:
    """All of the branch `ledger`."""

    hosts: Mapping[str, HostEntry] = field(default_factory=dict)
    apexes: Mapping[str, ApexEntry] = field(default_factory=dict)
    blocked: Mapping[str, datetime] = field(default_factory=dict)
    """What is blocked (`Wait.key`), and since when; what its own dates tell is not here."""
    troubles: Mapping[str, Trouble] = field(default_factory=dict)
    """Hosts at which the last deploy failed. Told to people; no decision rests on it."""
    reports: Mapping[str, Sessions] = field(default_factory=dict)
    """What senders reported (RFC 8460), by `day domain hash`, the hash one of sender and report. Told to people only:
    anybody may send a report."""

    def host(self, name: str) -> HostEntry:
        """Return the entry of host *name*, everything unknown when there is none."""
        return self.hosts.get(name, HostEntry())

    def hosts_of(self, service: ServiceId) -> Mapping[str, Served]:
        """Return the hosts that have an entry for *service*, and what each may serve of it."""
        return _by_service(self).get(service, {})

    def apex(self, domain: str) -> ApexEntry | None:
        """Return the entry of apex *domain*; null when nothing was ever looked at."""
        return self.apexes.get(domain)


@derived
def _by_service(ledger: Ledger) -> Mapping[ServiceId, Mapping[str, Served]]:
    found: dict[ServiceId, dict[str, Served]] = {}
    for host, entry in ledger.hosts.items():
        for service, served in entry.services.items():
            found.setdefault(service, {})[host] = served
    return found
