"""The ssh key by which the bot signs its commits: found and reused, or made beside the age identities."""

from __future__ import annotations

import os
from dataclasses import dataclass
from typing import TYPE_CHECKING

from sslops.errors import SopsError
from sslops.secrets.identities import identity_folder
from sslops.system.files import writing

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path


SIGNING_KEY_FILE = "signing.key"


@dataclass(frozen=True, slots=True)
class SigningKey:
    """The private key's file, its *public* half as `ssh-ed25519 AAAA...`, and whether it was there before."""

    path: Path
    public: str
    is_reused: bool

    def allowed_signers(self, address: str) -> str:
        """Return the file that lets this key, and no other, sign for the bot at *address*."""
        return f'{address} namespaces="git" {self.public}\n'


def signing_key(environ: Mapping[str, str]) -> SigningKey:
    """Return the key in the folder of the identities; one that is missing is made, without passphrase: jobs use it."""
    from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
    from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat

    path = identity_folder(environ) / SIGNING_KEY_FILE
    if path.exists():
        return SigningKey(path, _public(path), is_reused=True)
    content = Ed25519PrivateKey.generate().private_bytes(Encoding.PEM, PrivateFormat.OpenSSH, NoEncryption())
    with writing(path):
        path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
        with os.fdopen(os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "wb") as file:
            file.write(content)
            file.flush()
            os.fsync(file.fileno())
    return SigningKey(path, _public(path), is_reused=False)


def _public(path: Path) -> str:
    from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat, load_ssh_private_key

    try:
        key = load_ssh_private_key(path.read_bytes(), password=None)
    except (OSError, ValueError, TypeError) as error:
        message = f"'{path}' is no private key of OpenSSH without passphrase"
        raise SopsError(message, hint=f"move it away, or ssh-keygen -p -N '' -f {path}") from error
    return key.public_key().public_bytes(Encoding.OpenSSH, PublicFormat.OpenSSH).decode()
