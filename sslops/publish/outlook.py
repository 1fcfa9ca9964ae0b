"""Look ahead, one name at a time: what publish, roll and a person in a hurry could do, and when. Pure."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime
from typing import TYPE_CHECKING

from sslops.issue.rules import RenewReason
from sslops.model.derived import grouped
from sslops.model.names import ServiceId
from sslops.model.outlook import NameOutlook, Step
from sslops.model.state import Status
from sslops.publish.rules import owners
from sslops.roll.rules import RollOptions, plan, verdict

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from sslops.dane.may_serve import Gate
    from sslops.dane.rrset_inputs import World
    from sslops.dane.rrset_plan import Owner
    from sslops.model.plan import Plan
    from sslops.model.state import Generation

    Rolls = Mapping[ServiceId, tuple[Step, ...]]


def outlook(world: World, gate: Gate) -> tuple[NameOutlook, ...]:
    """Return what lies before each name that has, had or should have records; *gate* is of the same look."""
    rolls = _by_service(plan(world.inventory, world.branches, gate, RollOptions()), world)
    found = (owner for apex in owners(world).values() for owner in apex)
    return tuple(_name(owner, gate, rolls) for owner in found)


def _name(owner: Owner, gate: Gate, rolls: Rolls) -> NameOutlook:
    services = tuple(sorted({name.service for name in owner.names}))
    becomes = owner.becomes()
    base, will = owner.seen.base, becomes.rrset.records
    steps = [Step("publish", owner.world.now, "the include file changes")] if base != will else []
    steps += [Step("publish", wait.until, wait.why) for wait in becomes.waits]
    steps += [Step("publish", None, hazard.why) for hazard in becomes.hazards]
    for service in services:
        steps += _of_service(service, owner.world, gate, rolls)
    ordered = sorted(steps, key=lambda step: step.at or datetime.max.replace(tzinfo=UTC))
    return NameOutlook(owner.owner, services, tuple(sorted(base)), tuple(sorted(will)), tuple(ordered))


def _of_service(service: ServiceId, world: World, gate: Gate, rolls: Rolls) -> Iterator[Step]:
    state = world.branches.next[service]
    staged, slots = state.next, state.slots
    if staged is not None and staged.status is Status.ISSUED:
        yield from rolls.get(service, ())
        return
    key = "" if staged is None else f", with the key {staged.id}"
    if slots.renew_at is not None:
        yield Step("renew", max(slots.renew_at, world.now), f"{service} is due then{key}")
    if staged is not None:
        yield _replacement(service, staged, world, gate)


def _by_service(rolls: Plan, world: World) -> Rolls:
    steps = [
        (ServiceId(action.group, action.service), Step("roll", world.now, f"{action.generation} may be served"))
        for action in rolls.actions
    ]
    steps += [(ServiceId(wait.group, wait.service), Step("roll", wait.until, wait.why)) for wait in rolls.waits]
    return grouped((service, replace(step, why=f"{service}: {step.why}")) for service, step in steps)


def _replacement(service: ServiceId, standing: Generation, world: World, gate: Gate) -> Step:
    """Return when `renew --force` and `roll` could change to the prepublished key."""
    forced = replace(standing, reason=RenewReason.FORCED)
    found = verdict(world.inventory, world.branches, gate, world.inventory.services[service], forced)
    why = f"in an emergency {service} can change to the key {standing.id}"
    if found.allowed:
        return Step("replace", world.now, why)
    return Step("replace", found.until, f"{why}, not before: {found.why}")
