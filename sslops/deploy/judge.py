"""One host, judged service by service: what is due there, what waits, and what stands in the way.

A restart reaches every service of its class. So while one of them is unsettled and must not be served yet, nothing
else of that class is sent there either.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from sslops.deploy.decision import Work, include_sha256
from sslops.deploy.departed import former
from sslops.model.names import ServiceId
from sslops.model.plan import Hazard, Verb, Wait

if TYPE_CHECKING:
    from collections.abc import Iterator
    from datetime import datetime

    from sslops.deploy.decision import DeployOptions, Verdicts, World
    from sslops.inventory.reach import Delivery
    from sslops.model.ledger import HostEntry, Served
    from sslops.model.names import GenerationId


class Judged:
    """One host, judged service by service."""

    def __init__(self, delivery: Delivery, world: World, verdicts: Verdicts, options: DeployOptions) -> None:
        self._delivery, self._world, self._verdicts, self._options = delivery, world, verdicts, options
        self._entry = world.ledger.host(delivery.host.name)
        self.waits: list[Wait] = []
        self.hazards: list[Hazard] = []
        self._stopped: dict[ServiceId, str] = {}
        self._former = former(delivery, world)
        due = dict(self._due())
        while blocked := [service for service in due if self._is_blocked(service)]:
            for service in blocked:
                del due[service]
        restart = self._forced(due)
        unproven = frozenset(service for service in due if not is_certain(self._entry.serves(service)))
        left = frozenset[ServiceId]() if options.targets is not None else self._former
        self.work = Work(delivery, due, unproven, dict(self._includes()), restart, left)
        self.waits += [self._left(service) for service in sorted(left)]

    def _left(self, service: ServiceId) -> Wait:
        now = "keeps copies of this only" if service in self._delivery.services else "gets this no more"
        why = f"it {now}, and may still serve it until its files are gone or its port shows something else"
        return Wait(Verb.DEPLOY, service.group, service.name, self._delivery.host.name, None, why)

    def _due(self) -> Iterator[tuple[ServiceId, GenerationId]]:
        asked_for = services_for(self._delivery, self._options)
        for service in self._delivery.services:
            if service in self._former or not is_due(service, self._world, self._entry):
                continue
            if service not in asked_for:
                self._stopped[service] = "it is not settled there, and not among the targets"
                continue
            curr = self._world.branches.main[service].slots.curr
            if curr is not None and self._may(service, curr):
                yield service, curr

    def _may(self, service: ServiceId, generation: GenerationId) -> bool:
        inventory, served = self._world.inventory, self._entry.serves(service)
        hold = inventory.hold_on(inventory.services[service], self._world.now)
        if hold is not None:
            return self._wait(service, hold.until, f"held: {hold.reason}")
        if served.retry_at is not None and served.retry_at > self._world.now and not self._options.is_insistent:
            times = f"{served.failures} times" if served.failures > 1 else "once"
            return self._wait(service, served.retry_at, f"restart or verification failed {times}")
        if service not in self._delivery.serving:
            return True
        verdict = self._verdicts(service, generation, self._delivery.host)
        if verdict.allowed:
            return True
        if verdict.hazard is not None:
            self.hazards.append(verdict.hazard)
        return self._wait(service, verdict.until, verdict.why)

    def _wait(self, service: ServiceId, until: datetime | None, why: str) -> bool:
        host = self._delivery.host.name
        fatal = _outlives(self._entry.serves(service), service, self._world, until)
        self.waits.append(Wait(Verb.DEPLOY, service.group, service.name, host, until, why, fatal=fatal))
        self._stopped[service] = why
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
                return not self._wait(service, None, f"the restart would reach '{other}' too: {self._stopped[other]}")
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
                self.waits.append(Wait(Verb.DEPLOY, apex, "", host, until if until > now else None, why))
                return True
        return False


def is_certain(served: Served) -> bool:
    """Whether it was proven to serve exactly one generation, by a proof that was not withdrawn since."""
    return served.settled is not None and served.proof is not None


def is_due(service: ServiceId, world: World, entry: HostEntry) -> bool:
    """Whether the host is not proven to serve `main`'s curr, which is issued.

    A proof from before the roll counts no more: between a roll that was taken back and the next one of the same
    generation the service may have left the inventory, and its files the host.
    """
    state = world.branches.main[service]
    curr, served, rolled_at = state.curr, entry.serves(service), state.slots.rolled_at
    if curr is None or curr.issued is None:
        return False
    is_older = served.at is not None and rolled_at is not None and served.at < rolled_at
    return served.settled != curr.id or not is_certain(served) or is_older


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
