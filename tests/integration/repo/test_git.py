"""The door to git, on real repositories: what is written comes back, and what fails says why."""

from __future__ import annotations

import os
import subprocess
import sys
import threading
from typing import TYPE_CHECKING

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from sslops.errors import Busy, GitError, Moved, UsageError
from sslops.repo.git import Git, NewCommit, Person, RefUpdate
from sslops.repo.git_process import GitProcess, readable
from sslops.system.file_lock import locked
from tests.world.remotes import Person as Somebody
from tests.world.remotes import bare_repository, git

if TYPE_CHECKING:
    from pathlib import Path

NAMES = st.text(st.characters(codec="utf-8", exclude_characters="/\0\x02"), min_size=1, max_size=8).filter(
    lambda name: name not in {".", ".."} and not name.lower().startswith((".git", "git~"))
)
PATHS = st.lists(NAMES, min_size=1, max_size=3).map("/".join)
FILES = st.dictionaries(PATHS, st.binary(max_size=40), min_size=1, max_size=4).filter(
    lambda files: not any(one != other and other.startswith(f"{one}/") for one in files for other in files)
)


@pytest.fixture
def repository(tmp_path: Path) -> Git:
    """Return an empty repository without a remote."""
    folder = tmp_path / "repository"
    folder.mkdir()
    git(folder, "init", "--quiet", "--initial-branch=main")
    return Git.discover(folder)


def _commit(found: Git, files: dict[str, bytes | None], parent: str | None = None) -> str:
    return found.commit_all(parent, [NewCommit("a commit\n", files)])


@settings(max_examples=40, suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow])
@given(FILES)
def test_files_come_back_whatever_they_are_called(repository: Git, files: dict[str, bytes]) -> None:
    """Quotes, newlines, spaces and other scripts in paths, any bytes in contents."""
    commit = _commit(repository, dict(files))

    assert files == repository.files(commit)


@settings(max_examples=25, suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow])
@given(st.text(st.characters(codec="utf-8", exclude_characters="\0"), max_size=60), NAMES, NAMES)
def test_messages_and_names_cannot_break_the_stream(repository: Git, message: str, name: str, email: str) -> None:
    """Whatever a title quotes or a person is called, there is one commit with that message."""
    commits = [NewCommit(f"x{message}", {"a": b"1"}, author=Person(f"n{name}", f"e{email}")), NewCommit("second\n")]
    tip = repository.commit_all(None, commits)

    assert ["second\n", f"x{message}".rstrip() + "\n"] == [one.message for one in repository.log(tip)]


def test_edits_delete_and_graft(repository: Git) -> None:
    """Null deletes a file or a folder, a graft puts an existing tree in place, a base tree replaces the parent's."""
    first = _commit(repository, {"a/one": b"1", "a/two": b"2", "b": b"3"})
    second = _commit(repository, {"a": None, "c": b"4"}, first)
    tree = repository.subtree(first, "a")
    third = repository.commit_all(second, [NewCommit("graft\n", {"d/one": b"5"}, {"d": tree})])
    fourth = repository.commit_all(third, [NewCommit("base\n", parents=(third, first), tree=first)])

    assert {"b": b"3", "c": b"4"} == repository.files(second)
    assert {"d/one": b"5", "d/two": b"2"} == repository.files(third, "d/")
    assert repository.files(first) == repository.files(fourth)
    assert (third, first) == repository.log(fourth, limit=1)[0].parents


def test_making_commits_moves_no_ref_and_leaves_nothing(repository: Git) -> None:
    """Only a push makes them visible."""
    commit = _commit(repository, {"a": b"1"})

    assert {} == repository.refs()
    repository.push([RefUpdate("main", commit, None)])
    assert {"refs/heads/main": commit} == repository.refs()


def test_branches_move_by_compare_and_swap_only(repository: Git) -> None:
    """An expectation that is no longer true moves nothing, not even the other branches of the push."""
    first = _commit(repository, {"a": b"1"})
    second = _commit(repository, {"a": b"2"}, first)
    repository.push([RefUpdate("main", first, None)])
    with pytest.raises(Moved):
        repository.push([RefUpdate("other", first, None), RefUpdate("main", second, second)])

    assert {"refs/heads/main": first} == repository.refs()


def test_a_branch_goes_backwards_only_on_purpose(repository: Git) -> None:
    """A lease alone would let main lose commits."""
    first = _commit(repository, {"a": b"1"})
    second = _commit(repository, {"a": b"2"}, first)
    repository.push([RefUpdate("main", second, None)])
    with pytest.raises(GitError, match="only go forward"):
        repository.push([RefUpdate("main", first, second)])
    repository.push([RefUpdate("main", first, second, may_rewrite=True)])

    assert first == repository.branch("main")


def test_a_branch_can_be_deleted(repository: Git) -> None:
    """With the same expectation as any other move."""
    first = _commit(repository, {"a": b"1"})
    repository.push([RefUpdate("main", first, None)])
    repository.push([RefUpdate("main", None, first)])

    assert repository.branch("main") is None


