"""Which services are new to a host: one that was never shown there may come in the place of another."""

from __future__ import annotations

from typing import TYPE_CHECKING

from sslops.inventory.reach import deliveries

if TYPE_CHECKING:
    from sslops.model.inventory import Inventory
    from sslops.model.ledger import Ledger, Served
    from sslops.model.names import ServiceId


def new_at(inventory: Inventory, ledger: Ledger) -> dict[str, frozenset[ServiceId]]:
    """Return for each host the services that it is to show and was never proven to show any generation of."""
    return {
        delivery.host.name: frozenset(
            service for service in delivery.serving if _is_new(ledger.host(delivery.host.name).serves(service))
        )
        for delivery in deliveries(inventory)
    }


def _is_new(served: Served) -> bool:
    return not served.may_serve or None in served.may_serve or served.is_copy
