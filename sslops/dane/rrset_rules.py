"""Which records may come and go: the rules `may_publish` and `may_withdraw` of design section 2, for one name.

A name has *claims*: the services that the inventory asks records for, and those whose records are there from before.
Each {usage, selector, match} must match whatever a host may serve by itself (RFC 7671 section 9), so a combination
comes with all its records at once, and goes as a whole once the others can be relied on.

>>> Needed(frozenset(), ("smtp1",)).is_known
False
"""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING

from sslops.dane.records import CA_USAGES
from sslops.model.cause import Cause

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping
    from datetime import datetime

    from sslops.dane.records import Keys
    from sslops.model.ledger import Ledger, Served
    from sslops.model.names import GenerationId, ServiceId
    from sslops.model.state import Branches, Slots
    from sslops.model.tlsa import TlsaParams, TlsaRecord


@dataclass(frozen=True, slots=True)
class Needed:
    """The generations of a service that some slot or host needs, and the hosts that nothing is known about."""

    ids: frozenset[GenerationId]
    unknown: tuple[str, ...] = ()

    @property
    def is_known(self) -> bool:
        """Whether the list is complete, so that a record outside it may go."""
        return not self.unknown


@dataclass(frozen=True, slots=True)
class NameSeen:
    """What is published under one owner now, by source."""

    base: frozenset[TlsaRecord]
    servers: frozenset[TlsaRecord] = frozenset()
    """What any server shows."""
    proposed: frozenset[TlsaRecord] = frozenset()
    """What a pending or open proposal would add or keep."""
    underway: frozenset[TlsaRecord] = frozenset()
    """The part of it that a run is about to propose, and may be asleep over; an open proposal is ours to replace."""
    everywhere: frozenset[TlsaRecord] = frozenset()
    """What every server shows."""
    synthesised: frozenset[TlsaRecord] = frozenset()
    """What some server makes of a wildcard: it ends with the first record of the name's own."""
    past: frozenset[TlsaRecord] = frozenset()
    """What base ever had: a server that still shows it lags, and nobody else put it there."""
    views: tuple[frozenset[TlsaParams], ...] = ()
    """The combinations that base has in each view; they differ where a view is new."""

    @property
    def surplus(self) -> frozenset[TlsaRecord]:
        """Records of some server that base does not have: it lags, or somebody else put them there.

        Which of the two nobody can tell of one that base had once, so nothing that would leave them alone may go.
        """
        return self.servers - self.base

    @property
    def foreign(self) -> frozenset[TlsaRecord]:
        """Records of some server that no include file of ours ever had."""
        return self.servers - self.past - self.base

    @property
    def is_empty(self) -> bool:
        """Whether the next record would be the first one.

        A proposal that did not land does not count, nor does a server that still shows what base has no more.
        """
        return not self.base and not self._standing

    @property
    def combinations(self) -> frozenset[TlsaParams]:
        """The combinations that whoever looks finds already: one more record of them is a record more to match."""
        views = self.views or (frozenset(record.params for record in self.base),)
        return frozenset.intersection(*views) | {record.params for record in self._standing}

    @property
    def _standing(self) -> frozenset[TlsaRecord]:
        return self.everywhere - self.past - self.base


@dataclass(frozen=True, slots=True)
class Claim:
    """One service at a name: what is needed of it, and the CAs that are published for it whatever it serves.

    *is_asked*: the inventory asks for its records here. *is_listed*: only *standing* may be published (a public CA,
    whose issuers the inventory lists).
    """

    service: ServiceId
    needed: Needed
    is_asked: bool = True
    standing: frozenset[TlsaRecord] = frozenset()
    is_listed: bool = False

    def record(self, owner: str, params: TlsaParams, generation: GenerationId, keys: Keys) -> TlsaRecord | None:
        """Return the record of one generation; null when it cannot be told, or must not be published."""
        if params.usage not in CA_USAGES or not self.is_listed:
            return keys.record(owner, params, self.service, generation)
        listed = keys.matching(owner, params, self.service, generation) & self.standing
        return min(listed, default=None)


