"""The HTTP side: reads requests, sorts them into git, hooks and API calls, and writes the answers."""

from __future__ import annotations

import json
import socket
import sys
import threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import TYPE_CHECKING, Any
from urllib.parse import parse_qs, urlsplit

from tests.world.forge.calls import Call, Refusal, Reply, arguments
from tests.world.forge.smart_http import answer_git, is_git

if TYPE_CHECKING:
    from tests.world.forge.forge import Forge


class Server(ThreadingHTTPServer):
    """Listens on a free loopback port from the moment it is made; `close` ends it and its threads."""

    daemon_threads = True
    request_queue_size = 64

    def __init__(self, forge: Forge) -> None:
        """Serve *forge*."""
        super().__init__(("127.0.0.1", 0), _Handler)
        self.forge = forge
        self._thread = threading.Thread(target=self.serve_forever, kwargs={"poll_interval": 0.05}, daemon=True)
        self._thread.start()

    @property
    def port(self) -> int:
        """Where it listens."""
        return int(self.server_address[1])

    def handle_error(self, request: Any, client_address: Any) -> None:
        """Let clients go away in the middle of an answer; anything else is told."""
        if not isinstance(sys.exception(), ConnectionError):
            super().handle_error(request, client_address)

    def close(self) -> None:
        """Stop listening."""
        self.shutdown()
        self.server_close()
        self._thread.join(10)


class _Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    server: Server
    timeout = 60
    # Without this the answer's head and body wait for each other on a kept connection (Nagle and delayed ACK).
    disable_nagle_algorithm = True

    def log_message(self, format: str, *args: object) -> None:  # noqa: A002  (the name is the library's)
        """Say nothing: what was called is in `Forge.calls`."""

    def _answer(self) -> None:
        body = self._body()
        where = urlsplit(self.path)
        path = where.path
        if path == "/-/hook":
            self._write(Reply(200, self.server.forge.admission.answer(json.loads(body))))
        elif is_git(path):
            self._write(answer_git(self.server.forge, self.command, path, where.query, self.headers, body))
        else:
            self._write(self._call(where.scheme, where.netloc, path, where.query, body))

    do_GET = do_POST = do_PUT = do_PATCH = do_DELETE = do_HEAD = _answer  # noqa: N815  (the library looks them up)

    def _call(self, scheme: str, netloc: str, path: str, query: str, body: bytes) -> Reply:
        base = f"{scheme or 'http'}://{netloc or self.headers.get('Host', '')}"
        questions = parse_qs(query, keep_blank_values=True)
        try:
            said = arguments(self.headers.get("Content-Type", ""), body)
        except Refusal as refusal:
            return refusal.reply
        call = Call(self.command, path, questions, said, self.headers, base)
        return self.server.forge.answer(call)

    def _body(self) -> bytes:
        if "chunked" in self.headers.get("Transfer-Encoding", ""):
            return b"".join(iter(self._chunk, b""))
        return self.rfile.read(int(self.headers.get("Content-Length") or 0))

    def _chunk(self) -> bytes:
        size = int(self.rfile.readline().split(b";")[0], 16)
        chunk = self.rfile.read(size)
        self.rfile.readline()
        return chunk

    def _write(self, reply: Reply) -> None:
        if reply.status == 0:
            self.close_connection = True
            self.connection.shutdown(socket.SHUT_RDWR)
            return
        is_raw = isinstance(reply.body, bytes)
        content = reply.body if is_raw else b"" if reply.body is None else json.dumps(reply.body).encode()
        self.send_response(reply.status)
        headers = {"Content-Type": "application/json"} | dict(reply.headers)
        for name, value in headers.items():
            self.send_header(name, value)
        self.send_header("Content-Length", str(len(content)))
        self.end_headers()
        if self.command != "HEAD":
            self.wfile.write(content)
