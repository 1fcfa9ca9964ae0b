"""The challenge include files in the DNS repository: one file for each apex, one commit for all of them.

With `forge: none` the proposal branch and the base move in one atomic push, as for TLSA; whoever loses a race renders
anew. With a forge only the branch moves.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from sslops.adapters.dns_repository import fetch
from sslops.adapters.proposal_branch import ProposalBranch
from sslops.model.proposal import Kind

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

    from sslops.adapters.git import Git


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

    @property
    def head(self) -> str | None:
        """The commit of the proposal branch as last fetched; null when there is none."""
        return self._proposal.head

    def require_own_hands(self) -> None:
        """Raise Refused when somebody else committed to the proposal branch."""
        self._proposal.require_own_hands()

    def read(self, apexes: Iterable[str]) -> dict[str, bytes]:
        """Return the file of each of *apexes* on the base as last fetched; empty where there is none."""
        wanted = sorted(apexes)
        found = self._proposal.contents(self._proposal.base, [self._path(apex) for apex in wanted])
        return {apex: content or b"" for apex, content in zip(wanted, found, strict=True)}

    def write(self, files: Mapping[str, bytes], what: str) -> None:
        """Commit *files* (by apex) and merge at once; Moved when base or proposal moved since they were fetched."""
        base, head = self._proposal.base, self.head
        self._proposal.move_with_base(self._commit(base, files, what), head, base)

    def brings(self, files: Mapping[str, bytes]) -> bool:
        """Whether merging the proposal makes the files of these apexes *files*, and changes nothing else."""
        paths = [self._path(apex) for apex in files]
        head = self.head
        if head is None or not self._proposal.has_exactly(paths):
            return False
        return self._proposal.contents(head, paths) == list(files.values())

    def is_open(self, apexes: Iterable[str]) -> bool:
        """Whether merging the proposal would change a file of *apexes*."""
        return bool(self._proposal.brings([self._path(apex) for apex in apexes]))

    def propose(self, files: Mapping[str, bytes], what: str) -> None:
        """Let the proposal bring *files* (by apex) and nothing else; Moved when it moved since it was fetched."""
        self._proposal.move(self._commit(self._proposal.base, files, what), self.head)

    def empty(self) -> None:
        """Let the proposal bring nothing; Moved when it moved since it was fetched."""
        self._proposal.empty(self.head, self._message("nothing is left to propose"))

    def _commit(self, base: str, files: Mapping[str, bytes], what: str) -> str:
        edits = {self._path(apex): content for apex, content in files.items()}
        return self._proposal.commit(base, edits, self._message(what))

    def _message(self, what: str) -> str:
        return f"acme: {what}\n\nSslops-Action: renew\nSslops-Run: {self.run}\n"

    def _path(self, apex: str) -> str:
        return f"{self.acme_dir}/acme-challenge.{apex}"

    @property
    def _proposal(self) -> ProposalBranch:
        return ProposalBranch(self.git, Kind.ACME.branch, self.branch)
