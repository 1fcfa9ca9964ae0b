"""From what publish decided, and what it looked at, to the merge request about TLSA records."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import timedelta
from typing import TYPE_CHECKING

from sslops.dane.evidence import TTL_FACTOR, ready_at
from sslops.dane.records import CA_USAGES, Index
from sslops.inventory.reach import hosts_serving
from sslops.model.inventory import TlsaIssuer
from sslops.model.names import CA_GROUP, ServiceId
from sslops.model.plan import HazardName
from sslops.model.state import Status
from sslops.model.tlsa import EMPTY
from sslops.plan.digest import digest
from sslops.report.document import listed
from sslops.report.escape import as_code
from sslops.report.merge_request_view import BODY_LIMIT, Deadline, RecordRow, ShownRow, TlsaView
from sslops.report.plan_view import HazardRow
from sslops.report.words import stamp

if TYPE_CHECKING:
    from collections.abc import Iterator
    from datetime import datetime

    from sslops.dane.records import Version
    from sslops.model.plan import Hazard
    from sslops.model.tlsa import TlsaRecord
    from sslops.publish.rules import Publication
    from sslops.publish.world import World

LIVE, ROLLED, ON_DECK, KEY, FORMER, OLD, ISSUER, LISTED, LOST, NOBODYS = (
    "live",
    "rolled, not merged yet",
    "renewed, on deck",
    "key of the certificate after this one",
    "served before",
    "in no slot",
    "certificate authority",
    "issuer that cas.yaml lists",
    "of a generation that is lost",
    "not ours",
)
"""What a record is for."""

_APPEARS = {
    LIVE: "what the hosts serve has no record here yet",
    ROLLED: "it is rolled, and hosts may change to it only when its record is in every cache",
    ON_DECK: "it is renewed, and hosts may change to the new certificate only when its record is in every cache",
    KEY: "its next key is made: with the record in DNS the next renewal needs no change here, and a leaked key can be "
    "replaced at once",
    ISSUER: "it signs what is served there, or may do so next",
    LISTED: "it may sign what is served there",
}
_GOES = "no host, no slot and no open proposal needs it any more"


@dataclass(frozen=True, slots=True)
class _Reader:
    """Tells of each record whose it is and where it is served."""

    world: World
    index: Index

    def version(self, record: TlsaRecord) -> Version | None:
        """Return the generation a record is about: one that a slot names, else the newest."""
        found = self.index.versions(record)
        return max(found, key=lambda each: (each[0].group == CA_GROUP, self._is_in_slot(each), each), default=None)

    def of(self, record: TlsaRecord) -> str:
        """Return whose it is: `group/service generation`, the CA that lists it, or nobody's."""
        version = self.version(record)
        return self._lister(record) if version is None else f"{version[0]} {version[1]}"

    def role(self, record: TlsaRecord) -> str:
        """Return what it is for."""
        version = self.version(record)
        if version is None:
            return LISTED if self._lister(record) else LOST if self._is_lost(record) else NOBODYS
        service, generation = version
        main, deck = self.world.branches.main[service].slots, self.world.branches.next[service]
        if service.group == CA_GROUP:
            return ISSUER
        named = {main.curr: LIVE, deck.slots.curr: LIVE if main.curr == deck.slots.curr else ROLLED}
        if deck.next is not None:
            named.setdefault(deck.next.id, ON_DECK if deck.next.status is Status.ISSUED else KEY)
        return named.get(generation) or (FORMER if generation in {main.prev, deck.slots.prev} else OLD)

    def row(self, record: TlsaRecord, *, appears: bool) -> RecordRow:
        """Return the line about a record that appears or goes."""
        version, role = self.version(record), self.role(record)
        if role in {ISSUER, LISTED}:
            asked = {name.service for name in self.world.owners.names if name.owner == record.owner}
            hosts = self._receiving(asked) if appears else ()
            return RecordRow(appears, record, self.of(record), role, hosts, is_served=True)
        hosts = self._serving(version) if version is not None else ()
        is_served = bool(hosts)
        if version is not None and appears and not hosts:
            hosts = self._receiving({version[0]})
        return RecordRow(appears, record, self.of(record), role, hosts, is_served)

    def _receiving(self, services: set[ServiceId]) -> tuple[str, ...]:
        return tuple(sorted({host.name for each in services for host in hosts_serving(self.world.inventory, each)}))

    def _lister(self, record: TlsaRecord) -> str:
        params, cas = record.params, self.world.inventory.cas.values()
        issuer = TlsaIssuer(params.selector, params.match, record.data)
        return next((ca.name for ca in cas if params.usage in CA_USAGES and issuer in ca.tlsa_issuers), "")

    def _is_lost(self, record: TlsaRecord) -> bool:
        return any(record in seen.written_by_us for seen in self.world.repo.values())

    def _serving(self, version: Version) -> tuple[str, ...]:
        service, generation = version
        entries = sorted(self.world.ledger.hosts.items())
        return tuple(host for host, entry in entries if generation in entry.serves(service).may_serve)

    def _is_in_slot(self, version: Version) -> bool:
        slots = [state[version[0]].slots for state in (self.world.branches.main, self.world.branches.next)]
        return any(version[1] in {each.curr, each.next} for each in slots)


