"""One connection of an ACME client on its way to pebble: each request is read, named, handed on and answered.

The Host header goes through unchanged, so pebble builds its URLs, and checks those that are signed, as the client sees
them.
"""

from __future__ import annotations

import base64
import http.client
import json
import ssl
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler
from typing import TYPE_CHECKING, Any

from tests.world.loopback import ACME_PORT

if TYPE_CHECKING:
    from collections.abc import Mapping

    from tests.world.acme_faults import Front

_KINDS = {
    "dir": "directory",
    "nonce-plz": "newNonce",
    "sign-me-up": "newAccount",
    "my-account": "account",
    "order-plz": "newOrder",
    "my-order": "order",
    "finalize-order": "finalize",
    "authZ": "authorization",
    "chalZ": "challenge",
    "certZ": "certificate",
    "revoke-cert": "revokeCert",
    "rollover-account-key": "keyChange",
}
"""First part of pebble's paths to the name of the resource (RFC 8555 section 7.1)."""
_OF_ONE_CONNECTION = frozenset({"connection", "keep-alive", "transfer-encoding", "content-length", "host"})
_TIMEOUT_SECONDS = 30


@dataclass(frozen=True, slots=True)
class Reply:
    """What is answered: status, headers but for the length, body."""

    status: int
    headers: Mapping[str, str]
    body: bytes


@dataclass
class Exchange:
    """One request, and what pebble said to it."""

    kind: str
    method: str
    path: str
    payload: Mapping[str, Any] | None
    """What was signed; null for a GET and a POST-as-GET."""
    status: int = 0
    """Of pebble's answer; 0 while it was not asked."""
    authorization: str | None = None
    """For an answer that pebble took: the authorization whose challenge it is."""
    body: bytes = field(default=b"", repr=False)

    def note(self, reply: Reply) -> None:
        """Remember what pebble answered."""
        self.status, self.body = reply.status, reply.body
        if self.kind == "answer" and reply.status == http.client.OK:
            links = [link.strip() for link in reply.headers.get("Link", "").split(",")]
            ups = [link.partition(">")[0].lstrip("<") for link in links if link.endswith('rel="up"')]
            self.authorization = ups[0] if ups else self.path


class Relay(BaseHTTPRequestHandler):
    """Handles the requests of one connection with one connection to pebble."""

    protocol_version = "HTTP/1.1"
    timeout = 120
    wbufsize = -1
    disable_nagle_algorithm = True
    _upstream: http.client.HTTPSConnection | None = None

    def do_GET(self) -> None:
        """Hand a GET on."""
        self._relay()

    do_HEAD = do_POST = do_GET  # noqa: N815

    def log_message(self, format: str, *words: object) -> None:  # noqa: A002
        """Print nothing: the exchanges are kept."""

    def finish(self) -> None:
        """Close the connection to pebble too."""
        if self._upstream is not None:
            self._upstream.close()
        super().finish()

    @property
    def _front(self) -> Front:
        front: Front = self.server.front  # type: ignore[attr-defined]
        return front

    def _relay(self) -> None:
        body = self.rfile.read(int(self.headers.get("Content-Length", "0")))
        payload = _payload(body)
        exchange = Exchange(_kind(self.path, payload), self.command, self.path, payload)
        try:
            reply = self._front.reply_to(exchange, lambda: self._ask(body))
        except (OSError, http.client.HTTPException):
            reply = None  # pebble is down: so is this
        if reply is None:
            self.close_connection = True
            return
        self.send_response_only(reply.status)
        for name, value in reply.headers.items():
            self.send_header(name, value)
        if self.command != "HEAD":
            self.send_header("Content-Length", str(len(reply.body)))
        self.end_headers()
        self.wfile.write(b"" if self.command == "HEAD" else reply.body)

    def _ask(self, body: bytes) -> Reply:
        if self._upstream is None:
            context = ssl.create_default_context(cafile=str(self._front.ca_bundle))
            self._upstream = http.client.HTTPSConnection(
                self._front.target, ACME_PORT, timeout=_TIMEOUT_SECONDS, context=context
            )
        self._upstream.putrequest(self.command, self.path, skip_host=True, skip_accept_encoding=True)
        self._upstream.putheader("Host", f"{self._front.address}:{ACME_PORT}")
        for name, value in self.headers.items():
            if name.lower() not in _OF_ONE_CONNECTION:
                self._upstream.putheader(name, value)
        if self.command == "POST":
            self._upstream.putheader("Content-Length", str(len(body)))
        self._upstream.endheaders(body or None)
        response = self._upstream.getresponse()
        return Reply(response.status, _headers(response), response.read())


def _kind(path: str, payload: Mapping[str, Any] | None) -> str:
    first = path.partition("?")[0].strip("/").split("/")[0]
    kind = "renewalInfo" if "renewalInfo" in path else _KINDS.get(first, "other")
    return "answer" if kind == "challenge" and payload is not None else kind


def _payload(body: bytes) -> Mapping[str, Any] | None:
    """Read what a JWS signs; null when it is empty, or when this is none."""
    try:
        text = json.loads(body)["payload"]
        found = json.loads(base64.urlsafe_b64decode(text + "=" * (-len(text) % 4)))
    except (ValueError, KeyError, TypeError):
        return None
    return found if isinstance(found, dict) else None


def _headers(response: http.client.HTTPResponse) -> dict[str, str]:
    found: dict[str, str] = {}
    for name, value in response.getheaders():
        if name.lower() not in _OF_ONE_CONNECTION:
            # Several of one name are one list (RFC 9110 section 5.2).
            found[name] = f"{found[name]}, {value}" if name in found else value
    return found
