"""A token reaches git's server and nothing else: a real push over http with a password, watched from the inside."""

from __future__ import annotations

import base64
from typing import TYPE_CHECKING

import pytest

from sslops.errors import GitError
from sslops.model.secret import Secret
from sslops.repo.git import Git, NewCommit, RefUpdate
from sslops.repo.git_process import GitCredential
from tests.world.forge import Forge, Rights
from tests.world.remotes import git as plain_git
from tests.world.remotes import install_hook

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

DUMP = """\
#!/bin/sh
# Runs while git and its helper for http are alive: writes down what /proc shows of every process.
for process in /proc/[0-9]*; do
    tr '\\0' '\\n' <"$process/cmdline"
    tr '\\0' '\\n' <"$process/environ"
done >"{file}" 2>/dev/null
exit 0
"""


@pytest.fixture
def forge(world_folder: Path) -> Iterator[Forge]:
    """Yield a GitHub with an empty project."""
    with Forge(world_folder / "forge", "github") as started:
        yield started


@pytest.fixture
def environ(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> dict[str, str]:
    """Return an environment in which git writes down what it starts, and would store a password it is told."""
    stored = tmp_path / "stored"
    (tmp_path / "gitconfig").write_text(f"[credential]\n    helper = store --file={stored}\n")
    for name, value in {
        "GIT_CONFIG_GLOBAL": str(tmp_path / "gitconfig"),
        "GIT_TRACE2_EVENT": str(tmp_path / "trace"),
        "GIT_TRACE_CURL": str(tmp_path / "curl"),
    }.items():
        monkeypatch.setenv(name, value)
    import os

    return dict(os.environ)


def opened(path: Path, url: str, forge: Forge, secret: str, environ: dict[str, str]) -> Git:
    """Return a clone whose remote is *url*, that shows *secret* to the forge."""
    credential = GitCredential(forge.url, "x-access-token", Secret(secret.encode(), "forge token"))
    return Git.clone_bare(url, path, environ=environ).showing(credential)


def push(git: Git, branch: str = "sslops/tlsa") -> str:
    """Push a commit and return it."""
    commit = git.commit_all(None, [NewCommit("records", {"tlsa": b"x"})])
    git.push([RefUpdate(branch, commit, None)])
    return commit


def written_below(folder: Path) -> bytes:
    """Return everything in every file below *folder*."""
    return b"\n".join(path.read_bytes() for path in folder.rglob("*") if path.is_file())


def test_a_push_shows_the_token_to_the_server_only(forge: Forge, tmp_path: Path, environ: dict[str, str]) -> None:
    """Not in an argument or the environment of any process, a trace, a configuration, or the user's password store."""
    secret = forge.token("sslops-bot")
    git = opened(tmp_path / "clone", forge.project("infra/dns").http_url, forge, secret, environ)
    install_hook(tmp_path / "clone", "pre-push", DUMP.format(file=tmp_path / "dump"))
    commit = push(git)
    git.fetch()
    hidden = base64.b64encode(f"x-access-token:{secret}".encode())

    assert commit == forge.project("infra/dns").repository.head("sslops/tlsa") == git.branch("sslops/tlsa")
    assert b"git-remote-http" in (tmp_path / "dump").read_bytes() or b"remote-http" in (tmp_path / "dump").read_bytes()
    assert b'"argv"' in (tmp_path / "trace").read_bytes()
    assert secret.encode() not in written_below(tmp_path)
    assert hidden not in written_below(tmp_path)
    assert not (tmp_path / "stored").exists()


def test_another_server_gets_nothing(forge: Forge, world_folder: Path, tmp_path: Path, environ: dict[str, str]) -> None:
    """The token is for one scheme, host and port."""
    secret = forge.token("sslops-bot")
    with Forge(world_folder / "other", "github") as other:
        git = opened(tmp_path / "clone", other.project("infra/dns").http_url, forge, secret, environ)
        with pytest.raises(GitError) as refused:
            push(git)

    assert secret not in refused.value.render()
    assert secret.encode() not in written_below(tmp_path)


def test_a_token_that_the_server_refuses_is_in_no_message(
    forge: Forge, tmp_path: Path, environ: dict[str, str]
) -> None:
    """One that only reads: refused, and told without it."""
    secret = forge.token("reader", Rights.READ)
    git = opened(tmp_path / "clone", forge.project("infra/dns").http_url, forge, secret, environ)
    with pytest.raises(GitError) as refused:
        push(git)

    assert "403" in refused.value.what
    assert secret not in refused.value.render()
    assert secret.encode() not in written_below(tmp_path)


def test_what_a_ci_left_in_the_clone_is_not_used(forge: Forge, tmp_path: Path, environ: dict[str, str]) -> None:
    """A job's own token in the remote's URL, or in a stored header, may do less than ours."""
    secret, job = forge.token("sslops-bot"), forge.token("job", Rights.JOB)
    url = forge.project("infra/dns").http_url
    with_user = url.replace("http://", f"http://gitlab-ci-token:{job}@")
    git = opened(tmp_path / "clone", with_user, forge, secret, environ)
    header = base64.b64encode(f"x-access-token:{job}".encode()).decode()
    plain_git(tmp_path / "clone", "config", f"http.{forge.url}/.extraheader", f"AUTHORIZATION: basic {header}")

    assert push(git) == forge.project("infra/dns").repository.head("sslops/tlsa")
    git.fetch()
    assert git.branch("sslops/tlsa") is not None


def test_without_a_token_git_is_as_it_was(forge: Forge, tmp_path: Path, environ: dict[str, str]) -> None:
    """The credentials that a person or a job gave to git still count."""
    secret = forge.token("person")
    url = forge.project("infra/dns").http_url.replace("http://", f"http://person:{secret}@")
    git = Git.clone_bare(url, tmp_path / "clone", environ=environ)

    assert push(git) == forge.project("infra/dns").repository.head("sslops/tlsa")
