"""The verbs, effect by effect: each is an iterator that stops before every effect and says which one comes.

Between two effects anything may happen: time, other runs, people. A run that is never resumed was killed there. What
is decided is decided by the rules of the stages; here is only the order, as their `steps` have it.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from datetime import timedelta
from functools import partial
from typing import TYPE_CHECKING, cast

from sslops.dane.first_use import AddressSeen
from sslops.dane.records import Keys
from sslops.dane.rrset_inputs import World as Judged
from sslops.deploy import host_plan as decision
from sslops.deploy import host_plan as deploy_rules
from sslops.deploy import ledger_entries as entries
from sslops.deploy import session_plan as session
from sslops.deploy.host_plan import Decision, DeployOptions, Work, as_expected, is_gone
from sslops.deploy.host_session import HostSession, Prepared
from sslops.inventory.reach import hosts_serving
from sslops.model.ledger import ApexEntry, Ledger, Pending
from sslops.model.names import ServiceId
from sslops.model.plan import Plan, digest
from sslops.model.secret import Secret
from sslops.model.shipment import Parcel, ServiceFiles
from sslops.probe.survey import Look, Observer
from sslops.publish.rules import owners_to_ask, publication, to_propose
from sslops.roll import rules as roll_rules
from sslops.roll.rules import RollOptions
from sslops.simulate.hosts import Fate

if TYPE_CHECKING:
    from collections.abc import Mapping
    from datetime import datetime

    from sslops.dane.may_serve import Gate, Verdict
    from sslops.dane.rrset_plan import Owner
    from sslops.deploy.host_plan import Verdicts
    from sslops.deploy.host_session import Ended, Prover
    from sslops.deploy.session_plan import Question
    from sslops.model.inventory import Host
    from sslops.model.ledger import HostEntry
    from sslops.model.names import GenerationId
    from sslops.model.observations import Zone
    from sslops.model.shipment import Answer
    from sslops.publish.rules import Publication
    from sslops.simulate.world import Snapshot, World


Run = Iterator[str]
"""Resumed by `next`, which returns the name of the effect that follows."""


@dataclass(frozen=True, slots=True)
class Clock:
    """The clock of one machine: the world's, and a few seconds off."""

    world: World
    skew: timedelta = timedelta()

    def now(self) -> datetime:
        """Return the moment as that machine has it."""
        return self.world.now + self.skew


EXACT = timedelta()

Heard = Callable[[Plan], None]
"""Told what a run found to do and what waits, before its first effect."""


def _nobody(_: Plan) -> None:
    """Hear nothing."""


def finish(run: Run) -> tuple[str, ...]:
    """Let *run* come to its end; return the effects it had."""
    return tuple(run)


# publish


def publish(world: World, skew: timedelta = EXACT, heard: Heard = _nobody) -> Run:
    """Publish: intent, proposal, evidence, outcome; where people merge, until it is proposed."""
    snapshot, clock, dns = world.ops.snapshot(), Clock(world, skew), world.dns
    look = _observer(world, snapshot, clock).look(snapshot.ledger)
    base, head = dns.base_moves, dns.number
    found = _publication(world, snapshot, look, clock)
    heard(found.plan)
    if world.is_dns_reviewed:
        yield from _proposing(world, snapshot, look, to_propose(found))
        return
    if not found.plan.actions:
        yield "observe"
        world.ops.write_ledger(snapshot, look.advanced(snapshot.ledger))
        return
    if _is_stale(snapshot.ledger):
        yield "fence"
        fenced = dns.fence(head, dns.content)
        if fenced is None:
            return
        head = fenced
    yield "intent"
    intended = world.ops.write_ledger(snapshot, _with_intent(look.advanced(snapshot.ledger), found))
    if intended is None:
        return
    yield "propose"
    if not dns.publish((base, head), _zones(found)):
        return
    yield "outcome"
    look = _observer(world, snapshot, clock).look(intended.ledger)
    world.ops.write_ledger(intended, _without_pending(look.advanced(intended.ledger)))


