"""How next takes in main, on real git: every way to merge, and every way back."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

import pytest

from sslops.model.ledger import Ledger
from sslops.model.state import Slots, Status
from tests.unit.repo.yard import (
    MAIL,
    WEB,
    Yard,
    generation,
    merge,
    open_ops,
    renewed,
    revert,
    rolled,
    yard_alone,
    yard_with_remote,
)
from tests.world.remotes import git

if TYPE_CHECKING:
    from pathlib import Path

WAYS = ["merge", "squash", "rebase", "forward"]


@pytest.fixture
def yard(tmp_path: Path) -> Yard:
    """Return a repository on a forge: people merge."""
    return yard_with_remote(tmp_path)


@pytest.mark.parametrize("way", WAYS)
def test_every_way_to_merge_a_roll_comes_out_the_same(yard: Yard, way: str) -> None:
    """After two merged rolls next and main have the same slots, nothing is refused, and nothing needs a commit."""
    first, second = yard.roll_and_merge(1, way), yard.roll_and_merge(2, way)

    snapshot = yard.ops.refresh()
    slots = snapshot.branches.next[MAIL].slots

    assert (second, None, first, None) == (slots.curr, slots.next, slots.prev, slots.refused)
    assert slots == snapshot.branches.main[MAIL].slots
    assert () == snapshot.take_in.changed


@pytest.mark.parametrize("way", WAYS)
def test_a_reverted_roll_is_followed_and_refused(yard: Yard, way: str) -> None:
    """Curr and prev follow main, the generation taken back is staged again and refused, and nothing is lost."""
    first = yard.roll_and_merge(1, way)
    second = yard.roll_and_merge(2, way)
    revert(yard.someone.clone, _roll_commit(yard, way))

    snapshot = yard.ops.refresh()
    slots = snapshot.branches.next[MAIL].slots

    assert (first, second, None, second) == (slots.curr, slots.next, slots.prev, slots.refused)
    assert {first, second} == set(snapshot.branches.next[MAIL].generations)
    assert (MAIL,) == snapshot.take_in.changed


@pytest.mark.parametrize("way", WAYS)
def test_the_revert_of_a_revert_brings_the_generation_back(yard: Yard, way: str) -> None:
    """Main has it again, so it is curr and refused no more; what was taken in between does not matter."""
    first, second = yard.roll_and_merge(1, way), yard.roll_and_merge(2, way)
    revert(yard.someone.clone, _roll_commit(yard, way))
    yard.ops.write_next(yard.ops.refresh())
    revert(yard.someone.clone)

    slots = yard.slots()

    assert (second, None, first, None) == (slots.curr, slots.next, slots.prev, slots.refused)


def test_a_revert_and_its_revert_between_two_looks_change_nothing(yard: Yard) -> None:
    """Next saw neither, and main is where it was."""
    yard.roll_and_merge(1, "squash")
    second = yard.roll_and_merge(2, "squash")
    revert(yard.someone.clone)
    revert(yard.someone.clone)

    snapshot = yard.ops.refresh()

    assert second == snapshot.branches.next[MAIL].slots.curr
    assert () == snapshot.take_in.changed


def test_a_forced_roll_after_a_revert_is_not_taken_for_a_revert(yard: Yard) -> None:
    """Main gets the generation again by an ordinary merge, although it was curr there before."""
    first, second = yard.roll_and_merge(1, "squash"), yard.roll_and_merge(2, "squash")
    revert(yard.someone.clone)
    snapshot = yard.ops.write_next(yard.ops.refresh())
    again = rolled(snapshot)
    yard.ops.write_roll(snapshot, [replace(again, slots=replace(again.slots, refused=None))])
    merge(yard.someone.clone, "squash")

    slots = yard.slots()

    assert (second, None, first, None) == (slots.curr, slots.next, slots.prev, slots.refused)


def test_two_rolls_taken_back_at_once_leave_the_newest_refused(yard: Yard) -> None:
    """The one that would be rolled next is the one that is refused."""
    first = yard.roll_and_merge(1, "squash")
    yard.roll_and_merge(2, "squash")
    third = yard.roll_and_merge(3, "squash")
    revert(yard.someone.clone)
    revert(yard.someone.clone, "HEAD~2")

    slots = yard.slots()

    assert (first, third, third) == (slots.curr, slots.next, slots.refused)


def test_a_standing_key_stays_on_deck_after_a_revert(yard: Yard) -> None:
    """What next has in its slot stays; the generation taken back is refused and kept, in no slot."""
    first, second = yard.roll_and_merge(1, "squash"), yard.roll_and_merge(2, "squash")
    standing = generation(3, status=Status.KEYED)
    snapshot = yard.ops.refresh()
    yard.ops.write_next(snapshot, [renewed(snapshot, standing)])
    renew_at_on_main = yard.slots("main").renew_at
    revert(yard.someone.clone)

    snapshot = yard.ops.refresh()
    slots = snapshot.branches.next[MAIL].slots

    assert (first, standing.id, second) == (slots.curr, slots.next, slots.refused)
    assert second in snapshot.branches.next[MAIL].generations
    assert renew_at_on_main != slots.renew_at == snapshot.branches.main[MAIL].slots.renew_at


def test_a_roll_that_waits_for_review_goes_back_on_deck_when_main_is_reverted(yard: Yard) -> None:
    """A generation that main never had was not taken back: it is staged, and only the other one is refused."""
    first, second = yard.roll_and_merge(1, "squash"), yard.roll_and_merge(2, "squash")
    third = yard.roll_to(3)
    revert(yard.someone.clone)

    slots = yard.slots()

    assert (first, third, second) == (slots.curr, slots.next, slots.refused)


def test_other_services_are_left_alone_by_a_revert(yard: Yard) -> None:
    """Only the slot that went back on main follows."""
    yard.roll_and_merge(1, "squash", WEB)
    yard.roll_and_merge(2, "squash")
    yard.roll_and_merge(3, "squash")
    before = yard.slots(service=WEB)
    revert(yard.someone.clone)

    assert before == yard.slots(service=WEB)
    assert (MAIL,) == yard.ops.refresh().take_in.changed


def test_an_unmerged_roll_is_not_a_revert(yard: Yard) -> None:
    """Main differs from next, and main's people work on: next stays as it is."""
    yard.roll_and_merge(1, "squash")
    second = yard.roll_to(2)
    yard.someone.push({"inventory/sslops.yaml": "globals: {clean_keep: 3}\n"}, "keep three")

    snapshot = yard.ops.refresh()

    assert second == snapshot.branches.next[MAIL].slots.curr
    assert () == snapshot.take_in.changed


