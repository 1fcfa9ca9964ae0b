"""Look ahead, one name at a time: what publish, roll and a person in a hurry could do, and when. Pure."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING

from sslops.model.outlook import NameOutlook, Step
from sslops.model.state import Status
from sslops.publish.rules import owners

if TYPE_CHECKING:
    from collections.abc import Iterator

    from sslops.dane.gate import Gate
    from sslops.model.names import ServiceId
    from sslops.publish.owner import Owner
    from sslops.publish.world import World


def outlook(world: World, gate: Gate) -> tuple[NameOutlook, ...]:
    """Return what lies before each name that has, had or should have records; *gate* is of the same look."""
    found = (owner for apex in owners(world).values() for owner in apex)
    return tuple(_name(owner, gate) for owner in found)


def _name(owner: Owner, gate: Gate) -> NameOutlook:
    services = tuple(sorted({name.service for name in owner.names}))
    becomes = owner.becomes()
    base, will = owner.seen.base, becomes.rrset.records
    steps = [Step("publish", owner.world.now, "the include file changes")] if base != will else []
    steps += [Step("publish", wait.until, wait.why) for wait in becomes.waits]
    steps += [Step("publish", None, hazard.why) for hazard in becomes.hazards]
    for service in services:
        steps += _of_service(service, owner.world, gate)
    ordered = sorted(steps, key=lambda step: step.at or datetime.max.replace(tzinfo=UTC))
    return NameOutlook(owner.owner, services, tuple(sorted(base)), tuple(sorted(will)), tuple(ordered))


def _of_service(service: ServiceId, world: World, gate: Gate) -> Iterator[Step]:
    state = world.branches.next[service]
    on_deck, slots = state.next, state.slots
    if on_deck is None:
        if slots.renew_at is not None:
            yield Step("renew", max(slots.renew_at, world.now), f"{service} is due then")
        return
    verdict = gate.may_serve(service, on_deck.id)
    safe_at = world.now if verdict.allowed else verdict.until
    if on_deck.status is not Status.ISSUED:
        if slots.renew_at is not None:
            yield Step("renew", max(slots.renew_at, world.now), f"{service} is due then, with the key {on_deck.id}")
        why = f"in an emergency {service} can change to the key {on_deck.id}"
        yield Step("replace", safe_at, why if verdict.allowed else f"{why}, not before: {verdict.why}")
        return
    aged_at = world.now
    if slots.curr is not None and on_deck.issued is not None:
        minutes = world.inventory.services[service].min_roll_minutes
        aged_at = max(aged_at, on_deck.issued.issued_at + timedelta(minutes=minutes))
    why = verdict.why or f"{on_deck.id} may be served"
    yield Step("roll", None if safe_at is None else max(safe_at, aged_at), f"{service}: {why}")
