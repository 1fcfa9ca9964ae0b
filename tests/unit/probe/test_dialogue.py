"""STARTTLS of five protocols against small real servers, polite and hostile ones."""

from __future__ import annotations

import socket
import ssl
import threading
from contextlib import contextmanager
from typing import TYPE_CHECKING

import pytest

from sslops.probe.starttls import REQUEST
from sslops.probe.tls import ask_port
from tests.world.certificates import write_certificate

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

    from sslops.model.observations import PortSeen
    from tests.world.mailhost import MailHost

    Script = list[tuple[bytes, bytes]]

LDAP_DONE = b"\x30\x0c\x02\x01\x01\x78\x07\x0a\x01\x00\x04\x00\x04\x00"
LDAP_LONG = b"\x30\x81\x0c" + LDAP_DONE[2:]
LDAP_REFUSED = LDAP_DONE.replace(b"\x0a\x01\x00", b"\x0a\x01\x02")
FEATURES = (
    b"<?xml version='1.0'?><stream:stream xmlns='jabber:client' id='x'><stream:features>"
    b"<starttls xmlns='urn:ietf:params:xml:ns:xmpp-tls'/></stream:features>"
)
PROCEED = b"<proceed xmlns='urn:ietf:params:xml:ns:xmpp-tls'/>"
SPOKEN: dict[str, Script] = {
    "imap": [(b"", b"* OK ready\r\n"), (b"s1 STARTTLS\r\n", b"* CAPABILITY IMAP4rev1\r\ns1 OK begin\r\n")],
    "pop3": [(b"", b"+OK ready\r\n"), (b"STLS\r\n", b"+OK begin\r\n")],
    "ldap": [(REQUEST, LDAP_DONE)],
    "xmpp": [(b'to="mail.example.com">', FEATURES), (b"xmpp-tls'/>", PROCEED)],
    "smtp": [(b"", b"220 here\r\n"), (b"EHLO sslops.invalid\r\n", b"250-me\r\n250 STARTTLS\r\n"),
             (b"STARTTLS\r\n", b"220 go\r\n")],
}  # fmt: skip
"""What each side says: the server waits for the end of a request, then answers."""


@contextmanager
def serving(script: Script, certificate: Path | None = None) -> Iterator[int]:
    """Serve one connection on loopback by *script*, then TLS where there is a certificate; yield the port."""
    with socket.create_server(("127.0.0.1", 0)) as server:
        thread = threading.Thread(target=_serve, args=(server, script, certificate), daemon=True)
        thread.start()
        yield server.getsockname()[1]
        thread.join(30)


def _serve(server: socket.socket, script: Script, certificate: Path | None) -> None:
    connection, _ = server.accept()
    connection.settimeout(30)
    with connection:
        for request, answer in script:
            heard = b""
            while not heard.endswith(request):
                heard += connection.recv(1)
            connection.sendall(answer)
        if certificate is not None:
            context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
            context.load_cert_chain(certificate / "fullchain.pem", certificate / "privkey.pem")
            with context.wrap_socket(connection, server_side=True) as secured:
                secured.recv(1)


def ask(port: int, protocol: str) -> PortSeen:
    """Ask once."""
    return ask_port("127.0.0.1", port, starttls=protocol, server_name="mail.example.com", timeout_seconds=30)


@pytest.mark.parametrize("protocol", sorted(SPOKEN))
def test_each_protocol_comes_to_tls(protocol: str, tmp_path: Path) -> None:
    """And shows the certificate behind it."""
    expected = write_certificate(tmp_path)
    with serving(SPOKEN[protocol], tmp_path) as port:
        seen = ask(port, protocol)
    assert (None, frozenset({expected})) == (seen.error, seen.certificates)


def test_ldap_lengths_may_be_written_long(tmp_path: Path) -> None:
    """BER allows it, and some servers do it."""
    expected = write_certificate(tmp_path)
    with serving([(REQUEST, LDAP_LONG)], tmp_path) as port:
        assert ask(port, "ldap").shows_only(expected)


@pytest.mark.parametrize(
    ("protocol", "script", "why"),
    [
        ("imap", [(b"", b"* BYE overloaded\r\n")], "BYE overloaded"),
        ("imap", [(b"", b"* OK\r\n"), (b"TLS\r\n", b"s1 NO not here\r\n")], "NO not here"),
        ("imap", [(b"", b"* OK\r\n"), (b"TLS\r\n", b"* x\r\n" * 200)], "nothing else"),
        ("pop3", [(b"", b"-ERR no\r\n")], "-ERR no"),
        ("pop3", [(b"", b"+OK\r\n"), (b"STLS\r\n", b"-ERR \x1b[31m\r\n")], "-ERR ?[31m"),
        ("ldap", [(REQUEST, LDAP_REFUSED)], "result 2"),
        ("ldap", [(REQUEST, b"SSH-2.0-x\r\n")], "does not speak LDAP"),
        ("ldap", [(REQUEST, b"\x30\x84\xff\xff\xff\xff")], "more than any greeting"),
        ("ldap", [(REQUEST, b"\x30\x02\x02\x81")], "cut short"),
        ("xmpp", [(b">", b"<stream:stream></stream:stream>")], "does not offer"),
        ("xmpp", [(b'com">', FEATURES), (b"/>", b"<failure/>")], "does not proceed"),
    ],
)  # fmt: skip
def test_a_server_that_does_not_play_along_is_an_error(protocol: str, script: Script, why: str) -> None:
    """What it said is told, as far as it can be printed."""
    with serving(script) as port:
        assert why in (ask(port, protocol).error or "")


def _with_more(script: Script) -> Script:
    return [*script[:-1], (script[-1][0], script[-1][1] + b"INJECTED\r\n")]


@pytest.mark.parametrize("protocol", sorted(SPOKEN))
def test_nothing_may_follow_the_go_ahead_in_clear(protocol: str) -> None:
    """It would be read as if it came under TLS (CVE-2011-0411)."""
    with serving(_with_more(SPOKEN[protocol])) as port:
        assert "more before TLS began" in (ask(port, protocol).error or "")


@pytest.mark.parametrize(
    ("protocol", "flood"), [("imap", b"x" * 5000), ("pop3", b"y" * 5000), ("xmpp", b"<a>" * 50_000)]
)
def test_a_flood_is_bounded(protocol: str, flood: bytes) -> None:
    """No server fills our memory."""
    request = b'com">' if protocol == "xmpp" else b""
    with serving([(request, flood)]) as port:
        assert ask(port, protocol).error is not None


def test_a_port_is_asked_for_each_type_of_key(mail_host: Callable[..., MailHost], world_folder: Path) -> None:
    """As it likes it shows one of the two; to clients that take only EC or only RSA it shows that one."""
    made = {each: write_certificate(world_folder / each, key_type=each) for each in ("ec", "rsa")}
    both, one = mail_host(world_folder / "ec", world_folder / "rsa"), mail_host(world_folder / "ec")

    def seen(listener: MailHost, *key_types: str | None) -> frozenset[str]:
        where, name = (listener.address, listener.smtp_port), "mail.example.com"
        found = ask_port(*where, starttls="smtp", server_name=name, key_types=key_types)
        assert found.error is None
        return found.certificates

    assert [{made["ec"]}, {made["rsa"]}] == [seen(both, key_type) for key_type in ("ec", "rsa")]
    assert frozenset(made.values()) == seen(both, None, "ec", "rsa")
    assert (frozenset(), frozenset({made["ec"]})) == (seen(one, "rsa"), seen(one, None, "ec", "rsa"))
