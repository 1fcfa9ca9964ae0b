"""The whole of it: the ops repository with its branches, DNS, hosts, time, and the promise held against all of them."""

from __future__ import annotations

from collections import ChainMap
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING

from sslops.dane.records import Keys
from sslops.errors import SslopsError
from sslops.model.ledger import Ledger
from sslops.model.state import Branches, ServiceState, State
from sslops.repo.take_in import CurrHistory, differing, take_in
from sslops.simulate.hosts import Receivers

if TYPE_CHECKING:
    from collections.abc import Mapping
    from datetime import datetime, timedelta

    from sslops.dane.records import Material
    from sslops.model.inventory import Inventory
    from sslops.model.names import GenerationId, ServiceId
    from sslops.model.state import Generation, Slots
    from sslops.model.tlsa import Rrset
    from sslops.simulate.dns import Dns
    from sslops.simulate.hosts import SimulatedHost


class PromiseError(SslopsError):
    """A cache may hold an RRset that does not match what a host serves."""


@dataclass(frozen=True, slots=True)
class Snapshot:
    """The ops repository as one run fetched it; every write compares the moves with what they are by then."""

    inventory: Inventory
    branches: Branches
    ledger: Ledger
    ledger_moves: int
    state_moves: int


@dataclass(slots=True)
class OpsRepository:
    """The branches `main`, `next` and `ledger`; *is_reviewed*: a person merges rolls."""

    inventory: Inventory
    main: State = field(default_factory=State)
    next: State = field(default_factory=State)
    ledger: Ledger = field(default_factory=Ledger)
    is_reviewed: bool = False
    request: State | None = None
    """What a person may merge into main."""
    ledger_moves: int = 0
    state_moves: int = 0
    past: dict[ServiceId, list[Slots]] = field(default_factory=dict)
    """The slots of each service on main, oldest first."""
    taken_in: dict[ServiceId, int] = field(default_factory=dict)
    """How much of `past` is in next."""

    def branches(self) -> Branches:
        """Return both branches, main taken into next."""
        histories = {
            service: CurrHistory(
                tuple(slots.curr for slots in self.past.get(service, [])), self.taken_in.get(service, 0)
            )
            for service in differing(self.main, self.next)
        }
        return Branches(self.main, take_in(self.main, self.next, histories).state)

    def snapshot(self) -> Snapshot:
        """Fetch."""
        return Snapshot(self.inventory, self.branches(), self.ledger, self.ledger_moves, self.state_moves)

    def write_ledger(self, snapshot: Snapshot, ledger: Ledger) -> Snapshot | None:
        """Push *ledger*; null when another run was faster."""
        if ledger == snapshot.ledger:
            return snapshot
        if snapshot.ledger_moves != self.ledger_moves:
            return None
        self.ledger_moves += 1
        self.ledger = ledger
        return replace(snapshot, ledger=ledger, ledger_moves=self.ledger_moves)

    def write_next(self, snapshot: Snapshot, changes: Mapping[ServiceId, ServiceState], *, is_roll: bool) -> bool:
        """Push *changes* to next; without review a roll moves main there too. False when another run was faster."""
        if snapshot.state_moves != self.state_moves:
            return False
        self.state_moves += 1
        self.next = State({**snapshot.branches.next.services, **changes})
        self.taken_in = {service: len(slots) for service, slots in self.past.items()}
        if is_roll and not self.is_reviewed:
            self.set_main(self.next)
        elif is_roll:
            self.request = self.next
        return True

    def merge_request(self) -> None:
        """Let a person merge the open roll."""
        if self.request is not None:
            self.state_moves += 1
            self.set_main(self.request)

    def set_main(self, state: State) -> None:
        """Move main, whoever does it; an open request was made for another one."""
        self.main, self.request = state, None
        for service, found in state.services.items():
            line = self.past.setdefault(service, [])
            if not line or line[-1] != found.slots:
                line.append(found.slots)

    def revert(self, service: ServiceId, slots: Slots) -> None:
        """Let a person put one service back on main to what it was there before."""
        self.state_moves += 1
        found = replace(self.main[service], slots=slots)
        self.set_main(State({**self.main.services, service: found}))


@dataclass(slots=True)
class World:
    """Everything that exists, and what is true of it."""

    now: datetime
    ops: OpsRepository
    dns: Dns
    hosts: dict[str, SimulatedHost]
    material: Mapping[tuple[ServiceId, GenerationId], Material] = field(default_factory=dict)
    is_dns_reviewed: bool = False
    """Whether a person merges what publish proposes."""
    shown_at: Mapping[ServiceId, set[str]] | None = None
    """The owner names whose ports show a service; null: every port shows everything."""
    invented: dict[tuple[ServiceId, GenerationId], Material] = field(default_factory=dict)
    """Keys and certificates that exist only here; `material` has those of the repository."""
    receivers: Receivers = field(init=False)
    _matches: dict[tuple[str, Rrset, ServiceId, GenerationId], bool] = field(default_factory=dict)

    def __post_init__(self) -> None:
        """Wire the receivers to this world."""
        self.material = ChainMap(self.invented, self.material)  # type: ignore[arg-type]
        self.receivers = Receivers(self.hosts, self.facts, self.witness)

    def facts(self, service: ServiceId, generation: GenerationId) -> Generation | None:
        """Return what either branch knows of a generation."""
        found = (state[service].generations.get(generation) for state in (self.ops.next, self.ops.main))
        return next((each for each in found if each is not None), None)

    @property
    def keys(self) -> Keys:
        """The keys of all generations, by whichever branch knows them."""
        return Keys.of(Branches(self.ops.main, self.ops.next), self.material)

    # Time and the promise.

    def wait(self, span: timedelta) -> None:
        """Let time pass."""
        self.witness()
        self.now += span
        self.witness()

    def witness(self) -> None:
        """Let caches ask every server; PromiseError when one may hold what does not match what a host serves."""
        self.dns.remember(self.now)
        for owner, rrset in self.dns.cached:
            for host in self.hosts.values():
                if host.is_strange:
                    raise PromiseError(f"'{host.name}' shows something else, and a cache may hold records of {owner}")
                for service, generation in host.serving.items():
                    if self.is_shown_at(service, owner) and not self._is_matched(owner, rrset, service, generation):
                        raise PromiseError(_broken(host.name, service, generation, owner, rrset))

    def is_shown_at(self, service: ServiceId, owner: str) -> bool:
        """Whether hosts that have *service* show it to whoever asks for *owner*."""
        return self.shown_at is None or owner in self.shown_at.get(service, ())

    def _is_matched(self, owner: str, rrset: Rrset, service: ServiceId, generation: GenerationId) -> bool:
        key = (owner, rrset, service, generation)
        if key not in self._matches:
            self._matches[key] = all(
                self.keys.matching(owner, params, service, generation) & rrset.records for params in rrset.combinations
            )
        return self._matches[key]


def _broken(host: str, service: ServiceId, generation: GenerationId, owner: str, rrset: Rrset) -> str:
    shown = ", ".join(f"{record.params} {record.data[:8]}" for record in sorted(rrset.records))
    return f"'{host}' serves {generation} of {service}, and a cache may hold {shown} of {owner}"
