"""GitLab's merge requests with a token that may push and nothing else: asked for once, by the push."""

from __future__ import annotations

from datetime import timedelta
from typing import TYPE_CHECKING

import pytest

from sslops.errors import ForgeError
from sslops.model.inventory import Hold, MergePolicy
from sslops.model.proposal import Kind
from tests.integration.proposals.desk import waits
from tests.integration.proposals.test_challenges import proof, shown, solver
from tests.world import remotes
from tests.world.forge import Rights

if TYPE_CHECKING:
    from collections.abc import Callable

    from tests.integration.proposals.desk import Desk
    from tests.world.forge import MergeRequest, Project

LATER = timedelta(minutes=5)


@pytest.fixture
def desk(start: Callable[..., Desk]) -> Desk:
    """Return a desk on GitLab where the bot may push only."""
    made = start("gitlab")
    made.pushes_only()
    return made


def the_open_one(project: Project) -> MergeRequest:
    """Return the one open request."""
    (found,) = (each for each in project.requests() if each.is_open)
    return found


def test_records_are_asked_for_by_the_push_and_a_second_run_says_nothing(desk: Desk) -> None:
    """Title and body are those of the API's way; what cannot be known is said; no second push."""
    first = desk.publish()
    request, heads = the_open_one(desk.zones), desk.heads()

    assert 1 == len(first.actions)
    assert "the token may only push" in waits(first)[0]
    assert "TLSA" in request.title
    assert "\n| " in request.body
    assert "<!-- sslops-plan: sha256:" in request.body
    assert [] == desk.zones.writes
    assert not desk.has_pending()

    desk.clock.at += LATER
    again = desk.publish()

    assert ((), waits(first)) == (again.actions, waits(again))
    assert waits(first) == waits(desk.publisher().plan(desk.snapshot(), asks_forge=True))
    assert heads == desk.heads()

    desk.zones.merge(request.number)

    assert () == desk.publish().waits
    assert desk.base()


def test_a_run_that_was_killed_before_it_asked_is_finished_by_the_next_one(desk: Desk) -> None:
    """The branch brings the records already; what is missing is the request, and the plan does not claim one."""

    def die() -> None:
        raise KeyboardInterrupt

    desk.dns.after.append(die)
    with pytest.raises(KeyboardInterrupt):
        desk.publish()
    bare = desk.heads()[Kind.TLSA.branch]

    assert [] == desk.zones.requests()
    assert "the token may only push" not in waits(desk.publisher().plan(desk.snapshot(), asks_forge=True))[0]

    desk.publish()
    tip = desk.heads()[Kind.TLSA.branch]

    assert the_open_one(desk.zones).is_open
    assert bare == remotes.git(desk.zones.path, "rev-parse", f"{tip}^")
    assert "" == remotes.git(desk.zones.path, "diff", bare, tip)


def test_what_a_person_closed_stays_closed_until_it_is_forced(desk: Desk) -> None:
    """Nobody can ask whether it was declined, so the branch that said it is left alone."""
    desk.publish()
    desk.zones.close(the_open_one(desk.zones).number)
    desk.publish()

    assert [] == [each for each in desk.zones.requests() if each.is_open]

    desk.publish(force=True)

    assert 2 == the_open_one(desk.zones).number


def test_a_roll_is_asked_for_by_the_push_and_a_second_run_says_nothing(desk: Desk) -> None:
    """main stays until somebody merges; the next roll is asked for anew."""
    desk.has_dane = False
    second = desk.renew(2)
    first = desk.roll()
    request, heads = the_open_one(desk.certs), desk.yard.heads()

    assert "the token may only push" in waits(first)[0]
    assert str(second) in request.body
    assert (waits(first), heads) == (waits(desk.roll()), desk.yard.heads())
    assert desk.first == desk.yard.slots("main").curr

    desk.certs.merge(request.number)
    desk.clock.at += timedelta(days=1)
    third = desk.renew(3)
    desk.roll()

    assert second == desk.yard.slots("main").curr
    assert str(third) in the_open_one(desk.certs).body
    assert [] == desk.certs.writes


def test_challenges_are_asked_for_by_the_push_and_a_second_run_says_nothing(desk: Desk) -> None:
    """The record is there once somebody merged; its removal is the next request."""
    wanted = proof("a")
    first = solver(desk, (2, wanted))
    first.publish(frozenset({wanted}))
    request, heads = the_open_one(desk.zones), desk.heads()

    assert first.obstacle is not None
    assert "the token may only push" in first.obstacle.why
    assert "mail.example.com" in request.body

    solver(desk, (2, wanted)).publish(frozenset({wanted}))

    assert heads == desk.heads()

    desk.zones.merge(request.number)
    later = solver(desk, (2, wanted))
    later.publish(frozenset({wanted}))

    assert (None, {}) == (later.obstacle, later.missing(frozenset({wanted})))

    later.clean(frozenset({wanted}))

    assert request.number < the_open_one(desk.zones).number


def test_the_push_asks_to_merge_where_that_is_the_policy(desk: Desk) -> None:
    """The same run finds records and challenges merged."""
    desk.policy, wanted = MergePolicy.AUTO, proof("a")

    assert () == desk.publish().waits
    assert desk.base()

    acme = solver(desk, (2, wanted))
    acme.publish(frozenset({wanted}))

    assert None is acme.obstacle
    assert '"a_' in shown(desk)
    assert [] == desk.zones.writes


def test_a_hold_that_ends_asks_anew_to_merge_a_roll(desk: Desk) -> None:
    """Held, the same roll was asked for as one that a person merges."""
    desk.has_dane, desk.policy, desk.hold = False, MergePolicy.AUTO, None
    second = desk.renew(2)
    desk.certs.protections["main"].required_checks = ("pipeline",)
    desk.roll()

    assert the_open_one(desk.certs).auto_merge is not None

    desk.hold = Hold(None, "not on a Friday")
    held = desk.roll()

    assert "not on a Friday" in waits(held)[0]
    assert the_open_one(desk.certs).auto_merge is None

    desk.certs.protections["main"].required_checks = ()
    desk.hold = None

    assert () == desk.roll().waits
    assert second == desk.yard.slots("main").curr


def test_a_token_that_may_read_knows_what_became_of_its_request(desk: Desk) -> None:
    """The wait names the request, and closing it declines the plan as ever."""
    desk.publish()
    desk.secret = desk.forge.token("sslops", {"read_api", "write_repository"})
    told = desk.publish()

    assert f"{desk.zones.web_url}/-/merge_requests/1 waits for a person to merge it" in waits(told)[0]

    desk.zones.close(1)

    assert "declined" in waits(desk.publish())[0]


def test_a_token_that_may_not_push_either_says_so(desk: Desk) -> None:
    """A refusal that is none of scopes is no reason to try another way."""
    desk.secret = desk.forge.token("sslops", Rights.PUSH, is_expired=True)
    with pytest.raises(ForgeError, match="is not accepted"):
        desk.publish()
