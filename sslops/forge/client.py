"""The port of `propose`, spoken over one forge's own API: what is the same on all three forges."""

from __future__ import annotations

from dataclasses import dataclass, replace
from itertools import islice
from typing import TYPE_CHECKING, Protocol

from sslops.errors import ForgeError
from sslops.forge.desk import same_text
from sslops.forge.wire import Refusal
from sslops.model.proposal import MergeRequest, Merging, RequestState

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator, Sequence

    from sslops.forge.desk import Desk
    from sslops.model.proposal import Kind, Proposal

ENDED_REQUESTS = 100
LOOKED_THROUGH = 1000
"""The most requests and comments that are looked through for ours, among those of other people."""
_EXISTS = frozenset({409, 422})


@dataclass(frozen=True, slots=True)
class Rights:
    """What a token needs for which work, in the words of the forge's own settings page."""

    read: str
    propose: str
    merge: str
    issue: str


@dataclass(frozen=True, slots=True)
class Text:
    """A comment or an issue: *is_ours* when the token's own account wrote it."""

    number: int
    is_ours: bool
    body: str
    title: str = ""


class Api(Protocol):
    """What one forge's API can do; every method may raise Refusal and Unclear."""

    @property
    def body_limit(self) -> int:
        """The most characters of a body or a comment."""
        ...

    @property
    def rights(self) -> Rights:
        """What a token needs."""
        ...

    def requests(self, source: str, target: str, *, is_open: bool) -> Iterator[MergeRequest]:
        """Yield the requests of this very project, newest first, that are open, or that ended; page by page."""
        ...

    def request(self, number: int) -> MergeRequest:
        """Return one request; its head is the commit that the forge would merge now."""
        ...

    def branch_head(self, branch: str) -> str | None:
        """Return the commit that *branch* is at; null when there is none."""
        ...

    def create(self, proposal: Proposal) -> MergeRequest:
        """Open a request; Refusal 409 or 422 where one is open."""
        ...

    def edit(self, number: int, *, title: str, body: str) -> None:
        """Set both."""
        ...

    def close(self, number: int) -> None:
        """Close it unmerged."""
        ...

    def merge(self, number: int, head: str) -> Merging:
        """Merge or schedule; Moved when it is not at *head*, ForgeError when neither is allowed."""
        ...

    def unschedule(self, number: int) -> None:
        """Take back that it is to be merged; Refusal where that is not so."""
        ...

    def comments(self, number: int) -> Iterator[Text]:
        """Yield the comments of a request, newest first where the forge can."""
        ...

    def add_comment(self, number: int, text: str) -> None:
        """Add one."""
        ...

    def edit_comment(self, number: int, comment: int, text: str) -> None:
        """Replace one."""
        ...

    def issues(self) -> Iterator[Text]:
        """Yield the open issues, newest first."""
        ...

    def add_issue(self, title: str, body: str) -> None:
        """Open one."""
        ...

    def edit_issue(self, number: int, title: str, body: str) -> None:
        """Replace both."""
        ...


