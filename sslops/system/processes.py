"""What a child process may know: the environment without key material, and without tokens it does not need.

>>> sorted(without_secrets({"PATH": "/bin", "SOPS_AGE_KEY": "x", "FORGE_TOKEN": "y"}))
['PATH']
>>> sorted(without_secrets({"PATH": "/bin", "SOPS_AGE_KEY": "x", "FORGE_TOKEN": "y"}, keep_tokens=True))
['FORGE_TOKEN', 'PATH']
"""

from __future__ import annotations

import contextlib
import os
import re
import signal
import subprocess
from dataclasses import dataclass, field
from threading import Thread
from typing import IO, TYPE_CHECKING

from sslops.system.debug_log import command_line, step
from sslops.system.peer_words import peer_words

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence


# Keys: sops' age identities, the cloud credentials that sops' KMS backends read, ssh keys.
_IDENTITY = re.compile(
    r"SOPS_AGE_.*|SOPS_.*KEY.*|AGE_.*KEY.*|VAULT_TOKEN|AWS_(SECRET_ACCESS_KEY|SESSION_TOKEN)|AZURE_CLIENT_SECRET"
    r"|GOOGLE_(CREDENTIALS|OAUTH_ACCESS_TOKEN)|SSLOPS_(SSH|SIGNING)_KEY",
)
OWN_TOKENS = frozenset({"SSLOPS_FORGE_TOKEN", "SSLOPS_DNS_TOKEN", "SSLOPS_NOTIFY_URL", "SSLOPS_NOTIFY_TOKEN"})
"""What only this process speaks with; git gets it through a pipe."""
# GitLab writes the job's token into an address, and a registry's passwords into a configuration.
_TOKEN = re.compile(
    r".*(TOKEN|PASSWORD|PASSWD|PASSPHRASE|SECRET|PRIVATE_KEY|API_KEY|_JWT)(_.*)?|CI_REPOSITORY_URL|DOCKER_AUTH_CONFIG"
)


def without_secrets(environ: Mapping[str, str], *, keep_tokens: bool = False) -> dict[str, str]:
    """Return *environ* without what opens encrypted files, and unless *keep_tokens* without forge tokens and passwords.

    A child that talks to a remote keeps tokens: credential helpers of the user's read them from there. Our own two are
    never inherited.
    """
    return {name: value for name, value in environ.items() if not _is_secret(name, keep_tokens=keep_tokens)}


def _is_secret(name: str, *, keep_tokens: bool) -> bool:
    if name in OWN_TOKENS or _IDENTITY.fullmatch(name):
        return True
    return not keep_tokens and _TOKEN.fullmatch(name) is not None


STDOUT_LIMIT_BYTES = 16 * 1024 * 1024
STDERR_TAIL_BYTES = 16 * 1024
_CHUNK_BYTES = 64 * 1024
_GRACE_SECONDS = 2.0


@dataclass(frozen=True, slots=True)
class Finished:
    """How the program ended: *code* is null when it was killed at the time limit; stderr is its tail."""

    code: int | None
    stdout: bytes
    stderr: str


def run_piped(words: Sequence[str], *, payload: bytes, environ: Mapping[str, str], timeout_seconds: float) -> Finished:
    """Run *words*, feed *payload*, collect what it says; OSError when it cannot be started.

    It gets a session of its own, so that a Ctrl-C at our terminal does not stop a receiver half way.
    """
    with step("runs %s", command_line(words)) as came:
        ended = _run_piped(words, payload, environ, timeout_seconds)
        came.came = f"exit code {ended.code}: {ended.stderr.strip()}" if ended.code is not None else "killed, too long"
    return ended


def _run_piped(words: Sequence[str], payload: bytes, environ: Mapping[str, str], timeout_seconds: float) -> Finished:
    process = subprocess.Popen(
        list(words),
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        env=dict(environ),
        start_new_session=True,
    )
    assert process.stdin is not None and process.stdout is not None and process.stderr is not None  # noqa: S101, PT018
    heard, said = _Bounded(process.stdout, STDOUT_LIMIT_BYTES), Tail(process.stderr)
    threads = [Thread(target=_feed, args=(process.stdin, payload), daemon=True)]
    threads += [Thread(target=reader.read, daemon=True) for reader in (heard, said)]
    for thread in threads:
        thread.start()
    code = _wait(process, timeout_seconds)
    # A connection-sharing ssh in the background may hold the pipes: no waiting for that one.
    for thread in threads:
        thread.join(_GRACE_SECONDS)
    return Finished(code, bytes(heard.content), said.text())


def _wait(process: subprocess.Popen[bytes], timeout_seconds: float) -> int | None:
    try:
        return process.wait(timeout_seconds)
    except subprocess.TimeoutExpired:
        for number in (signal.SIGTERM, signal.SIGKILL):
            with contextlib.suppress(ProcessLookupError):
                os.killpg(process.pid, number)
            with contextlib.suppress(subprocess.TimeoutExpired):
                process.wait(_GRACE_SECONDS)
        return None


def _feed(pipe: IO[bytes], payload: bytes) -> None:
    # A peer that refuses does not read to the end; its exit code says why.
    with contextlib.suppress(BrokenPipeError), pipe:
        pipe.write(payload)


class _Bounded:
    """Reads to the end, keeps the first *limit* bytes."""

    def __init__(self, pipe: IO[bytes], limit: int) -> None:
        self.content = bytearray()
        self._pipe, self._limit = pipe, limit

    def read(self) -> None:
        while chunk := os.read(self._pipe.fileno(), _CHUNK_BYTES):
            self.content += chunk[: self._limit - len(self.content)]
        self._pipe.close()


class Tail:
    """Reads to the end, keeps the last `STDERR_TAIL_BYTES`."""

    def __init__(self, pipe: IO[bytes]) -> None:
        self._content = b""
        self._pipe = pipe

    def read(self) -> None:
        """Read to the end."""
        while chunk := os.read(self._pipe.fileno(), _CHUNK_BYTES):
            self._content = (self._content + chunk)[-STDERR_TAIL_BYTES:]
        self._pipe.close()

    def text(self) -> str:
        """Return what is kept."""
        return self._content.decode(errors="replace")


TIMEOUT_SECONDS = 300.0


@dataclass(frozen=True, slots=True)
class Commands:
    """Runs commands here, with *environ* but for what is secret in it."""

    environ: Mapping[str, str] = field(default_factory=lambda: dict(os.environ))
    timeout_seconds: float = TIMEOUT_SECONDS

    def run(self, words: Sequence[str]) -> str | None:
        """Run *words*; return what went wrong, null when nothing did."""
        environ = without_secrets(self.environ)
        try:
            done = run_piped(words, payload=b"", environ=environ, timeout_seconds=self.timeout_seconds)
        except OSError as error:
            return f"'{words[0]}' cannot be run: {error.strerror}"
        if done.code is None:
            return f"no end after {self.timeout_seconds:.0f} s"
        said = peer_words(done.stderr) or peer_words(done.stdout)
        return None if done.code == 0 else f"exit code {done.code}{': ' if said else ''}{said}"
