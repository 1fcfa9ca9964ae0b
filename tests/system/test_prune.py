"""Old generations leave `state/`, and no other verb misses them: on a real repository with a remote, by an own CA."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

import pytest

from tests.system.launching import Launched
from tests.system.test_next_lies import Desk

if TYPE_CHECKING:
    from pathlib import Path


@pytest.fixture
def desk(tmp_path: Path) -> Desk:
    """Return a site whose service `a` has had four generations that were live."""
    desk = Desk(tmp_path)
    for _ in range(3):
        desk.renew("a")
        desk.run("roll", "--apply").succeeded()
    desk.run("deploy", "--apply").succeeded()
    return desk


def generations(desk: Desk, branch: str, service: str = "a") -> list[str]:
    """Return the generations of a service that a branch has, oldest first."""
    paths = desk.ops.git_remote("ls-tree", "-r", "--name-only", branch, f"state/example.com/{service}/").splitlines()
    return sorted({path.split("/")[3] for path in paths if path.count("/") == 4})


def test_what_nothing_needs_is_dropped_in_one_commit_and_nobody_misses_it(desk: Desk, tmp_path: Path) -> None:
    """Slots and `clean_keep` stay; main follows with the next roll; every check and the way back go on working.

    It compares and swaps: what another run stages while it sleeps is there afterwards.
    """
    had, former = generations(desk, "next"), desk.slot("prev")
    oldest = min(set(had) - {former, desk.slot("curr")})
    left = [each for each in had if each != oldest]
    early = desk.run("prune", "--apply").succeeded()
    plan = json.loads(desk.run("prune", "--keep", "1", "--json").succeeded().stdout)
    options = ["--stop-before", "*push*"]
    with Launched(desk.ops.clone(tmp_path / "second"), "prune", "--keep", "1", "--apply", options=options) as sleeper:
        sleeper.wait_until_held()
        staged = desk.renew("b")
        sleeper.wake()
        first = sleeper.finish().succeeded()
    again = desk.run("prune", "--keep", "1", "--apply").succeeded()
    commits = desk.ops.git_remote("log", "--format=%s", "main..next").splitlines()

    assert "nothing to do, nothing waits" in early.stdout  # clean_keep is 5
    assert [oldest] == [action["generation"] for action in plan["actions"]]
    assert oldest in first.stdout
    assert "nothing to do" in again.stdout
    assert ["prune: 1 old generation of 1 service"] == commits[:1]
    assert staged == desk.slot("next", "b", "next")
    assert (left, had) == (generations(desk, "next"), generations(desk, "main"))

    desk.run("roll", "example.com/a", "--back", "--apply").succeeded()
    desk.run("roll", "--apply").succeeded()

    assert (left, former) == (generations(desk, "main"), desk.slot("curr"))

    desk.ops.git("pull", "--quiet", "--ff-only")
    desk.run("check").succeeded()
    desk.run("audit").succeeded()
    desk.run("plan", "--fetch").succeeded()


def test_a_revert_to_what_was_dropped_on_next_only_brings_it_back(desk: Desk) -> None:
    """Main still has it until the next roll: a person who goes back there finds all of it."""
    had = generations(desk, "main")
    oldest = min(set(had) - {desk.slot("prev"), desk.slot("curr")})
    desk.run("prune", "--keep", "1", "--apply").succeeded()
    slots = desk.ops.show("main", "state/example.com/a/slots.yaml")
    lines = [f'curr: "{oldest}"' if line.startswith("curr:") else line for line in slots.splitlines()]
    desk.ops.edit({"state/example.com/a/slots.yaml": "\n".join([*lines, ""])}, "back to the first")
    desk.renew("b")
    desk.run("roll", "--apply").succeeded()

    assert oldest == desk.slot("curr") == desk.slot("curr", branch="next")
    assert oldest in generations(desk, "main")


def test_a_slot_that_names_what_is_gone_from_main_too_stops_every_verb(desk: Desk) -> None:
    """Nobody has its key any more, but history: nothing moves, and the message names the file."""
    oldest = min(set(generations(desk, "main")) - {desk.slot("prev"), desk.slot("curr")})
    desk.run("prune", "--keep", "1", "--apply").succeeded()
    desk.renew("a")
    desk.run("roll", "--apply").succeeded()
    slots = desk.ops.show("main", "state/example.com/a/slots.yaml")
    lines = [f'curr: "{oldest}"' if line.startswith("curr:") else line for line in slots.splitlines()]
    desk.ops.edit({"state/example.com/a/slots.yaml": "\n".join([*lines, ""])}, "back to the first")
    heads = [desk.ops.git_remote("rev-parse", branch) for branch in ("main", "next")]
    told = [desk.run(verb, "--apply") for verb in ("renew", "roll", "prune")]

    assert [1, 1, 1] == [each.exit_code for each in told]
    assert [True] * 3 == [oldest in each.stderr and "state/example.com/a" in each.stderr for each in told]
    assert heads == [desk.ops.git_remote("rev-parse", branch) for branch in ("main", "next")]
