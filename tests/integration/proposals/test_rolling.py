"""Rolls as merge requests: what a person merges, by whichever button, declines or forgets, and what the bot does."""

from __future__ import annotations

from datetime import timedelta
from subprocess import CalledProcessError
from typing import TYPE_CHECKING

import pytest

from sslops.errors import Refused
from sslops.model.inventory import Hold, MergePolicy
from sslops.model.proposal import Kind
from sslops.report.status import Phase, status_report
from tests.integration.proposals.desk import Desk, waits
from tests.rows import rows
from tests.unit.repo.yard import MAIL, START, WEB, generation
from tests.world import remotes

if TYPE_CHECKING:
    from sslops.model.names import GenerationId
    from tests.world.forge import MergeRequest

BRANCH = Kind.ROLL.branch


@pytest.fixture
def rolling(desk: Desk) -> Desk:
    """Return a desk where generation 2 may be rolled."""
    desk.has_dane = False
    desk.renew(2)
    return desk


def the_open_one(desk: Desk) -> MergeRequest:
    """Return the one open request."""
    (found,) = (each for each in desk.certs.requests() if each.is_open)
    return found


def heads(desk: Desk) -> dict[str, str]:
    """Return branch to commit of the ops repository."""
    return desk.yard.heads()


def phase(desk: Desk) -> Phase:
    """Return what status says of the service, told from the branches alone."""
    snapshot, inventory = desk.yard.ops.refresh(), desk.inventory
    report = status_report(inventory, snapshot.branches, snapshot.ledger, {}, desk.clock.at, None, snapshot.proposed)
    (line,) = report.services
    return line.phase


def test_a_roll_is_one_request_and_a_second_run_says_nothing(rolling: Desk) -> None:
    """main stays; next and the roll branch have it; status says `proposed`."""
    plan = rolling.roll()
    writes, before = list(rolling.certs.writes), heads(rolling)

    assert 1 == len(writes)
    assert rolling.certs.web_url in waits(plan)[0]
    assert rolling.first == rolling.yard.slots("main").curr
    assert Phase.PROPOSED == phase(rolling)
    assert waits(plan) == waits(rolling.roll())
    assert (writes, before) == (rolling.certs.writes, heads(rolling))


@pytest.mark.parametrize("button", rows(("merge", "squash", "rebase", "update"), ("squash", "update")))
def test_a_merged_roll_is_taken_in_whatever_the_button_made(rolling: Desk, button: str) -> None:
    """main moved on elsewhere meanwhile. After one run that takes main in, nothing is left to do or to say."""
    rolling.roll()
    rolling.yard.someone.push({"inventory/note": "1\n"}, "something else")
    number = the_open_one(rolling).number
    if button == "update":
        made = rolling.certs.update_branch(number)
        rolling.roll()

        assert made == heads(rolling)[BRANCH]

    rolling.certs.merge(number, "merge" if button == "update" else button)
    plan = rolling.roll()
    writes, before = list(rolling.certs.writes), heads(rolling)

    assert ((), ()) == (plan.actions, plan.waits)
    assert rolling.yard.slots("next").curr == rolling.yard.slots("main").curr
    assert rolling.first == rolling.yard.slots("main").prev

    rolling.roll()

    assert (writes, before) == (rolling.certs.writes, heads(rolling))


def test_a_closed_request_declines_the_roll_until_there_is_another_generation(rolling: Desk) -> None:
    """Status says so from the branches; the roll branch brings nothing; a new generation is asked for again."""
    rolling.roll()
    rolling.certs.close(the_open_one(rolling).number)
    writes = list(rolling.certs.writes)
    plan = rolling.roll()

    assert "declined: " in waits(plan)[0]
    assert Phase.DECLINED == phase(rolling)
    assert writes == rolling.certs.writes
    assert heads(rolling)["main"] == heads(rolling)[BRANCH]

    before = heads(rolling)

    assert waits(plan) == waits(rolling.roll())
    assert before == heads(rolling)

    third = rolling.renew(3)
    rolling.clock.at += timedelta(days=2)
    rolling.roll()

    assert 2 == the_open_one(rolling).number
    assert Phase.PROPOSED == phase(rolling)
    assert third in rolling.certs.request(2).body


def test_a_declined_roll_is_opened_again_by_force(rolling: Desk) -> None:
    """A person says so."""
    rolling.roll()
    rolling.certs.close(the_open_one(rolling).number)
    rolling.roll()
    rolling.roll(force=True)

    assert 2 == the_open_one(rolling).number


def test_the_forge_merges_a_roll_where_that_is_the_policy(rolling: Desk) -> None:
    """The same run sees main have it."""
    rolling.policy = MergePolicy.AUTO
    plan = rolling.roll()

    assert (1, ()) == (len(plan.actions), plan.waits)
    assert rolling.yard.slots("next").curr == rolling.yard.slots("main").curr


def test_a_hold_keeps_the_bot_from_merging_what_it_asked_for(rolling: Desk) -> None:
    """The request stays for a person, and the wait says who holds it and why."""
    rolling.roll()
    rolling.policy, rolling.hold = MergePolicy.AUTO, Hold(None, "not on a Friday")
    plan = rolling.roll()

    assert "not on a Friday" in waits(plan)[0]
    assert rolling.first == rolling.yard.slots("main").curr


