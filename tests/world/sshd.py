"""Servers reached by ssh: each has an sshd of its own (own address, own host key) and a folder for certificates.

The engine's ssh client reads the person's ssh_config; here it is told of another one by `SSLOPS_SSH_CONFIG`, which
names the login key. Host keys are pinned by the inventory's `known_hosts`, under the host's name and under its address.
"""

from __future__ import annotations

import getpass
import os
import subprocess
from typing import TYPE_CHECKING

from tests.world.loopback import SSH_PORT, fresh_address
from tests.world.peers import need
from tests.world.programs import Program, listens

if TYPE_CHECKING:
    from pathlib import Path

CONFIG_VARIABLE = "SSLOPS_SSH_CONFIG"


class Login:
    """The key that logs in everywhere, and the ssh_config that names it."""

    def __init__(self, folder: Path) -> None:
        """Make both below *folder*."""
        folder.mkdir(parents=True)
        self.key = _new_key(folder / "login")
        self.public = self.key.with_suffix(".pub").read_text()
        self.config = folder / "config"
        self.config.write_text(f"Host *\n    IdentityFile {self.key}\n    IdentitiesOnly yes\n    IdentityAgent none\n")

    @property
    def environment(self) -> dict[str, str]:
        """What the engine's environment needs to log in."""
        return {CONFIG_VARIABLE: str(self.config)}


class SshHost:
    """One server *name*: `address`, `port`, `user`, and `prod_cert_dir` below its folder."""

    def __init__(
        self, folder: Path, name: str, login: Login, *, address: str | None = None, port: int = SSH_PORT
    ) -> None:
        """Start an sshd that lets *login* in."""
        self.name = name
        self.folder = folder
        self.address = address or fresh_address()
        self.port = port
        self.user = getpass.getuser()
        self.prod_cert_dir = folder / "prod-certs"
        self.prod_cert_dir.mkdir(parents=True)
        (folder / "bin").mkdir()
        self._host_key = _new_key(folder / "host_key")
        (folder / "authorized_keys").write_text(login.public)
        (folder / "sshd_config").write_text(self._config())
        _make_privilege_separation_possible()
        self._program = Program([need("sshd"), "-D", "-e", "-f", folder / "sshd_config"], folder / "sshd.log")
        self._wait()

    @property
    def known_hosts(self) -> str:
        """The line for `inventory/known_hosts`: by name, by address, by address and port."""
        key = " ".join(self._host_key.with_suffix(".pub").read_text().split()[:2])
        return f"{self.name},{self.address},[{self.name}]:{self.port},[{self.address}]:{self.port} {key}\n"

    @property
    def log(self) -> str:
        """What sshd has said so far."""
        return self._program.log.read_text(errors="replace")

    def install(self, command: str, script: str) -> None:
        """Put *script* on the server's PATH as *command*."""
        path = self.folder / "bin" / command
        path.write_text(script)
        path.chmod(0o755)

    def change_host_key(self) -> None:
        """Let the server show another host key, as after a reinstallation, or an attack."""
        self.stop()
        for path in (self._host_key, self._host_key.with_suffix(".pub")):
            path.unlink()
        _new_key(self._host_key)
        self.start()

    def stop(self) -> None:
        """End sshd; new connections are refused. Sessions that are open live on, as they would."""
        self._program.stop()

    def start(self) -> None:
        """Start it again at the same place."""
        self._program.start()
        self._wait()

    def _wait(self) -> None:
        self._program.wait_until(lambda: listens(self.address, self.port))

    def _config(self) -> str:
        return f"""\
ListenAddress {self.address}
Port {self.port}
HostKey {self._host_key}
PidFile none
AuthorizedKeysFile {self.folder}/authorized_keys
# The keys lie below a temporary folder that everybody may write to.
StrictModes no
UsePAM {"yes" if _is_locked(self.user) else "no"}
PasswordAuthentication no
KbdInteractiveAuthentication no
PermitRootLogin prohibit-password
PrintMotd no
UseDNS no
MaxStartups 100
MaxSessions 100
# A bash that believes to be nested leaves the .bashrc of whoever runs the tests alone.
SetEnv SHLVL=2 PATH={self.folder}/bin:/usr/local/bin:/usr/bin:/bin:/usr/sbin:/sbin
"""


def _new_key(path: Path) -> Path:
    words: list[str | Path] = [need("ssh-keygen"), "-q", "-t", "ed25519", "-N", "", "-C", path.name, "-f", path]
    subprocess.run(words, check=True, timeout=30, stdin=subprocess.DEVNULL)
    return path


def _make_privilege_separation_possible() -> None:
    # sshd as root insists on this empty folder, which Debian makes only when the service starts.
    if os.geteuid() == 0:
        os.makedirs("/run/sshd", mode=0o755, exist_ok=True)  # noqa: PTH103  (a fact about the machine, not about a world)


def _is_locked(user: str) -> bool:
    # Without PAM sshd refuses accounts whose password field starts with "!".
    if os.geteuid() != 0:
        return False
    done = subprocess.run(["getent", "shadow", user], capture_output=True, check=False, timeout=30, text=True)
    return done.stdout.partition(":")[2].startswith("!")
