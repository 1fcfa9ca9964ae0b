"""A validating resolver with a cache (unbound), as a mail sender's: it trusts the keys of the zones of a `DnsWorld`.

It answers on port 53 too where the test may take it, since programs that use the C library know no other.
"""

from __future__ import annotations

import os
import subprocess
from typing import TYPE_CHECKING

from tests.world.loopback import DNS_PORT
from tests.world.peers import need
from tests.world.unbound import Settings, Unbound

if TYPE_CHECKING:
    from collections.abc import Collection, Sequence
    from pathlib import Path

    from sslops.model.inventory import Endpoint
    from tests.world.dns import DnsWorld

WELL_KNOWN_PORT = 53
# A bogus answer, and a server that was down, are asked again at once: tests change such things.
_VALIDATING = ('module-config: "validator iterator"', "val-bogus-ttl: 0", "infra-host-ttl: 1", "val-log-level: 2")


class ValidatingResolver(Unbound):
    """A running resolver for the zones of a `DnsWorld`; it refuses all other names.

    It keeps answers for their TTL, and asks whichever name server it likes.
    """

    def __init__(
        self,
        folder: Path,
        world: DnsWorld,
        *,
        servers: Sequence[Endpoint] | None = None,
        untrusted: Collection[str] = (),
    ) -> None:
        """Start it with its files below *folder*.

        *servers* are asked in place of those of *world*. It has no keys for the apexes in *untrusted*: to it they are
        unsigned.
        """
        anchors = {
            apex: [f'trust-anchor: "{anchor}"' for anchor in _anchors(world, apex)]
            for apex in world.apexes
            if apex not in untrusted
        }
        settings = Settings(_ports(), _VALIDATING, zones=anchors)
        super().__init__(folder, world.apexes, servers or (world.primary, world.secondary), settings)
        self.resolv_conf = folder / "resolv.conf"
        """What the C library reads to ask it."""
        self.resolv_conf.write_text(f"nameserver {self.endpoint.address}\noptions trust-ad edns0\n")


def _ports() -> tuple[int, ...]:
    return (DNS_PORT, WELL_KNOWN_PORT) if os.geteuid() == 0 else (DNS_PORT,)


def _anchors(world: DnsWorld, apex: str) -> list[str]:
    words: list[str | Path] = [need("keymgr"), "-c", world.folder / "ns1/knot.conf", apex, "ds"]
    done = subprocess.run(words, check=True, capture_output=True, timeout=30, text=True)
    return [line for line in done.stdout.splitlines() if " DS " in line]
