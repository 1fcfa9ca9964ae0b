"""What a TLSA record says about a generation's key, certificate or CA (RFC 6698 section 2.1, RFC 7671 section 5).

DANE-EE(3) is about the generation itself: its public key (selector 1) is known before a certificate exists, the
certificate (selector 0) only afterwards. DANE-TA(2) is about a CA of the chain that is served. PKIX usages 0 and 1 are
hashed as 3 and 2 are; where they mean nothing the inventory refuses them.
"""

from __future__ import annotations

import hashlib
from dataclasses import dataclass, field
from functools import cached_property
from typing import TYPE_CHECKING

from sslops.dane.names import covering, covers
from sslops.model.names import CA_GROUP, GenerationId, ServiceId
from sslops.model.state import Status
from sslops.model.tlsa import TlsaParams, TlsaRecord

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping

    from sslops.model.inventory import Inventory
    from sslops.model.state import Branches, Generation


PKIX_TA, DANE_TA = 0, 2
CA_USAGES = frozenset({PKIX_TA, DANE_TA})
CERT, SPKI = 0, 1
FULL, SHA256, SHA512 = 0, 1, 2

Version = tuple[ServiceId, GenerationId]


@dataclass(frozen=True, slots=True)
class Der:
    """One certificate of a chain: the whole of it, and the public key in it."""

    cert: bytes
    spki: bytes

    def data(self, params: TlsaParams) -> str:
        """Return what a record with *params* says about it, in hex."""
        return hashed(self.cert if params.selector == CERT else self.spki, params.match)


@dataclass(frozen=True, slots=True)
class Material:
    """A generation in DER: its public key, then its certificate (null: there is none yet) and its chain."""

    spki: bytes
    cert: bytes | None = None
    chain: tuple[Der, ...] = ()


def hashed(der: bytes, match: int) -> str:
    """Return *der* as the matching type *match* has it: whole, SHA-256 or SHA-512, in hex."""
    if match == SHA256:
        return hashlib.sha256(der).hexdigest()
    return hashlib.sha512(der).hexdigest() if match == SHA512 else der.hex()


@dataclass(frozen=True)
class Keys:
    """What is known of the generations of both branches: facts of all, DER where a record needs it."""

    generations: Mapping[Version, Generation]
    material: Mapping[Version, Material] = field(default_factory=dict)

    @classmethod
    def of(cls, branches: Branches, material: Mapping[Version, Material] | None = None) -> Keys:
        """Collect the generations that either branch knows; what main has issued is what main says of it."""
        found = {
            (service, key): generation
            for state in (branches.main, branches.next)
            for service, entry in state.services.items()
            for key, generation in entry.generations.items()
            if state is branches.main or not _is_issued(branches.main[service].at(key))
        }
        return cls(found, material or {})

    def ids(self, service: ServiceId) -> tuple[GenerationId, ...]:
        """Return every generation known of *service*, oldest first."""
        return self._ids.get(service, ())

    @cached_property
    def _ids(self) -> Mapping[ServiceId, tuple[GenerationId, ...]]:
        found: dict[ServiceId, list[GenerationId]] = {}
        for service, key in self.generations:
            found.setdefault(service, []).append(key)
        return {service: tuple(sorted(keys)) for service, keys in found.items()}

    def named(self, owner: str) -> tuple[Version, ...]:
        """Return the generations whose certificate is good for the host of *owner* (as `covers` tells)."""
        return tuple(dict.fromkeys(version for san in covering(owner) for version in self._by_san.get(san, ())))

    @cached_property
    def _by_san(self) -> Mapping[str, tuple[Version, ...]]:
        found: dict[str, list[Version]] = {}
        for version, generation in self.generations.items():
            for san in generation.issued.sans if generation.issued is not None else ():
                found.setdefault(san.lower(), []).append(version)
        return {san: tuple(versions) for san, versions in found.items()}

    def record(self, owner: str, params: TlsaParams, service: ServiceId, generation: GenerationId) -> TlsaRecord | None:
        """Return the record to publish for *generation* under *owner*; null when it cannot be told (yet).

        For a CA usage this is the record of the CA that signed the certificate.
        """
        data = self._chain(params, service, generation) if params.usage in CA_USAGES else ()
        if params.usage not in CA_USAGES:
            data = self._own(params, service, generation)
        return TlsaRecord(owner, params, data[0]) if data else None

    def matching(
        self, owner: str, params: TlsaParams, service: ServiceId, generation: GenerationId
    ) -> frozenset[TlsaRecord]:
        """Return every record with *params* that matches *generation*; empty when none does or none can be told."""
        is_about_ca = params.usage in CA_USAGES
        data = (self._chain if is_about_ca else self._own)(params, service, generation)
        return frozenset(TlsaRecord(owner, params, each) for each in data)

    def anchor(self, owner: str, params: TlsaParams, ca: ServiceId, generation: GenerationId) -> TlsaRecord | None:
        """Return the record about *generation* of an own CA itself; null when it cannot be told."""
        data = self._own(params, ca, generation)
        return TlsaRecord(owner, params, data[0]) if data else None

    def is_named(self, owner: str, service: ServiceId, generation: GenerationId) -> bool:
        """Whether the certificate of *generation* is good for the host of *owner*, which clients check with a CA usage.

        For mail a certificate for the domain is as good (RFC 7671 section 5.2, RFC 7672 section 3.2.2). A generation
        without a certificate is not shown to anybody, so nothing is wrong with it.
        """
        facts = self.generations.get((service, generation))
        if facts is None or facts.issued is None:
            return True
        is_mail = owner.startswith("_25._tcp.")
        return covers(facts.issued.sans, owner) or (is_mail and covers(facts.issued.sans, f"_25._tcp.{service.group}."))

    def may_be_served(self, service: ServiceId, generation: GenerationId) -> bool:
        """Whether some host could serve *generation*: it is issued, or nothing is known about it any more."""
        facts = self.generations.get((service, generation))
        return facts is None or facts.status is Status.ISSUED

    def _own(self, params: TlsaParams, service: ServiceId, generation: GenerationId) -> tuple[str, ...]:
        facts = self.generations.get((service, generation))
        if facts is None:
            return ()
        if params.match == SHA256:
            issued = facts.issued.cert_sha256 if facts.issued else None
            digest = facts.spki_sha256 if params.selector == SPKI else issued
            return () if digest is None else (digest,)
        # Only asked where it is needed: it may have to be read from the repository first.
        material = self.material.get((service, generation))
        der = None if material is None else material.spki if params.selector == SPKI else material.cert
        return () if der is None else (hashed(der, params.match),)

    def _chain(self, params: TlsaParams, service: ServiceId, generation: GenerationId) -> tuple[str, ...]:
        """Return the data of each CA that is served with *generation*, its signer first."""
        facts = self.generations.get((service, generation))
        if facts is None or facts.issued is None:
            return ()
        material = self.material.get((service, generation))
        if material is not None and material.chain:
            return tuple(each.data(params) for each in material.chain)
        if facts.issued.signer is None:
            return ()
        return self._own(params, ServiceId(CA_GROUP, facts.ca), GenerationId(facts.issued.signer))


