"""Certificates and CSRs as they are: their public facts, and what is wrong with a chain.

A certificate is looked at before its generation counts as issued, and again whenever somebody asks.
"""

from __future__ import annotations

import base64
import hashlib
import ipaddress
import re
from dataclasses import dataclass
from datetime import UTC, timedelta
from itertools import pairwise
from typing import TYPE_CHECKING, TypeVar

from cryptography import x509
from cryptography.exceptions import InvalidSignature, UnsupportedAlgorithm
from cryptography.hazmat.primitives.asymmetric import ec, ed25519, rsa
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat
from cryptography.x509.oid import ExtendedKeyUsageOID, NameOID

from sslops.dane.records import Der, Material
from sslops.errors import SslopsError, StateError

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence
    from datetime import datetime

    from sslops.model.names import GenerationId, ServiceId
    from sslops.model.secret import Secret
    from sslops.model.state import Generation


_Extension = TypeVar("_Extension", bound=x509.ExtensionType)
_LONGEST_REASON = 200
_SANS = x509.SubjectAlternativeName
_ROUNDING = timedelta(hours=1)
"""By how much a CA may miss the life that it states."""
_HOURS_SHOWN = 48
_BLOCK = re.compile(rb"-----BEGIN CERTIFICATE-----\r?\n[A-Za-z0-9+/=\s]+-----END CERTIFICATE-----\r?\n?")


@dataclass(frozen=True, slots=True)
class CertificateFacts:
    """What anybody may know of a certificate; *serial* and hashes are lower-case hex, *sans* as written in it."""

    subject: str
    issuer: str
    serial: str
    not_before: datetime
    not_after: datetime
    sans: tuple[str, ...]
    cert_sha256: str
    spki_sha256: str
    is_ca: bool
    path_length: int | None
    is_self_issued: bool


def read_certificate(pem: bytes) -> CertificateFacts:
    """Return the facts of one certificate; StateError when *pem* is none."""
    return _facts(_load(pem))


def split_chain(pem: bytes) -> tuple[bytes, ...]:
    """Return the certificates of a chain, in order, each as PEM of its own."""
    return tuple(match[0] for match in _BLOCK.finditer(pem))


def certificate_der(pem: bytes) -> bytes:
    """Return the DER form of a certificate: what selector 0 of a TLSA record is about (RFC 6698 section 2.1.2)."""
    return _load(pem).public_bytes(Encoding.DER)


def pem_of(der: bytes) -> bytes:
    """Return a certificate in PEM, whether or not it can be read further (RFC 7468 section 5)."""
    body = base64.encodebytes(der).replace(b"\n", b"")
    lines = [body[start : start + 64] for start in range(0, len(body), 64)]
    return b"\n".join([b"-----BEGIN CERTIFICATE-----", *lines, b"-----END CERTIFICATE-----", b""])


def certificate_spki(pem: bytes) -> bytes:
    """Return the DER form of a certificate's public key: selector 1."""
    return _load(pem).public_key().public_bytes(Encoding.DER, PublicFormat.SubjectPublicKeyInfo)


def csr_spki(pem: bytes) -> bytes:
    """Return the DER form of a CSR's public key; StateError when *pem* is none."""
    try:
        key = x509.load_pem_x509_csr(pem).public_key()
    except Exception as error:
        message = f"a CSR cannot be read: {str(error)[:_LONGEST_REASON]}"
        raise StateError(message) from error
    return key.public_bytes(Encoding.DER, PublicFormat.SubjectPublicKeyInfo)


@dataclass(frozen=True, slots=True)
class CsrFacts:
    """What a CSR asks for; hash in lower-case hex, kind and size of the key as `generation.yaml` has them."""

    spki_sha256: str
    sans: tuple[str, ...]
    key_type: str
    key_size: str


def read_csr(pem: bytes) -> CsrFacts:
    """Return the facts of a CSR; StateError when *pem* is none."""
    spki = csr_spki(pem)
    try:
        csr = x509.load_pem_x509_csr(pem)
        names = next((each.value for each in csr.extensions if isinstance(each.value, _SANS)), None)
        key = csr.public_key()
    except Exception as error:
        message = f"a CSR cannot be read: {str(error)[:_LONGEST_REASON]}"
        raise StateError(message) from error
    return CsrFacts(hashlib.sha256(spki).hexdigest(), _names(names), *_kind(key))


def _kind(key: object) -> tuple[str, str]:
    if isinstance(key, ec.EllipticCurvePublicKey):
        return "ec", key.curve.name
    if isinstance(key, rsa.RSAPublicKey):
        return "rsa", str(key.key_size)
    return ("ed25519", "") if isinstance(key, ed25519.Ed25519PublicKey) else ("", "")


def same_names(first: Iterable[str], second: Iterable[str]) -> bool:
    """Whether two lists name the same hosts and addresses, whatever the order and the case."""
    return _comparable(first) == _comparable(second)


