"""Every rule about many names is asked name by name; together that grows as the names do, not as their square."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

import pytest

from sslops.dane.evidence import advance
from sslops.dane.names import dane_owners
from sslops.dane.records import Keys
from sslops.dane.rrset_inputs import World, needed, new_at
from sslops.inventory.reach import deliveries, hosts_copying, hosts_serving
from sslops.model.inventory import DaneOwners, DaneSpec, Host, Inventory, ServerClass
from sslops.model.ledger import ApexEntry, Evidence, HostEntry, Ledger, Pending
from sslops.model.state import Branches, ServiceState, Slots, State
from sslops.model.tlsa import owner_name
from sslops.probe.survey import Look
from sslops.publish.outlook import outlook
from sslops.publish.rules import publication
from sslops.roll.rules import RollOptions
from sslops.roll.rules import plan as roll_plan
from tests.unit.dane.builders import (
    APEX,
    PARAMS,
    START,
    TTL,
    after,
    commit,
    gen,
    generation,
    inventory,
    look,
    record,
    service,
    settled,
    zone,
)
from tests.unit.growth import LINEAR, exponent

if TYPE_CHECKING:
    from collections.abc import Callable

    from sslops.dane.may_serve import Gate
    from sslops.model.inventory import Service
    from sslops.model.names import GenerationId, ServiceId
    from sslops.model.observations import ApexSeen
    from sslops.model.state import Generation

SMALL, LARGE = 40, 160
NOW = after(10 * TTL)


class Many:
    """*size* services with a name each, two generations each, a host for every four, all records in one zone."""

    def __init__(self, size: int, *, is_seen: bool = True, is_asked: bool = True) -> None:
        """Build them; where they are not asked for any more all names are given up."""
        specs = (DaneSpec(25, "tcp", PARAMS, DaneOwners.SANS),) if is_asked else ()
        self.services = tuple(service(f"s{n:04}", sans=(f"s{n:04}.{APEX}",), dane=specs) for n in range(size))
        self.inventory = _with_classes(inventory(*self.services))
        self.numbers = {each.id: (2 * n + 1, 2 * n + 2) for n, each in enumerate(self.services)}
        names = {each.id: owner_name(25, "tcp", each.sans[0]) for each in self.services}
        records = tuple(record(n, names[each], PARAMS) for each, pair in self.numbers.items() for n in pair)
        self.owners = dane_owners(self.inventory, {})
        self.branches = self._branches()
        self.keys = Keys.of(self.branches)
        content = zone(*records)
        seen = look([commit("c0"), commit("c1", content)], content, at=NOW, head=commit("c2", content), owners=())
        pending = Pending("run", "c1", None, frozenset(records))
        self.entry = ApexEntry(pending, records={each: Evidence(START, "c1", TTL) for each in records})
        hosts = {
            f"h{n:04}": HostEntry(1, {each: settled(self.numbers[each][0]) for each in self._of_host(n)})
            for n in range(size // 4)
        }
        self.ledger = Ledger(hosts, {APEX: self.entry})
        self.seen: dict[str, ApexSeen] = {APEX: seen} if is_seen else {}
        self.look = Look(NOW, self.owners, {APEX: seen.repo}, self.seen, {} if is_seen else {APEX: "down"})
        self.world = World(
            self.inventory, self.branches, self.ledger, self.owners, self.keys, self.look.repo, self.seen, NOW
        )

    def gate(self) -> Gate:
        """Return a gate that was asked nothing yet."""
        return self.look.gate(_again(self.inventory), self.ledger, Keys.of(self.branches), NOW)

    def _branches(self) -> Branches:
        def version(number: int, of: Service) -> tuple[GenerationId, Generation]:
            made = generation(number)
            assert made.issued is not None
            return made.id, replace(made, issued=replace(made.issued, sans=of.sans))

        states = {
            each.id: ServiceState(
                Slots(curr=gen(self.numbers[each.id][0]), next=gen(self.numbers[each.id][1])),
                dict(version(number, each) for number in self.numbers[each.id]),
            )
            for each in self.services
        }
        return Branches(State(states), State(states))

    def _of_host(self, number: int) -> tuple[ServiceId, ...]:
        return tuple(each.id for each in self.services[4 * number : 4 * number + 4])


def _again(value: Inventory) -> Inventory:
    """Return an equal inventory of which nothing is remembered."""
    return replace(value)


def _with_classes(found: Inventory) -> Inventory:
    names = sorted(each.name for each in found.services)
    classes = {
        f"c{n:04}": ServerClass(
            f"c{n:04}", (Host(f"h{n:04}", "192.0.2.1"),), svc_depends=((APEX, tuple(names[4 * n : 4 * n + 4])),)
        )
        for n in range(len(names) // 4)
    }
    return replace(found, classes=classes)


def _reached(size: int) -> Callable[[], object]:
    many = Many(size)
    return lambda: (
        deliveries(_again(many.inventory)),
        [hosts_serving(many.inventory, each.id) for each in many.services],
        [hosts_copying(many.inventory, each.id) for each in many.services],
        new_at(many.inventory, many.ledger),
    )


def _ids(size: int) -> Callable[[], object]:
    many = Many(size)
    return lambda: [many.keys.ids(each.id) for each in many.services]


def _needed(size: int) -> Callable[[], object]:
    many = Many(size)
    return lambda: [needed(each.id, many.world) for each in many.services]


def _asked_of(gate: Gate, many: Many) -> list[object]:
    return [gate.may_serve(each.id, gen(many.numbers[each.id][1]), "h0000") for each in many.services]


def _gate(size: int) -> Callable[[], object]:
    many = Many(size)
    return lambda: _asked_of(many.gate(), many)


def _gate_of_names_given_up(size: int) -> Callable[[], object]:
    many = Many(size, is_asked=False)
    return lambda: _asked_of(many.gate(), many)


def _gate_without_dns(size: int) -> Callable[[], object]:
    many = Many(size, is_seen=False)
    return lambda: _asked_of(many.gate(), many)


def _roll(size: int) -> Callable[[], object]:
    many = Many(size)
    return lambda: roll_plan(many.inventory, many.branches, many.gate(), RollOptions())


def _publication(size: int) -> Callable[[], object]:
    many = Many(size)
    return lambda: publication(many.world)


def _outlook(size: int) -> Callable[[], object]:
    many = Many(size)
    return lambda: outlook(many.world, many.gate())


def _advance(size: int) -> Callable[[], object]:
    many = Many(size)
    return lambda: advance(many.entry, many.seen[APEX])


@pytest.mark.parametrize(
    "work",
    [
        _reached,
        _ids,
        _needed,
        _gate,
        _gate_of_names_given_up,
        _gate_without_dns,
        _roll,
        _publication,
        _outlook,
        _advance,
    ],
)
def test_work_grows_as_the_services_do(work: Callable[[int], Callable[[], object]]) -> None:
    """Four times the services, names, records and hosts take about four times the steps."""
    assert exponent(work, SMALL, LARGE) < LINEAR
