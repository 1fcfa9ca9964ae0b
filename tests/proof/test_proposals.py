"""Stories of people and requests in the world of the proof: merged late, squashed, closed, deleted, slept through."""

from __future__ import annotations

import pytest

from sslops.simulate.world import PromiseError
from tests.proof.life import DAY, EC, Life, Setting
from tests.proof.machine import SETTINGS, Script, Step
from tests.proof.mutations import mutated
from tests.proof.search import judged


def withdrawn_and_wanted_again(life: Life) -> None:
    """After a roll the withdrawal of the old record lies open for two days; the roll is reverted, a person merges."""
    life.run("publish")
    life.wait(2 * DAY)
    life.world.ops.revert(EC, life.world.ops.past_slots(EC)[0])
    life.run("deploy")
    life.world.dns.merge()
    life.load_all()


def settled() -> Life:
    """Return a site where people merge, with everything served and published."""
    return Life(Setting(is_reviewed=True))


def test_a_request_merged_two_days_late_withdraws_nothing_that_is_served() -> None:
    """An open request counts as a record that may go at any moment: deploy does not go back to it."""
    life = Life(SETTINGS["reviewed, after a roll"])
    rolled = life.curr(EC)
    withdrawn_and_wanted_again(life)

    assert rolled == life.world.hosts["smtp1"].serving[EC]


def test_a_late_merge_breaks_a_cache_where_open_requests_do_not_count() -> None:
    """Without that check the same story ends with a cache that does not match a host."""
    life = Life(SETTINGS["reviewed, after a roll"])
    with mutated("open requests do not count"), pytest.raises(PromiseError):
        withdrawn_and_wanted_again(life)


def test_a_closed_request_is_taken_back_and_not_proposed_again() -> None:
    """The branch brings nothing any more, and the next change is proposed and merged as any other."""
    life = settled()
    life.make_key(EC)
    life.run("publish")
    forge = life.world.dns_forge
    assert forge is not None
    forge.people_close()
    life.run("publish")

    assert not life.world.dns.is_open

    life.run("publish")

    assert not life.world.dns.is_open

    life.come_to_rest()

    assert [] == life.unfinished()


def test_a_squashed_request_counts_as_open_until_it_is_rebuilt() -> None:
    """The branch is no ancestor of the base, so it may bring back what it has as soon as the base moves on."""
    life = settled()
    life.make_key(EC)
    life.run("publish")
    life.world.dns.merge(squashes=True)

    assert not life.world.dns.is_open

    life.empty_by_hand()

    assert life.world.dns.is_open


def asleep_while_a_roll_is_reverted(life: Life) -> None:
    """A publish sleeps before it proposes a withdrawal; that is wanted again and served, the branch is deleted."""
    life.world.dns.delete_branch()
    life.fall_asleep()
    life.world.ops.revert(EC, life.world.ops.past_slots(EC)[0])
    life.run("publish")
    life.run("deploy")
    life.world.dns.delete_branch()
    life.go_on(life.active[0])
    life.world.dns.merge()
    life.load_all()


def test_a_sleeper_cannot_propose_after_the_branch_was_made_and_deleted() -> None:
    """Its lease is on a commit that the branch never comes back to."""
    life = Life(SETTINGS["reviewed, after a roll"])
    asleep_while_a_roll_is_reverted(life)

    assert life.world.ops.past_slots(EC)[0].curr == life.world.hosts["smtp1"].serving[EC]


def test_a_sleeper_breaks_a_cache_where_a_branch_returns_to_where_it_was() -> None:
    """Without commits of its own the branch is again what the sleeper saw, and its lease is good."""
    life = Life(SETTINGS["reviewed, after a roll"])
    with mutated("the branch returns to where it was"), pytest.raises(PromiseError):
        asleep_while_a_roll_is_reverted(life)


def test_a_base_that_moves_while_it_is_proposed_leaves_the_intent_for_the_next_run() -> None:
    """What was decided was about other files; the next run fences it off and proposes anew."""
    life = settled()
    life.make_key(EC)
    life.fall_asleep()
    life.empty_by_hand()
    life.go_on(life.active[0], calls=1)
    life.kill(life.active[0])

    assert life.entry.pending is not None

    life.come_to_rest()

    assert [] == life.unfinished()


def test_git_merges_what_both_sides_changed_and_a_conflict_merges_nothing() -> None:
    """A record dropped by hand stays dropped; a file emptied by hand and a changed one conflict."""
    life = settled()
    life.make_key(EC)
    life.run("publish")
    life.empty_by_hand()

    assert not life.world.dns.merge()
    assert {} == life.base


@pytest.mark.parametrize("squashes", [0, 2])
def test_a_person_who_merges_brings_a_key_change_to_its_end(squashes: int) -> None:
    """The checks do not stop progress, whichever way the forge merges."""
    merged = Step("a DNS proposal is merged", (squashes,))
    steps = [Step("a certificate is renewed"), Step("publish runs"), merged, Step("all servers load")]

    assert judged(Script("reviewed", (*steps, *steps))) is None
