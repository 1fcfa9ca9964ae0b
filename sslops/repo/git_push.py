"""Moving branches by compare-and-swap: on the remote where there is one, else in this repository.

A push says what it expects to find, is all or nothing, and is read back: a remote can accept a push and store something
else, and a connection can end after the remote has stored what we sent.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import TYPE_CHECKING

from sslops.errors import GitError, Moved

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from sslops.repo.git_commits import RefUpdate
    from sslops.repo.git_process import Ended, GitProcess


_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9._/-]*")
# What a remote says when another push held the lock of the ref at that moment; the ref may still read as before.
_RACES = ("stale info", "cannot lock ref", "failed to lock", "reference already exists", "incorrect old value")


@dataclass(frozen=True, slots=True)
class Pusher:
    """Moves branches of *remote* (its name; *address* stands in for it if not null); null: of the repository itself.

    The name says where the remote-tracking refs are, also when the address is used.
    """

    git: GitProcess
    remote: str | None
    address: str | None = None

    def push(self, updates: Sequence[RefUpdate], *, atomic: bool = True, options: Sequence[str] = ()) -> None:
        """Move all of *updates* or none; *options* are push options (one line each).

        Moved: a branch no longer was what was expected. GitError: the remote refused (a hook, a protection, no access),
        could not be reached, or holds something else afterwards.
        """
        for update in updates:
            _check_name(update.branch)
            self._check_forward(update)
        if self.remote is None:
            self._move_local(updates)
        else:
            self._move_remote(self.remote, updates, atomic=atomic, options=options)

    def keep(self, refs: Mapping[str, str]) -> None:
        """Let *refs*, by their full names, be at these commits, wherever they were; GitError as for `push`."""
        if self.remote is None:
            for ref, commit in refs.items():
                self.git.write("update-ref", ref, commit)
        else:
            moved = (f"+{commit}:{ref}" for ref, commit in refs.items())
            self.git.write("push", "--quiet", self._where, *moved, network=True)

    def held(self, branches: Sequence[str]) -> Mapping[str, str]:
        """Ask the remote which commits *branches* point at; a branch that is not there is left out."""
        names = [f"refs/heads/{branch}" for branch in branches]
        lines = self.git.ask("ls-remote", "--quiet", self._where, *names).text.splitlines()
        pairs = (line.split("\t", 1) for line in lines)
        wanted = dict(zip(names, branches, strict=True))
        return {wanted[name]: sha for sha, name in pairs if name in wanted}

    def _check_forward(self, update: RefUpdate) -> None:
        if update.may_rewrite or update.new is None or update.expected is None:
            return
        if not contains(self.git, update.new, update.expected):
            message = f"branch '{update.branch}' can only go forward, and {update.new[:10]} is not after it"
            raise GitError(message)

    @property
    def _where(self) -> str:
        return self.address or self.remote or "."

    def _move_remote(self, remote: str, updates: Sequence[RefUpdate], *, atomic: bool, options: Sequence[str]) -> None:
        ended = self.git.ask(
            "push",
            "--porcelain",
            "--no-follow-tags",
            *(["--atomic"] if atomic else []),
            *(f"--push-option={option}" for option in options),
            *(f"--force-with-lease=refs/heads/{update.branch}:{update.expected or ''}" for update in updates),
            self._where,
            *(f"{update.new or ''}:refs/heads/{update.branch}" for update in updates),
            allowed=range(256),
        )
        held = self.held([update.branch for update in updates])
        for update in updates:
            self._judge(update, held.get(update.branch), ended)
        self._remember(remote, updates)

    def _judge(self, update: RefUpdate, held: str | None, ended: Ended) -> None:
        """Decide from what the remote holds now, not from what it said, whether *update* came true."""
        if held == update.new:
            return
        said = f"{ended.text}\n{ended.stderr}"
        if ended.code != 0 and (held != update.expected or any(race in said for race in _RACES)):
            raise moved(update.branch)
        if ended.code != 0:
            raise _refused(update, ended)
        if held is not None and update.new is not None and self._went_on(update, held):
            return
        message = f"the remote accepted branch '{update.branch}' and holds {(held or 'nothing')[:10]} instead"
        raise GitError(message, hint="see the branch protection and the hooks of the remote")

    def _went_on(self, update: RefUpdate, held: str) -> bool:
        """Whether another run already stands on what we pushed."""
        self.git.ask("fetch", "--quiet", "--no-tags", "--no-write-fetch-head", self._where, held, allowed=range(256))
        known = self.git.read("cat-file", "-e", f"{held}^{{commit}}", allowed=(0, 1, 128)).code == 0
        if known and contains(self.git, held, update.new or ""):
            return True
        if update.may_rewrite:
            raise moved(update.branch)
        return False

    def _remember(self, remote: str, updates: Sequence[RefUpdate]) -> None:
        """Let the remote-tracking refs say what was proved; git does so only where the remote's refspec covers it."""
        lines = [
            f"update refs/remotes/{remote}/{update.branch} {update.new}"
            if update.new
            else f"delete refs/remotes/{remote}/{update.branch}"
            for update in updates
        ]
        self.git.write("update-ref", "--stdin", stdin="\n".join([*lines, ""]).encode())

    def _move_local(self, updates: Sequence[RefUpdate]) -> None:
        lines = [_local_line(update) for update in updates]
        ended = self.git.write("update-ref", "--stdin", stdin="\n".join([*lines, ""]).encode(), allowed=range(256))
        if ended.code == 0:
            return
        for update in updates:
            name = f"refs/heads/{update.branch}"
            now = self.git.read("rev-parse", "--verify", "--quiet", name, allowed=(0, 1)).text or None
            if now != update.expected:
                raise moved(update.branch)
        message = f"git could not move '{updates[0].branch}': {ended.stderr}"
        raise GitError(message)


def contains(git: GitProcess, commit: str, older: str) -> bool:
    """Whether *older* is *commit* or one of its ancestors."""
    return git.read("merge-base", "--is-ancestor", older, commit, allowed=(0, 1)).code == 0


def moved(branch: str) -> Moved:
    """Return the answer that somebody else moved *branch* first."""
    return Moved(f"another run moved '{branch}' first", hint="run again")


def _check_name(branch: str) -> None:
    """Refuse a name that would be more than a name in a refspec or in update-ref's input."""
    if not _NAME.fullmatch(branch):
        raise GitError(f"'{branch}' cannot name a branch")


def _local_line(update: RefUpdate) -> str:
    name = f"refs/heads/{update.branch}"
    if update.new is None:
        return f"delete {name} {update.expected}" if update.expected else f"verify {name}"
    return f"update {name} {update.new} {update.expected or '0' * len(update.new)}"


def _refused(update: RefUpdate, ended: Ended) -> GitError:
    rejections = [line for line in ended.text.splitlines() if line.startswith("!")]
    told = "\n".join([ended.stderr, *rejections]).strip()
    return GitError(
        f"the remote refused branch '{update.branch}': {told}",
        hint="see the branch protection, the hooks of the remote and the rights of this job",
    )
