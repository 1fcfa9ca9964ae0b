"""The one place where git is started: reads as plain child processes, writes through GitPython.

Reading must not load GitPython, since `sslops status` only reads; everything that writes goes through its
`git.execute`, with the same environment, timeout and error.
"""

from __future__ import annotations

import os
import re
import subprocess
from dataclasses import dataclass, field
from functools import cache
from typing import TYPE_CHECKING, Any

from sslops.adapters.environment import without_secrets
from sslops.adapters.git_credentials import GitCredential, lend
from sslops.errors import GitError

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from pathlib import Path

TIMEOUT_SECONDS = 120.0
NETWORK_TIMEOUT_SECONDS = 300.0
STDERR_TAIL_LINES = 12

# Set when git itself started us (a hook): they would point our git at another repository.
_FOREIGN = frozenset(
    {
        "GIT_DIR",
        "GIT_WORK_TREE",
        "GIT_INDEX_FILE",
        "GIT_OBJECT_DIRECTORY",
        "GIT_ALTERNATE_OBJECT_DIRECTORIES",
        "GIT_COMMON_DIR",
        "GIT_PREFIX",
        "GIT_NAMESPACE",
        "GIT_QUARANTINE_PATH",
        "GIT_CEILING_DIRECTORIES",
    },
)

_STEADY = frozenset({"cat-file", "for-each-ref", "log", "ls-tree", "merge-base", "rev-list", "rev-parse"})
"""What asks about commits and refs only. A run asks the same again and again."""

_ANSWERS = (0, 1)
"""Yes and no; with any other code git did not get so far."""


@dataclass(frozen=True, slots=True)
class Ended:
    """How a git process ended; *stderr* is already safe to show."""

    code: int
    stdout: bytes
    stderr: str

    @property
    def text(self) -> str:
        """Standard output as one stripped string."""
        return self.stdout.decode("utf-8", "replace").strip()


_known: dict[Path, dict[tuple[object, ...], Ended]] = {}
"""Folder to the answers that still count there."""


@dataclass(frozen=True, slots=True)
class GitProcess:
    """git in *folder*; *environ* is what the children would inherit (null: this process's own).

    *credentials* are lent to what talks to a remote.
    """

    folder: Path
    environ: Mapping[str, str] | None = field(default=None, repr=False)
    credentials: tuple[GitCredential, ...] = ()

    def read(self, *arguments: str, stdin: bytes = b"", allowed: Sequence[int] = (0,)) -> Ended:
        """Run git for its answer; GitError when it ends with a code that is not among *allowed*.

        What it said of commits and refs before counts until this process writes to the repository, or asks a remote.
        """
        if arguments[0] not in _STEADY:
            return self._run(arguments, stdin, allowed)
        # A write while this one runs begins a new dictionary, which the answer does not reach.
        known, question = _known.setdefault(self.folder, {}), (arguments, stdin, tuple(allowed))
        if question in known:
            return known[question]
        ended = self._run(arguments, stdin, allowed)
        if ended.code in _ANSWERS:
            known[question] = ended
        return ended

    def _run(self, arguments: Sequence[str], stdin: bytes, allowed: Sequence[int]) -> Ended:
        try:
            done = subprocess.run(
                ["git", *arguments],
                cwd=self.folder,
                env=self._environment() | {"GIT_LITERAL_PATHSPECS": "1", "GIT_OPTIONAL_LOCKS": "0"},
                input=stdin,
                capture_output=True,
                timeout=TIMEOUT_SECONDS,
                check=False,
            )
        except (FileNotFoundError, NotADirectoryError) as error:
            raise _cannot_start(self.folder) from error
        except subprocess.TimeoutExpired as error:
            raise _took_too_long(arguments, TIMEOUT_SECONDS) from error
        return _checked(Ended(done.returncode, done.stdout, readable(done.stderr)), arguments, allowed)

    def ask(self, *arguments: str, stdin: bytes = b"", allowed: Sequence[int] = (0,)) -> Ended:
        """Like `read`, for a question to the remote: tokens stay in the environment and the wait is longer."""
        return self.write(*arguments, stdin=stdin, allowed=allowed, network=True)

    def write(
        self,
        *arguments: str,
        stdin: bytes = b"",
        allowed: Sequence[int] = (0,),
        network: bool = False,
        extra: Mapping[str, str] | None = None,
        folder: Path | None = None,
    ) -> Ended:
        """Run git for its effect, through GitPython; GitError when it ends with a code that is not among *allowed*.

        *extra* joins the environment (never a secret), *folder* replaces the working directory.
        """
        import git

        _known.pop(self.folder, None)
        wanted = self._environment(keep_tokens=network) | dict(extra or {})
        if network and not self._has_own_ssh(wanted):
            wanted["GIT_SSH_COMMAND"] = "ssh -o BatchMode=yes"
        seconds = NETWORK_TIMEOUT_SECONDS if network else TIMEOUT_SECONDS
        with lend(self.credentials if network else ()) as lent:
            try:
                child: Any = git.Git(folder or self.folder).execute(
                    [*_without(wanted), "git", *lent.options, *arguments],
                    istream=subprocess.PIPE,
                    as_process=True,
                    env=wanted,
                    pass_fds=lent.descriptors,
                )
            except git.GitCommandNotFound as error:
                raise _cannot_start(self.folder) from error
            try:
                stdout, stderr = child.proc.communicate(stdin, timeout=seconds)
            except subprocess.TimeoutExpired as error:
                child.proc.kill()
                child.proc.communicate()
                raise _took_too_long(arguments, seconds) from error
            finally:
                _known.pop(self.folder, None)
        return _checked(Ended(child.proc.returncode, stdout, readable(stderr)), arguments, allowed)

    def _has_own_ssh(self, environ: Mapping[str, str]) -> bool:
        """Whether the operator chose how git calls ssh; ours, which never asks anybody, must not replace it."""
        if "GIT_SSH_COMMAND" in environ or "GIT_SSH" in environ:
            return True
        return _configures_ssh(self.folder, None if self.environ is None else tuple(sorted(self.environ.items())))

    def _environment(self, *, keep_tokens: bool = False) -> dict[str, str]:
        inherited = without_secrets(os.environ if self.environ is None else self.environ, keep_tokens=keep_tokens)
        kept = {name: value for name, value in inherited.items() if name not in _FOREIGN}
        return kept | {
            "GIT_TERMINAL_PROMPT": "0",
            "GIT_EDITOR": "true",
            "LC_ALL": "C",
            "LANGUAGE": "C",
        }


