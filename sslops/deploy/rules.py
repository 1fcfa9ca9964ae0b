"""What each host needs, what has to wait and why: pure, from inventory, `main`, ledger, and the gate's verdicts.

A host whose entry is settled on `main`'s curr is left alone, and not even asked. `judge` looks at one host, `departed`
at those that left; `entries` has what happens to the ledger.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from sslops.deploy.decision import Decision, Reason
from sslops.deploy.departed import expired, forget, left_behind
from sslops.deploy.judge import Judged, is_due
from sslops.errors import UsageError
from sslops.inventory.reach import deliveries
from sslops.model.plan import Action, Plan, Verb

if TYPE_CHECKING:
    from collections.abc import Iterator

    from sslops.deploy.decision import DeployOptions, Verdicts, World
    from sslops.inventory.reach import Delivery
    from sslops.model.names import GenerationId, ServiceId
    from sslops.model.state import Branches


def candidates(world: World, options: DeployOptions) -> frozenset[ServiceId]:
    """Return the services that some host should be made to serve, the gate not yet asked."""
    return frozenset(
        service
        for delivery in _chosen(world, options)
        for service in delivery.services
        if is_due(service, world, world.ledger.host(delivery.host.name))
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
    return Decision(tuple(works), closed, forgotten, tuple(waits), tuple(sorted({*hazards, *refused})))


def plan_of(decision: Decision, branches: Branches) -> Plan:
    """Return the decision as a plan: one action for each service and reason, its hosts as targets."""
    targets: dict[tuple[ServiceId, GenerationId, Reason], list[str]] = {}
    actions: list[Action] = []
    for work in decision.works:
        name = work.host.name
        for service, generation in work.due.items():
            reason = Reason.UNPROVEN if service in work.unproven else Reason.ROLLED
            targets.setdefault((service, generation, reason), []).append(name)
        why = "the DNS repository has another one"
        actions += [_action(apex, "", "include", Reason.INCLUDE, (name,), why) for apex in work.includes]
        classes = [f"{name}/{server_class}" for server_class in work.restart]
        actions += [_action("", "", "restart", Reason.FORCED, (target,), "asked for") for target in classes]
    actions += [_serve(*key, tuple(sorted(names)), branches) for key, names in targets.items()]
    for host, services in decision.closed.items():
        why = "its certificates expired"
        actions += [_action(each.group, each.name, "close", Reason.EXPIRED, (host,), why) for each in services]
    actions += [_action("", "", "forget", Reason.REMOVED, (host,), "asked for") for host in decision.forgotten]
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
            message = f"'{name}' is in the inventory, so it cannot be forgotten"
            raise UsageError(message, hint="take it out of 'inventory/sslops.yaml' first")
        if name not in world.ledger.hosts:
            message = f"the ledger has no host '{name}'"
            raise UsageError(message, hint="sslops status shows the hosts that are known")


def _serve(
    service: ServiceId, generation: GenerationId, reason: Reason, hosts: tuple[str, ...], branches: Branches
) -> Action:
    rolled = branches.main[service].slots.curr == generation
    why = "not proven to serve it" if reason is Reason.UNPROVEN else "it is curr" if rolled else "restarted with it"
    return Action(Verb.DEPLOY, service.group, service.name, "serve", reason, generation, hosts, why)


def _action(group: str, service: str, what: str, reason: Reason, targets: tuple[str, ...], why: str) -> Action:
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
