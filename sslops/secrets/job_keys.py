"""The ssh keys that a forge hands to a job, kept by agents that live as long as the job and no longer.

A variable holds the key itself (GitHub, Forgejo) or the path of a file with it (GitLab's file variables). Either way it
leaves the environment at once and reaches its agent through a pipe: no child inherits it, and it is in no file of ours.
"""

from __future__ import annotations

import os
import shlex
import subprocess
import tempfile
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

from sslops.errors import SshError
from sslops.model.secret import Secret
from sslops.system.peer_words import peer_words
from sslops.system.processes import without_secrets

if TYPE_CHECKING:
    from collections.abc import Iterator, MutableMapping


SSH_KEY = "SSLOPS_SSH_KEY"
"""Logs in to servers, and to git over ssh."""
SIGNING_KEY = "SSLOPS_SIGNING_KEY"
"""Signs every commit that the engine makes."""

_SECONDS = 20
# The agent ends with its command, and the command with our end of its pipe, however this process ends.
_WATCHED = 'echo "$SSH_AGENT_PID"; exec cat >/dev/null'


@contextmanager
def job_keys(environ: MutableMapping[str, str]) -> Iterator[None]:
    """Move the keys of *environ* into agents where ssh and git find them; without such keys nothing happens.

    Each key has an agent of its own: no server is offered the one that signs, and none signs with the one that logs in.
    Raises SshError when one is no private key, has a passphrase, or there is no ssh-agent.
    """
    given = {name: _key(environ.pop(name)) for name in (SIGNING_KEY, SSH_KEY) if name in environ}
    with ExitStack() as stack:
        for name, key in given.items():
            if not key.reveal():
                continue
            folder = Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="sslops-", dir=_short_folder())))
            socket = stack.enter_context(_agent(str(folder / "agent"), environ))
            there = without_secrets(environ) | {"SSH_AUTH_SOCK": socket}
            _add(name, key, there)
            if name == SSH_KEY:
                environ["SSH_AUTH_SOCK"] = socket
            else:
                _sign_with(_public_key(there), _signer(folder, socket), environ)
        yield


def _key(value: str) -> Secret:
    text = value.strip()
    if text and "\n" not in text and "-----" not in text:
        try:
            text = Path(text).read_text(encoding="utf-8", errors="replace").strip()
        except OSError:
            text = "unreadable"  # the agent refuses it, and the message names the variable, not what it held
    return Secret((text.replace("\r\n", "\n") + "\n").encode() if text else b"", "ssh key")


def _short_folder() -> str | None:
    """Return a folder whose sockets have a path short enough; null where the usual one will do."""
    return None if len(tempfile.gettempdir()) <= 60 else "/tmp"  # noqa: S108, PLR2004  (108 bytes for a socket)


@contextmanager
def _agent(socket: str, environ: MutableMapping[str, str]) -> Iterator[str]:
    command = ["ssh-agent", "-a", socket, "sh", "-c", _WATCHED]
    try:
        agent = subprocess.Popen(
            command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, env=without_secrets(environ), text=True
        )
    except FileNotFoundError:
        message = "no program 'ssh-agent'"
        raise SshError(message, hint="apt-get install openssh-client") from None
    with agent:
        assert agent.stdout is not None  # noqa: S101  (as asked above)
        said = agent.stdout.readline().strip()
        try:
            yield socket
        finally:
            if said.isdigit():
                os.kill(int(said), 15)  # it looks for its command only every ten seconds


def _add(name: str, key: Secret, environ: dict[str, str]) -> None:
    never_ask = {"SSH_ASKPASS_REQUIRE": "never", "SSH_ASKPASS": "", "DISPLAY": ""}
    done = subprocess.run(
        ["ssh-add", "-q", "-"],
        input=key.reveal(),
        env=environ | never_ask,
        capture_output=True,
        timeout=_SECONDS,
        check=False,
        start_new_session=True,  # no terminal to ask for a passphrase
    )
    if done.returncode != 0:
        said = peer_words(done.stderr)
        message = f"the key in '{name}' cannot be used: it is no private key of OpenSSH, or has a passphrase ({said})"
        raise SshError(message, hint=f"put the whole file of a key without passphrase into '{name}'")


def _public_key(environ: dict[str, str]) -> str:
    """Return the public half of the only key that the agent of *environ* holds."""
    done = subprocess.run(["ssh-add", "-L"], env=environ, capture_output=True, text=True, timeout=_SECONDS, check=True)
    return " ".join(done.stdout.split()[:2])


def _signer(folder: Path, socket: str) -> Path:
    """Return a program for git to sign with: ssh-keygen, asking that agent."""
    program = folder / "sign"
    program.write_text(f'#!/bin/sh\nSSH_AUTH_SOCK={shlex.quote(socket)} exec ssh-keygen "$@"\n')
    program.chmod(0o700)
    return program


def _sign_with(public: str, program: Path, environ: MutableMapping[str, str]) -> None:
    """Tell git, through variables of its own, to sign commits with *program* and the key whose public half this is."""
    count = environ.get("GIT_CONFIG_COUNT", "")
    first = int(count) if count.isdigit() else 0
    settings = {
        "gpg.format": "ssh",
        "gpg.ssh.program": str(program),
        "user.signingkey": f"key::{public}",
        "commit.gpgsign": "true",
    }
    for number, (name, value) in enumerate(settings.items(), first):
        environ[f"GIT_CONFIG_KEY_{number}"], environ[f"GIT_CONFIG_VALUE_{number}"] = name, value
    environ["GIT_CONFIG_COUNT"] = str(first + len(settings))
