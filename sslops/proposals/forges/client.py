"""What all clients share: a refusal as a sentence that helps, and writes that must not happen twice."""

from __future__ import annotations

from contextlib import contextmanager
from dataclasses import dataclass, replace
from itertools import islice
from typing import TYPE_CHECKING, Protocol, TypeVar

from sslops.errors import ForgeError, MayNotCall, Moved
from sslops.model.proposal import MergeAnswer, MergeRequest, Merging, RequestState
from sslops.proposals.forges.answer import same_prose
from sslops.proposals.forges.merging import MergeFate, Obstacle
from sslops.proposals.forges.rest import LOOKED_THROUGH
from sslops.proposals.forges.wire import Refusal, Unclear

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator, Sequence

    from sslops.model.forges import Forge
    from sslops.model.proposal import Kind, Proposal
    from sslops.proposals.forges.protection import EngineBranch
    from sslops.proposals.forges.standing import Standing
    from sslops.proposals.forges.tokens import Token
    from sslops.proposals.forges.wire import ForgePatience


Result = TypeVar("Result")

DOCS = "docs/forges.md"
SETTLE_SECONDS = 2.0
"""How long a forge may take to show what it has just done."""
SETTLE_TRIES = 10

_SCOPE = "insufficient_scope"
"""How GitLab begins when the scopes of a token are not enough (RFC 6750 section 3.1)."""
_UNKNOWN_TOKEN, _FORBIDDEN, _NOT_THERE, _NOT_ALLOWED = 401, 403, 404, 405


@dataclass(frozen=True, slots=True)
class Desk:
    """*kind* of forge, *project* there, and the *token* we show."""

    kind: Forge
    project: str
    token: Token
    patience: ForgePatience

    @property
    def place(self) -> str:
        """The project and the forge, as every message begins."""
        return f"'{self.project}' on {self.kind.label}"

    @contextmanager
    def calling(self, call: str, right: str) -> Iterator[None]:
        """Turn a refusal of what is done inside into a ForgeError about *call*, which needs *right* (plain words)."""
        try:
            yield
        except Refusal as refusal:
            is_scope = refusal.status == _FORBIDDEN and refusal.said.startswith(_SCOPE)
            kind = MayNotCall if is_scope else ForgeError
            raise kind(self._sentence(call, refusal), hint=refusal.hint or self._hint(refusal, right)) from None
        except Unclear as error:
            raise ForgeError(f"{self.place}: could not {call}: {error.what}", hint=error.hint) from None

    def once(self, act: Callable[[], Result], look: Callable[[], Result | None]) -> Result:
        """Return what *act* made; where nobody knows whether it did, what *look* finds, and only then try again."""
        try:
            return act()
        except Unclear:
            self.settle()
            found = look()
            return act() if found is None else found

    def until(self, look: Callable[[], Result | None]) -> Result | None:
        """Return what *look* finds as soon as it finds something; null when it does not in SETTLE_TRIES looks."""
        for attempt in range(SETTLE_TRIES):
            found = look()
            if found is not None:
                return found
            if attempt < SETTLE_TRIES - 1:
                self.settle()
        return None

    def settle(self) -> None:
        """Give the forge the time to show what it is doing."""
        self.patience.sleep(SETTLE_SECONDS)

    def moved(self, source: str) -> Moved:
        """Return the answer that the branch of a request is at another commit than the one we decided about."""
        return Moved(f"{self.place}: '{source}' was moved in the meantime", hint="run again")

    def wont_merge(self, number: int, why: str, hint: str) -> ForgeError:
        """Return the error that the project neither merges nor keeps the request for later."""
        return ForgeError(f"{self.place}: request {number} is neither merged nor waits for it: {why}", hint=hint)

    def still_scheduled(self, number: int) -> ForgeError:
        """Return the error that the forge would merge whatever is pushed to the branch of a request now."""
        what = f"{self.place}: request {number} is still to be merged by the forge, so nothing was pushed to its branch"
        return ForgeError(what, hint="cancel the scheduled merge on its page")

    def _sentence(self, call: str, refusal: Refusal) -> str:
        if refusal.status == _UNKNOWN_TOKEN:
            return f"{self.place}: the token in {self.token.source} is not accepted"
        reasons = {_FORBIDDEN: "may not", _NOT_THERE: "cannot see the project, or may not"}
        able = reasons.get(refusal.status)
        said = f": {refusal.said}" if refusal.said else ""
        if able:
            return f"{self.place}: the token in {self.token.source} {able} {call}{said} (HTTP {refusal.status})"
        return f"{self.place}: could not {call}{said} (HTTP {refusal.status})"

    def _hint(self, refusal: Refusal, right: str) -> str | None:
        if refusal.status == _UNKNOWN_TOKEN:
            return f"it may have expired: put a new one into {self.token.role}; {DOCS}"
        if refusal.status not in {_FORBIDDEN, _NOT_THERE, _NOT_ALLOWED}:
            return None
        if self.token.is_of_the_job:
            return f"the job's own token cannot do it: put one with {right} into {self.token.role}; {DOCS}"
        return f"it needs {right}; {DOCS}"


ENDED_REQUESTS = 100
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
    def desk(self) -> Desk:
        """The project, and how its refusals are worded."""
        ...

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

    def merge(self, request: MergeRequest, head: str) -> Obstacle | None:
        """Merge it at once, only at *head*; return what stands against it, null when it is merged."""
        ...

    def schedule(self, request: MergeRequest, head: str) -> None:
        """Ask the forge to merge it by itself when checks and approvals are there; Refusal when it will not."""
        ...

    def passes(self, said: str) -> bool:
        """Whether a refusal in these words ends in a moment: the forge is still making up its mind."""
        ...

    def unschedule(self, number: int) -> bool:
        """Take that back; whether there was anything to take back, which may have just come true."""
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

    def standing(self, branch: str, engine: Sequence[EngineBranch]) -> Standing:
        """Return what the token, the project and the rules of *branch* and of the *engine*'s own branches allow."""
        ...


