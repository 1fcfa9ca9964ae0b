"""A resolver (unbound) between an ACME server and the name servers: it asks any of them and follows aliases.

pebble follows no CNAME by itself. The resolver remembers nothing, so an answer is always that of a name server now; it
may be the one that lags.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from tests.world.loopback import DNS_PORT
from tests.world.unbound import Settings, Unbound

if TYPE_CHECKING:
    from pathlib import Path

    from tests.world.dns import DnsWorld

_FORGETFUL = ('module-config: "iterator"', "cache-max-ttl: 0", "cache-max-negative-ttl: 0")


class Resolver(Unbound):
    """A running resolver for the zones of a `DnsWorld`; it refuses all other names."""

    def __init__(self, folder: Path, world: DnsWorld, port: int = DNS_PORT) -> None:
        """Start it with its files below *folder*."""
        settings = Settings((port,), _FORGETFUL, stub=("stub-no-cache: yes",))
        super().__init__(folder, world.apexes, (world.primary, world.secondary), settings)
