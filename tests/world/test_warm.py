"""What a forked command line is like: a process of its own, with its own environment, folder, streams and end."""

from __future__ import annotations

import signal
import subprocess
from typing import TYPE_CHECKING

import pytest

from tests.world.ops import bare_environment
from tests.world.programs import wait_until
from tests.world.warm import Process

if TYPE_CHECKING:
    from pathlib import Path


@pytest.mark.parametrize(
    ("words", "ends"),
    [
        (["sslops", "--version"], (0, "sslops ", "")),
        (["sslops", "nonsense"], (2, "", "no verb 'nonsense'")),
        (["sslops.no_such_module"], (1, "", "ImportError")),
    ],
)
def test_it_ends_as_it_would_by_itself(tmp_path: Path, words: list[str], ends: tuple[int, str, str]) -> None:
    """With its exit code, its output and its complaints, each where it belongs."""
    process = Process(words, bare_environment(), tmp_path)
    out, err = process.communicate(60)
    code, said, complained = ends

    assert code == process.returncode
    assert (said in out, complained in err) == (True, True), (out, err)
    assert bool(said) == bool(out)
    assert bool(complained) == bool(err)


def test_it_has_its_own_environment_and_folder(tmp_path: Path) -> None:
    """Nothing of the command before, nor of the server, which never changes."""
    for name in ("one", "two"):
        (tmp_path / name).mkdir()
        process = Process(["tests.world.told"], bare_environment() | {"NAME": name}, tmp_path / name)

        assert f"{tmp_path / name} LC_ALL NAME=two NO_COLOR PATH PYTHONPATH TZ".replace("two", name) == (
            process.communicate(60)[0].strip()
        )


def test_it_can_be_held_and_killed(tmp_path: Path) -> None:
    """By signals, as any process can."""
    process = Process(["tests.world.told", "sleep"], bare_environment(), tmp_path)
    with pytest.raises(subprocess.TimeoutExpired):
        process.wait(0.05)

    assert (None, False) == (process.poll(), process.is_held)

    process.send_signal(signal.SIGSTOP)
    wait_until(lambda: process.is_held, lambda: "it goes on")
    process.kill()

    assert -signal.SIGKILL == process.wait(60)
    assert not process.is_held
