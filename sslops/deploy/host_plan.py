"""What `deploy` does at each host, decided from inventory, branches, ledger and DNS: values only."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass, field, replace
from enum import StrEnum
from typing import TYPE_CHECKING

from sslops.errors import UsageError
from sslops.inventory.reach import deliveries
from sslops.model.cause import Cause
from sslops.model.names import ServiceId
from sslops.model.plan import Action, Consents, Hazard, HazardName, Plan, Verb, Wait

if TYPE_CHECKING:
    from collections.abc import Callable, Collection, Iterable, Iterator, Mapping
    from datetime import datetime

    from sslops.dane.may_serve import Verdict
    from sslops.inventory.reach import Delivery
    from sslops.model.inventory import Host, Inventory
    from sslops.model.ledger import HostEntry, Ledger, Served
    from sslops.model.names import GenerationId
    from sslops.model.observations import PortSeen
    from sslops.model.shipment import Answer
    from sslops.model.state import Branches

    Verdicts = Callable[[ServiceId, GenerationId, Host], Verdict]

EMPTY_INCLUDE = b""
"""What a host gets for an apex that has no include file yet: zones include it, so it must exist."""


class DeployReason(StrEnum):
    """Why a host is touched; part of the digest."""

    ROLLED = "rolled"
    UNPROVEN = "unproven"
    FILES = "files-changed"
    INCLUDE = "include-changed"
    DHPARM = "dhparm"
    FORCED = "forced-restart"
    REMOVED = "host-removed"
    EXPIRED = "expired"


@dataclass(frozen=True, slots=True)
class DeployOptions:
    """What the command line asks for; *targets* null: all; *hosts* empty: all."""

    targets: frozenset[ServiceId] | None = None
    hosts: frozenset[str] = frozenset()
    force_restart: bool = False
    forget: frozenset[str] = frozenset()
    consents: Consents = Consents()
    is_shard: bool = False
    """Whether *hosts* are a job's share of a fleet, which nobody asked for by name."""

    @property
    def is_insistent(self) -> bool:
        """Whether a person asked for these hosts by name, or for restarts: the backoff does not count then.

        >>> DeployOptions(hosts=frozenset({"web1"})).is_insistent
        True
        >>> DeployOptions(hosts=frozenset({"web1"}), is_shard=True).is_insistent
        False
        """
        return (bool(self.hosts) and not self.is_shard) or self.force_restart


@dataclass(frozen=True, slots=True)
class Work:
    """What one host needs.

    *due* are the services to be proven to serve a generation; *unproven* those of them whose entry tells nothing
    certain, so that the host is asked before anything is sent. *includes*: apex to the hash it should have; *dhparm*:
    group to the groups of RFC 7919 that it lacks as files.
    """

    delivery: Delivery
    due: Mapping[ServiceId, GenerationId] = field(default_factory=dict)
    unproven: frozenset[ServiceId] = frozenset()
    includes: Mapping[str, str] = field(default_factory=dict)
    restart: frozenset[str] = frozenset()
    """Classes to restart whatever changes."""
    former: frozenset[ServiceId] = frozenset()
    """Services that the host gets no more and may still serve; their entries close when it is seen not to."""
    vacant: frozenset[ServiceId] = frozenset()
    """Services that wait for records to go which they cannot match; publish waits to know what the host has of them."""
    chmod: frozenset[ServiceId] = frozenset()
    """Those of `due` that are verified already, and whose files only get another owner, group or mode."""
    dhparm: Mapping[str, tuple[str, ...]] = field(default_factory=dict)

    @property
    def host(self) -> Host:
        """How it is reached."""
        return self.delivery.host

    @property
    def is_empty(self) -> bool:
        """Whether nothing is left to do."""
        return not (self.due or self.includes or self.restart or self.former or self.vacant or self.dhparm)


