r"""OpenSSH: sessions with hosts, whose keys are the reviewed `inventory/known_hosts`, keyed by inventory name.

`ssh-keyscan -p 2222 10.0.0.2` writes `[10.0.0.2]:2222`; the ssh client here looks for the host's inventory name.

>>> from sslops.model.inventory import Host
>>> print(pinned("[10.0.0.2]:2222 ssh-ed25519 AAAA\n", [Host("smtp2", "10.0.0.2", 2222)]), end="")
[10.0.0.2]:2222 ssh-ed25519 AAAA
smtp2 ssh-ed25519 AAAA
"""

from __future__ import annotations

import base64
import contextlib
import hashlib
import hmac
import os
import re
import select
import shlex
import subprocess
import tempfile
import time
from pathlib import Path
from threading import Thread
from typing import TYPE_CHECKING, Self

from sslops.errors import PeerError, SshError
from sslops.system.debug_log import LOG, command_line
from sslops.system.peer_words import peer_words
from sslops.system.processes import Finished, Tail, run_piped, without_secrets

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping, Sequence

    from sslops.model.inventory import Host


SSH_PORT = 22


def pinned(text: str, hosts: Iterable[Host]) -> str:
    """Return *text* and, for each line that names a host of *hosts* by address or port, the line under its name."""
    known = [(host.name, names_of(host)) for host in hosts]
    lines = [line.strip() for line in text.splitlines()]
    lines = [line for line in lines if line and not line.startswith("#")]
    return "".join(f"{line}\n" for line in [*lines, *(more for line in lines for more in _renamed(line, known))])


def names_of(host: Host) -> frozenset[str]:
    """Return every name under which a line of `known_hosts` is about *host*."""
    names = {host.name, host.address}
    # The bare address may be another machine behind the same gateway when the port is not ssh's own.
    bare = names if host.port == SSH_PORT else {host.name}
    return frozenset(bare | {f"[{name}]:{host.port}" for name in names})


def _renamed(line: str, known: list[tuple[str, frozenset[str]]]) -> Iterator[str]:
    marker, rest = ("", line)
    if line.startswith("@"):
        marker, _, rest = line.partition(" ")
    patterns, _, key = rest.strip().partition(" ")
    names = set(patterns.split(","))
    for name, forms in known:
        if not name_match(names, frozenset({name})) and name_match(names, forms) and f"!{name}" not in names:
            yield f"{marker} {name} {key}".strip()


def name_match(patterns: Iterable[str], names: frozenset[str]) -> bool:
    """Whether one of *patterns* is one of *names*, as it is or hashed as `ssh-keygen -H` and `HashKnownHosts` do it."""
    return any(pattern in names or _is_hash_of(pattern, names) for pattern in patterns)


def has_key_of(text: str, host: Host) -> bool:
    """Whether *text*, the reviewed `known_hosts`, has a key of *host* that the ssh client here would find."""
    for line in pinned(text, [host]).splitlines():
        marker, rest = line.split(" ", 1) if line.startswith("@") and " " in line else ("", line)
        patterns = rest.split()[0].split(",") if len(rest.split()) > 2 else []  # noqa: PLR2004  (names, type, key)
        excluded = any(_is_pattern_of(pattern[1:], host.name) for pattern in patterns if pattern.startswith("!"))
        found = name_match(patterns, frozenset({host.name})) or any(
            _is_pattern_of(each, host.name) for each in patterns
        )
        if found and not excluded and marker != "@revoked":
            return True
    return False


def _is_pattern_of(pattern: str, name: str) -> bool:
    """Whether *name* fits *pattern*, in which `*` and `?` stand for any letters (ssh_config(5), PATTERNS)."""
    parts = {"*": ".*", "?": "."}
    return re.fullmatch("".join(parts.get(char, re.escape(char)) for char in pattern), name, re.IGNORECASE) is not None


