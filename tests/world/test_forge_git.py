"""Git over http against the local forge: real clients, protected branches, push options."""

from __future__ import annotations

import subprocess
from typing import TYPE_CHECKING

import pytest

from tests.world.forge import Forge, Rights, Role
from tests.world.peers import need
from tests.world.remotes import git, git_environment

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

DIALECTS = ("gitlab", "github", "forgejo")


class Clone:
    """Somebody's clone of `infra/dns` over http."""

    def __init__(self, forge: Forge, folder: Path, secret: str) -> None:
        """Clone with a token in the URL; a person's way."""
        self.folder = folder
        self.url = forge.project("infra/dns").http_url.replace("//", f"//oauth2:{secret}@")
        git(folder.parent, "clone", "--quiet", self.url, str(folder))

    def commit(self, name: str, text: str = "text\n") -> str:
        """Commit a file on what is checked out."""
        (self.folder / name).write_text(text)
        git(self.folder, "add", name)
        git(self.folder, "commit", "--quiet", "-m", f"Add {name}")
        return git(self.folder, "rev-parse", "HEAD")

    def push(self, *words: str) -> subprocess.CompletedProcess[str]:
        """Push; it may fail."""
        return subprocess.run(
            [need("git"), "-C", self.folder, "push", *words],
            env=git_environment() | {"GIT_TERMINAL_PROMPT": "0"},
            check=False,
            capture_output=True,
            timeout=60,
            text=True,
        )


@pytest.fixture
def clone(world_folder: Path) -> Callable[[Forge, str], Clone]:
    """Return a function that clones with a token."""
    return lambda forge, secret: Clone(forge, world_folder / f"clone-{secret[-8:]}", secret)


@pytest.mark.parametrize("dialect", DIALECTS)
def test_a_token_pushes_as_far_as_it_reaches(
    start_forge: Callable[[str], Forge], clone: Callable[[Forge, str], Clone], dialect: str
) -> None:
    """One that may only read clones, and is told so when it pushes; one that may only push, pushes."""
    forge = start_forge(dialect)
    reader = clone(forge, forge.token("reader", Rights.READ))
    pusher = clone(forge, forge.token("pusher", Rights.PUSH, Role.DEVELOPER))
    reader.commit("a")
    made = pusher.commit("b", "x" * 3_000_000)  # beyond http.postBuffer, so it comes in chunks
    refused = reader.push("origin", "HEAD:topic")
    done = pusher.push("origin", "HEAD:topic")

    assert (128, 0) == (refused.returncode, done.returncode), done.stderr
    assert "403" in refused.stderr
    assert made == forge.project("infra/dns").repository.head("topic")
    assert ("pusher", "refs/heads/topic", "0" * 40, made) == forge.project("infra/dns").pushes[-1]


@pytest.mark.parametrize("dialect", DIALECTS)
def test_a_protected_branch_takes_no_push(
    start_forge: Callable[[str], Forge], clone: Callable[[Forge, str], Clone], dialect: str
) -> None:
    """Not from a developer, not by force from a maintainer; the merge button is another matter."""
    forge = start_forge(dialect)
    shown = forge.project("infra/dns")
    before = shown.repository.head("main")
    developer = clone(forge, forge.token("developer", role=Role.DEVELOPER))
    maintainer = clone(forge, forge.token("maintainer"))
    developer.commit("a")
    git(maintainer.folder, "commit", "--quiet", "--amend", "-m", "Rewritten")

    assert "remote rejected" in developer.push("origin", "HEAD:main").stderr
    assert "remote rejected" in maintainer.push("--force", "origin", "HEAD:main").stderr
    shown.protection().may_push = None
    git(maintainer.folder, "reset", "--quiet", "--hard", "origin/main")
    maintainer.commit("c")
    assert "remote rejected" in maintainer.push("origin", "HEAD:main").stderr
    shown.protection().pushers.add("maintainer")
    assert before == shown.repository.head("main")
    assert 0 == maintainer.push("origin", "HEAD:main").returncode


def test_unsigned_commits_are_refused_where_signatures_are_required(
    start_forge: Callable[[str], Forge], clone: Callable[[Forge, str], Clone], world_folder: Path
) -> None:
    """A signature of an allowed signer is let in; the hook sees what is still in quarantine."""
    forge = start_forge("github")
    shown = forge.project("infra/dns")
    shown.protection().signed_commits = True
    key = world_folder / "signing"
    subprocess.run([need("ssh-keygen"), "-q", "-t", "ed25519", "-N", "", "-f", key], check=True, timeout=30)
    (shown.path / "allowed_signers").write_text(f"operator@example.com {key.with_suffix('.pub').read_text()}")
    mine = clone(forge, forge.token("maintainer"))
    mine.commit("a")
    refused = mine.push("origin", "HEAD:main")
    for name, value in (("gpg.format", "ssh"), ("user.signingkey", str(key)), ("commit.gpgsign", "true")):
        git(mine.folder, "config", name, value)
    git(mine.folder, "commit", "--quiet", "--amend", "--no-edit")
    done = mine.push("origin", "HEAD:main")
    key.unlink()

    assert "Commits must have verified signatures" in refused.stderr
    assert 0 == done.returncode, done.stderr


