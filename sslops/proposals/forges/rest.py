"""JSON over the wire to one forge's API: single calls, and lists page by page."""

from __future__ import annotations

from dataclasses import dataclass, field
from functools import cached_property
from itertools import count
from typing import TYPE_CHECKING, Any
from urllib.parse import urlencode

from sslops.proposals.forges.answer import listed
from sslops.proposals.forges.wire import Refusal, Wire

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    import requests

    from sslops.proposals.forges.wire import ForgePatience

LOOKED_THROUGH = 1000
"""The most entries of a list that are looked at."""
_WRITES = frozenset({"POST", "PUT", "PATCH", "DELETE"})


@dataclass(frozen=True)
class Rest:
    """The API at *address*; *headers* show the token. Every method may raise what `Wire.send` raises."""

    address: str
    patience: ForgePatience
    headers: Mapping[str, str] = field(repr=False)
    page_size: int = 100
    size_name: str = "per_page"
    pause_seconds: float = 0.0
    """What the forge wants to lie between two writes."""
    _written: list[str] = field(default_factory=list, repr=False)

    @cached_property
    def _session(self) -> requests.Session:
        session = Wire(self.address, self.patience).session()
        session.headers.update(self.headers)
        return session

    def call(self, method: str, path: str, body: object = None) -> Any:  # noqa: ANN401  (JSON)
        """Return the JSON that answers *method* on *path*; null for no content."""
        return _content(self._send(method, f"{self.address}{path}", body))

    def found(self, path: str, *absent: int) -> Any:  # noqa: ANN401  (JSON)
        """Return the JSON that answers a question; null where it is refused with one of *absent* (none given: 404)."""
        try:
            return self.call("GET", path)
        except Refusal as refusal:
            if refusal.status in (absent or (404,)):
                return None
            raise

    def at(self, address: str, body: object) -> Any:  # noqa: ANN401  (JSON)
        """Return the JSON that answers a POST of *body* to another *address* of the same server."""
        return _content(self._send("POST", address, body))

    def headers_of(self, path: str) -> Mapping[str, str]:
        """Return the headers of the answer to a question."""
        return self._send("GET", f"{self.address}{path}", None).headers

    def pages(self, path: str, wishes: Mapping[str, object]) -> Iterator[dict[str, Any]]:
        """Yield the entries of a list, at most LOOKED_THROUGH, until a page is empty or the last by its Link header."""
        for page in count(1):
            query = urlencode({**wishes, "page": page, self.size_name: self.page_size})
            response = self._send("GET", f"{self.address}{path}?{query}", None)
            found = listed(_content(response))
            yield from found
            is_last = "Link" in response.headers and "next" not in response.links
            if not found or is_last or page * self.page_size >= LOOKED_THROUGH:
                return

    def _send(self, method: str, url: str, body: object) -> requests.Response:
        if method in _WRITES and self.pause_seconds:
            if self._written:
                self.patience.sleep(self.pause_seconds)
            self._written.append(method)
        return self._session.request(method, url, json=body, allow_redirects=False)


def _content(response: requests.Response) -> Any:  # noqa: ANN401  (JSON)
    return response.json() if response.content else None
