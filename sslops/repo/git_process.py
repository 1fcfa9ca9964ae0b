"""The one place where git is started: reads as plain child processes, writes through GitPython, tokens in a pipe."""

from __future__ import annotations

import os
import re
import subprocess
from contextlib import contextmanager
from dataclasses import dataclass, field
from functools import cache
from typing import TYPE_CHECKING, Any
from urllib.parse import urlsplit, urlunsplit

from sslops.errors import GitError
from sslops.system.debug_log import command_line, step
from sslops.system.own_environment import environment
from sslops.system.processes import without_secrets

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence
    from pathlib import Path

    from sslops.model.secret import Secret


@dataclass(frozen=True, slots=True)
class GitCredential:
    """What git shows the server at *address* (scheme, host and port of a URL): *user* and *secret*."""

    address: str
    user: str
    secret: Secret

    def covers(self, url: str) -> bool:
        """Whether *url* is on this server."""
        return _server(url) == _server(self.address)

    @property
    def scope(self) -> str:
        """The server as git's configuration names it."""
        scheme, host = _server(self.address)
        return f"{scheme}://{host}"


@dataclass(frozen=True, slots=True)
class Lent:
    """What one git process is started with: *options* before its verb, and *descriptors* that it inherits."""

    options: tuple[str, ...] = ()
    descriptors: tuple[int, ...] = ()


@contextmanager
def lend(credentials: Sequence[GitCredential]) -> Iterator[Lent]:
    """Lend *credentials* to one git process; each can be read once, and not at all after the block."""
    descriptors: list[int] = []
    options: list[str] = []
    try:
        for credential in credentials:
            descriptors.append(_filled_pipe(credential))
            options += _options(credential.scope, descriptors[-1])
        yield Lent(tuple(options), tuple(descriptors))
    finally:
        for descriptor in descriptors:
            os.close(descriptor)


def without_user(url: str) -> str:
    """Return an http(s) *url* without user and password; any other as it is.

    >>> without_user("https://gitlab-ci-token:secret@git.example.com:8443/infra/certs.git")
    'https://git.example.com:8443/infra/certs.git'
    >>> without_user("git@git.example.com:infra/certs.git")
    'git@git.example.com:infra/certs.git'
    """
    split = urlsplit(url)
    if split.scheme not in {"http", "https"}:
        return url
    return urlunsplit(split._replace(netloc=split.netloc.rpartition("@")[2]))


def _filled_pipe(credential: GitCredential) -> int:
    """Return the reading end of a pipe that holds the answer and has ended; a token is far smaller than a pipe."""
    reading, writing = os.pipe()
    try:
        os.write(writing, b"username=%b\npassword=%b\n" % (credential.user.encode(), credential.secret.reveal()))
    finally:
        os.close(writing)
    return reading


def _options(scope: str, descriptor: int) -> list[str]:
    """Return the configuration for one server: only our helper, and none of the headers that a CI's checkout left.

    An empty value takes back the ones before it. `/dev/fd` because sh may know no descriptor above 9.
    """
    helper = f'!f() {{ test "$1" = get && cat /dev/fd/{descriptor}; }}; f'
    settings = ("credential.helper=", f"credential.{scope}.helper=", f"credential.{scope}.helper={helper}")
    return [word for setting in (*settings, f"http.{scope}/.extraHeader=") for word in ("-c", setting)]


def _server(url: str) -> tuple[str, str]:
    split = urlsplit(url)
    return split.scheme.lower(), split.netloc.rpartition("@")[2].lower()


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
            with step("git in %s: %s", self.folder, command_line(arguments)) as came:
                done = subprocess.run(
                    ["git", *arguments],
                    cwd=self.folder,
                    env=self._environment() | {"GIT_LITERAL_PATHSPECS": "1", "GIT_OPTIONAL_LOCKS": "0"},
                    input=stdin,
                    capture_output=True,
                    timeout=TIMEOUT_SECONDS,
                    check=False,
                )
                came.came = f"exit code {done.returncode}"
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
        try:
            import git
        except ImportError as error:  # GitPython looks for git as it is imported
            raise _cannot_start(self.folder) from error

        _known.pop(self.folder, None)
        wanted = self._environment(keep_tokens=network and self._asks_helpers()) | dict(extra or {})
        if network and not self._has_own_ssh(wanted):
            wanted["GIT_SSH_COMMAND"] = "ssh -o BatchMode=yes"
        seconds = NETWORK_TIMEOUT_SECONDS if network else TIMEOUT_SECONDS
        with (
            lend(self.credentials if network else ()) as lent,
            step("git in %s: %s", folder or self.folder, command_line(arguments)) as came,
        ):
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
            came.came = f"exit code {child.proc.returncode}: {readable(stderr)}"
        return _checked(Ended(child.proc.returncode, stdout, readable(stderr)), arguments, allowed)

    def _has_own_ssh(self, environ: Mapping[str, str]) -> bool:
        """Whether the operator chose how git calls ssh; ours, which never asks anybody, must not replace it."""
        if "GIT_SSH_COMMAND" in environ or "GIT_SSH" in environ:
            return True
        return _configures_ssh(self.folder, None if self.environ is None else tuple(sorted(self.environ.items())))

    def _asks_helpers(self) -> bool:
        """Whether what answers git for a password is the operator's, and may look for it in a variable."""
        if self.credentials:
            return False
        known = environment() if self.environ is None else self.environ
        return "GIT_ASKPASS" in known or _configures_helpers(self.folder, tuple(sorted(without_secrets(known).items())))

    def _environment(self, *, keep_tokens: bool = False) -> dict[str, str]:
        inherited = without_secrets(environment() if self.environ is None else self.environ, keep_tokens=keep_tokens)
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


@cache
def _configures_helpers(folder: Path, environ: tuple[tuple[str, str], ...]) -> bool:
    """Whether git's own settings name a credential helper."""
    names = r"^(credential\.(.*\.)?helper|core\.askpass)$"
    return bool(GitProcess(folder, dict(environ)).read("config", "--get-regexp", names, allowed=(0, 1)).text)


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
