"""Where every service stands, told from the repository alone: inventory, both branches and the ledger, no network.

What the ledger has not seen, status does not know: `plan` looks at DNS, status only remembers.
"""

from __future__ import annotations

from collections import defaultdict
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING

from sslops.dane.evidence import ready_at
from sslops.model.inventory import DaneOwners
from sslops.model.state import Status
from sslops.model.tlsa import owner_name
from sslops.report.phase import Phase
from sslops.report.words import days_left
from sslops.roll.age import mature_at

if TYPE_CHECKING:
    from collections.abc import Collection, Iterable, Mapping
    from datetime import datetime

    from sslops.inventory.reach import Delivery
    from sslops.model.inventory import DaneSpec, Inventory, Service
    from sslops.model.ledger import Evidence, Ledger, Served
    from sslops.model.names import GenerationId, ServiceId
    from sslops.model.state import Branches, Generation, ServiceState
    from sslops.model.tlsa import TlsaRecord


@dataclass(frozen=True, slots=True)
class StatusWait:
    """One step that a service waits for: a verb (or `hold`), until when (null: until something changes), why."""

    step: str
    until: datetime | None
    why: str


@dataclass(frozen=True, slots=True)
class ServiceStatus:
    """One line of the report.

    *curr* is main's; *next* is what is on deck, and *next_status* how far it has come. *not_after* and *days_left* are
    those of *curr*, before the first roll those of *next*. *hosts* maps each to what it may serve: one id is settled,
    several are either, a null among them is something unknown.
    """

    id: ServiceId
    phase: Phase
    curr: GenerationId | None = None
    next: GenerationId | None = None
    next_status: Status | None = None
    not_after: datetime | None = None
    days_left: float | None = None
    waits: tuple[StatusWait, ...] = ()
    hosts: Mapping[str, tuple[GenerationId | None, ...]] = field(default_factory=dict)

    @property
    def settled(self) -> int:
        """How many hosts are known to serve exactly *curr*."""
        return sum(may_serve == (self.curr,) for may_serve in self.hosts.values()) if self.curr else 0


@dataclass(frozen=True, slots=True)
class StatusReport:
    """All services, sorted by id, as of *now*; *fetched_at* is null when there is no remote to fetch from."""

    now: datetime
    fetched_at: datetime | None
    services: tuple[ServiceStatus, ...]

    def only(self, wanted: Collection[ServiceId] | None) -> StatusReport:
        """Return the lines about *wanted*; null means all."""
        if wanted is None:
            return self
        return replace(self, services=tuple(each for each in self.services if each.id in wanted))


def receivers(deliveries: Iterable[Delivery]) -> dict[ServiceId, tuple[str, ...]]:
    """Return the names of the hosts that get each service, turned round from what each host gets."""
    found: dict[ServiceId, list[str]] = defaultdict(list)
    for delivery in deliveries:
        for service in delivery.services:
            found[service].append(delivery.host.name)
    return {service: tuple(hosts) for service, hosts in found.items()}


def status_report(
    inventory: Inventory,
    branches: Branches,
    ledger: Ledger,
    receivers: Mapping[ServiceId, tuple[str, ...]],
    now: datetime,
    fetched_at: datetime | None,
    asked: Mapping[ServiceId, GenerationId] | None = None,
) -> StatusReport:
    """Tell where every service stands that the inventory or a branch knows; *receivers* names the hosts of each.

    *asked* is what the roll branch would make curr on main; a roll on next that is not there was declined. Null: there
    is no forge.
    """
    view = _View(inventory, branches, ledger, receivers, now)
    view.asked = asked
    ids = sorted({*inventory.services, *branches.main.services, *branches.next.services})
    found = (_service(view, each) for each in ids)
    return StatusReport(now, fetched_at, tuple(each for each in found if each is not None))