def _proposing(world: World, snapshot: Snapshot, look: Look, found: Publication) -> Run:
    """Bring *found* on the branch, or take back what is there; nothing of it is merged."""
    dns, base, zones = world.dns, world.dns.content, _zones(found)
    head, is_open, is_there = dns.number, dns.is_open, dns.brings(zones)
    is_stale, is_left = _is_stale(snapshot.ledger), not found.plan.actions and dns.changes(look.failed)
    yield "observe"
    observed = world.ops.write_ledger(snapshot, look.advanced(snapshot.ledger))
    if observed is None:
        return
    is_wanted = bool(found.plan.actions) and digest(found.plan) not in dns.declined
    if is_left or (is_wanted and is_there):
        return
    if is_stale or not head or (is_open and not is_wanted):
        yield "fence"
        fenced = dns.fence(head, base)
        if fenced is None:
            return
        head = fenced
    if is_wanted:
        yield "intent"
        intended = world.ops.write_ledger(observed, _with_intent(look.advanced(observed.ledger), found))
        if intended is None:
            return
        yield "propose"
        if not dns.propose(head, base, zones, digest(found.plan)):
            return
        yield "read the base again"
        if not dns.brings(zones):
            return
        observed = intended
    if is_wanted or is_stale:
        yield "outcome"
        world.ops.write_ledger(observed, _without_pending(look.advanced(observed.ledger)))


def _is_stale(ledger: Ledger) -> bool:
    """Whether a run that is gone, or asleep, left a `pending`."""
    return any(entry.pending for entry in ledger.apexes.values())


def _zones(found: Publication) -> dict[str, Zone]:
    return {proposal.apex: proposal.zone for proposal in found.proposals}


def _publication(world: World, snapshot: Snapshot, look: Look, clock: Clock) -> Publication:
    judged = Judged(
        inventory=snapshot.inventory,
        branches=snapshot.branches,
        ledger=look.advanced(snapshot.ledger),
        owners=look.owners,
        keys=Keys.of(snapshot.branches, world.material),
        repo=look.repo,
        seen=look.seen,
        now=clock.now(),
        failed=look.failed,
    )
    addresses = {owner.owner: _addresses(world, owner) for owner in owners_to_ask(judged)}
    return publication(replace(judged, addresses=addresses))


def _addresses(world: World, owner: Owner) -> tuple[AddressSeen, ...]:
    """Return what stands behind a name: every host that should show one of its services there, and every that does."""
    port, asked = owner.names[0].port, {name.service for name in owner.names}
    known = {service for host in world.hosts.values() for service in host.serving}
    shown = {service for service in known if world.is_shown_at(service, owner.owner)}
    behind = {host.name for service in asked for host in hosts_serving(owner.world.inventory, service)}
    behind |= {name for name, host in world.hosts.items() if host.serving.keys() & shown}
    return tuple(
        AddressSeen(f"192.0.2.{place}", port, world.receivers.port(name, shown))
        for place, name in enumerate(sorted(behind), 1)
    )


def _with_intent(ledger: Ledger, found: Publication) -> Ledger:
    ledger = _without_pending(ledger)
    apexes = dict(ledger.apexes)
    for each in found.proposals:
        pending = Pending("run", "base", None, each.records)
        apexes[each.apex] = replace(apexes.get(each.apex, ApexEntry()), pending=pending)
    return replace(ledger, apexes=apexes)


def _without_pending(ledger: Ledger) -> Ledger:
    return replace(ledger, apexes={apex: replace(entry, pending=None) for apex, entry in ledger.apexes.items()})


# roll