def names_ca(chain: bytes, common_name: str) -> bool:
    """Whether some certificate of *chain* is, or was issued by, a CA with that common name."""
    certs = [_load(each) for each in split_chain(chain)]
    names = [attribute for cert in certs for name in (cert.issuer, cert.subject) for attribute in name]
    return any(each.oid == NameOID.COMMON_NAME and each.value == common_name for each in names)


def material(csr: bytes, cert: bytes | None, chain: bytes | None) -> Material:
    """Return in DER what records can be about; StateError when a part of it cannot be read."""
    issuers = tuple(Der(certificate_der(each), certificate_spki(each)) for each in split_chain(chain or b""))
    return Material(csr_spki(csr), None if cert is None else certificate_der(cert), issuers)


def chain_faults(cert: bytes, chain: bytes) -> tuple[str, ...]:
    """Return why *chain* is none of *cert* (both PEM): certificates and nothing else, of which the first is its issuer.

    An empty chain is that of a root. Whether the certificates lead to a CA that is trusted `faults` tells.
    """
    if _BLOCK.sub(b"", chain).strip():
        return ("the chain holds something that is no certificate",)
    try:
        leaf, *path = (_load(cert), *map(_load, split_chain(chain)))
    except StateError as error:
        return (error.what,)
    if path and leaf.issuer != path[0].subject:
        return ("the chain does not begin with the issuer of the certificate",)
    return ()


def faults(
    cert: bytes, chain: bytes, anchor: bytes, *, spki_sha256: str, sans: Iterable[str], now: datetime
) -> tuple[str, ...]:
    """Return what is wrong with *cert*, which *chain* should lead to *anchor*, a CA that is trusted (all PEM).

    Its key must be the one that hashes to *spki_sha256*, its names *sans*, and every certificate must be valid *now*.
    A root is its own *anchor* and has an empty chain.
    """
    try:
        path = [_load(cert), *map(_load, split_chain(chain)), _load(anchor)]
    except StateError as error:
        return (error.what,)
    leaf = _facts(path[0])
    found = []
    if leaf.spki_sha256 != spki_sha256:
        found.append("the certificate is not for the key of its generation")
    if _comparable(leaf.sans) != _comparable(sans):
        found.append(f"the certificate names {_listed(leaf.sans)}, the inventory {_listed(sans)}")
    return (*found, *_path_faults(_without_repetition(path), now))


def leaf_faults(
    cert: bytes, purposes: Iterable[str], lives: tuple[timedelta, timedelta] | None = None
) -> tuple[str, ...]:
    """Return what keeps a certificate (PEM) from being that of a server: RFC 5280 sections 4.2.1.3, 4.2.1.9, 4.2.1.12.

    It is no CA's, is for serverAuth where *purposes* have that, and is valid for *lives* (at least, at most), if given.
    """
    leaf, found = _load(cert), []
    constraints, usage = extension(leaf, x509.BasicConstraints), extension(leaf, x509.KeyUsage)
    if (constraints is not None and constraints.ca) or (usage is not None and usage.key_cert_sign):
        found.append("the certificate is a CA's, which could sign others")
    extended = extension(leaf, x509.ExtendedKeyUsage)
    if "serverAuth" in purposes and (extended is None or ExtendedKeyUsageOID.SERVER_AUTH not in extended):
        found.append("the certificate is not for servers (serverAuth)")
    life = leaf.not_valid_after_utc - leaf.not_valid_before_utc + timedelta(seconds=1)
    if lives is not None and not lives[0] <= life <= lives[1] + _ROUNDING:
        found.append(f"the certificate is valid for {_span(life)}, not between {_span(lives[0])} and {_span(lives[1])}")
    return tuple(found)


def _span(life: timedelta) -> str:
    hours = life / timedelta(hours=1)
    return f"{hours:.4g} hours" if hours < _HOURS_SHOWN else f"{hours / 24:.4g} days"


def _path_faults(path: Sequence[x509.Certificate], now: datetime) -> list[str]:
    """Return what RFC 5280 section 6.1 would object to: dates, signatures, CA bits, path lengths."""
    found = []
    for cert, issuer in pairwise(path) if len(path) > 1 else [(path[0], path[0])]:
        if not _is_signed_by(cert, issuer):
            found.append(f"'{_facts(cert).subject}' is not signed by '{_facts(issuer).subject}'")
    for depth, cert in enumerate(path):
        facts = _facts(cert)
        if not facts.not_before <= now <= facts.not_after:
            found.append(f"'{facts.subject}' is valid from {facts.not_before} until {facts.not_after} only")
        if depth and not facts.is_ca:
            found.append(f"'{facts.subject}' signs without being a CA")
        if depth and facts.path_length is not None and depth - 1 > facts.path_length:
            found.append(f"'{facts.subject}' allows {facts.path_length} CAs below it, and {depth - 1} are there")
    return found


