"""What goes wrong between a client and a forge, ordered by a test in advance."""

from __future__ import annotations

import threading
import time
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from tests.world.forge.calls import Reply
from tests.world.forge.manners import Dialect

if TYPE_CHECKING:
    from collections.abc import Callable

    from tests.world.forge.calls import Call

LIMIT = 5000
"""Calls an hour, as GitHub counts them."""


@dataclass(slots=True)
class _Fault:
    left: int
    method: str | None
    path: str
    answer: Callable[[], Reply | None]
    after: bool

    def fits(self, call: Call) -> bool:
        return self.left > 0 and self.method in {None, call.method} and self.path in call.path


@dataclass(slots=True)
class Faults:
    """Orders for the next calls; each fits every call, unless it names a *method* or a part of the *path*."""

    dialect: Dialect
    closing: threading.Event = field(default_factory=threading.Event)
    """Set when the forge ends, so that nothing goes on slowly behind its back."""
    _orders: list[_Fault] = field(default_factory=list)
    _lock: threading.Lock = field(default_factory=threading.Lock)

    def bad_gateway(self, times: int = 1, *, method: str | None = None, path: str = "", after: bool = False) -> None:
        """Answer 502 from a proxy; *after*: the call was carried out all the same."""
        self._order(times, method, path, lambda: _proxy_error(502, "Bad Gateway"), after=after)

    def unavailable(self, times: int = 1, *, retry_after: int | None = None, path: str = "") -> None:
        """Answer 503."""
        self._order(times, None, path, lambda: _proxy_error(503, "Service Unavailable", retry_after))

    def slow(self, seconds: float, times: int = 1, *, method: str | None = None, path: str = "") -> None:
        """Let *seconds* pass before the work begins."""
        self._order(times, method, path, lambda: Reply(0) if self.closing.wait(seconds) else None)

    def rate_limit(
        self, times: int = 1, *, retry_after: int | None = 1, path: str = "", secondary: bool = False
    ) -> None:
        """Refuse for having called too often, in each forge's words; *secondary* is GitHub's second kind.

        GitHub's primary limit says when it ends by x-ratelimit-reset, not by Retry-After.
        """
        self._order(times, None, path, lambda: _too_many(self.dialect, retry_after, secondary=secondary))

    def answer(
        self, reply: Reply, times: int = 1, *, method: str | None = None, path: str = "", after: bool = False
    ) -> None:
        """Answer *reply*, whatever it is; *after*: the call was carried out all the same."""
        self._order(times, method, path, lambda: reply, after=after)

    def meanwhile(
        self, act: Callable[[], object], times: int = 1, *, method: str | None = None, path: str = ""
    ) -> None:
        """Let somebody else do something right before a call is carried out."""
        self._order(times, method, path, lambda: _nothing(act()))

    def drop(self, times: int = 1, *, method: str | None = None, path: str = "", after: bool = True) -> None:
        """Close the connection without an answer; *after*: the call was carried out all the same."""
        self._order(times, method, path, lambda: Reply(0), after=after)

    def _order(
        self, times: int, method: str | None, path: str, answer: Callable[[], Reply | None], *, after: bool = False
    ) -> None:
        with self._lock:
            self._orders.append(_Fault(times, method, path, answer, after))

    def before(self, call: Call) -> Reply | None:
        """Return what is answered in place of *call*'s work; null: go on."""
        return self._next(call, after=False)

    def after(self, call: Call) -> Reply | None:
        """Return what is answered although the work was done; null: the real answer."""
        return self._next(call, after=True)

    def _next(self, call: Call, *, after: bool) -> Reply | None:
        with self._lock:
            order = next((order for order in self._orders if order.after is after and order.fits(call)), None)
            if order is None:
                return None
            order.left -= 1
        return order.answer()


def _nothing(_: object) -> None:
    """Go on with the call."""


def _proxy_error(status: int, words: str, retry_after: int | None = None) -> Reply:
    page = f"<html>\r\n<head><title>{status} {words}</title></head>\r\n<body>{status} {words}</body>\r\n</html>\r\n"
    headers = {"Content-Type": "text/html"}
    return Reply(status, page.encode(), headers if retry_after is None else headers | {"Retry-After": str(retry_after)})


def _too_many(dialect: Dialect, retry_after: int | None, *, secondary: bool) -> Reply:
    wait = {} if retry_after is None else {"Retry-After": str(retry_after)}
    if dialect is not Dialect.GITHUB:
        return Reply(429, {"message": "429 Too Many Requests"}, wait)
    docs = "https://docs.github.com/rest/using-the-rest-api/rate-limits-for-the-rest-api"
    if secondary:
        text = "You have exceeded a secondary rate limit. Please wait a few minutes before you try again."
        return Reply(403, {"message": text, "documentation_url": docs}, wait | rate_headers(1))
    text = "API rate limit exceeded for user ID 1."
    return Reply(403, {"message": text, "documentation_url": docs}, rate_headers(LIMIT, retry_after or 1))


def rate_headers(used: int, reset_in_seconds: int = 3600) -> dict[str, str]:
    """Return GitHub's headers that say how much of the hour's calls is used."""
    return {
        "x-ratelimit-limit": str(LIMIT),
        "x-ratelimit-remaining": str(max(0, LIMIT - used)),
        "x-ratelimit-used": str(used),
        "x-ratelimit-reset": str(int(time.time()) + reset_in_seconds),
        "x-ratelimit-resource": "core",
    }
