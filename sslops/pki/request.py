"""What a service's CSR asks for, derived from the inventory alone, and its fingerprint to see drift.

>>> from sslops.model.inventory import Service, Subject
>>> from sslops.model.names import ServiceId
>>> web = Service(ServiceId("example.com", "web"), "", "my-sub", Subject("not.a.san", "Example"), ("example.com",))
>>> request_of(web).subject.common_name is None
True
"""

from __future__ import annotations

import hashlib
import json
from dataclasses import asdict, replace
from typing import TYPE_CHECKING

from sslops.model.certificates import Request

if TYPE_CHECKING:
    from sslops.model.inventory import Inventory, KeySpec, Service, Subject
    from sslops.model.names import ServiceId


COMMON_NAME_CHARACTERS = 64
"""The upper bound of a common name (RFC 5280 appendix A, ub-common-name)."""


def request_of(service: Service, path_length: int | None = None) -> Request:
    """Return what *service* asks for; *path_length* is how many CAs may stand below it, null without a limit."""
    if service.is_ca:
        return Request(_ca_subject(service), (), service.key, (), is_ca=True, path_length=path_length)
    return Request(_leaf_subject(service), service.sans, service.key, service.eku)


def path_length(inventory: Inventory, service: Service) -> int | None:
    """Return how many CAs may stand below the own CA *service*.

    An intermediate allows exactly what the inventory has; a root sets no limit, since it is trusted for decades and a
    later level would mean a new one everywhere.
    """
    if not service.is_ca or inventory.signer_of(service) in {None, service.id}:
        return None
    return _levels_below(inventory, service.id, frozenset())


def request_in(inventory: Inventory, service: Service) -> Request:
    """Return what *service* asks for in the company of all others."""
    return request_of(service, path_length(inventory, service))


def request_sha256(request: Request) -> str:
    """Hash what *request* says, hex: equal for equal wishes, whatever the order of the names."""
    content = {
        "subject": {name: value for name, value in asdict(request.subject).items() if value},
        "sans": sorted(request.sans),
        "key": [request.key.ktype, key_size(request.key)],
        "eku": sorted(request.eku),
        "is_ca": request.is_ca,
        "path_length": request.path_length,
    }
    canonical = json.dumps(content, sort_keys=True, separators=(",", ":"), ensure_ascii=False)
    return hashlib.sha256(canonical.encode()).hexdigest()


def key_size(key: KeySpec) -> str:
    """Return the curve, the bits, or nothing for Ed25519, as `generation.yaml` has it."""
    return {"ec": key.ec_algo, "rsa": str(key.rsa_bits)}.get(key.ktype, "")


def _levels_below(inventory: Inventory, ca: ServiceId, above: frozenset[ServiceId]) -> int:
    signed = (other for other in inventory.services.values() if other.is_ca and inventory.signer_of(other) == ca)
    below = [other.id for other in signed if other.id not in above | {ca}]
    return max((1 + _levels_below(inventory, other, above | {ca}) for other in below), default=0)


def _ca_subject(service: Service) -> Subject:
    """Return the subject of a CA, which must have one (RFC 5280 section 4.1.2.6): its name when nothing is given."""
    subject = _without_mail(service.subject)
    return subject if any(asdict(subject).values()) else replace(subject, common_name=service.id.name)


def _leaf_subject(service: Service) -> Subject:
    """Return the subject of a leaf; a common name is only a copy of one of the names, where it fits."""
    name = service.subject.common_name or ""
    fits = len(name) <= COMMON_NAME_CHARACTERS and name.lower() in {san.lower() for san in service.sans}
    return _without_mail(replace(service.subject, common_name=name if fits and name else None))


def _without_mail(subject: Subject) -> Subject:
    """Leave out the ACME contact, which is no part of a certificate."""
    return replace(subject, email=None)
