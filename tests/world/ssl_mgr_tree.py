"""A tree as ssl-mgr 6 and 7 leave it: `conf.d/` in TOML, `certs/<group>/<service>/{curr,next,prev}` -> `db/<time>`.

Written from the facts of the format. Its own CA has ssl-mgr's habits: CAs carry a DNS name, and everything that another
key signed names its own key as that of its signer.
"""

from __future__ import annotations

import datetime as dt
import hashlib
from dataclasses import dataclass
from typing import TYPE_CHECKING

from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat, PublicFormat
from cryptography.x509.oid import ExtendedKeyUsageOID

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from pathlib import Path


@dataclass(frozen=True, slots=True)
class Version:
    """One version: key, certificate and chain of a service."""

    key: ec.EllipticCurvePrivateKey
    cert: x509.Certificate
    chain: tuple[x509.Certificate, ...]
    folder: Path

    @property
    def cert_sha256(self) -> str:
        """The hash of the certificate, hex."""
        return hashlib.sha256(self.cert.public_bytes(Encoding.DER)).hexdigest()

    @property
    def record(self) -> str:
        """The data of its TLSA record."""
        spki = self.key.public_key().public_bytes(Encoding.DER, PublicFormat.SubjectPublicKeyInfo)
        return f"3 1 1 {hashlib.sha256(spki).hexdigest()}"


class SslMgrTree:
    """The tree at *folder*: `conf_d` and `certs`."""

    def __init__(self, folder: Path, files: Mapping[str, str]) -> None:
        """Write *files* below `conf.d/`, path to text."""
        self.conf_d, self.certs = folder / "conf.d", folder / "certs"
        for path, text in files.items():
            (self.conf_d / path).parent.mkdir(parents=True, exist_ok=True)
            (self.conf_d / path).write_text(text)

    def add(
        self,
        service: str,
        slot: str,
        *,
        names: Sequence[str] = (),
        signer: Version | None = None,
        days: int = 90,
        age_days: int = 2,
        curve: ec.EllipticCurve | None = None,
    ) -> Version:
        """Make a version of *service* (a CA when it has no *names*), and let *slot* point at it."""
        key = ec.generate_private_key(curve or ec.SECP384R1())
        cert = _certificate(service, key, names, signer, days, age_days)
        chain = (cert,) if signer is None else (signer.cert, *(each for each in signer.chain if each != signer.cert))
        begin = cert.not_valid_before_utc
        folder = self.certs / service / "db" / f"{begin:%Y%m%d-%H:%M:%S}-{slot}"
        folder.mkdir(parents=True)
        pems = [each.public_bytes(Encoding.PEM) for each in (cert, *chain)]
        private = key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption())
        csr = x509.CertificateSigningRequestBuilder(cert.subject).sign(key, hashes.SHA384())
        contents = {
            "privkey": private,
            "csr": csr.public_bytes(Encoding.PEM),
            "cert": pems[0],
            "chain": b"".join(pems[1:]),
            "fullchain": b"".join(pems),
            "bundle": private + b"".join(pems),
        }
        for name, content in contents.items():
            (folder / f"{name}.pem").write_bytes(content)
        (self.certs / service / slot).symlink_to(folder.relative_to(self.certs / service))
        return Version(key, cert, chain, folder)

    def contents(self) -> dict[str, bytes]:
        """Return every file, path to content, and every link, to see that nothing changed."""
        top = self.conf_d.parent
        return {
            str(path.relative_to(top)): path.read_bytes() if not path.is_symlink() else str(path.readlink()).encode()
            for path in sorted(top.rglob("*"))
            if path.is_symlink() or path.is_file()
        }


def _certificate(
    service: str,
    key: ec.EllipticCurvePrivateKey,
    names: Sequence[str],
    signer: Version | None,
    days: int,
    age_days: int,
) -> x509.Certificate:
    subject = x509.Name([x509.NameAttribute(x509.NameOID.COMMON_NAME, names[0] if names else service.split("/")[1])])
    begin = dt.datetime.now(tz=dt.UTC).replace(microsecond=0) - dt.timedelta(days=age_days)
    own = x509.SubjectKeyIdentifier.from_public_key(key.public_key())
    builder = (
        x509.CertificateBuilder()
        .subject_name(subject)
        .issuer_name(signer.cert.subject if signer else subject)
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(begin)
        .not_valid_after(begin + dt.timedelta(days=days))
        .add_extension(x509.BasicConstraints(ca=not names, path_length=None), critical=True)
        .add_extension(own, critical=False)
        .add_extension(x509.AuthorityKeyIdentifier.from_issuer_subject_key_identifier(own), critical=False)
        .add_extension(
            x509.SubjectAlternativeName([x509.DNSName(name) for name in names or [service.split("/")[1]]]),
            critical=False,
        )
        .add_extension(
            x509.ExtendedKeyUsage([ExtendedKeyUsageOID.SERVER_AUTH, ExtendedKeyUsageOID.CLIENT_AUTH]),
            critical=False,
        )
    )
    return builder.sign(signer.key if signer else key, hashes.SHA384())
