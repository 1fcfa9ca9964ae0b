"""Is a certificate good? Each question by itself, with the answer and its cause: for `sslops verify`."""

from __future__ import annotations

import hashlib
import ipaddress
import warnings
from dataclasses import dataclass
from enum import StrEnum
from typing import TYPE_CHECKING, Protocol

from cryptography import x509
from cryptography.exceptions import InvalidSignature, UnsupportedAlgorithm
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat
from cryptography.x509.oid import ExtendedKeyUsageOID

from sslops.errors import StateError
from sslops.pki.certificate import extension, key_spki_sha256, split_chain
from sslops.pki.inspection import crl_addresses

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Sequence
    from datetime import datetime

    from sslops.model.secret import Secret

_BROKEN = (ValueError, TypeError, UnsupportedAlgorithm, x509.DuplicateExtension, x509.InvalidVersion)
_SAID = 200


class Answer(StrEnum):
    """How a question was answered."""

    OK = "ok"
    FAILED = "failed"
    SKIPPED = "skipped"
    """It could not be asked, or does not apply; the cause says which."""


@dataclass(frozen=True, slots=True)
class Check:
    """One question about a certificate, its answer and why."""

    name: str
    state: Answer
    cause: str = ""

    @property
    def is_good(self) -> bool:
        """Whether it is no objection."""
        return self.state is not Answer.FAILED


class Fetch(Protocol):
    """Fetches a CRL."""

    def __call__(self, url: str) -> bytes:
        """Return the document at *url*; OSError when it cannot be had within bounds."""
        ...


@dataclass(frozen=True, slots=True)
class Expected:
    """What a certificate is compared with: roots (PEM), host names, a key; *fetch* null asks no CA for revocations."""

    roots: Sequence[bytes]
    now: datetime
    names: Sequence[str] = ()
    key: Secret | None = None
    fetch: Fetch | None = None


def verify(pem: bytes, expected: Expected) -> tuple[Check, ...]:
    """Return every check of the certificate that comes first in *pem*; those behind it are its chain.

    StateError when there is none that can be read.
    """
    blocks = split_chain(pem)
    if not blocks:
        raise StateError("there is no certificate to verify", hint="sslops info says what is there")
    try:
        leaf, *chain = [x509.load_pem_x509_certificate(block) for block in blocks]
        return tuple(_checks(leaf, chain, expected))
    except _BROKEN as error:
        message = f"a certificate cannot be read: {' '.join(str(error).split())[:_SAID]}"
        raise StateError(message) from error


def _checks(leaf: x509.Certificate, chain: list[x509.Certificate], expected: Expected) -> Iterator[Check]:
    yield dates(leaf, expected.now)
    yield _chain(leaf, chain, expected)
    yield purpose(leaf)
    yield from (_name(leaf, name) for name in expected.names)
    if expected.key is not None:
        yield _key(leaf, expected.key)
    yield _revocation(leaf, chain, expected)


def dates(leaf: x509.Certificate, now: datetime) -> Check:
    """Check that *now* lies within its life."""
    if now < leaf.not_valid_before_utc:
        return Check("dates", Answer.FAILED, f"valid from {leaf.not_valid_before_utc:%Y-%m-%d %H:%M} UTC only")
    if now > leaf.not_valid_after_utc:
        return Check("dates", Answer.FAILED, f"expired at {leaf.not_valid_after_utc:%Y-%m-%d %H:%M} UTC")
    return Check("dates", Answer.OK, f"until {leaf.not_valid_after_utc:%Y-%m-%d %H:%M} UTC")


def _chain(leaf: x509.Certificate, chain: list[x509.Certificate], expected: Expected) -> Check:
    """Find a path to one of the roots (RFC 5280 section 6.1), over what was shown and in any order."""
    roots = _roots(expected)
    if not roots:
        return Check("chain", Answer.SKIPPED, "there is no root to lead to: --root FILE")
    path, why = path_to_root(leaf, chain, roots, expected.now)
    if path is None:
        return Check("chain", Answer.FAILED, why)
    return Check("chain", Answer.OK, " <- ".join(each.subject.rfc4514_string() for each in path[1:]) or "it is a root")


def _roots(expected: Expected) -> list[x509.Certificate]:
    with warnings.catch_warnings():
        # Some roots of this machine are older than the rules for serial numbers.
        warnings.simplefilter("ignore")
        return [x509.load_pem_x509_certificate(block) for root in expected.roots for block in split_chain(root)]


def path_to_root(
    leaf: x509.Certificate, chain: Iterable[x509.Certificate], roots: Sequence[x509.Certificate], now: datetime
) -> tuple[list[x509.Certificate] | None, str]:
    """Return the certificates from *leaf* to one of *roots*, or null and why there is no such path."""
    path, left = [leaf], list(chain)
    while True:
        here = path[-1]
        if here in roots:
            return path, ""
        signer = next((each for each in [*roots, *left] if is_signed(here, each)), None)
        if signer is None:
            return None, f"nothing that was shown, and no root, signed '{here.subject.rfc4514_string()}'"
        fault = ca_fault(signer, below=len(path) - 1, now=now)
        if fault is not None:
            return None, fault
        path.append(signer)
        left = [each for each in left if each != signer]


