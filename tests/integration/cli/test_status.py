"""`sslops status` reads the repository, and nothing else, and changes nothing."""

from __future__ import annotations

import json
import subprocess
import sys
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING

import pytest

from sslops.cli.main import run
from sslops.errors import ExitCode
from sslops.inventory.files import read_folder
from sslops.inventory.loading import load
from sslops.model.change import Change, GenerationFiles, Note
from sslops.model.ledger import HostEntry, Ledger, Served
from sslops.model.names import GenerationId, ServiceId
from sslops.model.state import Generation, Issued, Slots, Status
from sslops.repo.git import Git
from sslops.repo.store import OpsRepo

if TYPE_CHECKING:
    from pathlib import Path

HEAVY = {"acme", "requests", "git", "dns", "jinja2", "pydantic", "cryptography", "rich"}
INVENTORY = {
    "inventory/sslops.yaml": """\
groups: [{domain: example.com, active: true, services: [web-ec]}, {domain: ca, active: true, services: [root]}]
servers: {web: {hosts: [web1, web2], restart_cmd: /bin/true, svc_depends: [[any, [web-ec]]]}}
""",
    "inventory/cas.yaml": "root: {ca_type: self}\n",
    "inventory/ca/root.yaml": "name: Root\nsigning_ca: self\nca: {sign_end_days: 90}\nx509: {CN: Root}\n",
    "inventory/example.com/web-ec.yaml": "name: Web\nsigning_ca: root\nx509: {sans: [www.example.com]}\n",
}
WEB = ServiceId("example.com", "web-ec")
KEY = GenerationId("20261124T143000Z-9b1c")


@pytest.fixture
def ops(tmp_path: Path) -> Path:
    """Make an ops repository whose one leaf is live on web1, and unknown on web2."""
    folder = tmp_path / "ops"
    for path, text in INVENTORY.items():
        (folder / path).parent.mkdir(parents=True, exist_ok=True)
        (folder / path).write_text(text)
    for arguments in (["init", "-q", "-b", "main"], ["add", "--all"], ["commit", "-q", "-m", "inventory"]):
        subprocess.run(["git", "-C", str(folder), *arguments], timeout=30, check=True)
    now = datetime.now(UTC).replace(microsecond=0)
    issued = Issued(now, "01", "root", now, now + timedelta(days=89.55), ("www.example.com",), "cc" * 32)
    facts = (
        KEY,
        Status.ISSUED,
        now,
        "root",
        None,
        "first",
        None,
        "ec",
        "secp384r1",
        "9b1c" * 16,
        "dd" * 32,
        None,
        issued,
    )
    files = GenerationFiles(Generation(*facts), b"csr", b"cert", b"", b"{}")
    repository = OpsRepo(Git.discover(folder), load(read_folder(folder)).repo)
    roll = Change(
        "roll", WEB, str(KEY), "It is time.", Slots(curr=KEY, renew_at=now + timedelta(days=60)), KEY, (files,)
    )
    snapshot = repository.write_roll(repository.snapshot(), [roll])
    served = Ledger(hosts={"web1": HostEntry(1, {WEB: Served((KEY,), now, "port")})})
    repository.write_ledger(snapshot, served, Note("deploy", "web1", "It was asked."))
    return folder


def refs(folder: Path) -> str:
    """Return every ref of the repository and the state of its work tree."""
    commands = (["for-each-ref"], ["status", "--porcelain"])
    return "".join(
        subprocess.run(["git", "-C", str(folder), *each], capture_output=True, text=True, timeout=30, check=True).stdout
        for each in commands
    )


def test_a_certificate_that_has_expired_is_a_failure(ops: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Whoever only looks at exit codes hears of it, in every form."""
    late = datetime.now(UTC) + timedelta(days=90)
    monkeypatch.setattr("sslops.cli.main.datetime", type("Later", (datetime,), {"now": lambda tz: late}))  # noqa: ARG005

    assert [1, 1, 1] == [run(["-C", str(ops), "status", *form]) for form in ([], ["--json"], ["--markdown"])]


def test_the_report_is_told_from_branches_and_ledger(ops: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """Phase, days, and each host with what it may serve; unknown is null."""
    assert ExitCode.DONE == run(["-C", str(ops), "status", "example.com", "--json"])
    document = json.loads(capsys.readouterr().out)
    (web,) = document["services"]

    assert document["fetched_at"] is None
    assert ("deploying", KEY, 89.5) == (web["phase"], web["curr"], web["days_left"])
    assert {"web1": [KEY], "web2": [None]} == web["hosts"]
    assert [("renew", "renewal"), ("deploy", "not yet verified on this host: web2")] == [
        (wait["for"], wait["why"]) for wait in web["waits"]
    ]


def test_it_changes_nothing(ops: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """Read-only, always: not one ref, not one file."""
    before = refs(ops)
    for arguments in ([], ["--json"], ["--markdown"]):
        run(["-C", str(ops), "status", *arguments])

    assert before == refs(ops)


def test_it_works_in_a_folder_that_cannot_be_written(ops: Path) -> None:
    """Whoever may read the repository may read its status; no program but git is run."""
    program = f"import os, sys\nfrom sslops.cli.main import run\nsys.exit(run(['-C', {str(ops)!r}, 'status']))"
    subprocess.run(["chmod", "-R", "a-w", str(ops)], timeout=30, check=True)
    try:
        done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, timeout=60, check=False)
    finally:
        subprocess.run(["chmod", "-R", "u+w", str(ops)], timeout=30, check=True)

    assert (0, "") == (done.returncode, done.stderr)


def test_it_loads_nothing_heavy(ops: Path) -> None:
    """A glance must not cost half a second of imports."""
    program = (
        f"import sys\nfrom sslops.cli.main import run\nrun(['-C', {str(ops)!r}, 'status'])\n"
        "print(*sorted(name for name in sys.modules if '.' not in name))"
    )
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, timeout=60, check=True)

    assert set() == HEAVY & set(done.stdout.splitlines()[-1].split())


def test_only_fetch_asks_the_remote(ops: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """Without `--fetch` state is as last fetched, and says how old that is."""
    remote = tmp_path / "remote.git"
    subprocess.run(["git", "clone", "-q", "--bare", str(ops), str(remote)], timeout=30, check=True)
    clone = tmp_path / "clone"
    subprocess.run(["git", "clone", "-q", str(remote), str(clone)], timeout=30, check=True)
    remote.rename(tmp_path / "gone.git")

    assert ExitCode.DONE == run(["-C", str(clone), "status"])
    assert ExitCode.FAILED == run(["-C", str(clone), "status", "--fetch"])
    (tmp_path / "gone.git").rename(remote)
    assert ExitCode.DONE == run(["-C", str(clone), "status", "--fetch"])
    assert "; fetched 0 s ago" in capsys.readouterr().out


def test_an_unknown_target_is_a_usage_error(ops: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """A misspelt group is told with the one that was meant."""
    assert ExitCode.USAGE == run(["-C", str(ops), "status", "example.con"])
    assert "did you mean 'example.com'?" in capsys.readouterr().err


def test_an_unsound_inventory_is_told_as_check_tells_it(ops: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """Nothing is guessed about a broken inventory."""
    (ops / "inventory/cas.yaml").write_text("root: {ca_tipe: self}\n")

    assert ExitCode.FAILED == run(["-C", str(ops), "status"])
    assert "at inventory/cas.yaml:1:" in capsys.readouterr().err
