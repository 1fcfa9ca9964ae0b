"""The key of an ACME account: made here, kept as one JSON document, used through josepy's JWK.

The document is a secret as a whole. It exists, encrypted and pushed, before the CA hears of the key; the account's URL
is added when the CA has given one.
"""

from __future__ import annotations

import base64
import json
from typing import TYPE_CHECKING

from sslops.errors import StateError
from sslops.model.acme import Account
from sslops.model.secret import Secret

if TYPE_CHECKING:
    from josepy import jwk

_KIND = "ACME account key"


def new_account() -> Account:
    """Make an account with a key (P-256) that nobody has seen before."""
    from cryptography.hazmat.primitives.asymmetric import ec
    from josepy import jwk

    key = jwk.JWKEC(key=ec.generate_private_key(ec.SECP256R1()))
    return Account(Secret(key.json_dumps().encode(), _KIND))


def write_account(account: Account) -> Secret:
    """Return the document that is encrypted and stored."""
    document = {"url": account.url, "key": json.loads(account.key.reveal())}
    return Secret(json.dumps(document, indent=2).encode() + b"\n", _KIND)


def read_account(document: Secret, path: str) -> Account:
    """Read the document back; StateError, which quotes nothing of it, when it is none."""
    try:
        content = json.loads(document.reveal())
        url, key = content["url"], json.dumps(content["key"]).encode()
        account = Account(Secret(key, _KIND), url)
        load_key(account)
    except Exception:  # noqa: BLE001  (whatever josepy raises could quote the key)
        raise StateError(f"'{path}' holds no ACME account", hint=f"git log -- {path}") from None
    return account


def load_key(account: Account) -> jwk.JWK:
    """Return the key as josepy uses it."""
    from josepy import jwk

    return jwk.JWK.json_loads(account.key.reveal().decode())


def thumbprint(key: jwk.JWK) -> str:
    """Return what ends every key authorization (RFC 8555 section 8.1): the key's SHA-256 thumbprint, base64url."""
    return base64.urlsafe_b64encode(key.thumbprint()).rstrip(b"=").decode()
