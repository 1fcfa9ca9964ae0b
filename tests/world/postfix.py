"""A real mail server: postfix with STARTTLS, its whole life below one folder. Root only, as postfix is.

It reads certificate and key when it starts and when it is reloaded, as a site's own postfix does.
"""

from __future__ import annotations

import os
import shutil
import subprocess
from typing import TYPE_CHECKING

from tests.world.loopback import SMTP_PORT, bracketed, fresh_address
from tests.world.peers import missing, need
from tests.world.programs import Program, listens
from tests.world.smtp_port import SmtpPort

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path


class Postfix(SmtpPort):
    """One postfix at `address`, serving *source*/`fullchain.pem` and `privkey.pem`; `restart_cmd` reloads it."""

    def __init__(
        self,
        folder: Path,
        source: Path,
        *,
        address: str | None = None,
        smtp_port: int = SMTP_PORT,
        others: Sequence[str] = (),
    ) -> None:
        """Start it, on *others* too; without the files it speaks no TLS until they are there and it was reloaded."""
        super().__init__(address or fresh_address(), smtp_port)
        if os.geteuid() != 0:
            missing("postfix can be started by root only")
        self.folder = folder
        self.addresses = (self.address, *others)
        self.config = folder / "config"
        self._lay_out(source)
        self.restart_cmd = f"{need('postfix')} -c {self.config} reload"
        # `postfix start` would detach, and outlive a test run that is killed.
        words = [self._setting("daemon_directory") + "/master", "-c", str(self.config), "-d"]
        self._program = Program(words, folder / "postfix.log")
        self._wait()

    def configure(self, line: str) -> None:
        """Set a parameter of `main.cf`; it counts from the next `restart_cmd` on."""
        subprocess.run([need("postconf"), "-c", self.config, "-e", line], check=True, capture_output=True, timeout=30)

    def start(self) -> None:
        """Start it and wait until it greets."""
        self._program.start()
        self._wait()

    def stop(self) -> None:
        """End it."""
        self._program.stop()

    def _wait(self) -> None:
        self._program.wait_until(lambda: all(listens(each, self.smtp_port) for each in self.addresses))

    def _setting(self, name: str) -> str:
        words = [str(need("postconf")), "-c", str(self.config), "-h", name]
        return subprocess.run(words, check=True, capture_output=True, timeout=30, text=True).stdout.strip()

    def _lay_out(self, source: Path) -> None:
        for folder, owner in (
            (self.config, "root"),
            (self.folder / "queue", "root"),
            (self.folder / "data", "postfix"),
        ):
            folder.mkdir(parents=True, mode=0o755)
            shutil.chown(folder, owner)
        (self.folder / "data").chmod(0o700)
        # postfix drops its privileges and has to get through to its folders.
        for above in (self.folder, *self.folder.parents[:1]):
            above.chmod(0o755)
        (self.config / "main.cf").write_text(self._main_cf(source))
        (self.config / "master.cf").write_text(self._master_cf())
        subprocess.run([need("postfix"), "-c", self.config, "check"], check=True, capture_output=True, timeout=60)

    def _main_cf(self, source: Path) -> str:
        return f"""\
compatibility_level = 3.6
queue_directory = {self.folder}/queue
data_directory = {self.folder}/data
maillog_file = {self.folder}/mail.log
maillog_file_prefixes = {self.folder}
myhostname = mail.example.com
mydestination =
# An address of 127.0.0.0/8 is none of an interface: postfix takes it in master.cf only.
inet_interfaces = loopback-only
smtpd_peername_lookup = no
alias_maps =
local_recipient_maps =
smtpd_tls_security_level = may
smtpd_tls_chain_files = {source}/privkey.pem, {source}/fullchain.pem
"""

    def _master_cf(self) -> str:
        ports = "\n".join(f"{bracketed(each)}:{self.smtp_port} inet n - n - - smtpd" for each in self.addresses)
        return f"""\
{ports}
postlog unix-dgram n - n - 1 postlogd
cleanup unix n - n - 0 cleanup
rewrite unix - - n - - trivial-rewrite
proxymap unix - - n - - proxymap
anvil unix - - n - 1 anvil
tlsmgr unix - - n 1000? 1 tlsmgr
"""
