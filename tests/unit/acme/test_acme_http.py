"""Requests to an ACME server that answers in bad ways."""

from __future__ import annotations

import socket
import threading
import time
from datetime import UTC, datetime
from typing import TYPE_CHECKING

import pytest

from sslops.acme import http as acme_http
from sslops.acme.http import AcmeHttp
from sslops.errors import AcmeError
from sslops.system.effects import NO_EFFECTS

if TYPE_CHECKING:
    from collections.abc import Iterator


@pytest.fixture
def trickling() -> Iterator[str]:
    """Yield the address of a server whose answer never ends: a letter, and after a moment one more."""
    with socket.create_server(("127.0.0.1", 0)) as server:
        is_over = threading.Event()

        def serve() -> None:
            connection, _ = server.accept()
            with connection:
                connection.recv(65536)
                connection.sendall(b"HTTP/1.1 200 OK\r\nContent-Length: 100000\r\n\r\n")
                while not is_over.is_set():
                    connection.sendall(b" ")
                    time.sleep(0.02)

        thread = threading.Thread(target=serve)
        thread.start()
        yield f"http://127.0.0.1:{server.getsockname()[1]}/dir"
        is_over.set()
        thread.join()


def test_an_answer_that_trickles_for_ever_is_no_answer(trickling: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """Each byte comes in time, the whole does not: the CA counts as silent."""
    monkeypatch.setattr(acme_http, "ANSWER_SECONDS", 0.3)
    http = AcmeHttp("le-dns", None, lambda: datetime.now(UTC), NO_EFFECTS)
    with pytest.raises(AcmeError) as raised:
        http.get(trickling)

    assert ("timeout", "'le-dns' gave no answer: timed out") == (raised.value.problem, raised.value.what)
