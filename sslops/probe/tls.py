"""Which certificate a port shows, asked by new connections over some time.

The certificate is not validated: the caller compares it with the one that should be there.
"""

from __future__ import annotations

import contextlib
import hashlib
import socket
import ssl
import time
from typing import TYPE_CHECKING

from sslops.errors import PeerError
from sslops.model.observations import PortSeen
from sslops.probe.starttls import DIALOGUES

if TYPE_CHECKING:
    from collections.abc import Callable

    from sslops.probe.starttls import Channel


MAX_HANDSHAKE_BYTES = 256 * 1024
"""A chain of a dozen large certificates fits."""

ONLY_TLS_1_3 = "it speaks TLS 1.3 only, so its EC and RSA certificates cannot be told apart"
EVERY_KEY_TYPE = (None, "ec", "rsa")
"""As the port likes, then EC only, then RSA only: whatever a client may be shown."""
# A client cannot choose among signature algorithms with Python's ssl; among cipher suites of TLS 1.2 it can.
_SUITES = {"ec": "aECDSA:@SECLEVEL=0", "rsa": "aRSA:@SECLEVEL=0"}
_NONE_OF_THE_KIND = frozenset({"SSLV3_ALERT_HANDSHAKE_FAILURE", "TLSV1_ALERT_INSUFFICIENT_SECURITY"})
_OTHER_VERSION = frozenset({"TLSV1_ALERT_PROTOCOL_VERSION", "NO_PROTOCOLS_AVAILABLE", "UNSUPPORTED_PROTOCOL"})

CLIENT_NAME = "sslops.invalid"
"""How we greet; RFC 2606 keeps `invalid` free, and no server needs to look it up."""


class NoSuchKeyError(PeerError):
    """The port has no certificate with a key of the type that was asked for."""


def ask_port(  # noqa: PLR0913  (one question has that many parts)
    address: str,
    port: int,
    *,
    starttls: str | None,
    server_name: str,
    key_types: tuple[str | None, ...] = (None,),
    connections: int = 1,
    over_seconds: float = 0.0,
    timeout_seconds: float = 10.0,
    sleep: Callable[[float], None] = time.sleep,
) -> PortSeen:
    """Open *connections* new connections, spread over *over_seconds*, and return what they showed.

    *starttls* names the protocol spoken first (null: plain TLS), *server_name* is sent as SNI, each connection has
    *timeout_seconds* in all. Each of *key_types* (`ec`, `rsa`, null: as the port likes) is asked for every time; a port
    that has none of a type shows nothing for it. The first connection that fails ends it; why is in `error`.
    """
    pause_seconds = over_seconds / (connections - 1) if connections > 1 else 0.0
    begun = time.monotonic()
    certificates: set[str] = set()
    for number in range(connections):
        if number:
            sleep(pause_seconds)
        try:
            for key_type in key_types:
                with contextlib.suppress(NoSuchKeyError):
                    certificates.add(_ask_once(address, port, starttls, server_name, key_type, timeout_seconds))
        except (OSError, PeerError) as error:
            why = f"port {port} of '{address}': {_reason(error)}"
            return PortSeen(frozenset(certificates), number, time.monotonic() - begun, why)
    return PortSeen(frozenset(certificates), connections, time.monotonic() - begun)


def leaf_certificate(channel: Channel, starttls: str | None, server_name: str, key_type: str | None = None) -> bytes:
    """Return the leaf certificate (DER) that *channel* leads to, for a client that takes *key_type* only.

    NoSuchKeyError when it has none of that type, another PeerError when it does not speak as it should, OSError when
    the channel breaks or its time is up.
    """
    if starttls is not None:
        if starttls not in DIALOGUES:
            raise PeerError(
                f"verification by '{starttls}' is not known", hint=f"one of: {', '.join(sorted(DIALOGUES))}"
            )
        DIALOGUES[starttls](channel, CLIENT_NAME, server_name)
    arriving, leaving = ssl.MemoryBIO(), ssl.MemoryBIO()
    session = _context(key_type).wrap_bio(arriving, leaving, server_hostname=server_name.rstrip(".") or None)
    try:
        _shake_hands(session, channel, arriving, leaving)
    except ssl.SSLError as error:
        if key_type is not None and error.reason in _NONE_OF_THE_KIND:
            raise NoSuchKeyError(f"it has no {key_type} certificate") from error
        if key_type is not None and error.reason in _OTHER_VERSION:
            raise PeerError(ONLY_TLS_1_3) from error
        raise
    certificate = session.getpeercert(binary_form=True)
    if certificate is None:
        raise PeerError("the server showed no certificate")
    return certificate


class SocketChannel:
    """A TCP connection with one deadline for all of it."""

    def __init__(self, address: str, port: int, timeout_seconds: float) -> None:
        """Connect; OSError when that fails."""
        self._deadline = time.monotonic() + timeout_seconds
        self._socket = socket.create_connection((address, port), timeout_seconds)

    def send(self, content: bytes) -> None:
        """Send all of *content*."""
        self._socket.settimeout(self._left_seconds())
        self._socket.sendall(content)

    def receive(self) -> bytes:
        """Return what has come."""
        self._socket.settimeout(self._left_seconds())
        return self._socket.recv(16384)

    def close(self) -> None:
        """Close the connection."""
        self._socket.close()

    def _left_seconds(self) -> float:
        left = self._deadline - time.monotonic()
        if left <= 0:
            raise TimeoutError
        return left


def _ask_once(
    address: str, port: int, starttls: str | None, server_name: str, key_type: str | None, timeout_seconds: float
) -> str:
    channel = SocketChannel(address, port, timeout_seconds)
    with contextlib.closing(channel):
        return hashlib.sha256(leaf_certificate(channel, starttls, server_name, key_type)).hexdigest()


def _context(key_type: str | None) -> ssl.SSLContext:
    # A context of its own for every connection: no session can be resumed, so the port must show what it has now.
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    context.check_hostname = False
    context.verify_mode = ssl.CERT_NONE
    # What is weak is still to be seen: the question is which certificate is there, not whether it is a good one.
    context.set_ciphers("ALL:@SECLEVEL=0" if key_type is None else _SUITES[key_type])
    if key_type is not None:
        context.maximum_version = ssl.TLSVersion.TLSv1_2
    return context


def _shake_hands(session: ssl.SSLObject, channel: Channel, arriving: ssl.MemoryBIO, leaving: ssl.MemoryBIO) -> None:
    received = 0
    while True:
        try:
            session.do_handshake()
        except ssl.SSLWantReadError:
            channel.send(leaving.read())
            content = channel.receive()
            received += len(content)
            if not content:
                raise PeerError("the connection was closed during the handshake") from None
            if received > MAX_HANDSHAKE_BYTES:
                raise PeerError("the handshake does not end") from None
            arriving.write(content)
        else:
            channel.send(leaving.read())
            return


def _reason(error: OSError | PeerError) -> str:
    if isinstance(error, PeerError):
        return error.what
    if isinstance(error, TimeoutError):
        return "timed out"
    if isinstance(error, ssl.SSLError):
        return f"TLS failed ({(error.reason or 'no reason given').lower().replace('_', ' ')})"
    return (error.strerror or "the connection broke").lower()
