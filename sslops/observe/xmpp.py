"""XMPP up to the point where TLS begins, as a client or, on the ports of servers, as one (RFC 6120 section 5)."""

from __future__ import annotations

from typing import TYPE_CHECKING
from xml.sax.saxutils import quoteattr

from sslops.errors import PeerError
from sslops.observe.stream import Stream

if TYPE_CHECKING:
    from sslops.observe.stream import Channel

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
