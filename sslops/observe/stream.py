"""Bytes from a server that is not trusted: read line by line, up to a mark, or so many; always bounded."""

from __future__ import annotations

from typing import Protocol

from sslops.errors import PeerError

MAX_LINE_BYTES = 2048
"""Four times what SMTP allows (RFC 5321 section 4.5.3.1.5)."""

MAX_BYTES = 65536
"""No greeting of any protocol is longer."""


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


class Stream:
    """Reads from a channel, and knows whether more came than was asked for."""

    def __init__(self, channel: Channel) -> None:
        """Begin with nothing read."""
        self._channel = channel
        self._rest = b""

    def line(self) -> str:
        """Return one line without its end."""
        line = self.until(b"\n", at_most=MAX_LINE_BYTES)
        return line.decode("ascii", "replace").rstrip("\r\n")

    def until(self, *marks: bytes, at_most: int = MAX_BYTES) -> bytes:
        """Return everything up to and with the first of *marks*."""
        while not (found := [self._rest.index(mark) + len(mark) for mark in marks if mark in self._rest]):
            if len(self._rest) > at_most:
                raise PeerError("a line of the greeting does not end")
            self._more()
        return self._take(min(found))

    def exactly(self, size: int) -> bytes:
        """Return *size* bytes."""
        if size > MAX_BYTES:
            raise PeerError("the server announces more than any greeting has")
        while len(self._rest) < size:
            self._more()
        return self._take(size)

    def refuse_more(self) -> None:
        """Fail when plaintext was sent beyond the reply; it would be read as if it came under TLS (CVE-2011-0411)."""
        if self._rest:
            raise PeerError("the server sent more before TLS began")

    def _more(self) -> None:
        arrived = self._channel.receive()
        if not arrived:
            raise PeerError("the connection was closed before TLS began")
        self._rest += arrived

    def _take(self, size: int) -> bytes:
        taken, self._rest = self._rest[:size], self._rest[size:]
        return taken


def printable(text: str) -> str:
    """Return what may be shown of what a server said."""
    return "".join(character if character.isprintable() else "?" for character in text)[:100]
