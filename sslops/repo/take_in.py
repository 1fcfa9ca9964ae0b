"""How `next` takes in what happened on `main`, and which rolls a branch holds.

The roll branch moves only when this set changes, so that an approval stays an approval.
"""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING

from sslops.model.change import BulkChange
from sslops.model.state import ServiceState, State

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from sslops.model.change import Change
    from sslops.model.names import GenerationId, ServiceId
    from sslops.model.state import Slots


def rolls(main: State, other: State) -> Mapping[ServiceId, GenerationId]:
    """Return the services that *other* makes serve something else than *main*, and what."""
    return {
        service: state.slots.curr
        for service, state in other.services.items()
        if state.slots.curr is not None and state.slots.curr != main[service].slots.curr
    }


def applied(state: State, changes: Sequence[Change | BulkChange]) -> State:
    """Return *state* with *changes* made."""
    services = dict(state.services)
    for change in changes:
        if isinstance(change, BulkChange):
            services |= {service: _without(services[service], ids) for service, ids in change.dropped.items()}
            continue
        before = state[change.service] if change.service not in services else services[change.service]
        written = {files.generation.id: files.generation for files in change.put}
        services[change.service] = replace(before, slots=change.slots, generations={**before.generations, **written})
    return State(services)


def _without(state: ServiceState, dropped: Sequence[GenerationId]) -> ServiceState:
    return replace(state, generations={key: each for key, each in state.generations.items() if key not in dropped})


@dataclass(frozen=True, slots=True)
class CurrHistory:
    """What was `curr` of one service on main, oldest first; entries from *since* on are not yet in next."""

    currs: tuple[GenerationId | None, ...]
    since: int
    is_ahead: bool = False
    """Whether what is `curr` on main now never was `curr` on next: next went back, or somebody else wrote on main."""

    def taken_back(self) -> tuple[GenerationId, ...]:
        """Return what stopped being curr in favour of one that had been curr before, oldest first."""
        steps = range(max(self.since, 1), len(self.currs))
        return tuple(
            old
            for old, new, step in ((self.currs[step - 1], self.currs[step], step) for step in steps)
            if old is not None and new is not None and new != old and new in self.currs[:step]
        )


def pinned(main: State, following: State) -> State:
    """Return *following* with every generation that is issued on main as main has it.

    What is issued never changes, and `main` is the only authority: whoever may push to `next` changes no fact by it.
    """
    services = dict(following.services)
    for service, state in main.services.items():
        there = following[service].generations
        issued = {key: each for key, each in state.generations.items() if each.issued is not None}
        other = {key: each for key, each in issued.items() if key in there and there[key] is not each}
        if other:
            services[service] = replace(following[service], generations={**there, **other})
    return State(services)


@dataclass(frozen=True, slots=True)
class TakeIn:
    """The state of next with main taken in: *changed* are the services whose slots differ from what next has written.

    *restored* are generations that next had no more, or never had, and gets from main.
    """

    state: State
    changed: tuple[ServiceId, ...] = ()
    restored: Mapping[ServiceId, tuple[GenerationId, ...]] = field(default_factory=dict)


def differing(main: State, following: State) -> tuple[ServiceId, ...]:
    """Return the services whose curr on main is another one than on next: only those can have been reverted."""
    return tuple(
        service
        for service, state in sorted(main.services.items())
        if state.slots.curr is not None and state.slots.curr != following[service].slots.curr
    )


def take_in(main: State, following: State, histories: Mapping[ServiceId, CurrHistory]) -> TakeIn:
    """Return what next becomes; *histories* has an entry for each service of `differing`."""
    services = dict(following.services)
    restored: dict[ServiceId, tuple[GenerationId, ...]] = {}
    for service, history in histories.items():
        taken_back = history.taken_back()
        if taken_back:
            slots = follow(main[service], following[service], taken_back)
        elif history.is_ahead:
            slots = catch_up(main[service], following[service])
        else:
            continue
        services[service], restored[service] = _complete(main[service], following[service], slots)
    for service, state in services.items():
        # While `roll --back` is proposed main still has what next refuses, and next goes another way.
        if state.slots.refused is not None and state.slots.refused == main[service].slots.curr == state.slots.curr:
            services[service] = replace(state, slots=replace(state.slots, refused=None))
    changed = tuple(key for key, state in sorted(services.items()) if state.slots != following[key].slots)
    return TakeIn(State(services), changed, {key: ids for key, ids in restored.items() if ids})


def follow(main: ServiceState, following: ServiceState, taken_back: tuple[GenerationId, ...]) -> Slots:
    """Return the slots of one service after main went back (see the module's text)."""
    ours, theirs = following.slots, main.slots
    staged = ours.next if ours.next is not None else ours.curr
    again = theirs.curr == ours.refused
    if staged == theirs.curr or (again and staged in taken_back):
        staged = None
    refused = None if again else staged if staged in taken_back else taken_back[-1]
    newest = following.at(staged)
    return replace(
        ours,
        curr=theirs.curr,
        next=staged,
        prev=None if theirs.prev in (theirs.curr, staged) else theirs.prev,
        rolled_at=theirs.rolled_at,
        renew_at=ours.renew_at if newest is not None and newest.issued is not None else theirs.renew_at,
        refused=refused,
    )


def catch_up(main: ServiceState, following: ServiceState) -> Slots:
    """Return the slots of one service of which next lacks what main has: main's, and what is staged for later."""
    ours, theirs = following.slots, main.slots
    revoked = tuple(dict.fromkeys((*ours.revoked, *theirs.revoked)))
    is_later = ours.next is not None and theirs.curr is not None and ours.next > theirs.curr
    if not is_later or ours.next == theirs.next:
        return replace(theirs, revoked=revoked)
    prev = None if theirs.prev == ours.next else theirs.prev
    return replace(
        ours, curr=theirs.curr, prev=prev, rolled_at=theirs.rolled_at, refused=theirs.refused, revoked=revoked
    )


def _complete(
    main: ServiceState, following: ServiceState, slots: Slots
) -> tuple[ServiceState, tuple[GenerationId, ...]]:
    """Give next back what its slots now name and only main still has; forget a `prev` that nobody has."""
    if slots.prev is not None and slots.prev not in {**main.generations, **following.generations}:
        slots = replace(slots, prev=None)
    named = [slot for slot in (slots.curr, slots.next, slots.prev) if slot is not None]
    lacking = tuple(slot for slot in named if slot not in following.generations and slot in main.generations)
    generations = {**following.generations, **{slot: main.generations[slot] for slot in lacking}}
    return ServiceState(slots, generations), lacking
