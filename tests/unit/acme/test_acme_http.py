"""Requests to an ACME server that answers in bad ways."""

from __future__ import annotations

import socket
import threading
import time
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING

import pytest

from sslops.acme import http as acme_http
from sslops.acme.client import AcmeClient
from sslops.acme.http import AcmeHttp
from sslops.errors import AcmeError
from sslops.system.effects import NO_EFFECTS
from sslops.system.retry_after import retry_after_seconds

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

NOW = datetime(2026, 12, 1, 12, tzinfo=UTC)
ENDLESS = b"HTTP/1.1 200 OK\r\nContent-Length: 100000\r\n\r\n"


@contextmanager
def answering(*parts: bytes, endlessly: bytes = b"") -> Iterator[tuple[str, list[bytes]]]:
    """Yield the address of a server that answers *parts*, then *endlessly* the same, and what it was asked."""
    heard: list[bytes] = []
    with socket.create_server(("127.0.0.1", 0)) as server:
        is_over = threading.Event()

        def serve() -> None:
            while not is_over.is_set():
                connection, _ = server.accept()
                with connection:
                    heard.append(connection.recv(65536))
                    _answer(connection)

        def _answer(connection: socket.socket) -> None:
            try:
                for part in parts:
                    connection.sendall(part)
                while endlessly and not is_over.is_set():
                    connection.sendall(endlessly)
                    time.sleep(0.02)
            except OSError:
                return

        thread = threading.Thread(target=serve)
        thread.start()
        yield f"http://127.0.0.1:{server.getsockname()[1]}/dir", heard
        is_over.set()
        with socket.create_connection(server.getsockname()):  # so that accept() ends
            pass
        thread.join()


def http() -> AcmeHttp:
    """Return what speaks to a server."""
    return AcmeHttp("le-dns", None, lambda: datetime.now(UTC), NO_EFFECTS)