@dataclass(frozen=True, slots=True)
class Decision:
    """The works, the entries that end (host to its services), and what does not happen now."""

    works: tuple[Work, ...] = ()
    closed: Mapping[str, frozenset[ServiceId]] = field(default_factory=dict)
    forgotten: frozenset[str] = frozenset()
    waits: tuple[Wait, ...] = ()
    hazards: tuple[Hazard, ...] = ()

    def without(self, hazards: Collection[Hazard]) -> Decision:
        """Return the decision with nothing for the hosts that are the subjects of *hazards*, and with these."""
        stopped = {hazard.subject for hazard in hazards}
        works = tuple(work for work in self.works if work.host.name not in stopped)
        return replace(self, works=works, hazards=tuple(sorted({*self.hazards, *hazards})))


@dataclass(frozen=True, slots=True)
class World:
    """What deploy judges by; *includes* maps an apex to the SHA-256 of its include file, null when it has none."""

    inventory: Inventory
    branches: Branches
    ledger: Ledger
    includes: Mapping[str, str | None]
    now: datetime


def include_sha256(content: bytes | None) -> str:
    """Return the hash of an include file as a host will have it; no file is an empty one."""
    return hashlib.sha256(EMPTY_INCLUDE if content is None else content).hexdigest()


def left_behind(world: World, closed: Mapping[str, frozenset[ServiceId]]) -> Iterator[Wait]:
    """Yield a wait for each host that left the inventory while it may still serve something."""
    known = {delivery.host.name for delivery in deliveries(world.inventory)}
    for name, entry in sorted(world.ledger.hosts.items()):
        if name not in known and entry.services.keys() - closed.get(name, frozenset()):
            why = f"'{name}' left the inventory and may still serve; sslops deploy --forget {name} ends that"
            yield Wait(Verb.DEPLOY, "", "", name, None, why, Cause.HOST_REMOVED)


def former(delivery: Delivery, world: World) -> frozenset[ServiceId]:
    """Return the services that a host of the inventory is not to serve any more, though it may serve them still.

    It gets them no more, or only keeps copies now. One of an inactive group is frozen: nothing about it changes.
    """
    groups, entry = world.inventory.groups, world.ledger.host(delivery.host.name)
    return frozenset(
        service
        for service, served in entry.services.items()
        if (not delivery.gets(service) or (service not in delivery.serving and not served.is_copy))
        and served.may_serve
        and (service.group not in groups or groups[service.group].active)
    )


def believed(world: World, options: DeployOptions) -> Iterator[tuple[Delivery, ServiceId]]:
    """Yield the services that the ledger has as done on a host of the command line, so that it would be skipped."""
    for delivery in _chosen(world, options):
        for service in services_for(delivery, options):
            is_done = world.branches.main[service].curr is not None and not is_due(service, world, delivery)
            if service in delivery.serving and is_done:
                yield delivery, service


def doubted(ledger: Ledger, contradicted: Iterable[tuple[str, ServiceId]]) -> Ledger:
    """Return *ledger* without the proofs that hosts contradict; whatever they may serve, they are asked again."""
    hosts = dict(ledger.hosts)
    for host, service in contradicted:
        served = replace(hosts[host].serves(service), proof=None)
        hosts[host] = replace(hosts[host], services={**hosts[host].services, service: served})
    return replace(ledger, hosts=hosts)


def is_gone(
    service: ServiceId,
    served: Served,
    answer: Answer,
    keys: Mapping[GenerationId, str],
    shown: Callable[[], Iterable[PortSeen]],
    right: frozenset[str],
) -> bool:
    """Whether a host certainly does not serve *service*: by its files, which *answer* tells, or by its ports.

    *served* is its entry; *keys* and *right* are as for `not_seen`; *shown* asks the ports, where files do not decide.
    """
    has_files, is_unfinished = bool(answer.holds(service).files), service in answer.unfinished
    if has_files and is_unfinished:
        # They were switched and no daemon loaded them since: the next restart may show what the port does not now.
        return False
    if not has_files and not is_unfinished:
        return True
    return not_seen(served, keys, shown(), right)


