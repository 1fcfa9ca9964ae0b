"""Which certificate a port shows, asked by new connections over some time.

The certificate is not validated: the caller compares it with the one that should be there. A port that has certificates
of several key types is asked for each by a ClientHello that takes signatures of one type only, in TLS 1.2 and 1.3.
"""

from __future__ import annotations

import contextlib
import hashlib
import socket
import ssl
import time
from threading import Event, Timer
from typing import TYPE_CHECKING, Protocol

from sslops.errors import PeerError
from sslops.model.names import is_address
from sslops.model.observations import PortSeen
from sslops.probe.starttls import DIALOGUES, GreetingError
from sslops.system.debug_log import step

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from OpenSSL import SSL

    from sslops.probe.starttls import Channel


MAX_HANDSHAKE_BYTES = 256 * 1024
"""A chain of a dozen large certificates fits."""

EVERY_KEY_TYPE = (None, "ec", "rsa")
"""As the port likes, then EC only, then RSA only: whatever a client may be shown."""
_SIGNATURES = {
    "ec": "ECDSA+SHA256:ECDSA+SHA384:ECDSA+SHA512:ECDSA+SHA1",
    "rsa": "rsa_pss_rsae_sha256:rsa_pss_rsae_sha384:rsa_pss_rsae_sha512:RSA+SHA256:RSA+SHA384:RSA+SHA512:RSA+SHA1",
}
"""The signature algorithms of each key type (RFC 8446 section 4.2.3); they decide in TLS 1.3."""
_SUITES = {"ec": "aECDSA:@SECLEVEL=0", "rsa": "aRSA:@SECLEVEL=0"}
"""The cipher suites of each key type; they decide in TLS 1.2."""
_CHUNK_BYTES = 16384
_GREETINGS = {b"220": "smtp", b"* OK": "imap", b"+OK": "pop3"}
"""How a server begins that speaks first."""
_TLS_AT_ONCE = "the port begins with TLS at once"
_SILENT_SECONDS = 3.0
"""After so long without a greeting a port is asked whether it begins with TLS."""
_HINT_SECONDS = 1.0

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
            why = f"port {port} of '{address}': {why_not(error)}"
            hint = None
            if not certificates and may_speak_otherwise(error, starttls):
                hint = starttls_hint(lambda: SocketChannel(address, port, _HINT_SECONDS), starttls, server_name)
            return PortSeen(frozenset(certificates), number, time.monotonic() - begun, why, hint)
    return PortSeen(frozenset(certificates), connections, time.monotonic() - begun)


def leaf_certificate(
    connect: Callable[[], Channel], starttls: str | None, server_name: str, key_type: str | None = None
) -> bytes:
    """Return the leaf certificate (DER) of the port that *connect* opens, for a client that takes *key_type* only.

    NoSuchKeyError when it has none of that type, another PeerError when it does not speak as it should, OSError when a
    connection breaks or its time is up.

    A server without a certificate of the type may answer with any alert, or close the connection without one (dovecot
    2.3). Either means "none of that type" only when the same port, asked without the limit, shows a certificate; a
    connection that was just closed may have been bad luck, so it is asked with the limit once more.
    """
    if key_type is None:
        return _certificate(connect, starttls, server_name, None)
    try:
        return _certificate(connect, starttls, server_name, key_type)
    except _HandshakeError as refusal:
        try:
            _certificate(connect, starttls, server_name, None)
        except (OSError, PeerError):
            raise refusal from None
        if not refusal.is_alert:
            with contextlib.suppress(_HandshakeError):
                return _certificate(connect, starttls, server_name, key_type)
        raise NoSuchKeyError(f"it has no {key_type} certificate") from refusal


def presented_chain(
    connect: Callable[[], Channel], starttls: str | None, server_name: str, key_type: str | None = None
) -> tuple[bytes, ...]:
    """Return every certificate (DER) that the port which *connect* opens shows, the leaf first, as it shows them.

    To a client that takes *key_type* only, if given; the errors are those of `leaf_certificate`.
    """
    if key_type is not None:
        leaf_certificate(connect, starttls, server_name, key_type)
    with contextlib.closing(connect()) as channel:
        _greet(channel, starttls, server_name)
        session = _OpenSslSession(server_name.rstrip("."), key_type)
        _shake_hands(session, channel)
        return session.chain()


def may_speak_otherwise(error: OSError | PeerError, starttls: str | None) -> bool:
    """Whether *error* may come of a wrong *starttls*: no greeting, another one, or something that is no TLS."""
    return isinstance(error, TimeoutError | GreetingError) or (starttls is None and isinstance(error, _HandshakeError))


