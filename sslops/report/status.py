"""Where every service stands, for `sslops status`: as values, text, Markdown and JSON.

Of several phases that apply the first in the order of `Phase` is shown.
"""

from __future__ import annotations

import json
from collections import Counter, defaultdict
from dataclasses import dataclass, field, replace
from enum import StrEnum
from typing import TYPE_CHECKING

from sslops.dane.evidence import ready_at
from sslops.dane.records import Keys
from sslops.model.cause import MEANINGS, Cause
from sslops.model.inventory import DaneOwners
from sslops.model.names import format_time
from sslops.model.state import Status
from sslops.model.tlsa import owner_name
from sslops.report.table import Column, as_documents, as_lines, as_markdown_table, shortened
from sslops.report.text import as_code, count, days_left, for_markdown, on_one_line, span, stamp, until, visible
from sslops.roll.rules import mature_at

if TYPE_CHECKING:
    from collections.abc import Collection, Iterable, Iterator, Mapping
    from datetime import datetime, timedelta

    from sslops.dane.records import Material, Version
    from sslops.inventory.reach import Delivery
    from sslops.model.inventory import DaneSpec, Inventory, Service
    from sslops.model.ledger import Evidence, Ledger, Served, Trouble
    from sslops.model.names import GenerationId, ServiceId
    from sslops.model.state import Branches, Generation, ServiceState
    from sslops.model.tlsa import TlsaParams, TlsaRecord


class Phase(StrEnum):
    """Where a service is on its way round; `MEANING` says each in words."""

    RETIRED = "retired"
    FROZEN = "frozen"
    EXPIRED = "expired"
    HELD = "held"
    REFUSED = "refused"
    DECLINED = "declined"
    PROPOSED = "proposed"
    WAITING = "waiting"
    READY = "ready"
    ORDERED = "ordered"
    NEW = "new"
    KEYED = "keyed"
    DUE = "due"
    DEPLOYING = "deploying"
    LIVE = "live"


MEANING = {
    Phase.RETIRED: "no longer in the inventory; its entries close when no host serves it any more",
    Phase.FROZEN: "its group is not active",
    Phase.EXPIRED: "the certificate that is to be served has expired",
    Phase.HELD: "a person asked to leave it alone",
    Phase.REFUSED: "the staged certificate was taken back on main, and is not rolled again without `--force`",
    Phase.DECLINED: "rolled on next, and a person closed the merge request; `sslops roll --force` opens it again",
    Phase.PROPOSED: "rolled on next, not merged into main yet",
    Phase.WAITING: "a certificate is staged, and may not be rolled yet",
    Phase.READY: "a certificate is staged, and nothing known keeps it from being rolled",
    Phase.ORDERED: "the CA has the order, and has not issued yet",
    Phase.NEW: "nothing was made yet",
    Phase.KEYED: "a key was made, and there is no certificate yet",
    Phase.DUE: "it is time to renew",
    Phase.DEPLOYING: "rolled, and some host is not known to serve it",
    Phase.LIVE: "every host is known to serve it, or it has none",
}
"""What each phase means, for the documentation and `sslops status --help`."""


@dataclass(frozen=True, slots=True)
class StatusWait:
    """One step that a service waits for: a verb (or `hold`), until when (null: blocked, or not known), why."""

    step: str
    until: datetime | None
    why: str