def test_push_options_open_and_change_a_merge_request(
    start_forge: Callable[[str], Forge], clone: Callable[[Forge, str], Clone]
) -> None:
    """With no right to the API; a second push changes the request that is there."""
    forge = start_forge("gitlab")
    shown = forge.project("infra/dns")
    mine = clone(forge, forge.token("pusher", Rights.PUSH))
    head = mine.commit("a")
    words = (
        "-o",
        "merge_request.create",
        "-o",
        "merge_request.target=main",
        "-o",
        "merge_request.description=one\\ntwo",
    )
    done = mine.push(*words, "-o", "merge_request.title=Records", "origin", "HEAD:sslops/roll")
    opened = (shown.requests()[0].title, shown.requests()[0].body, shown.requests()[0].head)
    mine.commit("b")
    mine.push(*words, "-o", "merge_request.title=More", "origin", "HEAD:sslops/roll")

    assert ("Records", "one\ntwo", head) == opened
    assert f"{shown.web_url}/-/merge_requests/1" in done.stderr
    assert ["More"] == [request.title for request in shown.requests()]
    assert [] == shown.calls


def test_a_push_option_may_ask_for_the_merge(
    start_forge: Callable[[str], Forge], clone: Callable[[Forge, str], Clone]
) -> None:
    """Which then waits for the pipeline; a wish that cannot be met is a warning, and the push stands."""
    forge = start_forge("gitlab")
    shown = forge.project("infra/dns")
    shown.protection().required_checks = ("check",)
    mine = clone(forge, forge.token("pusher", Rights.PUSH))
    head = mine.commit("a")
    mine.push("-o", "merge_request.create", "-o", "merge_request.auto_merge", "origin", "HEAD:sslops/roll")
    is_waiting = shown.requests()[0].auto_merge is not None
    shown.pipeline(head, "success")
    mine.commit("b")
    warned = mine.push("-o", "merge_request.create", "-o", "merge_request.target=nowhere", "origin", "HEAD:other")

    assert (True, True) == (is_waiting, shown.requests()[0].is_merged)
    assert (0, True) == (warned.returncode, "Branch nowhere does not exist" in warned.stderr)


def test_a_push_to_the_target_merges_what_it_contains(
    start_forge: Callable[[str], Forge], clone: Callable[[Forge, str], Clone]
) -> None:
    """GitLab and GitHub notice; Forgejo leaves the request open."""
    merged = {}
    for dialect in DIALECTS:
        forge = start_forge(dialect)
        shown = forge.project("infra/dns")
        shown.open(forge.user("bot"), "sslops/tlsa", "main", "Records", "")
        mine = clone(forge, forge.token("maintainer"))
        mine.push("origin", "origin/sslops/tlsa:refs/heads/main")
        merged[dialect] = shown.request(1).is_merged

    assert {"gitlab": True, "github": True, "forgejo": False} == merged


def test_a_push_may_be_accepted_and_yet_not_stand(
    start_forge: Callable[[str], Forge], clone: Callable[[Forge, str], Clone]
) -> None:
    """An ordered fault: git says yes, the ref is where it was."""
    forge = start_forge("gitlab")
    mine = clone(forge, forge.token("maintainer"))
    before = forge.project("infra/dns").repository.head("sslops/tlsa")
    git(mine.folder, "checkout", "--quiet", "sslops/tlsa")
    mine.commit("a")
    forge.misplaced_pushes = 1

    assert 0 == mine.push("origin", "sslops/tlsa").returncode
    assert before == forge.project("infra/dns").repository.head("sslops/tlsa")
    assert 0 == mine.push("origin", "sslops/tlsa").returncode
    assert git(mine.folder, "rev-parse", "HEAD") == forge.project("infra/dns").repository.head("sslops/tlsa")


def test_a_branch_may_be_moved_while_a_push_is_under_way(
    start_forge: Callable[[str], Forge], clone: Callable[[Forge, str], Clone]
) -> None:
    """The push that comes second is refused, lease or not, and what came first stays."""
    forge = start_forge("github")
    shown = forge.project("infra/dns")
    mine = clone(forge, forge.token("maintainer"))
    git(mine.folder, "checkout", "--quiet", "sslops/tlsa")
    mine.commit("a")
    forge.before_push.append(lambda: shown.edit({"b": "faster"}, branch="sslops/tlsa"))
    refused = mine.push("--force-with-lease", "origin", "sslops/tlsa")

    assert "remote rejected" in refused.stderr
    assert "Edit" == shown.repository.log("-1", "sslops/tlsa")[0].title


def test_a_push_over_the_file_system_meets_the_same_rules(
    start_forge: Callable[[str], Forge], world_folder: Path
) -> None:
    """It comes from a bystander who is a maintainer, and moves requests along."""
    forge = start_forge("forgejo")
    shown = forge.project("infra/dns")
    shown.open(forge.user("bot"), "sslops/tlsa", "main", "Records", "")
    shown.approve(1)
    git(world_folder, "clone", "--quiet", str(shown.path), "copy")
    copy = world_folder / "copy"
    git(copy, "checkout", "--quiet", "sslops/tlsa")
    git(copy, "commit", "--quiet", "--allow-empty", "-m", "More")
    git(copy, "push", "--quiet", "origin", "sslops/tlsa")
    shown.protection().may_push = None
    refused = subprocess.run(
        [need("git"), "-C", copy, "push", "origin", "HEAD:main"], env=git_environment(), check=False
    )

    assert (git(copy, "rev-parse", "HEAD"), []) == (shown.request(1).head, shown.request(1).approvals)
    assert 0 != refused.returncode
    assert shown.request(1).head == shown.repository.resolve("refs/pull/1/head")
