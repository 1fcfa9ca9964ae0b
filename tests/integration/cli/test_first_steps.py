"""A repository begun small: no DNS repository at first, then one, then a remote that was only just added."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from pathlib import Path

import pytest

from sslops.cli.main import run
from sslops.errors import ExitCode
from tests.world.ops import PROJECT
from tests.world.peers import need

SMALL = """\
groups:
  - {domain: example.net, active: true, services: ALL}
  - {domain: ca, active: true, services: ALL}
"""


def git(folder: Path, *arguments: str) -> str:
    """Return what git says in *folder*."""
    return subprocess.run(
        ["git", "-C", str(folder), "-c", "user.name=A Person", "-c", "user.email=person@example.com", *arguments],
        capture_output=True,
        text=True,
        timeout=30,
        check=True,
    ).stdout.strip()


@pytest.fixture
def ops(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Give a new repository with one leaf, no servers and no DNS repository."""
    need("git")
    monkeypatch.setenv("XDG_CONFIG_HOME", str(tmp_path / "config"))
    run(["init", str(tmp_path / "ops")])
    (tmp_path / "ops/inventory/sslops.yaml").write_text(SMALL)
    git(tmp_path / "ops", "rm", "-rq", "inventory/example.com")
    git(tmp_path / "ops", "commit", "-qam", "Begin small")
    return tmp_path / "ops"


@pytest.mark.parametrize("apply", [[], ["--apply"]])
def test_without_a_dns_repository_there_is_nothing_to_publish(ops: Path, apply: list[str]) -> None:
    """A dry-run says the same as the run it announces."""
    assert ExitCode.DONE == run(["-C", str(ops), "publish", *apply])


def test_a_remote_that_was_only_just_added_is_fetched(ops: Path, tmp_path: Path) -> None:
    """`git remote add` brings no branches; `--apply` fetches before it looks for them."""
    git(tmp_path, "clone", "-q", "--bare", str(ops), str(tmp_path / "remote.git"))
    git(ops, "remote", "add", "origin", str(tmp_path / "remote.git"))

    assert ExitCode.DONE == run(["-C", str(ops), "renew", "--apply"])
    assert "next" in git(tmp_path / "remote.git", "branch", "--list", "next")


def test_who_takes_over_from_a_run_that_died_tells_the_name_servers(ops: Path, tmp_path: Path) -> None:
    """A run may die between its merge and `dns.restart_cmd`; then nobody else would ever load the zone."""
    dns, told = tmp_path / "dns.git", tmp_path / "told"
    git(tmp_path, "init", "-q", "-b", "main", str(tmp_path / "zones"))
    git(tmp_path / "zones", "commit", "-q", "--allow-empty", "-m", "zones")
    git(tmp_path, "clone", "-q", "--bare", str(tmp_path / "zones"), str(dns))
    settings = f"dns: {{repo: {{url: {dns}}}, tlsa_dirs: [include], restart_cmd: /usr/bin/touch {told}}}\n"
    (ops / "inventory/sslops.yaml").write_text(SMALL + settings)
    git(ops, "commit", "-qam", "A DNS repository")
    assert ExitCode.DONE == run(["-C", str(ops), "publish", "--apply"])

    told.unlink()
    git(ops, "update-ref", "refs/heads/ledger", "ledger~1")
    assert ExitCode.DONE == run(["-C", str(ops), "publish", "--apply"])

    assert told.exists()
    assert "pending: null" in git(ops, "show", "ledger:tlsa/example.net.yaml").splitlines()


def test_name_servers_that_are_not_told_are_a_failure(
    ops: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """What was published stays published; the run ends in 1 and says what to run by hand."""
    dns = tmp_path / "dns.git"
    git(tmp_path, "init", "-q", "-b", "main", str(tmp_path / "zones"))
    git(tmp_path / "zones", "commit", "-q", "--allow-empty", "-m", "zones")
    git(tmp_path, "clone", "-q", "--bare", str(tmp_path / "zones"), str(dns))
    settings = f"dns: {{repo: {{url: {dns}}}, tlsa_dirs: [include], restart_cmd: /bin/false}}\n"
    (ops / "inventory/sslops.yaml").write_text(SMALL + settings)
    git(ops, "commit", "-qam", "A DNS repository")
    capsys.readouterr()

    assert ExitCode.FAILED == run(["-C", str(ops), "publish", "--apply"])
    assert "sslops: error: dns.restart_cmd failed" in capsys.readouterr().err
    assert "tlsa.example.net" in git(dns, "ls-tree", "-r", "--name-only", "main")


def test_a_dns_repository_that_is_away_is_named(ops: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """git alone would not say which repository it could not read."""
    settings = f"dns: {{repo: {{url: {tmp_path / 'nowhere.git'}}}, tlsa_dirs: [include]}}\n"
    (ops / "inventory/sslops.yaml").write_text(SMALL + settings)
    git(ops, "commit", "-qam", "A DNS repository")
    capsys.readouterr()

    assert ExitCode.FAILED == run(["-C", str(ops), "publish", "--apply"])

    said = capsys.readouterr().err

    assert "the DNS repository cannot be fetched" in said
    assert "hint: dns.repo.url" in said


def test_a_run_says_only_once_that_the_work_tree_differs(
    ops: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """It is several verbs in one, and each of them looks."""
    git(ops, "clone", "-q", "--bare", str(ops), str(tmp_path / "remote.git"))
    git(ops, "remote", "add", "origin", str(tmp_path / "remote.git"))
    (ops / "README").write_text("changed\n")
    git(ops, "add", "README")
    git(ops, "commit", "-qm", "Not pushed")
    capsys.readouterr()
    run(["-C", str(ops), "run", "--apply"])

    assert 1 == capsys.readouterr().err.count("differ")


def test_the_ten_minutes_can_be_typed_word_for_word(tmp_path: Path) -> None:
    """Every block of docs/getting-started.md in one shell with a new home: the second certificate is served."""
    page = (PROJECT / "docs/getting-started.md").read_text()
    part = page.partition("## Ten minutes\n")[2].partition("\n## ")[0]
    blocks = re.findall(r"^```sh\n(.*?)^```$", part, re.DOTALL | re.MULTILINE)
    path = os.pathsep.join([str(Path(sys.executable).parent), os.environ["PATH"]])
    done = subprocess.run(
        ["bash", "--norc", "-euc", "\n".join(blocks)],
        cwd=tmp_path,
        env={"HOME": str(tmp_path), "PATH": path},
        capture_output=True,
        text=True,
        timeout=300,
        check=False,
    )

    assert 0 == done.returncode, done.stdout + done.stderr
    assert 4 == len(blocks)
    assert "example.com/web  ready" in done.stdout
    assert 2 == done.stdout.count("deploy: 1 done")
    served = (tmp_path / "served/example.com/web/curr/info").read_text()
    assert re.findall(r" roll\(example.com/web\): (\S+) is live", done.stdout)[0] in served
