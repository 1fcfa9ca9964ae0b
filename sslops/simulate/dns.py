"""The DNS repository, the name servers that load it, and every cache that asked one of them.

A cache may have asked any server at any moment. So it is remembered when each RRset was last shown; until its TTL is
over, some cache holds it. `Clone` and `Resolver` are what one run has of all this: the ports of `sslops.publish`,
`sslops.probe` and `sslops.deploy`.
"""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from datetime import timedelta
from functools import lru_cache
from typing import TYPE_CHECKING

from sslops.dane.wildcards import is_host, joined, names_above
from sslops.dane.zonefile import parse_lines, render
from sslops.errors import DnsError, Moved
from sslops.model.inventory import Endpoint
from sslops.model.observations import BaseCommit, DnsRepoSeen, ServerSeen, Surroundings, WildcardAnswer
from sslops.model.proposal import CARRIED
from sslops.model.tlsa import EMPTY, Rrset
from sslops.simulate.branch import Head

if TYPE_CHECKING:
    from collections.abc import Callable, Collection, Iterable, Iterator, Mapping
    from datetime import datetime

    from sslops.model.observations import Zone
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
    is_dead: bool = False
    """Whether it answers nobody any more, until another one takes its place."""
    is_ipv6_only: bool = False


@dataclass(slots=True)
class Line:
    """What the include files of one apex went through, and who shows them."""

    commits: list[BaseCommit]
    servers: list[NameServer]
    mx: tuple[str, ...] = ()
    is_unheard: bool = False
    """Whether nobody tells us its MX hosts, so that it cannot be observed."""
    beside: list[Views] = field(default_factory=list)
    """What others kept in the zone file of each folder, beside the include file, oldest first; empty: never a thing."""
    places: list[int] = field(default_factory=lambda: [0])
    """For each commit of the base, in order, which of `commits` was in force."""

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
    """The repository, its branches of proposals, the servers and the caches."""

    lines: dict[str, Line]
    bases: list[str] = field(default_factory=lambda: ["c0"])
    """Every commit that the base has been, in order."""
    known: dict[str, int] = field(default_factory=lambda: {"c0": 0})
    """Each commit of the base to its number, also what it was called before this world began."""
    head: Head | None = None
    """Where `sslops/tlsa` points; null when there is none."""
    heads_made: int = 0
    now: datetime | None = None
    """The moment, as far as this world knows it; commits of the base are dated by it."""
    ours: set[TlsaRecord] = field(default_factory=set)
    """Every record that the engine ever wrote for a generation or an issuer, and said so behind it."""
    cached: dict[tuple[str, Rrset], datetime] = field(default_factory=dict)
    untrusted: set[str] = field(default_factory=set)
    """The owners that no validating resolver vouches for."""
    asked: frozenset[str] = frozenset()
    """The owners that clients may ask for although they do not exist: a wildcard may answer."""

    # What happens to it.

    def keep_beside(self, apex: str, views: Views) -> None:
        """Let others change what they keep beside the include file: a commit of the base that leaves ours as it is."""
        line = self.lines[apex]
        line.beside += [views] if line.beside else [({},) * len(views), views]
        self.commit({})

    def commit(self, changes: Mapping[str, Views]) -> None:
        """Add a commit to the base."""
        name = f"c{len(self.bases)}"
        self.known[name] = len(self.bases)
        self.bases.append(name)
        for apex, line in self.lines.items():
            if apex in changes and changes[apex] != line.views:
                line.commits.append(BaseCommit(name, changes[apex], self.now))
            line.places.append(len(line.commits) - 1)

    def move(self, content: Content, start: Content | None) -> str:
        """Move the branch of proposals to a commit that nobody saw before; return its name."""
        self.heads_made += 1
        self.head = Head(f"h{self.heads_made}", content, start)
        return self.head.commit

    @property
    def content(self) -> Content:
        """What the base has now, by apex."""
        return {apex: line.views for apex, line in self.lines.items()}

    def content_at(self, number: int) -> Content:
        """Return what the base had after so many commits."""
        return {apex: line.commits[line.places[number]].views for apex, line in self.lines.items()}

    @property
    def base_moves(self) -> int:
        """How often the base moved."""
        return len(self.bases) - 1

    @property
    def is_open(self) -> bool:
        """Whether a merge of the branch would change something."""
        return self.head is not None and any(self.head.brings(apex, self.content) for apex in self.lines)

    # What people do to a proposal.

    def merge(self, squashes: bool = False) -> bool:  # noqa: FBT001, FBT002  (it takes no other)
        """Merge what the branch brings; false when it brings nothing, or when git finds a conflict."""
        merged = self.head.merged(self.content) if self.head is not None and self.is_open else None
        if self.head is None or merged is None:
            return False
        self.commit(merged)
        if not squashes:
            self.head = replace(self.head, start=None)
        return True

    def delete_branch(self) -> None:
        """Delete the proposal branch, as forges do after a merge, or a person at any time."""
        self.head = None

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
        self.now = now
        for line in self.lines.values():
            for server in (each for each in line.servers if not each.is_dead):
                zone = line.shown(server)
                made = {owner: answered(zone, owner) for owner in self.asked} if any(map(is_wildcard, zone)) else {}
                for owner, rrset in (*zone.items(), *made.items()):
                    if rrset.records and not is_wildcard(owner):
                        self.cached[owner, rrset] = now
        over = [key for key, at in self.cached.items() if now > at + timedelta(seconds=key[1].ttl_seconds)]
        for key in over:
            del self.cached[key]