def roll(
    world: World,
    skew: timedelta = EXACT,
    options: RollOptions = RollOptions(),  # noqa: B008
    heard: Heard = _nobody,
) -> Run:
    """Roll what is ready; where rolls are reviewed, propose it."""
    snapshot, clock = world.ops.snapshot(), Clock(world, skew)
    look = _observer(world, snapshot, clock).look(snapshot.ledger)
    ledger = look.advanced(snapshot.ledger)
    gate = look.gate(snapshot.inventory, ledger, Keys.of(snapshot.branches, world.material), clock.now())
    plan = roll_rules.plan(snapshot.inventory, snapshot.branches, gate, options)
    heard(plan)
    yield "observe"
    if world.ops.write_ledger(snapshot, ledger) is None or not plan.actions:
        return
    yield "roll"
    changes = {}
    for action in plan.actions:
        service = ServiceId(action.group, action.service)
        state = snapshot.branches.next[service]
        changes[service] = replace(state, slots=roll_rules.rolled_slots(state.slots, clock.now()))
    world.ops.write_next(snapshot, changes, is_roll=True)


# deploy


def deploy(
    world: World,
    skew: timedelta = EXACT,
    fates: Mapping[str, Fate] | None = None,
    options: DeployOptions = DeployOptions(),  # noqa: B008
    heard: Heard = _nobody,
) -> Run:
    """Make hosts serve main's curr: intent, a second look, a session with each host, outcome."""
    snapshot, clock = world.ops.snapshot(), Clock(world, skew)
    before = _deploy_world(snapshot, clock)
    verdicts, ledger = _verdicts(world, snapshot, clock)
    decided = deploy_rules.decide(before, verdicts, options)
    heard(deploy_rules.plan_of(decided, before.branches))
    looked = {work.host.name: world.receivers.look(work.host) for work in decided.works}
    works = [work for work in decided.works if looked[work.host.name].trouble is None]
    yield "intent"
    intended = world.ops.write_ledger(snapshot, _with_works(_ended(ledger, decided), works, looked, clock))
    if intended is None or not works:
        return
    yield "look again"
    verdicts, _ = _verdicts(world, intended, clock)
    fresh = {work.host.name: work for work in deploy_rules.decide(before, verdicts, options).works}
    for work in works:
        yield f"session with {work.host.name}"
        world.receivers.fate = (fates or {}).get(work.host.name, Fate.WELL)
        allowed = _narrowed(work, fresh.get(work.host.name))
        given = _prepared(world, before, work, allowed, looked[work.host.name], intended)
        ended = HostSession(given, world.receivers, cast("Prover", world.receivers)).run()
        yield f"outcome of {work.host.name}"
        _conclude(world, ended, clock)


def _deploy_world(snapshot: Snapshot, clock: Clock) -> decision.World:
    ledger = as_expected(snapshot.ledger, snapshot.inventory)
    return decision.World(snapshot.inventory, snapshot.branches, ledger, {}, clock.now())


def _verdicts(world: World, snapshot: Snapshot, clock: Clock) -> tuple[Verdicts, Ledger]:
    look = _observer(world, snapshot, clock).look(snapshot.ledger)
    ledger = look.advanced(snapshot.ledger)
    gate = look.gate(snapshot.inventory, ledger, Keys.of(snapshot.branches, world.material), clock.now())
    return partial(_verdict, gate), ledger


def _verdict(gate: Gate, service: ServiceId, generation: GenerationId, host: Host) -> Verdict:
    return gate.may_serve(service, generation, host.name)


def _with_works(ledger: Ledger, works: list[Work], looked: Mapping[str, Answer], clock: Clock) -> Ledger:
    hosts = dict(ledger.hosts)
    for work in works:
        entry = ledger.host(work.host.name)
        seq = max(entry.seq, looked[work.host.name].seq) + 1
        copies = work.due.keys() - work.delivery.serving
        hosts[work.host.name] = entries.intend(entry, seq, work.due, at=clock.now(), copies=copies)
    return replace(ledger, hosts=hosts)


def _ended(ledger: Ledger, decided: Decision) -> Ledger:
    hosts = {
        name: entries.close(entry, decided.closed.get(name, ()))
        for name, entry in ledger.hosts.items()
        if name not in decided.forgotten
    }
    hosts |= {w.host.name: entries.withdraw_proof(hosts[w.host.name], w.former) for w in decided.works if w.former}
    return replace(ledger, hosts=hosts)