def _without_repetition(path: list[x509.Certificate]) -> list[x509.Certificate]:
    """Drop a certificate that repeats the one before it: a chain may end with the root."""
    return [cert for depth, cert in enumerate(path) if depth == 0 or cert != path[depth - 1]]


def _is_signed_by(cert: x509.Certificate, issuer: x509.Certificate) -> bool:
    try:
        cert.verify_directly_issued_by(issuer)
    except (InvalidSignature, UnsupportedAlgorithm, ValueError, TypeError):
        return False
    return True


def _load(pem: bytes) -> x509.Certificate:
    """Return a certificate of which every part can be read; StateError for any other.

    The parser reads parts when they are asked for, and has an error of its own for each: unknown curves, extensions
    that are there twice, versions that do not exist, dates in no calendar.
    """
    try:
        cert = x509.load_pem_x509_certificate(pem)
        cert.extensions  # noqa: B018  (read and kept by the parser)
        cert.public_key(), cert.subject, cert.issuer, cert.not_valid_before_utc, cert.not_valid_after_utc
        cert.signature_hash_algorithm  # noqa: B018
    except Exception as error:
        message = f"a certificate cannot be read: {str(error)[:_LONGEST_REASON]}"
        raise StateError(message) from error
    return cert


def _facts(cert: x509.Certificate) -> CertificateFacts:
    constraints = extension(cert, x509.BasicConstraints)
    spki = cert.public_key().public_bytes(Encoding.DER, PublicFormat.SubjectPublicKeyInfo)
    return CertificateFacts(
        subject=cert.subject.rfc4514_string(),
        issuer=cert.issuer.rfc4514_string(),
        serial=f"{cert.serial_number:x}",
        not_before=cert.not_valid_before_utc,
        not_after=cert.not_valid_after_utc,
        sans=_names(extension(cert, x509.SubjectAlternativeName)),
        cert_sha256=hashlib.sha256(cert.public_bytes(Encoding.DER)).hexdigest(),
        spki_sha256=hashlib.sha256(spki).hexdigest(),
        is_ca=constraints is not None and constraints.ca,
        path_length=None if constraints is None else constraints.path_length,
        is_self_issued=cert.subject == cert.issuer,
    )


def extension(cert: x509.Certificate, kind: type[_Extension]) -> _Extension | None:
    """Return the extension of *kind*; null when the certificate has none."""
    try:
        return cert.extensions.get_extension_for_class(kind).value
    except x509.ExtensionNotFound:
        return None


def scts(pem: bytes) -> tuple[tuple[str, datetime], ...]:
    """Return the id (hex) and the time of each log that promised to list the certificate (RFC 6962 section 3.3).

    Empty where it brings none, or cannot be read.
    """
    try:
        found = extension(_load(pem), x509.PrecertificateSignedCertificateTimestamps)
    except (SslopsError, ValueError):
        return ()
    return tuple((each.log_id.hex(), each.timestamp.replace(tzinfo=UTC)) for each in found or ())


def _names(extension: x509.SubjectAlternativeName | None) -> tuple[str, ...]:
    return () if extension is None else tuple(str(name.value) for name in extension)


def _comparable(sans: Iterable[str]) -> frozenset[str]:
    """Return names as sets compare them: host names in lower case, addresses in their one short form."""
    return frozenset(map(_one_form, sans))


def _one_form(san: str) -> str:
    try:
        return str(ipaddress.ip_address(san))
    except ValueError:
        return san.lower()


def _listed(names: Iterable[str]) -> str:
    return ", ".join(f"'{name}'" for name in sorted(names)) or "nothing"


def matched(
    service: ServiceId, generation: GenerationId, facts: Generation | None, key: Secret | SslopsError
) -> Secret | SslopsError:
    """Return *key*, or the error that it is not the one that the generation's *facts* tell of."""
    if isinstance(key, SslopsError) or (facts is not None and key_spki_sha256(key) == facts.spki_sha256):
        return key
    what = f"the key of '{service}' {generation} does not belong to its certificate"
    return StateError(what, hint="sslops check")


def key_spki_sha256(key: Secret) -> str | None:
    """Return the hash (hex) of the public half of a private key in PEM; null when it is none."""
    from cryptography.exceptions import UnsupportedAlgorithm
    from cryptography.hazmat.primitives import serialization

    try:
        # The checks of an RSA key take long and say nothing about whose it is.
        private = serialization.load_pem_private_key(key.reveal(), None, unsafe_skip_rsa_key_validation=True)
    except (ValueError, TypeError, UnsupportedAlgorithm):
        return None
    form = serialization.PublicFormat.SubjectPublicKeyInfo
    return hashlib.sha256(private.public_key().public_bytes(serialization.Encoding.DER, form)).hexdigest()
