"""Commits as values, and how `git fast-import` writes them into a repository.

>>> NewCommit("renew(example.com/mail-ec): first", {"state/a": b"1"}).parents is None
True
"""

from __future__ import annotations

import os
import shutil
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING

from sslops.errors import GitError
from sslops.system.file_lock import locked

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence
    from pathlib import Path

    from sslops.repo.git_process import GitProcess


DRAFT_REF = "refs/sslops/draft"
"""The ref that fast-import insists on; it is deleted by the same stream and so never seen."""


@dataclass(frozen=True, slots=True)
class Person:
    """A name and an address as git writes them."""

    name: str
    email: str

    def __str__(self) -> str:
        """Return `name <email>`, without what would end the line or the address early."""
        return f"{_plain(self.name)} <{_plain(self.email)}>"


@dataclass(frozen=True, slots=True)
class NewCommit:
    """A commit to be made.

    *edits* maps a path to its new content, null deletes a file or folder. *grafts* maps a path to an existing tree
    (its hash), null deletes the folder; grafts come before edits. *parents* null: the commit before it, which for the
    first one is the parent of the whole row. *tree* null: start from the first parent's tree, else from this commit's.
    *author* null: the bot.
    """

    message: str
    edits: Mapping[str, bytes | None] = field(default_factory=dict)
    grafts: Mapping[str, str | None] = field(default_factory=dict)
    parents: tuple[str, ...] | None = None
    tree: str | None = None
    author: Person | None = None


@dataclass(frozen=True, slots=True)
class RefUpdate:
    """A branch to be moved from *expected* (null: it must not exist) to *new* (null: delete it).

    Only forward, unless *may_rewrite*.
    """

    branch: str
    new: str | None
    expected: str | None
    may_rewrite: bool = False


@dataclass(frozen=True, slots=True)
class LoggedCommit:
    """One commit as the history tells it."""

    sha: str
    parents: tuple[str, ...]
    committer: Person
    author: Person
    message: str
    trailers: tuple[tuple[str, str], ...]

    @property
    def subject(self) -> str:
        """The first line."""
        return self.message.partition("\n")[0]


def import_stream(parent: str | None, commits: Sequence[NewCommit], committer: Person) -> bytes:
    """Return the fast-import stream that makes *commits* on *parent* and prints the hash of each.

    Marks count from 1. Dates are git's own clock (`--date-format=now`): they are for the reader of the log only.
    """
    words: list[bytes] = [b"feature done\n"]
    for mark, commit in enumerate(commits, 1):
        words.extend(_commit_stream(mark, commit, _parents(mark, commit, parent), committer))
    words.extend(b"get-mark :%d\n" % mark for mark in range(1, len(commits) + 1))
    words.append(b"reset %b\nfrom %b\n\ndone\n" % (DRAFT_REF.encode(), b"0" * 40))
    return b"".join(words)


def _parents(mark: int, commit: NewCommit, parent: str | None) -> tuple[str, ...]:
    if commit.parents is not None:
        return commit.parents
    if mark > 1:
        return (f":{mark - 1}",)
    return (parent,) if parent else ()


def _commit_stream(mark: int, commit: NewCommit, parents: tuple[str, ...], committer: Person) -> Iterator[bytes]:
    if not parents:
        # Without `from` a commit continues what the ref already has, so an orphan needs a fresh ref.
        yield b"reset %b\n" % DRAFT_REF.encode()
    yield b"commit %b\nmark :%d\n" % (DRAFT_REF.encode(), mark)
    yield f"author {commit.author or committer} now\ncommitter {committer} now\n".encode()
    yield _data(commit.message.encode())
    for word, parent in zip(("from", *("merge",) * len(parents)), parents, strict=False):
        yield f"{word} {parent}\n".encode()
    if commit.tree is not None:
        yield b'deleteall\nM 040000 %b ""\n' % commit.tree.encode()
    yield from _files(commit)
    yield b"\n"


def _files(commit: NewCommit) -> Iterator[bytes]:
    for path, tree in sorted(commit.grafts.items()):
        yield b"D %b\n" % _quoted(path)
        if tree is not None:
            yield b"M 040000 %b %b\n" % (tree.encode(), _quoted(path))
    for path, content in sorted(commit.edits.items()):
        if content is None:
            yield b"D %b\n" % _quoted(path)
        else:
            yield b"M 100644 inline %b\n%b" % (_quoted(path), _data(content))


def _data(content: bytes) -> bytes:
    return b"data %d\n%b\n" % (len(content), content)


def _quoted(path: str) -> bytes:
    escaped = path.replace("\\", "\\\\").replace('"', '\\"').replace("\n", "\\n")
    return f'"{escaped}"'.encode()


def _plain(text: str) -> str:
    return "".join(char for char in text if char not in "<>\n\r\0").strip()


