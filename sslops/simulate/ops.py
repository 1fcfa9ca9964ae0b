"""The ops repository: the branches `main`, `next`, `ledger` and `sslops/roll`, what people do to them, and its port.

Each branch is known by the commit it is at, and a push says which it expects, as with git.
"""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, TypeVar

from sslops.errors import Moved
from sslops.model.ledger import Ledger
from sslops.model.state import Branches, ServiceState, State
from sslops.repo.snapshot import Snapshot, moves
from sslops.repo.take_in import CurrHistory, applied, differing, rolls, take_in

if TYPE_CHECKING:
    from collections.abc import Sequence

    from sslops.model.change import BulkChange, Change, Note
    from sslops.model.inventory import Inventory
    from sslops.model.names import GenerationId, ServiceId
    from sslops.model.state import Generation, Slots

Side = TypeVar("Side")


@dataclass(frozen=True, slots=True)
class RollBranch:
    """Where `sslops/roll` points: a commit of `next`, which left main when that was at *start*."""

    commit: str
    state: State
    start: State


@dataclass(slots=True)
class OpsRepository:
    """All branches. It is the port of `publish`, `roll` and `deploy` too, for each has just fetched it."""

    inventory: Inventory
    main: State = field(default_factory=State)
    next: State = field(default_factory=State)
    ledger: Ledger = field(default_factory=Ledger)
    has_forge: bool = False
    """Whether main moves by merge requests only."""
    roll: RollBranch | None = None
    past: dict[ServiceId, list[tuple[int, Slots]]] = field(default_factory=dict)
    """The slots of each service on main, oldest first, each with the number of the commit that brought them."""
    taken_in: int = 0
    """Which commit of main is in next."""
    main_moves: int = 0
    next_moves: int = 0
    ledger_moves: int = 0
    rolls_made: int = 0

    # Looking.

    def refresh(self) -> Snapshot:
        """Fetch."""
        histories = {
            service: CurrHistory(
                tuple(slots.curr for _, slots in line),
                next((place for place, (number, _) in enumerate(line) if number > self.taken_in), len(line)),
            )
            for service in differing(self.main, self.next)
            if (line := self.past.get(service))
        }
        taken = take_in(self.main, self.next, histories)
        return Snapshot(
            main_commit=f"m{self.main_moves}",
            next_commit=f"n{self.next_moves}",
            roll_commit=None if self.roll is None else self.roll.commit,
            ledger_commit=f"l{self.ledger_moves}",
            branches=Branches(self.main, taken.state),
            take_in=taken,
            ledger=self.ledger,
            proposed={} if self.roll is None else rolls(self.main, self.roll.state),
        )

    @property
    def branches(self) -> Branches:
        """Both branches, main taken into next."""
        return self.refresh().branches

    # Writing, each a compare-and-swap.

    def write_ledger(self, snapshot: Snapshot, ledger: Ledger, _note: Note | None = None) -> Snapshot:
        """Push *ledger*; Moved when another run was faster."""
        if ledger == snapshot.ledger:
            return snapshot
        _expect(snapshot.ledger_commit, f"l{self.ledger_moves}", "ledger")
        self.ledger_moves += 1
        self.ledger = ledger
        return replace(snapshot, ledger=ledger, ledger_commit=f"l{self.ledger_moves}")

    def write_next(self, snapshot: Snapshot, changes: Sequence[Change | BulkChange]) -> Snapshot:
        """Push *changes* to next, with main taken in; Moved when another run was faster."""
        if changes or snapshot.take_in.changed:
            _expect(snapshot.next_commit, f"n{self.next_moves}", "next")
            self._set_next(snapshot, changes)
        return self.refresh()

    def write_roll(self, snapshot: Snapshot, changes: Sequence[Change], *, is_declined: bool = False) -> Snapshot:
        """Push *changes* to next, and move the roll branch and main along; Moved when another run was faster."""
        moved = moves(snapshot, changes, has_forge=self.has_forge, is_declined=is_declined)
        if moved is None:
            return snapshot
        _expect(snapshot.next_commit, f"n{self.next_moves}", "next")
        if moved.proposes is not None:
            _expect(snapshot.roll_commit, None if self.roll is None else self.roll.commit, "sslops/roll")
        if moved.merges:
            _expect(snapshot.main_commit, f"m{self.main_moves}", "main")
        self._set_next(snapshot, changes)
        if moved.proposes is not None:
            self.rolls_made += 1
            tip = self.next if moved.proposes else snapshot.branches.main
            self.roll = RollBranch(f"r{self.rolls_made}", tip, snapshot.branches.main)
        if moved.merges:
            self.set_main(self.next)
            self.taken_in = self.main_moves
        return self.refresh()

    def _set_next(self, snapshot: Snapshot, changes: Sequence[Change | BulkChange]) -> None:
        self.next_moves += 1
        self.next = applied(snapshot.branches.next, changes)
        self.taken_in = int(snapshot.main_commit.removeprefix("m"))

    # What people do.

    def merge_roll(self) -> bool:
        """Merge what the roll branch brings; false when that is nothing, git finds a conflict, or `check` a fault."""
        if self.roll is None or not rolls(self.main, self.roll.state):
            return False
        merged = _merged(self.roll.start, self.main, self.roll.state)
        if merged is None or merged == self.main or not _is_sound(merged):
            return False
        self.set_main(merged)
        return True

    def set_main(self, state: State) -> None:
        """Move main, whoever does it."""
        self.main_moves += 1
        self.main = state
        for service, found in state.services.items():
            line = self.past.setdefault(service, [])
            if not line or line[-1][1] != found.slots:
                line.append((self.main_moves, found.slots))

    def revert(self, service: ServiceId, slots: Slots) -> None:
        """Put one service back on main to what it was there before, unless `check` refuses that."""
        reverted = State({**self.main.services, service: replace(self.main[service], slots=slots)})
        if _is_sound(reverted):
            self.set_main(reverted)

    def past_slots(self, service: ServiceId) -> list[Slots]:
        """Return the slots that a service had on main, oldest first."""
        return [slots for _, slots in self.past.get(service, [])]

    def lose_the_ledger(self) -> None:
        """Delete the branch `ledger`."""
        self.ledger = Ledger()
        self.ledger_moves += 1


def _is_sound(state: State) -> bool:
    """Whether `check`, the required status of a merge request, accepts it: every slot names what is there."""
    return all(
        slot is None or slot in entry.generations
        for entry in state.services.values()
        for slot in (entry.slots.curr, entry.slots.next, entry.slots.prev)
    )


def _expect(seen: str | None, found: str | None, branch: str) -> None:
    if seen != found:
        message = f"another run moved '{branch}'"
        raise Moved(message)


def _merged(start: State, ours: State, theirs: State) -> State | None:
    """Return what git makes of both sides, file by file; null where one conflicts."""
    services: dict[ServiceId, ServiceState] = {}
    for service in ours.services.keys() | theirs.services.keys():
        slots = _side(start[service].slots, ours[service].slots, theirs[service].slots)
        if slots is None:
            return None
        generations: dict[GenerationId, Generation] = {}
        for key in ours[service].generations.keys() | theirs[service].generations.keys():
            facts = _side(*(side[service].generations.get(key) for side in (start, ours, theirs)))
            if facts is not None:
                generations[key] = facts
        services[service] = ServiceState(slots, generations)
    return State(services)


def _side(start: Side, ours: Side, theirs: Side) -> Side | None:
    """Return the side that changed; null when both did, and differently."""
    if ours in (start, theirs):
        return theirs
    return ours if start == theirs else None
