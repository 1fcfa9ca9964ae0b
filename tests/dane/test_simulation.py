"""The promise of design section 2, held against random interleavings, and broken by each check that is left out."""

from __future__ import annotations

# ruff: noqa: D102  (the names of the rules are sentences)
from typing import TYPE_CHECKING

import hypothesis
import pytest
from hypothesis import HealthCheck, Phase, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, precondition, rule, run_state_machine_as_test

from sslops.model.tlsa import EMPTY
from tests.dane.builders import OWNER, PARAMS, SERVICE
from tests.dane.mutations import mutated
from tests.dane.simulation import HOSTS, LARGE, PRIMARY, SECONDARY, SHORT, Simulation, Violation

if TYPE_CHECKING:
    from collections.abc import Callable

    from sslops.model.names import GenerationId

hosts = st.sampled_from(HOSTS)


class Interleavings(RuleBasedStateMachine):
    """Everything that people, servers, time and interrupted runs may do, in any order."""

    def __init__(self) -> None:
        """Begin with a service that was rolled out, and whose first record is in DNS."""
        super().__init__()
        self.world = settled_world()

    @rule(seconds=st.sampled_from((1, SHORT, 2 * SHORT, 2 * SHORT + 1, LARGE, 2 * LARGE + 1)))
    def time_passes(self, seconds: int) -> None:
        self.world.wait(seconds)

    @rule(place=st.sampled_from((PRIMARY, SECONDARY)))
    def a_server_loads(self, place: int) -> None:
        self.world.load(place)

    @rule()
    def all_servers_load(self) -> None:
        self.world.load_all()

    @rule(silent=st.booleans())
    def a_run_looks(self, silent: bool) -> None:
        self.world.look(silent=silent)

    @rule()
    def a_certificate_is_renewed(self) -> None:
        self.world.renew()

    @rule(secondary_lags=st.booleans())
    def the_next_generation_is_published(self, secondary_lags: bool) -> None:
        self.world.renew()
        self.world.publish()
        self.world.load(PRIMARY)
        self.world.load(PRIMARY if secondary_lags else SECONDARY)
        self.world.look()

    @rule(data=st.data())
    def a_revert_is_deployed(self, data: st.DataObject) -> None:
        self.world.make_curr(data.draw(st.sampled_from(self.world.generations[::-1])))
        self.world.deploy("smtp1")

    @precondition(lambda self: bool(unneeded(self.world)))
    @rule(data=st.data(), servers_follow=st.booleans())
    def a_record_blinks(self, data: st.DataObject, servers_follow: bool) -> None:
        self.world.drop_by_hand(data.draw(st.sampled_from(unneeded(self.world))))
        if servers_follow:
            self.world.load_all()
        self.world.restore_by_hand()

    @rule()
    def a_roll_runs(self) -> None:
        self.world.roll()

    @rule(data=st.data())
    def a_person_reverts_on_main(self, data: st.DataObject) -> None:
        self.world.make_curr(data.draw(st.sampled_from(self.world.generations)))

    @rule(seconds=st.sampled_from((SHORT, LARGE)))
    def the_ttl_changes(self, seconds: int) -> None:
        self.world.ttl_seconds = seconds

    @rule()
    def a_publish_runs(self) -> None:
        self.world.publish()

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

    @rule()
    def a_person_empties_the_include_file(self) -> None:
        self.world.empty_by_hand()

    @precondition(lambda self: bool(unneeded(self.world)))
    @rule(data=st.data())
    def a_person_drops_a_record_that_nobody_needs(self, data: st.DataObject) -> None:
        self.world.drop_by_hand(data.draw(st.sampled_from(unneeded(self.world))))

    @rule()
    def a_person_reverts_the_last_dns_commit(self) -> None:
        if len(self.world.history) > 1 and self.world.base.views[0]:
            self.world.restore_by_hand()


def unneeded(world: Simulation) -> list[GenerationId]:
    """Return the generations that have a record in the DNS base though nothing needs it, sorted."""
    present = world.base.views[0].get(OWNER, EMPTY).records
    made = {each: world.keys.record(OWNER, PARAMS, SERVICE, each) for each in world.generations}
    return sorted(each for each, record in made.items() if record in present and each not in world.needed())


def settled_world() -> Simulation:
    """Return a world in which generation 1 is served everywhere and its record is as old as can be asked."""
    world = Simulation()
    world.renew()
    world.rest()
    return world


def rotated_world() -> Simulation:
    """Return a settled world that went on to generation 2, with the record of 1 withdrawn everywhere."""
    world = settled_world()
    world.renew()
    world.rest()
    return world


def withdrawn_and_added_between_two_looks(world: Simulation) -> None:
    """A person takes back a roll while a record of it blinks in DNS between two looks."""
    world.renew()
    world.publish()
    world.load_all()
    world.look()
    world.wait(3 * LARGE)
    assert world.slots.next is not None
    on_deck = world.slots.next
    world.drop_by_hand(on_deck)
    world.load_all()
    world.restore_by_hand()
    world.load_all()
    world.roll()
    world.make_curr(on_deck)
    world.deploy("smtp1")


