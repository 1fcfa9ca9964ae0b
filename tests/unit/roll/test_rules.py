"""When `next` may become `curr`."""

from __future__ import annotations

from dataclasses import replace
from datetime import timedelta
from typing import TYPE_CHECKING

import pytest

from sslops.dane.may_serve import Gate
from sslops.dane.records import Keys
from sslops.issue.rules import RenewReason
from sslops.model.cause import Cause
from sslops.model.inventory import Hold, Inventory
from sslops.model.ledger import Ledger
from sslops.model.names import ServiceId
from sslops.model.plan import HazardName, Plan, Verb
from sslops.model.state import Branches, ServiceState, State
from sslops.pki.request import request_of, request_sha256
from sslops.roll.rules import RollOptions, back_slots, is_candidate, plan, rolled_slots, unplanned
from tests.unit.dane.builders import (
    APEX,
    SERVICE,
    TTL,
    after,
    aged,
    branches,
    commit,
    gen,
    generation,
    inventory,
    keyed,
    look,
    name,
    record,
    service,
    slots,
    zone,
)

if TYPE_CHECKING:
    from sslops.model.names import GenerationId
    from sslops.model.observations import ApexSeen, Zone
    from sslops.model.state import Slots

PLAIN = inventory(service(dane=(), min_roll_minutes=1))
READY = branches(slots(1, 2), 1, 2)
NOW = after(100_000)
NO_OPTIONS = RollOptions()


def decided(
    state: Branches = READY, asked: Inventory = PLAIN, options: RollOptions = NO_OPTIONS, **changes: object
) -> Plan:
    """Return the plan, without any DANE."""
    gate = replace(Gate(Ledger(), {}, Keys.of(state), (), NOW), **changes)  # type: ignore[arg-type]
    return plan(asked, state, gate, options)


def outcome(found: Plan) -> tuple[list[str], list[str]]:
    """Return the reasons of the rolls, and why others wait."""
    return [str(action.reason) for action in found.actions], [wait.why for wait in found.waits]


def test_a_ready_next_is_rolled() -> None:
    """The action names the generation and is for `roll`."""
    (action,) = decided().actions
    assert (Verb.ROLL, gen(2), "ready") == (action.verb, action.generation, action.reason)


def test_a_first_certificate_is_rolled_at_once() -> None:
    """No wait without a `curr`."""
    state = branches(slots(None, 2), generation(2))
    assert (["first"], []) == outcome(decided(state, now=after(3)))


def test_a_standing_key_is_no_candidate() -> None:
    """It has no certificate yet, and nothing waits for it."""
    state = branches(slots(1, 2), 1, keyed(2))
    assert (Plan(), False) == (decided(state), is_candidate(service(), state))


def test_a_young_next_waits_for_its_minutes() -> None:
    """Counted from `issued`, and said with the moment."""
    found = decided(now=after(61))
    assert [after(62)] == [wait.until for wait in found.waits]
    assert (["ready"], []) == outcome(decided(now=after(62)))


def test_minutes_of_the_command_line_come_first() -> None:
    """Zero is a number too."""
    assert (["ready"], []) == outcome(decided(options=RollOptions(min_roll_minutes=0), now=after(3)))


def test_what_a_person_asked_for_does_not_wait_for_the_minutes() -> None:
    """A key that leaked is replaced at once; the number of a command line is for every generation."""
    for reason in (RenewReason.FORCED, RenewReason.NEW_KEY):
        state = branches(slots(1, 2), 1, replace(generation(2), reason=reason))
        assert (["ready"], []) == outcome(decided(state, now=after(3)))
        asked = decided(state, options=RollOptions(min_roll_minutes=1), now=after(3))
        assert [after(62)] == [wait.until for wait in asked.waits]


def test_a_generation_that_was_taken_back_is_not_rolled_again() -> None:
    """Unless forced."""
    state = branches(slots(1, 2, refused=2), 1, 2)
    assert [] == outcome(decided(state))[0]
    assert (["forced"], []) == outcome(decided(state, options=RollOptions(force=True)))


def test_a_hold_stops_the_roll_and_can_become_a_failure() -> None:
    """A wait that would outlive the certificate is a failure."""
    held = inventory(service(dane=(), hold=Hold(after(10**9), "moving")))
    (wait,) = decided(asked=held).waits
    assert ("held: moving", after(10**9), True) == (wait.why, wait.until, wait.fatal)


