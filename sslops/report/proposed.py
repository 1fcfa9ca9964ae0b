"""From what the stages know to the views of their merge requests: TLSA records, challenges, rolls."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import timedelta
from typing import TYPE_CHECKING

from sslops.dane.evidence import TTL_FACTOR, ready_at
from sslops.dane.names import covers
from sslops.dane.records import CA_USAGES, Index, Keys
from sslops.inventory.reach import deliveries, hosts_serving
from sslops.model.inventory import TlsaIssuer
from sslops.model.names import CA_GROUP, ServiceId
from sslops.model.plan import HazardName, digest
from sslops.model.state import Status
from sslops.model.tlsa import EMPTY
from sslops.report.merge_request import (
    BODY_LIMIT,
    AcmeView,
    ChallengeRow,
    Deadline,
    HostRow,
    RecordRow,
    RollRow,
    RollView,
    ShownRow,
    TlsaView,
)
from sslops.report.plan import HazardRow
from sslops.report.text import as_code, for_markdown, listed, stamp
from sslops.roll.rules import does_not_last

if TYPE_CHECKING:
    from collections.abc import Collection, Iterable, Iterator, Mapping
    from datetime import datetime

    from sslops.dane.records import Material, Version
    from sslops.dane.rrset_inputs import World
    from sslops.inventory.reach import Delivery
    from sslops.model.acme import Proof
    from sslops.model.inventory import Inventory
    from sslops.model.ledger import Ledger
    from sslops.model.plan import Hazard
    from sslops.model.state import Branches, Generation, ServiceState
    from sslops.model.tlsa import TlsaRecord
    from sslops.publish.rules import Publication


Record = tuple[str, str]
"""Owner and value of a TXT record."""


@dataclass(frozen=True, slots=True)
class Wanted:
    """One proof that is to be shown as TXT at *owner*, for the order of one generation."""

    proof: Proof
    owner: str
    service: ServiceId
    generation: Generation

    @property
    def record(self) -> Record:
        """Owner and value."""
        return self.owner, self.proof.value


def acme_view(
    wanted: Collection[Wanted],
    present: Collection[Record],
    digest: str,
    limit: int = BODY_LIMIT,
    carried: Collection[str] = (),
) -> AcmeView:
    """Return what the request says that brings the include files from *present* to *wanted*.

    *carried* are the lines that come with them, in place of a wildcard's.
    """
    new = sorted((each for each in wanted if each.record not in present), key=lambda each: (each.owner, each.proof))
    gone = sorted(set(present) - {each.record for each in wanted})
    rows = [_challenge_row(each) for each in new] + [
        ChallengeRow(False, owner, value, "", "", "") for owner, value in gone
    ]
    services = tuple(sorted({each.service for each in new}))
    return AcmeView(tuple(rows), services, _order_deadline(new), digest, limit, tuple(sorted(carried)))


def _challenge_row(each: Wanted) -> ChallengeRow:
    of = f"{each.service} {each.generation.id}"
    return ChallengeRow(True, each.owner, each.proof.value, each.proof.name, of, each.generation.ca)


def _order_deadline(new: Collection[Wanted]) -> Deadline | None:
    orders = [
        (each.generation.order.expires, each.service, each.generation.ca) for each in new if each.generation.order
    ]
    if not orders:
        return None
    at, service, ca = min(orders)
    return Deadline(at, f"the order of {as_code(str(service))} at {as_code(ca)} ends then")


LIVE, ROLLED, STAGED, KEY, FORMER, OLD, ISSUER, LISTED, LOST, NOBODYS = (
    "live",
    "rolled, not merged yet",
    "renewed, staged",
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
    STAGED: "it is renewed, and hosts may change to the new certificate only when its record is in every cache",
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
        """Return whose it is: `group/service generation`, the CA that lists it, or that it is unmanaged."""
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
            named.setdefault(deck.next.id, STAGED if deck.next.status is Status.ISSUED else KEY)
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
        why=tuple(_record_causes(told)),
        shown=tuple(_shown_row(record, reader) for record in sorted(set(shown))),
        servers=tuple(sorted({server.server for each in seen for server in each.servers})),
        hazards=tuple(map(_hazard, found.plan.hazards)),
        accepted=tuple(sorted(_accepted(world))),
        deadline=_record_deadline(told, caches, world),
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


def _record_causes(rows: tuple[RecordRow, ...]) -> Iterator[str]:
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


def _record_deadline(rows: tuple[RecordRow, ...], caches: timedelta, world: World) -> Deadline | None:
    """Return by when the records must be in DNS, so that what is served now can be replaced before it expires.

    That is 2 x TTL, and `min_roll_mins`, before its end: the earliest of all services with a record that appears.
    """
    found: list[tuple[datetime, datetime, ServiceId]] = []
    for row in rows:
        if not row.appears or row.role not in {ROLLED, STAGED, KEY}:
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


_WHY = {
    "first": "it has no certificate yet",
    "due": "the present certificate was due for renewal",
    "forced": "somebody asked for a new certificate",
    "new-key": "somebody asked for a new key",
    "ca-changed": "the inventory names another CA",
    "inventory-changed": "the inventory asks for another certificate",
    "standing-key": "the present certificate was due for renewal; its key was ready beforehand",
    "csr-changed": "the inventory asks for another certificate",
}
"""The reasons of `sslops.issue.rules.Reason`, as a reviewer reads them."""
_READY = "a new certificate is ready"


def roll_view(
    inventory: Inventory,
    branches: Branches,
    ledger: Ledger,
    digest: str,
    material: Mapping[Version, Material] | None = None,
    limit: int = BODY_LIMIT,
) -> RollView:
    """Return what the request about every roll that `main` lacks says; *digest* is that of the rolls."""
    rolled = tuple(_rolled(branches))
    backs = {service for service, _ in rolled if _is_back(service, branches)}
    rows = tuple(_roll_row(service, branches.main[service], new, is_back=service in backs) for service, new in rolled)
    shown = tuple(_shown(rolled, Keys.of(branches, material), ledger))
    names = {service for service, _ in rolled}
    return RollView(
        rows=rows,
        why=(
            *_roll_causes([each for each in rolled if each[0] not in backs]),
            *_why_back(inventory, branches, rolled, backs),
        ),
        hosts=tuple(_host(each, names) for each in deliveries(inventory) if names & set(each.services)),
        shown=shown,
        lacking=tuple(sorted({row.record.owner for row in shown if row.since is None})),
        deadline=_roll_deadline(rows),
        digest=digest,
        limit=limit,
    )


def _rolled(branches: Branches) -> Iterator[tuple[ServiceId, Generation]]:
    for service in sorted(branches.next.services):
        state = branches.next[service]
        if state.curr is not None and state.curr.issued and state.curr.id != branches.main[service].slots.curr:
            yield service, state.curr


def _is_back(service: ServiceId, branches: Branches) -> bool:
    """Whether what main has of *service* is what somebody took back."""
    live = branches.main[service].slots.curr
    return live is not None and live == branches.next[service].slots.refused


def _why_back(
    inventory: Inventory, branches: Branches, rolled: Iterable[tuple[ServiceId, Generation]], backs: set[ServiceId]
) -> Iterator[str]:
    """Yield a sentence for each roll that is taken back, and whether what was live before can stay so."""
    for service, former in rolled:
        if service in backs:
            passing = does_not_last(inventory, service, former)
            live = as_code(str(branches.main[service].slots.curr))
            taken = f"{as_code(str(service))}: the roll to {live} is taken back."
            yield f"{taken} {for_markdown(passing[:1].upper() + passing[1:])}." if passing else taken


def _roll_causes(rolled: Iterable[tuple[ServiceId, Generation]]) -> Iterator[str]:
    """Yield one sentence for each cause, with the services it concerns."""
    causes: dict[str, list[str]] = {}
    for service, new in rolled:
        causes.setdefault(_WHY.get(new.reason, _READY), []).append(str(service))
    for why, services in sorted(causes.items()):
        yield f"{listed(services)}: {why}."


def _roll_row(service: ServiceId, main: ServiceState, new: Generation, *, is_back: bool) -> RollRow:
    old, issued = main.curr, new.issued
    if issued is None:
        message = f"'{service}' is rolled without a certificate"
        raise ValueError(message)
    before = set(old.issued.sans) if old and old.issued else set()
    names = [f"+{name}" for name in issued.sans if old and name not in before]
    names += sorted(f"-{name}" for name in before - set(issued.sans))
    return RollRow(
        service=service,
        curr=old.id if old else "",
        generation=new.id,
        curr_ends=old.issued.not_after if old and old.issued else None,
        not_before=issued.not_before,
        not_after=issued.not_after,
        key=_key(old, new),
        issuer=issued.issuer,
        names=tuple(names),
        is_back=is_back,
    )


def _key(old: Generation | None, new: Generation) -> str:
    kind = " ".join(as_code(word) for word in (new.key_type, new.key_size) if word)
    if old is None:
        return kind
    if old.spki_sha256 == new.spki_sha256:
        return f"the same, {kind}"
    was = " ".join(as_code(word) for word in (old.key_type, old.key_size) if word)
    return f"new, {kind}" if was == kind else f"new, {kind} (was {was})"


def _host(delivery: Delivery, rolled: set[ServiceId]) -> HostRow:
    parts = [part for part in delivery.parts if rolled & part.services]
    restarts = dict.fromkeys(" ".join(command) for part in parts for command in part.restart_cmd)
    ports = dict.fromkeys(str(part.verify.port) for part in parts if part.serves and part.verify)
    serves = bool(rolled & delivery.serving)
    proof = f"verified: port {', '.join(ports)}" if ports else "verified: hash of its files"
    if not ports and not serves:
        proof = "not verified: it keeps copies"
    services = tuple(str(service) for service in delivery.services if service in rolled)
    return HostRow(delivery.host.name, services, tuple(restarts), proof)


def _shown(rolled: Iterable[tuple[ServiceId, Generation]], keys: Keys, ledger: Ledger) -> Iterator[ShownRow]:
    """Yield the records of what is rolled at each of its names on the ledger; *since* null where there is none."""
    known = {record: proof for entry in ledger.apexes.values() for record, proof in entry.records.items()}
    index = Index.of(keys, frozenset(record.params for record in known))
    for service, new in rolled:
        mine = {(record.owner, record.params) for record in known if _tells_of(record, service, new, index)}
        for owner, params in sorted(mine):
            wanted = sorted(keys.matching(owner, params, service, new.id))
            found = [record for record in wanted if record in known] or wanted[:1]
            for record in found:
                proof = known.get(record)
                since, ready = (None, None) if proof is None else (proof.since, ready_at(proof))
                yield ShownRow(record, f"{service} {new.id}", since, ready)


def _tells_of(record: TlsaRecord, service: ServiceId, new: Generation, index: Index) -> bool:
    """Whether *record* means that *service* has its name: a CA says so only of names in the certificate."""
    if not any(each == service for each, _ in index.versions(record)):
        return False
    sans = new.issued.sans if new.issued else ()
    return record.params.usage not in CA_USAGES or covers(sans, record.owner)


def _roll_deadline(rows: tuple[RollRow, ...]) -> Deadline | None:
    found = [(row.curr_ends, row.service) for row in rows if row.curr_ends is not None]
    if not found:
        return None
    at, service = min(found)
    return Deadline(at, f"the certificate of {as_code(str(service))} that is served now ends then")