@dataclass(frozen=True, slots=True)
class ServiceStatus:
    """One line of the report.

    *curr* is main's; *next* is what is staged, and *next_status* how far it has come. *not_after* and *days_left* are
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
    troubles: Mapping[str, Trouble] = field(default_factory=dict)
    """Of its hosts that are not settled on *curr*: why the last deploy failed there, and since when."""
    facts: Generation | None = None
    """The generation that *not_after* is of, or that the first certificate is to be; null before the first key."""

    @property
    def settled(self) -> int:
        """How many hosts are known to serve exactly *curr*."""
        return sum(may_serve == (self.curr,) for may_serve in self.hosts.values()) if self.curr else 0


@dataclass(frozen=True, slots=True)
class Blocked:
    """What the ledger remembers as blocked: somebody has to act. *subject* is `group/service`, or the group alone."""

    verb: str
    subject: str
    what: str
    cause: str
    since: datetime

    @property
    def says(self) -> str:
        """What is the matter, in words; another release may know more causes."""
        return MEANINGS[Cause(self.cause)].says if self.cause in set(Cause) else self.cause


def blocked(ledger: Ledger) -> tuple[Blocked, ...]:
    """Return what the ledger remembers as blocked, the oldest first."""
    split = [(key.split(), since) for key, since in ledger.blocked.items()]
    found = [
        Blocked(verb, subject.strip("/"), " ".join(what), cause, since)
        for (verb, subject, *what, cause), since in (each for each in split if len(each[0]) > _FEWEST_WORDS)
    ]
    return tuple(sorted(found, key=lambda each: (each.since, each.verb, each.subject, each.what)))


_FEWEST_WORDS = 2


class AlarmKind(StrEnum):
    """Why a look at the site ends with exit 1, the worst first."""

    MISMATCH = "mismatch"
    """What a host may serve and the TLSA records that are visible do not match, by the ledger."""
    DRIFT = "drift"
    """Git, DNS and what is served differ, by what `--live` saw."""
    EXPIRED = "expired"
    """A certificate that is to be served has expired."""
    ENDING = "ending"
    """Less is left of it than `--fail-under` asks for."""
    UNOBSERVED = "unobserved"
    """A name server or a port gave no answer to `--live`."""


@dataclass(frozen=True, slots=True)
class Alarm:
    """One thing that is wrong: about which service, host or name, and what, in a sentence."""

    kind: AlarmKind
    subject: str
    what: str
    service: ServiceId | None = None
    """The service it is about; null where it is about a name or a server."""


@dataclass(frozen=True, slots=True)
class StatusReport:
    """All services, sorted by id, as of *now*; *fetched_at* is null when there is no remote to fetch from."""

    now: datetime
    fetched_at: datetime | None
    services: tuple[ServiceStatus, ...]
    blocked: tuple[Blocked, ...] = ()
    alarms: tuple[Alarm, ...] = ()
    """What makes it a failure, the worst first; `status` shows them before anything else."""

    def only(self, wanted: Collection[ServiceId] | None) -> StatusReport:
        """Return the lines about *wanted*; null means all."""
        if wanted is None:
            return self
        return replace(
            self,
            services=tuple(each for each in self.services if each.id in wanted),
            alarms=tuple(each for each in self.alarms if each.service is None or each.service in wanted),
        )

    def alarmed(self, alarms: Iterable[Alarm]) -> StatusReport:
        """Return the report with *alarms* too."""
        order = list(AlarmKind)
        return replace(self, alarms=tuple(sorted((*self.alarms, *alarms), key=lambda each: order.index(each.kind))))

    def ending(self, under: timedelta) -> Iterator[Alarm]:
        """Yield an alarm for every certificate that is to be served and has less than *under* left."""
        for each in self.services:
            if each.curr and each.not_after and each.phase not in _AT_REST and each.phase is not Phase.EXPIRED:
                left = each.not_after - self.now
                if left < under:
                    what = f"its certificate ends in {span(left)} ({stamp(each.not_after)}), under {span(under)}"
                    yield Alarm(AlarmKind.ENDING, str(each.id), what, each.id)


_AT_REST = frozenset({Phase.RETIRED, Phase.FROZEN})


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
    material: Mapping[Version, Material] | None = None,
) -> StatusReport:
    """Tell where every service stands that the inventory or a branch knows; *receivers* names the hosts of each.

    *asked* is what the roll branch would make curr on main; a roll on next that is not there was declined. Null: there
    is no forge. *material* is asked for what TLSA records say that are about more than the public facts tell.
    """
    view = _View(inventory, branches, ledger, receivers, now)
    view.asked, view.keys = asked, Keys.of(branches, material)
    ids = sorted({*inventory.services, *branches.main.services, *branches.next.services})
    found = (_service(view, each) for each in ids)
    services = tuple(each for each in found if each is not None)
    report = StatusReport(now, fetched_at, services, blocked(ledger))
    return report.alarmed([*_mismatches(view), *_expired(report)])


def _expired(report: StatusReport) -> Iterator[Alarm]:
    for each in report.services:
        if each.phase is Phase.EXPIRED and each.not_after is not None:
            yield Alarm(AlarmKind.EXPIRED, str(each.id), f"its certificate ended on {stamp(each.not_after)}", each.id)


def _mismatches(view: _View) -> Iterator[Alarm]:
    """Yield where, by the ledger, a host may show a generation that the records of one kind at a name do not match."""
    for service in view.inventory.active():
        owners = view.owners_of(service)
        for host, served in sorted(view.served[service.id].items()) if owners else ():
            for generation in served.may_serve if not served.is_copy else ():
                if generation is None or (service.id, generation) not in view.keys.generations:
                    continue
                for owner, params in ((name, kind) for name in owners for kind in view.kinds(name)):
                    if not view.matching(owner, params, service.id, generation):
                        what = f"{host} may serve {generation}, and no {params} record at {owner} matches it"
                        yield Alarm(AlarmKind.MISMATCH, str(service.id), what, service.id)


class _View:
    """Everything the report is made from, with the ledger indexed by what a service asks it."""

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
        self.keys = Keys.of(branches)
        self.troubles = ledger.troubles
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

    def owners_of(self, service: Service) -> list[str]:
        """Return the names with records on the ledger that any `dane_tls` of *service* is about."""
        return list(dict.fromkeys(owner for spec in service.dane for owner in self.owners(service, spec)))

    def kinds(self, owner: str) -> list[TlsaParams]:
        """Return the kinds of records at *owner*; each must match by itself (RFC 7671 section 9)."""
        return sorted({record.params for record in self.records[owner]})

    def matching(
        self, owner: str, params: TlsaParams, service: ServiceId, generation: GenerationId
    ) -> list[TlsaRecord]:
        """Return the records with *params* at *owner* that match *generation*."""
        wanted = self.keys.matching(owner, params, service, generation)
        return [record for record in self.records[owner] if record in wanted]

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
    staged = _staged(main, deck)
    if service is None and not (main.curr or staged or hosts):
        return None
    shown = main.curr or staged
    not_after = shown.issued.not_after if shown and shown.issued else None
    phase, waits = _phase_and_waits(view, key, service, hosts)
    return ServiceStatus(
        id=key,
        phase=phase,
        curr=main.slots.curr,
        next=staged.id if staged else None,
        next_status=staged.status if staged else None,
        not_after=not_after,
        days_left=None if not_after is None else days_left(not_after, view.now),
        waits=waits,
        hosts=hosts,
        facts=shown,
        troubles={
            host: trouble
            for host, trouble in view.troubles.items()
            if host in hosts and hosts[host] != (main.slots.curr,)
        },
    )


def _staged(main: ServiceState, deck: ServiceState) -> Generation | None:
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
    curr, staged = main.curr, _staged(main, deck)
    if curr and curr.issued and curr.issued.not_after <= view.now:
        return Phase.EXPIRED
    if is_held:
        return Phase.HELD
    if staged and staged.id == deck.slots.refused:
        return Phase.REFUSED
    if deck.slots.curr != main.slots.curr and deck.curr:
        return Phase.DECLINED if view.is_declined(key, deck.curr.id) else Phase.PROPOSED
    if staged and staged.status is Status.ISSUED:
        return Phase.WAITING if any(wait.step == "roll" for wait in waits) else Phase.READY
    if staged and staged.status is Status.ORDERED:
        return Phase.ORDERED
    if curr is None:
        return Phase.KEYED if staged else Phase.NEW
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
    staged = _staged(main, deck)
    if staged is None or staged.issued is None:
        return ()
    if staged.id == deck.slots.refused:
        return (StatusWait("roll", None, "it was taken back on main: sslops roll --force tries it again"),)
    if staged.id == deck.slots.curr:
        told = "is not merged into main"
        if view.is_declined(service.id, staged.id):
            told = "was declined: sslops roll --force opens the merge request again"
        return (StatusWait("roll", None, f"the roll {told}"),)
    waits = [_dane_wait(view, service, staged, "roll")]
    until = mature_at(service, staged)
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
    whys = [f"{host}: {_trouble(view.troubles[host])}" for host in behind if host in view.troubles]
    return (StatusWait("deploy", until, "; ".join([f"not yet verified on this host: {_listed(behind)}", *whys[:3]])),)


def _trouble(trouble: Trouble) -> str:
    return f"{trouble.why} (since {stamp(trouble.since)})"


def _dane_wait(view: _View, service: Service, generation: Generation, step: str) -> StatusWait | None:
    """Return the wait for the generation's TLSA records to be old enough everywhere; null when the ledger knows none.

    As `may_serve` has it: of every kind of record at every name one that matches must be visible on all name servers,
    and no cache may hold the records from before.
    """
    latest = view.now
    for owner in view.owners_of(service):
        for params in view.kinds(owner) or sorted({spec.params for spec in service.dane}):
            matching = view.matching(owner, params, service.id, generation.id)
            if not matching:
                return StatusWait(step, None, f"its {params} record at {owner} is not visible on all name servers")
            latest = max(latest, min(ready_at(view.evidence[record]) for record in matching))
    return StatusWait(step, latest, "caches may hold records without its own") if latest > view.now else None


def _slowest(waits: list[StatusWait]) -> tuple[StatusWait, ...]:
    """Keep the wait that decides: one without an end, else the latest."""
    return tuple(sorted(waits, key=lambda wait: (wait.until is None, wait.until and wait.until.timestamp()))[-1:])


def _listed(hosts: list[str]) -> str:
    shown = ", ".join(hosts[:3])
    return shown if len(hosts) <= 3 else f"{shown} and {len(hosts) - 3} more"  # noqa: PLR2004  (what fits a line)


_STYLES = {
    Phase.LIVE: "green",
    Phase.EXPIRED: "bold red",
    Phase.REFUSED: "red",
    Phase.HELD: "yellow",
    Phase.DUE: "yellow",
    Phase.RETIRED: "dim",
    Phase.FROZEN: "dim",
}


def _wait(wait: StatusWait, now: datetime) -> str:
    when = "" if wait.until is None else f" {until(wait.until, now)}"
    return f"{wait.step}{when}: {wait.why}"


def _days(each: ServiceStatus) -> str:
    return "" if each.days_left is None else f"{each.days_left:.1f}"


_NEXT_WORDS = {Status.KEYED: " key", Status.ORDERED: " ordered"}


def _next_suffix(each: ServiceStatus) -> str:
    return _NEXT_WORDS.get(each.next_status, "") if each.next_status else ""


def _waits_json(each: ServiceStatus) -> list[dict[str, object]]:
    return [
        {"for": wait.step, "until": None if wait.until is None else format_time(wait.until), "why": wait.why}
        for wait in each.waits
    ]


def _troubles_json(each: ServiceStatus) -> dict[str, dict[str, str]]:
    return {host: {"since": format_time(it.since), "why": it.why} for host, it in sorted(each.troubles.items())}


_WAITS = "waits for"


def _table(now: datetime, *, verbose: bool) -> tuple[Column[ServiceStatus], ...]:
    """Return the columns of the report: head, plain text, Markdown, and what JSON says; generations short in text."""
    found: tuple[Column[ServiceStatus], ...] = (
        Column(
            "service",
            lambda each: str(each.id),
            lambda each: as_code(str(each.id)),
            lambda each: {"group": each.id.group, "service": each.id.name},
        ),
        Column("phase", lambda each: str(each.phase), None, lambda each: {"phase": str(each.phase)}),
        Column(
            "days left",
            _days,
            None,
            lambda each: {
                "not_after": None if each.not_after is None else format_time(each.not_after),
                "days_left": each.days_left,
            },
        ),
        Column(
            "curr",
            lambda each: each.curr[-4:] if each.curr else "",
            lambda each: as_code(each.curr or ""),
            lambda each: {"curr": each.curr},
        ),
        Column(
            "next",
            lambda each: (each.next or "")[-4:] + _next_suffix(each),
            lambda each: as_code(each.next or "") + _next_suffix(each),
            lambda each: {"next": each.next},
        ),
        Column(
            "hosts",
            lambda each: f"{each.settled}/{len(each.hosts)}" if each.hosts else "",
            lambda each: f"{each.settled} of {len(each.hosts)}" if each.hosts else "",
            lambda each: {
                "hosts": {host: list(may_serve) for host, may_serve in each.hosts.items()},
                "troubles": _troubles_json(each),
            },
        ),
        Column(
            _WAITS,
            lambda each: "; ".join(_wait(wait, now) for wait in each.waits),
            lambda each: "<br>".join(for_markdown(_wait(wait, now)) for wait in each.waits),
            lambda each: {"waits": _waits_json(each)},
        ),
    )
    return (*found, *_DETAILS) if verbose else found


def _names(each: ServiceStatus) -> list[str]:
    return list(each.facts.issued.sans) if each.facts and each.facts.issued else []


def _issuer(each: ServiceStatus) -> str | None:
    return None if each.facts is None else each.facts.issued.issuer if each.facts.issued else each.facts.ca


def _key(each: ServiceStatus) -> str | None:
    return f"{each.facts.key_type} {each.facts.key_size}".strip() if each.facts else None


def _lifetime(each: ServiceStatus) -> str | None:
    if each.facts is None or each.facts.issued is None:
        return None
    issued = each.facts.issued
    whole = span(issued.not_after - issued.not_before)
    return f"{issued.not_before:%Y-%m-%d} to {issued.not_after:%Y-%m-%d} ({whole})"


def _not_before(each: ServiceStatus) -> str | None:
    return format_time(each.facts.issued.not_before) if each.facts and each.facts.issued else None


_DETAILS: tuple[Column[ServiceStatus], ...] = (
    Column("names", lambda each: ", ".join(_names(each)), None, lambda each: {"names": _names(each)}),
    Column("issuer", lambda each: _issuer(each) or "", None, lambda each: {"issuer": _issuer(each)}),
    Column("key", lambda each: _key(each) or "", None, lambda each: {"key": _key(each)}),
    Column("lifetime", lambda each: _lifetime(each) or "", None, lambda each: {"not_before": _not_before(each)}),
)
"""What `--verbose` adds."""


def as_text(report: StatusReport, *, verbose: bool = False) -> str:
    """Return the report in plain columns, a line for each service; *verbose*: a line more for each detail."""
    facts = _table(report.now, verbose=False)
    head, *lines = as_lines(facts, report.services)
    rows = [head]
    for each, line in zip(report.services, lines, strict=True):
        rows += [line, *(_detail_lines(each) if verbose else ())]
    return "\n".join([*_alarm_lines(report), *rows, "", *_blocked_lines(report), _closing_line(report)])


def _detail_lines(each: ServiceStatus) -> list[str]:
    found = ((column.head, on_one_line(column.text(each))) for column in _DETAILS)
    return [f"    {head + ':':<9} {value}" for head, value in found if value]


def as_rich(report: StatusReport, width: int | None = None, *, verbose: bool = False, is_coloured: bool = True) -> str:
    """Return the report for a terminal of *width* columns (null: the one there is), in colour where it has any.

    A service is one line where its waits fit beside it, else two; what is longer than a line ends in an ellipsis.
    *verbose* shows everything, however many lines that takes; *is_coloured* false leaves the colours out.
    """
    from rich.console import Console
    from rich.text import Text

    console = Console(width=width, no_color=not is_coloured)
    wide, narrow = _table(report.now, verbose=False), _table(report.now, verbose=False)[:-1]
    lines = as_lines(wide, report.services)
    fits = max(map(len, lines)) <= console.width
    if not fits:
        lines = as_lines(narrow, report.services, width=console.width)
    written = [Text(line, style="bold red") for line in _alarm_lines(report)]
    written.append(Text(lines[0], style="bold"))
    for each, line in zip(report.services, lines[1:], strict=True):
        shown = Text(line)
        shown.highlight_words([str(each.phase)], style=_STYLES.get(each.phase, "cyan"))
        written.append(shown)
        waits = "" if fits else on_one_line(wide[-1].text(each))
        if waits:
            second = f"    {waits}"
            written.append(Text(second if verbose else shortened(second, console.width), style="dim"))
        written += [Text(line) for line in (_detail_lines(each) if verbose else ())]
    with console.capture() as captured:
        for text in written:
            console.print(text, soft_wrap=True)
    return "\n".join([captured.get(), *map(visible, _blocked_lines(report)), _closing_line(report)])


def as_markdown(report: StatusReport, *, verbose: bool = False) -> str:
    """Return the report as one table, generations in full."""
    table = as_markdown_table(_table(report.now, verbose=verbose), report.services)
    alarms = [f"- {for_markdown(line)}" for line in _alarm_lines(report) if line]
    blocked = [for_markdown(line) for line in _blocked_lines(report)]
    return "\n\n".join([*(["\n".join(alarms)] if alarms else []), table, *blocked, for_markdown(_closing_line(report))])


def as_json(report: StatusReport, live: Mapping[str, object] | None = None, *, verbose: bool = False) -> str:
    """Return `{fetched_at, alarms, services}`, and *live* when there is any; a null generation of a host is unknown."""
    document: dict[str, object] = {
        "fetched_at": None if report.fetched_at is None else format_time(report.fetched_at),
        "alarms": [{"kind": str(each.kind), "subject": each.subject, "what": each.what} for each in report.alarms],
        "services": as_documents(_table(report.now, verbose=verbose), report.services),
        "blocked": [_blocked_json(each) for each in report.blocked],
    }
    if live is not None:
        document["live"] = live
    return json.dumps(document, indent=2, ensure_ascii=False)


def _alarm_lines(report: StatusReport) -> list[str]:
    """Return a line for each alarm and an empty one; nothing where all is well."""
    lines = [on_one_line(f"{each.kind}: {each.subject}: {each.what}") for each in report.alarms]
    return [*lines, ""] if lines else []


def _blocked_json(each: Blocked) -> dict[str, str]:
    return {
        "for": each.verb,
        "subject": each.subject,
        "what": each.what,
        "cause": each.cause,
        "since": format_time(each.since),
    }


def _blocked_lines(report: StatusReport) -> list[str]:
    """Return a line for each thing that is blocked, before the closing line."""
    return [
        f"blocked since {stamp(each.since)}: {each.verb} {each.subject} {each.what}: {each.says}"
        for each in report.blocked
    ]


def _closing_line(report: StatusReport) -> str:
    phases = Counter(each.phase for each in report.services)
    told = ", ".join(f"{phases[phase]} {phase}" for phase in Phase if phases[phase])
    services = count(len(report.services), "service")
    fetched = "" if report.fetched_at is None else f"; fetched {span(report.now - report.fetched_at)} ago"
    return f"{services}{': ' if told else ''}{told}{fetched}"
