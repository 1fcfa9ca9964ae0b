"""`sslops init` makes a whole repository or none, and never touches what is already there."""

from __future__ import annotations

import os
import stat
import subprocess
from typing import TYPE_CHECKING

import pytest

from sslops.ci import shipped
from sslops.ci.secrets import ROWS
from sslops.cli.main import run
from sslops.errors import ExitCode
from sslops.model.forges import Forge
from sslops.model.secret import Secret
from sslops.repo.git import Git, NewCommit
from sslops.repo.signatures import Signers
from sslops.secrets.sops import Sops

if TYPE_CHECKING:
    from pathlib import Path


@pytest.fixture
def config(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Give the test its own place for identities."""
    monkeypatch.setenv("XDG_CONFIG_HOME", str(tmp_path / "config"))
    return tmp_path / "config/sslops"


def git(folder: Path, *arguments: str) -> str:
    """Return what git says in *folder*."""
    return subprocess.run(
        ["git", "-C", str(folder), *arguments], capture_output=True, text=True, timeout=30, check=True
    ).stdout.strip()


def test_a_new_repository_is_one_commit_on_main(tmp_path: Path, config: Path) -> None:
    """One commit, a clean tree, no remote: ready to be pushed wherever its owner likes."""
    assert ExitCode.DONE == run(["init", str(tmp_path / "ops")])
    assert ("1", "main", "", "") == (
        git(tmp_path / "ops", "rev-list", "--count", "HEAD"),
        git(tmp_path / "ops", "branch", "--show-current"),
        git(tmp_path / "ops", "status", "--porcelain"),
        git(tmp_path / "ops", "remote"),
    )
    assert {".sops.yaml", ".gitattributes", ".gitignore", "CODEOWNERS", "README.md", "inventory/known_hosts"} <= set(
        git(tmp_path / "ops", "ls-files").split()
    )


def test_check_accepts_the_example(tmp_path: Path, config: Path) -> None:
    """What a newcomer is given is sound."""
    run(["init", str(tmp_path / "ops")])

    assert ExitCode.DONE == run(["-C", str(tmp_path / "ops"), "check"])


def test_identities_are_private_and_outside(tmp_path: Path, config: Path) -> None:
    """Only their owner reads them, and no repository ever holds them."""
    run(["init", str(tmp_path / "ops")])

    assert {"renew.key": 0o600, "deploy.key": 0o600} == {
        path.name: stat.S_IMODE(path.stat().st_mode) for path in config.iterdir()
    }
    assert 0o700 == stat.S_IMODE(config.stat().st_mode)


def test_each_identity_opens_its_own_half(tmp_path: Path, config: Path) -> None:
    """The rules that were written send CA keys to renew and service keys to deploy, with real sops."""
    run(["init", str(tmp_path / "ops")])
    sops = Sops((tmp_path / "ops/.sops.yaml").read_text())
    for job, path in (("renew", "state/ca/my-root/x/privkey.pem.sops"), ("deploy", "state/example.com/a/x.sops")):
        document = sops.encrypt(path, Secret(b"nothing"))
        alone = dict(os.environ, XDG_CONFIG_HOME=str(tmp_path / job))
        (tmp_path / job / "sslops").mkdir(parents=True)
        (tmp_path / job / "sslops" / f"{job}.key").write_bytes((config / f"{job}.key").read_bytes())

        opened = Sops((tmp_path / "ops/.sops.yaml").read_text(), environ=alone).decrypt(path, document)

        assert b"nothing" == opened.reveal()


def test_existing_identities_are_reused(tmp_path: Path, config: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """A second repository shares the identities of the first; not one byte of them changes."""
    run(["init", str(tmp_path / "one")])
    before = {path.name: path.read_bytes() for path in config.iterdir()}
    capsys.readouterr()
    run(["init", str(tmp_path / "two")])

    assert before == {path.name: path.read_bytes() for path in config.iterdir()}
    assert 2 == capsys.readouterr().out.count("reused '")
    assert (tmp_path / "one/.sops.yaml").read_text() == (tmp_path / "two/.sops.yaml").read_text()


def test_an_identity_that_cannot_be_told_stops_it(
    tmp_path: Path, config: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """A file somebody else put there is left alone, and no repository is made half."""
    config.mkdir(parents=True)
    (config / "renew.key").write_text("not an identity\n")

    assert ExitCode.FAILED == run(["init", str(tmp_path / "ops")])
    assert "not an identity\n" == (config / "renew.key").read_text()
    assert not (tmp_path / "ops").exists()
    assert "does not name its recipient" in capsys.readouterr().err


def test_a_folder_with_anything_in_it_is_refused(
    tmp_path: Path, config: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """Nothing is overwritten, and no identity is made for nothing."""
    (tmp_path / "ops").mkdir()
    (tmp_path / "ops/notes.txt").write_text("mine")

    assert ExitCode.USAGE == run(["init", str(tmp_path / "ops")])
    assert ["notes.txt"] == [path.name for path in (tmp_path / "ops").iterdir()]
    assert not config.exists()
    assert "is not empty" in capsys.readouterr().err


def test_an_empty_folder_is_fine(tmp_path: Path, config: Path) -> None:
    """`mkdir ops && cd ops && sslops init .` works."""
    (tmp_path / "ops").mkdir()

    assert ExitCode.DONE == run(["-C", str(tmp_path / "ops"), "init", "."])
    assert "1" == git(tmp_path / "ops", "rev-list", "--count", "HEAD")


def test_without_a_git_identity_the_bot_commits(tmp_path: Path, config: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A machine on which nobody told git who they are can still start."""
    monkeypatch.setenv("GIT_CONFIG_GLOBAL", os.devnull)

    assert ExitCode.DONE == run(["init", str(tmp_path / "ops")])
    assert "sslops <sslops@localhost>" == git(tmp_path / "ops", "log", "-1", "--format=%an <%ae>")


def test_a_commit_that_git_refuses_leaves_no_repository(
    tmp_path: Path, config: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A signing key that does not work is told, and the folder stays empty."""
    settings = tmp_path / "gitconfig"
    settings.write_text("[user]\nname = x\nemail = x@example.com\nsigningkey = /nonexistent\n[gpg]\nformat = ssh\n")
    settings.write_text(settings.read_text() + "[commit]\ngpgsign = true\n")
    monkeypatch.setenv("GIT_CONFIG_GLOBAL", str(settings))

    assert ExitCode.FAILED == run(["init", str(tmp_path / "ops")])
    assert [] == list((tmp_path / "ops").iterdir())
    assert [] == list(tmp_path.glob(".sslops-init-*"))


@pytest.mark.parametrize("forge", list(Forge))
def test_with_a_forge_it_brings_the_jobs_and_names_their_secrets(
    tmp_path: Path, config: Path, forge: Forge, capsys: pytest.CaptureFixture[str]
) -> None:
    """The shipped files, one that can be run, the release that made them, and a sound inventory of that forge."""
    ops = tmp_path / "ops"

    assert ExitCode.DONE == run(["init", str(ops), "--forge", str(forge)])

    said = capsys.readouterr().out

    assert dict(shipped.files(forge)) == {name: (ops / name).read_bytes() for name in shipped.files(forge)}
    assert git(ops, "ls-files", "-s", shipped.PROGRAM).startswith("100755")
    assert "sslops[all] @ " in (ops / shipped.REQUIREMENTS).read_text()
    assert ExitCode.DONE == run(["-C", str(ops), "check"])
    assert 2 == (ops / "inventory/sslops.yaml").read_text().count(f"forge: {forge}")
    assert not [row.name for job, rows in ROWS.items() for row in rows if row.name_on(forge, job) not in said]
    assert str(config / "renew.key") in said
    assert str(config / "signing.key") in said


def test_with_a_forge_only_the_key_that_was_made_signs_for_the_bot(tmp_path: Path, config: Path) -> None:
    """Private, outside, for the address of the inventory; what a run commits here counts by it. Never replaced."""
    run(["init", str(tmp_path / "ops"), "--forge", "gitlab"])
    key, ops = config / "signing.key", Git.discover(tmp_path / "ops")
    signers = Signers.of(ops, "refs/heads/main", "sslops@example.com")
    made = ops.commit_all("refs/heads/main", [NewCommit("renew\n", {"state/x": b"x"})])

    assert 0o600 == stat.S_IMODE(key.stat().st_mode)
    assert signers is not None
    assert {} == signers.faults(ops, [made])
    assert "it is not signed" == signers.faults(ops, [git(tmp_path / "ops", "rev-parse", "main")]).popitem()[1]
    before = key.read_bytes()
    run(["init", str(tmp_path / "two"), "--forge", "gitlab"])
    assert before == key.read_bytes()