@dataclass(frozen=True, slots=True)
class Client:
    """One project, spoken to through *api*; implements `sslops.proposals.ports.Forge`."""

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

    def merge(self, request: MergeRequest, head: str) -> MergeAnswer:
        """Merge it at *head* now; where only checks or approvals are missing, have the forge do so when they come.

        It is asked to merge now whatever was scheduled before: no forge shows everybody a schedule that will never come
        true, and every one says what is missing to whoever asks now.
        """
        with self.desk.calling(f"merge request {request.number}", self.api.rights.merge):
            shown = self.desk.until(lambda: self._ready(request, head))
            if shown is None:
                return _blocked("the forge does not show its newest commit yet", "the next run asks again")
            if shown.state is RequestState.CLOSED:
                raise self.desk.wont_merge(request.number, "it is closed", "open it again")
            if shown.state is RequestState.MERGED:
                return MergeAnswer(Merging.MERGED)
            return self._merged_or_scheduled(shown, head)

    def unschedule(self, request: MergeRequest) -> None:
        """Take back that the forge was asked to merge it, and return when that is certain; Moved when it did so."""
        with self.desk.calling(f"take back the merge of request {request.number}", self.api.rights.merge):
            if not self.api.unschedule(request.number):
                # What was scheduled is gone: dropped, or about to come true.
                self.desk.settle()
            shown = self.api.request(request.number)
            if shown.state is RequestState.MERGED:
                raise self.desk.moved(request.target)
            if shown.state is RequestState.OPEN and shown.is_scheduled and self.api.unschedule(request.number):
                raise self.desk.still_scheduled(request.number)

    def _merged_or_scheduled(self, request: MergeRequest, head: str) -> MergeAnswer:
        obstacle = self._merge_now(request, head)
        if obstacle is not None and obstacle.fate is MergeFate.WAITS:
            obstacle = self._schedule(request, head, obstacle)
        if obstacle is None:
            return MergeAnswer(Merging.MERGED)
        shown = self.api.request(request.number)
        if shown.state is RequestState.MERGED:
            return MergeAnswer(Merging.MERGED)
        if shown.head != head:
            if shown.is_scheduled:
                self.api.unschedule(request.number)
            raise self.desk.moved(shown.source)
        if obstacle.fate is MergeFate.WAITS:
            return MergeAnswer(Merging.SCHEDULED, obstacle.why)
        return replace(_blocked(obstacle.why, obstacle.hint), is_behind=obstacle.is_behind)

    def _merge_now(self, request: MergeRequest, head: str) -> Obstacle | None:
        """Ask to merge it now, again for a bounded time while the forge is making up its mind."""
        found: Obstacle | None = None

        def asked() -> bool | None:
            nonlocal found
            (found,) = self.desk.once(
                lambda: (self.api.merge(request, head),),
                lambda: (None,) if self.api.request(request.number).state is RequestState.MERGED else None,
            )
            return None if found is not None and found.fate is MergeFate.PASSES else True

        self.desk.until(asked)
        return found

    def _refused_schedule(self, request: MergeRequest, head: str) -> Refusal | None:
        """Ask for a schedule, again for a bounded time while the forge is making up its mind; null: it agreed."""
        last: list[Refusal | None] = []

        def asked() -> bool | None:
            try:
                self.api.schedule(request, head)
            except Refusal as refusal:
                last.append(refusal)
                return None if self.api.passes(refusal.said) else True
            last.append(None)
            return True

        self.desk.until(asked)
        return last[-1]

    def _schedule(self, request: MergeRequest, head: str, obstacle: Obstacle) -> Obstacle | None:
        """Have the forge wait for what *obstacle* says; return why it still is not merged, null when it is."""
        refusal = self._refused_schedule(request, head)
        if refusal is not None:
            again = self._merge_now(request, head)  # what was missing may have come in between
            if again is None or again.fate is not MergeFate.WAITS:
                return again
            why = f"{obstacle.why}, and the forge does not wait for it: {refusal.said or 'without a reason'}"
            return Obstacle(
                MergeFate.BLOCKS, why, f"allow auto-merge in the project's settings, or set merge: review; {DOCS}"
            )
        return obstacle

    def put_remark(self, number: int, marker: str, text: str) -> bool:
        """Let the request have one comment of ours with *marker*."""
        with self.desk.calling(f"comment on request {number}", self.api.rights.propose):
            found = _marked(self.api.comments(number), marker)
            if found is None:
                self._add_comment(number, text)
            elif not same_prose(found.body, text):
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
            elif not (same_prose(found.body, body) and same_prose(found.title, title)):
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

    def _add_comment(self, number: int, text: str) -> None:
        def there() -> Text | None:
            found = islice(self.api.comments(number), LOOKED_THROUGH)
            return next((each for each in found if each.is_ours and same_prose(each.body, text)), None)

        self._once(lambda: self.api.add_comment(number, text), there)

    def _once(self, act: Callable[[], None], look: Callable[[], Text | None]) -> None:
        def acted() -> bool:
            act()
            return True

        self.desk.once(acted, lambda: True if look() else None)


def _marked(texts: Iterable[Text], marker: str) -> Text | None:
    """Return our text that contains *marker*; somebody else's could not be edited, and is no word of ours."""
    return next((each for each in islice(texts, LOOKED_THROUGH) if each.is_ours and marker in each.body), None)


def _blocked(why: str, hint: str | None) -> MergeAnswer:
    return MergeAnswer(Merging.BLOCKED, why if hint is None else f"{why}; {hint}")