@pytest.fixture
def remote(tmp_path: Path) -> Path:
    """Return a bare remote with a commit on main."""
    path = bare_repository(tmp_path / "dns.git")
    Somebody(path, tmp_path / "somebody").push({"zone": "x\n"}, "first")
    return path


def test_a_private_bare_clone_knows_the_remote_s_branches(remote: Path, tmp_path: Path) -> None:
    """It is made once and reused, follows another address, and sees deleted branches go."""
    path = tmp_path / "private/dns.git"
    found = Git.clone_bare(str(remote), path)
    found.fetch()
    commit = found.branch("main")
    assert commit is not None
    assert b"x\n" == found.file(commit, "zone")
    found.push([RefUpdate("sslops/tlsa", commit, None)])
    assert {"main": commit, "sslops/tlsa": commit} == dict(found.remote_heads(["main", "sslops/tlsa", "gone"]))
    git(remote, "branch", "-D", "sslops/tlsa")
    again = Git.clone_bare(str(remote), path)
    again.fetch()

    assert again.branch("sslops/tlsa") is None
    moved = tmp_path / "moved.git"
    remote.rename(moved)
    other = Git.clone_bare(str(moved), path)
    other.fetch()
    assert commit == other.branch("main")


def test_a_remote_that_cannot_be_reached_is_an_error(tmp_path: Path) -> None:
    """It is not taken for an empty one."""
    found = Git.clone_bare(str(tmp_path / "nowhere.git"), tmp_path / "private.git")

    with pytest.raises(GitError, match="fetch"):
        found.fetch()


def test_a_shallow_clone_is_made_whole(remote: Path, tmp_path: Path) -> None:
    """CI clones shallow, and the rules read history."""
    Somebody(remote, tmp_path / "second").push({"zone": "y\n"}, "second")
    git(tmp_path, "clone", "--quiet", "--depth=1", f"file://{remote}", str(tmp_path / "shallow"))
    found = Git.discover(tmp_path / "shallow")
    found.fetch()
    main = found.branch("main")

    assert main is not None
    assert 2 == len(found.first_parents(main, paths=["zone"]))


def test_first_parents_are_newest_first_and_can_be_bounded(repository: Git) -> None:
    """Paths and what is already known are left out."""
    first = _commit(repository, {"a": b"1"})
    second = _commit(repository, {"b": b"1"}, first)
    third = _commit(repository, {"a": b"2"}, second)

    assert [third, second, first] == repository.first_parents(third)
    assert [third, first] == repository.first_parents(third, paths=["a"])
    assert [third, second] == repository.first_parents(third, since=first)
    assert repository.is_ancestor(first, third)
    assert not repository.is_ancestor(third, first)


def test_dates_decide_nothing_about_what_two_lines_share(repository: Git) -> None:
    """Commits dated long before their parents, as a wrong clock makes them: what they stand on is theirs as well."""
    folder = repository.path
    git(folder, "commit", "--quiet", "--allow-empty", "-m", "shared")
    git(folder, "commit", "--quiet", "--allow-empty", "-m", "shared too")
    shared = git(folder, "rev-parse", "HEAD")
    for number in range(8):
        tree = git(folder, "rev-parse", "HEAD^{tree}")
        text = f"tree {tree}\nparent {git(folder, 'rev-parse', 'HEAD')}\nauthor a <a@b> 0 +0000\n"
        draft = folder / ".git/draft"
        draft.write_text(f"{text}committer a <a@b> {number} +0000\n\nold\n")
        git(folder, "reset", "--quiet", "--soft", git(folder, "hash-object", "-w", "-t", "commit", str(draft)))
    old = git(folder, "rev-parse", "HEAD")
    git(folder, "reset", "--quiet", "--soft", shared)
    git(folder, "commit", "--quiet", "--allow-empty", "-m", "own")
    own = git(folder, "rev-parse", "HEAD")

    assert [own] == [one.sha for one in repository.log(own, since=[old])]
    assert [own] == repository.first_parents(own, since=old)
    assert 8 == len(repository.log(old, since=[own]))


def test_settings_are_read_as_git_reads_them(repository: Git) -> None:
    """Case does not matter in keys, a key alone means true, and signing can be switched off."""
    git(repository.path, "config", "User.SigningKey", "x")
    assert Git.discover(repository.path).signs
    git(repository.path, "config", "commit.gpgSign", "false")
    assert not Git.discover(repository.path).signs
    (repository.path / ".git/config").open("a").write("[commit]\n\tgpgsign\n")
    assert Git.discover(repository.path).signs
    assert "x" == Git.discover(repository.path).config("user.signingkey")


def test_trailers_are_read_from_the_log(repository: Git) -> None:
    """What programs rely on comes back as pairs."""
    tip = repository.commit_all(None, [NewCommit("x: y\n\nWhy.\n\nSslops-Action: renew\nSslops-Run: https://ci/1\n")])

    trailers = [(entry.sha, entry.trailers) for entry in repository.log(tip)]
    assert [(tip, (("Sslops-Action", "renew"), ("Sslops-Run", "https://ci/1")))] == trailers