@dataclass(slots=True)
class Clone:
    """The DNS repository as one run fetched it; every push compares with what is there by then."""

    dns: Dns
    number: int = field(init=False)
    """Which commit of the base was fetched."""
    fetched: Head | None = field(init=False)

    def __post_init__(self) -> None:
        """Fetch."""
        self.refresh()

    def refresh(self) -> None:
        """Fetch again."""
        self.number, self.fetched = self.dns.base_moves, self.dns.head

    @property
    def base(self) -> str:
        """The commit of the base as fetched."""
        return self.dns.bases[self.number]

    @property
    def head(self) -> str | None:
        """The commit of the branch of proposals as fetched."""
        return None if self.fetched is None else self.fetched.commit

    def require_own_hands(self) -> None:
        """Find nobody else's commits: in this world people leave the branch alone, or delete it."""

    def paths(self, apex: str) -> tuple[str, ...]:
        """Return the include files of *apex*, one in each folder."""
        return tuple(f"{folder}/tlsa.{apex}" for folder in range(len(self.dns.lines[apex].views)))

    def apex(self, apex: str, anchors: Collection[str] = ()) -> DnsRepoSeen:
        """Return what was fetched of *apex*."""
        line = self.dns.lines[apex]
        history = tuple(line.commits[: line.places[self.number] + 1])
        places = {name: self.dns.known[name] for name in {*anchors, self.base} if name in self.dns.known}
        views = () if self.fetched is None else self.fetched.brings(apex, self._content)
        ours = frozenset(record for record in _records(history[-1].views) if record in self.dns.ours)
        return DnsRepoSeen(
            base=BaseCommit(self.base, history[-1].views),
            history=history,
            line={name: line.places[number] for name, number in places.items() if number <= self.number},
            head=BaseCommit(self.head or "", tuple(view for found in views for view in found)) if views else None,
            head_commit=self.head,
            written_by_us=ours,
            maybe_by_us=ours,
        )

    def include(self, apex: str) -> bytes | None:
        """Return the include file of *apex*, from the first folder."""
        return _rendered(self._content[apex][0])

    def brings(self, zones: Mapping[str, Zone]) -> bool:
        """Whether a merge of the branch makes the base have just this, and nothing else."""
        return self.fetched is not None and self.fetched.has_exactly(zones, self._content)

    def base_says(self, zones: Mapping[str, Zone]) -> bool:
        """Whether every folder has just this."""
        content = self._content
        return all(view == zone for apex, zone in zones.items() for view in content[apex])

    def is_open(self, apexes: Iterable[str] | None = None) -> bool:
        """Whether a merge of the branch would change something of *apexes*, or of any."""
        chosen = self.dns.lines if apexes is None else apexes
        return self.fetched is not None and any(self.fetched.brings(apex, self._content) for apex in chosen)

    def publish(self, base: str, head: str | None, files: Mapping[str, bytes], message: str) -> str:
        """Move base and branch to *files* at once; Moved when either is another one by now."""
        if base != self.dns.bases[-1]:
            message = "the DNS base moved"
            raise Moved(message)
        self._expect(head)
        self.dns.commit(self._changed(self.dns.content, files, message))
        self.dns.move(self.dns.content, None)
        self.refresh()
        return self.base

    def propose(self, base: str, head: str | None, files: Mapping[str, bytes], message: str) -> str:
        """Move the branch to *files* on *base*; Moved when it is another one by now."""
        self._expect(head)
        start = self.dns.content_at(self.dns.known[base])
        self.dns.move({**start, **self._changed(start, files, message)}, start)
        self.fetched = self.dns.head
        return self.fetched.commit if self.fetched is not None else ""

    def fence(self, head: str | None, _message: str) -> str:
        """Move the branch by an empty commit on the base as fetched; Moved when it is another one by now."""
        self._expect(head)
        moved = self.dns.move(self._content, self._content)
        self.fetched = self.dns.head
        return moved

    @property
    def _content(self) -> Content:
        return self.dns.content_at(self.number)

    def _expect(self, head: str | None) -> None:
        if head != (None if self.dns.head is None else self.dns.head.commit):
            message = "the branch of proposals moved"
            raise Moved(message)

    def _changed(self, content: Content, files: Mapping[str, bytes], message: str) -> dict[str, Views]:
        """Return what *files* make of *content*, and remember which records they bring, but for those of wildcards."""
        carried = {line.removeprefix(f"{CARRIED}: ") for line in message.split("\n") if line.startswith(CARRIED)}
        views: dict[str, list[Zone]] = {}
        for path, found in files.items():
            folder, _, name = path.partition("/")
            apex = name.removeprefix("tlsa.")
            zone = _read(found)
            brought = set(_records((zone,))) - set(_records(content[apex]))
            self.dns.ours |= {record for record in brought if str(record) not in carried}
            views.setdefault(apex, list(content[apex]))[int(folder)] = zone
        return {apex: tuple(found) for apex, found in views.items()}


