"""ssh keys of a job: usable by ssh and git while it runs, and nowhere to be found."""

from __future__ import annotations

import os
import subprocess
from typing import TYPE_CHECKING

import pytest

from sslops.errors import SshError
from sslops.repo.git import Git, NewCommit
from sslops.secrets.job_keys import SIGNING_KEY, SSH_KEY, job_keys
from tests.world.peers import need
from tests.world.remotes import git

if TYPE_CHECKING:
    from pathlib import Path


@pytest.fixture
def key(tmp_path: Path) -> Path:
    """Make a key without a passphrase."""
    path = tmp_path / "key"
    subprocess.run([need("ssh-keygen"), "-q", "-t", "ed25519", "-N", "", "-f", path], timeout=30, check=True)
    return path


def held(environ: dict[str, str]) -> str:
    """Return the public keys that an agent holds."""
    return subprocess.run(
        ["ssh-add", "-L"], env=environ, capture_output=True, text=True, timeout=30, check=False
    ).stdout


@pytest.mark.parametrize("form", ["text", "text with other line ends", "file"])
def test_a_key_is_in_the_agent_and_not_in_the_environment(key: Path, form: str) -> None:
    """As text, as a form of the web may send it, or as the path of a file; the agent is gone with the job."""
    text = key.read_text()
    given = {"text": text.strip(), "text with other line ends": text.replace("\n", "\r\n"), "file": str(key)}[form]
    environ = dict(os.environ) | {SSH_KEY: given}
    with job_keys(environ):
        assert key.with_suffix(".pub").read_text().split()[1] in held(environ)
        assert SSH_KEY not in environ
        assert text not in environ.values()

    assert "" == held(environ)


def test_a_signing_key_signs_what_the_engine_commits(key: Path, tmp_path: Path) -> None:
    """git is told by variables of its own, and the commit verifies."""
    environ = dict(os.environ) | {SIGNING_KEY: key.read_text()}
    (tmp_path / "repository").mkdir()
    git(tmp_path / "repository", "init", "--quiet", "--initial-branch=main")
    (tmp_path / "signers").write_text(f"* {key.with_suffix('.pub').read_text()}")
    with job_keys(environ):
        commit = Git(tmp_path / "repository", environ=environ).commit_all(None, [NewCommit("signed", {"a": b"a"})])
    signers = f"gpg.ssh.allowedSignersFile={tmp_path}/signers"

    assert (
        "Good"
        in subprocess.run(
            ["git", "-C", str(tmp_path / "repository"), "-c", signers, "verify-commit", commit],
            capture_output=True,
            text=True,
            timeout=30,
            check=True,
        ).stderr
    )


def test_no_server_is_offered_the_key_that_signs(key: Path) -> None:
    """ssh finds the agent of the login key, or the one that was there before."""
    environ = dict(os.environ) | {SIGNING_KEY: key.read_text(), "SSH_AUTH_SOCK": "/nonexistent"}
    with job_keys(environ):
        assert "/nonexistent" == environ["SSH_AUTH_SOCK"]


@pytest.mark.parametrize("given", ["no key at all", "/nonexistent", "-----BEGIN OPENSSH KEY-----\nx\n"])
def test_what_is_no_key_is_told_by_the_name_of_its_variable(given: str) -> None:
    """And what it held is not."""
    with pytest.raises(SshError, match=SSH_KEY) as caught, job_keys(dict(os.environ) | {SSH_KEY: given}):
        pass

    assert given not in caught.value.render()


def test_an_empty_secret_is_none() -> None:
    """A forge sets the variable of a secret that nobody gave to the empty string."""
    environ = dict(os.environ) | {SSH_KEY: "", SIGNING_KEY: ""}
    before = environ.get("SSH_AUTH_SOCK")
    with job_keys(environ):
        assert before == environ.get("SSH_AUTH_SOCK")
