"""The DNS survey: one look at all servers of all zones, joined with the DNS repository and the ledger."""

from __future__ import annotations

from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from datetime import timedelta
from typing import TYPE_CHECKING, Protocol, TypeVar

from sslops.dane.evidence import advance, first_entry, records_by_view
from sslops.dane.may_serve import Gate
from sslops.dane.names import Owners, dane_apexes, dane_owners
from sslops.dane.records import CA_USAGES, Index
from sslops.dane.rrset_inputs import new_at
from sslops.errors import Bug, DnsError, SslopsError, bugs_of
from sslops.model.derived import grouped
from sslops.model.ledger import ApexEntry
from sslops.model.names import CA_GROUP, zone_of
from sslops.model.observations import ApexSeen, Surroundings
from sslops.model.plan import Consents, Hazard, HazardName
from sslops.model.tlsa import TlsaRecord
from sslops.system.progress import NOBODY

if TYPE_CHECKING:
    from collections.abc import Callable, Collection, Iterable, Iterator, Mapping, Sequence
    from datetime import datetime

    from sslops.dane.records import Keys
    from sslops.model.inventory import Endpoint, Inventory, Service
    from sslops.model.ledger import Ledger
    from sslops.model.names import ServiceId
    from sslops.model.observations import DnsRepoSeen, ServerSeen
    from sslops.system.progress import Talk


_Result = TypeVar("_Result")

Servers = dict[str, tuple["Endpoint", ...]]
"""Authoritative servers by name, each with all its addresses."""


Zones = dict[str, tuple[Servers, tuple[str, ...]]]
"""Apex to its servers, and the owners that they are asked for."""


class AtOnce(Protocol):
    """Does the same for many at once."""

    def __call__(self, act: Callable[[str], _Result], items: Sequence[str]) -> list[_Result]:
        """Return what *act* returns for each of *items*, in their order."""
        ...


def one_by_one(act: Callable[[str], _Result], items: Sequence[str]) -> list[_Result]:
    """Do it in this thread."""
    return [act(item) for item in items]


class Repository(Protocol):
    """The DNS repository as last fetched."""

    def apex(self, apex: str, anchors: Collection[str] = ()) -> DnsRepoSeen:
        """Return what it holds for *apex*; must raise StateError when the include file cannot be read."""
        ...


class NameServers(Protocol):
    """Authoritative servers, each asked by address; every method raises DnsError when it cannot answer."""

    def name_servers(self, apex: str, primary: Endpoint | None, fixed: tuple[Endpoint, ...]) -> Servers:
        """Return the servers of *apex*: *fixed* if given, else every address of every NS as *primary* tells."""
        ...

    def mx(self, apex: str, via: Endpoint | None) -> tuple[str, ...]:
        """Return the MX hosts of *apex*, absolute and lower case, sorted; empty when there is none."""
        ...

    def addresses(self, host: str, via: Endpoint | None) -> tuple[str, ...]:
        """Return every A and AAAA of *host*."""
        ...

    def tlsa(self, servers: Mapping[str, tuple[Endpoint, ...]], owners: Iterable[str]) -> tuple[ServerSeen, ...]:
        """Ask every server for every owner; a server that does not answer is a value with `error`, not an exception."""
        ...

    def tlsa_of_zones(
        self, zones: Mapping[str, tuple[Servers, tuple[str, ...]]]
    ) -> Mapping[str, tuple[ServerSeen, ...]]:
        """Ask as `tlsa` does for the servers and owners of each zone, by its apex, all at once."""
        ...

    def surroundings(
        self, servers: Mapping[str, tuple[Endpoint, ...]], apex: str, owners: Iterable[str]
    ) -> Mapping[str, Surroundings]:
        """Return for each of *owners* what its existence decides about the answers of the zone *apex*."""
        ...

    def unsigned(self, validator: Endpoint, owners: Iterable[str]) -> Mapping[str, str]:
        """Return the owners that a validating resolver does not vouch for, each with the reason."""
        ...


class Clock(Protocol):
    """The moment."""

    def now(self) -> datetime:
        """Return aware UTC in whole seconds, rounded down."""
        ...


