"""The demo tells its story to the end, and every claim it makes holds."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

from tests.world.leaks import holds_key


def test_the_whole_demo_holds(tmp_path: Path) -> None:
    """Both cycles on real parts: every claim is `ok`, nothing is written elsewhere, and the log has no key."""
    before, log = set(Path.home().rglob("*")), tmp_path / "debug.log"
    command = [sys.executable, "-m", "sslops", "--log", str(log), "demo", str(tmp_path / "demo")]
    done = subprocess.run(command, capture_output=True, text=True, timeout=180, check=False)
    claims = [line for line in done.stdout.splitlines() if line.startswith(("ok ", "BROKEN "))]

    assert (0, []) == (done.returncode, [line for line in claims if not line.startswith("ok ")]), done.stderr
    assert len(claims) >= 8
    assert "the roll waits" in done.stdout
    assert before == set(Path.home().rglob("*"))
    steps = log.read_text()
    assert [True] * 4 == [word in steps for word in ("sops", "effect: push", "effect: ssh", "TLSA")]
    assert not holds_key(log.read_bytes())


def test_a_folder_with_something_in_it_is_refused(tmp_path: Path) -> None:
    """The demo never mixes with anything."""
    (tmp_path / "notes").touch()
    command = [sys.executable, "-m", "sslops", "demo", str(tmp_path)]

    assert 2 == subprocess.run(command, capture_output=True, timeout=60, check=False).returncode
    assert ["notes"] == [path.name for path in tmp_path.iterdir()]
