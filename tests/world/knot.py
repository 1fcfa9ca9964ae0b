"""One knot: a name server with its files below a folder, steered by `knotc`."""

from __future__ import annotations

import subprocess
from typing import TYPE_CHECKING

from tests.world.peers import need
from tests.world.programs import Program

if TYPE_CHECKING:
    from pathlib import Path


class Knot:
    """A running name server; `stop` and `start` keep its address and what it knows."""

    def __init__(self, home: Path, config: str) -> None:
        """Start it with *config* below *home*, and wait until it can be steered."""
        self._home = home
        (home / "db").mkdir(parents=True)
        (home / "knot.conf").write_text(config)
        self._program = Program([need("knotd"), "-c", home / "knot.conf"], home / "log")
        self._wait()

    def start(self) -> None:
        """Start it again."""
        self._program.start()
        self._wait()

    def stop(self) -> None:
        """End it; its address then refuses."""
        self._program.stop()

    def control(self, *words: str) -> None:
        """Tell it something; AssertionError when it does not obey."""
        done = self._knotc(*words)
        assert done.returncode == 0, f"knotc {words}: {done.stderr.decode()}"

    def lag(self) -> None:
        """Hold a secondary back: it answers what it has now until `follow`."""
        self.control("-b", "zone-freeze")

    def follow(self) -> None:
        """Let a secondary that was held back follow again, at once."""
        self.control("-b", "zone-thaw")
        self.control("zone-refresh")

    def _wait(self) -> None:
        self._program.wait_until(lambda: self._knotc("status").returncode == 0)

    def _knotc(self, *words: str) -> subprocess.CompletedProcess[bytes]:
        socket = self._home / "knot.sock"
        return subprocess.run([need("knotc"), "-s", socket, *words], capture_output=True, check=False, timeout=30)
