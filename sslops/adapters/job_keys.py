"""The ssh keys that a forge hands to a job, kept by an agent that lives as long as the job and no longer.

A variable holds the key itself (GitHub, Forgejo) or the path of a file with it (GitLab's file variables). Either way it
leaves the environment at once and reaches the agent through a pipe: no child inherits it, and it is in no file of ours.
"""

from __future__ import annotations

import os
import subprocess
import tempfile
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

from sslops.adapters.environment import without_secrets
from sslops.errors import SshError
from sslops.model.secret import Secret

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
    """Move the keys of *environ* into an agent that ssh and git find there; without such keys nothing happens.

    Raises SshError when one is no private key, has a passphrase, or there is no ssh-agent.
    """
    given = {name: _key(environ.pop(name)) for name in (SIGNING_KEY, SSH_KEY) if name in environ}
    keys = {name: key for name, key in given.items() if key.reveal()}
    with ExitStack() as stack:
        if keys:
            folder = stack.enter_context(tempfile.TemporaryDirectory(prefix="sslops-", dir=_short_folder()))
            environ["SSH_AUTH_SOCK"] = stack.enter_context(_agent(f"{folder}/agent", environ))
            for name, key in keys.items():
                _add(name, key, environ)
                if name == SIGNING_KEY:
                    _sign_with(_public_keys(environ)[0], environ)
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


def _add(name: str, key: Secret, environ: MutableMapping[str, str]) -> None:
    never_ask = {"SSH_ASKPASS_REQUIRE": "never", "SSH_ASKPASS": "", "DISPLAY": ""}
    done = subprocess.run(
        ["ssh-add", "-q", "-"],
        input=key.reveal(),
        env=without_secrets(environ) | never_ask,
        capture_output=True,
        timeout=_SECONDS,
        check=False,
        start_new_session=True,  # no terminal to ask for a passphrase
    )
    if done.returncode != 0:
        message = f"the key in '{name}' cannot be used: it is no private key of OpenSSH, or has a passphrase"
        raise SshError(message, hint=f"put the whole file of a key without passphrase into '{name}'")


def _public_keys(environ: MutableMapping[str, str]) -> list[str]:
    done = subprocess.run(
        ["ssh-add", "-L"],
        env=without_secrets(environ),
        capture_output=True,
        text=True,
        timeout=_SECONDS,
        check=True,
    )
    return [" ".join(line.split()[:2]) for line in done.stdout.splitlines()]


def _sign_with(public: str, environ: MutableMapping[str, str]) -> None:
    """Tell git, through variables of its own, to sign commits with the key that the agent holds."""
    count = environ.get("GIT_CONFIG_COUNT", "")
    first = int(count) if count.isdigit() else 0
    settings = {"gpg.format": "ssh", "user.signingkey": f"key::{public}", "commit.gpgsign": "true"}
    for number, (name, value) in enumerate(settings.items(), first):
        environ[f"GIT_CONFIG_KEY_{number}"], environ[f"GIT_CONFIG_VALUE_{number}"] = name, value
    environ["GIT_CONFIG_COUNT"] = str(first + len(settings))
