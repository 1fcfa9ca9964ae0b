"""Merge requests in hostile hands and bad luck: what a person, a forge or a thief does between two runs."""

from __future__ import annotations

from subprocess import CalledProcessError
from typing import TYPE_CHECKING

import pytest

from sslops.model.inventory import MergePolicy
from sslops.model.proposal import Kind
from tests.propose.desk import INCLUDE, Desk
from tests.propose.test_publishing import the_open_one
from tests.state.yard import BOT
from tests.world import remotes

if TYPE_CHECKING:
    from collections.abc import Callable
    from datetime import datetime
    from pathlib import Path

BRANCH = Kind.TLSA.branch
SMUGGLED = "www.example.com. 60 IN A 192.0.2.66\n"


def amended(repository: Path, clone: Path, branch: str, path: str, text: str) -> str:
    """Let somebody who may push to the bot's branch put *text* at the end of *path* there, in the bot's name."""
    person = remotes.Person(repository, clone)
    remotes.git(clone, "checkout", "--quiet", branch)
    with (clone / path).open("a") as file:
        file.write(text)
    remotes.git(clone, "add", "--all")
    bot = ("-c", "user.name=sslops", "-c", f"user.email={BOT}")
    remotes.git(clone, *bot, "commit", "--quiet", "--amend", "--no-edit")
    remotes.git(clone, "push", "--quiet", "--force", "origin", f"HEAD:{branch}")
    return remotes.git(person.clone, "rev-parse", "HEAD")


def since(desk: Desk) -> list[datetime]:
    """Return since when each record of the ledger has its evidence."""
    entries = desk.yard.ops.refresh().ledger.apexes.values()
    return [found.since for entry in entries for found in entry.records.values()]


def test_a_line_that_is_no_record_is_not_merged_along_with_ours(start: Callable[..., Desk], tmp_path: Path) -> None:
    """What the branch brings is compared whole: a zone includes the file, and serves whatever stands in it."""
    desk = start()
    desk.publish()
    amended(desk.zones.path, tmp_path / "thief", BRANCH, INCLUDE, SMUGGLED)
    desk.policy = MergePolicy.AUTO
    desk.publish()

    assert "TLSA 3 1 1" in desk.base()
    assert SMUGGLED.strip() not in desk.base()


@pytest.mark.parametrize("dialect", ["gitlab", "github", "forgejo"])
def test_a_deleted_branch_cannot_come_back_with_an_old_plan(start: Callable[..., Desk], dialect: str) -> None:
    """A forge offers to restore it; once nothing is proposed any more, a commit of our own stands in its place."""
    desk = start(dialect)
    desk.publish()
    number, old = the_open_one(desk).number, desk.heads()[BRANCH]
    desk.zones.delete_branch(BRANCH)
    desk.zones.close(number)
    desk.publish()

    assert "" == remotes.git(desk.zones.path, "diff", "main", BRANCH)

    remotes.git(desk.person.clone, "fetch", "--quiet", "origin", f"refs/heads/{BRANCH}")
    remotes.git(desk.zones.path, "cat-file", "-e", old)
    with pytest.raises(CalledProcessError):
        remotes.git(desk.zones.path, "push", "--quiet", ".", f"{old}:refs/heads/{BRANCH}")
