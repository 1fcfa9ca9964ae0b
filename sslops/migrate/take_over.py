"""The versions of an old tree as generations: each looked at, its key encrypted, one commit for each service.

Nothing is made anew: key, certificate and chain stay what hosts serve and DNS names. What cannot be used is reported.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from datetime import timedelta
from typing import TYPE_CHECKING

from sslops.errors import SslopsError, StateError
from sslops.issue.own_cas import key_path
from sslops.issue.rules import is_root, renewal_time
from sslops.migrate.draft import service_file
from sslops.model.change import Change, GenerationFiles
from sslops.model.inventory import KeySpec
from sslops.model.names import CA_GROUP, generation_id
from sslops.model.secret import Secret
from sslops.model.state import Generation, Issued, Slots, Status
from sslops.pki.certificate import read_certificate, split_chain
from sslops.pki.local_ca import LocalCa
from sslops.pki.request import key_size, request_in, request_sha256

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence
    from datetime import datetime

    from sslops.issue.ports import Vault
    from sslops.migrate.draft import Draft, OldVersion
    from sslops.model.inventory import Inventory, Service
    from sslops.model.names import GenerationId, ServiceId
    from sslops.pki.certificate import CertificateFacts

REASON = "import"


@dataclass(frozen=True, slots=True)
class Taken:
    """One version that is usable: its generation, and its files; the key is not encrypted yet."""

    version: OldVersion
    generation: Generation
    key: Secret
    csr: bytes
    chain: bytes


def changes(draft: Draft, inventory: Inventory, now: datetime, vault: Vault) -> tuple[Change, ...]:
    """Return one change for each service that has versions, own CAs first; lines about the others go to *draft*.

    Raises SopsError when keys cannot be encrypted: an import is whole, or nothing.
    """
    taken: dict[ServiceId, dict[str, Taken]] = {}
    for service in sorted({each.service for each in draft.versions}, key=lambda each: (each.group != CA_GROUP, each)):
        found = inventory.services[service]
        slots: dict[str, Taken] = {}
        for version in (each for each in draft.versions if each.service == service):
            one = _taken(draft, inventory, found, version, slots, now)
            if one is not None:
                slots[version.slot] = one
        taken[service] = slots
    signed = {service: _with_signers(inventory, service, slots, taken) for service, slots in taken.items()}
    return _stored(draft, inventory, {service: slots for service, slots in signed.items() if slots}, vault)


def _taken(
    draft: Draft,
    inventory: Inventory,
    service: Service,
    version: OldVersion,
    others: Mapping[str, Taken],
    now: datetime,
) -> Taken | None:
    """Look at one version; null, and a line, when it cannot be used."""
    try:
        facts = read_certificate(version.cert)
        chain = _chain(inventory, service, version.chain)
        key, spki = _opened(version.key)
    except SslopsError as error:
        draft.tell(version.where, f"left out: {error.what}", is_open=version.slot == "curr")
        return None
    problem = _problem(facts, spki, service)
    if problem is not None:
        draft.tell(version.where, f"left out: {problem}", is_open=version.slot == "curr")
        return None
    same = next((slot for slot, each in others.items() if _hash(each) == facts.cert_sha256), None)
    if same is not None:
        if version.slot == "curr" and same == "prev":
            del others["prev"]  # type: ignore[attr-defined]
        else:
            draft.tell(version.where, f"left out: it is the same as {same}")
            return None
    if facts.not_after <= now:
        draft.tell(version.where, f"expired on {facts.not_after:%Y-%m-%d}", is_open=version.slot == "curr")
    if _names_itself_as_signer(version.cert):
        what = "it names its own key as its signer's, which OpenSSL refuses in a chain; `sslops renew --force` mends it"
        draft.tell(version.where, what)
    return _generation(draft, inventory, service, version, facts, key, chain, now, _ids(others))


def _generation(  # noqa: PLR0913, PLR0917
    draft: Draft,
    inventory: Inventory,
    service: Service,
    version: OldVersion,
    facts: CertificateFacts,
    key: Secret,
    chain: bytes,
    now: datetime,
    ids: frozenset[GenerationId],
) -> Taken:
    request = request_in(inventory, service)
    spec, sans = key_spec(version.cert), {each.lower() for each in facts.sans}
    if not service.is_ca and sans != {each.lower() for each in service.sans}:
        request = replace(request, sans=facts.sans)
        what = f"names {', '.join(sorted(sans))}, and the service other names: renewed soon"
        draft.tell(version.where, what, file=service_file(service.id))
    if key_size(spec) != key_size(service.key) or spec.ktype != service.key.ktype:
        request = replace(request, key=spec)
        what = f"has a key of {spec.ktype} {key_size(spec)}, and the service asks for another: renewed soon"
        draft.tell(version.where, what, file=service_file(service.id))
    created_at = max(min(version.written_at, now), facts.not_before)
    while generation_id(created_at, facts.spki_sha256) in ids:
        created_at += timedelta(seconds=1)
    ca = inventory.acme_ca(service)
    issued = Issued(
        issued_at=created_at,
        serial=facts.serial,
        issuer=facts.issuer,
        not_before=facts.not_before,
        not_after=facts.not_after,
        sans=facts.sans,
        cert_sha256=facts.cert_sha256,
    )
    generation = Generation(
        id=generation_id(created_at, facts.spki_sha256),
        status=Status.ISSUED,
        created_at=created_at,
        ca=service.signing_ca,
        directory=None if ca is None else ca.directory,
        profile=None,
        reason=REASON,
        reused_from=None,
        key_type=spec.ktype,
        key_size=key_size(spec),
        spki_sha256=facts.spki_sha256,
        csr_sha256=request_sha256(request),
        issued=issued,
    )
    return Taken(version, generation, key, LocalCa().make_csr(request, key), chain)


def _hash(taken: Taken) -> str | None:
    return taken.generation.issued.cert_sha256 if taken.generation.issued else None


def _ids(taken: Mapping[str, Taken]) -> frozenset[GenerationId]:
    return frozenset(each.generation.id for each in taken.values())


def _problem(facts: CertificateFacts, spki: str, service: Service) -> str | None:
    """Return why a certificate cannot be one of *service*; null when it can."""
    if facts.spki_sha256 != spki:
        return "the key is not that of the certificate"
    if facts.is_ca != service.is_ca:
        return f"the certificate is {'a CA' if facts.is_ca else 'not a CA'}"
    return None


def _chain(inventory: Inventory, service: Service, chain: bytes) -> bytes:
    """Return the chain as sslops has it: of an own CA without a root that clients have, of a root itself nothing."""
    certs = split_chain(chain)
    facts = [read_certificate(each) for each in certs]
    if is_root(inventory, service):
        return b""
    if inventory.acme_ca(service) is not None:
        return b"".join(certs)
    kept = [cert for place, cert in enumerate(certs) if place == 0 or not facts[place].is_self_issued]
    if service.is_ca:
        kept = [cert for cert, fact in zip(certs, facts, strict=True) if not fact.is_self_issued]
    return b"".join(dict.fromkeys(kept))


def _opened(key: Secret) -> tuple[Secret, str]:
    """Return a private key as PKCS#8 and the hash of its public half; StateError for one with a passphrase, or none."""
    import hashlib

    from cryptography.exceptions import UnsupportedAlgorithm
    from cryptography.hazmat.primitives import serialization as forms

    try:
        private = forms.load_pem_private_key(key.reveal(), None)
    except TypeError as error:
        raise StateError("the key has a passphrase") from error
    except (ValueError, UnsupportedAlgorithm) as error:
        raise StateError("the key cannot be read") from error
    pem = private.private_bytes(forms.Encoding.PEM, forms.PrivateFormat.PKCS8, forms.NoEncryption())
    public = private.public_key().public_bytes(forms.Encoding.DER, forms.PublicFormat.SubjectPublicKeyInfo)
    return Secret(pem, "private key"), hashlib.sha256(public).hexdigest()