def starttls_hint(connect: Callable[[], Channel], starttls: str | None, server_name: str) -> str | None:
    """Return what to change in `verify` where the port speaks another protocol than *starttls*; null: nothing known."""
    if starttls is not None:
        with contextlib.suppress(OSError, PeerError):
            _certificate(connect, None, server_name, None)
            return f"{_TLS_AT_ONCE}: leave 'starttls' out of 'verify'"
    with contextlib.suppress(OSError, PeerError), contextlib.closing(connect()) as channel:
        begin = channel.receive()
        spoken = next((name for mark, name in _GREETINGS.items() if begin.startswith(mark)), None)
        if spoken is not None and spoken != starttls:
            return f"the port greets as {spoken} does: 'starttls: {spoken}' in 'verify'"
    return None


CONNECT_SECONDS = 10.0
"""A server may greet late, but its kernel takes a connection at once."""


class SocketChannel:
    """A TCP connection with one deadline for all of it."""

    def __init__(self, address: str, port: int, timeout_seconds: float) -> None:
        """Connect; OSError when that fails."""
        self._deadline = time.monotonic() + timeout_seconds
        self._socket = socket.create_connection((address, port), min(timeout_seconds, CONNECT_SECONDS))

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

    def interrupt(self) -> None:
        """Let a read that waits end."""
        with contextlib.suppress(OSError):
            self._socket.shutdown(socket.SHUT_RDWR)

    def _left_seconds(self) -> float:
        left = self._deadline - time.monotonic()
        if left <= 0:
            raise TimeoutError
        return left


class _HandshakeError(PeerError):
    """The handshake failed; *is_alert* unless the connection was just closed."""

    def __init__(self, what: str, *, is_alert: bool) -> None:
        super().__init__(what)
        self.is_alert = is_alert


def _ask_once(
    address: str, port: int, starttls: str | None, server_name: str, key_type: str | None, timeout_seconds: float
) -> str:
    def connect() -> SocketChannel:
        return SocketChannel(address, port, timeout_seconds)

    with step("asks port %s of %s for the certificate of %s (%s)", port, address, server_name, key_type) as came:
        came.came = hashlib.sha256(leaf_certificate(connect, starttls, server_name, key_type)).hexdigest()
        return came.came


def _certificate(connect: Callable[[], Channel], starttls: str | None, server_name: str, key_type: str | None) -> bytes:
    """Return the leaf certificate that one new connection shows."""
    with contextlib.closing(connect()) as channel:
        if starttls is not None:
            with _unless_tls_at_once(channel, connect, server_name) as heard:
                _greet(heard, starttls, server_name)
        name = server_name.rstrip(".")
        session = _AnyKeySession(name) if key_type is None else _OpenSslSession(name, key_type)
        _shake_hands(session, channel)
        certificate = session.certificate()
    if certificate is None:
        raise PeerError("the server showed no certificate")
    return certificate


def _greet(channel: Channel, starttls: str | None, server_name: str) -> None:
    """Speak *starttls* up to the point where TLS begins."""
    if starttls is None:
        return
    if starttls not in DIALOGUES:
        raise PeerError(f"verification by '{starttls}' is not known", hint=f"one of: {', '.join(sorted(DIALOGUES))}")
    DIALOGUES[starttls](channel, CLIENT_NAME, server_name)


class _Heard:
    """A channel that knows whether anything came."""

    def __init__(self, channel: Channel) -> None:
        self._channel, self.is_silent = channel, True
        self.send, self.close, self.interrupt = channel.send, channel.close, channel.interrupt

    def receive(self) -> bytes:
        content = self._channel.receive()
        self.is_silent = False
        return content


@contextlib.contextmanager
def _unless_tls_at_once(channel: Channel, connect: Callable[[], Channel], server_name: str) -> Iterator[Channel]:
    """Yield *channel* for the words before TLS; GreetingError as soon as a silent port turns out to begin with TLS.

    A greeting may take minutes, and a port of the other kind never sends one. Nothing is sent to a server that has
    begun to speak, since some take a client that does not wait for a robot.
    """
    heard, is_found = _Heard(channel), Event()
    second: list[Channel] = []

    def ask_for_tls() -> None:
        if heard.is_silent:
            with contextlib.suppress(OSError, PeerError, ValueError):
                with contextlib.closing(connect()) as other:
                    second.append(other)
                    _shake_hands(_AnyKeySession(server_name.rstrip(".")), other)
                is_found.set()
                channel.interrupt()

    timer = Timer(_SILENT_SECONDS, ask_for_tls)
    timer.daemon = True
    timer.start()
    try:
        yield heard
    except (OSError, PeerError, ValueError) as error:
        if is_found.is_set():
            raise GreetingError(_TLS_AT_ONCE) from error
        raise
    finally:
        timer.cancel()
        for each in second:
            each.interrupt()


class _Session(Protocol):
    """The client's side of one TLS session, without a socket."""

    def shake_hands(self) -> bool:
        """Go on with the handshake; whether it is through. _HandshakeError when it failed."""

    def feed(self, content: bytes) -> None:
        """Take what the server sent."""

    def to_send(self) -> bytes:
        """Return what the server is to get."""

    def certificate(self) -> bytes | None:
        """Return the server's leaf certificate (DER)."""


