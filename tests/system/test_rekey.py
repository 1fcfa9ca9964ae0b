"""A recipient joins or leaves: every key of state/ is wrapped anew, and each verb goes on with it."""

from __future__ import annotations

import subprocess
from typing import TYPE_CHECKING

import pyrage

from sslops.secrets.sops import find_sops
from tests.system.test_next_lies import Desk

if TYPE_CHECKING:
    from pathlib import Path


def opens(desk: Desk, branch: str, identity: str, service: str = "example.com/a") -> bool:
    """Whether *identity* opens the live key of a service as *branch* has it, with sops itself."""
    live = desk.slot("curr", service.rpartition("/")[2]) if service.startswith("example") else ""
    path = f"state/{service}/{live}/privkey.pem.sops"
    done = subprocess.run(
        [find_sops({}), "decrypt", "--input-type=binary", "--output-type=binary", "/dev/stdin"],
        input=f"{desk.ops.show(branch, path)}\n".encode(),
        env={"SOPS_AGE_KEY": identity, "HOME": str(desk.ops.folder)},
        capture_output=True,
        check=False,
        timeout=60,
    )
    return done.returncode == 0 and b"PRIVATE KEY" in done.stdout


def test_who_joins_opens_every_key_and_who_leaves_none_of_the_new_files(tmp_path: Path) -> None:
    """One commit on next; what a leaver still reads is said, with the commands that replace it."""
    desk = Desk(tmp_path)
    joiner, renewer = pyrage.x25519.Identity.generate(), desk.ops.identities.path("renew").read_text()
    leaver, config = desk.ops.identities.recipients["deploy"], f"{desk.ops.show('main', '.sops.yaml')}\n"
    deployer = desk.ops.identities.path("deploy").read_text().strip()
    joined = config.replace(leaver, f"{leaver},{joiner.to_public()}")
    desk.ops.edit({".sops.yaml": joined}, "a colleague joins")
    desk.ops.git("pull", "--quiet", "--ff-only")
    planned, check = desk.run("rekey", "--fetch").succeeded(), desk.run("check").succeeded()
    before = desk.ops.refs()["next"]
    desk.run("rekey", "--apply").succeeded()
    commits = desk.ops.git_remote("log", "--no-merges", "--format=%s", f"{before}..next", "--", "state").splitlines()

    assert f"for age:{joiner.to_public()}" in " ".join(planned.stdout.split())
    assert "can still open" not in planned.stderr
    assert "so it is with 2 documents" in check.stderr
    assert ["rekey: 2 documents for the recipients of .sops.yaml"] == commits
    assert (True, False) == (opens(desk, "next", str(joiner)), opens(desk, "main", str(joiner)))
    assert "nothing to do" in desk.run("rekey", "--apply").succeeded().stdout

    desk.ops.edit({".sops.yaml": joined.replace(f"{leaver},", "")}, "another one leaves")
    told = desk.run("rekey", "--apply").succeeded().stderr

    assert (False, True) == (opens(desk, "next", deployer), opens(desk, "next", str(joiner)))
    assert opens(desk, "main", deployer)
    assert f"age:{leaver} can still open in git history" in told
    assert "sslops renew example.com/a --force --new-key" in told
    assert "ca/" not in told

    desk.ops.identities.path("deploy").write_text(f"{joiner}\n")
    desk.renew("a")
    desk.run("roll", "--apply").succeeded()
    desk.ops.git("pull", "--quiet", "--ff-only")
    desk.run("check").succeeded()
    desk.run("audit").succeeded()

    assert opens(desk, "main", str(joiner), "example.com/b")
    assert renewer == desk.ops.identities.path("renew").read_text()


def test_what_no_identity_here_opens_is_a_failure_and_the_rest_is_done(tmp_path: Path) -> None:
    """Keys of services go on where those of the CAs cannot be opened; nothing is lost."""
    desk = Desk(tmp_path)
    joiner = str(pyrage.x25519.Identity.generate().to_public())
    config = f"{desk.ops.show('main', '.sops.yaml')}\n"
    for recipient in desk.ops.identities.recipients.values():
        config = config.replace(recipient, f"{recipient},{joiner}")
    desk.ops.edit({".sops.yaml": config}, "a colleague joins")
    desk.ops.identities.take_away("renew")
    done = desk.run("rekey", "--apply")
    left = desk.run("rekey", "--fetch").succeeded().stdout

    assert 1 == done.exit_code
    assert done.stderr.count("no identity here opens 'state/ca/") == 2
    assert (2, 0) == (left.count("rewrap"), left.count("example.com"))
