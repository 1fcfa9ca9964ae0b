"""What all three clients share: a refusal as a sentence that helps, and writes that must not happen twice."""

from __future__ import annotations

from contextlib import contextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING, TypeVar

from sslops.errors import ForgeError, MayNotCall, Moved
from sslops.forge.wire import Refusal, Unclear

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from sslops.forge.tokens import Token
    from sslops.forge.wire import Patience

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
