"""What is asked for changes while keys are changed: other combinations, DANE off and on, keys without certificates yet.

A resolver may go by any one combination of an RRset (RFC 7671 section 9), so the world asks for a match in each.
"""

from __future__ import annotations

# ruff: noqa: D102  (the names of the rules are sentences)
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING

import pytest
from hypothesis import HealthCheck, Phase, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, precondition, rule, run_state_machine_as_test

from sslops.model.state import Branches, ServiceState, State, Status
from sslops.model.tlsa import TlsaParams
from tests.dane import builders
from tests.dane.builders import OWNER, PARAMS, SERVICE
from tests.dane.mutations import MUTATIONS, mutated
from tests.dane.simulation import HOSTS, LARGE, PRIMARY, SECONDARY, SHORT, Simulation, Violation
from tests.dane.test_simulation import SCENARIOS

if TYPE_CHECKING:
    from sslops.model.names import GenerationId

WHOLE = TlsaParams(3, 0, 1)
"""The hash of the certificate: it cannot be told before there is one."""
CHOICES = (frozenset({PARAMS}), frozenset({WHOLE}), frozenset({PARAMS, WHOLE}), frozenset[TlsaParams]())
hosts = st.sampled_from(HOSTS)


@dataclass
class Changing(Simulation):
    """A world where generations are keyed first and issued later."""

    keyed: set[GenerationId] = field(default_factory=set)
    unknown: set[GenerationId] = field(default_factory=set)
    """Generations whose files are lost to the engine, though a host may serve them."""

    @property
    def branches(self) -> Branches:
        """Both branches; a keyed generation has no certificate."""
        entry = super().branches.next[SERVICE]
        made = {
            key: replace(facts, status=Status.KEYED, issued=None) if key in self.keyed else facts
            for key, facts in entry.generations.items()
            if key not in self.unknown
        }
        state = State({SERVICE: ServiceState(self.slots, made)})
        return Branches(state, state)

    def make_key(self) -> None:
        """Make the key of the next generation."""
        super().renew()
        self.keyed.add(self.generations[-1])

    def issue(self) -> None:
        """Get the certificate of what is on deck."""
        if self.slots.next is not None:
            self.keyed.discard(self.slots.next)

    def roll(self) -> None:
        """Roll what is issued."""
        if self.slots.next not in self.keyed:
            super().roll()


class Changes(RuleBasedStateMachine):
    """Nobody but the engine writes; what the inventory asks for changes at any moment."""

    def __init__(self) -> None:
        """Begin with a service that was rolled out, and whose first record is in DNS."""
        super().__init__()
        self.world = settled_world()

    @rule(seconds=st.sampled_from((1, SHORT, 2 * SHORT, 2 * SHORT + 1, 2 * LARGE + 1)))
    def time_passes(self, seconds: int) -> None:
        self.world.wait(seconds)

    @rule(place=st.sampled_from((PRIMARY, SECONDARY)))
    def a_server_loads(self, place: int) -> None:
        self.world.load(place)

    @rule()
    def all_servers_load_and_a_run_looks(self) -> None:
        self.world.load_all()
        self.world.look()

    @rule(silent=st.booleans())
    def a_run_looks(self, silent: bool) -> None:
        self.world.look(silent=silent)

    @rule(wanted=st.sampled_from(CHOICES))
    def the_inventory_asks_for_something_else(self, wanted: frozenset[TlsaParams]) -> None:
        self.world.wanted = wanted

    @rule(seconds=st.sampled_from((SHORT, LARGE)))
    def the_ttl_changes(self, seconds: int) -> None:
        self.world.ttl_seconds = seconds

    @rule()
    def a_key_is_made(self) -> None:
        self.world.make_key()

    @rule()
    def a_certificate_is_issued(self) -> None:
        self.world.issue()

    @rule()
    def a_roll_runs(self) -> None:
        self.world.roll()

    @rule()
    def a_publish_runs(self) -> None:
        self.world.publish()

    @rule()
    def a_publish_runs_and_all_servers_load(self) -> None:
        self.world.publish()
        self.world.load_all()
        self.world.look()

    @rule()
    def a_publish_stops_after_its_intent(self) -> None:
        self.world.publish_intent()

    @precondition(lambda self: self.world.sleepers)
    @rule()
    def a_publish_wakes_up(self) -> None:
        self.world.publish_push()

    @rule(host=hosts)
    def a_deploy_runs(self, host: str) -> None:
        self.world.deploy(host)

    @rule(host=hosts)
    def a_deploy_is_killed_after_sending(self, host: str) -> None:
        self.world.send(host)

    @precondition(lambda self: self.world.under_way)
    @rule(data=st.data())
    def a_receiver_wakes_up(self, data: st.DataObject) -> None:
        self.world.arrive(data.draw(st.sampled_from(sorted(self.world.under_way))))

    @rule(data=st.data())
    def a_person_reverts_on_main(self, data: st.DataObject) -> None:
        issued = [each for each in self.world.generations if each not in self.world.keyed]
        self.world.make_curr(data.draw(st.sampled_from(issued)))

    def teardown(self) -> None:
        """Undisturbed, the world comes to what was asked for last."""
        world = self.world
        world.ttl_seconds = SHORT
        world.issue()
        world.rest()
        world.rest()
        expected = {world.keys.record(OWNER, params, SERVICE, world.curr) for params in world.wanted}
        assert dict.fromkeys(HOSTS, world.curr) == world.serving
        assert expected == (world.base.views[0][OWNER].records if world.wanted else world.base.views[0].keys())