def not_seen(
    served: Served, keys: Mapping[GenerationId, str], ports: Iterable[PortSeen], right: frozenset[str]
) -> bool:
    """Whether *ports* show that nothing of an entry is served: all answered, and none with one of its certificates.

    *keys* maps the generations that are known to their certificates. What may be something unknown is not served only
    where the ports show nothing but what is *right*, the certificates that the host is settled on.
    """
    seen = list(ports)
    shown = frozenset[str]().union(*(port.certificates for port in seen))
    if not seen or any(port.error is not None or not port.certificates for port in seen):
        return False
    if any(key is None or key not in keys for key in served.may_serve):
        return shown <= right
    return not shown & {keys[key] for key in served.may_serve if key is not None}


def expired(world: World) -> dict[str, frozenset[ServiceId]]:
    """Return the services of entries that nobody brings up to date any more, and whose certificates all expired."""
    wanted = {delivery.host.name: (delivery, former(delivery, world)) for delivery in deliveries(world.inventory)}
    found = {
        name: frozenset(
            service
            for service, served in entry.services.items()
            if not _is_wanted(service, wanted.get(name)) and _has_expired(service, served, world)
        )
        for name, entry in world.ledger.hosts.items()
    }
    return {name: services for name, services in found.items() if services}


def _is_wanted(service: ServiceId, wanted: tuple[Delivery, frozenset[ServiceId]] | None) -> bool:
    return wanted is not None and wanted[0].gets(service) and service not in wanted[1]


def _has_expired(service: ServiceId, served: Served, world: World) -> bool:
    group = world.inventory.groups.get(service.group)
    if group is not None and not group.active:
        return False
    known = {**world.branches.next[service].generations, **world.branches.main[service].generations}
    issued = [known[key].issued if key is not None and key in known else None for key in served.may_serve]
    return all(facts is not None and facts.not_after <= world.now for facts in issued)


def forget(world: World, options: DeployOptions) -> tuple[frozenset[str], list[Hazard]]:
    """Return the hosts of `--forget` that a person consented to forget, and the hazard of each other one."""
    hazards = [
        Hazard(HazardName.HOST_REMOVED, name, _may_serve_words(world.ledger.host(name)), Verb.DEPLOY)
        for name in sorted(options.forget)
    ]
    refused = [hazard for hazard in hazards if not options.consents.cover(hazard)]
    return options.forget - {hazard.subject for hazard in refused}, refused


def _may_serve_words(entry: HostEntry) -> str:
    words = [
        f"{service} ({', '.join(key or 'unknown' for key in served.may_serve) or 'none managed here'})"
        for service, served in sorted(entry.services.items())
    ]
    return f"it may still serve {'; '.join(words)}" if words else "it serves nothing that is known"


