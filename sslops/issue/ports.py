"""With whom `renew` works: who makes keys and signs, who encrypts, and where stored files are read.

The values that cross these borders are here too, so that adapters need nothing else of the stage.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Protocol

if TYPE_CHECKING:
    from collections.abc import Iterable
    from datetime import datetime

    from sslops.errors import SopsError
    from sslops.model.inventory import KeySpec, Subject
    from sslops.model.names import GenerationId, ServiceId
    from sslops.model.secret import Secret


@dataclass(frozen=True, slots=True)
class Request:
    """What a CSR asks for, as the inventory has it.

    *subject* is as it will appear, without empty or impossible fields; *path_length* is null where there is no limit.
    """

    subject: Subject
    sans: tuple[str, ...]
    key: KeySpec
    eku: tuple[str, ...] = ()
    is_ca: bool = False
    path_length: int | None = None


@dataclass(frozen=True, slots=True)
class Validity:
    """From when and until when a certificate counts, both moments included (RFC 5280 section 4.1.2.5)."""

    not_before: datetime
    not_after: datetime


@dataclass(frozen=True, slots=True)
class MadeKey:
    """A new private key as PKCS#8 PEM, and the SHA-256 (hex) of its public half."""

    private: Secret
    spki_sha256: str


class Signer(Protocol):
    """An own CA with its key at hand."""

    def sign(self, request: Request, csr: bytes, validity: Validity) -> bytes:
        """Return a certificate (PEM) for the public key of *csr*; all else it says comes from *request*.

        Must link itself by the authority key identifier, must choose an unpredictable serial number, and must refuse
        a CSR that does not prove possession of its key.
        """
        ...


class CertificateMaker(Protocol):
    """Keys, CSRs and signatures, in memory only."""

    def make_key(self, spec: KeySpec) -> MadeKey:
        """Make a key that nobody has seen before."""
        ...

    def make_csr(self, request: Request, key: Secret) -> bytes:
        """Return the CSR (PEM) that asks for *request*, signed with *key*."""
        ...

    def self_sign(self, request: Request, key: Secret, validity: Validity, digest: str) -> bytes:
        """Return the certificate (PEM) of a root."""
        ...

    def open(self, cert: bytes, key: Secret, digest: str) -> Signer:
        """Return the signer with the certificate *cert*; must refuse a key that does not belong to it, or no CA."""
        ...


class Vault(Protocol):
    """Who encrypts and opens the key files; paths are relative to the repository."""

    def encrypt_many(self, items: Iterable[tuple[str, Secret]]) -> tuple[bytes | SopsError, ...]:
        """Encrypt each (path, secret), in order; one that fails must give its error and stop no other.

        Must begin with the first before it asks for the last: *items* are still being made.
        """
        ...

    def decrypt(self, path: str, document: bytes) -> Secret:
        """Open a document; must raise NoIdentity when only the identity is missing, and SopsError for all else."""
        ...


class StoredFiles(Protocol):
    """The files of generations as the branch `next` has them."""

    def read(self, service: ServiceId, generation: GenerationId, name: str) -> bytes | None:
        """Return `csr.pem`, `cert.pem`, `chain.pem` or `privkey.pem.sops`; null when there is none."""
        ...
