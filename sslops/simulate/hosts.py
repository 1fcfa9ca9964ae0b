"""The servers: files are switched, daemons restart, and what is under way may arrive late.

A receiver refuses a number below the highest that it has seen; everything else it does.
"""

from __future__ import annotations

import hashlib
from dataclasses import dataclass, field
from datetime import timedelta
from enum import StrEnum
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from sslops.model.names import GenerationId, ServiceId
    from sslops.model.shipment import Parcel, Shipment


class HostFate(StrEnum):
    """What becomes of one shipment."""

    WELL = "well"
    KILLED_BEFORE = "the run is killed, and the receiver sleeps"
    KILLED_HALFWAY = "the files are switched, and everything is killed"
    KILLED_AFTER = "all is done, and the run is killed"
    NO_ANSWER = "the receiver sleeps, and the run goes on"
    FAILS = "the restart fails, and everything goes back"
    LINGERS = "the restart is said to have worked, and the daemon goes on with what it had"
    UNSEEN = "the port shows something else for a while, and everything goes back"


@dataclass(slots=True)
class SimulatedHost:
    """One server: its files, what its daemons loaded, the highest number its receiver saw, and what is under way."""

    name: str
    files: dict[ServiceId, GenerationId] = field(default_factory=dict)
    serving: dict[ServiceId, GenerationId] = field(default_factory=dict)
    unfinished: set[ServiceId] = field(default_factory=set)
    former: dict[ServiceId, GenerationId] = field(default_factory=dict)
    """The rollback target of each service."""
    first: set[ServiceId] = field(default_factory=set)
    """Services that came where nothing was before, in a session whose restarts are not through."""
    damaged: set[ServiceId] = field(default_factory=set)
    """Services of which somebody touched a file."""
    is_unseen: bool = False
    """Whether its port shows nothing that anybody expects, until it went back."""
    seq: int = 0
    is_up: bool = True
    """Whether we can reach it; clients always can."""
    under_way: list[tuple[int, Shipment]] = field(default_factory=list)
    is_strange: bool = False
    """Whether it shows something that nobody of us gave it, until it gets its first certificate."""
    has_daemon: bool = True
    """Whether something shows its files once it is restarted; without, they are copies."""
    loads_alone: bool = True
    """Whether daemons notice new files by themselves where no restart comes with them."""
    includes: dict[str, str] = field(default_factory=dict)
    """Apex to SHA-256 of its include file."""
    clock_ahead: timedelta = timedelta()
    """How far its clock is ahead of what is true."""
    is_ipv6_only: bool = False

    def is_reached(self, *, has_ipv6: bool) -> bool:
        """Whether a machine of ours can reach it."""
        return self.is_up and (has_ipv6 or not self.is_ipv6_only)

    def is_newer(self, seq: int) -> bool:
        """Whether the receiver lets a number act: it has not seen a higher one. What it lets act it remembers."""
        if seq < self.seq:
            return False
        self.seq = seq
        return True

    def switch(self, shipment: Shipment) -> None:
        """Put the files in place."""
        sent = {parcel.service: parcel.generation for parcel in shipment.parcels}
        for parcel in shipment.parcels:
            self.remember(parcel)
        self.files |= sent
        self.includes |= {each.apex: hashlib.sha256(each.content).hexdigest() for each in shipment.includes}
        self.damaged -= sent.keys()
        self.unfinished |= sent.keys()
        if not shipment.restarts:
            self.end(shipment)

    def end(self, shipment: Shipment) -> None:
        """Restart where a restart comes with the files; where none does they are in place, and that is all."""
        if shipment.restarts or (self.loads_alone and shipment.parcels):
            self.restart()
        self.unfinished -= {parcel.service for parcel in shipment.parcels}

    def remember(self, parcel: Parcel) -> None:
        """Set the rollback target of a service, as the receiver does."""
        service, way_back = parcel.service, self.files.get(parcel.service)
        if service in self.unfinished:
            way_back = self.former.get(service, None if service in self.first else way_back)
        if way_back is None:
            self.former.pop(service, None)
            self.first.add(service)
            return
        self.first.discard(service)
        if way_back == parcel.generation:
            # The same again, whole or not: a receiver may have nothing better than what was there before that.
            way_back = self.former.get(service, way_back)
        if parcel.returns_to is not None and way_back not in parcel.returns_to:
            way_back = parcel.generation
        self.former[service] = way_back

    def go_back(self, shipment: Shipment) -> bool:
        """Put every service of the shipment back to what it was, and restart; whether there was one that could.

        What came where nothing was stays. Where that is all, nothing restarts.
        """
        returning = {parcel.service for parcel in shipment.parcels} & self.former.keys()
        self.files |= {service: self.former[service] for service in returning}
        if returning:
            self.end(shipment)
        return bool(returning)

    def restart(self) -> None:
        """Let every daemon load what is there."""
        self.serving = dict(self.files) if self.has_daemon else {}
        self.is_strange = self.is_strange and not self.serving
        self.unfinished.clear()

    def arrive(self, place: int) -> bool:
        """Let a receiver that slept act on what is under way; whether it did."""
        seq, shipment = self.under_way.pop(place)
        if not self.is_newer(seq):
            return False
        self.switch(shipment)
        self.end(shipment)
        return True

    def remove(self, service: ServiceId) -> None:
        """Take a service away, as a person does."""
        self.files.pop(service, None)
        self.serving.pop(service, None)
        self.unfinished.discard(service)
        self.former.pop(service, None)
        self.damaged.discard(service)
