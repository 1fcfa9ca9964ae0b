"""What happened to the include files is read once, for all zones, and is what git tells of each path by itself."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from sslops.proposals.dns_repository import DnsRepository
from sslops.repo.git import Git, NewCommit
from sslops.repo.git_process import GitProcess
from tests.world.remotes import git

if TYPE_CHECKING:
    from pathlib import Path

FOLDERS = ("a", "b/c")


@pytest.fixture
def repository(tmp_path: Path) -> Git:
    """Return a repository whose base went through edits, two merges and commits about nothing."""
    folder = tmp_path / "dns"
    folder.mkdir()
    git(folder, "init", "--quiet", "--initial-branch=main")
    found = Git.discover(folder)

    def commit(parents: list[str], **files: str | None) -> str:
        edits = {path.replace("__", "/"): None if text is None else text.encode() for path, text in files.items()}
        return found.commit_all(parents[0] if parents else None, [NewCommit("x\n", edits, parents=tuple(parents))])

    root = commit([], readme="1")
    first = commit([root], a__tlsa="1", b__c__tlsa="1")
    side = commit([first], a__tlsa="2", readme="2")
    second_side = commit([side], a__other="1")
    unrelated = commit([first], readme="3")
    merged = commit([unrelated, second_side], a__tlsa="2", a__other="1", readme="3")
    gone = commit([merged], b__c__tlsa=None)
    pulled = commit([side, gone], a__tlsa="2", a__other="1", readme="4", b__c__tlsa=None)
    tip = commit([pulled], a__tlsa="5")
    git(folder, "update-ref", "refs/heads/main", tip)
    return found


@pytest.mark.parametrize("path", ["a/tlsa", "a/other", "b/c/tlsa"])
def test_each_path_has_what_git_tells_of_it_alone(repository: Git, path: str) -> None:
    """Changes of the line, a merge being one, and those beside it, older ones first."""
    tip = repository.branch("main") or ""
    history = repository.line_history(tip, FOLDERS)
    line = repository.first_parents(tip)[::-1]
    touching = git(repository.path, "rev-list", "--topo-order", "--reverse", "--full-history", tip, "--", path).split()

    assert line == list(history.times)
    assert repository.first_parents(tip, paths=[path])[::-1] == list(history.own.get(path, ()))
    assert [one for one in touching if one not in line] == [one for _, one, _ in history.beside.get(path, ())]


def test_each_commit_beside_comes_with_the_first_merge_that_brought_it(repository: Git) -> None:
    """From then on it was part of the base."""
    tip = repository.branch("main") or ""
    history = repository.line_history(tip, FOLDERS)

    for found in history.beside.values():
        for _, one, merge in found:
            before = repository.first_parents(merge)[1]
            assert repository.is_ancestor(one, merge)
            assert not repository.is_ancestor(one, before)


def test_history_is_read_as_often_for_many_zones_as_for_one(repository: Git, monkeypatch: pytest.MonkeyPatch) -> None:
    """Whatever else lies in the repository is passed once."""
    asked: list[str] = []
    run = GitProcess._run

    def counted(self: GitProcess, arguments: list[str], *rest: object) -> object:
        asked.append(arguments[0])
        return run(self, arguments, *rest)  # type: ignore[arg-type]

    monkeypatch.setattr(GitProcess, "_run", counted)

    def walks(zones: int) -> int:
        repository.process.write("gc", "--auto", "--quiet")  # nothing that git said before counts any more
        found = DnsRepository(repository, "main", FOLDERS)
        asked.clear()
        for number in range(zones):
            found.apex(f"d{number}.example.com")
        return sum(word in {"log", "rev-list"} for word in asked)

    assert walks(1) == walks(20)