@pytest.mark.parametrize(
    ("begin", "letter"),
    [
        pytest.param(ENDLESS, b" ", id="body"),
        pytest.param(b"HTTP/1.1 200 OK\r\nX-Header: ", b"x", id="one-header"),
        pytest.param(b"", b"X: y\r\n", id="no-status-line"),
    ],
)
def test_an_answer_that_trickles_for_ever_is_no_answer(
    begin: bytes, letter: bytes, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Each byte comes in time, the whole does not: the CA counts as silent, whichever part it is that never ends."""
    monkeypatch.setattr(acme_http, "ANSWER_SECONDS", 0.3)
    with answering(begin, endlessly=letter) as (url, _), pytest.raises(AcmeError) as raised:
        http().get(url)

    assert raised.value.problem in {"timeout", "connection"}
    assert "'le-dns' gave no answer" in raised.value.what


def test_a_header_that_trickles_slowly_ends_in_time(monkeypatch: pytest.MonkeyPatch) -> None:
    """The limit is that of the whole request: no timeout between two bytes ends it."""
    monkeypatch.setattr(acme_http, "ANSWER_SECONDS", 0.5)
    began = time.monotonic()
    with answering(b"HTTP/1.1 200 OK\r\nX-Header: ", endlessly=b"x") as (url, _), pytest.raises(AcmeError) as raised:
        http().get(url)

    assert "timeout" == raised.value.problem
    assert time.monotonic() - began < acme_http.TIMEOUT_SECONDS[1]


@pytest.mark.parametrize(
    "answer",
    [
        pytest.param(b"Content-Encoding: gzip\r\n\r\nno gzip at all", id="gzip"),
        pytest.param(b"Content-Encoding: deflate\r\n\r\n\xff\xff\xff", id="deflate"),
        pytest.param(b"Transfer-Encoding: chunked\r\n\r\nzz\r\n", id="chunks"),
        pytest.param(b"\r\n" + b"[" * 100_000, id="deep-json"),
        pytest.param(b'\r\n{"newNonce": ' + b"9" * 5000 + b"}", id="endless-number"),
        pytest.param(b'\r\n["a", "list"]', id="no-object"),
        pytest.param(b"\r\n\xff\xfe{}", id="no-text"),
    ],
)
def test_nonsense_is_an_error_of_this_ca(answer: bytes) -> None:
    """Whatever a library makes of an answer, the CA alone is blamed, in one line."""
    with (
        answering(b"HTTP/1.1 200 OK\r\nConnection: close\r\n" + answer) as (url, _),
        pytest.raises(AcmeError) as raised,
    ):
        AcmeClient("le-dns", url, now=lambda: NOW).directory  # noqa: B018  (asked for)

    assert "\n" not in raised.value.what


def test_a_header_says_nothing_that_cannot_be_read() -> None:
    """A nonce that is none, a Retry-After in no digits of ours, a status that nobody knows."""
    header = "HTTP/1.1 799 ?\r\nReplay-Nonce: \u00bd \r\nRetry-After: \u00b2\r\nLink: <<>;;\r\n\r\n".encode("latin-1")
    with answering(header) as (url, _), pytest.raises(AcmeError) as raised:
        http().get(url)

    assert (799, None) == (raised.value.status, raised.value.retry_after_seconds)


@pytest.mark.parametrize(
    "url",
    [
        "http://192.0.2.1/dir",
        "http://ca.example.org/dir",
        "https://me:secret@ca.example.org/dir",
        "https://ca.example.org:99999/dir",
        "https://ca.example.org/\u00e4",
        "https://ca.example.org/a b",
        "https:///dir",
        "file:///etc/passwd",
        "https://ca.example.org/" + "x" * 3000,
        "",
    ],
)
def test_an_address_that_is_no_plain_https_is_not_asked(url: str) -> None:
    """A CA chooses every address: no other protocol, no password, no clear text beyond this machine."""
    with pytest.raises(AcmeError, match="not asked"):
        http().get(url)


def test_a_label_that_is_too_long_is_an_error_of_this_ca() -> None:
    """No resolver takes it, and each library has an error of its own for that."""
    with pytest.raises(AcmeError, match="'le-dns' gave no answer"):
        http().get(f"https://{'x' * 70}.example.org/dir")


def test_nothing_but_the_request_goes_to_the_server(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """What lies in ~/.netrc, or is in the address of a proxy, is for others."""
    (tmp_path / ".netrc").write_text("default login me password geheim\n")
    (tmp_path / ".netrc").chmod(0o600)
    monkeypatch.setenv("HOME", str(tmp_path))
    with answering(b"HTTP/1.1 200 OK\r\nConnection: close\r\n\r\n{}") as (url, heard):
        monkeypatch.setenv("http_proxy", "http://user:geheim@127.0.0.1:9/")
        http().get(url)

    assert [b"GET /dir HTTP/1.1"] == [request.splitlines()[0] for request in heard if request]
    assert b"authorization" not in b"".join(heard).lower()


def test_a_host_that_the_directory_does_not_name_is_told_once() -> None:
    """The CA may send us there; whoever reads the log knows."""
    said: list[str] = []
    with (
        answering(b"HTTP/1.1 200 OK\r\nConnection: close\r\n\r\n{}") as (elsewhere, _),
        answering(b"HTTP/1.1 200 OK\r\nConnection: close\r\n\r\n{}") as (url, _),
    ):
        speaks = AcmeHttp("le-dns", None, lambda: NOW, NO_EFFECTS, said.append)
        speaks.known_hosts = {url.split("/")[2]}
        for each in (url, elsewhere, elsewhere):
            speaks.get(each)

    assert [f"'le-dns' sends us to '{elsewhere.split('/')[2]}', which its directory does not name"] == said


@pytest.mark.parametrize(
    ("text", "seconds"),
    [
        ("120", 120.0),
        (" 120 ", 120.0),
        ("Tue, 01 Dec 2026 12:01:00 GMT", 60.0),
        ("Tue, 01 Dec 2026 12:01:00 -0000", 60.0),
        ("Mon, 01 Jan 1990 00:00:00 GMT", 0.0),
        ("99999999999", timedelta(days=7).total_seconds()),
        ("Fri, 31 Dec 9999 23:59:59 GMT", timedelta(days=7).total_seconds()),
        ("9" * 400, None),
        ("\u00b2", None),
        ("-5", None),
        ("1e9", None),
        ("soon", None),
        ("Mon, 01 Jan 99999 00:00:00 GMT", None),
        ("", None),
    ],
)
def test_a_retry_after_is_a_number_or_a_date_within_a_week(text: str, seconds: float | None) -> None:
    """RFC 9110 section 10.2.3; no CA makes anybody wait for years."""
    assert seconds == retry_after_seconds(text, NOW)
