"""The top of this project is an ops repository too: the example inventory, and a state that the engine wrote for it."""

from __future__ import annotations

import shutil
from typing import TYPE_CHECKING

from sslops.cli.main import run
from sslops.errors import ExitCode
from tests.world.ops import PROJECT
from tests.world.remotes import git

if TYPE_CHECKING:
    from pathlib import Path

    import pytest

PARTS = ("inventory", "state", ".sops.yaml", ".gitattributes")


def test_the_top_of_the_project_is_a_sound_ops_repository(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """`check` finds inventory and state sound, and `status` tells of each of its services."""
    for part in PARTS:
        source = PROJECT / part
        copy = shutil.copytree if source.is_dir() else shutil.copy
        copy(source, tmp_path / part)
    git(tmp_path, "init", "--quiet", "--initial-branch", "main")
    git(tmp_path, "add", "--all")
    git(tmp_path, "commit", "--quiet", "--message", "The example")

    assert ExitCode.DONE == run(["-C", str(tmp_path), "check"])
    assert ExitCode.DONE == run(["-C", str(tmp_path), "status"])

    said = capsys.readouterr().out
    services = {path.parent for path in (PROJECT / "state").glob("*/*/slots.yaml")}
    assert len(services) > 3
    assert [] == [str(each) for each in services if each.name not in said]
