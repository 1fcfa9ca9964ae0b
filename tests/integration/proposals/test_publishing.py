"""TLSA changes as merge requests: opened once, kept, taken back, declined; and whatever comes in between."""

from __future__ import annotations

from datetime import timedelta
from typing import TYPE_CHECKING

import pytest

from sslops.errors import ForgeError, Moved, Refused
from sslops.model.inventory import MergePolicy
from sslops.model.proposal import Kind
from tests.integration.proposals.desk import INCLUDE, waits
from tests.rows import rows
from tests.world import remotes

if TYPE_CHECKING:
    from collections.abc import Callable

    from tests.integration.proposals.desk import Desk
    from tests.world.forge import MergeRequest

BRANCH = Kind.TLSA.branch


def the_open_one(desk: Desk) -> MergeRequest:
    """Return the one open request."""
    (found,) = (each for each in desk.zones.requests() if each.is_open)
    return found


@pytest.mark.parametrize("dialect", ["gitlab", "github", "forgejo"])
def test_a_change_is_one_request_and_a_second_run_says_nothing(start: Callable[..., Desk], dialect: str) -> None:
    """The base stays as it is, no `pending` is left, and the wait names the request."""
    desk = start(dialect)
    plan = desk.publish()
    writes, heads = list(desk.zones.writes), desk.heads()

    assert 1 == len(writes)
    assert 1 == len(plan.actions)
    assert desk.zones.web_url in waits(plan)[0]
    assert not desk.has_pending()
    assert not desk.base()

    again = desk.publish()

    assert () == again.actions
    assert waits(plan) == waits(again)
    assert (writes, heads) == (desk.zones.writes, desk.heads())


@pytest.mark.parametrize("button", rows(("merge", "squash", "rebase"), ("merge", "squash")))
def test_a_request_merged_days_late_is_taken_in_whatever_the_button_made(desk: Desk, button: str) -> None:
    """Main moved on elsewhere meanwhile; the next run finds the record and begins its evidence, and says nothing."""
    desk.publish()
    desk.person.push({"other": "2\n"}, "something else")
    desk.clock.at += timedelta(days=2)
    desk.zones.merge(the_open_one(desk).number, button)
    writes, heads = list(desk.zones.writes), desk.heads()
    plan = desk.publish()

    assert ((), ()) == (plan.actions, plan.waits)
    assert [True] == [
        found.since >= desk.clock.at
        for entry in desk.yard.ops.refresh().ledger.apexes.values()
        for found in entry.records.values()
    ]
    assert (writes, heads) == (desk.zones.writes, desk.heads())


def test_the_forge_merges_where_that_is_the_policy(desk: Desk) -> None:
    """It is asked with the head, and the same run sees the base have it."""
    desk.policy = MergePolicy.AUTO
    plan = desk.publish()

    assert (1, ()) == (len(plan.actions), plan.waits)
    assert "TLSA 3 1 1" in desk.base()
    assert not desk.has_pending()


@pytest.mark.parametrize("dialect", ["forgejo", "gitea"])
def test_a_branch_that_fell_behind_is_made_anew_where_only_a_fast_forward_is_allowed(
    start: Callable[..., Desk], dialect: str
) -> None:
    """Main moved on elsewhere since; the run that asks for the merge brings the branch up to date, and it is merged."""
    desk = start(dialect)
    desk.zones.merge_methods = {"fast-forward-only"}
    desk.publish()
    desk.person.push({"other": "2\n"}, "something else")
    desk.policy = MergePolicy.AUTO
    plan = desk.publish()

    assert () == plan.waits
    assert "TLSA 3 1 1" in desk.base()
    assert 1 == len(desk.zones.requests())


def test_a_closed_request_declines_its_plan_until_the_plan_is_another(desk: Desk) -> None:
    """The branch brings nothing then, so that it holds nothing back; a new key is asked for in a new request."""
    desk.publish()
    desk.zones.close(the_open_one(desk).number)
    writes = list(desk.zones.writes)
    plan = desk.publish()

    assert "declined: " in waits(plan)[0]
    assert writes == desk.zones.writes
    assert "" == remotes.git(desk.zones.path, "diff", "main", BRANCH)

    heads = desk.heads()

    assert waits(plan) == waits(desk.publish())
    assert heads == desk.heads()

    desk.renew(2)
    desk.publish()

    assert 2 == the_open_one(desk).number
    assert 2 == remotes.git(desk.zones.path, "show", f"{BRANCH}:{INCLUDE}").count("TLSA")


def test_a_declined_plan_is_opened_again_by_force(desk: Desk) -> None:
    """A person says so."""
    desk.publish()
    desk.zones.close(the_open_one(desk).number)
    desk.publish()
    desk.publish(force=True)

    assert 2 == the_open_one(desk).number


def test_a_request_that_was_reopened_is_filled_again(start: Callable[..., Desk]) -> None:
    """Its branch brought nothing while it was closed; reopened by a person it is wanted again."""
    desk = start("gitlab")
    desk.publish()
    number = the_open_one(desk).number
    desk.zones.close(number)
    desk.publish()
    desk.zones.reopen(number)
    plan = desk.publish()

    assert desk.zones.web_url in waits(plan)[0]
    assert number == the_open_one(desk).number
    assert "TLSA" in remotes.git(desk.zones.path, "show", f"{BRANCH}:{INCLUDE}")


