r"""What anybody may know of a key, a CSR, a certificate, a chain, a bundle or a sops document: for `sslops info`.

Private halves are read to tell which public key they belong to, and nothing of them is kept.

>>> inspect(b"-----BEGIN NOTHING-----\nAA==\n-----END NOTHING-----\n")[0].kind
'unknown block'
"""

from __future__ import annotations

import hashlib
import json
import re
from dataclasses import dataclass
from functools import partial
from typing import TYPE_CHECKING

from cryptography import x509
from cryptography.exceptions import UnsupportedAlgorithm
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import ec, ed448, ed25519, rsa
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat

from sslops.dane.records import Der
from sslops.errors import SopsError, StateError
from sslops.model.names import format_time
from sslops.pki.certificate import extension
from sslops.pki.dh_groups import group_of
from sslops.secrets.recipients import recipients_of

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    Value = str | int | bool | tuple[str, ...] | None

MAX_BYTES = 4 * 1024 * 1024
"""More than any chain, bundle or document; a larger file is refused unread."""

_BLOCK = re.compile(rb"-----BEGIN ([A-Z0-9 ]{1,40})-----\r?\n.*?-----END \1-----", re.DOTALL)
_BROKEN = (ValueError, TypeError, UnsupportedAlgorithm, x509.DuplicateExtension, x509.InvalidVersion)
"""What the library raises for something that is not sound."""


@dataclass(frozen=True, slots=True)
class Item:
    """One thing that was found: its kind, and its facts by name in the order in which people read them."""

    kind: str
    facts: dict[str, Value]


def inspect(content: bytes) -> tuple[Item, ...]:
    """Return what *content* holds, in order: PEM blocks, one DER certificate or CSR, or a sops document.

    StateError when it is none of these; a block that cannot be read is an item that says why.
    """
    blocks = list(_BLOCK.finditer(content))
    if blocks:
        return tuple(_block(match[1].decode(), match[0]) for match in blocks)
    try:
        return (_document(content),)
    except SopsError:
        pass
    readers: tuple[Callable[[], Item], ...] = (
        lambda: _certificate(x509.load_der_x509_certificate(content)),
        lambda: _csr(x509.load_der_x509_csr(content)),
    )
    for read in readers:
        try:
            return (read(),)
        except _BROKEN:
            continue
    message = "neither PEM, nor a certificate or CSR in DER, nor a sops document"
    raise StateError(message, hint="sslops info takes keys, CSRs, certificates, chains, bundles and .sops files")


def certificate_item(der: bytes) -> Item:
    """Return the facts of one certificate in DER; one that cannot be read says why."""
    try:
        return _certificate(x509.load_der_x509_certificate(der))
    except _BROKEN as error:
        return _unreadable("certificate", error)


def certificates_in(content: bytes) -> tuple[Der, ...]:
    """Return the certificates of PEM, in order, or the one that *content* is in DER; empty when there is none.

    StateError for one that cannot be read.
    """
    blocks = [match[0] for match in _BLOCK.finditer(content) if match[1] == b"CERTIFICATE"]
    try:
        found = [x509.load_pem_x509_certificate(block) for block in blocks]
        if not found and not _BLOCK.search(content) and content[:1] == b"\x30":
            found = [x509.load_der_x509_certificate(content)]
        return tuple(Der(each.public_bytes(Encoding.DER), _spki(each.public_key())) for each in found)
    except _BROKEN as error:
        message = f"a certificate cannot be read: {' '.join(str(error).split())[:200]}"
        raise StateError(message) from error


def public_key_in(content: bytes) -> bytes | None:
    """Return the public half (DER) of the first key or CSR of *content* (PEM) that can be read; null: there is none."""
    for match in _BLOCK.finditer(content):
        label, pem = match[1].decode(), match[0]
        try:
            if label.endswith("CERTIFICATE REQUEST"):
                return _spki(x509.load_pem_x509_csr(pem).public_key())
            if label.endswith("PUBLIC KEY"):
                return _spki(serialization.load_pem_public_key(pem))
            if label.endswith("PRIVATE KEY"):
                key = serialization.load_pem_private_key(pem, None, unsafe_skip_rsa_key_validation=True)
                return _spki(key.public_key())
        except _BROKEN:
            continue
    return None


def _block(label: str, pem: bytes) -> Item:
    readers: dict[str, Callable[[], Item]] = {
        "CERTIFICATE": lambda: _certificate(x509.load_pem_x509_certificate(pem)),
        "CERTIFICATE REQUEST": lambda: _csr(x509.load_pem_x509_csr(pem)),
        "NEW CERTIFICATE REQUEST": lambda: _csr(x509.load_pem_x509_csr(pem)),
        "DH PARAMETERS": lambda: _dh_parameters(pem),
    }
    read = readers.get(label)
    if read is None and label.endswith("PRIVATE KEY"):
        read = partial(_private_key, label, pem)
    if read is None and label.endswith("PUBLIC KEY"):
        read = partial(_public_key, pem)
    try:
        return Item("unknown block", {"label": label}) if read is None else read()
    except _BROKEN as error:
        return _unreadable(label.lower(), error)


