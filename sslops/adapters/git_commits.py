"""Making commits: one `git fast-import` for many unsigned ones, a real `git commit` where a key or a hook counts.

Neither ever writes a file into a work tree that a person sees; the real `git commit` happens in a private worktree
inside the git directory, which has an index and no files.
"""

from __future__ import annotations

import os
import shutil
from contextlib import contextmanager
from dataclasses import replace
from typing import TYPE_CHECKING

from sslops.adapters.file_lock import locked
from sslops.adapters.git_objects import import_stream
from sslops.errors import GitError

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence
    from pathlib import Path

    from sslops.adapters.git_objects import NewCommit, Person
    from sslops.adapters.git_process import GitProcess

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
