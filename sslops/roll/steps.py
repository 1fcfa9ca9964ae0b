"""How roll does it: a look at DNS, the verdicts, then one commit for each service and one push for all."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from sslops.dane.gate import Gate
from sslops.dane.records import Keys
from sslops.model.change import Change, Note
from sslops.model.names import ServiceId
from sslops.plan.digest import digest, require
from sslops.roll import rules

if TYPE_CHECKING:
    from collections.abc import Mapping

    from sslops.dane.records import Material
    from sslops.model.inventory import Inventory
    from sslops.model.ledger import Ledger
    from sslops.model.names import GenerationId
    from sslops.model.plan import Action, Plan
    from sslops.observe.look import Observer
    from sslops.roll.ports import Clock, Ops
    from sslops.roll.rules import RollOptions
    from sslops.state.snapshot import Snapshot


@dataclass(frozen=True, slots=True)
class Roller:
    """Rolls what is ready."""

    inventory: Inventory
    ops: Ops
    observer: Observer
    clock: Clock
    options: RollOptions
    material: Mapping[tuple[ServiceId, GenerationId], Material] | None = None

    def plan(self, snapshot: Snapshot) -> tuple[Plan, Ledger]:
        """Return the plan, and the ledger as it stands after the look that it rests on."""
        keys = Keys.of(snapshot.branches, self.material)
        if not self._asks_dns(snapshot):
            gate = Gate(snapshot.ledger, {}, keys, (), self.clock.now())
            return rules.plan(self.inventory, snapshot.branches, gate, self.options), snapshot.ledger
        look = self.observer.look(snapshot.ledger)
        ledger = look.advanced(snapshot.ledger)
        gate = look.gate(self.inventory, ledger, keys, self.clock.now())
        return rules.plan(self.inventory, snapshot.branches, gate, self.options), ledger

    def roll(self, snapshot: Snapshot, expected_digest: str | None = None) -> Plan:
        """Roll; Moved when another run was faster, to be tried again from the start."""
        plan, ledger = self.plan(snapshot)
        require(plan, expected_digest)
        note = Note("observe", "what DNS shows", "A look at the name servers found something new.")
        snapshot = self.ops.write_ledger(snapshot, ledger, note)
        name = digest(plan)
        self.ops.write_roll(snapshot, [self._change(action, snapshot, name) for action in plan.actions])
        return plan

    def _asks_dns(self, snapshot: Snapshot) -> bool:
        """Whether a candidate has DANE, or may still have it in DNS after it left the inventory."""
        candidates = [service for service in self.inventory.active() if rules.is_candidate(service, snapshot.branches)]
        return any(service.dane or self.inventory.dns is not None for service in candidates)

    def _change(self, action: Action, snapshot: Snapshot, plan: str) -> Change:
        service = ServiceId(action.group, action.service)
        state = snapshot.branches.next[service]
        return Change(
            action="roll",
            service=service,
            title=f"{action.generation} is live",
            why=f"{action.why}.",
            slots=rules.rolled_slots(state.slots, self.clock.now()),
            generation=action.generation,
            plan=plan,
        )