@cache
def _configures_ssh(folder: Path, environ: tuple[tuple[str, str], ...] | None) -> bool:
    """Whether git's own settings name an ssh; asked once, though a run talks to its remotes dozens of times."""
    process = GitProcess(folder, None if environ is None else dict(environ))
    return bool(process.read("config", "--get", "core.sshCommand", allowed=(0, 1)).text)


def readable(stderr: bytes) -> str:
    """Return the tail of what git and its peers said, without control characters and without credentials in URLs.

    >>> readable(b"fatal: unable to access 'https://bot:hunter2@git.example.com/x.git/'")
    "fatal: unable to access 'https://***@git.example.com/x.git/'"
    """
    text = stderr.decode("utf-8", "replace").replace("\r", "\n")
    text = re.sub(r"([a-z][a-z0-9+.-]*://)[^/\s]+@", r"\1***@", text, flags=re.IGNORECASE)
    text = "".join(char for char in text if char == "\n" or char.isprintable())
    lines = [line.rstrip() for line in text.splitlines() if line.strip()]
    return "\n".join(lines[-STDERR_TAIL_LINES:])


def _without(wanted: Mapping[str, str]) -> list[str]:
    """Return the `env -u` that drops what GitPython would let the child inherit from this process."""
    unwanted = sorted(set(os.environ) - set(wanted))
    return ["env", *(word for name in unwanted for word in ("-u", name))] if unwanted else []


def _checked(ended: Ended, arguments: Sequence[str], allowed: Sequence[int]) -> Ended:
    if ended.code in allowed:
        return ended
    message = f"'git {_verb(arguments)}' failed with exit code {ended.code}"
    raise GitError(f"{message}: {ended.stderr}" if ended.stderr else message)


def _verb(arguments: Sequence[str]) -> str:
    return next((word for word in arguments if not word.startswith("-") and "=" not in word), "")


def _cannot_start(folder: Path) -> GitError:
    return GitError(f"git cannot be started in '{folder}'", hint="install git, and check that the folder exists")


def _took_too_long(arguments: Sequence[str], seconds: float) -> GitError:
    return GitError(f"'git {_verb(arguments)}' gave no answer within {seconds:.0f} s")