@dataclass(frozen=True, slots=True)
class AtName:
    """One name as it should become: its claims and the combinations that the inventory wants, at the moment *now*."""

    owner: str
    wanted: frozenset[TlsaParams]
    claims: tuple[Claim, ...]
    now: datetime
    ready: Mapping[TlsaRecord, datetime] = field(default_factory=dict)
    """Since when, or from when on, no cache can lack a record; for records with evidence."""
    nobodys: frozenset[TlsaRecord] = frozenset()
    """Records in base that are about no generation of ours, and stay."""
    beside: frozenset[TlsaRecord] = frozenset()
    """Records about a CA in base that match what may be served here unasked; they stay as long as their combination."""
    others: Stay | None = None
    """Why something that none of the claims knows may be served, so that no combination can be complete."""


@dataclass(frozen=True, slots=True)
class Stay:
    """Why something does not change now, the cause, and until when (null: no date is known)."""

    why: str
    cause: Cause
    until: datetime | None = None


@dataclass(frozen=True, slots=True)
class Target:
    """The records that a name should have in the next base, and what has to wait."""

    records: frozenset[TlsaRecord]
    stays: tuple[Stay, ...] = ()


def needed(
    service: ServiceId, branches: Branches, ledger: Ledger, serving: Iterable[str], exempt: frozenset[str]
) -> Needed:
    """Collect what must stay published: slots of both branches, and what any host may serve.

    *serving* are the hosts that get the service by the inventory; *exempt* those that only keep copies; one that served
    before counts until it was seen not to. A host that left the inventory counts until its ledger entry ends; a service
    that was never live is served nowhere.
    """
    slots = [branches.main[service].slots, branches.next[service].slots]
    ids = {slot for each in slots for slot in (each.curr, each.next) if slot}
    asked = () if was_never_live(slots) else serving
    unknown = {host for host in asked if _is_unheard_of(ledger.host(host).services.get(service))}
    for host, entry in ledger.hosts_of(service).items():
        if not (host in exempt and entry.is_copy):
            ids |= {generation for generation in entry.may_serve if generation}
            unknown |= {host} if None in entry.may_serve else set()
    return Needed(frozenset(ids), tuple(sorted(unknown)))


def _is_unheard_of(served: Served | None) -> bool:
    """Whether a host that is to serve was never asked: what a keeper of copies begins to show is not known."""
    return served is None or served.is_copy


def was_never_live(slots: Iterable[Slots]) -> bool:
    """Whether no generation of a service, whose *slots* on both branches these are, was ever to be served."""
    return not any(each.curr or each.prev or each.refused for each in slots)


def target(at: AtName, seen: NameSeen, keys: Keys) -> Target:
    """Return the records that the name should have in the next base, and what has to wait.

    Everything needed is there: a record of a combination that is there already may always be added, a new combination
    only as a whole. A record goes only when no slot, no host and no `pending` needs it, and every host is known. What
    a wildcard answered comes along, since it ends with the first record; after that it is like any other in the file.
    """
    lacks = {params: lack(at, params, keys) for params in at.wanted | seen.combinations | _of(seen.base)}
    new = at.wanted - seen.combinations
    coming = frozenset(params for params in new if at.others is None and lacks[params] is None)
    late = [_late(params, lacks[params] or at.others) for params in sorted(new - coming)]
    old, stays = _old(at, seen, lacks, keys)
    copied = _copied(at, seen, keys)
    late += [
        Stay(
            f"no {params} records: others keep copies of managed records beside the include file",
            Cause.UNMANAGED_RECORDS,
        )
        for params in sorted(copied)
    ]
    there = (seen.combinations - copied) | coming
    required = frozenset(record for params in there - old for record in _required(at, params, keys))
    required |= frozenset(record for record in seen.base & at.beside if record.params not in old)
    leaving = frozenset(record for record in seen.base - required - at.nobodys if record.params not in old)
    unknown = frozenset(record for record in leaving if lacks[record.params] is not None)
    if required or at.nobodys or unknown:
        required |= seen.synthesised
    if unknown:
        reasons = {reason for record in unknown if (reason := lacks[record.params])}
        stays += [
            replace(reason, why=f"nothing is withdrawn while {reason.why}")
            for reason in sorted(reasons, key=lambda stay: stay.why)
        ]
    return Target(required | at.nobodys | unknown | (leaving & seen.underway), tuple(late + stays))


def _late(params: TlsaParams, lack: Stay | None) -> Stay:
    """Return why the records of a new combination do not come yet."""
    lack = lack or Stay("not all of it can be published at once", Cause.EARLIER_STEP)
    return replace(lack, why=f"no {params} records yet: {lack.why}")


