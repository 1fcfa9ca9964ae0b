"""A merge request cannot choose its own judge: which branch is the reviewed one says the job or the remote."""

from __future__ import annotations

import json
import re
from typing import TYPE_CHECKING

import pytest

from tests.system.test_reviewed import FILES, TOKEN, Listener, inventory, listening
from tests.world.ops import OpsRepository
from tests.world.remotes import git

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path

JOBS = ("gitlab", "github", "forgejo")
FEATURE = "feature"


def job(kind: str, folder: Path, source: str) -> dict[str, str]:
    """Return the variables of a job for a merge request of *source*, as that forge sets them."""
    if kind == "gitlab":
        return {
            "GITLAB_CI": "true",
            "CI_PIPELINE_SOURCE": "merge_request_event",
            "CI_DEFAULT_BRANCH": "main",
            "CI_MERGE_REQUEST_SOURCE_BRANCH_NAME": source,
        }
    event = folder / "event.json"
    request = {"number": 1, "head": {"ref": source}, "base": {"ref": "main"}}
    event.write_text(json.dumps({"repository": {"default_branch": "main"}, "pull_request": request}))
    return {
        "GITHUB_ACTIONS": "true",
        "GITHUB_EVENT_NAME": "pull_request",
        "GITHUB_HEAD_REF": source,
        "GITHUB_EVENT_PATH": str(event),
    } | ({"FORGEJO_ACTIONS": "true"} if kind == "forgejo" else {})


def propose(ops: OpsRepository, files: Mapping[str, str], branch: str = FEATURE) -> None:
    """Push *files* on *branch*, and check it out as a job does: a commit, no branch, and no HEAD of the remote."""
    git(ops.folder, "checkout", "--quiet", "-B", branch)
    for path, text in files.items():
        (ops.folder / path).parent.mkdir(parents=True, exist_ok=True)
        (ops.folder / path).write_text(text)
    git(ops.folder, "add", "--all")
    git(ops.folder, "commit", "--quiet", "-m", "a proposal")
    git(ops.folder, "push", "--quiet", "--force", "origin", branch)
    git(ops.folder, "fetch", "--quiet", "origin")
    git(ops.folder, "checkout", "--quiet", "--detach", f"origin/{branch}")
    git(ops.folder, "symbolic-ref", "--delete", "refs/remotes/origin/HEAD")


def naming(text: str, branch: str) -> str:
    """Return the settings *text* with *branch* as the live one."""
    return f"repo: {{branch: {branch}}}\n{text}"


@pytest.fixture
def issued(world_folder: Path) -> OpsRepository:
    """Return a repository with an own CA and a service that is live."""
    text = inventory("https://git.example.com")["inventory/sslops.yaml"].partition("dns:")[0]
    ops = OpsRepository(world_folder, FILES | {"inventory/sslops.yaml": text})
    for words in (("renew", "--apply"), ("roll", "--apply"), ("renew", "--apply"), ("roll", "--apply")):
        ops.sslops(*words).succeeded()
    git(ops.folder, "pull", "--quiet", "--ff-only")
    return ops


@pytest.mark.parametrize("kind", JOBS)
def test_a_branch_that_names_itself_is_shown_no_token(world_folder: Path, kind: str) -> None:
    """Its DNS repository is at a server of its own; main's inventory names another."""
    with listening() as server:
        ops = OpsRepository(world_folder, inventory("http://127.0.0.1:9"))
        propose(ops, {"inventory/sslops.yaml": naming(inventory(server.url)["inventory/sslops.yaml"], FEATURE)})
        done = ops.sslops("plan", environment=job(kind, world_folder, FEATURE) | {"SSLOPS_DNS_TOKEN": TOKEN})
        shown = _shown(server)

    assert [] == shown
    assert "was not shown to this one" in done.stderr
    assert f"'{FEATURE}' is the live branch by this working tree only" in done.stderr


def _shown(server: Listener) -> list[str]:
    return list(server.shown)


@pytest.mark.parametrize("branch", ["main", "nosuch", FEATURE])
@pytest.mark.parametrize("kind", JOBS)
def test_no_branch_can_switch_off_that_issued_is_unchanged(issued: OpsRepository, kind: str, branch: str) -> None:
    """Whatever branch its inventory calls the live one, what main has issued is compared."""
    (chain,) = sorted((issued.folder / "state/example.com/web-ec").glob("*/chain.pem"))[:1]
    settings = (issued.folder / "inventory/sslops.yaml").read_text()
    path = str(chain.relative_to(issued.folder))
    propose(issued, {path: chain.read_text() * 2, "inventory/sslops.yaml": naming(settings, branch)})
    done = issued.sslops("check", environment=job(kind, issued.folder.parent, FEATURE))

    assert 1 == done.exit_code
    assert re.search(rf"'{re.escape(path)}' changed, and an issued generation never does", done.stderr)


@pytest.mark.parametrize("kind", JOBS)
def test_a_roll_is_held_to_state_where_a_commit_is_checked_out(issued: OpsRepository, kind: str) -> None:
    """No branch is checked out in a job: the forge says whose request it is."""
    propose(issued, {"inventory/known_hosts": "smtp1 ssh-ed25519 AAAA\n"}, branch="sslops/roll")
    done = issued.sslops("check", environment=job(kind, issued.folder.parent, "sslops/roll"))

    assert 1 == done.exit_code
    assert "a roll changes 'inventory/known_hosts'" in done.stderr


@pytest.mark.parametrize("kind", JOBS)
def test_a_job_without_the_reviewed_branch_is_no_judge(issued: OpsRepository, kind: str) -> None:
    """A shallow clone has nothing to compare with, which is a fault and says how to get it."""
    propose(issued, {"notes.txt": "x\n"})
    git(issued.folder, "update-ref", "-d", "refs/remotes/origin/main")
    done = issued.sslops("check", environment=job(kind, issued.folder.parent, FEATURE))

    assert 1 == done.exit_code
    assert "this clone has no branch 'main'" in done.stderr
    assert "fetch-depth: 0" in done.stderr


def test_on_a_laptop_the_head_of_the_remote_says_which(issued: OpsRepository) -> None:
    """A clone knows it; the branch that is checked out may say what it likes."""
    (chain,) = sorted((issued.folder / "state/example.com/web-ec").glob("*/chain.pem"))[:1]
    chain.write_text(chain.read_text() * 2)
    path = issued.folder / "inventory/sslops.yaml"
    path.write_text(naming(path.read_text(), "nosuch"))
    done = issued.sslops("check")

    assert 1 == done.exit_code
    assert "an issued generation never does" in done.stderr
