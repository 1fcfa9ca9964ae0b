"""A name server on ::1, beside those of a `DnsWorld`: another secondary, which may lag by itself."""

from __future__ import annotations

from typing import TYPE_CHECKING

from sslops.model.inventory import Endpoint
from tests.world.dns import PRIMARY, ask
from tests.world.knot import Knot
from tests.world.loopback import IPV6, fresh_port
from tests.world.programs import wait_until

if TYPE_CHECKING:
    from tests.world.dns import DnsWorld

NAME = "ns3"


class Ipv6Secondary:
    """A secondary at `endpoint`; it looks for news every two seconds, since the primary does not notify it."""

    def __init__(self, world: DnsWorld) -> None:
        """Start it, and wait until it has the zones of *world*."""
        self._world = world
        self.endpoint = Endpoint(IPV6, fresh_port())
        self._knot = Knot(world.folder / NAME, world.secondary_config(NAME, self.endpoint))
        self.settle()

    def answers(self, owner: str, rdtype: str = "TLSA") -> frozenset[str]:
        """Return what it answers, each record as a zone file writes it; empty when there is none."""
        return ask(self.endpoint, owner, rdtype)[1]

    def lag(self) -> None:
        """Hold it back: it answers what it has now until `catch_up`."""
        self._knot.lag()

    def catch_up(self) -> None:
        """Let it follow again, and wait until it shows what the primary does."""
        self._knot.follow()
        self.settle()

    def stop(self) -> None:
        """End it; its address then refuses."""
        self._knot.stop()

    def settle(self) -> None:
        """Wait until it has every zone as the primary has it."""
        wait_until(lambda: all(self._agrees(apex) for apex in self._world.apexes), lambda: "the name servers differ")

    def _agrees(self, apex: str) -> bool:
        shown = self.answers(apex, "SOA")
        return bool(shown) and shown == self._world.answers(PRIMARY, apex, "SOA")