@pytest.mark.parametrize("way", WAYS)
def test_what_is_outside_state_comes_from_main_and_state_stays(yard: Yard, way: str) -> None:
    """The take-in commit is a merge whose tree is computed: a conflict in the text does not matter."""
    yard.roll_and_merge(1, way)
    yard.someone.push({"inventory/sslops.yaml": "globals: {clean_keep: 3}\n", ".sops.yaml": None}, "edit")
    snapshot = yard.ops.refresh()
    made = generation(2)
    snapshot = yard.ops.write_next(snapshot, [renewed(snapshot, made)])

    assert snapshot.next_commit is not None
    assert b"globals: {clean_keep: 3}\n" == yard.ops.read(snapshot.next_commit, "inventory/sslops.yaml")
    assert yard.ops.read(snapshot.next_commit, ".sops.yaml") is None
    assert made.id == snapshot.branches.next[MAIL].slots.next
    assert yard.ops.git.is_ancestor(snapshot.main_commit, snapshot.next_commit)


def test_taking_main_in_is_virtual_until_something_is_written(yard: Yard) -> None:
    """Ten runs with nothing due leave every branch where it is, however main moves."""
    yard.roll_and_merge(1, "squash")
    yard.someone.push({"inventory/sslops.yaml": "globals: {clean_keep: 3}\n"}, "edit")
    before = yard.heads()
    for _ in range(10):
        snapshot = yard.ops.refresh()
        snapshot = yard.ops.write_next(snapshot)
        snapshot = yard.ops.write_roll(snapshot)

    assert before == yard.heads()