class Judged:
    """One host, judged service by service."""

    def __init__(self, delivery: Delivery, world: World, verdicts: Verdicts, options: DeployOptions) -> None:
        self._delivery, self._world, self._verdicts, self._options = delivery, world, verdicts, options
        self._entry = world.ledger.host(delivery.host.name)
        self.waits: list[Wait] = []
        self.hazards: list[Hazard] = []
        self._stopped: dict[ServiceId, tuple[str, Cause]] = {}
        self._vacant: set[ServiceId] = set()
        self._former = former(delivery, world)
        due = dict(self._due())
        while blocked := [service for service in due if self._is_blocked(service)]:
            for service in blocked:
                del due[service]
        restart = self._forced(due)
        unproven = frozenset(service for service in due if not is_certain(self._entry.serves(service)))
        left = frozenset[ServiceId]() if options.targets is not None else self._former
        vacant = frozenset[ServiceId]() if options.targets is not None else frozenset(self._vacant)
        dhparm = {group: names for group, names in delivery.dhparm.items() if self._entry.dhparm.get(group) != names}
        includes, chmod = dict(self._includes()), self._chmod(due)
        self.work = Work(delivery, due, unproven, includes, restart, left, vacant, chmod, dhparm)
        self.waits += [self._left(service) for service in sorted(left)]

    def _chmod(self, due: Mapping[ServiceId, GenerationId]) -> frozenset[ServiceId]:
        """Return the services of *due* whose files only get another owner, group or mode."""
        served = {service: self._entry.serves(service) for service in due}
        return frozenset(
            service
            for service, each in served.items()
            if is_certain(each) and each.settled == due[service] and each.files != self._delivery.files
        )

    def _left(self, service: ServiceId) -> Wait:
        now = "keeps copies of this only" if self._delivery.gets(service) else "gets this no more"
        why = f"it {now}, and may still serve it until its files are gone or its port shows something else"
        host = self._delivery.host.name
        return Wait(Verb.DEPLOY, service.group, service.name, host, None, why, Cause.STILL_SERVED)

    def _due(self) -> Iterator[tuple[ServiceId, GenerationId]]:
        asked_for = services_for(self._delivery, self._options)
        for service in self._delivery.services:
            if service in self._former or not is_due(service, self._world, self._delivery):
                continue
            if service not in asked_for:
                self._stopped[service] = "it is not verified there, and not among the targets", Cause.EARLIER_STEP
                continue
            curr = self._world.branches.main[service].slots.curr
            if curr is not None and self._may(service, curr):
                yield service, curr

    def _may(self, service: ServiceId, generation: GenerationId) -> bool:
        inventory, served = self._world.inventory, self._entry.serves(service)
        hold = inventory.hold_on(inventory.services[service], self._world.now)
        if hold is not None:
            return self._wait(service, hold.until, f"held: {hold.reason}", Cause.HOLD)
        if served.retry_at is not None and served.retry_at > self._world.now and not self._options.is_insistent:
            times = f"{served.failures} times" if served.failures > 1 else "once"
            return self._wait(service, served.retry_at, f"restart or verification failed {times}", Cause.BACKOFF)
        if service not in self._delivery.serving:
            return True
        verdict = self._verdicts(service, generation, self._delivery.host)
        if verdict.allowed:
            return True
        if verdict.hazard is not None:
            self.hazards.append(verdict.hazard)
        if verdict.cause is Cause.UNMATCHABLE and service not in self._entry.services:
            self._vacant.add(service)
        return self._wait(service, verdict.until, verdict.why, verdict.cause)

    def _wait(self, service: ServiceId, until: datetime | None, why: str, cause: Cause) -> bool:
        host = self._delivery.host.name
        fatal = _outlives(self._entry.serves(service), service, self._world, until)
        self.waits.append(Wait(Verb.DEPLOY, service.group, service.name, host, until, why, cause, fatal=fatal))
        self._stopped[service] = why, cause
        return False

    def _unsettled_and_stopped(self, services: frozenset[ServiceId]) -> ServiceId | None:
        """Return a service whose files may be new while its daemon must not load them yet: no restart can go there.

        An entry that names no generation of ours is about a host where we put none; `session` looks at its files.
        """
        return min((service for service in services & self._stopped.keys() if self._may_be_new(service)), default=None)

    def _may_be_new(self, service: ServiceId) -> bool:
        served = self._entry.serves(service)
        return not is_certain(served) and any(served.may_serve)

    def _is_blocked(self, service: ServiceId) -> bool:
        for part in self._delivery.parts:
            other = self._unsettled_and_stopped(part.services)
            if service in part.services and part.restart_cmd and other not in {None, service}:
                why, cause = self._stopped[other]
                return not self._wait(service, None, f"the restart would reach '{other}' too: {why}", cause)
        return False

    def _forced(self, due: dict[ServiceId, GenerationId]) -> frozenset[str]:
        """Return the classes that a person wants restarted; their settled services are proven again afterwards."""
        if not self._options.force_restart:
            return frozenset()
        parts = [
            part
            for part in self._delivery.parts
            if part.restart_cmd
            and self._unsettled_and_stopped(part.services) is None
            and (self._options.targets is None or part.services & self._options.targets)
        ]
        for part in parts:
            for service in sorted(part.services - self._stopped.keys()):
                settled = self._entry.serves(service).settled
                if settled is not None:
                    due.setdefault(service, settled)
        return frozenset(part.class_name for part in parts)

    def _includes(self) -> Iterator[tuple[str, str]]:
        for apex in self._delivery.apexes:
            wanted = self._world.includes.get(apex)
            if apex not in self._world.includes:
                continue
            digest = include_sha256(None) if wanted is None else wanted
            if self._entry.tlsa.get(apex) != digest and not self._include_waits(apex):
                yield apex, digest

    def _include_waits(self, apex: str) -> bool:
        """Whether the restart that a changed include file brings has to wait."""
        now = self._world.now
        for part in self._delivery.parts:
            if not (part.restarts_on_tlsa and apex in part.apexes and part.restart_cmd):
                continue
            times = [self._entry.serves(service).retry_at for service in part.services]
            until = max((moment for moment in times if moment is not None), default=now)
            stopped = self._unsettled_and_stopped(part.services)
            if stopped is not None or (until > now and not self._options.is_insistent):
                why = f"the restart would reach '{stopped}' too" if stopped else "the restart failed before"
                host = self._delivery.host.name
                cause = self._stopped[stopped][1] if stopped is not None else Cause.BACKOFF
                self.waits.append(Wait(Verb.DEPLOY, apex, "", host, until if until > now else None, why, cause))
                return True
        return False