def ca_fault(cert: x509.Certificate, *, below: int, now: datetime) -> str | None:
    """Return why *cert* may not sign with *below* CAs between it and the leaf; null: it may (RFC 5280 6.1)."""
    name, constraints = f"'{cert.subject.rfc4514_string()}'", extension(cert, x509.BasicConstraints)
    if constraints is None or not constraints.ca:
        return f"{name} signs without being a CA"
    if constraints.path_length is not None and below > constraints.path_length:
        return f"{name} allows {constraints.path_length} CAs below it, and {below} are there"
    if not cert.not_valid_before_utc <= now <= cert.not_valid_after_utc:
        return f"{name} is valid from {cert.not_valid_before_utc} until {cert.not_valid_after_utc} only"
    return None


def is_signed(cert: x509.Certificate, by: x509.Certificate) -> bool:
    """Whether the name and the key of *by* are those that signed *cert*."""
    try:
        cert.verify_directly_issued_by(by)
    except (InvalidSignature, *_BROKEN):
        return False
    return True


def purpose(leaf: x509.Certificate) -> Check:
    """Check that it is for servers (RFC 5280 section 4.2.1.12)."""
    constraints, usage = extension(leaf, x509.BasicConstraints), extension(leaf, x509.ExtendedKeyUsage)
    if constraints is not None and constraints.ca:
        return Check("purpose", Answer.OK, "a CA")
    if usage is None:
        return Check("purpose", Answer.SKIPPED, "it names none")
    if ExtendedKeyUsageOID.SERVER_AUTH not in usage:
        return Check("purpose", Answer.FAILED, "it is not for servers (serverAuth)")
    return Check("purpose", Answer.OK, "serverAuth")


def _name(leaf: x509.Certificate, name: str) -> Check:
    """Compare as RFC 9525 section 6.3 does: a wildcard stands for the leftmost label, addresses are equal or not."""
    sans = extension(leaf, x509.SubjectAlternativeName)
    asked = f"name {name}"
    try:
        found = sans is not None and ipaddress.ip_address(name) in sans.get_values_for_type(x509.IPAddress)
    except ValueError:
        host = name.rstrip(".").lower()
        hosts = [] if sans is None else [each.lower() for each in sans.get_values_for_type(x509.DNSName)]
        found = host in hosts or f"*.{host.partition('.')[2]}" in hosts
    if found:
        return Check(asked, Answer.OK)
    names = "nothing" if sans is None else ", ".join(str(each.value) for each in sans)
    return Check(asked, Answer.FAILED, f"the certificate is for {names}")


def _key(leaf: x509.Certificate, key: Secret) -> Check:
    spki = leaf.public_key().public_bytes(Encoding.DER, PublicFormat.SubjectPublicKeyInfo)
    if key_spki_sha256(key) == hashlib.sha256(spki).hexdigest():
        return Check("key", Answer.OK)
    return Check("key", Answer.FAILED, "the private key is another one's")


def _revocation(leaf: x509.Certificate, chain: list[x509.Certificate], expected: Expected) -> Check:
    """Ask the CRL that the certificate names (RFC 5280 section 6.3); one that cannot be believed proves nothing."""
    urls = tuple(crl_addresses(extension(leaf, x509.CRLDistributionPoints)))
    roots = _roots(expected)
    signer = next((each for each in [*chain, *roots] if is_signed(leaf, each)), None)
    obstacle = _no_crl(urls, signer, expected)
    if obstacle or signer is None or expected.fetch is None:
        return Check("revocation", Answer.SKIPPED, obstacle)
    try:
        crl = _crl(expected.fetch(urls[0]))
        if not crl.is_signature_valid(signer.public_key()):  # type: ignore[arg-type]  # a CA's key signs
            return Check("revocation", Answer.FAILED, f"{urls[0]} is not signed by the CA")
    except (OSError, *_BROKEN) as error:
        return Check("revocation", Answer.SKIPPED, f"{urls[0]}: {' '.join(str(error).split())[:_SAID]}")
    if crl.next_update_utc is not None and crl.next_update_utc < expected.now:
        return Check("revocation", Answer.SKIPPED, f"{urls[0]} is out of date since {crl.next_update_utc:%Y-%m-%d}")
    revoked = crl.get_revoked_certificate_by_serial_number(leaf.serial_number)
    if revoked is not None:
        return Check("revocation", Answer.FAILED, f"revoked at {revoked.revocation_date_utc:%Y-%m-%d %H:%M} UTC")
    return Check("revocation", Answer.OK, f"not in {urls[0]}")


def _no_crl(urls: Sequence[str], signer: x509.Certificate | None, expected: Expected) -> str:
    """Say why no CRL is asked; empty when one is."""
    if not urls:
        return "the CA says nowhere what it revoked"
    if expected.fetch is None:
        return "not asked (--offline)"
    return "the signer is not at hand, so no CRL can be believed" if signer is None else ""


def _crl(content: bytes) -> x509.CertificateRevocationList:
    if content.startswith(b"-----BEGIN"):
        return x509.load_pem_x509_crl(content)
    return x509.load_der_x509_crl(content)
