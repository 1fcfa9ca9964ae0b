"""What stands in front of pebble: it counts every request, and answers some of them as a CA does on a bad day.

A `Fault` gets `ask`, which asks pebble and returns its reply, and returns the reply to give; null hangs up without one.
"""

from __future__ import annotations

import contextlib
import json
import socket
import ssl
import sys
import threading
from collections import Counter
from dataclasses import dataclass, replace
from http import HTTPStatus
from http.server import ThreadingHTTPServer
from typing import TYPE_CHECKING

from tests.world.acme_relay import Exchange, Relay, Reply
from tests.world.loopback import ACME_PORT, fresh_address

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping
    from pathlib import Path
    from typing import Any

    from tests.world.acme_tls import EndpointCa

    Ask = Callable[[], Reply]
    Fault = Callable[[Ask], Reply | None]

_PROBLEM = "urn:ietf:params:acme:error:"


def problem(kind: str, status: int = 400, detail: str = "a fault of the test", retry_after: str | None = None) -> Fault:
    """Answer a problem document (RFC 8555 section 6.7); pebble is not asked. *kind* as in `rateLimited`."""
    body = json.dumps({"type": _PROBLEM + kind, "detail": detail, "status": status}).encode()
    headers = {"Content-Type": "application/problem+json"}
    if retry_after is not None:
        headers["Retry-After"] = retry_after
    return lambda _: Reply(status, headers, body)


def rate_limited(retry_after: str = "3600") -> Fault:
    """Answer 429; *retry_after* is seconds or an HTTP date."""
    return problem("rateLimited", 429, "too many new orders recently", retry_after)


def server_error(status: int = 500) -> Fault:
    """Answer an internal error as a problem document."""
    return problem("serverInternal", status, "something broke")


def html(status: int = 503) -> Fault:
    """Answer a page for people, as the load balancer of a CA does that is down."""
    page = b"<html><head><title>Down for maintenance</title></head><body><h1>Back soon</h1></body></html>"
    return lambda _: Reply(status, {"Content-Type": "text/html"}, page)


def garbage(body: bytes = b"\x00\xff not json {", status: int = 200) -> Fault:
    """Answer something that is no JSON though it says so."""
    return lambda _: Reply(status, {"Content-Type": "application/json"}, body)


def hang_up(_: Ask) -> None:
    """Close the connection; pebble is not asked."""


def drop_answer(ask: Ask) -> None:
    """Let pebble act, then close the connection: the client does not learn what happened."""
    ask()


def altered(change: Callable[[dict[str, Any]], Any]) -> Fault:
    """Let *change* work on the JSON object that pebble answered, in place."""

    def fault(ask: Ask) -> Reply:
        reply = ask()
        found = json.loads(reply.body)
        change(found)
        return replace(reply, body=json.dumps(found).encode())

    return fault


def offer(kind: str) -> Callable[[dict[str, Any]], None]:
    """Offer one more challenge, of the type *kind*, in an authorization; for `altered`."""

    def change(authorization: dict[str, Any]) -> None:
        first = authorization["challenges"][0]
        more = {"type": kind, "url": f"{first['url']}-{kind}", "status": "pending", "whatever": ["a", 1]}
        authorization["challenges"].insert(0, more)

    return change


def expired(authorization: dict[str, Any]) -> None:
    """Let an authorization be one whose time has passed; for `altered`."""
    authorization |= {"status": "expired", "expires": "2020-01-01T00:00:00Z"}


def replaced(body: bytes) -> Fault:
    """Let pebble act, and answer *body* in place of what it gives: another certificate, for instance.

    What pebble refuses, as it does with every twentieth nonce, is left as it is.
    """

    def fault(ask: Ask) -> Reply:
        reply = ask()
        return replace(reply, body=body) if reply.status == HTTPStatus.OK else reply

    return fault


@dataclass
class _Planned:
    """A fault for the next *times* requests of a kind that match; null: for all of them."""

    kind: str
    fault: Fault
    times: int | None
    matches: Callable[[Exchange], bool]


