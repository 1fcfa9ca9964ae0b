"""The own CA: inventory values as X.509 fields (RFC 5280), and the certificates that it signs.

>>> from sslops.model.inventory import Subject
>>> subject_name(Subject(common_name="example.com", country="US", organization="")).rfc4514_string()
'CN=example.com,C=US'
"""

from __future__ import annotations

import hashlib
import ipaddress
from typing import TYPE_CHECKING

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec, ed25519, rsa
from cryptography.x509.oid import ExtendedKeyUsageOID, NameOID

from sslops.errors import SslopsError, StateError
from sslops.model.certificates import MadeKey, Request, Validity
from sslops.model.secret import Secret

if TYPE_CHECKING:
    from collections.abc import Iterable

    from cryptography.hazmat.primitives.asymmetric.types import (
        CertificateIssuerPrivateKeyTypes,
        CertificatePublicKeyTypes,
    )

    from sslops.model.inventory import KeySpec, Subject

    Digest = (
        hashes.SHA224
        | hashes.SHA256
        | hashes.SHA384
        | hashes.SHA512
        | hashes.SHA3_224
        | hashes.SHA3_256
        | hashes.SHA3_384
        | hashes.SHA3_512
    )

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


CURVES: dict[str, type[ec.EllipticCurve]] = {
    "secp256r1": ec.SECP256R1,
    "secp384r1": ec.SECP384R1,
    "secp521r1": ec.SECP521R1,
}
DIGESTS: dict[str, type[Digest]] = {
    "sha224": hashes.SHA224,
    "sha256": hashes.SHA256,
    "sha384": hashes.SHA384,
    "sha512": hashes.SHA512,
    "sha3_224": hashes.SHA3_224,
    "sha3_256": hashes.SHA3_256,
    "sha3_384": hashes.SHA3_384,
    "sha3_512": hashes.SHA3_512,
}
RSA_BITS = range(2048, 8193)


class LocalCa:
    """Makes keys and CSRs, signs roots, and opens own CAs for signing."""

    def make_key(self, spec: KeySpec) -> MadeKey:
        """Make a key as *spec* asks; SslopsError for a kind that is not supported."""
        key = _generate(spec)
        pem = key.private_bytes(
            serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
        )
        return MadeKey(Secret(pem, f"{spec.ktype} key"), _spki_sha256(key))

    def make_csr(self, request: Request, key: Secret) -> bytes:
        """Return the CSR (PEM) that asks for *request*, signed with *key*."""
        private = _load(key)
        builder = x509.CertificateSigningRequestBuilder().subject_name(subject_name(request.subject))
        for extension, critical in asked_extensions(request, private.public_key()):
            builder = builder.add_extension(extension, critical)
        csr = builder.sign(private, _digest("sha384", private))
        return csr.public_bytes(serialization.Encoding.PEM)

    def self_sign(self, request: Request, key: Secret, validity: Validity, digest: str) -> bytes:
        """Return the certificate (PEM) of a root; its authority key identifier is its own subject's."""
        private = _load(key)
        name = subject_name(request.subject)
        identifier = x509.SubjectKeyIdentifier.from_public_key(private.public_key())
        authority = x509.AuthorityKeyIdentifier.from_issuer_subject_key_identifier(identifier)
        builder = _builder(request, private.public_key(), validity, name, authority)
        return _signed(builder, private, digest)

    def open(self, cert: bytes, key: Secret, digest: str) -> OpenCa:
        """Return the CA with the certificate *cert*; StateError for a key that is not its own, or no CA."""
        return OpenCa(cert, key, digest)


class OpenCa:
    """One own CA with its key in memory."""

    def __init__(self, cert: bytes, key: Secret, digest: str) -> None:
        """Take the certificate (PEM), the key that belongs to it, and the digest it signs with."""
        self._cert, self._key, self._digest_name = x509.load_pem_x509_certificate(cert), _load(key), digest
        self._name = self._cert.subject.rfc4514_string()
        if self._cert.public_key() != self._key.public_key():
            message = f"the key of the CA '{self._name}' does not belong to its certificate"
            raise StateError(message, hint="sslops check")
        if not _is_ca(self._cert):
            message = f"'{self._name}' is not the certificate of a CA"
            raise StateError(message, hint="sslops check")

    def sign(self, request: Request, csr: bytes, validity: Validity) -> bytes:
        """Return a certificate (PEM) for the public key of *csr* that says what *request* says."""
        asked = x509.load_pem_x509_csr(csr)
        if not asked.is_signature_valid:
            message = "the CSR is not signed with the key it names"
            raise StateError(message, hint="sslops check")
        self._check_room(request, validity)
        builder = _builder(request, asked.public_key(), validity, self._cert.subject, _authority(self._cert))
        return _signed(builder, self._key, self._digest_name)

    def _check_room(self, request: Request, validity: Validity) -> None:
        """Refuse what no verifier would accept: outside of the CA's own time or path length."""
        ours = Validity(self._cert.not_valid_before_utc, self._cert.not_valid_after_utc)
        if validity.not_before < ours.not_before or validity.not_after > ours.not_after:
            message = f"the CA '{self._name}' does not sign beyond its own certificate"
            raise SslopsError(message)
        limit = self._cert.extensions.get_extension_for_class(x509.BasicConstraints).value.path_length
        if request.is_ca and limit is not None and (request.path_length is None or request.path_length >= limit):
            message = f"the CA '{self._name}' allows {limit} CAs below it, and this one needs more"
            raise SslopsError(message)


