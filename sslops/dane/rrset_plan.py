"""What becomes of the RRset of each name with DANE: what is added, retained or withdrawn, and what waits.

A wait is a failure when what is served ends first and what is to follow it lacks its record. A record that stays too
long endangers nothing, and a name without any record does not hold up a roll.
"""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING

from sslops.dane import rrset_rules as transitions
from sslops.dane.evidence import had_records
from sslops.dane.first_use import FirstUse, Live, unproven_address
from sslops.dane.may_serve import is_near
from sslops.dane.names import covers
from sslops.dane.records import CA_USAGES, Index, is_listed, standing
from sslops.dane.rrset_inputs import needed, proven_hosts
from sslops.dane.rrset_rules import AtName, Claim, Stay
from sslops.dane.wildcards import beginning_words, ending_words
from sslops.inventory.reach import deliveries, hosts_serving
from sslops.model.cause import Cause
from sslops.model.names import CA_GROUP
from sslops.model.plan import Hazard, HazardName, Verb, Wait
from sslops.model.tlsa import EMPTY, Rrset, TlsaRecord

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping
    from datetime import datetime

    from sslops.dane.first_use import AddressSeen
    from sslops.dane.names import DaneName
    from sslops.dane.rrset_inputs import World
    from sslops.dane.rrset_rules import NameSeen
    from sslops.model.names import GenerationId, ServiceId


def is_failure(names: Iterable[DaneName], world: World, until: datetime | None = None) -> bool:
    """Whether a wait *until* then, at *names*, outlives a certificate that one of them leads to."""
    return any(_outlives(name, world, until) for name in names)


def _outlives(name: DaneName, world: World, until: datetime | None) -> bool:
    served, staged = world.branches.main[name.service].curr, world.branches.next[name.service].next
    if served is None or served.issued is None or staged is None or staged.issued is None:
        return False
    present = world.current(name.apex, name.owner).records
    wanted = world.keys.matching(name.owner, name.params, name.service, staged.id)
    lacks = bool(present) and bool(wanted) and present.isdisjoint(wanted)
    return lacks and served.issued.ends_before(until, world.now)


@dataclass(frozen=True, slots=True)
class Becomes:
    """What becomes of one owner: its RRset in the next base, what waits, and which hazards refuse it."""

    rrset: Rrset
    waits: tuple[Wait, ...] = ()
    hazards: tuple[Hazard, ...] = ()


