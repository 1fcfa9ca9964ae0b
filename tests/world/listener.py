"""A mail server reduced to its certificate: it loads key and chain when started or told to restart, never by itself.

    python listener.py serve FOLDER ADDRESS SMTP_PORT TLS_PORT CONTROL_PORT CERT_FOLDER...
    python listener.py restart ADDRESS CONTROL_PORT

`restart` is a real restart command: exit code 0 when the new certificate is loaded, 1 when it is not, and the old one
is served on. Files in FOLDER steer it: `fail-restart` makes a restart fail; `slow-restart` holds seconds that it takes;
`linger` holds seconds during which every second connection still meets the old certificate, as old workers do. Each
restart adds a line to `restarts.log`. Standard library only, so that it starts fast.
"""

from __future__ import annotations

import socket
import ssl
import sys
import threading
import time
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Callable

    Speaker = Callable[[socket.socket, "Certificates"], None]

TIMEOUT_SECONDS = 10


class Certificates:
    """The loaded certificates; null context: there is none yet, and connections are closed."""

    def __init__(self, folder: Path, sources: list[Path]) -> None:
        """Load what *sources* (folders with fullchain.pem and privkey.pem) hold now; steered from *folder*."""
        self._folder = folder
        self._sources = sources
        self._lock = threading.Lock()
        self._count = 0
        self._old: ssl.SSLContext | None = None
        self._old_until = 0.0
        self._context = _load(sources)

    def restart(self) -> bool:
        """Load again; false, and nothing changed, when told to fail or when a file is not usable."""
        try:
            time.sleep(self._seconds("slow-restart"))
            if (self._folder / "fail-restart").exists():
                return self._note("failed, as told")
            fresh = _load(self._sources)
        except (OSError, ValueError) as error:
            return self._note(f"failed: {error}")
        self._note("done")
        with self._lock:
            self._old, self._old_until = self._context, time.monotonic() + self._seconds("linger")
            self._context = fresh
        return True

    def context(self) -> ssl.SSLContext | None:
        """Return what the next connection is served with."""
        with self._lock:
            self._count += 1
            if self._old is not None and self._count % 2 and time.monotonic() < self._old_until:
                return self._old
            return self._context

    def _seconds(self, name: str) -> float:
        path = self._folder / name
        return float(path.read_text() or 0) if path.exists() else 0.0

    def _note(self, outcome: str) -> bool:
        with (self._folder / "restarts.log").open("a") as log:
            log.write(outcome + "\n")
        return False


def _load(sources: list[Path]) -> ssl.SSLContext | None:
    present = [folder for folder in sources if (folder / "fullchain.pem").exists()]
    if not present:
        return None
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    for folder in present:
        context.load_cert_chain(folder / "fullchain.pem", folder / "privkey.pem")
    return context


def serve_smtp(connection: socket.socket, certificates: Certificates) -> None:
    """Speak as much SMTP as STARTTLS needs."""
    connection.sendall(b"220 mail.example.com ESMTP\r\n")
    lines = connection.makefile("rb")
    while line := lines.readline(1000):
        word = line.split(maxsplit=1)[0].upper() if line.strip() else b""
        if word == b"EHLO":
            connection.sendall(b"250-mail.example.com\r\n250-PIPELINING\r\n250 STARTTLS\r\n")
        elif word == b"STARTTLS":
            connection.sendall(b"220 2.0.0 Ready to start TLS\r\n")
            serve_tls(connection, certificates)
            return
        elif word == b"QUIT":
            connection.sendall(b"221 2.0.0 Bye\r\n")
            return
        else:
            connection.sendall(b"502 5.5.2 Error: command not recognized\r\n")


def serve_tls(connection: socket.socket, certificates: Certificates) -> None:
    """Shake hands and wait for the other side to go."""
    context = certificates.context()
    if context is None:
        return
    with context.wrap_socket(connection, server_side=True) as secured:
        secured.recv(1)


def serve_control(connection: socket.socket, certificates: Certificates) -> None:
    """Restart when asked to, and say how it went."""
    if connection.recv(100) == b"restart\n":
        connection.sendall(b"ok\n" if certificates.restart() else b"failed\n")


def serve(folder: Path, address: str, ports: list[int], sources: list[Path]) -> None:
    """Serve all three ports until killed."""
    certificates = Certificates(folder, sources)
    speakers = (serve_smtp, serve_tls, serve_control)
    for port, speak in zip(ports, speakers, strict=True):
        family = socket.AF_INET6 if ":" in address else socket.AF_INET
        server = socket.create_server((address, port), family=family, backlog=64)
        threading.Thread(target=_accept, args=(server, speak, certificates), daemon=True).start()
    threading.Event().wait()


def _accept(server: socket.socket, speak: Speaker, certificates: Certificates) -> None:
    while True:
        connection, _ = server.accept()
        threading.Thread(target=_speak, args=(connection, speak, certificates), daemon=True).start()


def _speak(connection: socket.socket, speak: Speaker, certificates: Certificates) -> None:
    connection.settimeout(TIMEOUT_SECONDS)
    try:
        with connection:
            speak(connection, certificates)
    except OSError as error:
        print(f"{error}", file=sys.stderr, flush=True)


def restart(address: str, port: int) -> bool:
    """Ask a running listener to restart; whether it did."""
    try:
        with socket.create_connection((address, port), timeout=60) as connection:
            connection.sendall(b"restart\n")
            return connection.makefile("rb").readline() == b"ok\n"
    except OSError:
        return False


def main(words: list[str]) -> int:
    """Run one of the two commands above."""
    if words[0] == "restart":
        return 0 if restart(words[1], int(words[2])) else 1
    serve(Path(words[1]), words[2], [int(port) for port in words[3:6]], [Path(source) for source in words[6:]])
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
