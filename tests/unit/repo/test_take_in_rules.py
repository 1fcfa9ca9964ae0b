"""How next takes in main, as a pure rule: for every history, whatever happened."""

from __future__ import annotations

from typing import TYPE_CHECKING

from hypothesis import given
from hypothesis import strategies as st

from sslops.model.state import ServiceState, Slots, State
from sslops.repo.take_in import CurrHistory, TakeIn, catch_up, differing, pinned, take_in
from tests.unit.repo.yard import MAIL, generation

if TYPE_CHECKING:
    from sslops.model.names import GenerationId

GENERATIONS = [generation(number) for number in range(1, 6)]
IDS = [made.id for made in GENERATIONS]
KNOWN = {made.id: made for made in GENERATIONS}
SLOT = st.none() | st.sampled_from(IDS)


def _state(slots: Slots, names: set[GenerationId] | None = None) -> State:
    held = KNOWN if names is None else {key: KNOWN[key] for key in sorted(names)}
    return State({MAIL: ServiceState(slots, held)})


@st.composite
def worlds(draw: st.DrawFn) -> tuple[State, State, CurrHistory]:
    """Draw what main and next say, and what was curr on main."""
    currs = draw(st.lists(st.sampled_from(IDS), min_size=1, max_size=6))
    main = Slots(curr=currs[-1], next=draw(SLOT), prev=draw(SLOT))
    following = Slots(curr=draw(SLOT), next=draw(SLOT), prev=draw(SLOT), refused=draw(SLOT))
    since = draw(st.integers(0, len(currs)))
    held = draw(st.sets(st.sampled_from(IDS)))
    return _state(main), _state(following, held), CurrHistory(tuple(currs), since)


def _taken(main: State, following: State, history: CurrHistory) -> TakeIn:
    return take_in(main, following, {MAIL: history} if MAIL in differing(main, following) else {})


@given(worlds())
def test_nothing_is_lost(world: tuple[State, State, CurrHistory]) -> None:
    """Next keeps every generation that it had."""
    main, following, history = world
    taken = _taken(main, following, history)

    assert set(following[MAIL].generations) <= set(taken.state[MAIL].generations)


@given(worlds())
def test_after_a_revert_next_serves_what_main_serves(world: tuple[State, State, CurrHistory]) -> None:
    """A slot either stays as it is but for a refusal that ended, or follows main and is in order."""
    main, following, history = world
    before, after = following[MAIL].slots, _taken(main, following, history).state[MAIL].slots
    went_back = main[MAIL].slots.curr != before.curr and bool(history.taken_back())

    if went_back:
        assert main[MAIL].slots.curr == after.curr
        assert after.curr not in (after.next, after.prev, after.refused)
        assert after.prev is None or after.prev != after.next
    else:
        assert (before.curr, before.next, before.prev) == (after.curr, after.next, after.prev)


@given(worlds())
def test_taking_in_twice_is_taking_in_once(world: tuple[State, State, CurrHistory]) -> None:
    """Once written down, nothing is left to do."""
    main, following, history = world
    once = _taken(main, following, history)
    seen = CurrHistory(history.currs, len(history.currs))

    assert () == _taken(main, once.state, seen).changed


@given(worlds())
def test_what_both_branches_have_is_never_refused(world: tuple[State, State, CurrHistory]) -> None:
    """Refused is what a person took back, until main has it again; main still has it while the rollback is proposed."""
    main, following, history = world
    slots = _taken(main, following, history).state[MAIL].slots

    assert slots.curr != main[MAIL].slots.curr or slots.refused is None or slots.refused != slots.curr


@given(st.lists(st.sampled_from(IDS), min_size=1, max_size=6, unique=True), st.integers(0, 6))
def test_a_line_of_rolls_takes_nothing_back(currs: list[GenerationId], since: int) -> None:
    """Only what was curr before can come back."""
    assert () == CurrHistory(tuple(currs), since).taken_back()


@given(worlds())
def test_what_main_has_issued_is_what_main_says(world: tuple[State, State, CurrHistory]) -> None:
    """Whoever may push to next changes no fact of it, and adds nothing that next does not have."""
    main, following, _ = world
    found = pinned(main, following)
    issued = {key: each for key, each in main[MAIL].generations.items() if each.issued is not None}

    assert following[MAIL].generations.keys() == found[MAIL].generations.keys()
    assert all(found[MAIL].generations[key] is issued[key] for key in issued.keys() & found[MAIL].generations.keys())
    assert following[MAIL].slots == found[MAIL].slots


@given(worlds())
def test_a_next_that_lacks_what_main_has_follows_main(world: tuple[State, State, CurrHistory]) -> None:
    """It went back, or main was written by a person: main's curr counts, and what is staged for later stays."""
    main, following, _ = world
    after = catch_up(main[MAIL], following[MAIL])

    assert main[MAIL].slots.curr == after.curr
    assert after.next in {main[MAIL].slots.next, following[MAIL].slots.next}
    assert after.next is None or after.next != after.prev or after == main[MAIL].slots
