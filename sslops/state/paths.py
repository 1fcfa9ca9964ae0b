"""Where things lie in the ops repository (design section 4).

>>> from sslops.model.names import GenerationId, ServiceId
>>> generation_path(ServiceId("example.com", "mail-ec"), GenerationId("20261124T143000Z-9b1c"), "cert.pem")
'state/example.com/mail-ec/20261124T143000Z-9b1c/cert.pem'
"""

from __future__ import annotations

from dataclasses import dataclass

from sslops.model.names import GenerationId, ServiceId
from sslops.state.slots_file import is_generation_id

STATE = "state"
ACCOUNTS = "accounts"
SLOTS = "slots.yaml"
FACTS = "generation.yaml"
CSR = "csr.pem"
CERT = "cert.pem"
CHAIN = "chain.pem"
PRIVKEY = "privkey.pem.sops"
GENERATION_FILES = (FACTS, CSR, CERT, CHAIN, PRIVKEY)

_SERVICE_PARTS = 4
_GENERATION_PARTS = 5


def slots_path(service: ServiceId) -> str:
    """Return the path of the service's `slots.yaml`."""
    return f"{STATE}/{service}/{SLOTS}"


def generation_folder(service: ServiceId, generation: GenerationId) -> str:
    """Return the folder of one generation, without a final slash."""
    return f"{STATE}/{service}/{generation}"


def generation_path(service: ServiceId, generation: GenerationId, name: str) -> str:
    """Return the path of one file of a generation."""
    return f"{generation_folder(service, generation)}/{name}"


def account_path(account: str) -> str:
    """Return the path of an account's file: `state/accounts/<account>.json.sops`."""
    return f"{STATE}/{ACCOUNTS}/{account}.json.sops"


@dataclass(frozen=True, slots=True)
class StatePath:
    """A path below `state/` taken apart; *generation* is null for `slots.yaml`."""

    service: ServiceId
    generation: GenerationId | None
    name: str


def parse_path(path: str) -> StatePath | None:
    """Take a path below `state/` apart; null for one that belongs to no service."""
    parts = path.split("/")
    if parts[0] != STATE:
        return None
    if len(parts) == _SERVICE_PARTS and parts[3] == SLOTS:
        return StatePath(ServiceId(parts[1], parts[2]), None, SLOTS)
    if len(parts) == _GENERATION_PARTS and is_generation_id(parts[3]) and parts[4] in GENERATION_FILES:
        return StatePath(ServiceId(parts[1], parts[2]), GenerationId(parts[3]), parts[4])
    return None