@dataclass(frozen=True, slots=True)
class Client:
    """One project, spoken to through *api*; implements `sslops.propose.ports.Forge`."""

    desk: Desk
    api: Api

    @property
    def body_limit(self) -> int:
        """The most characters of a body or a comment."""
        return self.api.body_limit

    def requests(self, kind: Kind, target: str) -> Sequence[MergeRequest]:
        """Return the requests of *kind* into *target*, newest first."""
        with self.desk.calling("read merge requests", self.api.rights.read):
            ended = islice(self.api.requests(kind.branch, target, is_open=False), ENDED_REQUESTS)
            found = {each.number: each for each in ended} | {each.number: each for each in self._open(kind, target)}
        return [found[number] for number in sorted(found, reverse=True)]

    def open(self, proposal: Proposal) -> MergeRequest:
        """Open a request, or return the open one."""

        def existing() -> MergeRequest | None:
            return next(iter(self._open(proposal.kind, proposal.target)), None)

        with self.desk.calling("open a merge request", self.api.rights.propose):
            try:
                return self.desk.once(lambda: self.api.create(proposal), existing)
            except Refusal as refusal:
                found = existing() if refusal.status in _EXISTS else None
                if found is None:
                    raise
                return found

    def edit(self, request: MergeRequest, *, title: str, body: str) -> None:
        """Set title and body."""
        with self.desk.calling(f"edit request {request.number}", self.api.rights.propose):
            self.api.edit(request.number, title=title, body=body)

    def comment(self, request: MergeRequest, text: str) -> None:
        """Add a comment."""
        with self.desk.calling(f"comment on request {request.number}", self.api.rights.propose):
            self._add_comment(request.number, text)

    def close(self, request: MergeRequest) -> None:
        """Close it unmerged."""
        with self.desk.calling(f"close request {request.number}", self.api.rights.propose):
            self.api.close(request.number)

    def merge(self, request: MergeRequest, head: str) -> Merging:
        """Merge it at *head*, now or when the forge's conditions hold."""
        with self.desk.calling(f"merge request {request.number}", self.api.rights.merge):
            shown = self.desk.until(lambda: self._ready(request, head))
            if shown is None:
                raise self.desk.wont_merge(request.number, "the forge does not show its newest commit yet", "run again")
            if shown.state is RequestState.CLOSED:
                raise self.desk.wont_merge(request.number, "it is closed", "open it again")
            if shown.state is RequestState.MERGED:
                return Merging.MERGED
            return self.desk.once(lambda: self.api.merge(request.number, head), lambda: self._merging(request.number))

    def unschedule(self, request: MergeRequest) -> None:
        """Take back that the forge was asked to merge it; one that ended or is not to be merged is left alone."""
        with self.desk.calling(f"take back the merge of request {request.number}", self.api.rights.merge):
            try:
                self.api.unschedule(request.number)
            except Refusal:
                shown = self.api.request(request.number)
                if shown.is_scheduled and shown.state is RequestState.OPEN:
                    raise

    def put_remark(self, number: int, marker: str, text: str) -> bool:
        """Let the request have one comment of ours with *marker*."""
        with self.desk.calling(f"comment on request {number}", self.api.rights.propose):
            found = _marked(self.api.comments(number), marker)
            if found is None:
                self._add_comment(number, text)
            elif not same_text(found.body, text):
                self.api.edit_comment(number, found.number, text)
            else:
                return False
            return True

    def put_issue(self, marker: str, title: str, body: str) -> bool:
        """Let the project have one open issue of ours with *marker*."""
        with self.desk.calling("keep an issue", self.api.rights.issue):
            found = _marked(self.api.issues(), marker)
            if found is None:
                self._once(lambda: self.api.add_issue(title, body), lambda: _marked(self.api.issues(), marker))
            elif not (same_text(found.body, body) and same_text(found.title, title)):
                self.api.edit_issue(found.number, title, body)
            else:
                return False
            return True

    def _open(self, kind: Kind, target: str) -> list[MergeRequest]:
        """Return the open requests, with the commit that their branch is at right now."""
        found = list(self.api.requests(kind.branch, target, is_open=True))
        head = self.api.branch_head(kind.branch) if found else None
        return [replace(each, head=head) for each in found]

    def _ready(self, request: MergeRequest, head: str) -> MergeRequest | None:
        """Return the request once it shows *head* or has ended; null while the forge lags behind a push."""
        shown = self.api.request(request.number)
        if shown.head == head or shown.state is RequestState.CLOSED:
            return shown
        if shown.state is RequestState.MERGED or self.api.branch_head(shown.source) != head:
            raise self.desk.moved(shown.source)
        return None

    def _merging(self, number: int) -> Merging | None:
        """Return what became of a merge that nobody answered."""
        shown = self.api.request(number)
        if shown.state is RequestState.MERGED:
            return Merging.MERGED
        return Merging.SCHEDULED if shown.is_scheduled else None

    def _add_comment(self, number: int, text: str) -> None:
        def there() -> Text | None:
            found = islice(self.api.comments(number), LOOKED_THROUGH)
            return next((each for each in found if each.is_ours and same_text(each.body, text)), None)

        self._once(lambda: self.api.add_comment(number, text), there)

    def _once(self, act: Callable[[], None], look: Callable[[], Text | None]) -> None:
        def acted() -> bool:
            act()
            return True

        self.desk.once(acted, lambda: True if look() else None)


def _marked(texts: Iterable[Text], marker: str) -> Text | None:
    """Return our text that contains *marker*; somebody else's could not be edited, and is no word of ours."""
    return next((each for each in islice(texts, LOOKED_THROUGH) if each.is_ours and marker in each.body), None)


def field(found: object, *names: str) -> object:
    """Return what a JSON document has at *names*; ForgeError when it has another shape."""
    for name in names:
        if not isinstance(found, dict) or name not in found:
            raise ForgeError(f"the forge's answer has no '{'.'.join(names)}'", hint="is forge the right kind?")
        found = found[name]
    return found