def test_the_remote_is_origin_or_the_only_one(repository: Git) -> None:
    """Two remotes of other names are a question for a person: the wrong answer would move the wrong branches."""
    assert repository.remote is None
    git(repository.path, "remote", "add", "upstream", "ssh://git.example.com/a.git")
    assert "upstream" == Git.discover(repository.path).remote
    git(repository.path, "remote", "add", "fork", "ssh://git.example.com/b.git")
    with pytest.raises(GitError, match="2 remotes"):
        Git.discover(repository.path)
    git(repository.path, "remote", "rename", "fork", "origin")
    assert "origin" == Git.discover(repository.path).remote


@pytest.mark.parametrize("name", ["", "-x", "a b", "a:b", "a\nb", "+main"])
def test_a_hostile_branch_name_is_refused(repository: Git, name: str) -> None:
    """It would be more than a name in a refspec."""
    commit = _commit(repository, {"a": b"1"})

    with pytest.raises(GitError, match="cannot name a branch"):
        repository.push([RefUpdate(name, commit, None)])


def test_a_folder_that_is_no_repository_is_a_usage_error(tmp_path: Path) -> None:
    """The person stands in the wrong place."""
    with pytest.raises(UsageError):
        Git.discover(tmp_path)


def test_a_missing_object_is_an_error(repository: Git) -> None:
    """A broken repository is not an empty one."""
    _commit(repository, {"a": b"1"})

    with pytest.raises(GitError, match="is not in the repository"):
        repository.blobs(["0" * 39 + "1"])


def test_what_git_says_is_shown_without_credentials() -> None:
    """A token in an address, a carriage return, an escape sequence: none reaches a log."""
    said = b"remote: \x1b[31mno\x1b[0m\rfatal: 'https://oauth2:glpat@xyz@git.example.com/a.git/' not found\n"
    shown = readable(said)

    assert "glpat" not in shown
    assert "xyz" not in shown
    assert "\x1b" not in shown
    assert "https://***@git.example.com/a.git/" in shown


def test_a_hook_s_environment_does_not_lead_us_astray(repository: Git, tmp_path: Path) -> None:
    """git sets GIT_DIR for hooks; our git still works in the folder it was given."""
    environ = {"PATH": "/usr/bin:/bin", "HOME": str(tmp_path), "GIT_DIR": "/nowhere", "GIT_INDEX_FILE": "/nowhere/i"}
    found = Git(repository.path, environ=environ)

    assert _commit(found, {"a": b"1"})


def test_the_environment_given_is_the_one_that_children_get(
    repository: Git, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Neither this process's secrets nor its other variables reach a hook, though GitPython starts from them."""
    monkeypatch.setenv("SOPS_AGE_KEY", "not-for-git")
    monkeypatch.setenv("SOMETHING", "else")
    process = GitProcess(repository.path, {"PATH": "/usr/bin:/bin", "HOME": str(tmp_path)})
    seen = process.write("-c", "alias.show-env=!env", "show-env").text

    assert "not-for-git" not in seen
    assert "SOMETHING" not in seen


def test_reading_does_not_load_gitpython(repository: Git) -> None:
    """`sslops status` only reads, and must start fast."""
    commit = _commit(repository, {"a": b"1"})
    program = (
        "import sys; from pathlib import Path; from sslops.repo.git import Git;"
        f"found = Git.discover(Path({str(repository.path)!r}));"
        f"found.files({commit!r}); found.log({commit!r}); found.refs(); found.changed_paths();"
        "sys.exit('git' in sys.modules)"
    )

    assert 0 == subprocess.run([sys.executable, "-c", program], check=False, timeout=60).returncode


def test_a_lock_is_for_one_at_a_time(tmp_path: Path) -> None:
    """A second holder waits for its turn, and gives up when it takes too long."""
    path = tmp_path / "folder/lock"
    order: list[str] = []

    def second() -> None:
        with locked(path, 30):
            order.append("second")

    with locked(path, 0):
        with pytest.raises(Busy), locked(path, 0.1):
            pass
        waiting = threading.Thread(target=second)
        waiting.start()
        order.append("first")
    waiting.join(30)

    assert ["first", "second"] == order


def test_a_repository_of_another_user_is_told_in_the_words_of_git(tmp_path: Path) -> None:
    """`dubious ownership` is not `no repository`; the command that helps is git's."""
    subprocess.run(["git", "init", "-q", tmp_path], check=True)
    environ = {**os.environ, "GIT_TEST_ASSUME_DIFFERENT_OWNER": "1", "GIT_CONFIG_GLOBAL": "/dev/null"}

    with pytest.raises(UsageError, match="dubious ownership") as caught:
        Git.discover(tmp_path, environ=environ)

    assert f"git config --global --add safe.directory {tmp_path}" == caught.value.hint


def test_a_folder_outside_of_every_repository_is_told(tmp_path: Path) -> None:
    """There the way on is another one."""
    with pytest.raises(UsageError, match="is not in a git repository"):
        Git.discover(tmp_path)
