"""The life of every proposed change: branch, request, body, merge; declined, taken back, merged late.

`sync` is that life, for TLSA records, challenges and rolls; the stages say what is wanted and how their branch moves.
`Proposer` keeps the requests on the forge: one look, the decision, and what it takes. A run that is killed in between
is finished by the next one, which finds the branch there and the request missing.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from sslops.errors import MayNotCall, Moved
from sslops.model.inventory import MergePolicy
from sslops.model.proposal import MergeAnswer, Merging, RequestState
from sslops.proposals.rules import (
    Asked,
    Declined,
    Edit,
    Keep,
    Nothing,
    Open,
    Proposed,
    Withdraw,
    decide,
    declined,
    withdrawn,
)

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Sequence

    from sslops.model.proposal import Kind, MergeRequest, Proposal
    from sslops.proposals.ports import ForgeProject, ProposedChange, RequestBranch, Requests
    from sslops.proposals.rules import Decision


@dataclass(frozen=True, slots=True)
class SyncOutcome:
    """What became of one change that was proposed: what *stated* says of it, unless it *is_merged*."""

    stated: Proposed | Asked
    is_merged: bool = False
    is_pushed: bool = False
    """Whether its branch was moved for it."""

    def why(self, verb: str) -> str:
        """Return what is waited for, in words; *verb* is whose `--force` opens a declined request again."""
        if isinstance(self.stated, Proposed) and self.stated.is_declined:
            return f"declined: {self.stated.request.url} was closed; sslops {verb} --force opens it again"
        return self.stated.why


def sync(requests: Requests, change: ProposedChange, digest: str, *, may_merge: bool = True) -> SyncOutcome:
    """Bring one proposed change as far as it goes: the life that every kind of request has.

    Declined by a person it is taken back. Else its branch is brought up to date (after every merge that was scheduled
    of what it had before was taken back), one open request says it, and where that is the policy, and *may_merge*, the
    forge merges it. Silent when all of it is so already; raises Moved when another run was faster.
    """
    refusal = requests.refusal(digest)
    if refusal is not None:
        change.take_back(requests.withdraw)
        return SyncOutcome(Proposed(refusal, is_declined=True))
    is_pushed = not change.brings()
    if is_pushed:
        requests.unschedule()
    change.push(anew=False)
    stated = requests.propose(change.proposal(requests.body_limit), may_merge=may_merge)
    if stated.is_behind and not is_pushed:
        requests.unschedule()
        change.push(anew=True)
        stated = requests.propose(change.proposal(requests.body_limit), may_merge=may_merge)
    return SyncOutcome(stated, is_merged=stated.is_merging and change.is_merged(), is_pushed=is_pushed)


@dataclass(frozen=True, slots=True)
class Proposer:
    """Keeps the requests of one *kind* into the branch *target* of one project; *policy* says who merges.

    Its methods raise what the forge raises: ForgeError, and Moved when the branch moved before the merge.
    """

    open_forge: Callable[[], ForgeProject]
    """Gives the forge, always the same; it is called when the forge has to be asked, and not before."""
    kind: Kind
    target: str
    policy: MergePolicy
    force: bool = False

    @property
    def body_limit(self) -> int:
        """The most characters that the forge takes as a body."""
        return self.open_forge().body_limit

    def look(self, digest: str) -> Proposed | None:
        """Return the open request, or the one by whose closing a person declined *digest*; null when there is none."""
        requests = self._requests()
        refusal = None if self.force else declined(digest, requests)
        if refusal is not None:
            return Proposed(refusal, is_declined=True)
        request = next((each for each in requests if each.state is RequestState.OPEN), None)
        answer = MergeAnswer(Merging.SCHEDULED) if self.policy is MergePolicy.AUTO else None
        return None if request is None else Proposed(request, answer=answer)

    def refusal(self, digest: str) -> MergeRequest | None:
        """Return the request by whose closing a person declined *digest*; null when nobody did, or it is forced."""
        return None if self.force else declined(digest, self._requests())

    def propose(self, proposal: Proposal, *, may_merge: bool = True) -> Proposed:
        """Let one open request say *proposal*, and have it merged where that is the policy (and *may_merge*)."""
        decision = decide(proposal, self._requests(), force=self.force)
        if isinstance(decision, Declined):
            self._withdraw(decision.stale)
            return Proposed(decision.request, is_declined=True)
        request = self._stated(decision)
        if self.policy is not MergePolicy.AUTO or not may_merge:
            if request.is_our_schedule:
                # We asked the forge while the policy was another, or nobody held it.
                self.open_forge().unschedule(request)
            return Proposed(request)
        if request.is_draft:
            return Proposed(request)
        return Proposed(request, answer=self.open_forge().merge(request, proposal.head))

    def unschedule(self) -> None:
        """Take back every merge that anybody asked the forge for, before the branch gets another content.

        A schedule that survives a push merges what nobody reviewed. ForgeError when the forge does not let us, Moved
        when it merged first.
        """
        for request in self._requests():
            if request.state is RequestState.OPEN and request.is_scheduled:
                self.open_forge().unschedule(request)

    def withdraw(self) -> None:
        """Close what is open, for nothing is left to propose; closing it like this declines nothing."""
        decision = decide(None, self._requests())
        if isinstance(decision, Withdraw):
            self._withdraw(decision.requests)

    def _requests(self) -> Sequence[MergeRequest]:
        return self.open_forge().requests(self.kind, self.target)

    def _stated(self, decision: Decision) -> MergeRequest:
        match decision:
            case Open(proposal):
                return self.open_forge().open(proposal)
            case Edit(request, proposal, comment):
                self.open_forge().edit(request, title=proposal.title, body=proposal.body)
                if comment is not None:
                    self.open_forge().comment(request, comment)
                return request
            case Keep(request):
                return request
            case Nothing() | Withdraw() | Declined():
                message = "another run changed the request first"
                raise Moved(message, hint="run again")

    def _withdraw(self, requests: Iterable[MergeRequest]) -> None:
        for request in requests:
            if request.is_scheduled:
                self.open_forge().unschedule(request)  # it would hold again when somebody reopens the request
            body = withdrawn(request)
            if body is not None:
                self.open_forge().edit(request, title=request.title, body=body)
            self.open_forge().close(request)


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

    def unschedule(self) -> None:
        """Take back every merge that was asked for; where the API is closed GitLab does so at the push itself."""
        try:
            self.proposer.unschedule()
        except MayNotCall:
            return

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
        return Asked(self.place, self.proposer.kind.branch, is_merging=words.endswith(_MERGE))


_MERGE = " merge"


def _words(digest: str, *, merges: bool) -> str:
    """Return what the commit on the branch says: another plan, or another policy, are asked for anew."""
    return f"{digest}{_MERGE if merges else ' review'}"
