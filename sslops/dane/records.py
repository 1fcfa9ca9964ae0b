"""What a TLSA record says about a generation's key (RFC 6698 section 2.1).

Only DANE-EE(3) with the public key (selector 1) can be told before a certificate exists, and it is what a standing
key needs; other combinations give null, and the name waits with that reason.
"""

from __future__ import annotations

import hashlib
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from sslops.model.tlsa import TlsaParams, TlsaRecord

if TYPE_CHECKING:
    from collections.abc import Mapping

    from sslops.model.names import GenerationId, ServiceId
    from sslops.model.state import Branches, Generation

DANE_EE, SPKI = 3, 1
FULL, SHA256, SHA512 = 0, 1, 2


def is_supported(params: TlsaParams) -> bool:
    """Whether a record with *params* can be made from a key alone."""
    return (params.usage, params.selector) == (DANE_EE, SPKI)


@dataclass(frozen=True, slots=True)
class Keys:
    """The public keys behind the generations of both branches: facts by id, DER where a record needs it."""

    generations: Mapping[tuple[ServiceId, GenerationId], Generation]
    spki: Mapping[tuple[ServiceId, GenerationId], bytes] = field(default_factory=dict)
    """SubjectPublicKeyInfo in DER, for the services whose records are not SHA-256."""

    @classmethod
    def of(cls, branches: Branches, spki: Mapping[tuple[ServiceId, GenerationId], bytes] | None = None) -> Keys:
        """Collect the generations that either branch knows."""
        found = {
            (service, key): generation
            for state in (branches.main, branches.next)
            for service, entry in state.services.items()
            for key, generation in entry.generations.items()
        }
        return cls(found, spki or {})

    def ids(self, service: ServiceId) -> tuple[GenerationId, ...]:
        """Return every generation known of *service*, oldest first."""
        return tuple(sorted(key for owner, key in self.generations if owner == service))

    def record(self, owner: str, params: TlsaParams, service: ServiceId, generation: GenerationId) -> TlsaRecord | None:
        """Return the record that matches *generation* under *owner*; null when it cannot be told."""
        facts = self.generations.get((service, generation))
        if facts is None or not is_supported(params):
            return None
        if params.match == SHA256:
            return TlsaRecord(owner, params, facts.spki_sha256)
        spki = self.spki.get((service, generation))
        if spki is None:
            return None
        return TlsaRecord(owner, params, hashlib.sha512(spki).hexdigest() if params.match == SHA512 else spki.hex())
