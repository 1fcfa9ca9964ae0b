"""Does a decrypted key belong to its certificate? Asked before anything is sent: a daemon would not start with another.

>>> from sslops.model.secret import Secret
>>> key_spki_sha256(Secret(b"no key")) is None
True
"""

from __future__ import annotations

import hashlib
from typing import TYPE_CHECKING

from sslops.errors import SslopsError, StateError

if TYPE_CHECKING:
    from sslops.model.names import GenerationId, ServiceId
    from sslops.model.secret import Secret
    from sslops.model.state import Generation


def matched(
    service: ServiceId, generation: GenerationId, facts: Generation | None, key: Secret | SslopsError
) -> Secret | SslopsError:
    """Return *key*, or the error that it is not the one that the generation's *facts* tell of."""
    if isinstance(key, SslopsError) or (facts is not None and key_spki_sha256(key) == facts.spki_sha256):
        return key
    what = f"the key of '{service}' {generation} does not belong to its certificate"
    return StateError(what, hint="sslops check")


def key_spki_sha256(key: Secret) -> str | None:
    """Return the hash (hex) of the public half of a private key in PEM; null when it is none."""
    from cryptography.exceptions import UnsupportedAlgorithm
    from cryptography.hazmat.primitives import serialization

    try:
        # The checks of an RSA key take long and say nothing about whose it is.
        private = serialization.load_pem_private_key(key.reveal(), None, unsafe_skip_rsa_key_validation=True)
    except (ValueError, TypeError, UnsupportedAlgorithm):
        return None
    form = serialization.PublicFormat.SubjectPublicKeyInfo
    return hashlib.sha256(private.public_key().public_bytes(serialization.Encoding.DER, form)).hexdigest()