class _AnyKeySession:
    """Takes every kind of key. What is weak is still to be seen: the question is which certificate is there."""

    def __init__(self, server_name: str) -> None:
        # A context of its own for every connection: no session can be resumed, so the port must show what it has now.
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
        context.check_hostname = False
        context.verify_mode = ssl.CERT_NONE
        context.set_ciphers("ALL:@SECLEVEL=0")
        self._arriving, self._leaving = ssl.MemoryBIO(), ssl.MemoryBIO()
        self._tls = context.wrap_bio(self._arriving, self._leaving, server_hostname=server_name or None)

    def shake_hands(self) -> bool:
        try:
            self._tls.do_handshake()
        except ssl.SSLWantReadError:
            return False
        except ssl.SSLError as error:
            raise _HandshakeError(_tls_reason(error.reason), is_alert=True) from error
        return True

    def feed(self, content: bytes) -> None:
        self._arriving.write(content)

    def to_send(self) -> bytes:
        return self._leaving.read()

    def certificate(self) -> bytes | None:
        return self._tls.getpeercert(binary_form=True)


class _OpenSslSession:
    """Takes one type of key only (null: any), and tells the whole chain.

    Python's `ssl` can do neither: in TLS 1.3 only signature algorithms decide, and the chain is not to be had.
    """

    def __init__(self, server_name: str, key_type: str | None) -> None:
        from OpenSSL import SSL

        context = SSL.Context(SSL.TLS_CLIENT_METHOD)
        context.set_verify(SSL.VERIFY_NONE)
        context.set_cipher_list((_SUITES[key_type] if key_type else "ALL:@SECLEVEL=0").encode())
        if key_type is not None:
            _limit_signatures(context, _SIGNATURES[key_type])
        self._tls = SSL.Connection(context, None)
        self._tls.set_connect_state()
        if server_name and not is_address(server_name):
            self._tls.set_tlsext_host_name(server_name.encode("idna"))

    def shake_hands(self) -> bool:
        from OpenSSL import SSL

        try:
            self._tls.do_handshake()
        except SSL.WantReadError:
            return False
        except SSL.Error as error:
            raise _HandshakeError(_tls_reason(_openssl_reason(error)), is_alert=True) from error
        return True

    def feed(self, content: bytes) -> None:
        self._tls.bio_write(content)

    def to_send(self) -> bytes:
        from OpenSSL import SSL

        found = b""
        with contextlib.suppress(SSL.WantReadError):
            while part := self._tls.bio_read(_CHUNK_BYTES):
                found += part
        return found

    def certificate(self) -> bytes | None:
        from cryptography.hazmat.primitives.serialization import Encoding

        shown = self._tls.get_peer_certificate(as_cryptography=True)
        return None if shown is None else shown.public_bytes(Encoding.DER)

    def chain(self) -> tuple[bytes, ...]:
        from cryptography.hazmat.primitives.serialization import Encoding

        shown = self._tls.get_peer_cert_chain(as_cryptography=True) or ()
        return tuple(each.public_bytes(Encoding.DER) for each in shown)


def _limit_signatures(context: SSL.Context, algorithms: str) -> None:
    """Let *context* offer only these signature algorithms; pyOpenSSL has the function, and no method for it."""
    from OpenSSL._util import lib

    if lib.SSL_CTX_set1_sigalgs_list(context._context, algorithms.encode()) != 1:  # noqa: SLF001
        message = f"OpenSSL does not know the signature algorithms '{algorithms}'"
        raise RuntimeError(message)


def _shake_hands(session: _Session, channel: Channel) -> None:
    received = 0
    while not session.shake_hands():
        channel.send(session.to_send())
        try:
            content = channel.receive()
        except ConnectionError as error:
            raise _HandshakeError((error.strerror or "the connection broke").lower(), is_alert=False) from error
        received += len(content)
        if not content:
            raise _HandshakeError("the connection was closed during the handshake", is_alert=False) from None
        if received > MAX_HANDSHAKE_BYTES:
            raise PeerError("the handshake does not end") from None
        session.feed(content)
    channel.send(session.to_send())


def _tls_reason(reason: str | None) -> str:
    return f"TLS failed ({(reason or 'no reason given').lower().replace('_', ' ')})"


def _openssl_reason(error: SSL.Error) -> str | None:
    found = error.args[0] if error.args else None
    return found[-1][-1] if isinstance(found, list) and found else None


def why_not(error: OSError | PeerError) -> str:
    """Say in a few words why a port showed nothing."""
    if isinstance(error, PeerError):
        return error.what
    if isinstance(error, TimeoutError):
        return "timed out"
    return (error.strerror or "the connection broke").lower()
