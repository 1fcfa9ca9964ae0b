"""A validating mail server's view of the demo, several times a second: does DANE hold for everything a cache may hold?

It shares nothing with the engine: its own questions to the name server, its own SMTP sessions, its own comparison.
"""

from __future__ import annotations

import contextlib
import hashlib
import smtplib
import socket
import ssl
import threading
import time
from collections import deque
from dataclasses import dataclass, field
from typing import Self

from cryptography import x509
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat

from sslops.errors import DnsError
from sslops.model.inventory import Endpoint
from sslops.probe.dns_question import Patience, authoritative_tlsa

ADDRESS = "127.0.0.1"
_PAUSE_SECONDS = 0.25
_TIMEOUT_SECONDS = 5
_PATIENCE = Patience(timeout_seconds=2, tries=2)


@dataclass
class Watch:
    """What was seen so far: how many looks, and every time that a cached record set did not match.

    *owner* is the TLSA name, *ttl_seconds* how long its records stay in the imagined cache.
    """

    owner: str
    dns_port: int
    smtp_port: int
    ttl_seconds: float
    looks: int = 0
    breaches: list[str] = field(default_factory=list)
    _cache: deque[tuple[float, frozenset[str]]] = field(default_factory=deque)
    _is_over: threading.Event = field(default_factory=threading.Event)
    _thread: threading.Thread | None = None

    def __enter__(self) -> Self:
        """Begin to look."""
        self._thread = threading.Thread(target=self._look_on, daemon=True)
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        """Look no more."""
        self._is_over.set()
        if self._thread is not None:
            self._thread.join(timeout=2 * _TIMEOUT_SECONDS)

    def _look_on(self) -> None:
        while not self._is_over.wait(_PAUSE_SECONDS):
            with contextlib.suppress(DnsError):
                self._look()

    def _look(self) -> None:
        # A machine may stall anywhere: records are kept from the question on, a certificate counts when it is there.
        asked_at = time.monotonic()
        self._cache.append((asked_at, tlsa_records(self.dns_port, self.owner)))
        served = key_served(self.smtp_port)
        seen_at = time.monotonic()
        while self._cache and self._cache[0][0] + self.ttl_seconds < seen_at:
            self._cache.popleft()
        if served is None:
            return
        self.looks += 1
        for _, cached in self._cache:
            if cached and served not in cached:
                self.breaches.append(f"a cache held {sorted(key[:8] for key in cached)}, served was {served[:8]}")


def tlsa_records(dns_port: int, owner: str) -> frozenset[str]:
    """Return the SHA-256 (hex) that each `3 1 1` record of *owner* asks for; DnsError without an answer."""
    found = authoritative_tlsa(Endpoint(ADDRESS, dns_port), owner, _PATIENCE)
    return frozenset(record.data for record in found.records)


def key_served(smtp_port: int) -> str | None:
    """Return the SHA-256 (hex) of the public key that the mail server serves; null while it offers no STARTTLS."""
    certificate = certificate_served(smtp_port)
    if certificate is None:
        return None
    public_key = x509.load_der_x509_certificate(certificate).public_key()
    return hashlib.sha256(public_key.public_bytes(Encoding.DER, PublicFormat.SubjectPublicKeyInfo)).hexdigest()


def certificate_served(smtp_port: int) -> bytes | None:
    """Return the certificate (DER) that the mail server shows after STARTTLS; null while it shows none."""
    try:
        with smtplib.SMTP(ADDRESS, smtp_port, timeout=_TIMEOUT_SECONDS) as session:
            session.starttls(context=_unverified())
            return session.sock.getpeercert(binary_form=True) if isinstance(session.sock, ssl.SSLSocket) else None
    except (OSError, smtplib.SMTPException):
        return None


def certificate_served_to_browsers(port: int, name: str) -> bytes | None:
    """Return the certificate (DER) that the web server shows who asks for *name*; null while it shows none."""
    try:
        plain = socket.create_connection((ADDRESS, port), timeout=_TIMEOUT_SECONDS)
        with plain, _unverified().wrap_socket(plain, server_hostname=name) as secured:
            return secured.getpeercert(binary_form=True)
    except OSError:
        return None


def _unverified() -> ssl.SSLContext:
    """Return a context that takes any certificate: it is compared with what was expected, as DANE does."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    context.check_hostname, context.verify_mode = False, ssl.CERT_NONE
    return context
