"""One HTTP request as an API sees it, its answer, and the table of paths that leads from one to the other."""

from __future__ import annotations

import json
import re
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any
from urllib.parse import parse_qs, unquote

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence
    from email.message import Message

    from tests.world.forge.people import Token, User


@dataclass(frozen=True, slots=True)
class Reply:
    """What goes back; *body* is JSON unless it is bytes."""

    status: int = 200
    body: Any = None
    headers: Mapping[str, str] = field(default_factory=dict)


class Refusal(Exception):  # noqa: N818  (an answer, not an error)
    """An answer that ends the work on a call at once."""

    def __init__(self, status: int, body: Any, headers: Mapping[str, str] | None = None) -> None:
        """Answer with *status* and *body*."""
        super().__init__(f"{status} {body}")
        self.reply = Reply(status, body, headers or {})


@dataclass(slots=True)
class Call:
    """One call; `path` has no API prefix and is still percent-encoded."""

    method: str
    path: str
    query: Mapping[str, Sequence[str]]
    body: Mapping[str, Any]
    headers: Message
    base: str
    """The URL that the prefix-less path belongs to, as the client wrote it."""
    token: Token | None = None
    project: str | None = None
    status: int = 0
    is_question: bool = False
    """A POST that only asks (GraphQL)."""

    @property
    def user(self) -> User:
        """Who calls; routes are reached by known users only."""
        assert self.token is not None
        return self.token.user

    @property
    def is_write(self) -> bool:
        """Whether it was meant to change something."""
        return self.method not in {"GET", "HEAD"} and not self.is_question

    @property
    def said(self) -> str:
        """The call in a few words, the project left out: `PUT merge_requests/1/merge`."""
        return f"{self.method} {re.sub(r'^/(projects/[^/]+|repos/[^/]+/[^/]+)/?', '', self.path)}".strip()

    def argument(self, name: str, default: Any = None) -> Any:
        """Return a parameter from the body, else from the query."""
        if name in self.body:
            return self.body[name]
        return self.query[name][0] if name in self.query else default

    def number(self, name: str, default: int) -> int:
        """Return a parameter as a number; what is no number is the default."""
        text = str(self.argument(name, default))
        return int(text) if text.isdigit() else default

    def flag(self, name: str) -> bool:
        """Return a parameter as a boolean, in any of the spellings that clients send."""
        return str(self.argument(name, "false")).lower() in {"true", "1", "t", "yes"}


def arguments(kind: str, body: bytes) -> Mapping[str, Any]:
    """Return the parameters in a JSON or form body; Refusal when JSON is broken."""
    if not body.strip():
        return {}
    if "x-www-form-urlencoded" in kind:
        return {name: values[0] for name, values in parse_qs(body.decode(), keep_blank_values=True).items()}
    try:
        found = json.loads(body)
    except ValueError as error:
        raise Refusal(400, {"message": "Problems parsing JSON"}) from error
    return found if isinstance(found, dict) else {"": found}


class Routes:
    """Paths with `{name}` for one segment and `{name*}` for all the rest; the first that fits is taken."""

    def __init__(self) -> None:
        """Start with none."""
        self._table: list[tuple[str, re.Pattern[str], tuple[str, ...], Callable[..., Reply]]] = []

    def add(self, method: str, path: str, *needs: str) -> Callable[[Callable[..., Reply]], Callable[..., Reply]]:
        """Register what answers *method* on *path*; *needs* are the scopes one of which the token must have."""
        pattern = re.compile(re.sub(r"\{(\w+)\}", r"(?P<\1>[^/]+)", re.sub(r"\{(\w+)\*\}", r"(?P<\1>.+)", path)))

        def register(handler: Callable[..., Reply]) -> Callable[..., Reply]:
            self._table.append((method, pattern, needs, handler))
            return handler

        return register

    def find(self, method: str, path: str) -> tuple[Callable[..., Reply], tuple[str, ...], dict[str, str]] | None:
        """Return what answers, what it needs, and the (decoded) named segments; null when nothing does."""
        for known, pattern, needs, handler in self._table:
            match = pattern.fullmatch(path)
            if match and known == method:
                return handler, needs, {name: unquote(text) for name, text in match.groupdict().items()}
        return None

    def knows(self, path: str) -> bool:
        """Whether some method is answered on *path*."""
        return any(pattern.fullmatch(path) for _, pattern, _, _ in self._table)


@dataclass(frozen=True, slots=True)
class Page:
    """One page of a long list."""

    items: Sequence[Any]
    number: int
    size: int
    total: int

    @property
    def last(self) -> int:
        """The number of the last page; an empty list has one."""
        return max(1, -(-self.total // self.size))


def page_of(items: Sequence[Any], call: Call, size_name: str, default: int, most: int) -> Page:
    """Cut the page that *call* asks for out of *items*."""
    size = min(max(1, call.number(size_name, default)), most)
    number = max(1, call.number("page", 1))
    return Page(items[(number - 1) * size : number * size], number, size, len(items))


def links(call: Call, page: Page, size_name: str, targets: Mapping[str, int]) -> dict[str, str]:
    """Return the Link header (RFC 8288) to the pages *targets*, by relation."""
    kept = [
        f"{name}={value}" for name, values in call.query.items() if name not in {"page", size_name} for value in values
    ]
    url = f"{call.base}{call.path}?" + "".join(f"{part}&" for part in kept)
    said = [f'<{url}page={number}&{size_name}={page.size}>; rel="{name}"' for name, number in targets.items()]
    return {"Link": ", ".join(said)} if said else {}