def _is_hash_of(pattern: str, names: Iterable[str]) -> bool:
    """Whether *pattern* is `|1|salt|hash`, HMAC-SHA1 of one of *names* (sshd(8), SSH_KNOWN_HOSTS FILE FORMAT)."""
    if not pattern.startswith("|1|"):
        return False
    salt, _, hashed = pattern[3:].partition("|")
    try:
        key, wanted = base64.b64decode(salt, validate=True), base64.b64decode(hashed, validate=True)
    except ValueError:
        return False
    return any(hmac.compare_digest(hmac.digest(key, name.encode(), hashlib.sha1), wanted) for name in names)


_CHUNK_BYTES = 16384
_GRACE_SECONDS = 2.0


class PipeChannel:
    """Bytes to and from a program; what it says on stderr is the reason when it fails."""

    def __init__(self, words: Sequence[str], environ: Mapping[str, str], timeout_seconds: float) -> None:
        """Start the program *words*; OSError when it cannot be started."""
        self._deadline = time.monotonic() + timeout_seconds
        self._process = subprocess.Popen(
            list(words),
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            env=dict(environ),
            bufsize=0,
        )
        assert self._process.stdin is not None  # noqa: S101  (it is a pipe)
        assert self._process.stdout is not None  # noqa: S101
        assert self._process.stderr is not None  # noqa: S101
        self._in, self._out = self._process.stdin, self._process.stdout
        self._complaints = Tail(self._process.stderr)
        self._listening = Thread(target=self._complaints.read, daemon=True)
        self._listening.start()
        os.set_blocking(self._in.fileno(), False)

    def send(self, content: bytes) -> None:
        """Send all of *content*."""
        rest = memoryview(content)
        while rest:
            self._wait([], [self._in.fileno()])
            try:
                rest = rest[os.write(self._in.fileno(), rest) :]
            except BrokenPipeError:
                self._raise_reason()
                raise

    def receive(self) -> bytes:
        """Return what has come; empty at the end. PeerError with the program's words when it failed."""
        self._wait([self._out.fileno()], [])
        content = os.read(self._out.fileno(), _CHUNK_BYTES)
        if not content:
            self._raise_reason()
        return content

    def _raise_reason(self) -> None:
        """Pass on what the program said, if it failed: of a connection that the other side ended it says nothing."""
        with contextlib.suppress(subprocess.TimeoutExpired):
            if self._process.wait(_GRACE_SECONDS):
                self._listening.join(_GRACE_SECONDS)
                said = peer_words(self._complaints.text())
                if said:
                    raise PeerError(said)

    def interrupt(self) -> None:
        """End the program, and with it what waits for its output."""
        self._process.terminate()

    def close(self) -> None:
        """End the program."""
        self._process.terminate()
        for pipe in (self._in, self._out):
            pipe.close()
        try:
            self._process.wait(_GRACE_SECONDS)
        except subprocess.TimeoutExpired:
            self._process.kill()
            self._process.wait()

    def _wait(self, readable: list[int], writable: list[int]) -> None:
        left = self._deadline - time.monotonic()
        if left <= 0 or select.select(readable, writable, [], left) == ([], [], []):
            raise TimeoutError


CONFIG_VARIABLE = "SSLOPS_SSH_CONFIG"
"""Names an ssh_config to use instead of the person's own: in CI there is no person."""

CONNECT_SECONDS = 10
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
        # A master that was asked to end removes its socket by itself, perhaps at this moment.
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

    def connect(self, host: Host, address: str, port: int, patience_seconds: float = CONNECT_SECONDS) -> PipeChannel:
        """Return a connection from *host* to *address*:*port*, through `ssh -W`; OSError when there is no ssh.

        It lasts *patience_seconds* at most, beside the time to log in.
        """
        self._used[host.name] = host
        target = f"[{address}]:{port}" if ":" in address else f"{address}:{port}"
        words = [*self.client(host), "-W", target, "--", host.address]
        LOG.debug("connects to %s through %s: %s", target, host.name, command_line(words))
        return PipeChannel(words, self._environ, CONNECT_SECONDS + patience_seconds)

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
        words += ["-p", str(host.port)] if host.port != SSH_PORT else []
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