class _View:
    """Everything the report is told from, with the ledger indexed by what a service asks it."""

    def __init__(
        self,
        inventory: Inventory,
        branches: Branches,
        ledger: Ledger,
        receivers: Mapping[ServiceId, tuple[str, ...]],
        now: datetime,
    ) -> None:
        self.inventory, self.branches, self.receivers, self.now = inventory, branches, receivers, now
        self.asked: Mapping[ServiceId, GenerationId] | None = None
        self.served: dict[ServiceId, dict[str, Served]] = defaultdict(dict)
        for host, entry in ledger.hosts.items():
            for service, served in entry.services.items():
                self.served[service][host] = served
        self.records: dict[str, list[TlsaRecord]] = defaultdict(list)
        self.evidence: dict[TlsaRecord, Evidence] = {}
        for apex in ledger.apexes.values():
            for owner, name in apex.names.items():
                self.records.update({} if name.empty_since else {owner: []})
            for record, evidence in apex.records.items():
                self.records[record.owner].append(record)
                self.evidence[record] = evidence

    def is_declined(self, service: ServiceId, rolled: GenerationId) -> bool:
        """Whether nobody is asked for a roll that is on next."""
        return self.asked is not None and self.asked.get(service) != rolled

    def hosts(self, service: ServiceId) -> dict[str, tuple[GenerationId | None, ...]]:
        """Return every host that gets the service or may still serve it, and what."""
        known = self.served.get(service, {})
        names = sorted({*self.receivers.get(service, ()), *known})
        return {name: known[name].may_serve if name in known else (None,) for name in names}

    def owners(self, service: Service, spec: DaneSpec) -> list[str]:
        """Return the names with records on the ledger that *spec* is about."""
        if spec.owners is DaneOwners.SANS:
            wanted = {owner_name(spec.port, spec.proto, san) for san in service.sans}
            return sorted(wanted & self.records.keys())
        prefix, suffix = f"_{spec.port}._{spec.proto}.", f"{service.id.group}."
        return sorted(owner for owner in self.records if owner.startswith(prefix) and owner.endswith(suffix))


def _service(view: _View, key: ServiceId) -> ServiceStatus | None:
    main, deck = view.branches.main[key], view.branches.next[key]
    service = view.inventory.services.get(key)
    hosts = view.hosts(key)
    on_deck = _on_deck(main, deck)
    if service is None and not (main.curr or on_deck or hosts):
        return None
    shown = main.curr or on_deck
    not_after = shown.issued.not_after if shown and shown.issued else None
    phase, waits = _phase_and_waits(view, key, service, hosts)
    return ServiceStatus(
        id=key,
        phase=phase,
        curr=main.slots.curr,
        next=on_deck.id if on_deck else None,
        next_status=on_deck.status if on_deck else None,
        not_after=not_after,
        days_left=None if not_after is None else days_left(not_after, view.now),
        waits=waits,
        hosts=hosts,
    )


def _on_deck(main: ServiceState, deck: ServiceState) -> Generation | None:
    """Return what is to be served next: a roll that main does not have yet, else the slot `next`."""
    return deck.curr if deck.slots.curr != main.slots.curr and deck.curr else deck.next


def _phase_and_waits(
    view: _View, key: ServiceId, service: Service | None, hosts: Mapping[str, tuple[GenerationId | None, ...]]
) -> tuple[Phase, tuple[StatusWait, ...]]:
    main, deck = view.branches.main[key], view.branches.next[key]
    if service is None:
        return Phase.RETIRED, _still_serving(hosts)
    if not view.inventory.groups[key.group].active:
        return Phase.FROZEN, ()
    waits = (
        *_renew_waits(view, service, deck),
        *_roll_waits(view, service, main, deck),
        *_deploy_waits(view, service, main),
    )
    hold = view.inventory.hold_on(service, view.now)
    if hold is not None:
        waits = (StatusWait("hold", hold.until, hold.reason),)
    return _phase(view, key, main, deck, hosts, waits, is_held=hold is not None), waits


def _phase(  # noqa: PLR0911  (a phase is the first of a list that applies; one line each)
    view: _View,
    key: ServiceId,
    main: ServiceState,
    deck: ServiceState,
    hosts: Mapping[str, tuple[GenerationId | None, ...]],
    waits: tuple[StatusWait, ...],
    *,
    is_held: bool,
) -> Phase:
    curr, on_deck = main.curr, _on_deck(main, deck)
    if curr and curr.issued and curr.issued.not_after <= view.now:
        return Phase.EXPIRED
    if is_held:
        return Phase.HELD
    if on_deck and on_deck.id == deck.slots.refused:
        return Phase.REFUSED
    if deck.slots.curr != main.slots.curr and deck.curr:
        return Phase.DECLINED if view.is_declined(key, deck.curr.id) else Phase.PROPOSED
    if on_deck and on_deck.status is Status.ISSUED:
        return Phase.WAITING if any(wait.step == "roll" for wait in waits) else Phase.READY
    if on_deck and on_deck.status is Status.ORDERED:
        return Phase.ORDERED
    if curr is None:
        return Phase.KEYED if on_deck else Phase.NEW
    if deck.slots.renew_at is not None and deck.slots.renew_at <= view.now:
        return Phase.DUE
    return Phase.LIVE if all(may_serve == (curr.id,) for may_serve in hosts.values()) else Phase.DEPLOYING


