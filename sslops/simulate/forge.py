"""A forge: the requests of one project, what the engine asks of it, and what people do there."""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING

from sslops.errors import ForgeError, Moved
from sslops.model.proposal import MergeAnswer, MergeRequest, Merging, RequestState

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from sslops.model.proposal import Kind, Proposal


@dataclass(slots=True)
class SimulatedForge:
    """A forge's project; *head* tells where the branch of requests is, *merge_now* merges it, squashed or not.

    *merges*: whether it may be asked to merge by itself, and does so at once (true) or when it likes (false); null:
    only people merge.
    """

    head: Callable[[], str | None]
    merge_now: Callable[[bool], bool]
    merges: bool | None = None
    found: list[MergeRequest] = field(default_factory=list)
    """Every request, oldest first."""

    body_limit = 1_000_000

    # The port.

    def requests(self, kind: Kind, target: str) -> Sequence[MergeRequest]:
        """Return the requests, newest first, each with where its branch is."""
        head = self.head()
        return [
            replace(each, head=head if each.state is RequestState.OPEN else each.head)
            for each in reversed(self.found)
            if (each.source, each.target) == (kind.branch, target)
        ]

    def open(self, proposal: Proposal) -> MergeRequest:
        """Open a request, or return the one that is open already."""
        known = self.open_request
        if known is not None:
            return known
        number = len(self.found) + 1
        branch, url = proposal.kind.branch, "a merge request"
        made = MergeRequest(
            number, url, RequestState.OPEN, branch, proposal.target, self.head(), proposal.title, proposal.body
        )
        self.found.append(made)
        return made

    def edit(self, request: MergeRequest, *, title: str, body: str) -> None:
        """Set title and body."""
        self._change(request, title=title, body=body)

    def comment(self, _request: MergeRequest, _text: str) -> None:
        """Hear a comment."""

    def close(self, request: MergeRequest) -> None:
        """Close it unmerged."""
        self._change(request, state=RequestState.CLOSED)

    def merge(self, request: MergeRequest, head: str) -> MergeAnswer:
        """Merge it, now or later; Moved when its branch is at another commit."""
        if head != self.head():
            message = "the branch of the request moved"
            raise Moved(message)
        if self.merges and self.people_merge():
            return MergeAnswer(Merging.MERGED)
        self._change(request, is_scheduled=True, is_our_schedule=True)
        return MergeAnswer(Merging.SCHEDULED)

    def unschedule(self, request: MergeRequest) -> None:
        """Take that back."""
        self._change(request, is_scheduled=False, is_our_schedule=False)

    def put_remark(self, number: int, _marker: str, _text: str) -> bool:
        """The simulated forge keeps no reports."""
        raise ForgeError(f"request {number} takes no remarks")

    def put_issue(self, _marker: str, title: str, _body: str) -> bool:
        """The simulated forge keeps no reports."""
        raise ForgeError(f"no issue '{title}' is taken")

    # What people do, or a forge that was asked to.

    @property
    def open_request(self) -> MergeRequest | None:
        """The request that is open."""
        return next((each for each in self.found if each.state is RequestState.OPEN), None)

    def people_merge(self, *, squashes: bool = False) -> bool:
        """Merge what the branch brings, by the open request where there is one; whether anything was merged."""
        request, is_merged = self.open_request, self.merge_now(squashes)
        if is_merged and request is not None:
            self._change(request, state=RequestState.MERGED)
        return is_merged

    def merge_scheduled(self) -> bool:
        """Merge what the forge was asked to merge."""
        request = self.open_request
        return request is not None and request.is_scheduled and self.people_merge()

    def people_close(self) -> None:
        """Close the open request: its plan is not to be proposed again."""
        if self.open_request is not None:
            self.close(self.open_request)

    def people_reopen(self) -> None:
        """Open the newest request again, if it was closed."""
        if self.found and self.found[-1].state is RequestState.CLOSED and self.head() is not None:
            self._change(self.found[-1], state=RequestState.OPEN)

    def forget_what_was_closed(self) -> None:
        """Let nothing be declined any more."""
        self.found = [each for each in self.found if each.state is not RequestState.CLOSED]

    def _change(self, request: MergeRequest, **changes: object) -> None:
        self.found = [
            replace(each, **changes) if each.number == request.number else each  # type: ignore[arg-type]
            for each in self.found
        ]
