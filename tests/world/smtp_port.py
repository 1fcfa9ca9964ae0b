"""An SMTP port as its clients see it: the certificate it shows, and OpenSSL's judgement about its TLSA records."""

from __future__ import annotations

import hashlib
import smtplib
import ssl
import subprocess
from typing import TYPE_CHECKING, cast

from tests.world.loopback import bracketed
from tests.world.peers import need

if TYPE_CHECKING:
    from collections.abc import Collection
    from pathlib import Path


class SmtpPort:
    """The port *smtp_port* of *address*."""

    def __init__(self, address: str, smtp_port: int) -> None:
        """Remember where it is."""
        self.address = address
        self.smtp_port = smtp_port

    def served(self) -> str | None:
        """Return the SHA-256 (hex) of the certificate that a new connection meets; null when there is none."""
        certificate = self.certificate()
        return None if certificate is None else hashlib.sha256(certificate).hexdigest()

    def certificate(self) -> bytes | None:
        """Return the certificate (DER) that a new connection meets; null when there is none."""
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
        context.check_hostname = False
        context.verify_mode = ssl.CERT_NONE
        try:
            with smtplib.SMTP(self.address, self.smtp_port, local_hostname="test.example.com", timeout=10) as client:
                client.starttls(context=context)
                return cast("ssl.SSLSocket", client.sock).getpeercert(binary_form=True)
        except (OSError, smtplib.SMTPException):
            return None

    def is_accepted_with(self, records: Collection[str], host: str = "mail.example.com") -> bool:
        """Whether a DANE client that is no code of ours accepts the port, given *records* as zone files write them.

        Nothing is looked up: the records come from the caller, who asked a name server.
        """
        rrdata = [word for record in sorted(records) for word in ("-dane_tlsa_rrdata", record)]
        words: list[str | Path] = [
            need("openssl"),
            "s_client",
            "-starttls",
            "smtp",
            "-connect",
            f"{bracketed(self.address)}:{self.smtp_port}",
        ]
        words += ["-dane_tlsa_domain", host, *rrdata, "-verify_return_error", "-brief"]
        done = subprocess.run(words, check=False, capture_output=True, stdin=subprocess.DEVNULL, timeout=30)
        return done.returncode == 0
