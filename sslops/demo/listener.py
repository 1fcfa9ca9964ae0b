"""A small TLS server that keeps its certificates until a signal makes it read them again, as mail and web servers do.

Run as `python -m sslops.demo.listener PORT PROTOCOL PIDFILE NAME=DIR...`: PROTOCOL is `tls` or `smtp` (STARTTLS, RFC
3207), each DIR holds `fullchain.pem` and `privkey.pem` for the server name NAME, the first one also for any other. As
long as DIR is not there it has nothing to serve. SIGHUP makes it read again; it then rewrites PIDFILE, in which the
process id is followed by how often it has read.
"""

from __future__ import annotations

import contextlib
import os
import signal
import socketserver
import ssl
import sys
import threading
from pathlib import Path
from typing import TYPE_CHECKING

from sslops.demo.lifeline import end_with_parent

if TYPE_CHECKING:
    import socket


ADDRESS = "127.0.0.1"
_LINE_OCTETS = 1000
_TIMEOUT_SECONDS = 5


class Certificates:
    """The TLS contexts by server name, exactly as they were on disk at the last `read`."""

    def __init__(self, folders: dict[str, Path], pidfile: Path) -> None:
        """Know where to look."""
        self._folders, self._pidfile = folders, pidfile
        self._contexts: dict[str, ssl.SSLContext] = {}
        self._times_read = 0

    def read(self) -> None:
        """Read every folder that is there, then say so in the pidfile."""
        self._contexts = contexts = {name: _context(at) for name, at in self._folders.items() if at.is_dir()}
        first = next(iter(contexts.values()), None)
        if first is not None:
            first.sni_callback = lambda tls, name, _context: setattr(tls, "context", contexts.get(name or "", first))
        self._times_read += 1
        draft = self._pidfile.with_suffix(".new")
        draft.write_text(f"{os.getpid()} {self._times_read}\n")
        draft.replace(self._pidfile)

    def wrap(self, plain: socket.socket) -> ssl.SSLSocket | None:
        """Return *plain* with TLS around it; null when there is nothing to serve yet."""
        first = next(iter(self._contexts.values()), None)
        return None if first is None else first.wrap_socket(plain, server_side=True)


class _Handler(socketserver.BaseRequestHandler):
    """One connection: greet, secure, say goodbye."""

    certificates: Certificates

    def handle(self) -> None:
        self.request.settimeout(_TIMEOUT_SECONDS)
        with contextlib.suppress(OSError):  # a peer that leaves early is its own affair
            self.converse(self.request)

    def converse(self, plain: socket.socket) -> None:
        """Speak TLS at once."""
        secured = self.certificates.wrap(plain)
        if secured is not None:
            with secured:
                secured.recv(1)


class _SmtpHandler(_Handler):
    """The part of SMTP that comes before TLS."""

    def converse(self, plain: socket.socket) -> None:
        """Greet, and offer STARTTLS as soon as there is a certificate."""
        plain.sendall(b"220 mail.example.com ESMTP\r\n")
        while command := _line(plain):
            if command.startswith((b"EHLO", b"HELO")):
                plain.sendall(b"250-mail.example.com\r\n250 STARTTLS\r\n")
            elif command.startswith(b"STARTTLS"):
                plain.sendall(b"220 go ahead\r\n")
                return super().converse(plain)
            elif command.startswith(b"QUIT"):
                return plain.sendall(b"221 bye\r\n")
            else:
                plain.sendall(b"502 not here\r\n")
        return None


class _Server(socketserver.ThreadingTCPServer):
    """One thread for each connection."""

    daemon_threads = True
    allow_reuse_address = True


def main() -> None:
    """Serve until the parent is gone."""
    port, protocol, pidfile, *pairs = sys.argv[1:]
    folders = {name: Path(folder) for name, _, folder in (pair.partition("=") for pair in pairs)}
    _Handler.certificates = certificates = Certificates(folders, Path(pidfile))
    with _Server((ADDRESS, int(port)), {"tls": _Handler, "smtp": _SmtpHandler}[protocol]) as server:
        signal.signal(signal.SIGHUP, lambda _signal, _frame: certificates.read())
        certificates.read()
        end_with_parent()
        threading.Thread(target=server.serve_forever, daemon=True).start()
        while True:
            signal.pause()


def _context(folder: Path) -> ssl.SSLContext:
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(folder / "fullchain.pem", folder / "privkey.pem")
    return context


def _line(peer: socket.socket) -> bytes:
    """Return one command in upper case; empty when the peer is gone or too long-winded."""
    found = b""
    while not found.endswith(b"\n"):
        octet = peer.recv(1)
        if not octet or len(found) > _LINE_OCTETS:
            return b""
        found += octet
    return found.upper()


if __name__ == "__main__":
    main()
