"""The promise, watched from outside: a mail sender with a cache that looks all the time.

It asks both name servers again and again, keeps every RRset as long as a resolver might, and connects to every port. A
port that shows a certificate no record of some kept RRset matches is a broken promise (RFC 7672).

This process may be held up anywhere, so each moment is taken on its safe side: an RRset is kept from the question on,
and a certificate counts at the end of its handshake. What is reported did happen.
"""

from __future__ import annotations

import hashlib
import threading
import time
from typing import TYPE_CHECKING, Self

from tests.world.dns import PRIMARY, SECONDARY

if TYPE_CHECKING:
    from collections.abc import Sequence

    from tests.world.dns import DnsWorld
    from tests.world.smtp_port import SmtpPort

PAUSE_SECONDS = 0.03


class Watch:
    """Looks while the `with` block runs; `broken` says what it found, and leaving the block fails when it is not empty.

    `looks` counts the handshakes that met a certificate, so that a test can see it was no idle watch.
    """

    def __init__(self, dns: DnsWorld, owner: str, listeners: Sequence[SmtpPort]) -> None:
        """Watch the TLSA records (usage 3) at *owner* against what *listeners* show."""
        self.broken: list[str] = []
        self.looks = 0
        self._dns = dns
        self._owner = owner
        self._listeners = listeners
        self._kept: dict[frozenset[str], float] = {}
        self._is_over = threading.Event()
        self._thread = threading.Thread(target=self._watch, daemon=True)

    def __enter__(self) -> Self:
        """Begin."""
        self._thread.start()
        return self

    def __exit__(self, *failure: object) -> None:
        """End; AssertionError when the promise was broken and the block itself did not fail."""
        self._is_over.set()
        self._thread.join()
        if failure[0] is None:
            assert self.broken == [], "\n".join(self.broken)

    def _watch(self) -> None:
        while not self._is_over.wait(PAUSE_SECONDS):
            for server in (PRIMARY, SECONDARY):
                self._keep(server)
            for listener in self._listeners:
                self._meet(listener)

    def _keep(self, server: str) -> None:
        begun = time.monotonic()
        ttl_seconds, records = self._dns.rrset(server, self._owner)
        if records:
            until = begun + ttl_seconds
            self._kept[records] = max(until, self._kept.get(records, until))

    def _meet(self, listener: SmtpPort) -> None:
        certificate = listener.certificate()
        ended = time.monotonic()
        if certificate is None:
            return
        self.looks += 1
        matching = records_matching(certificate)
        for records, until in self._kept.items():
            if until > ended and not records & matching:
                self.broken.append(f"{listener.address} shows what none of {sorted(records)} matches")


def records_matching(certificate: bytes) -> frozenset[str]:
    """Return every record of usage 3 that matches *certificate* (DER), as zone files write them."""
    from cryptography import x509
    from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat

    key = x509.load_der_x509_certificate(certificate).public_key()
    public = key.public_bytes(Encoding.DER, PublicFormat.SubjectPublicKeyInfo)
    return frozenset(
        f"3 {selector} {match} {digest}"
        for selector, content in enumerate((certificate, public))
        for match, digest in enumerate(
            (content.hex(), hashlib.sha256(content).hexdigest(), hashlib.sha512(content).hexdigest())
        )
    )
