"""A CA of the test world's own for HTTPS end points, so that a client has to be given its bundle.

It has nothing to do with the certificates that an ACME server issues.
"""

from __future__ import annotations

import datetime as dt
import ipaddress
from typing import TYPE_CHECKING

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec

if TYPE_CHECKING:
    from pathlib import Path

_BEGIN = dt.datetime(2020, 1, 1, tzinfo=dt.UTC)
_END = _BEGIN + dt.timedelta(days=36500)


class EndpointCa:
    """The CA; `bundle` is the PEM file that a client needs to trust its end points."""

    def __init__(self, folder: Path) -> None:
        """Make a new CA in memory and write its certificate below *folder*."""
        folder.mkdir(parents=True, exist_ok=True)
        self.bundle = folder / "endpoints.pem"
        self._folder = folder
        self._key = ec.generate_private_key(ec.SECP256R1())
        self._name = _named("Endpoint CA")
        builder = _builder(self._name, self._name, self._key).add_extension(
            x509.BasicConstraints(ca=True, path_length=0), critical=True
        )
        builder = builder.add_extension(_usage(signs=True), critical=True)
        self.bundle.write_bytes(self._sign(builder))

    def write_leaf(self, address: str) -> tuple[Path, Path]:
        """Make a certificate for an IP or DNS *address*; return the files of certificate and private key, both PEM."""
        key = ec.generate_private_key(ec.SECP256R1())
        is_name = address[-1].isalpha()
        name = x509.DNSName(address) if is_name else x509.IPAddress(ipaddress.ip_address(address))
        names = x509.SubjectAlternativeName([name])
        builder = _builder(_named(address), self._name, key).add_extension(names, critical=False)
        issuer = x509.AuthorityKeyIdentifier.from_issuer_public_key(self._key.public_key())
        builder = builder.add_extension(issuer, critical=False).add_extension(_usage(signs=False), critical=True)
        certificate, private = self._folder / f"{address}.pem", self._folder / f"{address}.key"
        certificate.write_bytes(self._sign(builder))
        private.touch(mode=0o600)
        private.write_bytes(
            key.private_bytes(
                serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
            )
        )
        return certificate, private

    def _sign(self, builder: x509.CertificateBuilder) -> bytes:
        return builder.sign(self._key, hashes.SHA256()).public_bytes(serialization.Encoding.PEM)


def _named(common_name: str) -> x509.Name:
    return x509.Name([x509.NameAttribute(x509.NameOID.COMMON_NAME, common_name)])


def _builder(subject: x509.Name, issuer: x509.Name, key: ec.EllipticCurvePrivateKey) -> x509.CertificateBuilder:
    builder = x509.CertificateBuilder(issuer, subject, key.public_key(), x509.random_serial_number(), _BEGIN, _END)
    return builder.add_extension(x509.SubjectKeyIdentifier.from_public_key(key.public_key()), critical=False)


def _usage(*, signs: bool) -> x509.KeyUsage:
    return x509.KeyUsage(
        digital_signature=not signs,
        content_commitment=False,
        key_encipherment=False,
        data_encipherment=False,
        key_agreement=False,
        key_cert_sign=signs,
        crl_sign=signs,
        encipher_only=False,
        decipher_only=False,
    )