def is_certain(served: Served) -> bool:
    """Whether it was proven to serve exactly one generation, by a proof that was not withdrawn since."""
    return served.settled is not None and served.proof is not None


def is_due(service: ServiceId, world: World, delivery: Delivery) -> bool:
    """Whether the host is unverified for `main`'s curr, which is issued, with files as the inventory has them.

    A proof from before the roll counts no more: between a roll that was taken back and the next one of the same
    generation the service may have left the inventory, and its files the host.
    """
    state = world.branches.main[service]
    curr, served, rolled_at = state.curr, world.ledger.host(delivery.host.name).serves(service), state.slots.rolled_at
    if curr is None or curr.issued is None:
        return False
    is_older = served.at is not None and rolled_at is not None and served.at < rolled_at
    return served.settled != curr.id or not is_certain(served) or is_older or served.files != delivery.files


def _outlives(served: Served, service: ServiceId, world: World, until: datetime | None) -> bool:
    """Whether the wait is longer than what may be served now is valid: curr and prev, where nobody knows what is."""
    state = world.branches.main[service]
    may_serve = set(served.may_serve) or {None}
    unknown = {state.slots.curr, state.slots.prev} if None in may_serve else set()
    found = (state.at(generation) for generation in may_serve | unknown)
    return any(each.issued.ends_before(until, world.now) for each in found if each is not None and each.issued)


def services_for(delivery: Delivery, options: DeployOptions) -> list[ServiceId]:
    """Return the services of the host that the command line is about."""
    return [service for service in delivery.services if options.targets is None or service in options.targets]


def candidates(world: World, options: DeployOptions) -> frozenset[ServiceId]:
    """Return the services that some host should be made to serve, the gate not yet asked."""
    return frozenset(
        service
        for delivery in _chosen(world, options)
        for service in delivery.services
        if is_due(service, world, delivery)
    )


def decide(world: World, verdicts: Verdicts, options: DeployOptions) -> Decision:
    """Return what every host needs now; UsageError when a host of the command line cannot be meant."""
    _check_names(world, options)
    works, waits, hazards = [], [], []
    for delivery in _chosen(world, options):
        judged = Judged(delivery, world, verdicts, options)
        works += [] if judged.work.is_empty else [judged.work]
        waits += judged.waits
        hazards += judged.hazards
    closed = expired(world)
    forgotten, refused = forget(world, options)
    waits += [wait for wait in left_behind(world, closed) if wait.what not in forgotten]
    waits += _without_files(world, options)
    return Decision(tuple(works), closed, forgotten, tuple(waits), tuple(sorted({*hazards, *refused})))


def _without_files(world: World, options: DeployOptions) -> Iterator[Wait]:
    """Yield a failure for each service whose live generation is not on main: somebody deleted it there."""
    for service in sorted({service for delivery in _chosen(world, options) for service in delivery.services}):
        state = world.branches.main[service]
        is_asked_for = options.targets is None or service in options.targets
        if is_asked_for and state.slots.curr is not None and state.curr is None:
            main = world.inventory.repo.branch
            why = (
                f"'{main}' makes {state.slots.curr} live, and its files are not on '{main}' any more; "
                f"revert the commit that deleted 'state/{service}/{state.slots.curr}'"
            )
            yield Wait(Verb.DEPLOY, service.group, service.name, "serve", None, why, Cause.FILES_LOST, fatal=True)


