"""Renewal without a CA: the real plan of `renew`, and certificates that last as long as they are announced to."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass, replace
from datetime import timedelta
from typing import TYPE_CHECKING

from sslops.dane.records import CA_USAGES, Der, Material
from sslops.issue import rules
from sslops.issue.rules import What, is_root, signers_above, signing_generation
from sslops.model.certificates import Validity
from sslops.model.change import Change, GenerationFiles
from sslops.model.names import ServiceId, generation_id
from sslops.model.state import Generation, Issued, Status
from sslops.pki.lifetime import BACKDATED, validity
from sslops.pki.request import key_size, request_in, request_sha256
from sslops.simulate.lifetimes import announced

if TYPE_CHECKING:
    from sslops.model.inventory import Service, TlsaIssuer
    from sslops.model.plan import Action, Plan
    from sslops.model.tlsa import TlsaParams
    from sslops.repo.snapshot import Snapshot
    from sslops.simulate.world import World


@dataclass(frozen=True, slots=True)
class _Listed(Der):
    """An issuer of a public CA of which only the hashes are known that the inventory lists."""

    listed: tuple[TlsaIssuer, ...]

    def data(self, params: TlsaParams) -> str:
        """Return the first that is listed with *params*."""
        kind = (params.selector, params.match)
        return next((each.data for each in self.listed if (each.selector, each.match) == kind), "")


def renew(world: World, lifetime: timedelta | None) -> Plan:
    """Renew what is due; return the plan that was carried out. *lifetime* is that of ACME servers; null: announced."""
    inventory = world.ops.inventory
    plan = rules.plan(inventory, world.ops.branches, world.now)
    services = inventory.services

    def depth(action: Action) -> int:
        return signers_above(inventory, services[ServiceId(action.group, action.service)])

    for action in sorted(plan.actions, key=depth):
        snapshot = world.ops.refresh()
        service = services[ServiceId(action.group, action.service)]
        slots = snapshot.branches.next[service.id].slots
        made = _keyed(world, snapshot, action, service)
        slots = replace(slots, next=made.id)
        if What(action.what).signs:
            made = _issued(world, snapshot, made, service, lifetime)
            moment = rules.renewal_time(inventory, service, made)
            slots = replace(slots, renew_at=moment, ari=None, retry_at=None, failures=0)
        change = Change(
            "renew", service.id, action.what, action.why, slots, generation=made.id, put=(GenerationFiles(made),)
        )
        world.ops.write_next(snapshot, [change])
    return plan


def _keyed(world: World, snapshot: Snapshot, action: Action, service: Service) -> Generation:
    known = snapshot.branches.next[service.id].generations
    source = None if action.generation is None else known.get(action.generation)
    if source is not None and action.what in {What.ISSUE, What.RESUME}:
        return source
    key = f"{service.id} {world.now} {len(known)}".encode()
    spki = hashlib.sha256(key).hexdigest() if source is None else source.spki_sha256
    made = Generation(
        id=generation_id(world.now, spki),
        status=Status.KEYED,
        created_at=world.now,
        ca=service.signing_ca,
        profile=None,
        reason=action.reason,
        reused_from=None if source is None else source.id,
        key_type=service.key.ktype,
        key_size=key_size(service.key),
        spki_sha256=spki,
        csr_sha256=request_sha256(request_in(world.ops.inventory, service)),
    )
    world.invented[service.id, made.id] = Material(key)
    return made


def _issued(
    world: World, snapshot: Snapshot, made: Generation, service: Service, lifetime: timedelta | None
) -> Generation:
    signer = world.ops.inventory.signer_of(service)
    is_signed_by_us = signer is not None and not is_root(world.ops.inventory, service)
    above = signing_generation(snapshot.branches.next[signer]) if signer is not None and is_signed_by_us else None
    times = _validity(world, service, None if above is None else above.issued, lifetime)
    cert = f"certificate of {service.id} {made.id}".encode()
    issued = Issued(
        issued_at=world.now,
        serial=hashlib.sha256(cert).hexdigest()[:32],
        issuer=service.signing_ca,
        not_before=times.not_before,
        not_after=times.not_after,
        sans=service.sans,
        cert_sha256=hashlib.sha256(cert).hexdigest(),
        signer=None if above is None else above.id,
    )
    chain = _chain(world, snapshot, service)
    material = (world.material if chain else world.invented).get((service.id, made.id))
    if material is not None:
        world.invented[service.id, made.id] = replace(material, cert=cert, chain=chain)
    return replace(made, status=Status.ISSUED, issued=issued, ca=service.signing_ca, order=None, failure=None)


def _chain(world: World, snapshot: Snapshot, service: Service) -> tuple[Der, ...]:
    """Return what a public CA sends with a certificate: as the last time, else one of the issuers that are listed.

    Only records about a CA ask for it.
    """
    ca = world.ops.inventory.acme_ca(service)
    if ca is None or not any(spec.params.usage in CA_USAGES for spec in service.dane):
        return ()
    known = snapshot.branches.next[service.id].generations
    for each, facts in sorted(known.items(), reverse=True):
        material = world.material.get((service.id, each)) if facts.issued is not None and facts.ca == ca.name else None
        if material is not None and material.chain:
            return material.chain
    return (_Listed(b"", b"", ca.tlsa_issuers),) if ca.tlsa_issuers else ()


def _validity(world: World, service: Service, above: Issued | None, lifetime: timedelta | None) -> Validity:
    ca = world.ops.inventory.acme_ca(service)
    if ca is not None:
        start = world.now - BACKDATED
        return Validity(start, start + (lifetime or announced(ca, world.now)) - timedelta(seconds=1))
    if is_root(world.ops.inventory, service) and service.ca is not None:
        return validity(world.now, service.ca.end_days or 2 * service.ca.sign_end_days)
    signer = world.ops.inventory.signer_of(service)
    facts = None if signer is None else world.ops.inventory.services[signer].ca
    within = None if above is None else Validity(above.not_before, above.not_after)
    return validity(world.now, 1 if facts is None else facts.sign_end_days, within)
