"""The key of an ACME account: made here, kept as one JSON document, used through josepy's JWK.

The document is a secret as a whole. It exists, encrypted and pushed, before the CA hears of the key; the account's URL
is added when the CA has given one. The document also says to which server, by its directory, the account belongs.

Anybody can encrypt for us: whoever may push to `next` could put an account of his own there, and finish orders for our
names with it. So where main has an account at that CA, another one counts only if main's key signed for it.
"""

from __future__ import annotations

import base64
import json
from dataclasses import dataclass
from typing import TYPE_CHECKING

from sslops.errors import Location, NoIdentity, StateError
from sslops.model.acme import Account, ExternalAccount
from sslops.model.change import AccountChange
from sslops.model.secret import Secret
from sslops.repo.state_files import account_path

if TYPE_CHECKING:
    from josepy import jwk

    from sslops.model.inventory import Inventory
    from sslops.repo.snapshot import Snapshot
    from sslops.repo.store import OpsRepo
    from sslops.secrets.sops import Sops


_KIND = "ACME account key"


def new_account(directory: str) -> Account:
    """Make an account for the server at *directory*, with a key (P-256) that nobody has seen before."""
    from cryptography.hazmat.primitives.asymmetric import ec
    from josepy import jwk

    key = jwk.JWKEC(key=ec.generate_private_key(ec.SECP256R1()))
    return Account(Secret(key.json_dumps().encode(), _KIND), directory=directory)


def write_account(account: Account, before: Account | None = None) -> Secret:
    """Return the document that is encrypted and stored; *before*: the account that signs for it as its successor."""
    document = {"directory": account.directory, "url": account.url, "key": json.loads(account.key.reveal())}
    if before is not None:
        document["signed_by_former"] = _signature(load_key(before), _succession(account))
    return Secret(json.dumps(document, indent=2).encode() + b"\n", _KIND)


def read_account(document: Secret, path: str) -> Account:
    """Read the document back; StateError, which quotes nothing of it, when it is none."""
    try:
        content = json.loads(document.reveal())
        url, key = content["url"], json.dumps(content["key"]).encode()
        account = Account(Secret(key, _KIND), url, content.get("directory"))
        load_key(account)
    except Exception:  # noqa: BLE001  (whatever josepy raises could quote the key)
        raise StateError(f"'{path}' holds no ACME account", hint=f"git log -- {path}") from None
    return account


def is_successor(document: Secret, before: Account) -> bool:
    """Whether *document* holds the account *before*, or another one that its key signed for."""
    from cryptography.exceptions import InvalidSignature

    content = json.loads(document.reveal())
    account = read_account(document, "")
    former, signature = load_key(before), content.get("signed_by_former")
    if thumbprint(load_key(account)) == thumbprint(former):
        return True
    if not isinstance(signature, str):
        return False
    try:
        _verify(former, base64.b64decode(signature, validate=True), _succession(account))
    except (InvalidSignature, ValueError):
        return False
    return True


def _succession(account: Account) -> bytes:
    return f"sslops: successor of this account\n{thumbprint(load_key(account))}\n{account.directory}\n".encode()


def _signature(key: jwk.JWK, text: bytes) -> str:
    from cryptography.hazmat.primitives.asymmetric import ec, padding
    from cryptography.hazmat.primitives.hashes import SHA256
    from josepy import jwk

    how = (ec.ECDSA(SHA256()),) if isinstance(key, jwk.JWKEC) else (padding.PKCS1v15(), SHA256())
    return base64.b64encode(key.key.sign(text, *how)).decode()


def _verify(key: jwk.JWK, signature: bytes, text: bytes) -> None:
    from cryptography.hazmat.primitives.asymmetric import ec, padding
    from cryptography.hazmat.primitives.hashes import SHA256
    from josepy import jwk

    how = (ec.ECDSA(SHA256()),) if isinstance(key, jwk.JWKEC) else (padding.PKCS1v15(), SHA256())
    key.key.public_key().verify(signature, text, *how)