def plan_of(decision: Decision, branches: Branches) -> Plan:
    """Return the decision as a plan: one action for each service and reason, its hosts as targets."""
    targets: dict[tuple[ServiceId, GenerationId, DeployReason], list[str]] = {}
    actions: list[Action] = []
    for work in decision.works:
        name = work.host.name
        for service, generation in work.due.items():
            reason = _reason(service, work)
            targets.setdefault((service, generation, reason), []).append(name)
        why = "the DNS repository has another one"
        actions += [_action(apex, "", "include", DeployReason.INCLUDE, (name,), why) for apex in work.includes]
        why = "the inventory says so; what is there stays"
        actions += [_action(group, "", "dhparm", DeployReason.DHPARM, (name,), why) for group in work.dhparm]
        classes = [f"{name}/{server_class}" for server_class in work.restart]
        actions += [_action("", "", "restart", DeployReason.FORCED, (target,), "asked for") for target in classes]
    actions += [_serve(*key, tuple(sorted(names)), branches) for key, names in targets.items()]
    for host, services in decision.closed.items():
        why = "its certificates expired"
        actions += [_action(each.group, each.name, "close", DeployReason.EXPIRED, (host,), why) for each in services]
    actions += [_action("", "", "forget", DeployReason.REMOVED, (host,), "asked for") for host in decision.forgotten]
    return Plan(waits=decision.waits, hazards=decision.hazards) + Plan(tuple(_merged(actions)))


def _chosen(world: World, options: DeployOptions) -> list[Delivery]:
    found = deliveries(world.inventory)
    return [delivery for delivery in found if not options.hosts or delivery.host.name in options.hosts]


def _check_names(world: World, options: DeployOptions) -> None:
    known = {delivery.host.name for delivery in deliveries(world.inventory)}
    for name in sorted(options.hosts - known):
        message = f"no host '{name}' in the inventory"
        raise UsageError(message, hint=f"hosts are: {', '.join(sorted(known)) or 'none'}")
    for name in sorted(options.forget):
        if name in known:
            message = f"'{name}' is in the inventory, so its ledger entry cannot be dropped"
            raise UsageError(message, hint="take it out of 'inventory/sslops.yaml' first")
        if name not in world.ledger.hosts:
            message = f"the ledger has no host '{name}'"
            raise UsageError(message, hint="sslops status shows the hosts that are known")


def _reason(service: ServiceId, work: Work) -> DeployReason:
    if service in work.unproven:
        return DeployReason.UNPROVEN
    return DeployReason.FILES if service in work.chmod else DeployReason.ROLLED


def _serve(
    service: ServiceId, generation: GenerationId, reason: DeployReason, hosts: tuple[str, ...], branches: Branches
) -> Action:
    rolled = branches.main[service].slots.curr == generation
    why = "it is curr" if rolled else "restarted with it"
    if reason is DeployReason.UNPROVEN:
        why = "not yet verified on this host"
    elif reason is DeployReason.FILES:
        why = "owner, group or key mode of its files changed in the inventory"
    return Action(Verb.DEPLOY, service.group, service.name, "serve", reason, generation, hosts, why)


def _action(group: str, service: str, what: str, reason: DeployReason, targets: tuple[str, ...], why: str) -> Action:
    return Action(Verb.DEPLOY, group, service, what, reason, None, targets, why)


def _merged(actions: list[Action]) -> Iterator[Action]:
    """Yield one action for all the hosts that need the same."""
    together: dict[tuple[str, ...], list[Action]] = {}
    for action in actions:
        key = (action.group, action.service, action.what, action.reason, action.generation or "")
        together.setdefault(key, []).append(action)
    for same in together.values():
        targets = tuple(sorted({target for action in same for target in action.targets}))
        first = same[0]
        yield Action(
            first.verb, first.group, first.service, first.what, first.reason, first.generation, targets, first.why
        )
