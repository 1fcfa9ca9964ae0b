"""An ops repository in a temporary folder, the age identities that belong to it, and the real command line.

The environment of every command is made here from nothing but PATH: no setting, agent or key of whoever runs the tests
takes part.
"""

from __future__ import annotations

import copy
import os
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from tests.world.leaks import holds_key
from tests.world.remotes import Person, bare_repository, git
from tests.world.warm import Process

if TYPE_CHECKING:
    from collections.abc import Mapping

TIMEOUT_SECONDS = 180
PROJECT = Path(__file__).parents[2]
ROLES = ("renew", "deploy")
GIT_CONFIG = """\
[user]
    name = operator
    email = operator@example.com
[init]
    defaultBranch = main
[advice]
    detachedHead = false
[gc]
    auto = 0
[maintenance]
    auto = false
[core]
    fsync = none
"""
"""What git is told where a test runs it: nothing of whoever runs the tests, and no work in the background."""


@dataclass(frozen=True, slots=True)
class Finished:
    """What a command left: exit code and both streams."""

    exit_code: int
    stdout: str
    stderr: str

    def succeeded(self) -> Finished:
        """Return itself; AssertionError with both streams unless the exit code is 0."""
        assert self.exit_code == 0, f"exit code {self.exit_code}\n{self.stdout}\n{self.stderr}"
        return self


class Identities:
    """The age identities `renew` and `deploy` below an XDG folder, as `sslops init` would make them."""

    def __init__(self, config_home: Path) -> None:
        """Make both, readable by their owner only."""
        import pyrage

        self._folder = config_home / "sslops"
        self._folder.mkdir(parents=True, mode=0o700)
        self.recipients: dict[str, str] = {}
        for role in ROLES:
            identity = pyrage.x25519.Identity.generate()
            self.recipients[role] = str(identity.to_public())
            self.path(role).touch(mode=0o600)
            self.path(role).write_text(f"{identity}\n")

    def path(self, role: str) -> Path:
        """Return the file with the identity of *role* (`renew` or `deploy`)."""
        return self._folder / f"{role}.key"

    def take_away(self, role: str) -> None:
        """Remove the identity of *role*: a job that does not hold it."""
        self.path(role).unlink()

    def sops_yaml(self) -> str:
        """Write the `.sops.yaml` of design section 7 for both recipients."""
        return f"""\
creation_rules:
  - path_regex: ^state/(accounts|ca)/.*\\.sops$
    age: {self.recipients["renew"]}
  - path_regex: ^state/.*\\.sops$
    age: {self.recipients["deploy"]}
"""


class OpsRepository:
    """A clone of an ops repository at `folder`, its bare `remote` (null: it has none), and `sslops`."""

    def __init__(
        self, folder: Path, files: Mapping[str, str], *, has_remote: bool = True, remote: Path | None = None
    ) -> None:
        """Commit *files* (and a `.sops.yaml` unless they bring one) to `main`; *remote* is an empty one to be used."""
        home = folder / "home"
        self.identities = Identities(home / ".config")
        (home / ".gitconfig").write_text(GIT_CONFIG)
        self.environment = bare_environment() | {
            "HOME": str(home),
            "XDG_CONFIG_HOME": str(home / ".config"),
            "GIT_CONFIG_GLOBAL": str(home / ".gitconfig"),
            "GIT_CONFIG_NOSYSTEM": "1",
        }
        self.folder = folder / "ops"
        self.remote = remote or (bare_repository(folder / "ops.git") if has_remote else None)
        self._person = Person(self.remote, folder / "ops-person") if self.remote else None
        self._begin({".sops.yaml": self.identities.sops_yaml(), ".gitattributes": "*.sops -diff\n"} | dict(files))

    def edit(self, files: Mapping[str, str | None], message: str = "an edit") -> str:
        """Commit *files* to `main` as a person would: pushed to the remote, else in the clone. Return the commit."""
        if self._person is not None:
            commit = self._person.push(files, message)
            git(self.folder, "pull", "--quiet", "--ff-only")
            return commit
        for path, text in files.items():
            _write(self.folder / path, text)
        git(self.folder, "add", "--all")
        git(self.folder, "commit", "--quiet", "-m", message)
        return git(self.folder, "rev-parse", "HEAD")

    def sslops(self, *words: str, environment: Mapping[str, str] | None = None) -> Finished:
        """Run the real command line here, as a process of its own; AssertionError when it prints a key."""
        done = self.popen(*words, environment=environment)
        stdout, stderr = done.communicate(timeout=TIMEOUT_SECONDS)
        return _finished(done.wait(), stdout, stderr)

    def popen(self, *words: str, environment: Mapping[str, str] | None = None) -> Process:
        """Start the command line and return the process: for runs side by side, and for killing them."""
        own = self.environment | dict(environment or {})
        return Process(["sslops", "-C", str(self.folder), *words], own, self.folder)

    def git(self, *words: str) -> str:
        """Run git in the clone and return its output."""
        return git(self.folder, *words)

    def git_remote(self, *words: str) -> str:
        """Run git where the truth is, the remote if there is one, and return its output."""
        return git(self.remote or self.folder, *words)

    def refs(self) -> dict[str, str]:
        """Return branch to commit, of the remote if there is one."""
        lines = git(self.remote or self.folder, "for-each-ref", "--format=%(refname:short) %(objectname)", "refs/heads")
        return dict(line.split(" ") for line in lines.splitlines())

    def show(self, branch: str, path: str) -> str:
        """Return the text of *path* on *branch*, of the remote if there is one."""
        return git(self.remote or self.folder, "show", f"{branch}:{path}")

    def clone(self, folder: Path) -> OpsRepository:
        """Return a second clone with the same environment, for two runs side by side."""
        assert self.remote is not None, "a repository without a remote has one clone only"
        git(self.remote, "clone", "--quiet", str(self.remote), str(folder))
        other = copy.copy(self)
        other.folder = folder
        return other

    def _begin(self, files: Mapping[str, str]) -> None:
        if self._person is not None:
            self._person.push(files, "a new ops repository")
            git(self.folder.parent, "clone", "--quiet", str(self.remote), str(self.folder))
            return
        self.folder.mkdir(parents=True)
        git(self.folder, "init", "--quiet", "--initial-branch=main")
        self.edit(files, "a new ops repository")


def bare_environment() -> dict[str, str]:
    """Return what a program needs of this machine and nothing more."""
    return {"PATH": os.environ["PATH"], "LC_ALL": "C.UTF-8", "TZ": "UTC", "NO_COLOR": "1", "PYTHONPATH": str(PROJECT)}


def _finished(exit_code: int, stdout: str, stderr: str) -> Finished:
    assert not holds_key(stdout.encode()), "a private key was printed on stdout"
    assert not holds_key(stderr.encode()), "a private key was printed on stderr"
    return Finished(exit_code, stdout, stderr)


def _write(path: Path, text: str | None) -> None:
    if text is None:
        path.unlink()
        return
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(text)
