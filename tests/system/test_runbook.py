"""Rows of docs/runbook.md that no other test carries out: a lost identity, a forge that is gone."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pyrage

from tests.system.test_next_lies import Desk
from tests.world.remotes import bare_repository, git

if TYPE_CHECKING:
    from pathlib import Path


def test_a_lost_deploy_identity_costs_new_keys_and_nothing_else(tmp_path: Path) -> None:
    """Nobody opens the old keys any more: services get new ones for a new recipient, and all goes on."""
    desk = Desk(tmp_path)
    old, config = desk.slot("curr"), f"{desk.ops.show('main', '.sops.yaml')}\n"
    lost, found = desk.ops.identities.recipients["deploy"], pyrage.x25519.Identity.generate()
    desk.ops.identities.path("deploy").write_text(f"{found}\n")
    desk.ops.edit({".sops.yaml": config.replace(lost, str(found.to_public()))}, "a new deploy identity")
    rekey = desk.run("rekey", "--apply")
    desk.run("renew", "example.com", "--force", "--new-key", "--reason", "the identity is lost", "--apply").succeeded()
    desk.run("roll", "--apply").succeeded()

    assert 1 == rekey.exit_code
    assert "no identity here opens" in rekey.stderr
    assert old != desk.slot("curr")
    assert str(found.to_public()) in desk.ops.show("main", f"state/example.com/a/{desk.slot('curr')}/privkey.pem.sops")

    desk.ops.git("pull", "--quiet", "--ff-only")
    desk.run("check").succeeded()


def test_a_repository_whose_remote_is_gone_goes_on_at_another_one(tmp_path: Path) -> None:
    """Any clone has all branches and the engine's own refs: pushed elsewhere, every verb goes on there."""
    desk = Desk(tmp_path)
    desk.renew("a")
    before, elsewhere = desk.ops.refs(), bare_repository(tmp_path / "elsewhere.git")
    desk.ops.git("fetch", "--quiet", "origin", "+refs/heads/*:refs/remotes/origin/*", "+refs/sslops/*:refs/sslops/*")
    assert desk.ops.remote is not None
    desk.ops.remote.rename(tmp_path / "gone.git")
    refspecs = ("refs/remotes/origin/*:refs/heads/*", "refs/sslops/*:refs/sslops/*")
    desk.ops.git("remote", "set-head", "origin", "--delete")
    desk.ops.git("push", "--quiet", str(elsewhere), *refspecs)
    desk.ops.git("remote", "set-url", "origin", str(elsewhere))

    moved = dict(
        line.split(" ")
        for line in git(elsewhere, "for-each-ref", "--format=%(refname:short) %(objectname)", "refs/heads").splitlines()
    )

    assert before == moved

    desk.run("roll", "--apply").succeeded()
    live = git(elsewhere, "show", "main:state/example.com/a/slots.yaml")

    assert f'curr: "{desk_next(before, elsewhere)}"' in live


def desk_next(before: dict[str, str], remote: Path) -> str:
    """Return what was staged of service a before the move."""
    lines = git(remote, "show", f"{before['next']}:state/example.com/a/slots.yaml").splitlines()
    return next(line.partition('"')[2].rstrip('"') for line in lines if line.startswith("next:"))
