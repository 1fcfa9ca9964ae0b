"""What one run has of the servers: their receivers and their ports, as `deploy` and `publish` ask them."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass, field, replace
from datetime import timedelta
from typing import TYPE_CHECKING

from sslops.errors import SshError
from sslops.model.observations import PortSeen
from sslops.model.shipment import Answer, Held, Outcome
from sslops.simulate.hosts import HostFate
from sslops.simulate.scheduler import Killed

if TYPE_CHECKING:
    from collections.abc import Mapping

    from sslops.model.inventory import Host, Verify
    from sslops.model.names import GenerationId, ServiceId
    from sslops.model.shipment import Shipment
    from sslops.model.state import Generation
    from sslops.simulate.hosts import SimulatedHost
    from sslops.simulate.world import World


@dataclass(slots=True)
class Receivers:
    """The receivers of all hosts as one run reaches them; *fates* says what becomes of what it sends to a host."""

    world: World
    fates: Mapping[str, HostFate] = field(default_factory=dict)
    skew: timedelta = timedelta()
    """How far the clock of the run's machine is ahead of what is true."""
    has_ipv6: bool = True

    def look(self, host: Host) -> Answer:
        """Say what the host holds."""
        found = self.world.hosts[host.name]
        return self._told(found) if self._reaches(found) else _unreachable(host.name)

    def ask(self, host: Host, seq: int) -> Answer:
        """Raise the fence, and say what the host holds."""
        found = self.world.hosts[host.name]
        if not self._reaches(found):
            return _unreachable(host.name)
        return self._told(found) if found.is_newer(seq) else _fenced(found)

    def put(self, host: Host, seq: int, shipment: Shipment) -> Answer:
        """Switch and restart, unless its fate is another one."""
        found, fate = self.world.hosts[host.name], self.fates.get(host.name, HostFate.WELL)
        if not self._reaches(found):
            return _unreachable(host.name)
        if fate in {HostFate.KILLED_BEFORE, HostFate.NO_ANSWER}:
            found.under_way.append((seq, shipment))
            if fate is HostFate.KILLED_BEFORE:
                raise Killed
            return Answer(Outcome.TIMEOUT, trouble=SshError(f"no answer from '{host.name}'"))
        if not found.is_newer(seq):
            return _fenced(found)
        found.switch(shipment)
        if fate is HostFate.KILLED_HALFWAY:
            self.world.witness()
            raise Killed
        if fate is HostFate.LINGERS:
            found.unfinished -= {parcel.service for parcel in shipment.parcels}
            return self._told(found)
        found.end(shipment)
        self.world.witness()
        if fate is HostFate.KILLED_AFTER:
            raise Killed
        if fate is HostFate.FAILS:
            goes_back = found.go_back(shipment)
            if not goes_back:
                found.unfinished |= {parcel.service for parcel in shipment.parcels}
            self.world.witness()
            outcome = Outcome.WENT_BACK if goes_back else Outcome.STAYED
            return Answer(outcome, found.seq, trouble=SshError(f"the restart failed on '{host.name}'"))
        found.is_unseen = fate is HostFate.UNSEEN
        first = found.first & {parcel.service for parcel in shipment.parcels}
        found.first -= first
        dhparm = frozenset(each.group for each in shipment.dhparm)
        return replace(self._told(found), first=frozenset(first), dhparm=dhparm)

    def back(self, host: Host, seq: int, shipment: Shipment) -> Answer:
        """Go back, and show what is there."""
        found = self.world.hosts[host.name]
        found.is_unseen = False
        if not self._reaches(found):
            return _unreachable(host.name)
        if not found.is_newer(seq):
            return _fenced(found)
        found.go_back(shipment)
        self.world.witness()
        return self._told(found)

    def _reaches(self, found: SimulatedHost) -> bool:
        return found.is_reached(has_ipv6=self.has_ipv6)

    def _told(self, found: SimulatedHost) -> Answer:
        held = {
            service: Held(key, {"cert.pem": self._cert_sha256(service, key)}, intact=service not in found.damaged)
            for service, key in found.files.items()
        }
        drift = found.clock_ahead - self.skew
        return Answer(Outcome.DONE, found.seq, held, dict(found.includes), frozenset(found.unfinished), drift=drift)

    def _cert_sha256(self, service: ServiceId, generation: GenerationId) -> str:
        return hashlib.sha256(self.world.certificate(service, generation)).hexdigest()


@dataclass(frozen=True, slots=True)
class HostPorts:
    """What the ports of hosts show: to deploy, which knows the host, and to publish, which knows an address."""

    world: World
    has_ipv6: bool = True

    def show(
        self,
        host: Host,
        _verify: Verify,
        server_name: str,
        *,
        connections: int,
        over_seconds: float,
        key_types: tuple[str | None, ...] = (None,),
    ) -> PortSeen:
        """Return what a host's port shows to who asks for a name: what is first for it, else what is for it, else all.

        Asked for one kind of key it shows no other.
        """
        del over_seconds
        found = self.world.hosts[host.name]
        served = self._served(found)
        first = [each for each in served if each.issued is not None and server_name in each.issued.sans[:1]]
        named = [each for each in served if each.issued is not None and server_name in each.issued.sans]
        return self._shown(found, first or named or served, connections, key_types)

    def ask(self, address: str, verify: Verify, server_name: str, host: str | None = None) -> PortSeen:
        """Return what the port behind an address shows under a name: all that is shown there, of every kind of key.

        In this world hosts have no addresses of their own but those of names, so that *host* says which is meant.
        """
        del verify
        found = self.world.hosts[host or self.world.host_at(address)]
        return self._shown(found, self._served(found, server_name), 1, (None,))

    def _served(self, found: SimulatedHost, name: str | None = None) -> list[Generation]:
        shown = found.serving.items() if name is None else [
            (service, key) for service, key in found.serving.items() if self.world.is_shown_by_name(service, name)
        ]  # fmt: skip
        return [facts for service, key in shown if (facts := self.world.facts(service, key)) is not None]

    def _shown(
        self, found: SimulatedHost, served: list[Generation], connections: int, key_types: tuple[str | None, ...]
    ) -> PortSeen:
        if not found.is_reached(has_ipv6=self.has_ipv6):
            return PortSeen(error="connection refused")
        if found.is_unseen or not served:
            return PortSeen(frozenset({"something else"}), connections)
        kinds = {each.key_type for each in served} if None in key_types else set(key_types)
        shown = (each.issued.cert_sha256 for each in served if each.issued is not None and each.key_type in kinds)
        return PortSeen(frozenset(shown), connections)


def _unreachable(name: str) -> Answer:
    return Answer(Outcome.UNREACHABLE, trouble=SshError(f"'{name}' cannot be reached"))


def _fenced(found: SimulatedHost) -> Answer:
    trouble = SshError(f"a newer run was on '{found.name}'")
    return Answer(Outcome.FENCED, found.seq, trouble=trouble)