def test_a_next_that_expired_is_not_rolled() -> None:
    """It waited too long; what is served is better than that."""
    state = branches(slots(1, 2), 1, generation(2, not_after=NOW))
    assert [] == outcome(decided(state))[0]


def test_only_targets_are_rolled() -> None:
    """The command line may name services."""
    assert Plan() == decided(options=RollOptions(targets=frozenset({ServiceId(APEX, "web")})))


def _dane(seen: ApexSeen, now: float = 2 * TTL, *, force: bool = False) -> Plan:
    state, asked = branches(slots(1, 2), 1, 2), inventory(service(min_roll_minutes=0))
    ledger = Ledger(apexes={APEX: aged(record(1), record(2))})
    gate = Gate(ledger, {APEX: seen}, Keys.of(state), (name(),), after(now))
    return plan(asked, state, gate, RollOptions(force=force))


def test_force_never_skips_the_gate() -> None:
    """`--force` is about minutes and refusals."""
    seen = look([commit("c1", zone(1, 2))], zone(1, 2))
    assert [] == outcome(_dane(seen, 2 * TTL - 1, force=True))[0]
    assert ["forced"] == outcome(_dane(seen, 2 * TTL, force=True))[0]


def test_what_a_person_asked_for_still_waits_for_the_gate() -> None:
    """`--force` is about minutes, whichever verb had it."""
    state, asked = branches(slots(1, 2), 1, replace(generation(2), reason=RenewReason.FORCED)), inventory(service())
    ledger = Ledger(apexes={APEX: aged(record(1), record(2))})
    seen = {APEX: look([commit("c1", zone(1, 2))], zone(1, 2))}
    early, late = (Gate(ledger, seen, Keys.of(state), (name(),), after(now)) for now in (2 * TTL - 1, 2 * TTL))
    assert [after(2 * TTL)] == [wait.until for wait in plan(asked, state, early, NO_OPTIONS).waits]
    assert ["ready"] == outcome(plan(asked, state, late, NO_OPTIONS))[0]


def test_a_missing_record_is_a_wait_and_a_silent_server_a_hazard_of_roll() -> None:
    """A person can do something about the second."""
    answers: tuple[tuple[Zone | None, ...], ...] = ((zone(1),), (zone(1, 2), None), (None,))
    missing, silent, alone = (_dane(look([commit("c1", zone(1, 2))], *shown)) for shown in answers)
    assert ((), 1) == (missing.hazards, len(missing.waits))
    assert [(HazardName.NS_UNREACHABLE, Verb.ROLL)] == [(hazard.name, hazard.verb) for hazard in silent.hazards]
    # Consent would leave no server to go by, so none is offered.
    assert ((), [Cause.NS_UNREACHABLE]) == (alone.hazards, [wait.cause for wait in alone.waits])


SUB = ServiceId("ca", "my-sub")


def _with_signer(now: timedelta = timedelta()) -> Plan:
    sub = service("my-sub", "ca", dane=(), signing_ca="my-root", min_roll_minutes=1)
    leaf = service(dane=(), min_roll_minutes=1)
    state = State(
        {
            SERVICE: ServiceState(slots(1, 2), {gen(1): generation(1), gen(2): generation(2, signer=gen(4))}),
            SUB: ServiceState(slots(3, 4), {gen(3): generation(3), gen(4): generation(4)}),
        }
    )
    both = Branches(state, state)
    return plan(inventory(leaf, sub), both, Gate(Ledger(), {}, Keys.of(both), (), NOW + now), RollOptions())


def test_a_signer_is_rolled_in_the_same_run() -> None:
    """It is judged first, whatever its group is called."""
    assert [SUB.name, SERVICE.name] == [action.service for action in _with_signer().actions]


def test_no_service_is_rolled_before_its_signer() -> None:
    """The leaf is old enough; its signer is two seconds younger."""
    found = _with_signer(after(63) - NOW)
    assert ([], 2) == (outcome(found)[0], len(found.waits))


