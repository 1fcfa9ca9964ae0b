"""Asking real listeners which certificate they show, and some that misbehave."""

from __future__ import annotations

import contextlib
import socket
import subprocess
import threading
from typing import TYPE_CHECKING

import pytest

from sslops.probe.tls import ask_port
from tests.world.certificates import write_certificate
from tests.world.loopback import SMTP_PORT, fresh_address

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

    from sslops.model.observations import PortSeen
    from tests.world.mailhost import MailHost

GREETING = b"220 mail.example.com ESMTP\r\n"
OFFER = b"250-mail.example.com\r\n250 STARTTLS\r\n"


def ask(address: str, port: int = SMTP_PORT, starttls: str | None = "smtp", timeout_seconds: float = 30.0) -> PortSeen:
    """Ask once, by STARTTLS unless told otherwise."""
    return ask_port(address, port, starttls=starttls, server_name="mail.example.com", timeout_seconds=timeout_seconds)


def restart(listener: MailHost) -> None:
    """Run the listener's restart command, as a deploy would."""
    subprocess.run(listener.restart_cmd.split(), check=True, timeout=30)


@pytest.mark.parametrize("starttls", ["smtp", None])
def test_a_port_shows_its_certificate(
    mail_host: Callable[..., MailHost], world_folder: Path, starttls: str | None
) -> None:
    """By STARTTLS and by plain TLS."""
    expected = write_certificate(world_folder / "curr")
    listener = mail_host(world_folder / "curr")
    seen = ask(listener.address, listener.smtp_port if starttls else listener.tls_port, starttls)

    assert (frozenset({expected}), None) == (seen.certificates, seen.error)
    assert seen.shows_only(expected)


def test_a_new_certificate_is_seen_after_the_restart_only(
    mail_host: Callable[..., MailHost], world_folder: Path
) -> None:
    """Files are not what is served."""
    old = write_certificate(world_folder / "curr")
    listener = mail_host(world_folder / "curr")
    new = write_certificate(world_folder / "curr")

    assert ask(listener.address).shows_only(old)

    restart(listener)

    assert ask(listener.address).shows_only(new)


def test_old_workers_are_seen_among_several_connections(mail_host: Callable[..., MailHost], world_folder: Path) -> None:
    """A reload is not instant: one connection may meet the new certificate while others do not."""
    old = write_certificate(world_folder / "curr")
    listener = mail_host(world_folder / "curr")
    listener.linger(60)
    new = write_certificate(world_folder / "curr")
    restart(listener)
    seen = ask_port(
        listener.address, listener.smtp_port, starttls="smtp", server_name="mail.example.com", connections=3
    )

    assert (frozenset({old, new}), 3) == (seen.certificates, seen.connections)
    assert not seen.shows_only(new)


def test_connections_are_spread_over_the_time_given(mail_host: Callable[..., MailHost], world_folder: Path) -> None:
    """Three connections over two seconds rest one second twice."""
    expected = write_certificate(world_folder / "curr")
    listener = mail_host(world_folder / "curr")
    rests: list[float] = []
    seen = ask_port(
        listener.address,
        listener.tls_port,
        starttls=None,
        server_name="mail.example.com",
        connections=3,
        over_seconds=2.0,
        sleep=rests.append,
    )

    assert seen.shows_only(expected)
    assert [1.0, 1.0] == rests


def test_a_port_without_a_certificate_is_an_error(mail_host: Callable[..., MailHost], world_folder: Path) -> None:
    """The listener is there and has nothing to show."""
    listener = mail_host(world_folder / "curr")

    why = ask(listener.address).error or ""

    # Which of the two depends on whether our greeting came before its end did.
    assert "closed during the handshake" in why or "reset" in why


def test_a_closed_port_is_an_error_that_names_it() -> None:
    """Nobody listens there."""
    address = fresh_address()

    assert f"port {SMTP_PORT} of '{address}': connection refused" == ask(address).error


@pytest.fixture
def script() -> Iterator[Callable[..., str]]:
    """Yield a function that starts a server which sends the given pieces, reading a line before each but the first."""
    servers: list[socket.socket] = []

    def start(*pieces: bytes) -> str:
        address = fresh_address()
        servers.append(socket.create_server((address, SMTP_PORT)))
        threading.Thread(target=_play, args=(servers[-1], pieces), daemon=True).start()
        return address

    yield start
    for server in servers:
        server.close()


def _play(server: socket.socket, pieces: tuple[bytes, ...]) -> None:
    with contextlib.suppress(OSError):
        connection, _ = server.accept()
        connection.settimeout(30)
        with connection:
            for number, piece in enumerate(pieces):
                if number:
                    connection.recv(1000)
                connection.sendall(piece)
            while connection.recv(1000):
                pass


@pytest.mark.parametrize(
    ("pieces", "why"),
    [
        ((b"554 no service\r\n",), "'554 no service' to the greeting"),
        ((b"SSH-2.0-OpenSSH_9.2\r\n",), "does not speak SMTP"),
        ((b"220 \x1b]0;pwned\x07\xff\r\n", OFFER.replace(b"250", b"550")), "to EHLO"),
        ((b"554 \x1b[2J\r\n",), "'554 ?[2J' to the greeting"),
        ((GREETING, b"250-mail.example.com\r\n250 SIZE\r\n"), "does not offer STARTTLS"),
        ((GREETING, OFFER, b"454 not now\r\n"), "'454 not now' to STARTTLS"),
        ((GREETING, OFFER, b"220 go\r\n250 injected\r\n"), "sent more before TLS began"),
        ((b"220-" + b"x" * 100_000,), "does not end"),
        ((b"220-x\r\n" * 200,), "more lines"),
        ((GREETING, OFFER, b"220 go\r\n", b"this is not TLS\r\n"), "TLS failed"),
    ],
)
def test_a_server_that_misbehaves_is_an_error(script: Callable[..., str], pieces: tuple[bytes, ...], why: str) -> None:
    """Whatever it says is bounded, printable and named."""
    seen = ask(script(*pieces))

    assert why in (seen.error or "")
    assert (seen.error or "").isprintable()


def test_a_server_that_says_nothing_times_out(script: Callable[..., str]) -> None:
    """The time for a connection is for all of it."""
    assert "timed out" in (ask(script(b""), timeout_seconds=0.2).error or "")


def test_an_unknown_protocol_is_an_error(script: Callable[..., str]) -> None:
    """The table of dialogues has no entry for it."""
    assert "'gopher' is not known" in (ask(script(GREETING), starttls="gopher").error or "")
