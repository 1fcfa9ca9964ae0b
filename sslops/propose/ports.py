"""With whom proposals work: one project on one forge."""

from __future__ import annotations

from typing import TYPE_CHECKING, Protocol

if TYPE_CHECKING:
    from collections.abc import Sequence

    from sslops.model.proposal import Kind, MergeRequest, Merging, Proposal


class Forge(Protocol):
    """One project on GitLab, GitHub or Forgejo, as one token may see and change it.

    Every method may raise ForgeError: what was refused and which right is missing, or what could not be reached after a
    bounded number of tries. Retry-After and rate limits are honoured below this port.
    """

    @property
    def body_limit(self) -> int:
        """The most characters that the forge takes as the body of a request or a comment."""
        ...

    def requests(self, kind: Kind, target: str) -> Sequence[MergeRequest]:
        """Return the requests from the kind's branch of this very project into *target*, newest first.

        All that are open, and of those that ended the newest hundred; requests from forks are nobody's of ours.
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

    def merge(self, request: MergeRequest, head: str) -> Merging:
        """Merge, now or when the forge's own conditions hold, only while the branch is at *head*.

        Raises Moved when the branch is at another commit, ForgeError when the project allows neither.
        """
        ...

    def put_remark(self, number: int, marker: str, text: str) -> bool:
        """Let request *number* have one comment of ours that contains *marker*; False when it says so already."""
        ...

    def put_issue(self, marker: str, title: str, body: str) -> bool:
        """Let the project have one open issue of ours whose body contains *marker*; False when it says so already."""
        ...
