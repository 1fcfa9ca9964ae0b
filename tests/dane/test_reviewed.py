"""The promise of design section 2 where people merge: whenever they like, late, never, or while a run sleeps."""

from __future__ import annotations

# ruff: noqa: D102  (the names of the rules are sentences)
from typing import TYPE_CHECKING

import pytest
from hypothesis import HealthCheck, Phase, settings
from hypothesis import strategies as st
from hypothesis.stateful import precondition, rule, run_state_machine_as_test

from sslops.dane import gate
from tests.dane.interleavings import Interleavings
from tests.dane.reviewed import Reviewed
from tests.dane.simulation import HOSTS, LARGE, PRIMARY, SECONDARY, Violation

if TYPE_CHECKING:
    from collections.abc import Iterator


def settled() -> Reviewed:
    """Return a world in which generation 1 is served everywhere and its record is as old as can be asked."""
    world = Reviewed()
    world.renew()
    world.rest()
    return world


class ReviewedInterleavings(Interleavings):
    """Everything of `Interleavings`, and what people do to a merge request."""

    world: Reviewed

    def __init__(self) -> None:
        """Begin with a service that was rolled out, and whose first record is in DNS."""
        super().__init__()
        self.world = settled()

    @rule(squashes=st.booleans())
    def a_person_merges(self, squashes: bool) -> None:
        self.world.merge_proposal(squashes=squashes)

    @rule()
    def a_person_closes_the_request(self) -> None:
        self.world.decline_proposal()

    @rule()
    def the_branch_is_deleted(self) -> None:
        self.world.delete_branch()

    @rule(secondary_lags=st.booleans())
    def the_next_generation_is_published(self, secondary_lags: bool) -> None:
        self.world.renew()
        self.world.publish_and_merge()
        self.world.load(PRIMARY)
        self.world.load(PRIMARY if secondary_lags else SECONDARY)
        self.world.look()

    @precondition(lambda self: self.world.asleep)
    @rule()
    def a_publish_wakes_up(self) -> None:
        self.world.publish_push()


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
    run_state_machine_as_test(ReviewedInterleavings, settings=quiet)


@pytest.fixture
def blind() -> Iterator[None]:
    """Let what is proposed count for nothing."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(gate, "proposals", lambda *_: ())
        yield


def withdrawal_proposed_and_wanted_again(world: Reviewed) -> None:
    """A generation is given up, its withdrawal lies open for two days, a person makes it curr, and then merges."""
    world.renew()
    world.publish_and_merge()
    world.wait(3 * LARGE)
    given_up = world.generations[-1]
    world.slots = type(world.slots)(curr=world.slots.curr)
    world.publish()
    world.wait(2 * 86400)
    world.make_curr(given_up)
    world.deploy("smtp1")
    world.merge_proposal()
    world.load_all()


def test_no_interleaving_with_a_person_who_merges_breaks_what_a_cache_may_hold() -> None:
    """Whatever is merged, closed, deleted or taken back, every cached RRset matches what every host serves."""
    search(30)


def test_a_request_merged_two_days_late_withdraws_nothing_that_is_served() -> None:
    """An open request counts as a record that may go at any moment: deploy does not go back to it."""
    world = settled()
    withdrawal_proposed_and_wanted_again(world)

    assert world.generations[0] == world.serving["smtp1"]


@pytest.mark.usefixtures("blind")
def test_a_late_merge_breaks_a_cache_where_open_requests_do_not_count() -> None:
    """Without that check the same story ends with a cache that does not match a host."""
    world = settled()
    with pytest.raises(Violation):
        withdrawal_proposed_and_wanted_again(world)


def test_a_declined_request_holds_no_withdrawal_for_ever() -> None:
    """Closed, the branch brings nothing any more, and the next change is proposed and merged as any other."""
    world = settled()
    world.renew()
    world.publish()
    world.decline_proposal()
    world.publish()

    assert world.branch is not None
    assert world.base.views[0] == world.branch.zone

    world.renew()
    world.rest()

    assert dict.fromkeys(HOSTS, world.generations[-1]) == world.serving


def test_a_sleeper_cannot_push_after_the_branch_was_emptied_or_deleted() -> None:
    """Its lease is on a commit that the branch never comes back to."""
    world = settled()
    world.renew()
    world.publish_intent()
    world.slots = type(world.slots)(curr=world.slots.curr)
    world.publish()
    world.delete_branch()
    world.publish()

    assert not world.publish_push()


def test_a_person_who_merges_brings_every_rotation_to_its_end() -> None:
    """The checks do not stop progress: generation 2 is served everywhere, and only its record is left."""
    world = settled()
    world.renew()
    world.rest()

    assert dict.fromkeys(HOSTS, world.generations[1]) == world.serving
    assert 1 == len(next(iter(world.base.views[0].values())).records)
