"""Inventory values as X.509 fields: subject, names, purposes, and which bits a key may have (RFC 5280).

>>> from sslops.model.inventory import Subject
>>> subject_name(Subject(common_name="example.com", country="US", organization="")).rfc4514_string()
'CN=example.com,C=US'
"""

from __future__ import annotations

import ipaddress
from typing import TYPE_CHECKING

from cryptography import x509
from cryptography.hazmat.primitives.asymmetric import rsa
from cryptography.x509.oid import ExtendedKeyUsageOID, NameOID

from sslops.errors import SslopsError

if TYPE_CHECKING:
    from collections.abc import Iterable

    from cryptography.hazmat.primitives.asymmetric.types import CertificatePublicKeyTypes

    from sslops.issue.ports import Request
    from sslops.model.inventory import Subject

PURPOSES = {
    "serverAuth": ExtendedKeyUsageOID.SERVER_AUTH,
    "clientAuth": ExtendedKeyUsageOID.CLIENT_AUTH,
    "emailProtection": ExtendedKeyUsageOID.EMAIL_PROTECTION,
    "codeSigning": ExtendedKeyUsageOID.CODE_SIGNING,
    "timeStamping": ExtendedKeyUsageOID.TIME_STAMPING,
    "OCSPSigning": ExtendedKeyUsageOID.OCSP_SIGNING,
}
"""The names of RFC 5280 section 4.2.1.12; any other purpose is asked for by its dotted number."""

# The order that directories and certificate viewers expect: from the country down to the name.
_FIELDS = (
    (NameOID.COUNTRY_NAME, "country"),
    (NameOID.STATE_OR_PROVINCE_NAME, "state"),
    (NameOID.LOCALITY_NAME, "locality"),
    (NameOID.ORGANIZATION_NAME, "organization"),
    (NameOID.ORGANIZATIONAL_UNIT_NAME, "organizational_unit"),
    (NameOID.COMMON_NAME, "common_name"),
)


def subject_name(subject: Subject) -> x509.Name:
    """Return the distinguished name without empty fields.

    The mail address is the ACME contact; in a name it is deprecated (RFC 5280 section 4.1.2.6), so it stays out.
    """
    given = ((oid, getattr(subject, field)) for oid, field in _FIELDS)
    try:
        return x509.Name([x509.NameAttribute(oid, value) for oid, value in given if value])
    except ValueError as error:
        message = f"the subject cannot be written into a certificate: {error}"
        raise SslopsError(message) from error


def alternative_names(sans: Iterable[str]) -> x509.SubjectAlternativeName:
    """Return *sans* as dNSName (A-labels, wildcards) and iPAddress names, in the order given."""
    return x509.SubjectAlternativeName([_general_name(san) for san in sans])


def purposes(names: Iterable[str]) -> x509.ExtendedKeyUsage:
    """Return the extended key usage; SslopsError for a purpose nobody knows."""
    return x509.ExtendedKeyUsage([PURPOSES.get(name) or _numbered(name) for name in names])


def key_usage(*, is_ca: bool, key: CertificatePublicKeyTypes) -> x509.KeyUsage:
    """Return what the key is for: a CA signs certificates and CRLs, a leaf signs handshakes.

    Only RSA transports keys, in TLS 1.2 without forward secrecy (RFC 5246 section 7.4.2).
    """
    return x509.KeyUsage(
        digital_signature=not is_ca,
        content_commitment=False,
        key_encipherment=not is_ca and isinstance(key, rsa.RSAPublicKey),
        data_encipherment=False,
        key_agreement=False,
        key_cert_sign=is_ca,
        crl_sign=is_ca,
        encipher_only=False,
        decipher_only=False,
    )


def asked_extensions(request: Request, key: CertificatePublicKeyTypes) -> list[tuple[x509.ExtensionType, bool]]:
    """Return the extensions that *request* asks for, each with whether it is critical."""
    path_length = request.path_length if request.is_ca else None
    extensions: list[tuple[x509.ExtensionType, bool]] = [
        (x509.BasicConstraints(ca=request.is_ca, path_length=path_length), True),
        (key_usage(is_ca=request.is_ca, key=key), True),
    ]
    if request.eku and not request.is_ca:
        extensions.append((purposes(request.eku), False))
    if request.sans:
        # Without a subject the names are all there is (RFC 5280 section 4.2.1.6).
        extensions.append((alternative_names(request.sans), not list(subject_name(request.subject))))
    return extensions


def _general_name(san: str) -> x509.GeneralName:
    try:
        return x509.IPAddress(ipaddress.ip_address(san))
    except ValueError:
        pass
    try:
        return x509.DNSName(san)
    except ValueError as error:
        message = f"'{san}' cannot be a name in a certificate: {error}"
        raise SslopsError(message, hint="write international names as A-labels (xn--...)") from error


def _numbered(name: str) -> x509.ObjectIdentifier:
    try:
        return x509.ObjectIdentifier(name)
    except ValueError as error:
        message = f"'{name}' is no purpose of a certificate"
        raise SslopsError(message, hint=f"one of {', '.join(PURPOSES)}, or a dotted number") from error
