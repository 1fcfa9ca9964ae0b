"""News reach a real HTTP receiver, a real SMTP server and a command: once, and again when it is over."""

from __future__ import annotations

import json
import socketserver
import threading
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import TYPE_CHECKING, Any

import pytest

from tests.system.test_next_lies import Desk

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

TOKEN = "a-secret-of-the-forge"


@dataclass
class Receiver:
    """What an HTTP receiver got, and how it answers."""

    port: int = 0
    status: int = 200
    got: list[tuple[str, str, str, dict[str, Any]]] = field(default_factory=list)


@pytest.fixture
def receiver() -> Iterator[Receiver]:
    """Run one on this machine."""
    found = Receiver()

    class Handler(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            content = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
            found.got.append((self.command, self.path, self.headers.get("Authorization", ""), content))
            self.send_response(found.status)
            self.end_headers()

        do_PUT = do_POST  # noqa: N815

        def log_message(self, *_: object) -> None:
            pass

    with ThreadingHTTPServer(("127.0.0.1", 0), Handler) as server:
        found.port = server.server_port
        threading.Thread(target=server.serve_forever, daemon=True).start()
        yield found
        server.shutdown()


@contextmanager
def smtp_sink() -> Iterator[tuple[int, list[str]]]:
    """Run an SMTP server (RFC 5321) that takes every mail; its port, and what it got."""
    mails: list[str] = []

    class Handler(socketserver.StreamRequestHandler):
        def handle(self) -> None:
            self.wfile.write(b"220 sink\r\n")
            while line := self.rfile.readline():
                verb = line[:4].upper()
                if verb == b"DATA":
                    self.wfile.write(b"354 go on\r\n")
                    lines = list(iter(self.rfile.readline, b".\r\n"))
                    mails.append(b"".join(lines).decode())
                self.wfile.write(b"221 bye\r\n" if verb == b"QUIT" else b"250 fine\r\n")
                if verb == b"QUIT":
                    return

    with socketserver.ThreadingTCPServer(("127.0.0.1", 0), Handler) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        yield server.server_address[1], mails
        server.shutdown()


@pytest.fixture
def desk(tmp_path: Path) -> Desk:
    """Return a site of which two certificates are live for a year."""
    return Desk(tmp_path)


def test_each_receiver_hears_of_it_once_and_when_it_is_over(desk: Desk, receiver: Receiver, tmp_path: Path) -> None:
    """A webhook, a command and a mail; a second run is silent, in another clone too, until something changes."""
    heard = tmp_path / "heard"
    script = tmp_path / "hear"
    script.write_text(f"#!/bin/sh\ncat >>{heard}\nenv >>{heard}\n")
    script.chmod(0o755)
    words = ("notify", "--under", "9999d", "--apply")
    with smtp_sink() as (port, mails):
        environment = {
            "SSLOPS_NOTIFY_URL": f"http://127.0.0.1:{receiver.port}/hook",
            "SSLOPS_NOTIFY_TOKEN": TOKEN,
            "SSLOPS_NOTIFY_COMMAND": str(script),
            "SSLOPS_NOTIFY_MAIL": "ops@example.com, night@example.com",
            "SSLOPS_NOTIFY_SMTP": f"127.0.0.1:{port}",
        }
        planned = desk.ops.sslops(*words[:-1], environment=environment).succeeded()

        assert "new: example.com/a: its certificate ends in" in planned.stdout
        assert ([], []) == (receiver.got, mails)

        desk.ops.sslops(*words, environment=environment).succeeded()
        again = desk.ops.sslops(*words, environment=environment).succeeded()
        other = desk.ops.clone(tmp_path / "second").sslops(*words, environment=environment).succeeded()

        assert ["nothing new"] * 2 == [again.stdout.strip(), other.stdout.strip()]
        assert [("POST", "/hook", f"Bearer {TOKEN}")] == [each[:3] for each in receiver.got]
        assert 4 == sum("its certificate ends" in each["text"] for each in receiver.got[0][3]["new"])
        assert "To: ops@example.com, night@example.com" in mails[0]
        assert "example.com/a: its certificate ends in" in mails[0]
        assert "its certificate ends in" in heard.read_text()
        assert TOKEN not in heard.read_text()

        over = desk.ops.sslops("notify", "--apply", environment=environment).succeeded()

        assert "over: example.com/a: its certificate ends in" in over.stdout
        assert (2, 2) == (len(receiver.got), len(mails))


@pytest.mark.parametrize(
    ("form", "key", "method"), [("slack", "text", "POST"), ("mattermost", "text", "POST"), ("matrix", "body", "PUT")]
)
def test_a_body_is_ready_for_each_chat_and_what_is_not_taken_is_told_again(
    desk: Desk, receiver: Receiver, form: str, key: str, method: str
) -> None:
    """A receiver that fails is exit 1, without its address, and nothing counts as told."""
    environment = {"SSLOPS_NOTIFY_URL": f"http://127.0.0.1:{receiver.port}/x/secret", "SSLOPS_NOTIFY_FORM": form}
    receiver.status = 500
    failed = desk.ops.sslops("notify", "--under", "9999d", "--apply", environment=environment)
    receiver.status = 200
    desk.ops.sslops("notify", "--under", "9999d", "--apply", environment=environment).succeeded()

    assert 1 == failed.exit_code
    assert "the webhook did not take the news: it answered 500" in failed.stderr
    assert "secret" not in failed.stderr
    assert [method] * 2 == [each[0] for each in receiver.got]
    assert all("certificate ends in" in each[3][key] for each in receiver.got)


def test_nobody_to_tell_is_a_wrong_command_line(desk: Desk) -> None:
    """And so are an address without TLS, and a form that nobody knows."""
    for environment, words in (
        ({}, "nobody is to be told"),
        ({"SSLOPS_NOTIFY_URL": "http://chat.example.com/"}, "no https address"),
        ({"SSLOPS_NOTIFY_FORM": "telex"}, "forms are json, slack"),
    ):
        done = desk.ops.sslops("notify", "--apply", environment=environment)

        assert 2 == done.exit_code
        assert words in done.stderr
