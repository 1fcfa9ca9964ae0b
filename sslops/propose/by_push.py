"""Requests where the token may push and the forge's API is closed to it: GitLab opens them by options of a push.

The API is always tried first, so a token with more rights changes nothing here; what the API refuses goes on top of the
branch as a commit of its own, which brings nothing, carries the options and says what was asked for. So a run that was
killed in between is finished by the next one, and a run that finds its words there says nothing.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from sslops.errors import MayNotCall
from sslops.model.inventory import MergePolicy
from sslops.model.proposal import Merging
from sslops.propose.rules import Asked, Proposed

if TYPE_CHECKING:
    from collections.abc import Callable

    from sslops.model.proposal import MergeRequest, Proposal
    from sslops.propose.ports import RequestBranch
    from sslops.propose.steps import Proposer


@dataclass(frozen=True, slots=True)
class OrByPush:
    """Does what *proposer* does, by pushes of *branch* where that may not call the API; *place* names the project.

    What became of such a request nobody can ask: one that was closed is not opened again as long as its branch, its
    plan and its policy stay (`--force` does), and one for which nothing is left to propose stays open.
    """

    proposer: Proposer
    branch: RequestBranch
    options: Callable[[Proposal, bool], tuple[str, ...]]
    """Returns what to push a proposal with; true: the forge is to merge it."""
    place: str

    @property
    def target(self) -> str:
        """The branch that they shall be merged into."""
        return self.proposer.target

    @property
    def body_limit(self) -> int:
        """The most characters that the forge takes as a body."""
        return self.proposer.body_limit

    def look(self, digest: str) -> Proposed | Asked | None:
        """Return the open request, the one that declines *digest*, or that one was asked for; null: none of it."""
        try:
            return self.proposer.look(digest)
        except MayNotCall:
            said = self.branch.said()
            return self._asked(said) if said in {_words(digest, merges=each) for each in (True, False)} else None

    def refusal(self, digest: str) -> MergeRequest | None:
        """Return the request by whose closing a person declined *digest*; null when nobody did, or none can tell."""
        try:
            return self.proposer.refusal(digest)
        except MayNotCall:
            return None

    def propose(self, proposal: Proposal, *, may_merge: bool = True) -> Proposed | Asked:
        """Let one open request say *proposal*, merged where that is the policy (and *may_merge*)."""
        try:
            return self.proposer.propose(proposal, may_merge=may_merge)
        except MayNotCall:
            refusal = self.refusal(proposal.digest)
            return Proposed(refusal, is_declined=True) if refusal else self._ask(proposal, may_merge=may_merge)

    def withdraw(self) -> None:
        """Close what is open; where that may not be, the branch, which brings nothing then, has to tell."""
        try:
            self.proposer.withdraw()
        except MayNotCall:
            return

    def _ask(self, proposal: Proposal, *, may_merge: bool) -> Asked:
        merges = may_merge and self.proposer.policy is MergePolicy.AUTO
        words = _words(proposal.digest, merges=merges)
        if self.proposer.force or self.branch.said() != words:
            self.branch.say(proposal.head, words, self.options(proposal, merges))
        return self._asked(words)

    def _asked(self, words: str) -> Asked:
        merging = Merging.SCHEDULED if words.endswith(_MERGE) else None
        return Asked(self.place, self.proposer.kind.branch, merging)


_MERGE = " merge"


def _words(digest: str, *, merges: bool) -> str:
    """Return what the commit on the branch says: another plan, or another policy, are asked for anew."""
    return f"{digest}{_MERGE if merges else ' review'}"
