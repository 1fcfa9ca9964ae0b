"""Branches of the engine that go back: what a clone without memory learns from the others, and what is no fault.

That a run which does not ask goes on with what it finds is shown first, each time.
"""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

import pytest

from sslops.model.change import Note
from sslops.model.ledger import HostEntry, Ledger
from tests.unit.repo.yard import MAIL, WEB, generation, merge, open_ops, renewed, yard_alone, yard_with_remote
from tests.world.remotes import git

if TYPE_CHECKING:
    from pathlib import Path

    from sslops.repo.store import OpsRepo
    from tests.unit.repo.yard import Yard

NOTE = Note("deploy", "smtp1", "The host was asked.")


@pytest.fixture
def yard(tmp_path: Path) -> Yard:
    """Return a repository on a forge with a live service; every clone in it is a fresh one but the engine's."""
    yard = yard_with_remote(tmp_path)
    yard.roll_and_merge(1, "merge")
    return yard


def stage(yard: Yard, number: int) -> str:
    """Stage generation *number*, and return where next is then."""
    snapshot = yard.ops.refresh()
    return yard.ops.write_next(snapshot, [renewed(snapshot, generation(number))]).next_commit or ""


def observe(yard: Yard, seq: int) -> str:
    """Write the ledger, and return where it is then."""
    return yard.ops.write_ledger(yard.ops.refresh(), Ledger(hosts={"smtp1": HostEntry(seq)}), NOTE).ledger_commit or ""


def push_back(yard: Yard, branch: str, commit: str | None) -> None:
    """Let *branch* of the remote be at *commit* (null: gone), as whoever may push there can."""
    words = ["update-ref", f"refs/heads/{branch}", commit] if commit else ["update-ref", "-d", f"refs/heads/{branch}"]
    git(yard.remote or yard.clone, *words)


def fresh(yard: Yard, tmp_path: Path) -> OpsRepo:
    """Return what a job of a forge has: a clone of its own, without memory and without what no branch holds."""
    clone = tmp_path / "job"
    git(tmp_path, "clone", "--quiet", f"file://{yard.remote}", str(clone))
    return open_ops(clone, "gitlab")


def missed(ops: OpsRepo) -> list[str]:
    """Return what is said to have gone back."""
    return [fault.what for fault in ops.went_back(ops.refresh())]


def test_a_ledger_that_names_a_younger_next_tells_that_it_went_back(yard: Yard, tmp_path: Path) -> None:
    """The commit that is expected is named, by the commit that names it; a run that does not ask rolls the old one."""
    old = stage(yard, 2)
    new = stage(yard, 3)
    observe(yard, 1)
    push_back(yard, "next", old)
    job = fresh(yard, tmp_path)

    assert generation(2).id == job.refresh().branches.next[MAIL].slots.next

    (said,) = missed(job)

    assert "'next' went back: commit " in said
    assert "on 'ledger' names its commit " in said
    assert new[:10] in said
    push_back(yard, "next", new)
    assert [] == missed(job)


def test_a_next_that_names_a_younger_ledger_tells_that_it_went_back(yard: Yard, tmp_path: Path) -> None:
    """What a host was seen to serve would be forgotten."""
    old = observe(yard, 1)
    new = observe(yard, 2)
    stage(yard, 2)
    push_back(yard, "ledger", old)
    job = fresh(yard, tmp_path)
    # Whether a ledger that lacks a commit is another one is told by dates, and these are all of one second.
    in_memory = yard.ops.went_back(yard.ops.refresh())

    assert HostEntry(1) == job.refresh().ledger.hosts["smtp1"]
    assert [True] == [new[:10] in fault.what for fault in in_memory]
    assert "--delete ledger" in (in_memory[0].hint or "")


def test_a_roll_branch_that_goes_back_is_told(yard: Yard) -> None:
    """People would merge what was proposed before."""
    yard.roll_to(2)
    old = yard.heads()["sslops/roll"]
    yard.roll_to(3)
    push_back(yard, "sslops/roll", old)

    assert [True] == [f"'sslops/roll' (at {old[:10]})" in said for said in missed(yard.ops)]


@pytest.mark.parametrize("way", ["merge", "squash", "rebase", "forward"])
def test_what_people_merge_lets_nothing_go_back(yard: Yard, tmp_path: Path, way: str) -> None:
    """In one way next begins anew on main, and says in the place of what; another clone saw what it was before."""
    yard.roll_to(2)
    observe(yard, 1)
    other = fresh(yard, tmp_path)
    other.remember_heads(other.refresh())
    merge(yard.someone.clone, way)
    stage(yard, 3)

    assert ([], []) == (missed(yard.ops), missed(other))
    observe(yard, 2)
    assert ([], []) == (missed(yard.ops), missed(other))


def test_a_branch_that_was_deleted_did_not_go_back(yard: Yard, tmp_path: Path) -> None:
    """It is the way on where nobody has the commit any more: it begins anew, and says so."""
    stage(yard, 2)
    observe(yard, 1)
    stage(yard, 3)
    job = fresh(yard, tmp_path)
    push_back(yard, "next", None)
    assert [] == missed(job)
    snapshot = job.refresh()
    job.write_next(snapshot, [renewed(snapshot, generation(4))])

    assert ([], []) == (missed(yard.ops), missed(job))
    push_back(yard, "ledger", None)
    assert [] == missed(job)
    observe(yard, 5)
    stage(yard, 6)
    assert ([], []) == (missed(yard.ops), missed(job))


def test_a_run_that_was_slow_is_no_fault(yard: Yard) -> None:
    """It names what it saw, which another run has moved on from by now."""
    seen = yard.ops.refresh()
    stage(yard, 2)
    yard.ops.write_ledger(seen, Ledger(hosts={"smtp1": HostEntry(1)}), NOTE)
    following = yard.ops.refresh()
    observe(yard, 2)
    yard.ops.write_next(replace(following), [renewed(following, generation(3, service=WEB), WEB)])

    assert [] == missed(yard.ops)


def test_without_a_remote_nobody_else_moves_a_branch(tmp_path: Path) -> None:
    """Who has only this clone may do with it what he likes."""
    yard = yard_alone(tmp_path)
    old = stage(yard, 1)
    stage(yard, 2)
    git(yard.clone, "update-ref", "refs/heads/next", old)

    assert [] == missed(yard.ops)
