"""One door to one git repository: the ops clone, or the private bare clone of the DNS repository.

Reads are plain `git` processes and load nothing; everything that writes goes through GitPython. Every move of a branch
is a compare-and-swap and is announced as one effect.
"""

from __future__ import annotations

import os
import re
from dataclasses import dataclass, field, replace
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING

from sslops.errors import GitError, UsageError
from sslops.repo import git_commits, git_history
from sslops.repo.git_commits import LoggedCommit, NewCommit, Person, RefUpdate
from sslops.repo.git_process import GitProcess, without_user
from sslops.repo.git_push import Pusher, contains
from sslops.repo.signatures import require_signed
from sslops.system.effects import NO_EFFECTS
from sslops.system.peer_words import peer_words

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence
    from datetime import datetime

    from sslops.repo.git_history import LineHistory, PastCommit, PathChange
    from sslops.repo.git_process import GitCredential
    from sslops.repo.signatures import Signers
    from sslops.system.effects import Effects


__all__ = ["BOT", "WINDOWS", "Git", "LoggedCommit", "NewCommit", "Person", "RefUpdate"]

BOT = Person("sslops", "sslops@localhost")
REMOTE = "origin"
WINDOWS = "refs/sslops/windows/"
"""Refs that are no branches and are fetched with them: see `appointments.py`."""
_SIGNING = ("commit.gpgsign", "gpg.format", "gpg.program", "gpg.ssh.program", "user.signingkey")
_FALSE = frozenset({"false", "no", "off", "0", ""})