def test_what_is_not_wanted_any_more_is_withdrawn_and_declines_nothing(desk: Desk) -> None:
    """A person did by hand what the request asks for; afterwards the same is proposed again as if nothing was."""
    desk.publish()
    number = the_open_one(desk).number
    text = remotes.git(desk.zones.path, "show", f"{BRANCH}:{INCLUDE}")
    desk.person.push({INCLUDE: f"{text}\n; by hand\n"}, "by hand")
    plan = desk.publish()

    assert ((), ()) == (plan.actions, plan.waits)
    assert not desk.zones.request(number).is_open
    assert "sslops-plan: withdrawn" in desk.zones.request(number).body

    desk.person.push({INCLUDE: ""}, "taken back by hand")
    desk.publish()

    assert number + 1 == the_open_one(desk).number


def test_update_branch_changes_nothing_for_the_bot(desk: Desk) -> None:
    """The forge is the committer of that merge of main; nothing is pushed over it."""
    desk.publish()
    desk.person.push({"other": "2\n"}, "something else")
    made = desk.zones.update_branch(the_open_one(desk).number)
    desk.publish()

    assert made == desk.heads()[BRANCH]


def test_a_commit_of_a_person_on_the_branch_stops_the_bot(desk: Desk) -> None:
    """It says whose commit that is, and touches neither the branch nor the forge."""
    desk.publish()
    desk.person.push({INCLUDE: "; mine\n"}, "my own idea", BRANCH)
    writes, heads = list(desk.zones.writes), desk.heads()
    with pytest.raises(Refused, match=r"'sslops/tlsa' has commit \w+ of 'operator@example.com'"):
        desk.publish()

    assert (writes, heads) == (desk.zones.writes, desk.heads())


def test_a_deleted_branch_is_made_again(start: Callable[..., Desk]) -> None:
    """Where that closes no request, the same one goes on."""
    desk = start("gitlab")
    desk.publish()
    number = the_open_one(desk).number
    desk.zones.delete_branch(BRANCH)
    desk.publish()

    assert number == the_open_one(desk).number
    assert "TLSA" in remotes.git(desk.zones.path, "show", f"{BRANCH}:{INCLUDE}")


def test_a_merge_between_our_look_and_our_push_is_noticed(desk: Desk) -> None:
    """The lease on the branch holds, for a merge does not move it; the base is read again and all is judged anew."""
    desk.publish()
    number = the_open_one(desk).number
    desk.renew(2)
    desk.dns.before.append(lambda: desk.zones.merge(number))
    with pytest.raises(Moved):
        desk.publish()

    assert desk.has_pending()

    desk.publish()

    assert not desk.has_pending()
    assert number + 1 == the_open_one(desk).number
    assert "+" == remotes.git(desk.zones.path, "diff", "--unified=0", "main", BRANCH).splitlines()[-1][:1]


def test_of_two_bots_one_sees_the_other(desk: Desk) -> None:
    """Both looked at the same; the second finds the ledger moved, looks again, and has nothing to add."""
    other = desk.clone("other")
    other.refresh()
    desk.dns.before.append(lambda: desk.publish(dns=other, run="test#2"))
    with pytest.raises(Moved):
        desk.publish()
    writes = list(desk.zones.writes)
    plan = desk.publish_again_when_moved()

    assert desk.zones.web_url in waits(plan)[0]
    assert writes[:1] == [each for each in desk.zones.writes if each == writes[0]]
    assert the_open_one(desk).number


def test_a_token_that_expires_before_the_request_leaves_work_for_the_next_run(desk: Desk) -> None:
    """The branch is pushed, the request is not there; nothing is pushed twice."""
    old = desk.secret
    desk.dns.after.append(lambda: desk.forge.revoke(old))
    with pytest.raises(ForgeError):
        desk.publish()
    heads = desk.heads()

    assert [] == [each for each in desk.zones.requests() if each.is_open]

    desk.secret = desk.forge.token("sslops")
    desk.publish()

    assert heads == desk.heads()
    assert the_open_one(desk).number


def test_a_token_that_is_bad_from_the_start_leaves_everything_alone(desk: Desk) -> None:
    """Whether the plan was declined is asked before anything is pushed."""
    desk.forge.revoke(desk.secret)
    heads = desk.heads()
    with pytest.raises(ForgeError):
        desk.publish()

    assert heads == desk.heads()
    assert not desk.has_pending()


def test_a_merge_that_was_reverted_is_asked_for_again(desk: Desk) -> None:
    """A squash leaves the branch beside main; after the revert it would bring the same once more, and is rebuilt."""
    desk.publish()
    number = the_open_one(desk).number
    commit = desk.zones.merge(number, "squash")
    desk.publish()
    desk.person.revert(commit)
    desk.publish()

    assert number + 1 == the_open_one(desk).number
    assert not desk.base()


def test_a_dry_run_tells_from_the_branch_and_asks_the_forge_only_when_told_to(desk: Desk) -> None:
    """What is proposed already is a wait and not an action; the address, and a refusal, only the forge knows."""
    assert 1 == len(desk.publisher().plan(desk.snapshot()).actions)

    desk.publish()
    asked = len(desk.zones.calls)
    plan = desk.publisher().plan(desk.snapshot())

    assert ((), ["proposed on 'sslops/tlsa'; --fetch asks the forge what became of it"]) == (plan.actions, waits(plan))
    assert asked == len(desk.zones.calls)
    assert desk.zones.web_url in waits(desk.publisher().plan(desk.snapshot(), asks_forge=True))[0]

    desk.zones.close(the_open_one(desk).number)

    assert "declined: " in waits(desk.publisher().plan(desk.snapshot(), asks_forge=True))[0]