def _copied(at: AtName, seen: NameSeen, keys: Keys) -> frozenset[TlsaParams]:
    """Return the combinations that nobody asks for and only others have, in records that we would write as well.

    Once they stood in base too nobody could tell any more that they would stay when ours are withdrawn.
    """
    copies = seen.foreign - seen.synthesised
    strange = _of(copies) - at.wanted - _of(seen.base)
    return frozenset(params for params in strange if not copies.isdisjoint(_required(at, params, keys)))


def _required(at: AtName, params: TlsaParams, keys: Keys) -> frozenset[TlsaRecord]:
    """Return every record of one combination that some claim needs, as far as it can be told."""
    made = {claim.record(at.owner, params, each, keys) for claim in at.claims for each in claim.needed.ids}
    standing = {record for claim in at.claims for record in claim.standing if record.params == params}
    return frozenset(record for record in made | standing if record is not None)


def lack(at: AtName, params: TlsaParams, keys: Keys) -> Stay | None:
    """Return why the records of one combination are not complete: something may be served that has none."""
    for claim in at.claims:
        if claim.needed.unknown:
            return Stay(f"{claim.needed.unknown[0]} is not verified", Cause.EARLIER_STEP)
        for each in sorted(claim.needed.ids):
            if not keys.may_be_served(claim.service, each):
                continue
            if params.usage in CA_USAGES and not keys.is_named(at.owner, claim.service, each):
                why = f"the certificate of {claim.service} {each} does not name the host"
                return Stay(why, Cause.UNMATCHABLE)
            if claim.record(at.owner, params, each, keys) is None:
                issuers = "none of its tlsa_issuers is in the chain of" if claim.is_listed else "it cannot be told for"
                return Stay(f"{issuers} {claim.service} {each}", Cause.UNMATCHABLE)
    return None


def _old(
    at: AtName, seen: NameSeen, lacks: Mapping[TlsaParams, Stay | None], keys: Keys
) -> tuple[frozenset[TlsaParams], list[Stay]]:
    """Return the combinations that may go now, all their records at once, and why others stay.

    The ones that take their place must be in every cache first (RFC 7671 section 8), so that at no time a resolver
    that got one answer and not the other is left with nothing that matches.
    """
    unwanted = _of(seen.base) - at.wanted
    what = f"{', '.join(map(str, sorted(unwanted)))} records stay"
    if not unwanted:
        return frozenset(), []
    why = _old_in_the_way(at, seen, lacks, unwanted)
    if why is not None:
        return frozenset(), [replace(why, why=f"{what} {why.why}")]
    ready = [at.ready.get(record) for params in at.wanted for record in _served(at, params, keys)]
    known = [moment for moment in ready if moment is not None]
    if len(known) < len(ready):
        return frozenset(), [Stay(f"{what} until every server shows the new ones", Cause.NOT_LOADED)]
    until = max(known, default=at.now)
    if until > at.now:
        return frozenset(), [Stay(f"{what} until no cache can lack the new ones", Cause.CACHES, until)]
    return unwanted, []


def _old_in_the_way(
    at: AtName, seen: NameSeen, lacks: Mapping[TlsaParams, Stay | None], unwanted: frozenset[TlsaParams]
) -> Stay | None:
    """Return why the combinations *unwanted* cannot go whatever the age of the others is."""
    if not at.wanted <= _of(seen.base) & seen.combinations or any(lacks[params] for params in at.wanted):
        return Stay("until the new ones are published", Cause.EARLIER_STEP)
    if unwanted & (_of(seen.foreign) | _of(at.nobodys)):
        return Stay("beside unmanaged records", Cause.UNMANAGED_RECORDS)
    if unwanted & _of(seen.surplus):
        return Stay("while a server shows more of them than the DNS base has", Cause.NOT_LOADED)
    is_proposed = bool(unwanted & _of(seen.proposed))
    return Stay("because an open proposal has them", Cause.REVIEW) if is_proposed else None


def _served(at: AtName, params: TlsaParams, keys: Keys) -> frozenset[TlsaRecord]:
    """Return the records of one combination for whatever may be served now."""
    made = {
        claim.record(at.owner, params, each, keys)
        for claim in at.claims
        for each in claim.needed.ids
        if keys.may_be_served(claim.service, each)
    }
    return frozenset(record for record in made if record is not None)


def _of(records: Iterable[TlsaRecord]) -> frozenset[TlsaParams]:
    return frozenset(record.params for record in records)
