"""How prune does it: a look at DNS only where something may go, then one commit on next for all services."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Protocol

from sslops.dane.records import Keys
from sslops.model.change import BulkChange
from sslops.model.plan import digest, require
from sslops.prune import rules
from sslops.prune.rules import DnsSeen

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from sslops.dane.records import Material
    from sslops.model.inventory import Inventory
    from sslops.model.names import GenerationId, ServiceId
    from sslops.model.plan import Plan
    from sslops.probe.survey import Clock, Observer
    from sslops.prune.rules import PruneOptions
    from sslops.repo.snapshot import Snapshot


class Ops(Protocol):
    """The ops repository."""

    def write_next(self, snapshot: Snapshot, changes: Sequence[BulkChange]) -> Snapshot:
        """Commit *changes* on `next` with main taken in; must raise Moved when next is not what *snapshot* has."""
        ...


@dataclass(frozen=True, slots=True)
class Pruner:
    """Drops generations that nobody needs; main loses them with the next roll, as it gets all that next has."""

    inventory: Inventory
    ops: Ops
    observer: Observer
    clock: Clock
    options: PruneOptions
    material: Mapping[tuple[ServiceId, GenerationId], Material] | None = None

    def plan(self, snapshot: Snapshot) -> Plan:
        """Return what prune would do, and what waits."""
        now, branches, proposed = self.clock.now(), snapshot.branches, tuple(snapshot.proposed.items())
        keys, found = Keys.of(branches, self.material), DnsSeen()
        if rules.candidates(self.inventory, branches, snapshot.ledger, now, self.options, proposed):
            found = self._dns(snapshot)
        return rules.plan(self.inventory, branches, snapshot.ledger, found, keys, now, self.options, proposed)

    def prune(self, snapshot: Snapshot, expected_digest: str | None = None) -> Plan:
        """Prune; Moved when another run was faster, to be tried again from the start."""
        plan = self.plan(snapshot)
        require(plan, expected_digest)
        going = rules.dropped(plan)
        if going:
            self.ops.write_next(snapshot, [_commit(going, digest(plan))])
        return plan

    def _dns(self, snapshot: Snapshot) -> DnsSeen:
        """Look at DNS; where the inventory has none the ledger alone knows of records."""
        if self.inventory.dns is None:
            return DnsSeen()
        look = self.observer.look(snapshot.ledger)
        return DnsSeen(look.repo, look.seen, look.failed)


def _commit(going: Mapping[ServiceId, tuple[GenerationId, ...]], plan: str) -> BulkChange:
    amount, services = sum(map(len, going.values())), len(going)
    title = f"{amount} old generation{'' if amount == 1 else 's'} of {services} service{'' if services == 1 else 's'}"
    why = (
        "No slot, host, record or certificate names them. "
        "Git keeps them: git log --diff-filter=D -- state/ finds the commits."
    )
    return BulkChange("prune", title, why, dropped=going, plan=plan)
