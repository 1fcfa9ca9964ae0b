"""The CAs that are published for a service with a CA usage, whatever certificate it has at the moment.

For an own CA these are its `curr` and `next`: what either of them signs matches from its first day. For a public CA the
inventory lists its active and backup issuers (`tlsa_issuers`), because nobody knows which of them signs the next time.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from sslops.dane.records import CA_USAGES
from sslops.model.tlsa import TlsaRecord

if TYPE_CHECKING:
    from sslops.dane.records import Keys
    from sslops.model.inventory import Inventory
    from sslops.model.names import ServiceId
    from sslops.model.state import Branches
    from sslops.model.tlsa import TlsaParams


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