def load_key(account: Account) -> jwk.JWK:
    """Return the key as josepy uses it."""
    from josepy import jwk

    return jwk.JWK.json_loads(account.key.reveal().decode())


def key_of_pem(key: Secret) -> jwk.JWK:
    """Return a private key (PEM) as josepy uses it; StateError for one that ACME requests cannot be signed with."""
    from josepy import jwk

    try:
        return jwk.JWK.load(key.reveal())
    except Exception:  # noqa: BLE001  (whatever josepy raises could quote the key)
        message = "the key of the certificate signs no ACME request: only RSA and EC keys do"
        raise StateError(message, hint="revoke by the account: leave --by key out") from None


def thumbprint(key: jwk.JWK) -> str:
    """Return what ends every key authorization (RFC 8555 section 8.1): the key's SHA-256 thumbprint, base64url."""
    return base64.urlsafe_b64encode(key.thumbprint()).rstrip(b"=").decode()


@dataclass(frozen=True, slots=True)
class StoredAccounts:
    """The accounts on one branch; *suffix* keeps those of a rehearsal apart from the real ones."""

    ops: OpsRepo
    snapshot: Snapshot
    sops: Sops
    inventory: Inventory
    suffix: str = ""

    def load(self, ca: str) -> Account | None:
        """Decrypt the account at *ca*; null when there is none yet.

        StateError where it is neither main's nor one that main's key signed for.
        """
        path, commit = account_path(self._name(ca)), self.snapshot.next_commit or self.snapshot.main_commit
        document = self.ops.read(commit, path)
        if document is None:
            return None
        opened = self.sops.decrypt(path, document)
        account = read_account(opened, path)
        before = None if document == self.ops.read(self.snapshot.main_commit, path) else self._on_main(path)
        if before is not None and not is_successor(opened, before):
            wrote = self.ops.git.last_change(commit, path)
            message = f"'{path}' on next is another account than main's, which did not sign for it: commit {wrote[:10]}"
            hint = (
                f"git show {wrote[:10]}; take it off next, or 'sslops renew --new-account {ca} --apply' for a new one"
            )
            raise StateError(message, where=Location(path, 1, 1), hint=hint)
        return account

    def _on_main(self, path: str) -> Account | None:
        """Return main's account; null when it has none, or one for an identity that this job has no more (a rekey)."""
        document = self.ops.read(self.snapshot.main_commit, path)
        try:
            return None if document is None else read_account(self.sops.decrypt(path, document), path)
        except NoIdentity:
            return None

    def new(self, ca: str, why: str) -> tuple[Account, AccountChange]:
        """Make an account and the change that stores its key; SopsError when nothing here can be encrypted."""
        account = new_account(self.inventory.cas[ca].directory)
        text = f"{why} Its key is stored before the CA hears of it."
        return account, self._change(ca, account, "a new key", text)

    def change(self, ca: str, account: Account) -> AccountChange:
        """Return the change that adds the account's URL."""
        return self._change(ca, account, "registered", f"The account is {account.url}.")

    def external(self, ca: str) -> ExternalAccount | None:
        """Decrypt the MAC key that the inventory refers to; null when it refers to none."""
        reference = self.inventory.cas[ca].external_account
        if reference is None:
            return None
        document = self.ops.read(self.snapshot.main_commit, reference.hmac_key)
        if document is None:
            message = f"'{reference.hmac_key}', the MAC key of '{ca}', is not there"
            raise StateError(message, hint=f"eab.hmac_key of '{ca}' in inventory/cas.yaml")
        return ExternalAccount(reference.kid, self.sops.decrypt(reference.hmac_key, document))

    def _change(self, ca: str, account: Account, title: str, why: str) -> AccountChange:
        name = self._name(ca)
        path = account_path(name)
        document = write_account(account, self._on_main(path))
        return AccountChange(name, self.sops.encrypt(path, document), title, why)

    def _name(self, ca: str) -> str:
        return f"{ca}{self.suffix}"
