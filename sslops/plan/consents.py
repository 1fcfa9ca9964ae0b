"""Which hazards a person has accepted at this moment: on the command line, or in the inventory until a date."""

from __future__ import annotations

from typing import TYPE_CHECKING

from sslops.model.plan import Consents

if TYPE_CHECKING:
    from collections.abc import Iterable
    from datetime import datetime

    from sslops.model.inventory import Consent, Inventory


def consents(inventory: Inventory, given: Iterable[Consent], now: datetime) -> Consents:
    """Join what the command line accepts with what the inventory still does at *now*."""
    standing = [consent for consent in inventory.accepts if consent.until is None or now < consent.until]
    return Consents(frozenset((consent.hazard, consent.subject) for consent in (*standing, *given)))
