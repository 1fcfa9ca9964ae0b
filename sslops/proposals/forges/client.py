"""What all three clients share: a refusal as a sentence that helps, and writes that must not happen twice."""

from __future__ import annotations

from contextlib import contextmanager
from dataclasses import dataclass, replace
from itertools import islice
from typing import TYPE_CHECKING, Protocol, TypeVar

from sslops.errors import ForgeError, MayNotCall, Moved
from sslops.model.proposal import MergeRequest, Merging, RequestState
from sslops.proposals.forges.wire import Refusal, Unclear

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator, Sequence

    from sslops.model.proposal import Kind, Proposal
    from sslops.proposals.forges.tokens import Token
    from sslops.proposals.forges.wire import Patience


Result = TypeVar("Result")

NAMES = {"gitlab": "GitLab", "github": "GitHub", "forgejo": "Forgejo"}
DOCS = "docs/forges.md"
SETTLE_SECONDS = 2.0
"""How long a forge may take to show what it has just done."""
SETTLE_TRIES = 10

_LIBRARIES = frozenset({"gitlab", "github", "requests"})
_SCOPE = "insufficient_scope"
"""How GitLab begins when the scopes of a token are not enough (RFC 6750 section 3.1)."""
_UNKNOWN_TOKEN, _FORBIDDEN, _NOT_THERE, _NOT_ALLOWED = 401, 403, 404, 405


@dataclass(frozen=True, slots=True)
class Desk:
    """*kind* of forge, *project* there, and the *token* we show."""

    kind: str
    project: str
    token: Token
    patience: Patience

    @property
    def place(self) -> str:
        """The project and the forge, as every message begins."""
        return f"'{self.project}' on {NAMES[self.kind]}"

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
        except Exception as error:
            if not _is_of_a_library(error):
                raise
            what = f"{self.place}: could not {call}: the answer is none of {NAMES[self.kind]}'s"
            raise ForgeError(what, hint="is 'forge' the right kind, and 'forge_url' the right address?") from error

    def once(self, act: Callable[[], Result], look: Callable[[], Result | None]) -> Result:
        """Return what *act* made; where nobody knows whether it did, what *look* finds, and only then try again."""
        try:
            return act()
        except Unclear:
            self.patience.sleep(SETTLE_SECONDS)
            found = look()
            return act() if found is None else found

    def until(self, look: Callable[[], Result | None]) -> Result | None:
        """Return what *look* finds as soon as it finds something; null when it does not in SETTLE_TRIES looks."""
        for attempt in range(SETTLE_TRIES):
            found = look()
            if found is not None:
                return found
            if attempt < SETTLE_TRIES - 1:
                self.patience.sleep(SETTLE_SECONDS)
        return None

    def moved(self, source: str) -> Moved:
        """Return the answer that the branch of a request is at another commit than the one we decided about."""
        return Moved(f"{self.place}: '{source}' was moved in the meantime", hint="run again")

    def wont_merge(self, number: int, why: str, hint: str) -> ForgeError:
        """Return the error that the project neither merges nor keeps the request for later."""
        return ForgeError(f"{self.place}: request {number} is neither merged nor waits for it: {why}", hint=hint)

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


def _is_of_a_library(error: Exception) -> bool:
    """Whether a forge library stumbled, as it does over an answer of another shape than its forge's."""
    frame = error.__traceback__
    while frame is not None and frame.tb_next is not None:
        frame = frame.tb_next
    return frame is not None and str(frame.tb_frame.f_globals.get("__name__")).partition(".")[0] in _LIBRARIES


def same_text(one: str | None, other: str | None) -> bool:
    """Whether two texts are the same to a reader: forges change line ends and cut white space at the end."""
    return unified(one) == unified(other)


def unified(text: str | None) -> str:
    """Return *text* with line feeds only; a forge's null is an empty text."""
    return (text or "").replace("\r\n", "\n").replace("\r", "\n").strip()


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