@dataclass(frozen=True, slots=True)
class Owner:
    """One owner name in the world: *names* is what the inventory asks for there, *index* tells whose a record is."""

    apex: str
    owner: str
    world: World
    index: Index
    names: tuple[DaneName, ...] = field(init=False)
    seen: NameSeen = field(init=False)

    def __post_init__(self) -> None:
        """Look both up once."""
        object.__setattr__(self, "names", self.world.names(self.apex, self.owner))
        object.__setattr__(self, "seen", self.world.name_seen(self.apex, self.owner))

    def becomes(self) -> Becomes:
        """Decide."""
        return self._in_its_surroundings(self._while_presented(self._while_silent(self._decided())))

    def _decided(self) -> Becomes:
        stop = self._stop()
        if stop is not None:
            return self._unchanged(stop)
        if not self.names:
            return self._given_up()
        refusal = self._first_use() if self.seen.is_empty else None
        return self._next() if refusal is None else refusal

    def is_to_be_asked(self) -> bool:
        """Whether the addresses of the name have to be asked before something can change here."""
        if not self.names:
            return self._left_behind() is not None
        wanted = {name.params for name in self.names}
        if self.seen.is_empty or not wanted <= self.seen.combinations:
            return True
        return bool(self._strangers() or self._former() or self._forgotten())

    def is_withdrawing(self) -> bool:
        """Whether a record would be withdrawn while others stay: ports are asked first, whatever the ledger claims."""
        becomes = self.becomes().rrset.records
        return bool(self.names and becomes and self.seen.base - becomes)

    def is_to_be_surveyed(self) -> bool:
        """Whether the name would begin or cease to have records, which its surroundings have to be asked for first."""
        return bool(self.becomes().rrset.records) != bool(self.seen.base)

    # Whose records are there.

    @property
    def _asked(self) -> tuple[ServiceId, ...]:
        return tuple(sorted({name.service for name in self.names}))

    def _former(self) -> tuple[ServiceId, ...]:
        """Return the services that have records here and are not asked for them any more, sorted."""
        found = {
            service
            for record in self.seen.base
            for service, generation in self.index.versions(record)
            if service.group != CA_GROUP and self._tells_of(record, service, generation)
        }
        return tuple(sorted(found - set(self._asked)))

    def _tells_of(self, record: TlsaRecord, service: ServiceId, generation: GenerationId) -> bool:
        if record.params.usage not in CA_USAGES:
            return True
        if self.names and service not in self._asked and not self._may_have_had_records(service):
            return False  # who asks for it explains the record of a CA: it is nobody's proof of records of its own
        issued = self.world.keys.generations[service, generation].issued
        return issued is not None and covers(issued.sans, self.owner)

    def _may_have_had_records(self, service: ServiceId) -> bool:
        """Whether *service*, which nobody asks for here, may ever have had records here, whatever is left of them.

        They may have been withdrawn as a kind, with only the record of its CA left. One that never had `dane_tls` can
        be told only as long as the inventory has it.
        """
        known = self.world.inventory.services.get(service)
        if known is None or any(self.owner.startswith(f"_{each.port}._{each.proto}.") for each in known.dane):
            return True
        return had_records(self.owner, service, self.world.repo[self.apex], self.world.keys)

    def _strangers(self) -> frozenset[TlsaRecord]:
        """Return the records in base that somebody else put there: no generation, list or commit of ours explains them.

        One that the engine wrote for a generation that is lost is nobody else's; it goes like any other of ours.
        """
        listed = frozenset[TlsaRecord]().union(*(claim.standing for claim in map(self._claim, self._asked)))
        unexplained = {record for record in self.seen.base - listed if not self.index.versions(record)}
        # Asked last: it reads the history of the DNS repository, which few names need.
        return frozenset(each for each in unexplained if each not in self.world.repo[self.apex].written_by_us)

    def _forgotten(self) -> dict[ServiceId, frozenset[GenerationId]]:
        """Return the generations with a record here that some host may serve of which nobody knows any more.

        The ledger that knew was lost, and a host that left the inventory since is not asked. It ends with their
        certificates.
        """
        rebuilt_at = self.world.entry(self.apex).rebuilt_at
        found: dict[ServiceId, set[GenerationId]] = {}
        versions = {
            version
            for record in self.seen.base
            for version in self.index.versions(record)
            if self._tells_of(record, *version)
        }
        for service, generation in versions:
            issued = self.world.keys.generations[service, generation].issued
            if rebuilt_at is None or issued is None or service.group == CA_GROUP:
                continue
            if issued.issued_at <= rebuilt_at and self.world.now < issued.not_after:
                found.setdefault(service, set()).add(generation)
        unneeded = {service: ids - needed(service, self.world).ids for service, ids in found.items()}
        return {service: frozenset(ids) for service, ids in unneeded.items() if ids}

    # What stops everything here.

    def _stop(self) -> Stay | None:
        """Return why the name is left alone for now: a person's wish, or because not all could be looked at."""
        if self.apex not in self.world.seen:
            why = f": {self.world.failed[self.apex]}" if self.apex in self.world.failed else ""
            return Stay(f"its DNS could not be observed{why}", Cause.DNS_UNOBSERVED)
        servers = self.world.seen[self.apex].servers
        aliases = [each.aliases[self.owner] for each in servers if self.owner in each.aliases]
        if aliases:
            return Stay(aliases[0], Cause.ALIAS)
        inventory, former = self.world.inventory, self._former()
        for service in (*self._asked, *former):
            known = inventory.services.get(service)
            hold = inventory.hold_on(known, self.world.now) if known else None
            if hold is not None:
                return Stay(f"held: {hold.reason}", Cause.HOLD, hold.until)
        for service in former:
            group = inventory.groups.get(service.group)
            if group is not None and not group.active:
                return Stay(f"the group of {service} is not active", Cause.FROZEN)
            # Which names it has comes from its MX; not to know is no reason to give one up.
            if service.group in self.world.failed:
                why = f"its DNS could not be observed: {self.world.failed[service.group]}"
                return Stay(why, Cause.DNS_UNOBSERVED)
        return None

    def _while_silent(self, found: Becomes) -> Becomes:
        """Return *found*, with nothing withdrawn while a name server is unreachable: it may show records of others.

        Beside those the last of ours of a kind is what a cache needs to match what is served.
        """
        seen = self.world.seen.get(self.apex)
        silent = sorted(each.server for each in seen.servers if self.owner not in each.answers) if seen else []
        if not silent or self.seen.base <= found.rrset.records:
            return found
        current = self._current
        kept = Rrset(found.rrset.ttl_seconds or current.ttl_seconds, found.rrset.records | current.records)
        why = f"nothing is withdrawn: name server {silent[0]} gave no answer (--accept ns-unreachable={silent[0]})"
        stay = Stay(why, Cause.NS_UNREACHABLE)
        return replace(found, rrset=kept, waits=(*found.waits, self._wait(stay)))

    def _while_presented(self, found: Becomes) -> Becomes:
        """Return *found*, with nothing withdrawn that a port needs which was asked now.

        That a host serves something else the ledger only claims: an entry may make a record stay, never go. A host that
        sslops asks from here has to answer; what presents nothing of ours under an address of the name tells nothing.
        """
        staying = found.rrset.records
        leaving = self.seen.base - staying
        if not (leaving and staying):
            return found
        kept = {version for record in staying for version in self.index.versions(record)}
        lost = {version for record in leaving for version in self.index.versions(record)} - kept
        facts = ((version, self.world.keys.generations.get(version)) for version in sorted(lost))
        needs = {each.issued.cert_sha256: version for version, each in facts if each is not None and each.issued}
        why = next((why for each in self.world.ports.get(self.owner, ()) if (why := _still_needed(each, needs))), None)
        if why is None:
            return found
        current = self._current
        kept_rrset = Rrset(found.rrset.ttl_seconds, staying | current.records)
        stay = Stay(f"nothing is withdrawn: {why}", Cause.STILL_SERVED)
        return replace(found, rrset=kept_rrset, waits=(*found.waits, self._wait(stay)))

    def _in_its_surroundings(self, found: Becomes) -> Becomes:
        """Return *found*, where nothing that somebody relies on begins or ends with the name's own records."""
        near, begins = self.world.surroundings.get(self.owner), bool(found.rrset.records)
        if near is None or begins == bool(self.seen.base):
            return found
        unchanged = replace(found, rrset=self._current)
        if near.error is not None:
            why = f"what a wildcard answers at and around {self.owner} could not be observed: {near.error}"
            return replace(unchanged, waits=(*found.waits, self._wait(Stay(why, Cause.DNS_UNOBSERVED))))
        if begins and near.cut is not None:
            return replace(unchanged, waits=(*found.waits, self._wait(Stay(near.cut, Cause.ZONE_CUT))))
        why_not = ending_words(self.owner, near) if begins else beginning_words(self.owner, near)
        if why_not is None:
            return found
        hazard = Hazard(HazardName.WILDCARD, self.owner, why_not, Verb.PUBLISH, *self._who)
        if self.world.consents.cover(hazard):
            return found
        return replace(unchanged, hazards=(*found.hazards, hazard))

    # A name that nobody asks for any more.

    def _given_up(self) -> Becomes:
        if not self.seen.base:
            return Becomes(EMPTY)
        if self.world.failed and not self._former():
            why = "not every name of the inventory is known: some DNS could not be observed"
            return self._unchanged(Stay(why, Cause.DNS_UNOBSERVED))
        stay = self._stay_of_retired() or self._left_behind()
        if stay is not None:
            return self._unchanged(stay)
        if self._strangers() or self.seen.foreign:
            what = "unmanaged records" if self.seen.foreign else "records that no generation explains"
            hazard = self._hazard(f"{self.owner} has {what}, and nothing asks for its records any more")
            if not self.world.consents.cover(hazard):
                return Becomes(self._current, (), (hazard,))
        return Becomes(EMPTY)

    def _left_behind(self) -> Stay | None:
        """Return why the name is not emptied: what a server would go on showing might match nothing that is served.

        It shows records that base does not have, of somebody else or of ours. Alone they have to match whatever of ours
        may be served, unless every address of the name shows that nothing of ours is.
        """
        answers = ((each.server, each.answers.get(self.owner, EMPTY)) for each in self.world.seen[self.apex].servers)
        for server, rrset in answers:
            left = rrset.records - self.seen.base
            if left and not self._is_matched(left) and not self._is_somebody_elses():
                shown = ", ".join(f"'{each.params} {each.data[:8]}...'" for each in sorted(left))
                why = f"its records stay: {server} shows {shown} as well, and alone that would not match what is served"
                others = bool(left & self.seen.foreign)
                return Stay(why, Cause.UNMANAGED_RECORDS if others else Cause.NOT_LOADED)
        return None

    def _is_somebody_elses(self) -> bool:
        """Whether each address of the name answered, and none with a certificate of ours."""
        shown = self.world.addresses.get(self.owner, ())
        issued = (facts.issued for facts in self.world.keys.generations.values())
        ours = frozenset(each.cert_sha256 for each in issued if each is not None)
        return bool(shown) and all(
            each.seen.error is None and each.seen.certificates and ours.isdisjoint(each.seen.certificates)
            for each in shown
        )

    def _is_matched(self, left: frozenset[TlsaRecord]) -> bool:
        """Whether whatever may be served of the services that have records here matches each combination of *left*."""
        keys, found = self.world.keys, [(service, needed(service, self.world)) for service in self._former()]
        if not found or not all(each.is_known for _, each in found):
            return False
        return all(
            not left.isdisjoint(keys.matching(self.owner, params, service, key))
            and (params.usage not in CA_USAGES or keys.is_named(self.owner, service, key))
            for params in {record.params for record in left}
            for service, each in found
            for key in each.ids
            if keys.may_be_served(service, key)
        )

    def _stay_of_retired(self) -> Stay | None:
        """Return why a name stays whose services were all retired; one that left it by the inventory wants it empty."""
        services, inventory = self._former(), self.world.inventory.services
        if any(service in inventory for service in services) or self._is_in_the_way():
            return None
        hosts = {
            service: host
            for service in services
            for host, served in sorted(self.world.ledger.hosts_of(service).items(), reverse=True)
            if served.may_serve
        }
        whys = (f"{each} is retired, and {hosts[each]} may still serve it" for each in sorted(hosts))
        return next((Stay(why, Cause.STILL_SERVED) for why in whys), None)

    def _is_in_the_way(self) -> bool:
        """Whether something that is new to a host waits for this name: it comes in the place of what is retired."""
        ledger, former = self.world.ledger, frozenset(self._former())
        return any(
            is_near(self.apex, self.owner, service, self.world.keys) or former & ledger.host(host).services.keys()
            for host, services in self.world.new_at.items()
            for service in services
        )

    # A name without any record yet.

    def _first_use(self) -> Becomes | None:
        """Return what keeps the first record from being published; null when nothing does."""
        live = tuple(self._live(service) for service in self._asked)
        first = FirstUse(live, self.world.addresses.get(self.owner, ()))
        unsigned = self.world.seen[self.apex].unsigned.get(self.owner)
        if unsigned is not None:
            hazard = Hazard(HazardName.DNSSEC_BOGUS, self.owner, unsigned, Verb.PUBLISH, *self._who)
            return Becomes(EMPTY, (), (hazard,))
        obstacle = first.unproven_host()
        if obstacle is not None:
            why, cause = obstacle
            return Becomes(EMPTY, (self._wait(Stay(f"{why}, so {self.owner} gets no first record", cause)),))
        address = first.unproven_address()
        if address is None:
            return None
        hazard = self._unproven(address)
        return None if self.world.consents.cover(hazard) else Becomes(EMPTY, (), (hazard,))

    def _live(self, service: ServiceId) -> Live:
        curr = self.world.branches.main[service].curr
        slots = [state[service].slots for state in (self.world.branches.main, self.world.branches.next)]
        return Live(
            service,
            None if curr is None else curr.id,
            None if curr is None or curr.issued is None else curr.issued.cert_sha256,
            proven_hosts(service, self.world),
            transitions.was_never_live(slots),
        )

    # A name with records.

    def _next(self) -> Becomes:
        stays: list[Stay] = []
        hazards: list[Hazard] = []
        claims = [self._claim(service) for service in self._asked]
        shown = unproven_address(self.world.addresses.get(self.owner, ()), self._certificates(claims))
        for service in self._former():
            why = self._still_served(service, shown)
            if why is not None:
                claims.append(Claim(service, needed(service, self.world), is_asked=False))
                stays.append(Stay(f"the records of {service} stay: {why}", Cause.STILL_SERVED))
        claims = self._with_forgotten(self._with_unknown(claims), shown, stays)
        strangers, others = self._strangers(), self._served_by_others(claims, shown)
        is_mixed = self._is_mixed(strangers)
        if strangers:
            strangers = self._kept_strangers(strangers, others, stays, hazards)
        at = AtName(
            owner=self.owner,
            wanted=frozenset(name.params for name in self.names),
            claims=tuple(claims),
            now=self.world.now,
            ready=self.world.ready(self.apex, self.owner),
            nobodys=strangers,
            beside=self._beside(claims),
            others=others if is_mixed else None,
        )
        found = transitions.target(at, self.seen, self.world.keys)
        ttl_seconds = max(name.ttl_seconds for name in self.names)
        waits = tuple(self._wait(stay) for stay in (*stays, *found.stays))
        return Becomes(Rrset(ttl_seconds, found.records) if found.records else EMPTY, waits, tuple(hazards))

    def _beside(self, claims: list[Claim]) -> frozenset[TlsaRecord]:
        """Return the records in base about a CA that match what services without a claim may show under this name.

        Nobody can tell whether such a service had `dane_tls` when only the record of its CA was ever there. It gets no
        record, nothing waits for it, and what its certificate matches already stays while that may be served.
        """
        claimed, inventory = {claim.service for claim in claims}, self.world.inventory
        here = {host.name for asked in self._asked for host in hosts_serving(inventory, asked)}
        found: set[TlsaRecord] = set()
        about_ca = {record for record in self.seen.base if record.params.usage in CA_USAGES}
        versions = {version for record in about_ca for version in self.index.versions(record)}
        for service, generation in versions:
            issued = self.world.keys.generations[service, generation].issued
            known = inventory.services.get(service)
            if known is None or service in claimed or issued is None or not covers(issued.sans, self.owner):
                continue
            is_here = any(host.name in here for host in hosts_serving(inventory, service))
            if is_here and generation in needed(service, self.world).ids:
                found |= {record for record in about_ca if (service, generation) in self.index.versions(record)}
        return frozenset(found)

    def _with_unknown(self, claims: list[Claim]) -> list[Claim]:
        """Return *claims*; where an address shows what none of them needs, a former service may be met in any version.

        The ledger may be a new one, and hosts are not asked about what left the inventory.
        """
        found = unproven_address(self.world.addresses.get(self.owner, ()), self._certificates(claims))
        if found is None:
            return claims
        unknown = (f"{found or 'an address'} of {self.names[0].host}",)
        return [
            claim if claim.is_asked else replace(claim, needed=replace(claim.needed, unknown=unknown))
            for claim in claims
        ]

    def _with_forgotten(self, claims: list[Claim], shown: str | None, stays: list[Stay]) -> list[Claim]:
        """Return *claims*, with what a forgotten host may serve among what is needed, until no address shows it."""
        forgotten = self._forgotten()
        if shown is None or not forgotten or self.world.consents.cover(self._unproven(shown)):
            return claims
        why = f"{self._shown_words(shown)}, and the ledger that knew who serves what was lost"
        stays.extend(Stay(f"the records of {each} stay: {why}", Cause.STILL_SERVED) for each in sorted(forgotten))
        known = {claim.service: claim for claim in claims}
        for service, ids in forgotten.items():
            claim = known.get(service) or Claim(service, needed(service, self.world), is_asked=False)
            known[service] = replace(claim, needed=replace(claim.needed, ids=claim.needed.ids | ids))
        return list(known.values())

    def _still_served(self, service: ServiceId, shown: str | None) -> str | None:
        """Return why a former service may still be met under this name; null when it certainly is not."""
        inventory, ledger = self.world.inventory, self.world.ledger
        here = {host.name for asked in self._asked for host in hosts_serving(inventory, asked)}
        known = {delivery.host.name for delivery in deliveries(inventory)}
        still = sorted(here & {host.name for host in hosts_serving(inventory, service)})
        if still:
            return f"{still[0]} gets it, and serves this name"
        is_retired = service not in inventory.services
        for host, served in sorted(ledger.hosts_of(service).items()):
            counts = host in here or host not in known or is_retired
            if counts and served.may_serve:
                return f"{host} may still serve it"
        return None if shown is None else self._shown_words(shown)

    def _served_by_others(self, claims: list[Claim], shown: str | None) -> Stay | None:
        """Return why something that is not ours may still be served under this name; null when it certainly is not."""
        unknown = next((claim.needed.unknown[0] for claim in claims if claim.needed.unknown), None)
        if unknown is not None:
            return Stay(f"{unknown} is not verified", Cause.EARLIER_STEP)
        new = next((service for service in self._asked if not self._is_served(service)), None)
        if new is not None:
            return Stay(f"{new} is not served yet", Cause.EARLIER_STEP)
        return None if shown is None else Stay(self._shown_words(shown), Cause.UNVERIFIED)

    def _kept_strangers(
        self, strangers: frozenset[TlsaRecord], others: Stay | None, stays: list[Stay], hazards: list[Hazard]
    ) -> frozenset[TlsaRecord]:
        """Return those records of nobody that stay: all of them, until nothing can need them and a person says so."""
        if others is not None:
            stays.append(replace(others, why=f"unmanaged records are retained: {others.why}"))
            return strangers
        hazard = self._hazard(f"{self.owner} has records that no generation explains, and nothing needs")
        if self.world.consents.cover(hazard):
            return frozenset()
        hazards.append(hazard)
        return strangers

    def _is_mixed(self, unmanaged: frozenset[TlsaRecord]) -> bool:
        """Whether records of others may be here, *unmanaged* in base, so that something else may be served as well.

        What a server shows and base had once may be theirs too, taken out of the include file and left beside it.
        """
        return bool(unmanaged or self.seen.surplus)

    def _is_served(self, service: ServiceId) -> bool:
        hosts = proven_hosts(service, self.world)
        return bool(hosts) and None not in hosts.values()

    def _certificates(self, claims: list[Claim]) -> frozenset[str]:
        """Return the certificates that may be met here: of every generation of the asked services that is needed."""
        facts = [
            self.world.keys.generations.get((claim.service, each)) for claim in claims for each in claim.needed.ids
        ]
        return frozenset(each.issued.cert_sha256 for each in facts if each is not None and each.issued is not None)

    def _claim(self, service: ServiceId) -> Claim:
        combinations = {name.params for name in self.names if name.service == service}
        inventory, branches, keys = self.world.inventory, self.world.branches, self.world.keys
        is_of_list = is_listed(service, inventory)
        if is_of_list:
            # Whatever records about a CA are there, asked for or not: what it signs next has to match them.
            combinations |= {params for params in self.seen.combinations if params.usage in CA_USAGES}
        found = [standing(self.owner, each, service, inventory, branches, keys) for each in combinations]
        return Claim(
            service,
            needed(service, self.world),
            standing=frozenset[TlsaRecord]().union(*found) if found else frozenset(),
            is_listed=is_of_list,
        )

    # Words.

    @property
    def _current(self) -> Rrset:
        return self.world.current(self.apex, self.owner)

    def _unchanged(self, stay: Stay) -> Becomes:
        return Becomes(self._current, (self._wait(stay),) if self.names or self.seen.base else ())

    def _wait(self, stay: Stay) -> Wait:
        group, service = self._who
        fatal = is_failure(self.names, self.world, stay.until)
        return Wait(Verb.PUBLISH, group, service, self.owner, stay.until, stay.why, stay.cause, fatal=fatal)

    def _hazard(self, why: str) -> Hazard:
        return Hazard(HazardName.TLSA_FOREIGN, self.owner, why, Verb.PUBLISH, *self._who)

    def _unproven(self, address: str) -> Hazard:
        host = self.names[0].host
        seen = self.world.addresses.get(self.owner, ())
        failed = [each.seen for each in seen if each.address == address and each.seen.error is not None]
        hints = [each.hint for each in failed if each.hint is not None]
        why = f" ({'; '.join([str(failed[0].error), *hints[:1]])})" if failed else ""
        what = f"{address or 'no address'} of {host} does not show the certificate of {self.names[0].service}{why}"
        return Hazard(HazardName.NAME_UNPROVEN, host, what, Verb.PUBLISH, *self._who)

    def _shown_words(self, address: str) -> str:
        return (
            f"{address or 'no address'} of {self.names[0].host} also presents a certificate that sslops does not manage"
        )

    @property
    def _who(self) -> tuple[str, str]:
        """Group and service that the name's troubles are reported for; a name of several is reported for the first."""
        if not self.names:
            return self.apex, ""
        return self.names[0].service.group, self.names[0].service.name


def _still_needed(asked: AddressSeen, needs: Mapping[str, tuple[ServiceId, GenerationId]]) -> str | None:
    """Return why a record that would be withdrawn is needed at a port; *needs* maps certificates to their version."""
    where = f"port {asked.port} of {asked.host or asked.address}"
    if asked.seen.error is not None:
        return f"{where} could not be asked what it serves: {asked.seen.error}" if asked.host and needs else None
    shown = sorted(needs[each] for each in asked.seen.certificates & needs.keys())
    return f"{where} still presents {shown[0][0]} {shown[0][1]}" if shown else None
