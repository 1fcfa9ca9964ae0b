"""The DNS repository, the name servers that load it, and every cache that asked one of them.

A cache may have asked any server at any moment. So it is remembered when each RRset was last shown; until its TTL is
over, some cache holds it.
"""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from datetime import timedelta
from typing import TYPE_CHECKING

from sslops.errors import DnsError
from sslops.model.inventory import Endpoint
from sslops.model.observations import BaseCommit, DnsRepoSeen, ServerSeen
from sslops.model.tlsa import EMPTY, Rrset
from sslops.simulate.branch import Head

if TYPE_CHECKING:
    from collections.abc import Collection, Iterable, Iterator, Mapping
    from datetime import datetime

    from sslops.model.observations import Surroundings, Zone
    from sslops.model.tlsa import TlsaRecord
    from sslops.probe.survey import Servers
    from sslops.simulate.branch import Content, Views


@dataclass(slots=True)
class NameServer:
    """One authoritative server of an apex: which folder it loads, and which commit of its line it shows.

    *is_silent*: it does not answer us, and goes on answering everybody else.
    """

    name: str
    view: int = 0
    loaded: int = 0
    is_silent: bool = False
    beside: int = 0
    """Which state of what others keep beside the include file it shows; it loads both together."""


@dataclass(slots=True)
class Line:
    """What the include files of one apex went through, and who shows them."""

    commits: list[BaseCommit]
    servers: list[NameServer]
    places: dict[str, int] = field(default_factory=dict)
    """Each commit of the base to its place in `commits`."""
    mx: tuple[str, ...] = ()
    is_unheard: bool = False
    """Whether nobody tells us its MX hosts, so that it cannot be looked at."""
    beside: list[Views] = field(default_factory=list)
    """What others kept in the zone file of each folder, beside the include file, oldest first; empty: never a thing."""

    @property
    def views(self) -> Views:
        """What the base has now."""
        return self.commits[-1].views

    def shown(self, server: NameServer) -> Zone:
        """Return what a server shows."""
        ours = self.commits[server.loaded].views[server.view]
        return with_others(ours, self.beside[server.beside][server.view]) if self.beside else ours


