"""STARTTLS dialogues (SMTP, IMAP, POP3, LDAP, XMPP and others), on bounded reads: the server is not trusted."""

from __future__ import annotations

from typing import TYPE_CHECKING, Protocol
from xml.sax.saxutils import quoteattr

from sslops.errors import PeerError

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping


MAX_LINE_BYTES = 2048
"""Four times what SMTP allows (RFC 5321 section 4.5.3.1.5)."""

MAX_BYTES = 65536
"""No greeting of any protocol is longer."""


class GreetingError(PeerError):
    """The server does not begin as the protocol does that it was to speak."""


class Channel(Protocol):
    """Bytes to and from the other side: a socket, or the pipes of `ssh -W`."""

    def send(self, content: bytes) -> None:
        """Send all of it; must raise OSError when the time is up."""
        ...

    def receive(self) -> bytes:
        """Return what has come, at least one byte, empty at the end; must raise OSError when the time is up."""
        ...

    def interrupt(self) -> None:
        """Let whoever waits for it, in another thread, fail at once; must not raise."""
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


OID = b"1.3.6.1.4.1.1466.20037"
REQUEST = b"\x30\x1d\x02\x01\x01\x77\x18\x80\x16" + OID
"""Message 1: ExtendedRequest with the name of StartTLS, in BER."""
_SEQUENCE, _INTEGER, _ENUMERATED, _EXTENDED_RESPONSE = 0x30, 0x02, 0x0A, 0x78
_LONG_FORM = 0x80


def ldap(channel: Channel, _client_name: str, _server_name: str) -> None:
    """Ask for StartTLS and read the answer; PeerError unless it is a success."""
    channel.send(REQUEST)
    stream = Stream(channel)
    tag, size = stream.exactly(1)[0], _length(stream)
    if tag != _SEQUENCE:
        raise PeerError("the server does not speak LDAP")
    message = stream.exactly(size)
    code = _result(message)
    if code != 0:
        raise PeerError(f"the server answers with result {code} to StartTLS")
    stream.refuse_more()


def _length(stream: Stream) -> int:
    first = stream.exactly(1)[0]
    if first < _LONG_FORM:
        return first
    return int.from_bytes(stream.exactly(first - _LONG_FORM) if first > _LONG_FORM else b"", "big")


def _result(message: bytes) -> int:
    """Return the result code of an ExtendedResponse: after the message's number, the first thing in it."""
    tag, _, rest = _element(message)
    operation, response, _ = _element(rest)
    kind, code, _ = _element(response)
    if (tag, operation, kind) != (_INTEGER, _EXTENDED_RESPONSE, _ENUMERATED):
        raise PeerError("the server does not answer StartTLS as LDAP does")
    return int.from_bytes(code, "big")


def _element(content: bytes) -> tuple[int, bytes, bytes]:
    """Return the first BER element of *content* (tag and value), and what follows it."""
    try:
        tag, size, start = content[0], content[1], 2
        if size >= _LONG_FORM:
            start += size - _LONG_FORM
            size = int.from_bytes(content[2:start], "big")
    except IndexError as error:
        raise PeerError("an LDAP answer is cut short") from error
    return tag, content[start : start + size], content[start + size :]


_HEADER = (
    "<?xml version='1.0'?><stream:stream xmlns='jabber:client' "
    "xmlns:stream='http://etherx.jabber.org/streams' version='1.0' to={to}>"
)
_STARTTLS = b"<starttls xmlns='urn:ietf:params:xml:ns:xmpp-tls'/>"


def xmpp(channel: Channel, _client_name: str, server_name: str) -> None:
    """Open a stream to *server_name*, ask for STARTTLS and read that it proceeds."""
    stream = Stream(channel)
    channel.send(_HEADER.format(to=quoteattr(server_name.rstrip("."))).encode())
    features = stream.until(b"</stream:features>", b"</stream:stream>")
    if b"urn:ietf:params:xml:ns:xmpp-tls" not in features:
        raise PeerError("the server does not offer STARTTLS")
    channel.send(_STARTTLS)
    answer = stream.until(b">")
    if not answer.lstrip().startswith(b"<proceed"):
        raise PeerError("the server does not proceed with STARTTLS")
    if not answer.endswith(b"/>"):
        stream.until(b"</proceed>")
    stream.refuse_more()


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
        raise GreetingError(f"the server greets with '{printable(greeting)}'")
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
            raise (PeerError if command else GreetingError)(f"the server answers '{printable(line)}' to {what}")
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
            raise GreetingError("the server does not speak SMTP")
        texts.append(line[4:])
        if line[3:4] != "-":
            return line[:3], tuple(texts)
    raise PeerError("a reply has more lines than any server sends")


def _expect(stream: Stream, code: str, what: str) -> tuple[str, ...]:
    got, texts = _reply(stream)
    if got != code:
        raise PeerError(f"the server answers '{printable(f'{got} {texts[-1]}')}' to {what}")
    return texts