def _unreadable(kind: str, error: Exception) -> Item:
    return Item(kind, {"error": f"cannot be read: {' '.join(str(error).split())[:200]}"})


def _certificate(cert: x509.Certificate) -> Item:
    constraints = extension(cert, x509.BasicConstraints)
    usage = extension(cert, x509.ExtendedKeyUsage)
    points = extension(cert, x509.CRLDistributionPoints)
    return Item(
        "certificate",
        {
            "subject": cert.subject.rfc4514_string(),
            "issuer": cert.issuer.rfc4514_string(),
            "serial": f"{cert.serial_number:x}",
            "not_before": format_time(cert.not_valid_before_utc),
            "not_after": format_time(cert.not_valid_after_utc),
            "names": _names(extension(cert, x509.SubjectAlternativeName)),
            "ca": constraints is not None and constraints.ca,
            "purposes": () if usage is None else tuple(each._name for each in usage),  # noqa: SLF001  (no public name)
            "signature": cert.signature_algorithm_oid._name,  # noqa: SLF001
            **dict(_key_facts(cert.public_key())),
            "cert_sha256": hashlib.sha256(cert.public_bytes(Encoding.DER)).hexdigest(),
            "crl": tuple(crl_addresses(points)),
        },
    )


def _csr(csr: x509.CertificateSigningRequest) -> Item:
    try:
        sans: x509.SubjectAlternativeName | None = csr.extensions.get_extension_for_class(
            x509.SubjectAlternativeName
        ).value
    except x509.ExtensionNotFound:
        sans = None
    subject, signed = csr.subject.rfc4514_string(), csr.is_signature_valid
    facts: dict[str, Value] = {"subject": subject, "names": _names(sans), "signed": signed}
    return Item("csr", facts | dict(_key_facts(csr.public_key())))


def _private_key(label: str, pem: bytes) -> Item:
    if label.startswith("ENCRYPTED") or b"Proc-Type: 4,ENCRYPTED" in pem:
        return Item("private key", {"encrypted": True})
    # The checks of an RSA key take long and say nothing about whose it is.
    key = serialization.load_pem_private_key(pem, None, unsafe_skip_rsa_key_validation=True)
    return Item("private key", {"encrypted": False, **dict(_key_facts(key.public_key()))})


def _public_key(pem: bytes) -> Item:
    return Item("public key", dict(_key_facts(serialization.load_pem_public_key(pem))))


def _dh_parameters(pem: bytes) -> Item:
    group = group_of(pem)
    return Item("dh parameters", {"group": group or "none of RFC 7919"})


def _key_facts(key: object) -> Iterator[tuple[str, Value]]:
    yield "key", _key_words(key)
    yield "spki_sha256", hashlib.sha256(_spki(key)).hexdigest()


def _spki(key: object) -> bytes:
    der: bytes = key.public_bytes(Encoding.DER, PublicFormat.SubjectPublicKeyInfo)  # type: ignore[attr-defined]
    return der


def _key_words(key: object) -> str:
    if isinstance(key, ec.EllipticCurvePublicKey):
        return f"ec {key.curve.name}"
    if isinstance(key, rsa.RSAPublicKey):
        return f"rsa {key.key_size}"
    if isinstance(key, ed25519.Ed25519PublicKey):
        return "ed25519"
    if isinstance(key, ed448.Ed448PublicKey):
        return "ed448"
    return type(key).__name__.lstrip("_")


def _document(content: bytes) -> Item:
    """Return who can open a sops document; SopsError when it is none."""
    recipients = recipients_of(content, "it")
    metadata = json.loads(content)["sops"]
    told = {name: str(metadata[name]) for name in ("lastmodified", "version") if metadata.get(name)}
    return Item("sops document", {"recipients": tuple(sorted(recipients)), **told})


def crl_addresses(points: x509.CRLDistributionPoints | None) -> Iterator[str]:
    """Yield the web addresses at which a certificate says its CRL is (RFC 5280 section 4.2.1.13)."""
    for point in points or ():
        for name in point.full_name or ():
            if isinstance(name, x509.UniformResourceIdentifier) and name.value.startswith(("http://", "https://")):
                yield name.value


def _names(sans: x509.SubjectAlternativeName | None) -> tuple[str, ...]:
    return () if sans is None else tuple(str(name.value) for name in sans)