def rolled_before_caches_forgot(world: Simulation) -> None:
    """A record is new, and what it stands for is rolled and deployed at once."""
    world.renew()
    world.publish()
    world.load_all()
    world.look()
    world.roll()
    world.make_curr(world.generations[-1])
    world.deploy("smtp1")


def sleeping_withdrawal(world: Simulation) -> None:
    """A publish is about to withdraw a record, sleeps, and a person makes its generation the one to be served."""
    world.renew()
    world.publish()
    world.load_all()
    world.look()
    world.wait(3 * LARGE)
    given_up = world.generations[-1]
    world.slots = type(world.slots)(curr=world.slots.curr)
    world.publish_intent()
    world.make_curr(given_up)
    world.deploy("smtp1")
    world.publish_push()
    world.load_all()


def host_left_behind(world: Simulation) -> None:
    """A roll reaches one host; the other is down, and publish runs."""
    world.renew()
    world.publish()
    world.load_all()
    world.look()
    world.wait(3 * LARGE)
    world.roll()
    world.deploy("smtp1")
    world.publish()
    world.publish()
    world.load_all()
    world.wait(3 * LARGE)


def emptied_and_rolled(world: Simulation) -> None:
    """A person empties the include file; a moment later something unpublished is to be served."""
    world.renew()
    world.empty_by_hand()
    world.load_all()
    world.look()
    world.make_curr(world.generations[-1])
    world.deploy("smtp1")


def lagging_secondary(world: Simulation) -> None:
    """The secondary does not load, however long the primary shows the new record."""
    world.renew()
    world.publish()
    world.load(PRIMARY)
    world.look()
    world.wait(3 * LARGE)
    world.make_curr(world.generations[-1])
    world.deploy("smtp1")


def first_record_of_a_strange_host(_: Simulation) -> None:
    """A host was never reached and shows something else when the first record is about to be published."""
    world = Simulation()
    world.renew()
    world.roll()
    world.deploy("smtp1")
    world.publish()
    world.load_all()


SCENARIOS: dict[str, Callable[[Simulation], None]] = {
    "history is not read": withdrawn_and_added_between_two_looks,
    "age does not count": rolled_before_caches_forgot,
    "proposals do not count": sleeping_withdrawal,
    "what hosts serve may be withdrawn": host_left_behind,
    "an emptied name is free at once": emptied_and_rolled,
    "one server is asked": lagging_secondary,
    "ports are not asked before the first record": first_record_of_a_strange_host,
}
"""For each check, what goes wrong without it."""

BOUNDED = {"age does not count", "an emptied name is free at once", "what hosts serve may be withdrawn"}
"""The mutations that random search finds fast enough to ask it for."""


def search(examples: int, steps: int = 40) -> None:
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
    run_state_machine_as_test(Interleavings, settings=quiet)


def test_no_interleaving_breaks_what_a_cache_may_hold() -> None:
    """Whatever runs, sleeps, lags or is taken back, every cached RRset matches what every host serves."""
    search(60)


@pytest.mark.parametrize("name", sorted(SCENARIOS))
def test_the_rules_hold_where_a_missing_check_would_break_them(name: str) -> None:
    """Each story that was written against one check ends well with all of them."""
    SCENARIOS[name](settled_world())


@pytest.mark.parametrize("name", sorted(SCENARIOS))
def test_a_missing_check_breaks_a_cache_in_the_story_written_against_it(name: str) -> None:
    """Without the check, the same story ends with a cache that does not match a host."""
    world = settled_world()
    with mutated(name), pytest.raises(Violation):
        SCENARIOS[name](world)


@pytest.mark.parametrize("name", sorted(BOUNDED))
def test_random_search_finds_a_missing_check(name: str) -> None:
    """The interleavings are rich enough to find the fault without being told the story."""
    with mutated(name), pytest.raises(Violation):
        search(200)


def test_a_plain_rotation_comes_to_its_end() -> None:
    """The checks do not stop progress: generation 2 is served everywhere, and only its record is left."""
    world = rotated_world()
    assert dict.fromkeys(HOSTS, world.generations[1]) == world.serving
    assert {world.keys.record(OWNER, PARAMS, SERVICE, world.generations[1])} == world.base.views[0][OWNER].records


@hypothesis.settings(max_examples=40, stateful_step_count=30, deadline=None, suppress_health_check=list(HealthCheck))
class ComesToRest(Interleavings):
    """The same interleavings; afterwards everything runs undisturbed."""

    def teardown(self) -> None:
        """Nothing waits for ever: what is to be served is served, published, and alone."""
        self.world.ttl_seconds = SHORT
        self.world.rest()
        assert self.world.slots.next is None or self.world.slots.next == self.world.slots.refused
        assert dict.fromkeys(HOSTS, self.world.slots.curr) == self.world.serving
        assert {self.world.keys.record(OWNER, PARAMS, SERVICE, self.world.curr)} == self.world.base.views[0][
            OWNER
        ].records
        assert self.world.entry.pending is None


test_every_interleaving_comes_to_rest = ComesToRest.TestCase