def test_signers_in_a_circle_come_to_an_end() -> None:
    """The rules are total, even on an inventory that `check` refuses."""
    made = [
        service(each, "ca", signing_ca=other, dane=()) for each, other in (("my-sub", "my-root"), ("my-root", "my-sub"))
    ]
    odd = inventory(*made)
    local = {key: replace(ca, type=odd.cas["my-sub"].type) for key, ca in odd.cas.items()}
    assert Plan() == decided(asked=replace(odd, cas=local))


def test_a_roll_moves_the_pointers() -> None:
    """`next` is empty afterwards, and the refusal of what is rolled is over."""
    assert slots(2) == replace(rolled_slots(slots(1, 2, refused=2), NOW), prev=None, rolled_at=None)
    assert (gen(1), NOW) == (rolled_slots(slots(1, 2), NOW).prev, rolled_slots(slots(1, 2), NOW).rolled_at)


def test_a_wait_without_an_end_is_a_failure_before_the_certificate_ends() -> None:
    """The DNS request was declined, or nobody merges it: that is told in the last tenth, not when all is over."""
    state, asked = branches(slots(1, 2), generation(1, not_after=after(1_000)), 2), inventory(service())
    gate = Gate(
        Ledger(apexes={APEX: aged(record(1))}),
        {APEX: look([commit("c1", zone(1))], zone(1))},
        Keys.of(state),
        (name(),),
        NOW,
    )
    found = [plan(asked, state, replace(gate, now=after(now)), NO_OPTIONS) for now in (800, 950)]
    assert [(None, False), (None, True)] == [(wait.until, wait.fatal) for each in found for wait in each.waits]


# The rollback target.


BACK = RollOptions(targets=frozenset({SERVICE}), back=True)


def taken_back(state: Branches, asked: Inventory = PLAIN, **changes: object) -> Plan:
    """Return the plan of `roll --back`, without any DANE."""
    return decided(state, asked, BACK, **changes)


def live(curr: int, prev: int | None, next: int | None = None, refused: int | None = None) -> Slots:  # noqa: A002
    """Return slots after a roll."""
    return replace(slots(curr, next, refused), prev=None if prev is None else gen(prev))


def test_the_last_roll_is_taken_back() -> None:
    """What was live before is rolled to; the reason is one of its own, so that the digest is."""
    (action,) = taken_back(branches(live(2, 1), 1, 2)).actions

    assert (Verb.ROLL, gen(1), "back") == (action.verb, action.generation, action.reason)


def test_going_back_obeys_a_hold() -> None:
    """What people said counts for it as for any roll."""
    held = inventory(service(dane=(), hold=Hold(None, "moving")))

    assert ([], ["held: moving"]) == outcome(taken_back(branches(live(2, 1), 1, 2), held))


def test_going_back_says_what_hosts_wait_for() -> None:
    """Nobody publishes a withdrawn record before a slot needs it, so the pointers move first and deploy waits."""
    why = "the DNS base has no record of it"
    (action,) = taken_back(branches(live(2, 1), 1, 2), blind={SERVICE: why}).actions

    assert f"hosts follow as soon as DNS allows, for now {why}" in action.why


@pytest.mark.parametrize(
    ("state", "why", "fatal"),
    [
        (branches(live(1, None), 1), "nothing was live before", True),
        (branches(live(2, 1), 2), "is not in state/ any more", True),
        (branches(live(2, 1), generation(1, not_after=NOW), 2), "has expired", True),
        (branches(live(1, 2, 3, refused=2), 1, 2, 3), "was taken back already; sslops roll --force", False),
        (branches(live(1, None, 2, refused=2), 1, 2), "was taken back already; sslops roll --force", False),
    ],
)
def test_where_there_is_no_way_back_the_plan_says_so(state: Branches, why: str, *, fatal: bool) -> None:
    """Silence would be taken for success; what was done before is no failure."""
    (wait,) = taken_back(state).waits

    assert why in wait.why
    assert fatal == wait.fatal


def test_a_roll_after_one_that_was_taken_back_can_be_taken_back_too() -> None:
    """The refusal names an older generation by then."""
    assert (["back"], []) == outcome(taken_back(branches(live(3, 1, refused=2), 1, 2, 3)))


def test_slots_after_going_back_with_nothing_else_staged() -> None:
    """What was live is staged again and refused; `renew_at` stays its."""
    before = replace(live(2, 1), renew_at=after(5))
    found = back_slots(ServiceState(before, {gen(n): generation(n) for n in (1, 2)}), NOW)

    assert replace(slots(1, 2, refused=2), rolled_at=NOW, renew_at=after(5)) == found


