"""A TLS and STARTTLS listener that keeps its certificate until it is restarted (see `listener.py`)."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import TYPE_CHECKING

from tests.world import listener
from tests.world.loopback import CONTROL_PORT, SMTP_PORT, TLS_PORT
from tests.world.programs import Program, listens
from tests.world.smtp_port import SmtpPort

if TYPE_CHECKING:
    from collections.abc import Sequence

# Without site packages Python is up in 15 ms; a restart is part of every deploy.
_LISTENER = (sys.executable, "-I", "-S", str(Path(listener.__file__)))


class MailHost(SmtpPort):
    """One listener at *address*, reading from *sources* (as `<prod_cert_dir>/example.com/mail-ec/curr`)."""

    def __init__(
        self,
        folder: Path,
        address: str,
        sources: Sequence[Path],
        *,
        smtp_port: int = SMTP_PORT,
        tls_port: int = TLS_PORT,
        control_port: int = CONTROL_PORT,
    ) -> None:
        """Start it; without a certificate it accepts connections and closes them."""
        super().__init__(address, smtp_port)
        self.folder = folder
        self.tls_port = tls_port
        folder.mkdir(parents=True, exist_ok=True)
        ports = [str(port) for port in (smtp_port, tls_port, control_port)]
        self.restart_cmd = " ".join([*_LISTENER, "restart", address, str(control_port)])
        """What an inventory names as `restart_cmd`."""
        self._program = Program([*_LISTENER, "serve", folder, address, *ports, *sources], folder / "listener.log")
        self._program.wait_until(lambda: listens(address, control_port) and listens(address, smtp_port))

    @property
    def restarts(self) -> tuple[str, ...]:
        """The outcome of every restart so far, in order: `done`, or why it failed."""
        log = self.folder / "restarts.log"
        return tuple(log.read_text().splitlines()) if log.exists() else ()

    def fail_restarts(self, *, fail: bool = True) -> None:
        """Let every restart fail from now on, or work again."""
        flag = self.folder / "fail-restart"
        if fail:
            flag.touch()
        else:
            flag.unlink()

    def slow_restarts(self, seconds: float) -> None:
        """Let a restart take that long."""
        (self.folder / "slow-restart").write_text(str(seconds))

    def linger(self, seconds: float) -> None:
        """Let every second connection meet the old certificate for that long after a restart."""
        (self.folder / "linger").write_text(str(seconds))

    def stop(self) -> None:
        """End it; the ports then refuse."""
        self._program.stop()

    def start(self) -> None:
        """Start it again; it loads what is there now."""
        self._program.start()
        self._program.wait_until(lambda: listens(self.address, self.smtp_port))
