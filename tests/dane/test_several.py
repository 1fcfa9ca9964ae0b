"""Several services behind one port: whatever comes and goes, and whenever, no cache lacks a match for any of them."""

from __future__ import annotations

from typing import TYPE_CHECKING

# ruff: noqa: D102  (the names of the rules are sentences)
import pytest
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, precondition, rule

from sslops.model.tlsa import TlsaParams
from sslops.publish.owner import Owner
from tests.dane.builders import PARAMS
from tests.dane.several import EC, MAIL, RENAMED, RSA, SPARE, Several, settled
from tests.dane.simulation import HOSTS, LARGE, PRIMARY, SECONDARY, SHORT, Violation
from tests.dane.test_combinations import WHOLE, search

if TYPE_CHECKING:
    from sslops.model.names import ServiceId

KINDS = (frozenset({PARAMS}), frozenset({PARAMS, WHOLE}), frozenset({WHOLE}), frozenset[TlsaParams]())
hosts = st.sampled_from(HOSTS)
services = st.sampled_from((EC, RSA, RENAMED))


class Comings(RuleBasedStateMachine):
    """Services, mail hosts and combinations come and go while keys change."""

    def __init__(self) -> None:
        """Begin with an EC and an RSA key behind the port."""
        super().__init__()
        self.world = settled(EC, RSA)

    @rule(seconds=st.sampled_from((1, SHORT, 2 * SHORT + 1, 2 * LARGE + 1)))
    def time_passes(self, seconds: int) -> None:
        self.world.wait(seconds)

    @rule(place=st.sampled_from((PRIMARY, SECONDARY)))
    def a_server_loads(self, place: int) -> None:
        self.world.load(place)

    @rule()
    def a_run_looks(self) -> None:
        self.world.look()

    @rule(service=services, kinds=st.sampled_from(KINDS))
    def the_inventory_asks_for_something_else(self, service: ServiceId, kinds: frozenset[TlsaParams]) -> None:
        if service in self.world.present and self.world.slots[service].curr is not None:
            self.world.configure(service, kinds)

    @rule(old=services, new=services)
    def a_service_is_renamed(self, old: ServiceId, new: ServiceId) -> None:
        if old in self.world.present and new not in self.world.present:
            self.world.retire(old)
            self.world.configure(new, frozenset({PARAMS}))
            self.world.make_key(new)

    @rule(service=services)
    def a_service_joins(self, service: ServiceId) -> None:
        if service not in self.world.present:
            self.world.configure(service, frozenset({PARAMS}))
            self.world.make_key(service)

    @rule(service=services)
    def a_service_is_retired(self, service: ServiceId) -> None:
        if len(self.world.present) > 1:
            self.world.retire(service)

    @rule(service=services)
    def a_person_takes_what_is_retired_from_the_hosts(self, service: ServiceId) -> None:
        if service not in self.world.present:
            self.world.stop_serving(service)

    @rule(mx=st.sampled_from(({MAIL}, {SPARE}, {MAIL, SPARE})))
    def mail_hosts_change(self, mx: set[str]) -> None:
        self.world.mx = set(mx)

    @rule(seconds=st.sampled_from((SHORT, LARGE)))
    def the_ttl_changes(self, seconds: int) -> None:
        self.world.ttl_seconds = seconds

    @rule(service=services)
    def a_key_is_made(self, service: ServiceId) -> None:
        if service in self.world.present:
            self.world.make_key(service)

    @rule(service=services)
    def a_certificate_is_issued(self, service: ServiceId) -> None:
        if service in self.world.present:
            self.world.issue(service)

    @rule()
    def a_roll_runs(self) -> None:
        self.world.roll()

    @rule()
    def a_publish_runs_and_all_servers_load(self) -> None:
        self.world.publish()
        self.world.load_all()
        self.world.look()

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

    @rule(host=hosts, service=services)
    def a_deploy_is_killed_after_sending(self, host: str, service: ServiceId) -> None:
        self.world.send(host, service)

    @precondition(lambda self: self.world.under_way)
    @rule(data=st.data())
    def a_receiver_wakes_up(self, data: st.DataObject) -> None:
        self.world.arrive(*data.draw(st.sampled_from(sorted(self.world.under_way))))

    @rule(service=services, data=st.data())
    def a_person_reverts_on_main(self, service: ServiceId, data: st.DataObject) -> None:
        known = self.world.branches.main[service].generations.values()
        issued = sorted(each.id for each in known if each.issued)
        if issued and self.world.slots[service].curr:
            self.world.revert(service, data.draw(st.sampled_from(issued)))

    def teardown(self) -> None:
        """Undisturbed, every service is served, has its record under every name, and nothing else is there."""
        world = self.world
        world.ttl_seconds = SHORT
        for service in (EC, RSA, RENAMED):
            if service in world.present:
                world.configure(service, frozenset({PARAMS}))
                world.make_key(service)
                world.issue(service)
            else:
                world.stop_serving(service)
        for _ in range(3):
            world.rest()
        assert_quiet(world)


def assert_quiet(world: Several) -> None:
    """Assert that what the inventory asks for is served and published, and nothing else."""
    served = {service: world.slots[service].curr for service in world.present}
    assert dict.fromkeys(HOSTS, served) == world.serving
    names = {name.owner for name in world.owners.names}
    assert names == world.base.owners()
    for owner in names:
        needed = {key for service in world.present for key in (world.slots[service].curr, world.slots[service].next)}
        found = {
            key
            for record in world.base.views[0][owner].records
            for service, key in world.keys.generations
            if record in world.keys.matching(owner, PARAMS, service, key)
        }
        assert needed - {None} == found


def test_no_coming_or_going_breaks_a_cache() -> None:
    """And every one comes to its end."""
    search(60, Comings, steps=40)


def test_the_search_finds_a_service_that_is_forgotten_while_it_is_served(monkeypatch: pytest.MonkeyPatch) -> None:
    """The record of a service that left the name must outlast its certificates on the hosts."""
    monkeypatch.setattr(Owner, "_still_served", lambda *_: None)
    with pytest.raises(Violation):
        search(40, Comings, steps=30)
