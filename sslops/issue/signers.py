"""Who signs for whom: the order of the work, which generation of an own CA signs, and why one cannot."""

from __future__ import annotations

from typing import TYPE_CHECKING

from sslops.model.names import format_time
from sslops.model.state import Status

if TYPE_CHECKING:
    from datetime import datetime

    from sslops.model.inventory import Inventory, Service
    from sslops.model.names import ServiceId
    from sslops.model.state import Generation, ServiceState


def is_root(inventory: Inventory, service: Service) -> bool:
    """Whether *service* is an own CA that signs itself."""
    return service.is_ca and inventory.signer_of(service) in {None, service.id}


def signers_above(inventory: Inventory, service: Service) -> int:
    """Return how many own CAs stand above *service*: roots come first in a run, leaves last."""
    above: set[ServiceId] = set()
    signer = inventory.signer_of(service)
    while signer is not None and signer not in above and signer in inventory.services:
        above.add(signer)
        signer = inventory.signer_of(inventory.services[signer])
    return len(above - {service.id})


def signing_generation(state: ServiceState) -> Generation | None:
    """Return the generation an own CA signs with: its `next` if issued, else `curr`; never one that was taken back."""
    candidates = (found for found in (state.next, state.curr) if found is not None)
    usable = (found for found in candidates if found.status is Status.ISSUED and found.issued is not None)
    return next((found for found in usable if found.id != state.slots.refused), None)


def obstacle(signer: ServiceId, candidate: Generation | None, now: datetime, ends: datetime | None) -> str | None:
    """Say why *signer* cannot sign with *candidate*, or null.

    *ends* is given when a certificate is only due: a signer that ends no later would not make it last longer.
    """
    if candidate is None or candidate.issued is None:
        return f"its signer '{signer}' has no certificate yet"
    if candidate.issued.not_after <= now:
        return f"the certificate of its signer '{signer}' has expired on {format_time(candidate.issued.not_after)}"
    if ends is not None and candidate.issued.not_after <= ends:
        return ends_no_later(signer, candidate.issued.not_after)
    return None


def ends_no_later(signer: ServiceId, ends: datetime) -> str:
    """Say that *signer*, which ends at *ends*, has to be renewed first."""
    return f"its signer '{signer}' ends no later, on {format_time(ends)}: that comes first"