def _is_issued(generation: Generation | None) -> bool:
    return generation is not None and generation.issued is not None


@dataclass(frozen=True, slots=True)
class Index:
    """Whose a record is, for many records: the generations by what a record says about them."""

    keys: Keys
    _by_data: Mapping[tuple[TlsaParams, str], frozenset[Version]] = field(default_factory=dict)

    @classmethod
    def of(cls, keys: Keys, combinations: frozenset[TlsaParams]) -> Index:
        """Prepare answers about records of these *combinations*."""
        found: dict[tuple[TlsaParams, str], set[Version]] = {}
        for params in combinations:
            for service, generation in keys.generations:
                for record in keys.matching("", params, service, generation):
                    found.setdefault((params, record.data), set()).add((service, generation))
                anchor = keys.anchor("", params, service, generation) if service.group == CA_GROUP else None
                if anchor is not None and params.usage in CA_USAGES:
                    found.setdefault((params, anchor.data), set()).add((service, generation))
        return cls(keys, {key: frozenset(versions) for key, versions in found.items()})

    def versions(self, record: TlsaRecord) -> frozenset[Version]:
        """Return the generations that *record* matches, or that it is about; empty: it is not ours."""
        return self._by_data.get((record.params, record.data), frozenset())

    def services(self, records: Iterable[TlsaRecord]) -> Iterator[ServiceId]:
        """Yield the services with a generation that one of *records* matches."""
        for key in {(record.params, record.data) for record in records}:
            yield from (service for service, _ in self._by_data.get(key, ()))


def is_listed(service: ServiceId, inventory: Inventory) -> bool:
    """Whether only issuers that the inventory lists may be published: a public CA signs the service."""
    return inventory.signer_of(inventory.services[service]) is None


def standing(
    owner: str, params: TlsaParams, service: ServiceId, inventory: Inventory, branches: Branches, keys: Keys
) -> frozenset[TlsaRecord]:
    """Return the records that stand under *owner* for the CAs of *service*; empty unless *params* are about a CA."""
    if params.usage not in CA_USAGES:
        return frozenset()
    asked = inventory.services[service]
    signer = inventory.signer_of(asked)
    if signer is None:
        ca = inventory.cas.get(asked.signing_ca)
        listed = () if ca is None else ca.tlsa_issuers
        return frozenset(
            TlsaRecord(owner, params, each.data)
            for each in listed
            if (each.selector, each.match) == (params.selector, params.match)
        )
    slots = [state[signer].slots for state in (branches.main, branches.next)]
    made = {keys.anchor(owner, params, signer, each) for found in slots for each in (found.curr, found.next) if each}
    return frozenset(record for record in made if record is not None)
