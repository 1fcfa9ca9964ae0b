"""The OpenSSH client: the person's ssh_config, agent and jump hosts count, host keys are the inventory's alone.

One connection per host is shared by all calls of a run; nothing is asked at the terminal, and every call ends in time.
"""

from __future__ import annotations

import os
import re
import shlex
import subprocess
import tempfile
from pathlib import Path
from typing import TYPE_CHECKING, Self

from sslops.adapters.environment import without_secrets
from sslops.adapters.known_hosts import pinned
from sslops.adapters.pipe_channel import PipeChannel
from sslops.adapters.piped_process import Finished, run_piped
from sslops.errors import SshError

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence

    from sslops.model.inventory import Host

CONFIG_VARIABLE = "SSLOPS_SSH_CONFIG"
"""Names an ssh_config to use instead of the person's own: in CI there is no person."""

CONNECT_SECONDS = 10
FORWARD_SECONDS = 20
"""For a forwarded connection, which may have to log in first."""
_SHARED_SECONDS = 30
_LONGEST_FOLDER = 48
SSH_FAILED = 255
"""What ssh exits with when it, and not the remote command, failed."""

_OPTIONS = {
    "BatchMode": "yes",
    "StrictHostKeyChecking": "yes",
    "GlobalKnownHostsFile": "/dev/null",
    "KnownHostsCommand": "none",
    "UpdateHostKeys": "no",
    "VerifyHostKeyDNS": "no",
    "CheckHostIP": "no",
    "ConnectTimeout": str(CONNECT_SECONDS),
    "ConnectionAttempts": "1",
    "ServerAliveInterval": "10",
    "ServerAliveCountMax": "3",
    "ControlMaster": "auto",
    "ControlPersist": str(_SHARED_SECONDS),
    "ForwardAgent": "no",
    "ForwardX11": "no",
    "PermitLocalCommand": "no",
    "RemoteCommand": "none",
    "RequestTTY": "no",
    "LogLevel": "ERROR",
}
"""What a person's ssh_config must not decide here."""


class Ssh:
    """Runs commands on hosts. Use it as a context: the private folder with socket and host keys goes at its end."""

    def __init__(self, known_hosts: str, hosts: Iterable[Host], *, environ: Mapping[str, str]) -> None:
        """Trust the keys in *known_hosts* (the text of `inventory/known_hosts`) for *hosts*, and no others."""
        self._known_hosts = pinned(known_hosts, hosts)
        self._config = environ.get(CONFIG_VARIABLE)
        self._environ = {**without_secrets(environ), "LC_ALL": "C"}
        self._folder: Path | None = None
        self._used: dict[str, Host] = {}

    def __enter__(self) -> Self:
        """Make the private folder."""
        self._folder = _private_folder()
        (self._folder / "known_hosts").write_text(self._known_hosts)
        return self

    def __exit__(self, *_: object) -> None:
        """Close the shared connections and remove the folder."""
        for host in self._used.values():
            self._close(host)
        # A master that was told to end removes its socket by itself, perhaps at this moment.
        for path in self._opened.iterdir():
            path.unlink(missing_ok=True)
        self._opened.rmdir()
        self._folder = None

    def run(self, host: Host, command: Sequence[str], *, payload: bytes, timeout_seconds: float) -> Finished:
        """Run *command* on *host*, each word quoted for its login shell, with *payload* on stdin; SshError: no ssh."""
        self._used[host.name] = host
        words = [*self.client(host), "--", host.address, shlex.join(command)]
        try:
            return run_piped(words, payload=payload, environ=self._environ, timeout_seconds=timeout_seconds)
        except FileNotFoundError:
            message = "no program 'ssh'"
            raise SshError(message, hint="apt-get install openssh-client") from None

    def connect(self, host: Host, address: str, port: int) -> PipeChannel:
        """Return a connection from *host* to *address*:*port*, through `ssh -W`; OSError when there is no ssh."""
        self._used[host.name] = host
        target = f"[{address}]:{port}" if ":" in address else f"{address}:{port}"
        words = [*self.client(host), "-W", target, "--", host.address]
        return PipeChannel(words, self._environ, FORWARD_SECONDS)

    def client(self, host: Host) -> list[str]:
        """Return `ssh` and its options for *host*, without address and command."""
        options = {
            **_OPTIONS,
            "UserKnownHostsFile": str(self._opened / "known_hosts"),
            "HostKeyAlias": host.name,
            "ControlPath": str(self._opened / "%C"),
        }
        words = ["ssh", *(("-F", self._config) if self._config else ()), "-T"]
        for name, value in options.items():
            words += ["-o", f"{name}={value}"]
        # Without these the person's ssh_config decides.
        words += ["-p", str(host.port)] if host.port != 22 else []  # noqa: PLR2004  (ssh)
        words += ["-l", host.user] if host.user else []
        return words

    @property
    def _opened(self) -> Path:
        if self._folder is None:
            message = "Ssh is used outside its context"
            raise RuntimeError(message)
        return self._folder

    def _close(self, host: Host) -> None:
        words = [*self.client(host), "-O", "exit", "--", host.address]
        subprocess.run(words, env=self._environ, timeout=CONNECT_SECONDS, check=False, capture_output=True)


class LocalShell:
    """Runs commands on the runner itself, for hosts with `address: local`."""

    def __init__(self, environ: Mapping[str, str]) -> None:
        """Give commands *environ* without anything secret."""
        self._environ = without_secrets(environ)

    def run(self, _host: Host, command: Sequence[str], *, payload: bytes, timeout_seconds: float) -> Finished:
        """Run *command* here with *payload* on stdin."""
        return run_piped(command, payload=payload, environ=self._environ, timeout_seconds=timeout_seconds)


def is_host_key_trouble(stderr: str) -> bool:
    """Whether ssh refused the host's key: it changed, was revoked, or is not known."""
    marks = ("HOST IDENTIFICATION HAS CHANGED", "Host key verification failed", "REVOKED HOST KEY", "host key is known")
    return any(mark in stderr for mark in marks)


def is_login_trouble(stderr: str) -> bool:
    """Whether the host refused the login."""
    return re.search(r"Permission denied \(|Too many authentication failures|no such identity", stderr) is not None


def _private_folder() -> Path:
    """Make a folder that only we can read, with a path short enough for a socket (108 bytes)."""
    folder = Path(tempfile.mkdtemp(prefix="sslops-"))
    if len(os.fsencode(folder)) > _LONGEST_FOLDER:
        folder.rmdir()
        folder = Path(tempfile.mkdtemp(prefix="sslops-", dir="/tmp"))
    return folder
