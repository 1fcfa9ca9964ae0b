"""One page about a whole site: what needs a person, then every service, name, host and CA, and what lies ahead.

`page_view` decides what is shown, from values alone; `page` writes it as HTML that needs nothing else: no script, no
font and no other file. Whatever comes from outside is escaped by the template, and links lead to http and https only.
"""

from __future__ import annotations

import re
from collections import defaultdict
from dataclasses import dataclass
from datetime import timedelta
from itertools import islice
from typing import TYPE_CHECKING

from sslops.acme.limits import Budget
from sslops.dane.evidence import free_at, ready_at
from sslops.dane.records import CA_USAGES
from sslops.model.inventory import CaType, DaneOwners
from sslops.model.names import CA_GROUP, ServiceId
from sslops.model.proposal import RequestState
from sslops.model.tlsa import owner_name
from sslops.report.status import Phase
from sslops.report.svg import Bar, Lane, Mark, Span, timeline
from sslops.report.text import count, span, stamp, until, visible
from sslops.report.tlsrpt import per_day

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Sequence
    from datetime import datetime

    from sslops.model.inventory import Inventory
    from sslops.model.ledger import ApexEntry, Evidence, Ledger, Served
    from sslops.model.names import GenerationId
    from sslops.model.outlook import Event, Forecast
    from sslops.model.proposal import MergeRequest
    from sslops.model.state import Branches, Generation
    from sslops.report.live import Known
    from sslops.report.status import ServiceStatus, StatusReport


_URL = re.compile(r"https?://[\w.~:/?#@!$&+,;=%-]+")
_WIDTHS = (980, 600, 310)
"""A chart is drawn for each of these widths, and the page shows the one that fits."""
_MOST_STEPS, _MOST_LANES = 12, 6
_MOST_DAYS = 60
_BACK, _AHEAD = timedelta(days=45), timedelta(days=120)
_WRONG = frozenset({Phase.EXPIRED, Phase.REFUSED, Phase.DECLINED})
_UNSETTLED = frozenset({Phase.HELD, Phase.PROPOSED, Phase.DUE, Phase.DEPLOYING})
_AT_REST = frozenset({Phase.RETIRED, Phase.FROZEN})


@dataclass(frozen=True, slots=True)
class Need:
    """One thing that somebody has to look at: *grade* is `bad` or `warn`; *url* is empty where there is none."""

    grade: str
    subject: str
    text: str
    url: str = ""


@dataclass(frozen=True, slots=True)
class Commit:
    """One commit of a branch that counts; *run* is the page of the job that made it, empty where nobody says."""

    sha: str
    at: datetime
    subject: str
    author: str
    run: str = ""
    url: str = ""


@dataclass(frozen=True, slots=True)
class ServiceCard:
    """One service: its status, its chart, and the planned steps in words."""

    anchor: str
    status: ServiceStatus
    grade: str
    facts: tuple[tuple[str, str], ...]
    waits: tuple[str, ...]
    charts: tuple[str, ...]
    steps: tuple[tuple[str, str], ...]
    hidden_steps: int


@dataclass(frozen=True, slots=True)
class NameRow:
    """One name with DANE: its services, each record with what caches may hold, and what is possible when."""

    owner: str
    services: tuple[str, ...]
    records: tuple[tuple[str, str, str], ...]
    """The record, whose it is, and what caches may hold."""
    steps: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Row:
    """Cells of a table, the first one its head; *grade* is empty where all is well."""

    cells: tuple[str, ...]
    grade: str = ""


@dataclass(frozen=True, slots=True)
class PageView:
    """Everything the page tells."""

    title: str
    made: str
    needs: tuple[Need, ...]
    figures: tuple[tuple[str, str], ...]
    services: tuple[ServiceCard, ...]
    names: tuple[NameRow, ...]
    senders: tuple[Row, ...]
    hosts: tuple[Row, ...]
    cas: tuple[Row, ...]
    requests: tuple[Need, ...]
    requests_note: str
    commits: tuple[Commit, ...]
    ahead: str
    flags: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class PageInput:
    """What is known of a site: all values, read before."""

    whose: Known
    report: StatusReport
    forecast: Forecast | None
    requests: tuple[MergeRequest, ...]
    requests_note: str
    commits: tuple[Commit, ...]

    @property
    def inventory(self) -> Inventory:
        """What should exist."""
        return self.whose.inventory

    @property
    def branches(self) -> Branches:
        """What exists."""
        return self.whose.branches

    @property
    def ledger(self) -> Ledger:
        """What was last verified."""
        return self.whose.ledger