def test_a_revert_is_written_down_once(yard: Yard) -> None:
    """The take-in that changes state is committed by itself, and then there is nothing more to do."""
    yard.roll_and_merge(1, "squash")
    yard.roll_and_merge(2, "squash")
    revert(yard.someone.clone)
    snapshot = yard.ops.write_next(yard.ops.refresh())
    after = yard.heads()
    yard.ops.write_next(yard.ops.refresh())

    assert () == snapshot.take_in.changed
    assert after == yard.heads()
    assert snapshot.next_commit is not None
    assert "merge(main): take in " in yard.ops.git.log(snapshot.next_commit, limit=1)[0].subject


def test_a_generation_that_only_main_still_has_comes_back(yard: Yard) -> None:
    """Next had dropped the old generation; after the revert its slot names it, so it has its files again."""
    first = yard.roll_and_merge(1, "squash")
    yard.roll_and_merge(2, "squash")
    snapshot = yard.ops.refresh()
    assert snapshot.next_commit is not None
    yard.someone.push({"note": "x"}, "y", "unused")
    _drop_on_next(yard, f"state/{MAIL}/{first}")
    revert(yard.someone.clone)

    snapshot = yard.ops.write_next(yard.ops.refresh())

    assert first in snapshot.branches.next[MAIL].generations
    assert b"cert\n" == yard.ops.documents(snapshot, [(MAIL, first)])[MAIL, first].cert


def test_a_revert_without_a_remote_is_followed_too(tmp_path: Path) -> None:
    """Main was fast-forwarded by the engine, and a person reverts in the same clone."""
    yard = yard_alone(tmp_path)
    first, second = yard.roll_to(1), yard.roll_to(2)
    git(yard.clone, "revert", "--no-edit", "HEAD")

    yard.ops.require_clean()
    slots = yard.ops.write_next(yard.ops.refresh()).branches.next[MAIL].slots

    assert (first, second, second) == (slots.curr, slots.next, slots.refused)


def test_a_deleted_next_starts_again_from_main(yard: Yard) -> None:
    """State is what main has; what was only staged is gone with the branch."""
    first = yard.roll_and_merge(1, "squash")
    yard.roll_to(2)
    git(yard.someone.clone, "push", "--quiet", "origin", ":next")
    snapshot = yard.ops.refresh()
    assert snapshot.next_commit is None
    snapshot = yard.ops.write_next(snapshot, [renewed(snapshot, generation(3))])

    slots = snapshot.branches.next[MAIL].slots
    assert (first, generation(3).id) == (slots.curr, slots.next)


def test_a_fresh_repository_has_empty_slots(tmp_path: Path) -> None:
    """No next, no ledger, no state: everything is unknown, and looking writes nothing."""
    yard = yard_alone(tmp_path)
    snapshot = open_ops(yard.clone).snapshot()

    assert Slots() == snapshot.branches.next[MAIL].slots
    assert (None, Ledger()) == (snapshot.ledger_commit, snapshot.ledger)
    assert {"main"} == set(yard.heads())


def _roll_commit(yard: Yard, way: str) -> str:
    """Return the commit on main that a person would revert: the merge, or the commit of the roll."""
    return "HEAD" if way in {"merge", "squash"} else git(yard.someone.clone, "rev-parse", "main")


def _drop_on_next(yard: Yard, folder: str) -> None:
    """Remove *folder* on next, as a prune of the engine does."""
    from sslops.repo.git import NewCommit, RefUpdate

    snapshot = yard.ops.refresh()
    commit = yard.ops.git.commit_all(
        snapshot.next_commit, [NewCommit("prune\n\nSslops-Action: prune\n", {folder: None})]
    )
    yard.ops.git.push([RefUpdate("next", commit, snapshot.next_commit)])


def test_a_revert_that_is_taken_in_names_every_service_it_changes(yard: Yard) -> None:
    """`git log --grep 'Sslops-Service: ...'` is the life of a certificate; a take-in that moves curr is in it."""
    for number in (1, 2):
        yard.roll_to(number)
        yard.roll_and_merge(number, "squash", WEB)
    revert(yard.someone.clone)
    snapshot = yard.ops.write_next(yard.ops.refresh())
    commit = yard.ops.git.log(snapshot.next_commit or "", limit=1)[0]

    assert [str(MAIL), str(WEB)] == [value for key, value in commit.trailers if key == "Sslops-Service"]
