"""Everything that may happen in the small world of `simulation`, in any order, for the search with people who merge."""

from __future__ import annotations

# ruff: noqa: D102  (the names of the rules are sentences)
from typing import TYPE_CHECKING

from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, precondition, rule

from sslops.model.tlsa import EMPTY
from tests.dane.builders import OWNER, PARAMS, SERVICE
from tests.dane.simulation import HOSTS, LARGE, PRIMARY, SECONDARY, SHORT, Simulation

if TYPE_CHECKING:
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
