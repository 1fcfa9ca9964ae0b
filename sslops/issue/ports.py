"""With whom `renew` works: who makes keys and signs, who encrypts, and where stored files are read.

The values that cross these borders are here too, so that adapters need nothing else of the stage.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Protocol

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Mapping, Sequence
    from datetime import datetime

    from sslops.errors import SopsError
    from sslops.model.acme import (
        Account,
        AccountStatus,
        AuthorizationSeen,
        ChallengeSeen,
        Directory,
        ExternalAccount,
        OrderSeen,
        OrderWish,
        Proof,
        RenewalWindow,
    )
    from sslops.model.certificates import MadeKey, Request, Validity
    from sslops.model.change import AccountChange, Change
    from sslops.model.inventory import KeySpec
    from sslops.model.names import GenerationId, ServiceId
    from sslops.model.plan import Hazard, Obstacle
    from sslops.model.secret import Secret


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


@dataclass(frozen=True, slots=True)
class Workshop:
    """With whom keys, CSRs and own certificates are made."""

    maker: CertificateMaker
    vault: Vault
    files: StoredFiles
    write: Callable[[Sequence[Change]], None] | None = None
    """Puts a part of what was made on the branch while the rest is still to be made; null: all comes at the end."""


class AcmeServer(Protocol):
    """One ACME CA; each method is one request (or a few), and raises AcmeError. Must be safe for several threads."""

    @property
    def directory(self) -> Directory:
        """What it offers."""
        ...

    @property
    def account_url(self) -> str | None:
        """The address of the account in use; null while it has none."""
        ...

    def use(self, account: Account) -> None:
        """Sign with *account* from now on."""
        ...

    def account_status(self) -> AccountStatus:
        """Return what the CA says of the account in use."""
        ...

    def register(self, contact: str | None, external: ExternalAccount | None) -> Account:
        """Return the account with its URL; must be the same account each time for one key."""
        ...

    def order(self, wish: OrderWish) -> OrderSeen:
        """Order; must order without `replaces` where the server does not take that, for whatever reason."""
        ...

    def look(self, url: str) -> OrderSeen:
        """Return an order as it is now."""
        ...

    def authorization(self, url: str) -> AuthorizationSeen:
        """Return an authorisation as it is now."""
        ...

    def proof(self, group: str, authorization: AuthorizationSeen, challenge: ChallengeSeen) -> Proof:
        """Return what has to be shown for a challenge."""
        ...

    def answer(self, challenge: ChallengeSeen) -> None:
        """Tell the server that the proof is there."""
        ...

    def finalize(self, order: OrderSeen, csr: bytes) -> OrderSeen:
        """Hand in the CSR (PEM)."""
        ...

    def chains(self, order: OrderSeen, *, alternates: bool = False) -> tuple[bytes, ...]:
        """Return certificate and chain (PEM), the default first."""
        ...

    def renewal_window(self, cert: bytes) -> RenewalWindow | None:
        """Return when it wants the certificate (PEM) renewed; null when it does not say."""
        ...


class Solver(Protocol):
    """Answers challenges of one type. Another type (dns-persist-01, say) is another class with these methods."""

    @property
    def obstacle(self) -> Obstacle | None:
        """Why it is of no use to wait for what was published last: a person has to act first; null when it is."""
        ...

    @property
    def hazards(self) -> tuple[Hazard, ...]:
        """What alone made the last look at what is missing fail, and a person may know better about."""
        ...

    def impossible(self, names: Iterable[str]) -> Mapping[str, str]:
        """Return those of *names* that cannot be proved however long one waits, and why; asked before an order."""
        ...

    def publish(self, proofs: frozenset[Proof]) -> Mapping[Proof, str]:
        """Show *proofs*; return those that cannot be shown, and why. Must change nothing that is shown already."""
        ...

    def missing(self, proofs: frozenset[Proof]) -> Mapping[Proof, str]:
        """Return those of *proofs* that the CA may not see yet, and where they lack; one look, without waiting."""
        ...

    def clean(self, proofs: frozenset[Proof]) -> None:
        """Take *proofs* away again."""
        ...


class Accounts(Protocol):
    """The accounts as the branch `next` has them; both may raise SopsError, and NoIdentity where another job can."""

    def load(self, ca: str) -> Account | None:
        """Return the account at *ca*; null when there is none yet."""
        ...

    def new(self, ca: str, why: str) -> tuple[Account, AccountChange]:
        """Make an account with a new key, and say *why*; it must not be used before the change is pushed."""
        ...

    def change(self, ca: str, account: Account) -> AccountChange:
        """Return the change that stores *account* with its URL."""
        ...

    def external(self, ca: str) -> ExternalAccount | None:
        """Return the external account that the inventory names for *ca*; null when it names none."""
        ...


class Appointments(Protocol):
    """When CAs want to be asked again about renewal windows."""

    def at(self, service: ServiceId, generation: GenerationId) -> datetime | None:
        """Return when to ask about a certificate; null when nobody said."""
        ...

    def make(self, service: ServiceId, generation: GenerationId, moment: datetime) -> None:
        """Ask about it again at *moment*; must be safe for several threads."""
        ...


class Journal(Protocol):
    """The branch that the stage writes."""

    def write(self, changes: Sequence[Change | AccountChange]) -> None:
        """Commit each of *changes* and push them at once; Moved when another run was faster."""
        ...


class Clock(Protocol):
    """The moment."""

    def now(self) -> datetime:
        """Return aware UTC in whole seconds."""
        ...