@dataclass(frozen=True)
class Git:
    """A repository at *path* (a work tree or a git directory) and its *remote*'s name (null: there is none).

    *committer* is the bot; *environ* what child processes may inherit (null: this process's own environment);
    *credentials* are for servers that want a password over https; *signers* say whose signature every commit that is
    made here must have (null: anybody's, or none).
    """

    path: Path
    remote: str | None = None
    committer: Person = BOT
    environ: Mapping[str, str] | None = field(default=None, repr=False)
    effects: Effects = NO_EFFECTS
    credentials: tuple[GitCredential, ...] = ()
    signers: Signers | None = field(default=None, repr=False)

    @classmethod
    def discover(cls, folder: Path, *, environ: Mapping[str, str] | None = None, effects: Effects = NO_EFFECTS) -> Git:
        """Find the repository that *folder* lies in, with `origin` as its remote if it has one; UsageError if none."""
        ended = GitProcess(folder, environ).read("rev-parse", "--git-dir", allowed=(0, 128))
        if ended.code != 0:
            raise _unusable(folder, ended.stderr)
        found = cls(folder, None, environ=environ, effects=effects)
        return cls(folder, found._default_remote(), environ=environ, effects=effects)

    @classmethod
    def clone_bare(
        cls,
        url: str,
        path: Path,
        *,
        environ: Mapping[str, str] | None = None,
        effects: Effects = NO_EFFECTS,
        signing: Mapping[str, str | None] | None = None,
    ) -> Git:
        """Make (or reuse) a private bare repository at *path* whose `origin` is *url*; fetches nothing yet.

        *signing* are the settings by which its commits are signed (another repository's `signing`), null: its own.
        """
        found = cls(path, REMOTE, environ=environ, effects=effects)
        if not (path / "HEAD").is_file():
            path.mkdir(parents=True, exist_ok=True)
            found.process.write("init", "--quiet", "--bare")
        if found.config("remote.origin.url") != url:
            found.process.write("config", "remote.origin.url", url)
            found.process.write("config", "remote.origin.fetch", f"+refs/heads/*:refs/remotes/{REMOTE}/*")
            found = cls(path, REMOTE, environ=environ, effects=effects)
        for key, value in (signing or {}).items():
            if found.config(key) != value:
                # Exit code 5: it was not there to be taken away.
                words = ["--unset-all", key] if value is None else [key, value]
                found.process.write("config", "--local", *words, allowed=(0, 5))
        return cls(path, REMOTE, environ=environ, effects=effects)

    def acting_as(self, committer: Person) -> Git:
        """Return the same door with another *committer*."""
        return replace(self, committer=committer)

    def asking(self, signers: Signers | None) -> Git:
        """Return the same door whose commits must be signed by *signers*."""
        return replace(self, signers=signers)

    def showing(self, *credentials: GitCredential) -> Git:
        """Return the same door that shows *credentials* to their servers."""
        return replace(self, credentials=credentials)

    # Reading.

    def branch_ref(self, branch: str) -> str:
        """Name the ref that tells where *branch* stands: the remote's as last fetched, or the local one."""
        return f"refs/remotes/{self.remote}/{branch}" if self.remote else f"refs/heads/{branch}"

    def refs(self, prefix: str = "refs/") -> dict[str, str]:
        """Return every ref under *prefix* and its commit, in one process."""
        lines = self.process.read("for-each-ref", "--format=%(objectname) %(refname)", prefix).text.splitlines()
        return {name: sha for sha, name in (line.split(" ", 1) for line in lines)}

    def resolve(self, ref: str) -> str | None:
        """Return the commit that *ref* (a full ref or a hash) names; null when there is none."""
        asked = f"{ref}^{{commit}}"
        return (
            self.process.read("rev-parse", "--verify", "--quiet", "--end-of-options", asked, allowed=(0, 1, 128)).text
            or None
        )

    def branch(self, branch: str) -> str | None:
        """Return the commit of *branch* as last fetched (local without a remote); null when there is none."""
        return self.resolve(self.branch_ref(branch))

    def tree(self, commit: str, prefix: str = "") -> dict[str, str]:
        """Return path to blob hash of every file of *commit* below *prefix*, paths from the top."""
        arguments = ["ls-tree", "-r", "-z", "--full-tree", commit, *([prefix] if prefix else [])]
        rows = self.process.read(*arguments).stdout.decode("utf-8", "surrogateescape").split("\0")
        found = {}
        for row in filter(None, rows):
            facts, path = row.split("\t", 1)
            found[path] = facts.rsplit(" ", 1)[1]
        return found

    def subtree(self, commit: str, path: str) -> str | None:
        """Return the hash of the folder *path* of *commit*; null when there is none."""
        ended = self.process.read("rev-parse", "--verify", "--quiet", f"{commit}:{path}", allowed=(0, 1, 128))
        return ended.text or None

    def entries(self, commit: str) -> dict[str, str]:
        """Return name to mode and hash of what lies in the root of *commit*; folders by their name too."""
        rows = self.process.read("ls-tree", "-z", "--full-tree", commit).stdout.decode("utf-8", "surrogateescape")
        found = {}
        for row in filter(None, rows.split("\0")):
            facts, _, name = row.partition("\t")
            found[name] = facts
        return found

    def diff_of(self, commit: str) -> list[str]:
        """Return what *commit* made of each path that it changes against its first parent: mode, hash and path."""
        words = ["diff-tree", "-r", "-z", "--raw", "--no-renames", "--no-commit-id", "--no-ext-diff", "--full-index"]
        stdout = self.process.read(*words, f"{commit}^", commit).stdout.decode("utf-8", "surrogateescape")
        rows = stdout.split("\0")
        return [" ".join([*facts.split(" ")[1:4:2], path]) for facts, path in zip(rows[::2], rows[1::2], strict=False)]

    def blobs(self, hashes: Iterable[str]) -> dict[str, bytes]:
        """Return the content of each blob, all read by one process; GitError when one is missing."""
        wanted = list(dict.fromkeys(hashes))
        if not wanted:
            return {}
        stdout = self.process.read("cat-file", "--batch", stdin="\n".join([*wanted, ""]).encode()).stdout
        return dict(zip(wanted, _batch(stdout, wanted), strict=True))

    def objects(self, names: Sequence[str]) -> list[bytes | None]:
        """Return the content that each of *names* (as `<commit>:<path>`) stands for; null where there is none."""
        if not names:
            return []
        stdout = self.process.read("cat-file", "--batch", stdin="\n".join([*names, ""]).encode()).stdout
        return list(_contents(stdout, len(names)))

    def files(self, commit: str, prefix: str = "") -> dict[str, bytes]:
        """Return path to content of every file of *commit* below *prefix*."""
        tree = self.tree(commit, prefix)
        contents = self.blobs(tree.values())
        return {path: contents[sha] for path, sha in tree.items()}

    def file(self, commit: str, path: str) -> bytes | None:
        """Return the content of *path* at *commit*; null when there is no such file."""
        sha = self.tree(commit, path).get(path)
        return None if sha is None else self.blobs([sha])[sha]

    def first_parents(
        self, commit: str, *, since: str | Sequence[str] | None = None, paths: Sequence[str] = ()
    ) -> list[str]:
        """Return *commit* and what came before it on its own branch, newest first.

        *since* leaves out what these commits already contain, *paths* what did not touch them.
        """
        excluded = [since] if isinstance(since, str) else list(since or ())
        arguments = ["rev-list", "--first-parent", commit, *git_history.without(self.process, commit, excluded)]
        return self.process.read(*arguments, *(["--", *paths] if paths else [])).text.split()

    def first_parent_times(self, commit: str, path: str) -> list[tuple[str, datetime]]:
        """Return the commits of the own line of *commit* that changed *path*, newest first, and when each was made."""
        return git_history.first_parent_times(self.process, commit, path)

    def is_ancestor(self, older: str, newer: str) -> bool:
        """Whether *older* is *newer* or one of its ancestors."""
        return contains(self.process, newer, older)

    def first_parent_changes(self, commit: str, paths: Sequence[str]) -> list[PathChange]:
        """Return every change of *paths* along the first parents of *commit*, oldest first."""
        return git_history.first_parent_changes(self.process, commit, paths)

    def changes(self, commit: str, paths: Sequence[str]) -> list[PathChange]:
        """Return every change of *paths* up to *commit*, on whichever line it was made, oldest first."""
        return git_history.changes(self.process, commit, paths)

    def last_change(self, commit: str, path: str) -> str:
        """Return the last commit up to *commit* that changed *path*."""
        return git_history.last_change(self.process, commit, path)

    def line_history(self, commit: str, folders: Sequence[str]) -> LineHistory:
        """Return what happened below *folders* up to *commit*, on its own line and beside it, read in one go."""
        return git_history.line_history(self.process, commit, folders)

    def log(self, commit: str, *, since: Sequence[str] = (), limit: int | None = None) -> list[LoggedCommit]:
        """Return *commit* and its ancestors, newest first, at most *limit*, without what *since* already contains."""
        return git_history.log(self.process, commit, since, limit)

    def past_commits(self, tips: Sequence[str], paths: Sequence[str] = ()) -> list[PastCommit]:
        """Return every ancestor of *tips* and they themselves with all that they changed, each after its parents.

        Where *paths* are given only those commits that changed one of them, with that.
        """
        return git_history.past_commits(self.process, tips, paths)

    def touched(self, base: str, commit: str) -> list[str]:
        """Return the paths that *commit* changes against where it left the line of *base*."""
        stdout = self.process.read(
            "diff", "--name-only", "-z", "--no-renames", "--no-ext-diff", f"{base}...{commit}"
        ).stdout
        return stdout.decode("utf-8", "surrogateescape").split("\0")[:-1]

    def merge_base(self, first: str, second: str) -> str | None:
        """Return the commit where two lines parted; null when they have none in common."""
        return self.process.read("merge-base", first, second, allowed=(0, 1)).text or None

    def merged_tree(self, base: str, commit: str) -> str | None:
        """Return the tree that a merge of *commit* into *base* would have; null when they conflict."""
        ended = self.process.read("merge-tree", "--write-tree", base, commit, allowed=(0, 1))
        return ended.text.split()[0] if ended.code == 0 else None

    def config(self, key: str) -> str | None:
        """Return the value of *key* as git sees it (files, environment, command line); null when it is not set."""
        section, _, name = key.rpartition(".")
        head, dot, rest = section.partition(".")
        return self._config.get(f"{head.lower()}{dot}{rest}.{name.lower()}")

    @property
    def default_branch(self) -> str | None:
        """The branch that the remote's HEAD named when it was cloned; null without a remote, or where none is noted."""
        if self.remote is None:
            return None
        prefix = f"refs/remotes/{self.remote}/"
        found = self.process.read("symbolic-ref", "--quiet", f"{prefix}HEAD", allowed=(0, 1)).text
        return found.removeprefix(prefix) or None

    def head_branch(self) -> str | None:
        """Return the branch that is checked out; null when HEAD is detached."""
        return self.process.read("symbolic-ref", "--quiet", "--short", "HEAD", allowed=(0, 1)).text or None

    def changed_paths(self, *, untracked_under: tuple[str, ...] = ("",)) -> list[str]:
        """Return the paths of the work tree that differ from HEAD; untracked ones only below these prefixes."""
        if self.is_bare:
            return []
        stdout = self.process.read("status", "--porcelain", "-z", "--untracked-files=all", "--no-renames").stdout
        rows = [row for row in stdout.decode("utf-8", "surrogateescape").split("\0") if row]
        return [row[3:] for row in rows if not row.startswith("??") or row[3:].startswith(untracked_under)]

    def is_clean(self) -> bool:
        """Whether the work tree is exactly HEAD."""
        return not self.changed_paths()

    @cached_property
    def git_dir(self) -> Path:
        """The common git directory, absolute."""
        return Path(self.process.read("rev-parse", "--path-format=absolute", "--git-common-dir").text)

    @cached_property
    def is_bare(self) -> bool:
        """Whether there is no work tree."""
        return self.process.read("rev-parse", "--is-inside-work-tree", allowed=(0, 128)).text != "true"

    @cached_property
    def top(self) -> Path:
        """The top of the work tree; GitError for a bare repository."""
        return Path(self.process.read("rev-parse", "--show-toplevel").text)

    @property
    def private_dir(self) -> Path:
        """The folder inside the git directory that is ours: locks, worktree, the clone of the DNS repository."""
        return self.git_dir / "sslops"

    # Writing.

    def commit_all(self, parent: str | None, commits: Sequence[NewCommit]) -> str:
        """Make *commits* on *parent* (null: an orphan) and return the last one's hash; no branch moves.

        Signed when git has a signing key, and with the commit hooks of the repository when it has any. Refused when
        `signers` ask for a signature that this clone cannot make.
        """
        tip = self._commit_all(parent, commits)
        require_signed(self, self.signers, tip)
        return tip

    def _commit_all(self, parent: str | None, commits: Sequence[NewCommit]) -> str:
        if not commits:
            message = "no commit to make"
            raise ValueError(message)
        self.private_dir.mkdir(parents=True, exist_ok=True)
        if self.signs or self._has_commit_hooks:
            return git_commits.commit_all(
                self.process, self.private_dir, parent, commits, self.committer, signed=self.signs
            )
        return git_commits.draft_all(self.process, parent, commits, self.committer)[-1]

    @property
    def signs(self) -> bool:
        """Whether commits are signed: a signing key or `commit.gpgsign` is configured, and it is not switched off."""
        switch = self.config("commit.gpgsign")
        if switch is not None:
            return switch.lower() not in _FALSE
        return bool(self.config("user.signingkey"))

    @property
    def signing(self) -> dict[str, str | None]:
        """The settings by which commits are signed, for another repository of ours to take over."""
        return {key: self.config(key) for key in _SIGNING}

    @property
    def remote_url(self) -> str | None:
        """The URL of the remote; null when there is none."""
        return self.config(f"remote.{self.remote}.url") if self.remote else None

    def fetch(self) -> None:
        """Bring the remote-tracking refs up to date, deleted branches too; without a remote only tidy up.

        A clone that lives long gets a pack from every run; git joins them when there are many.
        """
        if self.remote is None:
            self.process.write("gc", "--auto", "--quiet")
            return
        refspecs = (f"+refs/heads/*:refs/remotes/{self.remote}/*", f"+{WINDOWS}*:{WINDOWS}*")
        # The rules read history (a revert, evidence): a CI's shallow clone would hide it.
        depth = ["--unshallow"] if (self.git_dir / "shallow").exists() else []
        self.process.ask(
            "fetch",
            "--quiet",
            "--prune",
            "--no-tags",
            "--no-write-fetch-head",
            *depth,
            self._remote_address or self.remote,
            *refspecs,
        )

    def push(self, updates: Sequence[RefUpdate], *, atomic: bool = True, options: Sequence[str] = ()) -> None:
        """Move branches, all or none, each only if it still is what we expect; without a remote the local ones.

        *options* are push options, which a forge may understand. Raises Moved when somebody was faster, GitError when
        the remote refused or holds something else afterwards.
        """
        names = " ".join(update.branch for update in updates)
        with self.effects.effect(f"push {names}"):
            self._pusher.push(updates, atomic=atomic, options=options)

    def keep(self, refs: Mapping[str, str]) -> None:
        """Let *refs* of ours that are no branches (full names) be at these commits, wherever they were.

        Raises GitError when the remote does not take them.
        """
        with self.effects.effect(f"push {' '.join(refs)}"):
            self._pusher.keep(refs)

    def remote_heads(self, branches: Sequence[str]) -> Mapping[str, str]:
        """Ask the remote itself where *branches* stand now; a branch that is not there is left out."""
        if self.remote is None:
            heads = {branch: self.branch(branch) for branch in branches}
            return {branch: sha for branch, sha in heads.items() if sha}
        return self._pusher.held(branches)

    # Parts that other adapters of this repository build on.

    @cached_property
    def process(self) -> GitProcess:
        """The one place where git is started for this repository."""
        return GitProcess(self.path, self.environ, self.credentials)

    @property
    def _pusher(self) -> Pusher:
        return Pusher(self.process, self.remote, self._remote_address)

    @property
    def _remote_address(self) -> str | None:
        """The remote's URL where it must stand in for its name: a CI wrote another token into it than ours."""
        url = self.remote_url if self.credentials else None
        if url is None or not any(each.covers(url) for each in self.credentials):
            return None
        plain = without_user(url)
        return None if plain == url else plain

    @cached_property
    def _config(self) -> dict[str, str]:
        rows = self.process.read("config", "--list", "-z").stdout.decode("utf-8", "replace").split("\0")
        # A key without a value is git's way to say true.
        pairs = (row.partition("\n") for row in rows if row)
        return {key: value if newline else "true" for key, newline, value in pairs}

    @cached_property
    def _has_commit_hooks(self) -> bool:
        configured = self.config("core.hookspath")
        folder = self.path / Path(configured).expanduser() if configured else self.git_dir / "hooks"
        return any(os.access(folder / name, os.X_OK) for name in git_commits.COMMIT_HOOKS)

    def _default_remote(self) -> str | None:
        """Return `origin`, else the one remote there is; GitError where it would be a guess."""
        remotes = sorted(
            {key.split(".")[1] for key in self._config if key.startswith("remote.") and key.endswith(".url")}
        )
        if REMOTE in remotes:
            return REMOTE
        if len(remotes) > 1:
            message = f"the repository has {len(remotes)} remotes and none is called '{REMOTE}'"
            raise GitError(message, hint=f"git remote rename {remotes[0]} {REMOTE}")
        return remotes[0] if remotes else None


