"""The key of an ACME account: made here, kept as one JSON document, used through josepy's JWK.

The document is a secret as a whole. It exists, encrypted and pushed, before the CA hears of the key; the account's URL
is added when the CA has given one. The document also says to which server, by its directory, the account belongs.
"""

from __future__ import annotations

import base64
import json
from dataclasses import dataclass
from typing import TYPE_CHECKING

from sslops.errors import StateError
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


def write_account(account: Account) -> Secret:
    """Return the document that is encrypted and stored."""
    document = {"directory": account.directory, "url": account.url, "key": json.loads(account.key.reveal())}
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
        """Decrypt the account at *ca*; null when there is none yet."""
        path = account_path(self._name(ca))
        document = self.ops.read(self.snapshot.next_commit or self.snapshot.main_commit, path)
        return None if document is None else read_account(self.sops.decrypt(path, document), path)

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
        return AccountChange(name, self.sops.encrypt(account_path(name), write_account(account)), title, why)

    def _name(self, ca: str) -> str:
        return f"{ca}{self.suffix}"