@dataclass(slots=True)
class Dns:
    """The repository, its proposal branch, the servers and the caches. Both ports of `observe` can be had from it."""

    lines: dict[str, Line]
    base_moves: int = 0
    head: Head | None = None
    """Where the proposal branch points; null when there is none."""
    heads_made: int = 0
    declined: set[str] = field(default_factory=set)
    """The digests of the plans whose requests were closed by people."""
    ours: set[TlsaRecord] = field(default_factory=set)
    """Every record that the engine ever wrote for a generation or an issuer, and said so behind it."""
    cached: dict[tuple[str, Rrset], datetime] = field(default_factory=dict)

    # What happens to it.

    def keep_beside(self, apex: str, views: Views) -> None:
        """Let others change what they keep beside the include file: a commit of the base that leaves ours as it is."""
        line = self.lines[apex]
        line.beside += [views] if line.beside else [({},) * len(views), views]
        self.commit({})

    def commit(self, changes: Mapping[str, Views]) -> None:
        """Add a commit to the base."""
        self.base_moves += 1
        name = f"c{self.base_moves}"
        for apex, line in self.lines.items():
            if apex in changes and changes[apex] != line.views:
                line.commits.append(BaseCommit(name, changes[apex]))
            line.places[name] = len(line.commits) - 1

    @property
    def content(self) -> Content:
        """What the base has now, by apex."""
        return {apex: line.views for apex, line in self.lines.items()}

    @property
    def number(self) -> int:
        """What a lease on the proposal branch is taken on; 0 when there is none."""
        return 0 if self.head is None else self.head.number

    def fence(self, lease: int, base: Content) -> int | None:
        """Move the proposal branch by an empty commit on *base*; null when it is not at *lease*, else where it is."""
        if lease != self.number:
            return None
        self._move(base, base)
        return self.number

    def propose(self, lease: int, base: Content, zones: Mapping[str, Zone], digest: str) -> bool:
        """Move the proposal branch to *zones* on *base*; false when it is not at *lease*."""
        if lease != self.number:
            return False
        self._move({**base, **self._everywhere(zones)}, base, digest)
        return True

    def publish(self, lease: tuple[int, int], zones: Mapping[str, Zone]) -> bool:
        """Move base and branch to *zones* at once; false when either moved since the *lease*."""
        if lease != (self.base_moves, self.number):
            return False
        self.commit(self._everywhere(zones))
        self._move(self.content, None)
        return True

    def brings(self, zones: Mapping[str, Zone]) -> bool:
        """Whether a merge of the branch makes the base have just this, and nothing else."""
        return self.head is not None and self.head.has_exactly(zones, self.content)

    @property
    def is_open(self) -> bool:
        """Whether a merge of the branch would change something."""
        return self.changes(self.lines)

    def changes(self, apexes: Iterable[str]) -> bool:
        """Whether a merge of the branch would change something of *apexes*."""
        return self.head is not None and any(self.head.brings(apex, self.content) for apex in apexes)

    # What people do to a proposal.

    def merge(self, *, squashes: bool = False) -> bool:
        """Merge what the branch brings; false when it brings nothing, or when git finds a conflict."""
        merged = self.head.merged(self.content) if self.head is not None and self.is_open else None
        if self.head is None or merged is None:
            return False
        self.commit(merged)
        if not squashes:
            self.head = replace(self.head, start=None)
        return True

    def decline(self) -> None:
        """Close the request: the same plan is not to be proposed again."""
        if self.head is not None and self.is_open:
            self.declined.add(self.head.digest)

    def reopen(self) -> None:
        """Open the request of what lies on the branch again."""
        if self.head is not None:
            self.declined.discard(self.head.digest)

    def delete_branch(self) -> None:
        """Delete the proposal branch, as forges do after a merge, or a person at any time."""
        self.head = None

    def _move(self, content: Content, start: Content | None, digest: str = "") -> None:
        self.heads_made += 1
        self.head = Head(self.heads_made, content, start, digest)

    def _everywhere(self, zones: Mapping[str, Zone]) -> Content:
        others = {record for views in self.content.values() for record in _records(views)} - self.ours
        self.ours |= {record for zone in zones.values() for record in _records((zone,))} - others
        return {apex: (zone,) * len(self.lines[apex].views) for apex, zone in zones.items()}

    # What servers and caches do.

    def load(self, apex: str, place: int) -> None:
        """Let a server take over what is new: the first from the repository, the others from whoever is ahead."""
        line, server = self.lines[apex], self.lines[apex].servers[place]
        ahead = max(line.servers, key=lambda other: (other.loaded, other.beside))
        server.loaded = len(line.commits) - 1 if place == 0 else ahead.loaded
        server.beside = max(0, len(line.beside) - 1) if place == 0 else ahead.beside

    def load_all(self) -> None:
        """Let every server come up to date."""
        for apex, line in self.lines.items():
            for place in range(len(line.servers)):
                self.load(apex, place)

    def remember(self, now: datetime) -> None:
        """Let caches ask every server, and forget what is over."""
        for line in self.lines.values():
            for server in line.servers:
                for owner, rrset in line.shown(server).items():
                    if rrset.records:
                        self.cached[owner, rrset] = now
        over = [key for key, at in self.cached.items() if now > at + timedelta(seconds=key[1].ttl_seconds)]
        for key in over:
            del self.cached[key]

    # What an observer sees: the ports of `sslops.observe`.

    def apex(self, apex: str, anchors: Collection[str] = ()) -> DnsRepoSeen:
        """Return the repository as fetched."""
        line, base = self.lines[apex], self.lines[apex].commits[-1]
        found = () if self.head is None else self.head.brings(apex, self.content)
        head = BaseCommit(f"h{self.number}", tuple(view for views in found for view in views)) if found else None
        return DnsRepoSeen(
            base=base,
            history=tuple(line.commits),
            line={commit: line.places[commit] for commit in {*anchors, base.commit} if commit in line.places},
            head=head,
            head_commit=None if self.head is None else f"h{self.number}",
            written_by_us=frozenset(record for record in _records(base.views) if record in self.ours),
        )

    def name_servers(self, apex: str, _primary: Endpoint | None, _fixed: tuple[Endpoint, ...]) -> Servers:
        """Return the servers of *apex*; it is told in the port, which nothing else needs."""
        return {server.name: (Endpoint(apex, place),) for place, server in enumerate(self.lines[apex].servers)}

    def mx(self, apex: str, _via: Endpoint | None) -> tuple[str, ...]:
        """Return the MX hosts of *apex*; DnsError where nobody tells them."""
        if self.lines[apex].is_unheard:
            raise DnsError(f"nobody tells the MX of '{apex}'")
        return tuple(sorted(self.lines[apex].mx))

    def addresses(self, _host: str, _via: Endpoint | None) -> tuple[str, ...]:
        """Return nothing: ports are looked at directly."""
        return ()

    def tlsa(self, servers: Mapping[str, tuple[Endpoint, ...]], owners: Iterable[str]) -> tuple[ServerSeen, ...]:
        """Ask every server for every owner."""
        asked = tuple(owners)
        return tuple(self._answer(endpoint, asked) for (endpoint,) in servers.values())

    def surroundings(
        self, _servers: Mapping[str, tuple[Endpoint, ...]], _apex: str, _owners: Iterable[str]
    ) -> Mapping[str, Surroundings]:
        """Know no wildcards."""
        return {}

    def unsigned(self, _validator: Endpoint, _owners: Iterable[str]) -> Mapping[str, str]:
        """Vouch for everything."""
        return {}

    def _answer(self, endpoint: Endpoint, owners: tuple[str, ...]) -> ServerSeen:
        line = self.lines[endpoint.address]
        server = line.servers[endpoint.port]
        if server.is_silent:
            return ServerSeen(server.name, error="timed out")
        zone = line.shown(server)
        return ServerSeen(server.name, {owner: zone.get(owner, EMPTY) for owner in owners})


def with_others(ours: Zone, others: Zone) -> Zone:
    """Return what a server shows that has both: one RRset for each owner."""
    found = dict(ours)
    for owner, rrset in others.items():
        known = ours.get(owner, EMPTY)
        found[owner] = Rrset(max(known.ttl_seconds, rrset.ttl_seconds), known.records | rrset.records)
    return found


def _records(views: Views) -> Iterator[TlsaRecord]:
    return (record for view in views for rrset in view.values() for record in rrset.records)