def test_slots_after_going_back_keep_a_prepublished_key() -> None:
    """The key of the following generation stays staged, what was live is at hand, and `curr` tells when it is due."""
    before = replace(live(2, 1, 3), renew_at=after(5))
    found = back_slots(ServiceState(before, {gen(1): generation(1), gen(2): generation(2), gen(3): keyed(3)}), NOW)

    assert replace(slots(1, 3, refused=2), prev=gen(2), rolled_at=NOW) == found


def test_it_is_said_when_going_back_does_not_last() -> None:
    """The inventory changed between the two generations, so renew replaces the older one at once."""
    lasting = replace(generation(1), csr_sha256=request_sha256(request_of(service(dane=()))))
    (changed,) = taken_back(branches(live(2, 1), 1, 2)).actions
    (same,) = taken_back(branches(live(2, 1), lasting, 2)).actions
    (other_ca,) = taken_back(branches(live(2, 1), replace(lasting, ca="le"), 2)).actions

    assert "this does not last: the inventory asks for another certificate than" in changed.why
    assert "this does not last: the inventory names another CA than" in other_ca.why
    assert "does not last" not in same.why


# What moves main is compared with the plan.


def strays(state: Branches, planned: dict[ServiceId, GenerationId] | None = None, *, merges: bool = False) -> list[str]:
    """Return what next would change on main and no roll can have decided; generation 3 is unfit."""
    unfit = {(SERVICE, gen(3)): "it names others"}
    return list(unplanned(PLAIN, state, planned or {}, unfit, NOW, merges=merges))


def test_next_does_not_take_main_back_without_a_person_who_wanted_it() -> None:
    """An older generation than main's is a rollback that somebody took, or none at all."""
    back = branches(slots(1), 1, 2, main=slots(2))
    wanted = branches(slots(1, refused=2), 1, 2, main=slots(2))

    assert [f"'{SERVICE}' would go from {gen(2)} back to {gen(1)}"] == strays(back)
    assert [] == strays(back, {SERVICE: gen(1)})
    assert [] == strays(wanted)


def test_a_pending_roll_is_judged_again_only_where_nobody_reviews_it() -> None:
    """A person sees what a request brings; where the engine merges by itself nobody does."""
    unfit = branches(slots(3), 2, 3, main=slots(2))

    assert [] == strays(branches(slots(2), 1, 2, main=slots(1)), merges=True)
    assert [] == strays(unfit)
    assert [f"'{SERVICE}' would get {gen(3)}: it names others"] == strays(unfit, merges=True)


def test_a_certificate_that_renew_would_not_have_stored_is_a_failure() -> None:
    """Forwards as well as back, with what is wrong with it."""
    unfit = {(SERVICE, gen(2)): "it names others"}
    gate = Gate(Ledger(), {}, Keys.of(READY), (), NOW)
    (wait,) = plan(PLAIN, READY, gate, NO_OPTIONS, unfit).waits
    (back,) = plan(PLAIN, branches(live(3, 2), 2, 3), gate, BACK, unfit).waits

    assert (True, True) == (wait.fatal, back.fatal)
    assert "is not one that renew would have stored: it names others" in wait.why
    assert "is not one that renew would have stored: it names others" in back.why


def test_what_was_revoked_is_never_rolled_and_its_replacement_does_not_wait() -> None:
    """Neither by force, nor as the rollback target; `min_roll_mins` does not count where what is live was revoked."""
    staged = branches(replace(slots(1, 2), revoked=(gen(2),)), 1, 2)
    live = branches(replace(slots(1, 2), revoked=(gen(1),)), 1, 2)
    former = branches(replace(slots(2), prev=gen(1), revoked=(gen(1),)), 1, 2)
    forced, back = RollOptions(force=True), RollOptions(frozenset({SERVICE}), back=True)

    assert ([], [f"{gen(2)} was revoked; sslops renew makes another one"]) == outcome(decided(staged, options=forced))
    assert (["ready"], []) == outcome(decided(live, now=after(3)))
    assert [f"{gen(1)} was revoked; sslops renew --force --new-key replaces what is live"] == outcome(
        decided(former, options=back)
    )[1]
