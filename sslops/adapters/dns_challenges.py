"""The challenge include files in the DNS repository: one file for each apex, one commit for all of them.

The proposal branch and the base move in one atomic push, as for TLSA; whoever loses a race renders anew.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from sslops.adapters.dns_repository import fetch
from sslops.adapters.git_objects import NewCommit, RefUpdate
from sslops.errors import GitError

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

    from sslops.adapters.git import Git

PROPOSAL = "sslops/acme"


@dataclass(frozen=True, slots=True)
class ChallengeFiles:
    """`<acme_dir>/acme-challenge.<apex>` on *branch* of the DNS repository behind *git*; *run* names this run."""

    git: Git
    branch: str
    acme_dir: str
    run: str

    def refresh(self) -> None:
        """Fetch; GitError when the repository cannot be reached."""
        fetch(self.git)

    def read(self, apexes: Iterable[str]) -> dict[str, bytes]:
        """Return the file of each of *apexes* on the base as last fetched; empty where there is none."""
        wanted = sorted(apexes)
        found = self.git.objects([f"{self._base}:{self._path(apex)}" for apex in wanted])
        return {apex: content or b"" for apex, content in zip(wanted, found, strict=True)}

    def write(self, files: Mapping[str, bytes], what: str) -> None:
        """Commit *files* (by apex) and merge at once; Moved when base or proposal moved since they were fetched."""
        base, head = self._base, self.git.branch(PROPOSAL)
        message = f"acme: {what}\n\nSslops-Action: renew\nSslops-Run: {self.run}\n"
        edits = {self._path(apex): content for apex, content in files.items()}
        commit = self.git.commit_all(base, [NewCommit(message, edits)])
        self.git.push([RefUpdate(PROPOSAL, commit, head, may_rewrite=True), RefUpdate(self.branch, commit, base)])

    def _path(self, apex: str) -> str:
        return f"{self.acme_dir}/acme-challenge.{apex}"

    @property
    def _base(self) -> str:
        commit = self.git.branch(self.branch)
        if commit is None:
            message = f"the DNS repository has no branch '{self.branch}'"
            raise GitError(message, hint="dns.repo.branch in inventory/sslops.yaml")
        return commit