def _narrowed(work: Work, fresh: Work | None) -> Work:
    if fresh is None:
        return Work(work.delivery)
    due = {service: generation for service, generation in work.due.items() if fresh.due.get(service) == generation}
    return replace(work, due=due, former=work.former & fresh.former)


def _prepared(
    world: World, before: decision.World, work: Work, allowed: Work, looked: Answer, intended: Snapshot
) -> Prepared:
    name = work.host.name
    hashes = {
        service: facts.issued.cert_sha256
        for service, generation in allowed.due.items()
        if (facts := before.branches.main[service].at(generation)) is not None and facts.issued is not None
    }
    return Prepared(
        work=replace(allowed, unproven=allowed.unproven & allowed.due.keys()),
        seq=intended.ledger.host(name).seq,
        before=before.ledger.host(name),
        looked=looked,
        parcels={service: _parcel(before, service, generation) for service, generation in allowed.due.items()},
        cert_sha256=hashes,
        includes=(),
        dropped=frozenset(work.due.keys() - allowed.due.keys()),
        ask=partial(_questions, before, allowed, before.ledger.host(name)),
        gone=partial(_gone, world, work, before),
    )


def _parcel(before: decision.World, service: ServiceId, generation: GenerationId) -> Parcel:
    state = before.branches.main[service]
    facts = state.generations[generation]
    issued_at, not_after = before.now, before.now
    if facts.issued is not None:
        issued_at, not_after = facts.issued.issued_at, facts.issued.not_after
    files, rolled_at = ServiceFiles(b"", b"", b""), state.slots.rolled_at
    return Parcel(service, generation, files, Secret(b""), "", not_after, rolled_at, issued_at)


def _gone(world: World, work: Work, before: decision.World, answer: Answer) -> frozenset[ServiceId]:
    """Return which former services a host does not serve, by its files or its port."""
    entry, known = before.ledger.host(work.host.name), partial(_certificates, before)
    settled = [(each, key) for each in work.delivery.services if (key := entry.serves(each).settled) is not None]
    right = frozenset(known(each).get(key, "") for each, key in settled)
    return frozenset(
        service
        for service in work.former
        if is_gone(
            service,
            entry.serves(service),
            answer,
            known(service),
            lambda: [world.receivers.port(work.host.name)],
            right,
        )
    )


def _certificates(before: decision.World, service: ServiceId) -> dict[GenerationId, str]:
    found = {**before.branches.next[service].generations, **before.branches.main[service].generations}
    return {key: facts.issued.cert_sha256 for key, facts in found.items() if facts.issued is not None}


def _questions(
    before: decision.World,
    work: Work,
    entry: HostEntry,
    service: ServiceId,
    generation: GenerationId,
    showing: Mapping[ServiceId, GenerationId],
) -> tuple[Question, ...]:
    settled = {other: key for other in work.delivery.services if (key := entry.serves(other).settled)}
    right = {}
    for other, key in {**settled, **showing}.items():
        facts = before.branches.main[other].at(key)
        if facts is not None and facts.issued is not None:
            right[other] = facts
    known = before.inventory.services[service]
    return session.questions(work.delivery, known, before.branches.main[service], generation, right)


def _conclude(world: World, ended: Ended, clock: Clock) -> None:
    """Write down what is known now, against the ledger as it is by then."""
    latest = world.ops.snapshot()
    if ended.host in latest.ledger.hosts:
        entry = ended.applied(latest.ledger.host(ended.host), clock.now())
        world.ops.write_ledger(latest, replace(latest.ledger, hosts={**latest.ledger.hosts, ended.host: entry}))


def _observer(world: World, snapshot: Snapshot, clock: Clock) -> Observer:
    return Observer(snapshot.inventory, world.dns, world.dns, clock)