@dataclass(frozen=True, slots=True)
class Resolver:
    """The name servers as one run asks them, from where there is IPv6 or not; *behind* tells a host's addresses."""

    dns: Dns
    behind: Callable[[str], tuple[str, ...]]
    has_ipv6: bool = True

    def name_servers(self, apex: str, _primary: Endpoint | None, _fixed: tuple[Endpoint, ...]) -> Servers:
        """Return the servers of *apex*; it is kept in the port, which nothing else needs."""
        return {server.name: (Endpoint(apex, place),) for place, server in enumerate(self.dns.lines[apex].servers)}

    def mx(self, apex: str, _via: Endpoint | None) -> tuple[str, ...]:
        """Return the MX hosts of *apex*; DnsError where nobody tells them."""
        if self.dns.lines[apex].is_unheard:
            raise DnsError(f"nobody tells the MX of '{apex}'")
        return tuple(sorted(self.dns.lines[apex].mx))

    def addresses(self, host: str, _via: Endpoint | None) -> tuple[str, ...]:
        """Return the addresses of *host*."""
        return self.behind(host)

    def tlsa(self, servers: Mapping[str, tuple[Endpoint, ...]], owners: Iterable[str]) -> tuple[ServerSeen, ...]:
        """Ask every server for every owner; one that has left meanwhile gives no answer."""
        asked = tuple(owners)
        return tuple(self._answer(name, endpoint, asked) for name, (endpoint,) in servers.items())

    def tlsa_of_zones(
        self, zones: Mapping[str, tuple[Servers, tuple[str, ...]]]
    ) -> Mapping[str, tuple[ServerSeen, ...]]:
        """Ask zone by zone."""
        return {apex: self.tlsa(servers, owners) for apex, (servers, owners) in zones.items()}

    def surroundings(
        self, servers: Mapping[str, tuple[Endpoint, ...]], apex: str, owners: Iterable[str]
    ) -> Mapping[str, Surroundings]:
        """Return for each of *owners* what its existence decides, as the servers that answer tell."""
        return {
            owner: joined([self._around(owner, apex, endpoint) for (endpoint,) in servers.values()])
            for owner in sorted(set(owners))
        }

    def _around(self, owner: str, apex: str, endpoint: Endpoint) -> Surroundings:
        server = self._reached(endpoint)
        if server is None:
            return Surroundings(error="timed out")
        zone = self.dns.lines[apex].shown(server)
        ending = (_made_below(zone, name) for name in names_above(owner, apex) if not is_host(name))
        return Surroundings(tuple(each for each in ending if each is not None), tuple(_uncovered(zone, owner, apex)))

    def unsigned(self, _validator: Endpoint, owners: Iterable[str]) -> Mapping[str, str]:
        """Vouch for everything that is trusted."""
        return {owner: "its chain is broken" for owner in owners if owner in self.dns.untrusted}

    def _answer(self, name: str, endpoint: Endpoint, owners: tuple[str, ...]) -> ServerSeen:
        server = self._reached(endpoint)
        if server is None:
            return ServerSeen(name, error="timed out")
        zone = self.dns.lines[endpoint.address].shown(server)
        return ServerSeen(name, {owner: answered(zone, owner) for owner in owners})

    def _reached(self, endpoint: Endpoint) -> NameServer | None:
        """Return the server that answers there; null when none does."""
        servers = self.dns.lines[endpoint.address].servers
        server = servers[endpoint.port] if endpoint.port < len(servers) else None
        if server is None or server.is_silent or server.is_dead or (server.is_ipv6_only and not self.has_ipv6):
            return None
        return server