@dataclass(frozen=True, slots=True)
class Look:
    """What one look found: owners by the inventory, the repository and the servers by apex, what failed and why."""

    at: datetime
    owners: Owners
    repo: Mapping[str, DnsRepoSeen]
    seen: Mapping[str, ApexSeen]
    failed: Mapping[str, str] = field(default_factory=dict)
    """Apex to the reason why it could not be observed."""

    def advanced(self, ledger: Ledger) -> Ledger:
        """Return *ledger* as it stands after this look."""
        apexes = dict(ledger.apexes)
        for apex, seen in self.seen.items():
            entry = advance(apexes[apex] if apex in apexes else first_entry(seen), seen)
            if entry != ApexEntry() or apex in apexes:
                apexes[apex] = entry
        return replace(ledger, apexes=apexes)

    def gate(self, inventory: Inventory, ledger: Ledger, keys: Keys, now: datetime) -> Gate:
        """Return the gate of this look; *ledger* is the one after it."""
        blind: dict[ServiceId, str] = {}
        for apex, why in sorted(self.failed.items()):
            published = self._published(apex, keys)
            for service in inventory.active():
                if (service.dane and service.id.group == apex) or published(service):
                    blind[service.id] = f"DNS of {apex} could not be observed: {why}"
        mute = frozenset(self.failed)
        return Gate(ledger, self.seen, keys, self.owners.names, now, blind, new_at(inventory, ledger), mute)

    def _published(self, apex: str, keys: Keys) -> Callable[[Service], bool]:
        """Return who tells whether the DNS base has a record of a service in *apex*, asked for or not any more."""
        records = frozenset[TlsaRecord]().union(*(records_by_view(self.repo[apex].base) if apex in self.repo else ()))
        index = Index.of(keys, frozenset(record.params for record in records))
        # A CA's record is everybody's whom it signed; without DANE nobody asks for it.
        own = frozenset(index.services(record for record in records if record.params.usage not in CA_USAGES))
        of_cas = frozenset(index.services(record for record in records if record.params.usage in CA_USAGES))
        return lambda service: service.id in own or (bool(service.dane) and service.id in of_cas)