def _builder(
    request: Request,
    key: CertificatePublicKeyTypes,
    validity: Validity,
    issuer: x509.Name,
    authority: x509.AuthorityKeyIdentifier,
) -> x509.CertificateBuilder:
    builder = (
        x509.CertificateBuilder()
        .subject_name(subject_name(request.subject))
        .issuer_name(issuer)
        .public_key(key)
        .serial_number(x509.random_serial_number())  # 159 bits of the system's randomness
        .not_valid_before(validity.not_before)
        .not_valid_after(validity.not_after)
        .add_extension(x509.SubjectKeyIdentifier.from_public_key(key), critical=False)
        .add_extension(authority, critical=False)
    )
    for extension, critical in asked_extensions(request, key):
        builder = builder.add_extension(extension, critical)
    return builder


def _authority(issuer: x509.Certificate) -> x509.AuthorityKeyIdentifier:
    """Name *issuer* by the identifier that its own certificate has (RFC 5280 section 4.2.1.1)."""
    try:
        identifier = issuer.extensions.get_extension_for_class(x509.SubjectKeyIdentifier).value
    except x509.ExtensionNotFound:
        return x509.AuthorityKeyIdentifier.from_issuer_public_key(issuer.public_key())  # type: ignore[arg-type]
    return x509.AuthorityKeyIdentifier.from_issuer_subject_key_identifier(identifier)


def _signed(builder: x509.CertificateBuilder, key: CertificateIssuerPrivateKeyTypes, digest: str) -> bytes:
    return builder.sign(key, _digest(digest, key)).public_bytes(serialization.Encoding.PEM)


def _generate(spec: KeySpec) -> CertificateIssuerPrivateKeyTypes:
    if spec.ktype == "ec" and spec.ec_algo in CURVES:
        return ec.generate_private_key(CURVES[spec.ec_algo]())
    if spec.ktype == "rsa" and spec.rsa_bits in RSA_BITS:
        return rsa.generate_private_key(65537, spec.rsa_bits)
    if spec.ktype == "ed25519":
        return ed25519.Ed25519PrivateKey.generate()
    size = {"ec": f" {spec.ec_algo}", "rsa": f" {spec.rsa_bits}"}.get(spec.ktype, "")
    message = f"a key of kind '{spec.ktype}{size}' is not supported"
    raise SslopsError(message, hint=f"ec with {', '.join(CURVES)}; rsa with 2048 to 8192 bits; ed25519 for own CAs")


def _load(key: Secret) -> CertificateIssuerPrivateKeyTypes:
    try:
        private = serialization.load_pem_private_key(key.reveal(), None)
    except (ValueError, TypeError):
        private = None
    if not isinstance(private, (ec.EllipticCurvePrivateKey, rsa.RSAPrivateKey, ed25519.Ed25519PrivateKey)):
        message = "the private key cannot be read"
        # The exception could quote what it tried to read.
        raise StateError(message, hint="sslops check") from None
    return private


def _digest(name: str, key: CertificateIssuerPrivateKeyTypes) -> Digest | None:
    """Return the digest *name*; null for Ed25519, which has its own (RFC 8410)."""
    if isinstance(key, ed25519.Ed25519PrivateKey):
        return None
    if name not in DIGESTS:
        message = f"the digest '{name}' is not supported"
        raise SslopsError(message, hint=f"one of {', '.join(DIGESTS)}")
    return DIGESTS[name]()


def _spki_sha256(key: CertificateIssuerPrivateKeyTypes) -> str:
    spki = key.public_key().public_bytes(serialization.Encoding.DER, serialization.PublicFormat.SubjectPublicKeyInfo)
    return hashlib.sha256(spki).hexdigest()


def _is_ca(cert: x509.Certificate) -> bool:
    try:
        return bool(cert.extensions.get_extension_for_class(x509.BasicConstraints).value.ca)
    except x509.ExtensionNotFound:
        return False
