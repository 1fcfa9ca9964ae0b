"""How a connection is brought to the point where TLS begins, over any channel of bytes.

A protocol is one function in `DIALOGUES`. The other side is hostile: lines, their number and the time are bounded.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Protocol

from sslops.errors import PeerError

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

MAX_LINE_BYTES = 2048
"""Four times what SMTP allows (RFC 5321 section 4.5.3.1.5)."""

MAX_LINES = 100


class Channel(Protocol):
    """Bytes to and from the other side: a socket, or the pipes of `ssh -W`."""

    def send(self, content: bytes) -> None:
        """Send all of it; must raise OSError when the time is up."""
        ...

    def receive(self) -> bytes:
        """Return what has come, at least one byte, empty at the end; must raise OSError when the time is up."""
        ...

    def close(self) -> None:
        """End it; must not raise."""
        ...


class _Lines:
    """Reads lines from a channel, and knows whether more came than was asked for."""

    def __init__(self, channel: Channel) -> None:
        self._channel = channel
        self._rest = b""

    def next(self) -> str:
        """Return one line without its end."""
        while b"\n" not in self._rest:
            if len(self._rest) > MAX_LINE_BYTES:
                raise PeerError("a line of the greeting does not end")
            arrived = self._channel.receive()
            if not arrived:
                raise PeerError("the connection was closed before TLS began")
            self._rest += arrived
        line, _, self._rest = self._rest.partition(b"\n")
        return line[:MAX_LINE_BYTES].decode("ascii", "replace").rstrip("\r")

    def reply(self) -> tuple[str, tuple[str, ...]]:
        """Return an SMTP reply: its code and its lines without it (RFC 5321 section 4.2.1)."""
        texts = []
        for _ in range(MAX_LINES):
            line = self.next()
            if not (line[:3].isascii() and line[:3].isdigit()):
                raise PeerError("the server does not speak SMTP")
            texts.append(line[4:])
            if line[3:4] != "-":
                return line[:3], tuple(texts)
        raise PeerError("a reply has more lines than any server sends")

    def refuse_more(self) -> None:
        """Fail when plaintext was sent beyond the reply; it would be read as if it came under TLS (CVE-2011-0411)."""
        if self._rest:
            raise PeerError("the server sent more before TLS began")


def smtp(channel: Channel, client_name: str) -> None:
    """Speak SMTP up to the reply to STARTTLS (RFC 3207)."""
    lines = _Lines(channel)
    _expect(lines, "220", "the greeting")
    channel.send(f"EHLO {client_name}\r\n".encode("ascii"))
    offers = _expect(lines, "250", "EHLO")
    if "STARTTLS" not in {offer.strip().upper() for offer in offers[1:]}:
        raise PeerError("the server does not offer STARTTLS")
    channel.send(b"STARTTLS\r\n")
    _expect(lines, "220", "STARTTLS")
    lines.refuse_more()


DIALOGUES: Mapping[str, Callable[[Channel, str], None]] = {"smtp": smtp}
"""Protocol name, as `verify.starttls` has it, to what is said before the handshake."""


def _expect(lines: _Lines, code: str, what: str) -> tuple[str, ...]:
    got, texts = lines.reply()
    if got != code:
        answer = "".join(character if character.isprintable() else "?" for character in f"{got} {texts[-1]}")
        raise PeerError(f"the server answers '{answer[:100]}' to {what}")
    return texts
