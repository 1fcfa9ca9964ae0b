"""`sslops doctor` finds what is missing, for which verb, and how to get it."""

from __future__ import annotations

import json
import os
import subprocess
from typing import TYPE_CHECKING

import pytest

from sslops.cli.main import run
from sslops.doctor.repository import _unsigned
from sslops.errors import ExitCode

if TYPE_CHECKING:
    from pathlib import Path

INVENTORY = """\
groups: [{domain: example.com, active: true, services: [web-ec]}, {domain: ca, active: true, services: [root]}]
"""


@pytest.fixture
def ops(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> Path:
    """Make an ops repository that needs no network."""
    monkeypatch.setenv("XDG_CONFIG_HOME", str(tmp_path / "config"))
    folder = tmp_path / "ops"
    run(["init", str(folder)])
    for path in (folder / "inventory").rglob("*.yaml"):
        path.unlink()
    (folder / "inventory/ca").mkdir(exist_ok=True)
    (folder / "inventory/example.com").mkdir(exist_ok=True)
    (folder / "inventory/sslops.yaml").write_text(INVENTORY)
    (folder / "inventory/cas.yaml").write_text("root: {ca_type: self}\n")
    (folder / "inventory/ca/root.yaml").write_text(
        "name: Root\nsigning_ca: self\nca: {sign_end_days: 90}\nx509: {CN: Root}\n"
    )
    (folder / "inventory/example.com/web-ec.yaml").write_text(
        "name: Web\nsigning_ca: root\nx509: {sans: [www.example.com]}\n"
    )
    capsys.readouterr()
    return folder


def examine(folder: Path, capsys: pytest.CaptureFixture[str], *verbs: str) -> tuple[int, dict[str, dict[str, str]]]:
    """Return the exit code, and what is missing by name."""
    code = run(["-C", str(folder), "doctor", *verbs, "--json"])
    findings = json.loads(capsys.readouterr().out)["findings"]
    return code, {each["name"]: each for each in findings if each["health"] == "missing"}


def test_a_repository_just_made_is_well(ops: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """sops, git, ssh, both identities and the repository: all found, and tried."""
    assert (ExitCode.DONE, {}) == examine(ops, capsys)


def test_it_works_without_any_repository(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """The first thing on a new machine."""
    code, missing = examine(tmp_path, capsys)

    assert (ExitCode.DONE, {}) == (code, missing)


def test_a_job_needs_only_its_own_identity(ops: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """Without deploy.key deploy is ill, and renew is well."""
    (tmp_path / "config/sslops/deploy.key").unlink()
    code, missing = examine(ops, capsys, "deploy")

    assert (ExitCode.DONE, {}) == examine(ops, capsys, "renew")
    assert ExitCode.FAILED == code
    assert ["deploy", "run"] == missing["keys"]["verbs"]  # type: ignore[comparison-overlap]
    assert "private keys of services cannot be opened" in missing["keys"]["what"]


def test_an_identity_that_others_can_read_is_noted(
    ops: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """It works, so it is not missing; but somebody should know, and how to mend it."""
    (tmp_path / "config/sslops/renew.key").chmod(0o644)

    assert ExitCode.DONE == run(["-C", str(ops), "doctor"])
    assert f"fix: chmod 600 '{tmp_path}/config/sslops/renew.key'" in capsys.readouterr().out


def test_no_git_is_missing_for_everything(
    ops: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    """Without git nothing works, and the doctor says so instead of falling over."""
    (tmp_path / "empty").mkdir()
    monkeypatch.setenv("PATH", str(tmp_path / "empty"))
    code, missing = examine(ops, capsys)

    assert ExitCode.FAILED == code
    assert {"git", "repository"} == set(missing)
    assert "apt install git" == missing["git"]["fix"]


def test_a_signing_key_is_tried(ops: Path, capsys: pytest.CaptureFixture[str], tmp_path: Path) -> None:
    """A key that signs is well; one that is gone is missing for every verb that commits. Nothing is left behind."""
    key = tmp_path / "signing"
    subprocess.run(["ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-f", str(key)], timeout=30, check=True)
    for name, value in (("gpg.format", "ssh"), ("user.signingkey", f"{key}.pub"), ("commit.gpgsign", "true")):
        subprocess.run(["git", "-C", str(ops), "config", name, value], timeout=30, check=True)
    objects = sorted(path for path in (ops / ".git/objects").rglob("*"))

    assert (ExitCode.DONE, {}) == examine(ops, capsys)
    assert objects == sorted(path for path in (ops / ".git/objects").rglob("*"))
    key.unlink()
    assert "commits cannot be signed" in examine(ops, capsys)[1]["signing"]["what"]


def test_it_says_what_no_signature_means(ops: Path, capsys: pytest.CaptureFixture[str], tmp_path: Path) -> None:
    """Unsigned: who else can act as the bot. Asked for by main: a clone without a key of the file's can do nothing."""
    key = tmp_path / "signing"
    subprocess.run(["ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-f", str(key)], timeout=30, check=True)
    (ops / "allowed_signers").write_text("sslops@localhost ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIA==\n")
    commit = ["git", "-C", str(ops), "-c", "user.name=x", "-c", "user.email=x@example.com", "commit", "-qm", "signers"]

    assert "can act as the bot" in _unsigned(is_asked=False, has_remote=True).what
    subprocess.run(["git", "-C", str(ops), "add", "allowed_signers"], timeout=30, check=True)
    subprocess.run(commit, timeout=30, check=True)
    assert "no key to sign with" in examine(ops, capsys)[1]["signing"]["what"]
    for name, value in (("gpg.format", "ssh"), ("user.signingkey", str(key))):
        subprocess.run(["git", "-C", str(ops), "config", name, value], timeout=30, check=True)
    assert "does not let this key count" in examine(ops, capsys)[1]["signing"]["what"]
    (ops / "allowed_signers").write_text(f"sslops@localhost {key.with_suffix('.pub').read_text()}")
    subprocess.run([*commit, "-a"], timeout=30, check=True)
    assert "signing" not in examine(ops, capsys)[1]


def test_a_clock_behind_the_commits_is_told(ops: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """A commit from the future means that one of two clocks is wrong."""
    later = dict(os.environ, GIT_COMMITTER_DATE="2099-01-01T00:00:00Z")
    command = ["git", "-C", str(ops), "commit", "-q", "--allow-empty", "-m", "later"]
    subprocess.run(command, env=later, timeout=30, check=True)

    assert "2099-01-01" in examine(ops, capsys)[1]["clock"]["what"]


def test_what_lies_beyond_is_asked(ops: Path, capsys: pytest.CaptureFixture[str], tmp_path: Path) -> None:
    """A DNS repository that is not there, a dead name server, a host without a key: each named, with its fix."""
    settings = ops / "inventory/sslops.yaml"
    settings.write_text(
        INVENTORY
        + f"dns: {{repo: {{url: '{tmp_path}/none.git', branch: main}}, tlsa_dirs: [include]}}\n"
        + "dns_primary: [{domain: default, server: 127.0.0.1, port: 1}]\n"
        + "servers: {web: {hosts: [{host: web1.example.com, address: 192.0.2.9, port: 2222}], "
        + "restart_cmd: /bin/true, svc_depends: [[any, [web-ec]]]}}\n"
    )
    service = ops / "inventory/example.com/web-ec.yaml"
    service.write_text(service.read_text() + "dane_tls: [[25, tcp, 3, 1, 1, MX]]\n")
    code, missing = examine(ops, capsys)

    assert ExitCode.FAILED == code
    assert {"dns repository", "name servers", "host keys"} == set(missing)
    assert "127.0.0.1:1" in missing["name servers"]["what"]
    assert "web1.example.com" in missing["host keys"]["what"]
    assert missing["host keys"]["fix"].startswith("ssh-keyscan -p 2222 192.0.2.9 >>inventory/known_hosts")

    (ops / "inventory/known_hosts").write_text("[192.0.2.9]:2222 ssh-ed25519 AAAA\n")

    assert "host keys" not in examine(ops, capsys)[1]


def test_an_unsound_inventory_is_one_finding(ops: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """`check` knows the details."""
    (ops / "inventory/sslops.yaml").write_text("grops: []\n")

    assert "sslops check" == examine(ops, capsys)[1]["inventory"]["fix"]


def test_the_secrets_of_the_jobs_are_named_one_by_one(ops: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """On a laptop, for the forge of the inventory: each with the place it belongs to, and nothing is ill by it."""
    settings = ops / "inventory/sslops.yaml"
    settings.write_text(f"{INVENTORY}repo: {{forge: github, project: infra/certs}}\n")
    run(["-C", str(ops), "doctor", "--json"])
    findings = json.loads(capsys.readouterr().out)["findings"]
    said = {each["what"] for each in findings if each["name"] == "secret" and each["health"] == "note"}

    assert "the job 'renew' needs 'SOPS_AGE_KEY' in the environment 'renew': the age identity of the renew job" in said
    assert any("the job 'roll' needs 'SSLOPS_FORGE_TOKEN' in the environment 'roll'" in each for each in said)
    assert not any("SSLOPS_SSH_KEY" in each for each in said)


def test_in_a_job_a_secret_that_was_not_given_is_missing(
    ops: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    """By the name that its forge has for it."""
    monkeypatch.setenv("FORGEJO_ACTIONS", "true")
    code, missing = examine(ops, capsys, "deploy")

    assert ExitCode.FAILED == code
    assert "the job 'deploy' was not given 'DEPLOY_SOPS_AGE_KEY'" in missing["secret"]["what"]