def _still_serving(hosts: Mapping[str, tuple[GenerationId | None, ...]]) -> tuple[StatusWait, ...]:
    serving = [host for host, may_serve in hosts.items() if may_serve]
    return (StatusWait("deploy", None, f"{_listed(serving)} may still serve it"),) if serving else ()


def _renew_waits(view: _View, service: Service, deck: ServiceState) -> tuple[StatusWait, ...]:
    slots = deck.slots
    if slots.retry_at is not None and slots.retry_at > view.now:
        why = f": {deck.next.failure}" if deck.next is not None and deck.next.failure else ""
        return (StatusWait("renew", slots.retry_at, f"tried {slots.failures} times without success{why}"),)
    if deck.next is not None and deck.next.order is not None:
        return (StatusWait("renew", deck.next.order.expires, f"order {deck.next.order.url} is under way"),)
    newest_is_next = deck.next is not None and deck.next.status is Status.ISSUED
    if slots.renew_at is None or slots.renew_at <= view.now or newest_is_next:
        return ()
    why = "renewal" if deck.next is None else "renewal; its key is ready"
    return (StatusWait("renew", slots.renew_at, why if not service.is_ca else "renewal of the CA"),)


def _roll_waits(view: _View, service: Service, main: ServiceState, deck: ServiceState) -> tuple[StatusWait, ...]:
    on_deck = _on_deck(main, deck)
    if on_deck is None or on_deck.issued is None:
        return ()
    if on_deck.id == deck.slots.refused:
        return (StatusWait("roll", None, "it was taken back on main: sslops roll --force tries it again"),)
    if on_deck.id == deck.slots.curr:
        told = "is not merged into main"
        if view.is_declined(service.id, on_deck.id):
            told = "was declined: sslops roll --force opens the merge request again"
        return (StatusWait("roll", None, f"the roll {told}"),)
    waits = [_dane_wait(view, service, on_deck, "roll")]
    until = mature_at(service, on_deck)
    if main.curr is not None and until is not None and until > view.now:
        waits.append(StatusWait("roll", until, f"min_roll_mins is {service.min_roll_minutes}"))
    return _slowest([wait for wait in waits if wait is not None])


def _deploy_waits(view: _View, service: Service, main: ServiceState) -> tuple[StatusWait, ...]:
    if main.curr is None or service.is_ca:
        return ()
    behind = [host for host, may_serve in view.hosts(service.id).items() if may_serve != (main.curr.id,)]
    if not behind:
        return ()
    dane = _dane_wait(view, service, main.curr, "deploy")
    if dane is not None:
        return (dane,)
    known = view.served.get(service.id, {})
    backoffs = [known[host] for host in behind if host in known and (known[host].retry_at or view.now) > view.now]
    until = min((each.retry_at for each in backoffs if each.retry_at), default=None)
    return (StatusWait("deploy", until, f"not proven to serve it: {_listed(behind)}"),)


def _dane_wait(view: _View, service: Service, generation: Generation, step: str) -> StatusWait | None:
    """Return the wait for the generation's TLSA record to be old enough everywhere; null when the ledger knows none."""
    moments: list[datetime] = []
    for spec in service.dane:
        for owner in view.owners(service, spec):
            ours = [record for record in view.records[owner] if record.data == generation.spki_sha256]
            if not ours:
                return StatusWait(step, None, f"its record at {owner} was not seen on every name server")
            moments += [ready_at(view.evidence[record]) for record in ours]
    latest = max(moments, default=view.now)
    return StatusWait(step, latest, "caches may hold records without its own") if latest > view.now else None


def _slowest(waits: list[StatusWait]) -> tuple[StatusWait, ...]:
    """Keep the wait that decides: one without an end, else the latest."""
    return tuple(sorted(waits, key=lambda wait: (wait.until is None, wait.until and wait.until.timestamp()))[-1:])


def _listed(hosts: list[str]) -> str:
    shown = ", ".join(hosts[:3])
    return shown if len(hosts) <= 3 else f"{shown} and {len(hosts) - 3} more"  # noqa: PLR2004  (what fits a line)