def test_a_roll_that_nobody_merges_is_a_failure_when_the_certificate_is_about_to_end(rolling: Desk) -> None:
    """The last tenth of the life of what is served."""
    rolling.roll()
    rolling.clock.at = START + timedelta(days=1 + 80)

    assert [False] == [wait.fatal for wait in rolling.roll().waits]

    rolling.clock.at = START + timedelta(days=1 + 82)

    assert [True] == [wait.fatal for wait in rolling.roll().waits]


def test_a_commit_of_a_person_on_the_roll_branch_stops_the_bot(rolling: Desk) -> None:
    """Even where there is nothing to push: it must not ask the forge to merge that."""
    rolling.roll()
    rolling.yard.someone.push({"state/x": "1\n"}, "my own idea", BRANCH)
    rolling.policy = MergePolicy.AUTO
    with pytest.raises(Refused, match="'sslops/roll' has commit"):
        rolling.roll()

    assert rolling.first == rolling.yard.slots("main").curr


def test_a_revert_on_main_takes_the_roll_back_and_asks_for_nothing(rolling: Desk) -> None:
    """The generation is refused until somebody forces it."""
    rolling.roll()
    commit = rolling.certs.merge(the_open_one(rolling).number, "squash")
    rolling.roll()
    rolling.yard.someone.revert(commit)
    plan = rolling.roll()

    assert "was taken back on main" in waits(plan)[0]
    assert [] == [each for each in rolling.certs.requests() if each.is_open]
    assert rolling.yard.slots("main").curr == rolling.yard.slots("next").curr == rolling.first
    assert MAIL in rolling.yard.ops.refresh().branches.next.services
    assert remotes.git(rolling.certs.path, "rev-parse", "main") == heads(rolling)["main"]


def live_with_a_prepublished_key(desk: Desk, button: str = "squash") -> GenerationId:
    """Merge the roll of generation 2, and let main get the key of generation 3 by the next one's request."""
    desk.roll()
    desk.certs.merge(the_open_one(desk).number, button)
    desk.prepublish(3)
    desk.yard.roll_to(1, WEB)
    desk.roll()
    desk.certs.merge(the_open_one(desk).number, button)
    desk.roll()
    return generation(2).id


@pytest.mark.parametrize("button", rows(("merge", "squash", "rebase"), ("squash",)))
def test_a_roll_is_taken_back_by_a_request_although_main_went_on(rolling: Desk, button: str) -> None:
    """A revert conflicts in slots.yaml once main has the prepublished key; this way back does not.

    The request says what it is. Once it is merged, by whichever button, nothing more is asked for.
    """
    live = live_with_a_prepublished_key(rolling, button)
    rolling.roll(back=True)
    request = the_open_one(rolling)

    assert f"Take back the roll of {MAIL}" == request.title
    assert f"the roll to `{live}` is taken back" in request.body

    rolling.certs.merge(request.number, button)
    plan = rolling.roll()
    on_main = rolling.yard.slots("main")

    assert (rolling.first, generation(3).id, live) == (on_main.curr, on_main.next, on_main.refused)
    assert ((), ()) == (plan.actions, plan.waits)
    assert on_main == rolling.yard.slots("next")
    assert ["was taken back already" in why for why in waits(rolling.roll(back=True))] == [True]


def test_a_revert_of_the_roll_conflicts_once_main_has_the_prepublished_key(rolling: Desk) -> None:
    """Why there is `roll --back`: git, and so every forge's button, cannot know what the pointers mean."""
    rolling.roll()
    commit = rolling.certs.merge(the_open_one(rolling).number, "squash")
    rolling.prepublish(3)
    rolling.yard.roll_to(1, WEB)
    rolling.roll()
    rolling.certs.merge(the_open_one(rolling).number, "squash")

    with pytest.raises(CalledProcessError):
        rolling.yard.someone.revert(commit)


def test_a_roll_that_is_not_merged_yet_is_taken_back_with_its_request(rolling: Desk) -> None:
    """main never had it: the request is withdrawn, and the generation is refused."""
    rolling.roll()
    rolling.roll(back=True)
    slots = rolling.yard.slots("next")

    assert [] == [each for each in rolling.certs.requests() if each.is_open]
    assert (rolling.first, generation(2).id, generation(2).id) == (slots.curr, slots.next, slots.refused)
    assert "was taken back" in waits(rolling.roll())[0]


def test_a_way_back_that_is_declined_is_asked_for_again_by_force(rolling: Desk) -> None:
    """Closing the request says no to it, as to any other."""
    live_with_a_prepublished_key(rolling)
    rolling.roll(back=True)
    rolling.certs.close(the_open_one(rolling).number)

    assert "declined: " in waits(rolling.roll())[0]

    rolling.roll(force=True)

    assert f"Take back the roll of {MAIL}" == the_open_one(rolling).title


def test_a_dry_run_tells_from_the_branches_what_is_proposed_or_declined(rolling: Desk) -> None:
    """The forge is asked only when told to."""
    rolling.roll()
    asked = len(rolling.certs.calls)

    assert ["proposed on 'sslops/roll'; --fetch asks the forge"] == waits(rolling.roller().plan(rolling.snapshot()))
    assert asked == len(rolling.certs.calls)
    assert rolling.certs.web_url in waits(rolling.roller().plan(rolling.snapshot(), asks_forge=True))[0]

    rolling.certs.close(the_open_one(rolling).number)
    rolling.roll()

    assert ["declined; --fetch asks the forge"] == waits(rolling.roller().plan(rolling.snapshot()))
