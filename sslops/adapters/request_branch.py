"""The commit on top of a proposal that carries push options: it brings nothing, and says what was asked for.

Where it stands on the branch, or below what a person's "rebase" or "update branch" made, the words were pushed.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from sslops.adapters.git_objects import NewCommit, RefUpdate
from sslops.model.proposal import Kind

if TYPE_CHECKING:
    from collections.abc import Sequence

    from sslops.adapters.git import Git

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