class Front:
    """A reverse proxy for one `Pebble`; a client uses its `directory` and `ca_bundle` in place of pebble's own.

    Kinds of requests: `directory newNonce newAccount newOrder order finalize authorization challenge answer certificate
    revokeCert keyChange renewalInfo account`. An `answer` is a POST to a challenge that makes the CA look (RFC 8555
    section 7.5.1), a `challenge` one that only reads it.
    """

    def __init__(self, target: str, endpoint_ca: EndpointCa, address: str | None = None) -> None:
        """Start in front of the pebble at the address *target*, which may be down."""
        self.address = address or fresh_address()
        self.target = target
        self.exchanges: list[Exchange] = []
        self._bundle = endpoint_ca.bundle
        self._planned: list[_Planned] = []
        self._lock = threading.Lock()
        self._one_at_a_time = threading.Lock()
        self._woken = threading.Event()
        certificate, key = endpoint_ca.write_leaf(self.address)
        self._server = _Server(self, certificate, key)
        self._thread = threading.Thread(target=self._server.serve_forever, kwargs={"poll_interval": 0.05})
        self._thread.start()

    @property
    def directory(self) -> str:
        """The directory URL through this."""
        return f"https://{self.address}:{ACME_PORT}/dir"

    @property
    def ca_bundle(self) -> Path:
        """The PEM file with the CA of both HTTPS end points."""
        return self._bundle

    def plan(
        self,
        kind: str,
        fault: Fault,
        *,
        times: int | None = 1,
        matches: Callable[[Exchange], bool] = lambda _: True,
    ) -> None:
        """Let *fault* answer the next *times* requests of *kind* (null: all), those that *matches* accepts.

        Of several that fit, the one planned first is taken until it is used up.
        """
        with self._lock:
            self._planned.append(_Planned(kind, fault, times, matches))

    def heal(self) -> None:
        """Forget every planned fault, and let what hangs go."""
        with self._lock:
            self._planned.clear()
        woken, self._woken = self._woken, threading.Event()
        woken.set()

    @property
    def hang(self) -> Fault:
        """Say nothing until the next `heal` or `stop`, be it before this began; then close the connection."""
        woken = self._woken

        def fault(_: Ask) -> None:
            woken.wait(300)

        return fault

    def count(self, kind: str) -> int:
        """Return how many requests of *kind* came."""
        return sum(each.kind == kind for each in self.exchanges)

    def accounts_made(self) -> int:
        """Return how many accounts pebble made (201; an old one found again is 200)."""
        return sum(each.kind == "newAccount" and each.status == 201 for each in self.exchanges)

    def orders_made(self) -> int:
        """Return how many orders pebble made."""
        return sum(each.kind == "newOrder" and each.status == 201 for each in self.exchanges)

    def answered(self) -> Counter[str]:
        """Return authorization URL to the number of times that pebble took an answer to one of its challenges."""
        return Counter(each.authorization for each in self.exchanges if each.kind == "answer" and each.authorization)

    def orders(self) -> list[Mapping[str, Any]]:
        """Return the payload of each newOrder that pebble took, in their order."""
        return [each.payload or {} for each in self.exchanges if each.kind == "newOrder" and each.status == 201]

    def stop(self) -> None:
        """End it: connections are closed, new ones refused; AssertionError when it broke itself."""
        self._woken.set()
        self._server.shutdown()
        self._thread.join()
        self._server.server_close()
        assert self._server.broken == [], f"the proxy itself failed: {self._server.broken}"

    def reply_to(self, exchange: Exchange, ask: Callable[[], Reply]) -> Reply | None:
        """Answer one request, by a planned fault if one fits, and remember it; pebble is asked one thing at a time."""

        def ask_alone() -> Reply:
            # Two requests at once may lock pebble 2.10 up for good: newOrder takes the lock of all, then that of an
            # authorization (db/memorystore.go, FindValidAuthorization); reading an authorization does it the other way.
            with self._one_at_a_time:
                reply = ask()
            exchange.note(reply)
            return reply

        with self._lock:
            fault = self._take(exchange)
            self.exchanges.append(exchange)
        return fault(ask_alone) if fault else ask_alone()

    def _take(self, exchange: Exchange) -> Fault | None:
        for planned in self._planned:
            if planned.kind == exchange.kind and planned.matches(exchange):
                if planned.times is not None:
                    planned.times -= 1
                if planned.times == 0:
                    self._planned.remove(planned)
                return planned.fault
        return None


class _Server(ThreadingHTTPServer):
    """One thread for each connection; what breaks in one is kept in `broken`."""

    block_on_close = False
    daemon_threads = True
    request_queue_size = 128

    def __init__(self, front: Front, certificate: Path, key: Path) -> None:
        self.front = front
        self.broken: list[BaseException] = []
        self._open: set[ssl.SSLSocket] = set()
        self._is_closing = False
        self._context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        self._context.load_cert_chain(certificate, key)
        super().__init__((front.address, ACME_PORT), Relay)

    def get_request(self) -> tuple[ssl.SSLSocket, Any]:
        """Accept; the handshake is left to the thread of the connection."""
        plain, address = super().get_request()
        wrapped = self._context.wrap_socket(plain, server_side=True, do_handshake_on_connect=False)
        self._open.add(wrapped)
        return wrapped, address

    def shutdown_request(self, request: socket.socket | tuple[bytes, socket.socket]) -> None:
        """Close one connection; without TLS's own farewell, which would wait for the peer."""
        assert isinstance(request, ssl.SSLSocket)
        self._open.discard(request)
        request.close()

    def server_close(self) -> None:
        """Close the listening socket and every connection."""
        super().server_close()
        self._is_closing = True
        for each in list(self._open):
            with contextlib.suppress(OSError):
                each.shutdown(socket.SHUT_RDWR)  # its thread wakes up and closes it

    def handle_error(self, request: object, client_address: object) -> None:  # noqa: ARG002  (socketserver's)
        """Keep what broke; that a client went away is its own business."""
        error = sys.exception()
        if error is not None and not isinstance(error, OSError) and not self._is_closing:
            self.broken.append(error)
