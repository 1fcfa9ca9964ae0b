"""May a host serve a generation? The rule `may_serve` of design section 2, for one service.

For every name of the service, every {usage, selector, match} that a cache may hold must have the generation's record:
aged, on every server now, and in whatever the DNS base may become. A name that is free of TLSA asks nothing.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import UTC, datetime
from functools import cached_property
from typing import TYPE_CHECKING

from sslops.dane.evidence import free_at, gone_at, had_records, is_broken, proposals, ready_at
from sslops.dane.names import covering, covers
from sslops.dane.records import CA_USAGES, Index
from sslops.model.cause import Cause
from sslops.model.derived import grouped
from sslops.model.ledger import ApexEntry
from sslops.model.names import format_time
from sslops.model.plan import Hazard, HazardName, Verb

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

    from sslops.dane.names import DaneName
    from sslops.dane.records import Keys, Version
    from sslops.model.ledger import Ledger, NameEntry
    from sslops.model.names import GenerationId, ServiceId
    from sslops.model.observations import ApexSeen
    from sslops.model.tlsa import TlsaParams, TlsaRecord


@dataclass(frozen=True, slots=True)
class Verdict:
    """Whether a step may happen now; if not, until when it waits (null: no date is known), why, and its cause."""

    allowed: bool
    until: datetime | None = None
    why: str = ""
    hazard: Hazard | None = None
    cause: Cause = Cause.EARLIER_STEP


ApexOwner = tuple[str, str]
"""A name: the apex whose include file it is in, and the owner."""

YES = Verdict(allowed=True)


def refused(why: str, cause: Cause, until: datetime | None = None, hazard: Hazard | None = None) -> Verdict:
    """Return the verdict that a step may not happen now."""
    return Verdict(allowed=False, until=until, why=why, hazard=hazard, cause=cause)


@dataclass(frozen=True)
class Gate:
    """Everything the rule needs: ledger *after* the look, the looks by apex, the public keys, and the moment.

    It is asked service by service, so what does not depend on the service is found out once.
    """

    ledger: Ledger
    seen: Mapping[str, ApexSeen]
    keys: Keys
    names: tuple[DaneName, ...]
    now: datetime
    blind: Mapping[ServiceId, str] = field(default_factory=dict)
    """Services with DANE whose names could not be found out, and why: they may not change."""
    new_at: Mapping[str, frozenset[ServiceId]] = field(default_factory=dict)
    """Host to the services that it is to show and was never proven to show: in the place of others, for all we know."""
    mute: frozenset[str] = frozenset()
    """Apexes of active groups that could not be observed."""
    _asked: frozenset[str] = field(init=False)
    given_up: Mapping[tuple[str, str], frozenset[ServiceId]] = field(init=False)
    """(apex, owner) of every name that nobody asks for any more and some cache may know, with the services that have or
    had records there as far as that can be told."""

    def __post_init__(self) -> None:
        """Look through all names once."""
        object.__setattr__(self, "_asked", frozenset(name.owner for name in self.names))
        object.__setattr__(self, "given_up", dict(self._find_given_up()))

    def may_serve(self, service: ServiceId, generation: GenerationId, host: str | None = None) -> Verdict:
        """Return whether hosts may serve *generation* of *service*, judged over all of the service's names.

        With *host* also over the names given up whose port there *service* may take over.
        """
        if service in self.blind:
            return refused(self.blind[service], Cause.DNS_UNOBSERVED)
        own = self.names_of(service)
        inherited = () if host is None else self._given_up_near(service, host)
        verdicts = [self._name(*name, service, generation) for name in own]
        verdicts += [self._inherited(*name, service, generation) for name in inherited if name not in own]
        return slowest([*verdicts, *self._beside(service, generation)])

    def names_of(self, service: ServiceId) -> tuple[tuple[str, str], ...]:
        """Return (apex, owner) of every name the service has by the inventory, or has records under today."""
        return tuple(sorted({*self._wanted.get(service, ()), *self._names_in_use(service)}))

    def _names_in_use(self, service: ServiceId) -> Iterable[ApexOwner]:
        yield from self._in_use.get(service, ())
        yield from ((service.group, owner) for owner in self._unseen_emptied.get(service.group, ()))

    @cached_property
    def _wanted(self) -> Mapping[ServiceId, tuple[ApexOwner, ...]]:
        return grouped((name.service, (name.apex, name.owner)) for name in self.names)

    @cached_property
    def _wanted_by_host(self) -> Mapping[str, tuple[ApexOwner, ...]]:
        """What the inventory asks for, by what a certificate may call the host: its name, or the wildcard for it."""
        return grouped((san, (name.apex, name.owner)) for name in self.names for san in covering(name.owner))

    def _beside(self, service: ServiceId, generation: GenerationId) -> Iterable[Verdict]:
        """Yield how long *service* waits at names that only others ask for, where the record of its CA is young.

        Its certificate may be met there too if it had `dane_tls` before, and matches by that record once no cache lacks
        it. That it ever had any nobody can tell by the record of a CA, so nothing else there holds it up.
        """
        if (service, generation) not in self.keys.generations:
            return
        issued = self.keys.generations[service, generation].issued
        sans = {san.lower() for san in issued.sans} if issued is not None else set[str]()
        named = frozenset[ApexOwner]().union(*(self._wanted_by_host.get(san, ()) for san in sans))
        for apex, owner in sorted(named.difference(self._wanted.get(service, ()))):
            seen, entry = self.seen.get(apex), self.ledger.apex(apex) or ApexEntry()
            if seen is None:
                continue
            records = {record for rrset in seen.repo.base.rrsets(owner) for record in rrset.records}
            for params in sorted({record.params for record in records if record.params.usage in CA_USAGES}):
                matching = sorted(records & self.keys.matching(owner, params, service, generation))
                verdict = _soonest(self._record(each, service, generation, entry, seen) for each in matching)
                if verdict.until is not None:
                    yield verdict

    def _given_up_near(self, service: ServiceId, host: str) -> Iterable[tuple[str, str]]:
        """Return the names given up that *service* may be met under when it first comes to *host*.

        A service that is renamed when its DANE ends comes under a name that asks for nothing there.
        """
        if service not in self.new_at.get(host, ()):
            return
        there = self.ledger.host(host).services.keys()
        for (apex, owner), former in self.given_up.items():
            is_known = apex in self.seen or apex in self.mute
            if (is_known and is_near(apex, owner, service, self.keys)) or former & there:
                yield apex, owner

    def _inherited(self, apex: str, owner: str, service: ServiceId, generation: GenerationId) -> Verdict:
        """Return the verdict on a name given up: its records are withdrawn soon, so to miss one is no hazard."""
        verdict = self._name(apex, owner, service, generation)
        if verdict.hazard is None or verdict.hazard.name is not HazardName.TLSA_MISSING:
            return verdict
        why = f"{owner} is no longer requested and still has records, and {service} may come there"
        return refused(why, Cause.EARLIER_STEP)

    def _find_given_up(self) -> Iterable[tuple[tuple[str, str], frozenset[ServiceId]]]:
        """Yield names that have or had records of ours and are requested by nobody; where DNS is unobserved, all."""
        asked = {(name.apex, name.owner) for name in self.names}
        for apex, traces in self._traces.items():
            left = frozenset(record for record in traces if (apex, record.owner) not in asked)
            written = self.seen[apex].repo.written_by_us if apex in self.seen else left
            found: dict[str, set[ServiceId]] = {owner: set() for owner in self._emptied(apex)}
            for record in left:
                versions = self._index.versions(record)
                if versions or record in written:
                    found.setdefault(record.owner, set()).update(service for service, _ in versions)
            yield from (((apex, owner), frozenset(found[owner])) for owner in found if (apex, owner) not in asked)

    @cached_property
    def _in_use(self) -> Mapping[ServiceId, tuple[ApexOwner, ...]]:
        """The names that each service has records under, as far as records tell whose they are."""
        found = [
            (service, (apex, record.owner))
            for apex, traces in self._traces.items()
            for record in traces
            for service, generation in self._matched(record)
            if self._tells_of(apex, record, service, generation)
        ]
        found += [
            (service, (apex, owner))
            for apex, owners in self._unseen_emptied.items()
            for owner in owners
            for service, _ in self.keys.named(owner)
        ]
        return grouped(found)

    def _matched(self, record: TlsaRecord) -> Iterable[Version]:
        """Return the generations that *record* may tell of; of the many that a CA signed those it can be met with."""
        versions = self._index.versions(record)
        if record.params.usage not in CA_USAGES:
            return versions
        return (version for version in self.keys.named(record.owner) if version in versions)

    @cached_property
    def _index(self) -> Index:
        records = (record for traces in self._traces.values() for record in traces)
        return Index.of(self.keys, frozenset(record.params for record in records))

    @cached_property
    def _unseen_emptied(self) -> Mapping[str, tuple[str, ...]]:
        """Apex that could not be observed to its owners without records that a cache may still know some of."""
        return {apex: tuple(self._emptied(apex)) for apex in self._traces if apex not in self.seen}

    @cached_property
    def _traces(self) -> Mapping[str, frozenset[TlsaRecord]]:
        return {apex: frozenset(self._traces_of(apex)) for apex in self.seen.keys() | self.ledger.apexes.keys()}

    def _traces_of(self, apex: str) -> Iterable[TlsaRecord]:
        """Return every record that may be in a cache of anybody, as far as an apex that could not be asked shows."""
        entry, seen = self.ledger.apex(apex) or ApexEntry(), self.seen.get(apex)
        if seen is None:
            return entry.records.keys() | (entry.pending.records if entry.pending else frozenset())
        found = self._cachable[apex]
        withdrawn = self._not_free(entry, found)
        rrsets = [rrset for owner in withdrawn for commit in seen.repo.history for rrset in commit.rrsets(owner)]
        return found.union(*(rrset.records for rrset in rrsets))

    @cached_property
    def _cachable(self) -> Mapping[str, frozenset[TlsaRecord]]:
        return {apex: _may_be_cached(self.ledger.apex(apex) or ApexEntry(), seen) for apex, seen in self.seen.items()}

    @cached_property
    def _combinations(self) -> Mapping[ApexOwner, tuple[TlsaParams, ...]]:
        """The combinations that a cache may hold at each name."""
        return grouped(
            ((apex, record.owner), record.params) for apex, records in self._cachable.items() for record in records
        )

    def _emptied(self, apex: str) -> Iterable[str]:
        """Return the owners without records that a cache may still know some of, by the ledger alone."""
        entry = self.ledger.apex(apex) or ApexEntry()
        return self._not_free(entry, entry.records)

    def _not_free(self, entry: ApexEntry, records: Iterable[TlsaRecord]) -> list[str]:
        """Return the owners of *entry* that have none of *records* and are not free yet."""
        shown = {record.owner for record in records}
        return [owner for owner, name in entry.names.items() if owner not in shown and not self._is_free(name)]

    def _tells_of(self, apex: str, record: TlsaRecord, service: ServiceId, generation: GenerationId) -> bool:
        """Whether *record* means that *service* has the name: its own key does, its CA only under a name of its own.

        Where the inventory asks for records the record of a CA is explained by that, and tells of another service only
        if that had records of its own there, the CA's being all that is left of them, or if nobody can tell.
        """
        if record not in self.keys.matching(record.owner, record.params, service, generation):
            return False
        if record.params.usage not in CA_USAGES:
            return True
        if not _is_named(record.owner, service, generation, self.keys):
            return False
        if record.owner not in self._asked:
            return True
        return apex not in self.seen or had_records(record.owner, service, self.seen[apex].repo, self.keys)

    def _name(self, apex: str, owner: str, service: ServiceId, generation: GenerationId) -> Verdict:
        seen, entry = self.seen.get(apex), self.ledger.apex(apex) or ApexEntry()
        if seen is None:
            return refused(f"DNS of {apex} could not be observed", Cause.DNS_UNOBSERVED)
        refusal = _silent_server(owner, seen) or _unsigned(owner, seen)
        if refusal is not None:
            return refusal
        combinations = self._combinations.get((apex, owner), ())
        if not combinations:
            return self._free(owner, entry)
        found = [self._combination(owner, each, service, generation, entry, seen) for each in sorted(combinations)]
        return slowest([*found, self._gone(owner, entry)])

    def _gone(self, owner: str, entry: ApexEntry) -> Verdict:
        """Return the wait for a combination that was withdrawn: a cache may still go by it alone."""
        name = entry.names.get(owner)
        lost = {} if name is None else {params: gone_at(name, params) for params in name.gone}
        still = {params: until for params, until in lost.items() if until is None or until > self.now}
        return slowest(
            _held_by_caches(f"caches may still hold withdrawn {params} records of {owner}", until)
            for params, until in still.items()
        )

    def _free(self, owner: str, entry: ApexEntry) -> Verdict:
        name = entry.names.get(owner)
        if name is None:
            return YES
        if self._is_free(name):
            return YES
        why = f"caches may still hold withdrawn records of {owner}"
        return _held_by_caches(why, free_at(name))

    def _is_free(self, name: NameEntry) -> bool:
        free = free_at(name)
        return free is not None and free <= self.now

    def _combination(
        self,
        owner: str,
        params: TlsaParams,
        service: ServiceId,
        generation: GenerationId,
        entry: ApexEntry,
        seen: ApexSeen,
    ) -> Verdict:
        matching = self.keys.matching(owner, params, service, generation)
        if not matching:
            why = f"{owner} has {params} records, and {service} cannot match them yet"
            return _missing(owner, why, service, Cause.UNMATCHABLE)
        if params.usage in CA_USAGES and not self.keys.is_named(owner, service, generation):
            why = f"the certificate of {generation} does not name the host of {owner}, which {params} asks for"
            return _missing(owner, why, service, Cause.UNMATCHABLE)
        return _soonest(self._record(record, service, generation, entry, seen) for record in sorted(matching))

    def _record(
        self, record: TlsaRecord, service: ServiceId, generation: GenerationId, entry: ApexEntry, seen: ApexSeen
    ) -> Verdict:
        owner, evidence = record.owner, entry.records.get(record)
        # The ledger should be the one after the look; one from before it must not do harm either.
        if evidence is None or is_broken(record, evidence, seen):
            return _not_everywhere(record, generation, service, seen)
        if not all(record in records for records in proposals(entry.pending, seen)):
            return _missing(owner, f"an open proposal would take the record of {generation} from {owner}", service)
        ready = ready_at(evidence)
        if ready > self.now:
            since = format_time(evidence.since)
            return refused(
                f"TLSA record {owner} has been visible on all name servers only since {since}", Cause.CACHES, ready
            )
        return YES


def is_near(apex: str, owner: str, service: ServiceId, keys: Keys) -> bool:
    """Whether *service* may be met under *owner*, whoever asked for it there.

    DANE-EE asks for no name in the certificate, so what lies in the zone of its group counts anyway.
    """
    return apex == service.group or any(_is_named(owner, service, each, keys) for each in keys.ids(service))


def _is_named(owner: str, service: ServiceId, generation: GenerationId, keys: Keys) -> bool:
    issued = keys.generations[service, generation].issued
    return issued is not None and covers(issued.sans, owner)


def slowest(verdicts: Iterable[Verdict]) -> Verdict:
    """Return the verdict that holds for all: a refusal without an end, else the latest wait, else yes."""
    refusals = [verdict for verdict in verdicts if not verdict.allowed]
    return max(refusals, key=_end, default=YES)


def _soonest(verdicts: Iterable[Verdict]) -> Verdict:
    """Return the verdict where one yes is enough, as with several CAs in the chain: else what ends first."""
    return min(verdicts, key=lambda verdict: (not verdict.allowed, _end(verdict)), default=YES)


def _end(verdict: Verdict) -> datetime:
    return verdict.until or datetime.max.replace(tzinfo=UTC)


def _may_be_cached(entry: ApexEntry, seen: ApexSeen) -> frozenset[TlsaRecord]:
    """Return every record a cache holds or may soon hold: base, servers, proposals, and what had evidence."""
    sources: list[Iterable[TlsaRecord]] = [entry.records, *proposals(entry.pending, seen)]
    sources += [rrset.records for view in seen.repo.base.views for rrset in view.values()]
    sources += [rrset.records for server in seen.servers for rrset in server.answers.values()]
    return frozenset(record for source in sources for record in source)


def _not_everywhere(record: TlsaRecord, generation: GenerationId, service: ServiceId, seen: ApexSeen) -> Verdict:
    if not seen.repo.base.has(record):
        return _missing(record.owner, f"the DNS base has no record of {generation} at {record.owner}", service)
    behind = sorted(server.server for server in seen.servers if not server.shows(record))
    if behind:
        why = f"{', '.join(behind)} does not show the record of {generation} at {record.owner} yet"
        return refused(why, Cause.NOT_LOADED)
    why = f"the servers and the DNS base differ at {record.owner}"
    return _missing(record.owner, why, service, Cause.NOT_LOADED)


def _held_by_caches(why: str, until: datetime | None) -> Verdict:
    """Return the wait for caches; without a date some server still shows what the base has no more."""
    return refused(why, Cause.NOT_LOADED if until is None else Cause.CACHES, until)


def _missing(owner: str, why: str, service: ServiceId, cause: Cause = Cause.EARLIER_STEP) -> Verdict:
    """Return the refusal for want of a record; publish adds it, unless the *cause* is another one."""
    hazard = Hazard(HazardName.TLSA_MISSING, owner, why, Verb.DEPLOY, service.group, service.name)
    return refused(why, cause, hazard=hazard)


def _unsigned(owner: str, seen: ApexSeen) -> Verdict | None:
    """Return the refusal for a name that a validating resolver does not vouch for."""
    why = seen.unsigned.get(owner)
    hazard = Hazard(HazardName.DNSSEC_BOGUS, owner, why or "")
    return None if why is None else refused(why, Cause.DNSSEC_BOGUS, hazard=hazard)


def _silent_server(owner: str, seen: ApexSeen) -> Verdict | None:
    """Return the refusal for the first server that gave no answer for *owner*; all must be asked, each time."""
    for server in seen.servers:
        if owner in server.aliases:
            return refused(server.aliases[owner], Cause.ALIAS)
        if server.error is not None or owner not in server.answers:
            why = f"name server {server.server} gave no answer for {owner}: {server.error or 'not asked'}"
            # Without any server that answers nobody can consent: nothing would be left to go by.
            has_others = any(owner in other.answers for other in seen.servers)
            hazard = Hazard(HazardName.NS_UNREACHABLE, server.server, why) if has_others else None
            return refused(why, Cause.NS_UNREACHABLE, hazard=hazard)
        if owner in server.differing:
            why = f"the addresses of name server {server.server} disagree about {owner}"
            hazard = Hazard(HazardName.NS_LAGGING, server.server, why)
            return refused(why, Cause.NS_LAGGING, hazard=hazard)
    if not seen.servers:
        return refused(f"no name server is known for {owner}", Cause.DNS_UNOBSERVED)
    return None
