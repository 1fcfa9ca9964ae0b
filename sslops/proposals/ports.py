"""With whom proposals work: one project on one forge. And what stages ask of them: the requests of one kind."""

from __future__ import annotations

from typing import TYPE_CHECKING, Protocol

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from sslops.model.proposal import Kind, MergeAnswer, MergeRequest, Proposal
    from sslops.proposals.rules import Asked, Proposed


class ForgeProject(Protocol):
    """One project on a forge, as one token may see and change it.

    Every method may raise ForgeError: what was refused and which right is missing, or what could not be reached after a
    bounded number of tries. Retry-After and rate limits are honoured below this port.
    """

    @property
    def body_limit(self) -> int:
        """The most characters that the forge takes as the body of a request or a comment."""
        ...

    def requests(self, kind: Kind, target: str) -> Sequence[MergeRequest]:
        """Return the requests from the kind's branch of this very project into *target*, newest first.

        All that are open, and of those that ended the newest hundred; requests from forks are left out.
        """
        ...

    def open(self, proposal: Proposal) -> MergeRequest:
        """Open a request; where an open one exists already (another run was faster) return that, unchanged."""
        ...

    def edit(self, request: MergeRequest, *, title: str, body: str) -> None:
        """Set title and body."""
        ...

    def comment(self, request: MergeRequest, text: str) -> None:
        """Add a comment."""
        ...

    def close(self, request: MergeRequest) -> None:
        """Close it unmerged."""
        ...

    def merge(self, request: MergeRequest, head: str) -> MergeAnswer:
        """Merge now, only while the branch is at *head*; where checks or approvals are missing, when they come.

        Raises Moved when the branch is at another commit, ForgeError when the token may not.
        """
        ...

    def unschedule(self, request: MergeRequest) -> None:
        """Take back that the forge was asked to merge *request*, and be certain of it.

        Raises Moved when it was merged in between, ForgeError when it is still to be merged.
        """
        ...

    def put_remark(self, number: int, marker: str, text: str) -> bool:
        """Let request *number* have one comment of ours that contains *marker*; False when it says so already."""
        ...

    def put_issue(self, marker: str, title: str, body: str) -> bool:
        """Let the project have one open issue of ours whose body contains *marker*; False when it says so already."""
        ...


class Requests(Protocol):
    """The requests of one kind; every method may raise ForgeError, and changes nothing that is as it should be."""

    @property
    def target(self) -> str:
        """The branch that they shall be merged into."""
        ...

    @property
    def body_limit(self) -> int:
        """The most characters of a body."""
        ...

    def look(self, digest: str) -> Proposed | Asked | None:
        """Return the open request, or the one by whose closing a person declined *digest*; null when there is none.

        Where that may not be asked: whether one was asked for.
        """
        ...

    def refusal(self, digest: str) -> MergeRequest | None:
        """Return the request by whose closing a person declined *digest*; null when nobody did, or it is forced."""
        ...

    def propose(self, proposal: Proposal, *, may_merge: bool = True) -> Proposed | Asked:
        """Let one open request say *proposal*, merged where that is the policy (and *may_merge*).

        Raises Moved when the branch moved before the merge.
        """
        ...

    def unschedule(self) -> None:
        """Take back every merge that the forge was asked for: to be called before the branch gets another content.

        Raises Moved when the forge merged first, ForgeError when it would still merge.
        """
        ...

    def withdraw(self) -> None:
        """Close what is open, for nothing is left to propose; that declines nothing."""
        ...


class ProposedChange(Protocol):
    """What a stage wants to have merged, and the branch that brings it; every method may raise GitError and Moved."""

    def brings(self) -> bool:
        """Whether merging the branch does exactly what is wanted."""
        ...

    def push(self, *, anew: bool) -> None:
        """Let the branch bring that; where it does already, nothing moves unless it is to be made *anew*.

        What the ledger has to say before and after is said here.
        """
        ...

    def take_back(self, withdraw: Callable[[], None]) -> None:
        """Let the branch bring nothing; where it may have brought something, *withdraw* its requests first."""
        ...

    def proposal(self, limit: int) -> Proposal:
        """Return what to ask for, the body within *limit* characters."""
        ...

    def is_merged(self) -> bool:
        """Whether the target has it, within a bounded time."""
        ...


class RequestBranch(Protocol):
    """The branch that requests of one kind come from, where they are asked for by pushes. Both may raise GitError."""

    def said(self) -> str | None:
        """Return the words that were pushed last for what the branch brings; null when there are none."""
        ...

    def say(self, head: str, words: str, options: Sequence[str]) -> None:
        """Push *words*, which bring nothing, with *options* of git; Moved when the branch is not at *head*."""
        ...
