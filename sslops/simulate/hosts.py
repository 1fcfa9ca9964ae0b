"""The servers and their receivers: files are switched, daemons restart, and what is under way may arrive late.

A receiver refuses a number below the highest that it has seen; everything else it does.
"""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from enum import StrEnum
from typing import TYPE_CHECKING

from sslops.deploy.session_plan import Shown
from sslops.errors import SshError
from sslops.model.observations import PortSeen
from sslops.model.shipment import Answer, Held, Outcome

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Mapping

    from sslops.deploy.session_plan import Question
    from sslops.model.inventory import Host
    from sslops.model.names import GenerationId, ServiceId
    from sslops.model.shipment import Parcel, Shipment
    from sslops.model.state import Generation

    Facts = Callable[[ServiceId, GenerationId], Generation | None]


class Fate(StrEnum):
    """What becomes of one shipment."""

    WELL = "well"
    KILLED_BEFORE = "the run is killed, and the receiver sleeps"
    KILLED_HALFWAY = "the files are switched, and everything is killed"
    KILLED_AFTER = "all is done, and the run is killed"
    NO_ANSWER = "the receiver sleeps, and the run goes on"
    FAILS = "the restart fails, and everything goes back"
    UNSEEN = "the port shows something else for a while, and everything goes back"


class Killed(BaseException):
    """The run is gone: nothing of it happens any more."""


@dataclass(slots=True)
class SimulatedHost:
    """One server: its files, what its daemons loaded, the highest number its receiver saw, and what is under way."""

    name: str
    files: dict[ServiceId, GenerationId] = field(default_factory=dict)
    serving: dict[ServiceId, GenerationId] = field(default_factory=dict)
    unfinished: set[ServiceId] = field(default_factory=set)
    former: dict[ServiceId, GenerationId] = field(default_factory=dict)
    """The way back of each service."""
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
        self.damaged -= sent.keys()
        self.unfinished |= sent.keys()
        if not shipment.restarts:
            self.end(shipment)

    def end(self, shipment: Shipment) -> None:
        """Restart where a restart comes with the files; where none does they are in place, and that is all."""
        if shipment.restarts or self.loads_alone:
            self.restart()
        self.unfinished -= {parcel.service for parcel in shipment.parcels}

    def remember(self, parcel: Parcel) -> None:
        """Set the way back of a service, as the receiver does."""
        service, way_back = parcel.service, self.files.get(parcel.service)
        if service in self.unfinished:
            way_back = self.former.get(service, None if service in self.first else way_back)
        if way_back is None:
            self.former.pop(service, None)
            self.first.add(service)
            return
        self.first.discard(service)
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

    def remove(self, service: ServiceId) -> None:
        """Take a service away, as a person does."""
        self.files.pop(service, None)
        self.serving.pop(service, None)
        self.unfinished.discard(service)
        self.former.pop(service, None)
        self.damaged.discard(service)