def _batch(stdout: bytes, wanted: Sequence[str]) -> Iterable[bytes]:
    """Cut the answer about blobs into contents; GitError when one is missing."""
    for sha, content in zip(wanted, _contents(stdout, len(wanted)), strict=True):
        if content is None:
            message = f"object '{sha}' is not in the repository"
            raise GitError(message, hint="git fsck")
        yield content


def _contents(stdout: bytes, count: int) -> Iterable[bytes | None]:
    """Cut the answer of `git cat-file --batch` to *count* questions into contents, in their order."""
    position = 0
    for _ in range(count):
        end = stdout.index(b"\n", position)
        facts = stdout[position:end].split(b" ")
        if facts[-1] == b"missing":
            yield None
            position = end + 1
            continue
        size = int(facts[-1])
        yield stdout[end + 1 : end + 1 + size]
        position = end + size + 2


def _unusable(folder: Path, said: str) -> UsageError:
    """Say why git knows no repository here: there is none, or in git's own words what is wrong with it."""
    if "not a git repository" in said:
        return UsageError(f"'{folder}' is not in a git repository", hint="sslops init DIR")
    # Of a repository that another user owns git says the command that helps, and that is for a person to decide.
    command = re.search(r"git config --global --add safe\.directory \S.*", said)
    reason = said[: command.start()].partition("To add an exception")[0] if command else said
    return UsageError(
        f"git refuses '{folder}': {peer_words(reason)}", hint=peer_words(command[0]) if command else "git status"
    )