COMMIT_HOOKS = ("pre-commit", "prepare-commit-msg", "commit-msg", "post-commit")
UNBORN = "refs/sslops/unborn"
LOCK_SECONDS = 60.0


def draft_all(git: GitProcess, parent: str | None, commits: Sequence[NewCommit], committer: Person) -> list[str]:
    """Make *commits* on *parent* unsigned and without hooks, in one process; return their hashes, oldest first."""
    resolved = [replace(commit, tree=_tree(git, commit.tree)) if commit.tree else commit for commit in commits]
    stream = import_stream(parent, resolved, committer)
    ended = git.write("fast-import", "--quiet", "--force", "--date-format=now", "--done", stdin=stream)
    hashes = ended.text.split()
    if len(hashes) != len(commits):
        message = f"git made {len(hashes)} commits where {len(commits)} were asked"
        raise GitError(message)
    return hashes


def commit_all(
    git: GitProcess,
    private: Path,
    parent: str | None,
    commits: Sequence[NewCommit],
    committer: Person,
    *,
    signed: bool,
) -> str:
    """Make *commits* on *parent* with real `git commit`, so that signing (if *signed*) and hooks apply; return the tip.

    *private* is the folder inside the git directory that may hold the worktree. The trees come from drafts, so what is
    committed is byte for byte what the unsigned way commits; a hook that changes it is an error.
    """
    drafts = draft_all(git, parent, commits, committer)
    tip, standing = parent, None
    with locked(private / "worktree.lock", LOCK_SECONDS), _worktree(git, private / "worktree", drafts[0]) as worktree:
        for draft, commit in zip(drafts, commits, strict=True):
            parents = commit.parents if commit.parents is not None else ((tip,) if tip else ())
            if parents != (standing,):
                _stand_on(git, worktree, parents)
            tip = standing = _commit(git, worktree, draft, commit, committer, signed=signed)
            if not parents:
                git.write("update-ref", "--no-deref", "HEAD", tip, folder=worktree)
                git.write("update-ref", "-d", UNBORN)
    return tip or ""


def _tree(git: GitProcess, commit: str) -> str:
    return git.read("rev-parse", "--verify", f"{commit}^{{tree}}").text


@contextmanager
def _worktree(git: GitProcess, path: Path, commit: str) -> Iterator[Path]:
    """Lend a worktree without files; one that a killed run left behind is replaced."""
    _remove(git, path)
    git.write("worktree", "add", "--no-checkout", "--detach", "--quiet", os.fspath(path), commit)
    try:
        yield path
    finally:
        _remove(git, path)


def _remove(git: GitProcess, path: Path) -> None:
    if path.exists():
        shutil.rmtree(path)
        git.write("worktree", "prune", "--expire=now")


def _commit(git: GitProcess, worktree: Path, draft: str, commit: NewCommit, committer: Person, *, signed: bool) -> str:
    git.write("read-tree", draft, folder=worktree)
    git.write(
        "commit",
        "--quiet",
        "--allow-empty",
        "--allow-empty-message",
        "--cleanup=verbatim",
        "--file=-",
        *(["--gpg-sign"] if signed else []),
        stdin=commit.message.encode(),
        extra=_identity(commit.author or committer, committer),
        folder=worktree,
    )
    made, tree, wanted = git.read(
        "-C", os.fspath(worktree), "rev-parse", "HEAD", "HEAD^{tree}", f"{draft}^{{tree}}"
    ).text.split()
    if tree != wanted:
        message = "a commit hook of this repository changed the files of the commit"
        raise GitError(message, hint="make the hook leave 'state/' alone")
    return made


def _stand_on(git: GitProcess, worktree: Path, parents: tuple[str, ...]) -> None:
    """Point the worktree's HEAD at the first parent, and let git know of the others as of a merge under way."""
    if not parents:
        # A killed run may have left it, and the orphan would get a parent.
        git.write("update-ref", "-d", UNBORN)
        git.write("symbolic-ref", "HEAD", UNBORN, folder=worktree)
        return
    git.write("update-ref", "--no-deref", "HEAD", parents[0], folder=worktree)
    if parents[1:]:
        merge_head = git.read(
            "-C", os.fspath(worktree), "rev-parse", "--path-format=absolute", "--git-path", "MERGE_HEAD"
        )
        with open(merge_head.text, "w", encoding="ascii") as file:  # noqa: PTH123  (a path git gave)
            file.writelines(f"{parent}\n" for parent in parents[1:])


def _identity(author: Person, committer: Person) -> Mapping[str, str]:
    return {
        "GIT_AUTHOR_NAME": author.name,
        "GIT_AUTHOR_EMAIL": author.email,
        "GIT_COMMITTER_NAME": committer.name,
        "GIT_COMMITTER_EMAIL": committer.email,
    }
