"""How a connection is brought to the point where TLS begins, over any channel of bytes.

A protocol is one function in `DIALOGUES`. The other side is hostile: lines, their number and the time are bounded.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from sslops.errors import PeerError
from sslops.observe.ldap import ldap
from sslops.observe.stream import Channel, Stream, printable
from sslops.observe.xmpp import xmpp

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

__all__ = ["DIALOGUES", "Channel"]

MAX_LINES = 100


def smtp(channel: Channel, client_name: str, _server_name: str) -> None:
    """Speak SMTP up to the reply to STARTTLS (RFC 3207)."""
    stream = Stream(channel)
    _expect(stream, "220", "the greeting")
    channel.send(f"EHLO {client_name}\r\n".encode("ascii"))
    offers = _expect(stream, "250", "EHLO")
    if "STARTTLS" not in {offer.strip().upper() for offer in offers[1:]}:
        raise PeerError("the server does not offer STARTTLS")
    channel.send(b"STARTTLS\r\n")
    _expect(stream, "220", "STARTTLS")
    stream.refuse_more()


def imap(channel: Channel, _client_name: str, _server_name: str) -> None:
    """Speak IMAP up to the reply to STARTTLS (RFC 9051 section 6.2.1)."""
    stream = Stream(channel)
    greeting = stream.line()
    if not greeting.upper().startswith("* OK"):
        raise PeerError(f"the server greets with '{printable(greeting)}'")
    channel.send(b"s1 STARTTLS\r\n")
    line = next((said for _ in range(MAX_LINES) if not (said := stream.line()).startswith("* ")), "* nothing else")
    if not line.upper().startswith("S1 OK"):
        raise PeerError(f"the server answers '{printable(line)}' to STARTTLS")
    stream.refuse_more()


def pop3(channel: Channel, _client_name: str, _server_name: str) -> None:
    """Speak POP3 up to the reply to STLS (RFC 2595 section 4)."""
    stream = Stream(channel)
    for command, what in ((b"", "the greeting"), (b"STLS\r\n", "STLS")):
        if command:
            channel.send(command)
        line = stream.line()
        if not line.upper().startswith("+OK"):
            raise PeerError(f"the server answers '{printable(line)}' to {what}")
    stream.refuse_more()


DIALOGUES: Mapping[str, Callable[[Channel, str, str], None]] = {
    "smtp": smtp,
    "imap": imap,
    "pop3": pop3,
    "ldap": ldap,
    "xmpp": xmpp,
}
"""Protocol name, as `verify.starttls` has it, to what is said before the handshake, given both sides' names."""


def _reply(stream: Stream) -> tuple[str, tuple[str, ...]]:
    """Return an SMTP reply: its code and its lines without it (RFC 5321 section 4.2.1)."""
    texts = []
    for _ in range(MAX_LINES):
        line = stream.line()
        if not (line[:3].isascii() and line[:3].isdigit()):
            raise PeerError("the server does not speak SMTP")
        texts.append(line[4:])
        if line[3:4] != "-":
            return line[:3], tuple(texts)
    raise PeerError("a reply has more lines than any server sends")


def _expect(stream: Stream, code: str, what: str) -> tuple[str, ...]:
    got, texts = _reply(stream)
    if got != code:
        raise PeerError(f"the server answers '{printable(f'{got} {texts[-1]}')}' to {what}")
    return texts