@dataclass(frozen=True, slots=True)
class Observer:
    """Takes looks. *consents* lets a dead name server be left out; *obstacle* says why there is no *repository*."""

    inventory: Inventory
    repository: Repository | None
    name_servers: NameServers
    clock: Clock
    consents: Consents = Consents()
    obstacle: str = "the inventory names no DNS repository"
    tell: Callable[[Bug], None] = lambda _: None
    """Hears of an exception that nobody foresaw; it fails the zone that it is about, and no other."""
    talk: Talk = NOBODY
    at_once: AtOnce = one_by_one
    """How many zones are asked for their mail and name servers."""

    def look(self, ledger: Ledger) -> Look:
        """Look at every active apex; the servers are asked only where there is or was DANE."""
        failed: dict[str, str] = {}
        if self.repository is None:
            failed = dict.fromkeys(dane_apexes(self.inventory), self.obstacle)
            return Look(self.clock.now(), Owners((), ()), {}, {}, failed)
        repo = self._repositories(self.repository, ledger, failed)
        apexes = dane_apexes(self.inventory)
        answers = zip(apexes, self.at_once(lambda apex: self._mx(apex, failed), apexes), strict=True)
        mx = {apex: found for apex, found in answers if found is not None}
        owners = dane_owners(self.inventory, mx)
        known = tuple(name for name in owners.names if name.service.group in mx)
        seen: dict[str, ApexSeen] = {}
        by_apex = grouped((name.apex, name.owner) for name in known)
        owners_of = {apex: _owners_to_ask(apex, by_apex.get(apex, ()), repo[apex], ledger) for apex in sorted(repo)}
        asked = [apex for apex, wanted in owners_of.items() if wanted and apex not in failed]
        with self.talk.progress("zones looked at on every name server", len(asked)) as task:
            zones = self._zones(asked, owners_of, failed)
            together = self._together(zones)
            for apex in zones:
                with task.item(apex, f"was asked for {len(owners_of[apex])} names"), self._of_zone(apex, failed):
                    seen[apex] = self._look_at(apex, zones[apex], together, repo[apex], mx.get(apex, ()))
        at = max((entry.at for entry in seen.values()), default=self.clock.now())
        return Look(at, replace(owners, names=known), repo, seen, failed)

    def host_addresses(self, host: str, apex: str) -> tuple[str, ...]:
        """Return the addresses of *host* in the zone *apex*; empty when DNS does not tell."""
        try:
            return self.name_servers.addresses(host, self.inventory.primary_of(apex))
        except DnsError:
            return ()

    def surroundings(self, owners: Mapping[str, Collection[str]]) -> dict[str, Surroundings]:
        """Return for each of *owners* (by apex) what its existence decides, by its name."""
        found: dict[str, Surroundings] = {}
        for apex, wanted in owners.items():
            fixed = self.inventory.dns_servers.get(apex, ())
            try:
                with bugs_of(f"DNS of '{apex}'"):
                    servers = self.name_servers.name_servers(apex, self.inventory.primary_of(apex), fixed)
                    found |= self.name_servers.surroundings(servers, apex, wanted)
            except SslopsError as error:
                found |= dict.fromkeys(wanted, Surroundings(error=error.what))
                if isinstance(error, Bug):
                    self.tell(error)
        return found

    def _repositories(self, repository: Repository, ledger: Ledger, failed: dict[str, str]) -> dict[str, DnsRepoSeen]:
        found = {}
        for apex, group in sorted(self.inventory.groups.items()):
            if group.active and apex != CA_GROUP:
                with self._of_zone(apex, failed):
                    found[apex] = repository.apex(apex, _anchors(ledger.apex(apex)))
        return found

    def _mx(self, apex: str, failed: dict[str, str]) -> tuple[str, ...] | None:
        with self._of_zone(apex, failed):
            return self.name_servers.mx(apex, self.inventory.primary_of(apex))
        return None

    @contextmanager
    def _of_zone(self, apex: str, failed: dict[str, str]) -> Iterator[None]:
        """Let whatever goes wrong inside be a failure of the zone *apex* alone."""
        try:
            with bugs_of(f"DNS of '{apex}'"):
                yield
        except SslopsError as error:
            failed[apex] = error.what if error.where is None else f"{error.where}: {error.what}"
            if isinstance(error, Bug):
                self.tell(error)

    def _zones(self, apexes: Sequence[str], owners: Mapping[str, tuple[str, ...]], failed: dict[str, str]) -> Zones:
        """Return the servers of each of *apexes* that names them, and what they are to be asked for."""

        def servers_of(apex: str) -> Servers | None:
            with self._of_zone(apex, failed):
                fixed = self.inventory.dns_servers.get(apex, ())
                return self.name_servers.name_servers(apex, self.inventory.primary_of(apex), fixed)
            return None

        found = zip(apexes, self.at_once(servers_of, apexes), strict=True)
        return {apex: (servers, owners[apex]) for apex, servers in found if servers is not None}

    def _together(self, zones: Zones) -> Mapping[str, tuple[ServerSeen, ...]]:
        """Ask for all zones at once; where one answers what nobody foresaw each has to be asked by itself."""
        try:
            with bugs_of("DNS"):
                return self.name_servers.tlsa_of_zones(zones)
        except SslopsError:
            return {}

    def _look_at(
        self,
        apex: str,
        zone: tuple[Servers, tuple[str, ...]],
        together: Mapping[str, tuple[ServerSeen, ...]],
        repo: DnsRepoSeen,
        mx: tuple[str, ...],
    ) -> ApexSeen:
        servers, owners = zone
        answers = together[apex] if apex in together else self.name_servers.tlsa(servers, owners)
        unsigned = self._unsigned(owners)
        # The look is dated after its last answer: evidence that begins a little late is safe, early is not.
        at = self.clock.now() + timedelta(seconds=1)
        return ApexSeen(at, repo, tuple(s for s in answers if not self._is_accepted(s)), mx, unsigned=unsigned)

    def _unsigned(self, owners: tuple[str, ...]) -> dict[str, str]:
        validator = self.inventory.dns.validator if self.inventory.dns else None
        found = {} if validator is None else self.name_servers.unsigned(validator, owners)
        hazards = {owner: Hazard(HazardName.DNSSEC_BOGUS, owner, why) for owner, why in found.items()}
        return {owner: found[owner] for owner, hazard in hazards.items() if not self.consents.cover(hazard)}

    def _is_accepted(self, server: ServerSeen) -> bool:
        hazard = Hazard(HazardName.NS_UNREACHABLE, server.server, server.error or "")
        return server.error is not None and self.consents.cover(hazard)


def _anchors(entry: ApexEntry | None) -> frozenset[str]:
    """Return the base commits that the ledger's entry names."""
    if entry is None:
        return frozenset()
    names = {name.commit for name in entry.names.values()}
    return frozenset(names | {evidence.commit for evidence in entry.records.values()})


def _owners_to_ask(apex: str, wanted: Collection[str], repo: DnsRepoSeen, ledger: Ledger) -> tuple[str, ...]:
    """Return the owners of *apex* that have, had or should (*wanted*) have records."""
    entry = ledger.apex(apex)
    known = set(entry.names) if entry else set()
    past = {owner for commit in repo.history for owner in commit.owners()}
    return tuple(sorted(owner for owner in {*wanted, *known, *past} if zone_of(owner, [apex])))