def key_spec(cert: bytes) -> KeySpec:
    """Return the kind of key in a certificate (PEM)."""
    from cryptography import x509
    from cryptography.hazmat.primitives.asymmetric import ec, rsa

    public = x509.load_pem_x509_certificate(cert).public_key()
    if isinstance(public, ec.EllipticCurvePublicKey):
        return KeySpec("ec", ec_algo=public.curve.name)
    return KeySpec("rsa", rsa_bits=public.key_size) if isinstance(public, rsa.RSAPublicKey) else KeySpec("ed25519")


def _names_itself_as_signer(cert: bytes) -> bool:
    """Whether a certificate that another signed names its own key as its signer's (RFC 5280 section 4.2.1.1)."""
    from cryptography import x509

    found = x509.load_pem_x509_certificate(cert)
    try:
        own = found.extensions.get_extension_for_class(x509.SubjectKeyIdentifier).value.digest
        signer = found.extensions.get_extension_for_class(x509.AuthorityKeyIdentifier).value.key_identifier
    except x509.ExtensionNotFound:
        return False
    return found.issuer != found.subject and own == signer


def _with_signers(
    inventory: Inventory, service: ServiceId, slots: Mapping[str, Taken], taken: Mapping[ServiceId, Mapping[str, Taken]]
) -> Mapping[str, Taken]:
    """Say of each generation which generation of an own CA signed it, where that was taken over too."""
    signer = inventory.signer_of(inventory.services[service])
    if signer is None or signer == service:
        return slots
    candidates = list(taken.get(signer, {}).values())
    return {slot: _with_signer(one, candidates) for slot, one in slots.items()}


