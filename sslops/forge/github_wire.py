"""PyGithub over our wire: it asks its connection class for each request, and a subclass may have its own."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any
from urllib.parse import urlsplit

from github import Auth
from github.Requester import HTTPRequestsConnectionClass, HTTPSRequestsConnectionClass, Requester, RequestsResponse

from sslops.forge.wire import AGENT, Wire

if TYPE_CHECKING:
    import requests

    from sslops.forge.desk import Desk


def requester(desk: Desk, address: str) -> Requester:
    """Return PyGithub's way to *address*, with the patience and the caution of our wire instead of its own."""
    split = urlsplit(address)
    origin = f"{split.scheme}://{split.netloc}"
    session = Wire(address, desk.patience).session()

    class OverHttps(HTTPSRequestsConnectionClass):
        def __init__(self, *_: Any, **__: Any) -> None:  # noqa: ANN401
            self.host = split.hostname or ""

        def getresponse(self) -> RequestsResponse:
            return _sent(session, origin, self)

        def close(self) -> None:
            """Keep the session: PyGithub closes a connection class that is not its own after every request."""

    class OverHttp(HTTPRequestsConnectionClass):
        def __init__(self, *_: Any, **__: Any) -> None:  # noqa: ANN401
            self.host = split.hostname or ""

        def getresponse(self) -> RequestsResponse:
            return _sent(session, origin, self)

        def close(self) -> None:
            """As above."""

    class OverWire(Requester):
        """A class of its own, so that nobody else's PyGithub is changed."""

    OverWire.injectConnectionClasses(OverHttp, OverHttps)
    secret = desk.token.secret
    return OverWire(
        auth=Auth.Token(secret.reveal().decode()) if secret else None,
        base_url=address,
        timeout=60,
        user_agent=AGENT,
        per_page=100,
        verify=True,
        retry=None,
        pool_size=None,
        seconds_between_requests=0,
        seconds_between_writes=1 if split.hostname == "api.github.com" else 0,
        lazy=True,
    )


def _sent(
    session: requests.Session,
    origin: str,
    asked: HTTPSRequestsConnectionClass | HTTPRequestsConnectionClass,
) -> RequestsResponse:
    response = session.request(
        asked.verb, f"{origin}{asked.url}", headers=asked.headers, data=asked.input, allow_redirects=False
    )
    return RequestsResponse(response)
