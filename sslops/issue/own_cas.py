"""What one step makes, before it is encrypted and becomes a change."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from sslops.errors import NoIdentity, SslopsError, StateError
from sslops.issue.rules import obstacle, signing_generation
from sslops.model.cause import Cause
from sslops.model.certificates import Validity
from sslops.model.names import CA_GROUP, ServiceId
from sslops.model.plan import Obstacle
from sslops.pki import certificate

if TYPE_CHECKING:
    from datetime import datetime

    from sslops.issue.ports import Signer, Workshop
    from sslops.model.inventory import Inventory, Service
    from sslops.model.names import GenerationId
    from sslops.model.plan import Action
    from sslops.model.secret import Secret
    from sslops.model.state import Generation, State


KEY_FILE = "privkey.pem.sops"


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


@dataclass(frozen=True, slots=True)
class OpenCa:
    """An own CA that can sign, looked at up to its *root*; *chain* is what a certificate signed by it is sent with."""

    service: ServiceId
    generation: GenerationId
    signer: Signer
    validity: Validity
    sign_end_days: int
    cert: bytes
    chain: bytes
    root: bytes


class OwnCas:
    """The own CAs of one run."""

    def __init__(self, inventory: Inventory, state: State, now: datetime, workshop: Workshop) -> None:
        """Open nothing yet: a run that signs nothing needs no key."""
        self._inventory, self._state, self._now = inventory, state, now
        self._maker, self._vault, self._files = workshop.maker, workshop.vault, workshop.files
        self._made: dict[ServiceId, Draft] = {}
        self._opened: dict[ServiceId, OpenCa | Obstacle | SslopsError] = {}

    def add(self, draft: Draft) -> None:
        """Let a CA that was made in this run sign from now on."""
        self._made[draft.service.id] = draft

    def opened(self, ca: ServiceId) -> OpenCa | Obstacle:
        """Return the CA ready to sign, or what it waits for; SslopsError when something about it is wrong."""
        if ca not in self._opened:
            try:
                self._opened[ca] = self._open(ca)
            except SslopsError as error:
                self._opened[ca] = error
        result = self._opened[ca]
        if isinstance(result, SslopsError):
            raise result
        return result

    def key(self, ca: ServiceId, generation: GenerationId) -> Secret | Obstacle:
        """Return the key of a generation of *ca*, or the obstacle that no age identity of this machine opens it."""
        made = self._made.get(ca)
        if made is not None and made.generation.id == generation and made.key is not None:
            return made.key
        document = made.document if made is not None and made.generation.id == generation else None
        try:
            return self._vault.decrypt(key_path(ca, generation), document or self._file(ca, generation, KEY_FILE))
        except NoIdentity as error:
            why = f"the key of '{ca}' cannot be opened here: {error.in_a_sentence}"
            return Obstacle("ca-key", why, Cause.KEY_NOT_HERE)

    def _open(self, ca: ServiceId) -> OpenCa | Obstacle:
        made = self._made.get(ca)
        generation = made.generation if made is not None else signing_generation(self._state[ca])
        why = obstacle(ca, generation, self._now, None)
        service = self._inventory.services.get(ca)
        if why is not None or generation is None or generation.issued is None or service is None or service.ca is None:
            return Obstacle("signer", why or f"the inventory has no own CA '{ca}'", Cause.SIGNER)
        key = self.key(ca, generation.id)
        if isinstance(key, Obstacle):
            return key
        cert, chain, root = self._checked(ca, generation)
        return OpenCa(
            service=ca,
            generation=generation.id,
            signer=self._maker.open(cert, key, service.ca.digest),
            validity=Validity(generation.issued.not_before, generation.issued.not_after),
            sign_end_days=service.ca.sign_end_days,
            cert=cert,
            chain=cert + _without_root(chain),
            root=root,
        )

    def _checked(self, ca: ServiceId, generation: Generation) -> tuple[bytes, bytes, bytes]:
        """Return certificate, chain and root of *ca* after a look at them: what it signs is worth no more than they."""
        cert, chain = self._file(ca, generation.id, "cert.pem"), self._file(ca, generation.id, "chain.pem")
        root = self._root(ca, generation)
        # A CA that ssl-mgr made names itself as a host; whom it signs for does not depend on that.
        names = certificate.read_certificate(cert).sans
        found = certificate.faults(cert, chain, root, spki_sha256=generation.spki_sha256, sans=names, now=self._now)
        if found:
            message = f"the own CA '{ca}' cannot sign: {'; '.join(found)}"
            raise StateError(message, hint="sslops check")
        return cert, chain, root

    def _root(self, ca: ServiceId, generation: Generation) -> bytes:
        """Follow the generations that signed up to a root of ours, and return its certificate."""
        seen = {ca}
        while generation.issued is not None and generation.issued.signer is not None:
            above = ServiceId(CA_GROUP, generation.ca)
            parent = self._generation(above, generation.issued.signer)
            if parent is None or above in seen:
                message = f"the generation '{generation.issued.signer}' of '{above}', which signed '{ca}', is not there"
                raise StateError(message, hint="sslops check")
            seen.add(above)
            ca, generation = above, parent
        return self._file(ca, generation.id, "cert.pem")

    def _generation(self, ca: ServiceId, wanted: str) -> Generation | None:
        made = self._made.get(ca)
        if made is not None and made.generation.id == wanted:
            return made.generation
        return next((found for key, found in self._state[ca].generations.items() if key == wanted), None)

    def _file(self, ca: ServiceId, generation: GenerationId, name: str) -> bytes:
        made = self._made.get(ca)
        if made is not None and made.generation.id == generation:
            content = {"cert.pem": made.cert, "chain.pem": made.chain}.get(name)
            if content is not None:
                return content
        content = self._files.read(ca, generation, name)
        if content is None:
            message = f"'state/{ca}/{generation}/{name}' is not there"
            raise StateError(message, hint="sslops check")
        return content


def _without_root(chain: bytes) -> bytes:
    """Leave out a self-signed certificate: whoever trusts it has it."""
    certs = certificate.split_chain(chain)
    return b"".join(cert for cert in certs if not certificate.read_certificate(cert).is_self_issued)
