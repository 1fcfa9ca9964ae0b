"""What one step makes, before it is encrypted and becomes a change."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from sslops.model.inventory import Service
    from sslops.model.names import GenerationId, ServiceId
    from sslops.model.plan import Action
    from sslops.model.secret import Secret
    from sslops.model.state import Generation

KEY_FILE = "privkey.pem.sops"


@dataclass(frozen=True, slots=True)
class Obstacle:
    """Why a step cannot be taken yet: *what* is waited for, and the sentence for a person."""

    what: str
    why: str


@dataclass(frozen=True, slots=True)
class SignedBy:
    """Which generation of which own CA signed."""

    service: ServiceId
    generation: GenerationId


@dataclass(frozen=True, slots=True)
class Draft:
    """A generation with its new files; null leaves a file as it is.

    The key is either new (*key*, still to be encrypted) or that of another generation (*document*, copied as it is).
    """

    action: Action
    service: Service
    generation: Generation
    csr: bytes | None = None
    cert: bytes | None = None
    chain: bytes | None = None
    key: Secret | None = None
    document: bytes | None = None
    signed_by: SignedBy | None = None

    @property
    def key_path(self) -> str:
        """Where the encrypted key is stored."""
        return key_path(self.service.id, self.generation.id)


def key_path(service: ServiceId, generation: GenerationId) -> str:
    """Return the path of a generation's key file, relative to the repository: it decides who can open it."""
    return f"state/{service}/{generation}/{KEY_FILE}"
