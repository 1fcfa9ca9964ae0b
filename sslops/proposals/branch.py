"""The one branch of a kind in the DNS repository: what it would bring to the base, and how it moves.

A lease is always on a commit that was made for this branch and for nothing else, so a branch that shall bring nothing
gets an empty commit of its own and is never moved to one that it, or the base, was at before: a run that slept through
all of it would find its lease good again.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from sslops.errors import GitError
from sslops.model.proposal import Kind
from sslops.repo.foreign_commits import refuse_others
from sslops.repo.git_commits import NewCommit, RefUpdate

if TYPE_CHECKING:
    from collections.abc import Collection, Mapping, Sequence

    from sslops.repo.git import Git


Contents = list[bytes | None]
"""What some paths hold at one commit, null where there is no file."""


@dataclass(frozen=True, slots=True)
class ProposalBranch:
    """The branch *name*, proposed to be merged into *target*; *git* acts as the bot."""

    git: Git
    name: str
    target: str

    @property
    def base(self) -> str:
        """The commit of the base branch as last fetched; GitError when the branch does not exist."""
        commit = self.git.branch(self.target)
        if commit is None:
            message = f"the DNS repository has no branch '{self.target}'"
            raise GitError(message, hint="dns.repo.branch in inventory/sslops.yaml")
        return commit

    @property
    def head(self) -> str | None:
        """The commit of the proposal branch as last fetched; null when there is none."""
        return self.git.branch(self.name)

    def require_own_hands(self) -> None:
        """Raise Refused when the branch has a commit of somebody else; git's own merge of base is harmless.

        A rebase is too where main asks for no signatures; it takes ours away.
        """
        head = self.head
        if head is not None:
            refuse_others(self.git, self.git.committer, self.name, head, self.base, self.git.signers)

    def contents(self, commit: str, paths: Sequence[str]) -> Contents:
        """Return what *paths* hold at *commit* (or in a tree)."""
        return self.git.objects([f"{commit}:{path}" for path in paths])

    def brings(self, paths: Sequence[str]) -> tuple[Contents, ...]:
        """Return what *paths* may hold once the branch is merged; nothing when a merge changes none of them.

        Where the base moved on below the branch that is two answers: what the branch has, and what git's merge makes.
        """
        head, base = self.head, self.base
        if head is None or self.git.is_ancestor(head, base):
            return ()
        ours, theirs = self.contents(head, paths), self.contents(base, paths)
        if ours == theirs:
            return ()
        merged = None if self._stands_on_base(head, base, paths) else self.git.merged_tree(base, head)
        return (ours,) if merged is None else (ours, self.contents(merged, paths))

    def is_open(self) -> bool:
        """Whether merging the branch changes anything."""
        head, base = self.head, self.base
        if head is None or self.git.merge_base(base, head) is None:
            return head is not None
        return bool(self.brings(self.git.touched(base, head)))

    def has_exactly(self, paths: Collection[str]) -> bool:
        """Whether merging the branch changes no file but *paths*, and each of them to what the branch has."""
        head, base = self.head, self.base
        if head is None or self.git.is_ancestor(head, base):
            return False
        if not set(self.git.touched(base, head)) <= set(paths):
            return False
        return self._stands_on_base(head, base, sorted(paths))

    def commit(self, base: str, files: Mapping[str, bytes], message: str) -> str:
        """Make the one commit of a proposal, *files* on *base*; no branch moves."""
        return self.git.commit_all(base, [NewCommit(message, files)])

    def move(self, commit: str, head: str | None) -> None:
        """Move the branch to *commit*; Moved when it is not at *head*."""
        self.git.push([RefUpdate(self.name, commit, head, may_rewrite=True)])

    def move_with_base(self, commit: str, head: str | None, base: str) -> None:
        """Move branch and base to *commit* in one atomic push; Moved when either is not where it was."""
        self.git.push([RefUpdate(self.name, commit, head, may_rewrite=True), RefUpdate(self.target, commit, base)])

    def empty(self, head: str | None, message: str) -> str:
        """Let the branch bring nothing, by a commit of our own on base; Moved when it is not at *head*."""
        commit = self.commit(self.base, {}, message)
        self.move(commit, head)
        return commit

    def _stands_on_base(self, head: str, base: str, paths: Sequence[str]) -> bool:
        """Whether *paths* are in base as they were where the branch left it."""
        start = self.git.merge_base(base, head)
        return start is not None and self.contents(start, paths) == self.contents(base, paths)


_REQUEST = "Sslops-Request"
_VERBS = {Kind.ACME: "renew", Kind.TLSA: "publish", Kind.ROLL: "roll"}


@dataclass(frozen=True, slots=True)
class RequestBranch:
    """The branch of *kind*, to be merged into *target*; *git* acts as the bot in *run*."""

    git: Git
    kind: Kind
    target: str
    run: str | None

    def said(self) -> str | None:
        """Return the words that were pushed last for what the branch brings, as last fetched; null: none."""
        head, base = self.git.branch(self.kind.branch), self.git.branch(self.target)
        if head is None:
            return None
        commits = self.git.log(head, since=[base] if base else [])
        found = (dict(one.trailers).get(_REQUEST) for one in commits)
        return next((words for words in found if words), None)

    def say(self, head: str, words: str, options: Sequence[str]) -> None:
        """Push a commit that says *words*, with *options*; Moved when the branch is not at *head*."""
        verb = _VERBS[self.kind]
        run = f"Sslops-Run: {self.run}\n" if self.run else ""
        message = f"{verb}: ask for a merge request\n\nSslops-Action: {verb}\n{_REQUEST}: {words}\n{run}"
        commit = self.git.commit_all(head, [NewCommit(message, {})])
        self.git.push([RefUpdate(self.kind.branch, commit, head)], options=options)
