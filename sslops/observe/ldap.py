"""LDAP up to the point where TLS begins: one extended request, one answer (RFC 4511 section 4.14)."""

from __future__ import annotations

from typing import TYPE_CHECKING

from sslops.errors import PeerError
from sslops.observe.stream import Stream

if TYPE_CHECKING:
    from sslops.observe.stream import Channel

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
