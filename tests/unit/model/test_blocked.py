"""Since when something is blocked: what the ledger remembers, what is a failure, and that every cause has its class."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from sslops.model.blocked import REMEMBERED, judged, remembered, troubled
from sslops.model.cause import MEANINGS, Cause, Kind
from sslops.model.ledger import Trouble
from sslops.model.plan import Action, Plan, Verb, Wait

NOW = datetime(2026, 11, 24, 14, 30, tzinfo=UTC)
HOUR = timedelta(hours=1)

waits = st.builds(
    Wait,
    st.sampled_from(Verb),
    st.just("example.com"),
    st.sampled_from(["mail-ec", ""]),
    st.sampled_from(["smtp1", "roll"]),
    st.none() | st.just(NOW + HOUR),
    st.just("why"),
    st.sampled_from(Cause),
)


def blocked(verb: Verb = Verb.PUBLISH, cause: Cause = Cause.NOT_LOADED, since: datetime | None = None) -> Wait:
    """Return something that is blocked."""
    return Wait(verb, "example.com", "mail-ec", "smtp1", None, "why", cause, since=since)


@pytest.mark.parametrize("cause", Cause)
def test_every_cause_is_in_one_of_the_two_classes_and_says_what_ends_it(cause: Cause) -> None:
    """What is blocked has a grace and a next command that is filled in; what waits has neither."""
    meaning = MEANINGS[cause]
    wait = blocked(cause=cause)

    assert (meaning.kind is Kind.BLOCKED) == (meaning.grace is not None) == wait.is_blocked
    assert wait.end
    assert not {"{", "}"} & set(wait.end)


def test_what_is_blocked_is_a_failure_after_its_grace_and_not_before() -> None:
    """An hour for what name servers do by themselves, counted from when it was first met."""
    wait = blocked()
    first = judged(Plan(waits=(wait,)), {}, NOW)
    known = remembered(first, {}, (Verb.PUBLISH,), NOW, is_partial=False)
    later = [judged(Plan(waits=(wait,)), known, NOW + after).waits[0] for after in (HOUR - timedelta(seconds=1), HOUR)]

    assert {wait.key: NOW} == known
    assert (NOW, NOW + HOUR, False) == (first.waits[0].since, first.waits[0].deadline, first.waits[0].fatal)
    assert [False, True] == [each.fatal for each in later]


def test_the_inventory_may_set_the_grace_of_all_but_what_fails_at_once() -> None:
    """Two days for a site that is looked after twice a week; a command that cannot be is told at once even so."""
    asked, lagging = blocked(Verb.RENEW, Cause.IMPOSSIBLE), blocked()
    found = judged(Plan(waits=(asked, lagging)), {}, NOW, timedelta(days=2)).waits

    assert [(NOW, True), (NOW + timedelta(days=2), False)] == [(each.deadline, each.fatal) for each in found]


def test_a_date_of_its_own_counts_more_than_what_is_remembered() -> None:
    """A renewal is blocked since it was due, whoever looks first."""
    due = NOW - timedelta(days=3)
    found = judged(Plan(waits=(blocked(Verb.RENEW, Cause.KEY_NOT_HERE, due),)), {}, NOW).waits[0]

    assert (due, True) == (found.since, found.fatal)


@given(st.lists(waits), st.lists(waits), st.booleans())
def test_the_second_look_at_the_same_has_nothing_to_write(old: list[Wait], new: list[Wait], is_partial: bool) -> None:
    """What began keeps its beginning, what ended is forgotten by a run about everything."""
    verbs = tuple(Verb)
    before = remembered(Plan(waits=tuple(old)), {}, verbs, NOW, is_partial=False)
    after = remembered(Plan(waits=tuple(new)), before, verbs, NOW + HOUR, is_partial=is_partial)
    again = remembered(Plan(waits=tuple(new)), after, verbs, NOW + 2 * HOUR, is_partial=is_partial)
    here = {wait.key for wait in new if wait.is_blocked and wait.verb in REMEMBERED}

    assert after == again
    assert here | (before.keys() if is_partial else set()) == after.keys()
    assert all(after[key] == before[key] for key in after.keys() & before.keys())


def test_a_verb_forgets_nothing_that_another_one_met() -> None:
    """Publish by itself says nothing about hosts."""
    known = {blocked(Verb.DEPLOY).key: NOW}

    assert known == remembered(Plan(), known, (Verb.PUBLISH,), NOW, is_partial=False)
    assert {} == remembered(Plan(), known, (Verb.DEPLOY,), NOW, is_partial=False)


def test_a_host_keeps_since_when_it_is_in_trouble_until_it_is_well() -> None:
    """The words are those of the last try; what was not tried keeps its own."""
    old = {"web1": Trouble(NOW, "login refused"), "web2": Trouble(NOW, "chown"), "web3": Trouble(NOW, "restart failed")}
    backing_off = Wait(Verb.DEPLOY, "g", "s", "web3", NOW + HOUR, "failed once", Cause.BACKOFF)
    plan = Plan((Action(Verb.DEPLOY, "g", "s", "serve", "rolled", targets=("web1", "web2")),), (backing_off,))
    found = {"web1": "no route\n to host"}
    expected = {"web1": Trouble(NOW, "no route to host"), "web3": old["web3"]}

    assert expected == troubled(found, old, plan, NOW + HOUR, is_partial=False)
    assert {"web9": Trouble(NOW, "x")} == troubled({"web9": "x"}, {}, Plan(), NOW, is_partial=True)
    assert old["web2"] == troubled({}, old, Plan(), NOW, is_partial=True)["web2"]