def with_others(ours: Zone, others: Zone) -> Zone:
    """Return what a server shows that has both: one RRset for each owner."""
    found = dict(ours)
    for owner, rrset in others.items():
        known = ours.get(owner, EMPTY)
        found[owner] = Rrset(max(known.ttl_seconds, rrset.ttl_seconds), known.records | rrset.records)
    return found


def is_wildcard(owner: str) -> bool:
    """Whether records of *owner* answer for names that do not exist."""
    return owner.startswith("*.")


def answered(zone: Zone, owner: str) -> Rrset:
    """Return what a server with *zone* answers for *owner*: its own records, else what a wildcard makes of its own.

    That is the one below the nearest name above that exists (RFC 4592 section 3.3.1). A host exists, whatever records
    of its ports there are; `_tcp` below it does with any of them.
    """
    own = zone.get(owner, EMPTY)
    if own.records:
        return own
    above = owner
    while not is_host(above):
        above = above.partition(".")[2]
        if is_host(above) or _exists(above, zone):
            return _made(zone.get(f"*.{above}", EMPTY), owner, f"*.{above}")
    return EMPTY


def _exists(name: str, zone: Zone) -> bool:
    return any(rrset.records and owner.endswith(f".{name}") for owner, rrset in zone.items())


def _made(rrset: Rrset, owner: str, wildcard: str) -> Rrset:
    """Return what a wildcard with *rrset* gives *owner*."""
    if not rrset.records:
        return EMPTY
    return Rrset(rrset.ttl_seconds, frozenset(replace(each, owner=owner) for each in rrset.records), wildcard)


def _made_below(zone: Zone, name: str) -> WildcardAnswer | None:
    """Return what a wildcard that stands above *name*, which does not exist, gives names below it."""
    made = answered(zone, f"_nobody.{name}")
    is_its_own = made.wildcard is None or made.wildcard == f"*.{name}"
    return None if is_its_own else _wildcard_answer(made, f"*.{name}")


def _uncovered(zone: Zone, owner: str, apex: str) -> Iterator[WildcardAnswer]:
    """Yield what the nearest wildcard gives *owner* once it has no records of its own: `_tcp` may end with it."""
    for name in names_above(owner, apex):
        made = _made(zone.get(f"*.{name}", EMPTY), owner, f"*.{name}")
        if made.records:
            yield _wildcard_answer(made, owner)
        if made.records or is_host(name):
            return


def _wildcard_answer(made: Rrset, name: str) -> WildcardAnswer:
    records = tuple(sorted(f"{each.params} {each.data}" for each in made.records))
    return WildcardAnswer(name, "TLSA", made.ttl_seconds, records, made.wildcard or "")


def _records(views: Views) -> Iterator[TlsaRecord]:
    return (record for view in views for rrset in view.values() for record in rrset.records)


@lru_cache(4096)
def _read(content: bytes) -> Zone:
    """Return the zone of an include file."""
    return parse_lines(content.decode()) or {}


def _rendered(zone: Zone) -> bytes:
    return _text(tuple(sorted(zone.items())))


@lru_cache(4096)
def _text(rrsets: tuple[tuple[str, Rrset], ...]) -> bytes:
    return render(dict(rrsets), lambda _: "").encode()