@dataclass(slots=True)
class Receivers:
    """The receivers of all hosts, and the questions to their ports: the ports of `sslops.deploy`.

    *witness* is called after each thing that clients could notice.
    """

    hosts: Mapping[str, SimulatedHost]
    facts: Facts
    witness: Callable[[], None]
    fate: Fate = Fate.WELL

    def look(self, host: Host) -> Answer:
        """Say what the host holds."""
        found = self.hosts[host.name]
        if not found.is_up:
            return _unreachable(host.name)
        held = {
            service: replace(self._held(service, key), intact=service not in found.damaged)
            for service, key in found.files.items()
        }
        return Answer(Outcome.DONE, found.seq, held, {}, frozenset(found.unfinished))

    def ask(self, host: Host, seq: int) -> Answer:
        """Raise the fence, and say what the host holds."""
        found = self.hosts[host.name]
        if not found.is_up:
            return _unreachable(host.name)
        if not found.is_newer(seq):
            return _fenced(found)
        return self.look(host)

    def put(self, host: Host, seq: int, shipment: Shipment) -> Answer:
        """Switch and restart, unless its fate is another one."""
        found = self.hosts[host.name]
        if not found.is_up:
            return _unreachable(host.name)
        if self.fate in {Fate.KILLED_BEFORE, Fate.NO_ANSWER}:
            found.under_way.append((seq, shipment))
            if self.fate is Fate.KILLED_BEFORE:
                raise Killed
            return Answer(Outcome.TIMEOUT, trouble=SshError(f"no answer from '{host.name}'"))
        if not found.is_newer(seq):
            return _fenced(found)
        found.switch(shipment)
        if self.fate is Fate.KILLED_HALFWAY:
            self.witness()
            raise Killed
        found.end(shipment)
        self.witness()
        if self.fate is Fate.KILLED_AFTER:
            raise Killed
        if self.fate is Fate.FAILS:
            goes_back = found.go_back(shipment)
            if not goes_back:
                found.unfinished |= {parcel.service for parcel in shipment.parcels}
            self.witness()
            return Answer(
                Outcome.WENT_BACK if goes_back else Outcome.STAYED,
                found.seq,
                trouble=SshError(f"the restart failed on '{host.name}'"),
            )
        found.is_unseen = self.fate is Fate.UNSEEN
        first = found.first & {parcel.service for parcel in shipment.parcels}
        found.first -= first
        return replace(self.look(host), first=frozenset(first))

    def back(self, host: Host, seq: int, shipment: Shipment) -> Answer:
        """Go back, and show what is there."""
        found = self.hosts[host.name]
        found.is_unseen = False
        if not found.is_up:
            return _unreachable(host.name)
        if not found.is_newer(seq):
            return _fenced(found)
        found.go_back(shipment)
        self.witness()
        return self.look(host)

    def arrive(self, name: str, place: int) -> None:
        """Let a receiver that slept act on what is under way."""
        found = self.hosts[name]
        seq, shipment = found.under_way.pop(place)
        if found.is_newer(seq):
            found.switch(shipment)
            found.end(shipment)
            self.witness()

    def prove(
        self, host: Host, asked: Mapping[ServiceId, tuple[Question, ...]], *, is_patient: bool = True
    ) -> Mapping[ServiceId, Shown]:
        """Put the questions to what the daemons have loaded."""
        del is_patient
        return {service: self._shown(host, service, questions) for service, questions in asked.items()}

    def port(self, host: str, services: Iterable[ServiceId] | None = None) -> PortSeen:
        """Return what a host's port shows, of these services or of all."""
        found = self.hosts[host]
        if not found.is_up:
            return PortSeen(error="connection refused")
        shown = found.serving.items() if services is None else [
            (service, found.serving[service]) for service in services if service in found.serving
        ]  # fmt: skip
        facts = [self.facts(service, key) for service, key in shown]
        certificates = frozenset(each.issued.cert_sha256 for each in facts if each is not None and each.issued)
        return PortSeen(certificates or frozenset({"something else"}), 3)

    def _held(self, service: ServiceId, generation: GenerationId) -> Held:
        facts = self.facts(service, generation)
        digest = facts.issued.cert_sha256 if facts is not None and facts.issued is not None else ""
        return Held(generation, {"cert.pem": digest}, intact=True)

    def _shown(self, host: Host, service: ServiceId, questions: tuple[Question, ...]) -> Shown:
        if not questions:
            return Shown("files")
        found = self.hosts[host.name]
        if not found.is_up or found.is_unseen:
            return Shown(None, f"the port of '{host.name}' could not be asked")
        key = found.serving.get(service)
        facts = None if key is None else self.facts(service, key)
        shown = facts.issued.cert_sha256 if facts is not None and facts.issued is not None else ""
        if all(question.own == shown for question in questions):
            return Shown("port")
        return Shown(None, f"the port of '{host.name}' shows another certificate")


def _unreachable(name: str) -> Answer:
    return Answer(Outcome.UNREACHABLE, trouble=SshError(f"'{name}' cannot be reached"))


def _fenced(found: SimulatedHost) -> Answer:
    trouble = SshError(f"a newer run was on '{found.name}'")
    return Answer(Outcome.FENCED, found.seq, trouble=trouble)
