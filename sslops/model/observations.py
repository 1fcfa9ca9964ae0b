"""What one look at the world showed: name servers, the DNS repository, ports."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from sslops.model.tlsa import EMPTY, Rrset

if TYPE_CHECKING:
    from collections.abc import Collection, Mapping
    from datetime import datetime

    from sslops.model.tlsa import TlsaRecord


Zone = dict[str, Rrset]
"""Owner to RRset, as one include file or one server shows it; a name without records is absent."""


@dataclass(frozen=True, slots=True)
class ServerSeen:
    """One authoritative server (one name, all its addresses that answered, merged pessimistically).

    `error` set: no address answered, and nothing is known. `differing` lists the owners for which its own
    addresses disagreed. `answers` has every owner that was asked.
    """

    server: str
    answers: Mapping[str, Rrset] = field(default_factory=dict)
    error: str | None = None
    differing: frozenset[str] = frozenset()
    aliases: Mapping[str, str] = field(default_factory=dict)
    """Owners that are an alias (CNAME, DNAME) there, and how that was seen. Their *answers* are what caches may hold,
    of which only the TTL may be known; and they are among *differing*."""

    def shows(self, record: TlsaRecord) -> bool | None:
        """Whether it shows *record*; null when it was not asked or gave no answer."""
        if self.error is not None or record.owner not in self.answers:
            return None
        return record.owner not in self.differing and record in self.answers[record.owner].records


@dataclass(frozen=True, slots=True, order=True)
class WildcardAnswer:
    """One RRset that a wildcard gives *name* as long as *name* does not exist (RFC 4592 section 3.3.1).

    *name* is absolute and lower case; with `*.` in front it stands for every name below that has no records of its own.
    *records* are in presentation format (RFC 1035 section 5.1), sorted.
    """

    name: str
    rdtype: str
    ttl_seconds: int
    records: tuple[str, ...]
    wildcard: str

    def lines(self) -> tuple[str, ...]:
        """Return the lines of a zone file that give *name* the same answer without the wildcard."""
        return tuple(f"{self.name} {self.ttl_seconds} IN {self.rdtype} {record}" for record in self.records)


@dataclass(frozen=True, slots=True)
class Surroundings:
    """What the existence of one owner decides about the answers of its zone, as its name servers tell.

    *ending* are the answers at the names above it, and below those, that end when it begins to exist: they exist then
    too, as empty non-terminals (RFC 4592 section 2.2.2). *beginning* are the TLSA answers that a wildcard would give
    for the owner itself when its own records are gone.
    """

    ending: tuple[WildcardAnswer, ...] = ()
    beginning: tuple[WildcardAnswer, ...] = ()
    cut: str | None = None
    """Why a record written into this zone would be seen by nobody: a zone cut or a DNAME above it; else null."""
    error: str | None = None
    """Why nothing of it is known; else null."""


@dataclass(frozen=True, slots=True, weakref_slot=True)
class BaseCommit:
    """One commit of the DNS base: the include file of one apex in each of the `tlsa_dirs`."""

    commit: str
    views: tuple[Zone, ...]
    at: datetime | None = None
    """When it became the base, by the committer's clock; null where nobody says."""

    def has(self, record: TlsaRecord) -> bool:
        """Whether every view has *record*."""
        return all(record in view.get(record.owner, EMPTY).records for view in self.views)

    def rrsets(self, owner: str) -> tuple[Rrset, ...]:
        """Return the RRset of *owner* in each view."""
        return tuple(view.get(owner, EMPTY) for view in self.views)

    def owners(self) -> frozenset[str]:
        """Return every owner that has records in some view."""
        return frozenset(owner for view in self.views for owner, rrset in view.items() if rrset.records)


@dataclass(frozen=True, slots=True)
class DnsRepoSeen:
    """The DNS repository as fetched, for one apex.

    *history* are the commits of the base's first-parent line that changed the include files, oldest first; it
    always starts at the root, and its last element equals *base* in content. *line* maps each commit of the line
    that the ledger names to its place in *history*: everything from that place on was the base since then.
    """

    base: BaseCommit
    history: tuple[BaseCommit, ...]
    line: Mapping[str, int]
    head: BaseCommit | None = None
    """The open proposal on `sslops/tlsa`; null when there is none or when merging it would change nothing.

    Its views are what each include file may become: what the branch has, and where base moved on below it also what a
    merge would make of both."""
    head_commit: str | None = None
    """Where the branch `sslops/tlsa` points, merged or not; what a lease is taken on."""
    written_by_us: Collection[TlsaRecord] = frozenset()
    """Records of base that a commit of the engine brought; the generation that they were written for may be lost."""
    maybe_by_us: Collection[TlsaRecord] = frozenset()
    """Those, and what a forge may have made of such a commit, signed by nobody: for what makes a step wait."""
    missing: tuple[str, ...] = ()
    """Include files of the apex that do not exist in base; a zone that includes one would not load."""

    def since(self, commit: str) -> tuple[BaseCommit, ...] | None:
        """Return every content the base had since *commit*, that one included; null when it is not on the line."""
        if commit == self.base.commit:
            # Evidence that begins with this very look names a commit that the ledger could not name before.
            return (self.base,)
        place = self.line.get(commit)
        return None if place is None else self.history[place:]


@dataclass(frozen=True, slots=True)
class ApexSeen:
    """One look at one apex: repository and servers, at one moment, and its MX hosts."""

    at: datetime
    repo: DnsRepoSeen
    servers: tuple[ServerSeen, ...]
    mx: tuple[str, ...] = ()
    """Host names of the MX records, absolute and lower case, sorted; empty when there is no MX."""
    addresses: Mapping[str, tuple[str, ...]] = field(default_factory=dict)
    """Addresses of the hosts that own records, as DNS gives them."""
    unsigned: Mapping[str, str] = field(default_factory=dict)
    """Owner to the reason why a validating resolver does not vouch for it; empty where none is named."""
    notes: tuple[str, ...] = ()
    """What a person should know: address families skipped, servers with one dead address."""


@dataclass(frozen=True, slots=True)
class PortSeen:
    """What a port showed on every connection: SHA-256 (hex) of each leaf certificate, or why it could not be asked."""

    certificates: frozenset[str] = frozenset()
    connections: int = 0
    seconds: float = 0.0
    error: str | None = None
    hint: str | None = None
    """What to change where it speaks another protocol than it is asked by: no patience helps then."""

    def shows_only(self, cert_sha256: str) -> bool:
        """Whether every connection showed exactly this certificate."""
        return self.error is None and self.certificates == {cert_sha256}
