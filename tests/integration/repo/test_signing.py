"""Commits for the DNS repository are signed as those of the ops repository are, and its own signers file knows them."""

from __future__ import annotations

import subprocess
from typing import TYPE_CHECKING

import pytest

from sslops.repo.git import Git, NewCommit, Person, RefUpdate
from tests.world.peers import need
from tests.world.remotes import REFUSE_UNSIGNED, bare_repository, git, install_hook

if TYPE_CHECKING:
    from pathlib import Path

BOT = Person("sslops", "sslops@example.com")


@pytest.fixture
def remote(tmp_path: Path) -> Path:
    """Return a DNS repository that takes signed commits of the bot only."""
    key = tmp_path / "signing"
    command = [str(need("ssh-keygen")), "-q", "-t", "ed25519", "-N", "", "-C", "sslops", "-f", str(key)]
    subprocess.run(command, timeout=30, check=True)
    remote = bare_repository(tmp_path / "dns.git")
    public = key.with_suffix(".pub").read_text()
    (remote / "allowed_signers").write_text(f'{BOT.email} namespaces="git" {public}')
    install_hook(remote, "pre-receive", REFUSE_UNSIGNED)
    return remote


@pytest.mark.key_in_clear
def test_a_key_of_the_ops_repository_alone_signs_in_the_dns_clone_too(remote: Path, tmp_path: Path) -> None:
    """Configured there with --local, as a CI job does it; taken away there, it is taken away here."""
    git(tmp_path, "init", "-q", "ops")
    for name, value in (("gpg.format", "ssh"), ("user.signingkey", str(tmp_path / "signing"))):
        git(tmp_path / "ops", "config", "--local", name, value)
    ops = Git.discover(tmp_path / "ops")
    clone = Git.clone_bare(str(remote), tmp_path / "clone", signing=ops.signing).acting_as(BOT)
    commit = clone.commit_all(None, [NewCommit("records", {"tlsa": b"x"})])
    clone.push([RefUpdate("sslops/tlsa", commit, None)])

    assert commit == git(remote, "rev-parse", "sslops/tlsa")
    git(tmp_path / "ops", "config", "--local", "--unset", "user.signingkey")
    ops = Git.discover(tmp_path / "ops")
    assert not Git.clone_bare(str(remote), tmp_path / "clone", signing=ops.signing).signs
