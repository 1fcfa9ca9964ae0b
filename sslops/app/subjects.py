"""What `info`, `verify` and `trust` are about: a file, a port, a generation of this repository, or standard input."""

from __future__ import annotations

import re
import sys
from dataclasses import dataclass
from typing import TYPE_CHECKING

from sslops.app.entry import ops_repository
from sslops.errors import PeerError, SslopsError, StateError, UsageError
from sslops.inventory.files import read_folder
from sslops.inventory.loading import load
from sslops.inventory.targets import parse_targets
from sslops.issue.rules import is_root
from sslops.pki.certificate import pem_of
from sslops.pki.inspection import MAX_BYTES

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path

    from sslops.app.session import Session

STDIN = "-"
PORTS = {25: "smtp", 587: "smtp", 143: "imap", 110: "pop3", 389: "ldap", 5222: "xmpp", 5269: "xmpp"}
"""What is spoken before TLS on the ports that have a usual answer; any other port is asked for TLS at once."""

_PORT = re.compile(r"(?:\[(?P<address>[0-9A-Fa-f:.]+)\]|(?P<host>[^\s:/\[\]]+)):(?P<port>[0-9]{1,5})")
_TIMEOUT_SECONDS = 15.0


@dataclass(frozen=True, slots=True)
class Subject:
    """Something to look at: how it is called, and what it holds (PEM, DER or a sops document)."""

    name: str
    content: bytes
    host: str | None = None
    """The name that a port was asked by."""


def find_subject(
    session: Session, word: str, *, starttls: str | None = None, server_name: str | None = None
) -> Subject:
    """Return what *word* means: `-`, a file that exists, `HOST:PORT`, or `GROUP/SVC` and `GROUP:SVC`, live on main.

    Raises UsageError for a word that is none of these, PeerError for a port that shows no certificate.
    """
    if word == STDIN:
        return Subject("standard input", _bounded(sys.stdin.buffer.read(MAX_BYTES + 1), word))
    path = session.start / word
    if path.is_file():
        return Subject(word, _read(path))
    port = _PORT.fullmatch(word)
    if port is not None and int(port["port"]) < 2**16:
        host = port["address"] or port["host"]
        return _shown(word, host, int(port["port"]), starttls, server_name or host)
    if (":" in word or "/" in word) and not word.startswith(("/", "./", "../", "~")):
        return _live(session, word)
    hint = "a file, HOST:PORT, GROUP/SVC, or - for standard input"
    raise UsageError(f"there is nothing called '{word}' to look at", hint=hint)


def own_roots(session: Session) -> Mapping[str, bytes]:
    """Return the root certificates (PEM) of the own CAs that are live on main, by service; UsageError outside one."""
    ops = ops_repository(session)
    snapshot = ops.snapshot()
    inventory = load(ops.inventory_files(snapshot))
    roots = {
        service.id: live.id
        for service in inventory.services.values()
        if is_root(inventory, service) and (live := snapshot.branches.main[service.id].curr) is not None
    }
    documents = ops.documents(snapshot, roots.items())
    return {str(service): found.cert for (service, _), found in documents.items() if found.cert is not None}


def known_roots(session: Session) -> list[bytes]:
    """Return the roots (PEM) of this machine, and those of the own CAs where *session* has an ops repository."""
    import ssl

    try:
        own = list(own_roots(session).values())
    except SslopsError:
        own = []
    context = ssl.create_default_context()
    return [*own, *(pem_of(der) for der in context.get_ca_certs(binary_form=True))]


def _shown(word: str, host: str, port: int, starttls: str | None, server_name: str) -> Subject:
    from sslops.probe.tls import SocketChannel, presented_chain

    spoken = PORTS.get(port) if starttls is None else starttls
    try:
        chain = presented_chain(
            lambda: SocketChannel(host, port, _TIMEOUT_SECONDS), None if spoken == "none" else spoken, server_name
        )
    except OSError as error:
        why = "timed out" if isinstance(error, TimeoutError) else error.strerror or str(error)
        raise PeerError(f"'{word}' cannot be asked: {why.lower()}") from error
    if not chain:
        raise PeerError(f"'{word}' shows no certificate", hint="--starttls PROTOCOL, or --starttls none")
    return Subject(word, b"".join(map(pem_of, chain)), server_name)


def _live(session: Session, word: str) -> Subject:
    """Return certificate and chain of what is live on main, of every service that *word* names."""
    services = parse_targets([word], load(read_folder(session.folder))) or frozenset()
    ops = ops_repository(session)
    snapshot = ops.snapshot()
    live = [(service, curr.id) for service in sorted(services) if (curr := snapshot.branches.main[service].curr)]
    if not live:
        raise StateError(f"nothing of '{word}' is live on main", hint="sslops status")
    documents = ops.documents(snapshot, live)
    return Subject(word, b"".join((found.cert or b"") + (found.chain or b"") for found in documents.values()))


def _read(path: Path) -> bytes:
    try:
        with path.open("rb") as file:
            return _bounded(file.read(MAX_BYTES + 1), str(path))
    except OSError as error:
        raise StateError(f"'{path}' cannot be read: {error.strerror}") from error


def _bounded(content: bytes, name: str) -> bytes:
    if len(content) > MAX_BYTES:
        raise StateError(f"'{name}' is larger than {MAX_BYTES // 2**20} MiB, which no certificate is")
    return content
