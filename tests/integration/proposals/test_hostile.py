"""Merge requests in hostile hands and bad luck: what a person, a forge or a thief does between two runs."""

from __future__ import annotations

from dataclasses import replace
from subprocess import CalledProcessError
from typing import TYPE_CHECKING

import pytest

from sslops.errors import ForgeError
from sslops.model.inventory import Hold, MergePolicy
from sslops.model.proposal import Kind
from sslops.proposals.dns_repository import DnsRepository
from sslops.repo.snapshot import Looker
from tests.integration.proposals.desk import INCLUDE, Desk, waits
from tests.integration.proposals.test_publishing import the_open_one
from tests.rows import DIALECTS, rows
from tests.world import remotes
from tests.world.forge import Role
from tests.world.forge.requests import AutoMerge
from tests.world.thief import Thief

if TYPE_CHECKING:
    from collections.abc import Callable
    from datetime import datetime
    from pathlib import Path

BRANCH = Kind.TLSA.branch
SMUGGLED = "www.example.com. 60 IN A 192.0.2.66\n"


def since(desk: Desk) -> list[datetime]:
    """Return since when each record of the ledger has its evidence."""
    entries = desk.yard.ops.refresh().ledger.apexes.values()
    return [found.since for entry in entries for found in entry.records.values()]


@pytest.mark.parametrize("is_careless", [True, False])
def test_a_line_that_is_no_record_is_not_merged_along_with_ours(
    start: Callable[..., Desk], tmp_path: Path, monkeypatch: pytest.MonkeyPatch, *, is_careless: bool
) -> None:
    """What the branch brings is compared whole: a zone includes the file, and serves whatever stands in it."""
    desk = start()
    desk.publish()
    thief = Thief(desk.zones.path, tmp_path / "thief")
    thief.edit(INCLUDE, lambda text: f"{text}{SMUGGLED}", BRANCH)
    if is_careless:
        monkeypatch.setattr(DnsRepository, "brings", lambda *_: True)
    desk.policy = MergePolicy.AUTO
    desk.publish()

    assert "TLSA 3 1 1" in desk.base()
    assert is_careless == (SMUGGLED.strip() in desk.base())


@pytest.mark.parametrize("dialect", rows(DIALECTS, ("forgejo",)))
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


def test_a_record_that_was_away_on_a_line_hidden_by_a_pull_has_no_evidence(start: Callable[..., Desk]) -> None:
    """`git pull` and a push make what main was a second parent; a cache may have seen it all the same."""
    desk = start()
    desk.publish()
    desk.zones.merge(the_open_one(desk).number)
    desk.publish()
    begun = since(desk)
    text, other = desk.base(), remotes.Person(desk.zones.path, desk.folder / "second-person")
    remotes.git(desk.person.clone, "pull", "--quiet", "--ff-only", "origin", "main")
    (desk.person.clone / "other").write_text("mine\n")
    remotes.git(desk.person.clone, "commit", "--quiet", "--all", "-m", "mine")
    other.push({INCLUDE: ""}, "away")
    other.push({INCLUDE: f"{text}\n"}, "and back")
    remotes.git(desk.person.clone, "pull", "--quiet", "--no-rebase", "--no-edit", "origin", "main")
    remotes.git(desk.person.clone, "push", "--quiet", "origin", "HEAD:main")
    desk.clock.at = begun[0].replace(day=begun[0].day + 1)
    desk.publish()

    assert [True] == [found >= desk.clock.at for found in since(desk)]


@pytest.mark.parametrize("dialect", rows(DIALECTS, ("gitlab",)))
def test_what_a_person_is_to_merge_now_is_merged_by_no_forge_any_more(start: Callable[..., Desk], dialect: str) -> None:
    """The policy was `auto` when the forge was asked to merge as soon as it can."""
    desk = start(dialect)
    rules = desk.zones.protection()
    rules.required_checks = ("check",)
    desk.zones.pipeline(desk.heads()["main"], "success")
    desk.policy = MergePolicy.AUTO
    if dialect == "gitlab":
        desk.zones.watchers.append(
            lambda branch: desk.zones.pipeline(desk.heads()[branch], "pending") if branch == BRANCH else None
        )
    desk.publish()

    assert the_open_one(desk).auto_merge is not None

    desk.policy = MergePolicy.REVIEW
    plan = desk.publish()

    assert the_open_one(desk).auto_merge is None
    assert "waits for a person" in waits(plan)[0]

    writes = list(desk.zones.writes)
    desk.publish()

    assert writes == desk.zones.writes


@pytest.mark.parametrize("dialect", rows(DIALECTS, ("github",)))
def test_a_merge_that_a_person_asked_the_forge_for_stays_asked_for(start: Callable[..., Desk], dialect: str) -> None:
    """A person reviews, and lets the forge wait for the checks; that is no business of the bot's."""
    desk = start(dialect)
    desk.publish()
    request = the_open_one(desk)
    desk.zones.protection().required_approvals = 1
    desk.zones.schedule(request, AutoMerge(desk.forge.user("reviewer"), "merge", None, deletes_branch=False))
    writes = list(desk.zones.writes)
    desk.publish()

    assert the_open_one(desk).auto_merge is not None
    assert writes == desk.zones.writes