def _with_signer(one: Taken, candidates: Iterable[Taken]) -> Taken:
    from cryptography import x509

    cert = x509.load_pem_x509_certificate(one.version.cert)
    for signer in candidates:
        try:
            cert.verify_directly_issued_by(x509.load_pem_x509_certificate(signer.version.cert))
        except Exception:  # noqa: BLE001, S112  (whatever it is: this one did not sign)
            continue
        if one.generation.issued is not None:
            issued = replace(one.generation.issued, signer=signer.generation.id)
            return replace(one, generation=replace(one.generation, issued=issued))
    return one


def _stored(
    draft: Draft, inventory: Inventory, taken: Mapping[ServiceId, Mapping[str, Taken]], vault: Vault
) -> tuple[Change, ...]:
    every = [(service, one) for service, slots in taken.items() for one in slots.values()]
    keys = ((key_path(service, one.generation.id), one.key) for service, one in every)
    documents: dict[tuple[ServiceId, GenerationId], bytes] = {}
    for (service, one), document in zip(every, vault.encrypt_many(keys), strict=True):
        if isinstance(document, SslopsError):
            raise document
        documents[service, one.generation.id] = document
    return tuple(
        _change(draft, inventory, service, list(slots.values()), documents) for service, slots in taken.items()
    )


def _change(
    draft: Draft,
    inventory: Inventory,
    service: ServiceId,
    taken: Sequence[Taken],
    documents: Mapping[tuple[ServiceId, GenerationId], bytes],
) -> Change:
    by_slot = {one.version.slot: one.generation for one in taken}
    curr, following, before = (by_slot.get(slot) for slot in ("curr", "next", "prev"))
    newest = following or curr
    slots = Slots(
        curr=curr.id if curr else None,
        next=following.id if following else None,
        prev=before.id if before else None,
        rolled_at=curr.created_at if curr else None,
        renew_at=renewal_time(inventory, inventory.services[service], newest) if newest else None,
    )
    put = tuple(
        GenerationFiles(one.generation, one.csr, one.version.cert, one.chain, documents[service, one.generation.id])
        for one in taken
    )
    shown = newest or next(iter(by_slot.values()))
    until = f", until {shown.issued.not_after:%Y-%m-%d}" if shown.issued else ""
    why = f"Taken over from {draft.tool}, with its key: {', '.join(one.version.slot for one in taken)}."
    return Change(REASON, service, f"{shown.id}{until}", why, slots, shown.id, put)