def page(view: PageView) -> str:
    """Return *view* as a whole HTML document."""
    from jinja2 import Environment, PackageLoader, StrictUndefined
    from markupsafe import Markup

    environment = Environment(
        loader=PackageLoader("sslops.report"),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    environment.filters |= {"drawn": Markup, "visible": visible}
    return environment.get_template("report.html.j2").render(view=view, stamp=stamp)


def page_view(known: PageInput) -> PageView:
    """Return what the page tells of *known*."""
    report = known.report
    groups = sorted(name for name, group in known.inventory.groups.items() if group.active and name != CA_GROUP)
    title = ", ".join(groups[:3]) + (f" and {len(groups) - 3} more" if len(groups) > 3 else "")  # noqa: PLR2004
    names = tuple(_names(known))
    events = _events_of(known)
    cards = [_card(known, each, events[each.id]) for each in report.services]
    order = {"bad": 0, "warn": 1, "": 2}
    flags = () if known.forecast is None else known.forecast.flags
    return PageView(
        title=title or "sslops",
        made=stamp(report.now),
        needs=tuple(sorted(_needs(known), key=lambda need: order[need.grade])),
        figures=tuple(_figures(known)),
        services=tuple(sorted(cards, key=lambda card: (order[card.grade], card.anchor))),
        names=names,
        senders=tuple(_senders(known)),
        hosts=tuple(_hosts(known)),
        cas=tuple(_cas(known)),
        requests=tuple(_open_requests(known.requests)),
        requests_note=known.requests_note,
        commits=known.commits,
        ahead="" if known.forecast is None else f"{known.forecast.assumptions.until:%Y-%m-%d}",
        flags=tuple(f"{stamp(flag.at)}: {flag.subject}: {flag.what}" for flag in flags),
    )


# What needs a person.


def _needs(known: PageInput) -> Iterator[Need]:
    report = known.report
    for alarm in report.alarms:
        yield Need("bad", alarm.subject, f"{alarm.kind}: {alarm.what}")
    for blocked in report.blocked:
        yield Need(
            "bad",
            blocked.subject,
            f"{blocked.verb} {blocked.what} is blocked since {stamp(blocked.since)}: {blocked.says}",
        )
    for each in report.services:
        yield from _service_needs(known, each)
    for host, trouble in sorted({h: t for each in report.services for h, t in each.troubles.items()}.items()):
        yield Need("bad", host, f"deploy has failed since {stamp(trouble.since)}: {trouble.why}")
    yield from _open_requests(known.requests)


def _service_needs(known: PageInput, each: ServiceStatus) -> Iterator[Need]:
    subject, slots = str(each.id), known.branches.next[each.id].slots
    if each.phase is Phase.REFUSED:
        yield Need("bad", subject, "taken back on main: sslops roll --force tries it again")
    if each.phase is Phase.DECLINED:
        yield Need("bad", subject, "its merge request was closed: sslops roll --force opens it again")
    if each.phase is Phase.PROPOSED:
        yield Need("warn", subject, "its roll waits for somebody to merge it")
    if each.phase is Phase.HELD:
        hold = each.waits[0]
        end = "until somebody removes the hold" if hold.until is None else f"until {stamp(hold.until)}"
        yield Need("warn", subject, f"held {end}: {hold.why}")
    if slots.failures and slots.retry_at is not None:
        why = next((f": {wait.why}" for wait in each.waits if wait.step == "renew"), "")
        yield Need("warn", subject, f"could not be renewed; the next try is at {stamp(slots.retry_at)}{why}")


def _open_requests(requests: Iterable[MergeRequest]) -> Iterator[Need]:
    for request in requests:
        if request.state is RequestState.OPEN:
            yield Need("warn", f"#{request.number}", f"to be merged or closed: {request.title}", link(request.url))


def link(url: str) -> str:
    """Return *url* where a page may lead there, else the empty string."""
    return url if _URL.fullmatch(url) else ""


def _figures(known: PageInput) -> Iterator[tuple[str, str]]:
    report = known.report
    live = sum(each.phase is Phase.LIVE for each in report.services)
    yield "live", f"{live} of {len(report.services)}"
    ends = [each.not_after for each in report.services if each.not_after and each.phase not in _AT_REST]
    if ends:
        yield "next to end", f"{min(ends):%Y-%m-%d}"
    hosts = {host for each in report.services for host in each.hosts}
    behind = {h for each in report.services for h, may_serve in each.hosts.items() if may_serve != (each.curr,)}
    if hosts:
        yield "hosts verified", f"{len(hosts - behind)} of {len(hosts)}"
    if known.forecast is not None and known.forecast.events:
        first = known.forecast.events[0]
        yield "next step", f"{first.verb}, {first.at:%Y-%m-%d}"


# Services.


def _events_of(known: PageInput) -> dict[ServiceId, list[Event]]:
    """Return the planned steps of each service; those of a name belong to each service that it is of."""
    found: dict[ServiceId, list[Event]] = defaultdict(list)
    owners = _services_by_owner(known)
    for event in () if known.forecast is None else known.forecast.events:
        group, slash, name = event.subject.partition("/")
        for service in [ServiceId(group, name)] if slash else owners.get(event.subject, ()):
            found[service].append(event)
    return found


def _services_by_owner(known: PageInput) -> dict[str, list[ServiceId]]:
    """Return the services whose `dane_tls` is about each name that the ledger knows."""
    owners = {owner for apex in known.ledger.apexes.values() for owner in _owners(apex)}
    found: dict[str, list[ServiceId]] = defaultdict(list)
    for service in known.inventory.active():
        for spec in service.dane:
            sans = {owner_name(spec.port, spec.proto, san) for san in service.sans}
            prefix, suffix = f"_{spec.port}._{spec.proto}.", f"{service.id.group}."
            of_mx = {owner for owner in owners if owner.startswith(prefix) and owner.endswith(suffix)}
            for owner in sorted(owners & sans if spec.owners is DaneOwners.SANS else of_mx):
                found[owner] += [service.id] if service.id not in found[owner] else []
    return found


def _owners(apex: ApexEntry) -> set[str]:
    return {*apex.names, *(record.owner for record in apex.records)}


def _card(known: PageInput, each: ServiceStatus, events: Sequence[Event]) -> ServiceCard:
    now = known.report.now
    has_alarm = any(alarm.service == each.id for alarm in known.report.alarms) or bool(each.troubles)
    grade = "bad" if has_alarm or each.phase in _WRONG else "warn" if each.phase in _UNSETTLED else ""
    shown, hidden = events[:_MOST_STEPS], max(0, len(events) - _MOST_STEPS)
    return ServiceCard(
        anchor=f"{each.id.group}-{each.id.name}",
        status=each,
        grade=grade,
        facts=tuple(_facts(each)),
        waits=tuple(f"{w.step}{'' if w.until is None else f' {until(w.until, now)}'}: {w.why}" for w in each.waits),
        charts=tuple(_charts(known, each, events)),
        steps=tuple((stamp(event.at), _step(event)) for event in shown),
        hidden_steps=hidden,
    )


def _step(event: Event) -> str:
    """Say what a planned step does; one about a name says at which, since a service may have several."""
    is_of_a_name = "/" not in event.subject
    return f"{event.verb}: {event.what} at {event.subject}" if is_of_a_name else f"{event.verb}: {event.what}"


def _facts(each: ServiceStatus) -> Iterator[tuple[str, str]]:
    if each.not_after is not None:
        yield "ends", f"{stamp(each.not_after)}, {each.days_left:.1f} days left"
    if each.curr:
        yield "curr", each.curr
    if each.next:
        yield "next", f"{each.next} ({each.next_status})"
    if each.facts is not None:
        issued = each.facts.issued
        yield "key", f"{each.facts.key_type} {each.facts.key_size}".strip()
        yield "issuer", issued.issuer if issued else each.facts.ca
        if issued:
            yield "names", ", ".join(issued.sans)
    if each.hosts:
        yield "hosts", f"{each.settled} of {len(each.hosts)} verified"


def _charts(known: PageInput, each: ServiceStatus, events: Sequence[Event]) -> Iterator[str]:
    now = known.report.now
    lanes = [*_slot_lanes(known, each.id), *_evidence_lanes(known, each.id)]
    if events:
        marks = tuple(Mark(e.at, f"step {e.verb}", f"{stamp(e.at)} {e.verb}: {e.what}") for e in events)
        lanes.append(Lane(f"planned steps ({len(events)})", marks=marks))
    moments = [moment for lane in lanes for bar in lane.bars for moment in (bar.begin, bar.end)]
    if not moments:
        return
    moments += [mark.at for lane in lanes for mark in lane.marks]
    begin = max(min([*moments, now]), now - _BACK)
    end = min(max([*moments, now + timedelta(days=1)]), now + _AHEAD)
    for width in _WIDTHS:
        yield timeline(
            lanes, Span(begin, end), now, width, f"time line of {each.id}: slots, DNS evidence, planned steps"
        )


def _slot_lanes(known: PageInput, service: ServiceId) -> Iterator[Lane]:
    main, deck = known.branches.main[service], known.branches.next[service]
    told: set[GenerationId] = set()
    slots = [("prev", main.at(main.slots.prev)), ("curr", main.curr), ("next", deck.curr), ("next", deck.next)]
    for slot, generation in slots:
        if generation is not None and generation.id not in told:
            told.add(generation.id)
            yield _slot_lane(slot, generation, known.report.now)


def _slot_lane(slot: str, generation: Generation, now: datetime) -> Lane:
    if generation.issued is None:
        label = f"{slot} {generation.id[-4:]}: {generation.status} since {generation.created_at:%Y-%m-%d}"
        return Lane(label, (Bar(generation.created_at, max(now, generation.created_at), f"{slot} keyed"),))
    issued = generation.issued
    label = f"{slot} {generation.id[-4:]}: {issued.not_before:%Y-%m-%d} to {issued.not_after:%Y-%m-%d}"
    return Lane(label, (Bar(issued.not_before, issued.not_after, slot),))


def _evidence_lanes(known: PageInput, service: ServiceId) -> Iterator[Lane]:
    now = known.report.now
    found = [
        (record, proof)
        for apex in known.ledger.apexes.values()
        for record, proof in sorted(apex.records.items(), key=lambda each: each[0])
        if any(owner == service for owner, _ in known.whose.versions(record)) and record.params.usage not in CA_USAGES
    ]
    for record, proof in found[:_MOST_LANES]:
        ready = ready_at(proof)
        bars = (Bar(proof.since, ready, "aging"), Bar(ready, max(now, ready), "proven"))
        whose = ", ".join(dict.fromkeys(key[-4:] for owner, key in known.whose.versions(record) if owner == service))
        yield Lane(f"TLSA {record.params} of {whose} at {record.owner}", bars if ready < now else bars[:1])
    if len(found) > _MOST_LANES:
        yield Lane(f"and {len(found) - _MOST_LANES} more records: see the names with DANE")


# Names with DANE.


def _names(known: PageInput) -> Iterator[NameRow]:
    services = _services_by_owner(known)
    planned: dict[str, list[Event]] = defaultdict(list)
    for event in () if known.forecast is None else known.forecast.events:
        planned[event.subject].append(event)
    for apex in known.ledger.apexes.values():
        for owner in sorted(_owners(apex)):
            yield NameRow(
                owner,
                tuple(map(str, services.get(owner, ()))),
                tuple(_record_cells(known, apex, owner)),
                (*_possible(known, apex, owner), *(f"{stamp(e.at)}: publish {e.what}" for e in planned[owner][:4])),
            )


def _record_cells(known: PageInput, apex: ApexEntry, owner: str) -> Iterator[tuple[str, str, str]]:
    for record, proof in sorted(apex.records.items(), key=lambda each: each[0]):
        if record.owner == owner:
            found = sorted(known.whose.versions(record))
            whose = ", ".join(f"{service} {key[-4:]}" for service, key in found[:2]) or "unmanaged"
            more = f" and {len(found) - 2} more" if len(found) > 2 else ""  # noqa: PLR2004
            yield f"{record.params} {record.data[:16]}…", f"{whose}{more}", _cached(proof, known.report.now)


def _cached(proof: Evidence, now: datetime) -> str:
    ready = ready_at(proof)
    since = f"visible on all name servers since {stamp(proof.since)}"
    if ready <= now:
        return f"{since}; every cache that holds the name has it"
    return f"{since}; caches may lack it until {stamp(ready)} (2 x {proof.max_ttl_seconds} s)"


def _possible(known: PageInput, apex: ApexEntry, owner: str) -> Iterator[str]:
    """Yield what may happen at *owner*, and from when on."""
    now, name = known.report.now, apex.names.get(owner)
    young = [
        ready_at(proof) for record, proof in apex.records.items() if record.owner == owner and ready_at(proof) > now
    ]
    if young:
        yield f"roll and deploy by these records: {until(max(young), now)}"
    elif any(record.owner == owner for record in apex.records):
        yield "roll and deploy by these records: possible now"
    free = None if name is None else free_at(name)
    if free is not None:
        word = "free of cached records" if free <= now else "caches may still hold withdrawn records"
        yield f"{word} {'since' if free <= now else 'until'} {stamp(free)}"
    for params, moment in ({} if name is None else dict(name.gone)).items():
        rest = "some server still shows one" if moment is None else f"none seen since {stamp(moment)}"
        yield f"{params} is withdrawn: {rest}"
    if apex.pending is not None:
        yield f"publish is at work: run {apex.pending.run}"


def _senders(known: PageInput) -> Iterator[Row]:
    """Yield what senders reported, a row for each day and domain, the newest first."""
    for day, domain, number, sessions in islice(per_day(known.ledger.reports), _MOST_DAYS):
        cells = (day, domain, str(number), str(sessions.successful), str(sessions.failed))
        yield Row(cells, "bad" if sessions.failed else "")


# Hosts and CAs.


def _hosts(known: PageInput) -> Iterator[Row]:
    troubles = {host: trouble for each in known.report.services for host, trouble in each.troubles.items()}
    for each in known.report.services:
        for host, may_serve in each.hosts.items():
            served = known.ledger.host(host).services.get(each.id)
            shown = " or ".join("unknown" if key is None else key[-4:] for key in may_serve) or "nothing of ours"
            is_good = may_serve == (each.curr,)
            state = "verified" if is_good else "not yet verified"
            trouble = troubles.get(host)
            proof = _proof(served)
            yield Row(
                (host, str(each.id), shown, f"{state}{proof}", "" if trouble is None else trouble.why),
                "" if is_good else "bad" if trouble is not None else "warn",
            )


def _proof(served: Served | None) -> str:
    if served is None or served.at is None:
        return ""
    return f" {f'by {served.proof} ' if served.proof else ''}at {stamp(served.at)}"


_CA_WORDS = {CaType.ACME: "ACME", CaType.LOCAL: "own intermediate", CaType.SELF: "own root"}


def _cas(known: PageInput) -> Iterator[Row]:
    states = known.branches.main.services.items()
    for name, ca in sorted(known.inventory.cas.items()):
        users = [each for each in known.inventory.services.values() if each.signing_ca == name]
        live = sum(1 for _, state in states if state.curr is not None and state.curr.ca == name)
        if ca.type is CaType.ACME:
            budget = Budget.of(ca, known.inventory, known.branches.next, known.report.now)
            limits = "none are known" if budget is None else "; ".join(budget.left()) or "none of them used"
            kind = f"{_CA_WORDS[ca.type]}, {ca.directory}"
        else:
            own = known.branches.main[ServiceId(CA_GROUP, name)].curr
            ends = own.issued.not_after if own and own.issued else None
            limits = (
                "not issued yet"
                if ends is None
                else f"its own certificate ends {ends:%Y-%m-%d}, {span(ends - known.report.now)} left"
            )
            kind = _CA_WORDS[ca.type]
        yield Row((name, kind, f"{count(len(users), 'service')}, {live} live", limits))