@pytest.mark.parametrize("is_careless", [True, False])
def test_a_roll_is_not_merged_with_what_somebody_put_beside_it(
    start: Callable[..., Desk], tmp_path: Path, monkeypatch: pytest.MonkeyPatch, *, is_careless: bool
) -> None:
    """Who may push to the bot's branch and not merge into main gets nothing merged by the bot."""
    desk = start()
    desk.publish()
    desk.zones.merge(the_open_one(desk).number)
    desk.renew(2)
    desk.publish()
    desk.zones.merge(the_open_one(desk).number)
    desk.publish()
    desk.clock.at = desk.clock.at.replace(day=desk.clock.at.day + 2)
    desk.roll()
    thief = Thief(desk.certs.path, tmp_path / "thief")
    thief.push({"inventory/known_hosts": "smtp1 ssh-ed25519 AAAA\n"}, Kind.ROLL.branch)
    if is_careless:
        monkeypatch.setattr(Looker, "_is_of_next", lambda *_: True)
        monkeypatch.setattr("sslops.repo.store.refuse_foreign", lambda *_: None)
    desk.policy = MergePolicy.AUTO
    desk.roll()

    merged = remotes.git(desk.certs.path, "ls-tree", "-r", "--name-only", "main")
    assert is_careless == ("inventory/known_hosts" in merged)


@pytest.mark.parametrize(("dialect", "mark"), [("gitlab", "Draft: "), ("forgejo", "WIP: ")])
def test_a_person_who_marks_a_request_as_a_draft_is_heard(start: Callable[..., Desk], dialect: str, mark: str) -> None:
    """The mark stands in the title there; the bot neither takes it away nor merges."""
    desk = start(dialect)
    desk.publish()
    request = the_open_one(desk)
    request.title = f"{mark}{request.title}"
    writes = list(desk.zones.writes)
    desk.policy = MergePolicy.AUTO
    plan = desk.publish()

    assert the_open_one(desk).title.startswith(mark)
    assert "draft" in waits(plan)[0]
    assert writes == desk.zones.writes


def test_what_is_open_for_a_group_that_is_frozen_is_taken_back(start: Callable[..., Desk]) -> None:
    """Nobody looks at its DNS any more, so nobody would notice what a merge does there."""
    desk = start()
    desk.publish()
    number = the_open_one(desk).number
    desk.groups = {name: replace(group, active=False) for name, group in desk.groups.items()}
    desk.publish()

    assert not desk.zones.request(number).is_open
    assert "" == remotes.git(desk.zones.path, "diff", "main", BRANCH)


def test_a_name_server_that_cannot_be_found_for_a_while_takes_no_request_back(start: Callable[..., Desk]) -> None:
    """The person who is about to merge it finds it as it was, and the wait says what is the matter."""
    desk = start()
    desk.publish()
    writes, heads = list(desk.zones.writes), desk.heads()
    desk.dns_is_down = True
    plan = desk.publish()

    assert (writes, heads) == (desk.zones.writes, desk.heads())
    assert ["its DNS could not be observed: nobody tells the name servers"] == waits(plan)


def test_a_hold_takes_the_request_back_and_declines_nothing(start: Callable[..., Desk]) -> None:
    """When it is over the same is asked for again."""
    desk = start()
    desk.publish()
    number = the_open_one(desk).number
    desk.hold = Hold(None, "not on a Friday")
    plan = desk.publish()

    assert ["held: not on a Friday"] == waits(plan)
    assert not desk.zones.request(number).is_open

    desk.hold = None
    desk.publish()

    assert number + 1 == the_open_one(desk).number


@pytest.mark.parametrize("dialect", rows(DIALECTS, ("forgejo", "github")))
def test_no_old_schedule_merges_a_plan_that_nobody_reviewed(start: Callable[..., Desk], dialect: str) -> None:
    """The check of the new commit is green the moment it is pushed; a schedule of before would merge it at once."""
    desk = start(dialect)
    desk.policy = MergePolicy.AUTO
    desk.zones.protection().required_checks = ("sslops",)
    watch_green(desk, "pending")
    desk.publish()
    assert desk.zones.request(the_open_one(desk).number).auto_merge is not None
    desk.policy = MergePolicy.REVIEW
    desk.renew(2)
    watch_green(desk, "success")
    plan = desk.publish()

    assert not desk.base()
    assert 2 == remotes.git(desk.zones.path, "show", f"{BRANCH}:{INCLUDE}").count("TLSA")
    assert "waits for a person to merge it" in waits(plan)[0]


def watch_green(desk: Desk, status: str) -> None:
    """Let the check of whatever is pushed to the bot's branch stand at *status* in the same moment."""
    project = desk.zones

    def report(branch: str) -> None:
        head = project.repository.head(branch)
        if branch == BRANCH and head is not None:
            project.pipeline(head, status, "sslops")

    project.watchers[:] = [report]


@pytest.mark.parametrize("dialect", ["forgejo", "gitea"])
def test_nothing_is_pushed_while_a_schedule_cannot_be_taken_back(start: Callable[..., Desk], dialect: str) -> None:
    """A person asked the forge to merge, and the bot is no administrator: it stops, and says so."""
    desk = start(dialect)
    desk.publish()
    number, heads = the_open_one(desk).number, desk.heads()
    request = desk.zones.request(number)
    desk.zones.protection().required_checks = ("sslops",)
    desk.zones.schedule(request, AutoMerge(desk.forge.user("reviewer"), "merge", None, deletes_branch=False))
    desk.secret = desk.forge.token("sslops", role=Role.DEVELOPER)
    desk.renew(2)
    with pytest.raises(ForgeError, match="may not take back the merge of request"):
        desk.publish()

    assert heads == desk.heads()