def tlsa_view(found: Publication, world: World, limit: int = BODY_LIMIT) -> TlsaView:
    """Return what the request about *found* says; *world* is what it was decided by."""
    apexes = tuple(sorted(proposal.apex for proposal in found.proposals))
    rows = sorted(_changes(found, world), key=lambda change: (change[1].owner, change[0], change[1]))
    owners = {record.owner for _, record in rows}
    shown = [record for apex in apexes for owner in owners for record in world.current(apex, owner).records]
    params = frozenset(record.params for record in (*shown, *(record for _, record in rows)))
    reader = _Reader(world, Index.of(world.keys, params))
    told = tuple(reader.row(record, appears=not goes) for goes, record in rows)
    seen = [world.seen[apex] for apex in apexes if apex in world.seen]
    caches = timedelta(seconds=TTL_FACTOR * _ttl(owners, found, world))
    return TlsaView(
        apexes=apexes,
        rows=told,
        ttls=tuple(_ttls(found, world)),
        missing=tuple(sorted({path for apex in apexes for path in world.repo[apex].missing})),
        why=tuple(_why(told)),
        shown=tuple(_shown_row(record, reader) for record in sorted(set(shown))),
        servers=tuple(sorted({server.server for each in seen for server in each.servers})),
        hazards=tuple(map(_hazard, found.plan.hazards)),
        accepted=tuple(sorted(_accepted(world))),
        deadline=_deadline(told, caches, world),
        caches=caches,
        digest=digest(found.plan),
        limit=limit,
    )


def _changes(found: Publication, world: World) -> set[tuple[bool, TlsaRecord]]:
    """Return (goes, record) of every difference between the proposals and some view of the base."""
    changes: set[tuple[bool, TlsaRecord]] = set()
    for proposal in found.proposals:
        for view in world.repo[proposal.apex].base.views:
            before = {record for rrset in view.values() for record in rrset.records}
            changes |= {(False, record) for record in proposal.records - before}
            changes |= {(True, record) for record in before - proposal.records}
    return changes


def _ttls(found: Publication, world: World) -> Iterator[tuple[str, int, int]]:
    for proposal in found.proposals:
        for owner, rrset in sorted(proposal.zone.items()):
            before = world.current(proposal.apex, owner)
            if before.records and before.ttl_seconds != rrset.ttl_seconds:
                yield owner, before.ttl_seconds, rrset.ttl_seconds


def _ttl(owners: set[str], found: Publication, world: World) -> int:
    """Return the largest TTL that a cache may hold one of *owners* with."""
    ttls = [0]
    for proposal in found.proposals:
        names = world.entry(proposal.apex).names
        ttls += [names[owner].ttl_seconds for owner in owners if owner in names]
        ttls += [proposal.zone.get(owner, EMPTY).ttl_seconds for owner in owners]
    return max(ttls)


def _why(rows: tuple[RecordRow, ...]) -> Iterator[str]:
    """Yield one sentence for each cause, with the services it concerns."""
    for role, why in _APPEARS.items():
        services = sorted({row.of.partition(" ")[0] for row in rows if row.appears and row.role == role})
        if services:
            yield f"{listed(services)}: {why}."
    gone = sorted({row.of.partition(" ")[0] or "nobody" for row in rows if not row.appears})
    if gone:
        yield f"What goes, of {listed(gone)}: {_GOES}."
    if not rows:
        yield "The include files do not say what the inventory asks for."


def _shown_row(record: TlsaRecord, reader: _Reader) -> ShownRow:
    apex = next((each for each, entry in reader.world.ledger.apexes.items() if record in entry.records), "")
    proof = reader.world.entry(apex).records.get(record)
    since, ready = (None, None) if proof is None else (proof.since, ready_at(proof))
    return ShownRow(record, reader.of(record), since, ready)


def _hazard(hazard: Hazard) -> HazardRow:
    return HazardRow(str(hazard.name), hazard.subject, hazard.why, hazard.consent)


def _accepted(world: World) -> Iterator[str]:
    for name, subject in world.consents.given:
        if name in set(HazardName):
            yield name if subject is None else f"{name}={subject}"


def _deadline(rows: tuple[RecordRow, ...], caches: timedelta, world: World) -> Deadline | None:
    """Return by when the records must be in DNS, so that what is served now can be replaced before it expires.

    That is 2 x TTL, and `min_roll_mins`, before its end: the earliest of all services with a record that appears.
    """
    found: list[tuple[datetime, datetime, ServiceId]] = []
    for row in rows:
        if not row.appears or row.role not in {ROLLED, ON_DECK, KEY}:
            continue
        service = ServiceId.parse(row.of.partition(" ")[0])
        curr = world.branches.main[service].curr
        if curr is None or curr.issued is None:
            continue
        known = world.inventory.services.get(service)
        minutes = timedelta(minutes=known.min_roll_minutes if known else 0)
        found.append((curr.issued.not_after - max(caches, minutes), curr.issued.not_after, service))
    if not found:
        return None
    at, ends, service = min(found)
    return Deadline(at, f"{as_code(str(service))} ends {stamp(ends)}, and caches need their time before")