def settled_world() -> Changing:
    """Return a world in which generation 1 is served everywhere and its record is as old as can be asked."""
    world = Changing()
    world.renew()
    world.rest()
    return world


def search(examples: int, machine: type[RuleBasedStateMachine] = Changes, steps: int = 40) -> None:
    """Run that many random interleavings, the same ones each time."""
    quiet = settings(
        max_examples=examples,
        stateful_step_count=steps,
        deadline=None,
        derandomize=True,
        database=None,
        phases=[Phase.generate],
        report_multiple_bugs=False,
        suppress_health_check=list(HealthCheck),
    )
    run_state_machine_as_test(machine, settings=quiet)


def test_no_change_of_what_is_asked_for_breaks_a_cache() -> None:
    """And every one comes to its end."""
    search(60)


def test_a_new_combination_takes_the_place_of_the_old_one_without_a_renewal() -> None:
    """First both, then the new one alone; the key stays."""
    world = settled_world()
    world.wanted = frozenset({WHOLE})
    seen = [world.base.views[0][OWNER].combinations]
    for _ in range(8):
        world.publish()
        world.load_all()
        world.look()
        world.wait(SHORT)
        seen.append(world.base.views[0][OWNER].combinations)
    assert [{PARAMS}, {PARAMS, WHOLE}, {WHOLE}] == [each for place, each in enumerate(seen) if each not in seen[:place]]
    assert [builders.gen(1)] == world.generations


def new_combination_before_a_certificate(world: Changing) -> None:
    """A combination is asked for that a lost generation, which one host still serves, has no record of."""
    world.make_key()
    world.issue()
    world.publish()
    world.load_all()
    world.look()
    world.wait(3 * LARGE)
    world.roll()
    world.deploy("smtp1")
    lost = world.generations[0]
    world.unknown.add(lost)
    world.wanted = CHOICES[2]
    world.publish()
    world.unknown.discard(lost)
    world.load_all()


def withdrawn_combination(world: Changing) -> None:
    """A key has a record of the kind that stays before it has a certificate; the other kind goes; it is rolled."""
    world.wanted = frozenset({WHOLE})
    world.rest()
    world.make_key()
    world.wanted = frozenset({PARAMS})
    while world.base.views[0][OWNER].combinations != {PARAMS}:
        world.wait(SHORT)
        world.publish()
        world.load_all()
        world.look()
    world.issue()
    world.roll()
    world.deploy("smtp1")


STORIES = {
    "a new combination needs no record of what is served": new_combination_before_a_certificate,
    "a withdrawn combination is forgotten at once": withdrawn_combination,
}


@pytest.mark.parametrize("name", sorted(STORIES))
def test_a_missing_check_breaks_a_cache_in_the_story_written_against_it(name: str) -> None:
    """With the check the story ends well, without it some cache does not match a host."""
    STORIES[name](settled_world())
    with mutated(name), pytest.raises(Violation):
        STORIES[name](settled_world())


def test_every_missing_check_has_a_story() -> None:
    """One that was seeded and is told nowhere would prove nothing."""
    assert MUTATIONS.keys() == SCENARIOS.keys() | STORIES.keys()
