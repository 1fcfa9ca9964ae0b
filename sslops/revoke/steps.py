"""How revoke does it: first next says so, from where the replacement starts whatever happens; then the CA is asked."""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Protocol

from sslops.errors import SslopsError
from sslops.model.change import Change
from sslops.model.names import GenerationId, ServiceId
from sslops.model.plan import Verb, digest, require
from sslops.revoke import rules

if TYPE_CHECKING:
    from collections.abc import Sequence

    from sslops.model.inventory import Inventory
    from sslops.model.plan import Action, Plan
    from sslops.model.state import Generation
    from sslops.probe.survey import Clock
    from sslops.repo.snapshot import Snapshot
    from sslops.revoke.rules import RevokeOptions


class Ops(Protocol):
    """The ops repository."""

    def write_next(self, snapshot: Snapshot, changes: Sequence[Change]) -> Snapshot:
        """Commit *changes* on `next`, one each; must raise Moved when next is not what *snapshot* has."""
        ...


class Authority(Protocol):
    """Whoever issued a certificate."""

    def revoke(self, service: ServiceId, generation: Generation, reason: int) -> None:
        """Tell the CA; a certificate that is revoked already is a success. Raises SslopsError."""
        ...


@dataclass(slots=True)
class Revoker:
    """Revokes; *said* is why, in the words of whoever asks. `failures` has what a CA did not take."""

    inventory: Inventory
    ops: Ops
    authority: Authority
    clock: Clock
    options: RevokeOptions
    said: str = ""
    failures: list[tuple[ServiceId, SslopsError]] = field(default_factory=list)

    def plan(self, snapshot: Snapshot) -> Plan:
        """Return what revoke would do."""
        return rules.plan(self.inventory, snapshot.branches, self.clock.now(), self.options)

    def revoke(self, snapshot: Snapshot, expected_digest: str | None = None) -> Plan:
        """Revoke; asked again it tells the CA again. Moved when another run was faster."""
        plan = self.plan(snapshot)
        require(plan, expected_digest)
        actions = plan.of(Verb.REVOKE).actions
        changes = [
            change
            for service in sorted({ServiceId(each.group, each.service) for each in actions})
            if (change := self._change(service, actions, snapshot, digest(plan))) is not None
        ]
        self.ops.write_next(snapshot, changes)
        for action in actions:
            service = ServiceId(action.group, action.service)
            generation = rules.known(snapshot.branches, service).get(action.generation or GenerationId(""))
            try:
                if generation is not None and rules.is_told(self.inventory, generation):
                    self.authority.revoke(service, generation, self.options.reason.code)
            except SslopsError as error:
                self.failures.append((service, error))
        return plan

    def _change(self, service: ServiceId, actions: Sequence[Action], snapshot: Snapshot, plan: str) -> Change | None:
        """Return what marks the generations of one service; null where all are marked."""
        slots = snapshot.branches.next[service].slots
        ids = [each.generation for each in actions if (each.group, each.service) == (service.group, service.name)]
        fresh = [each for each in ids if each is not None and each not in slots.revoked]
        if not fresh:
            return None
        said = f": {self.said}" if self.said else ""
        return Change(
            action="revoke",
            service=service,
            title=f"{', '.join(fresh)}, {self.options.reason}",
            why=f"Asked for with --reason {self.options.reason}{said}. The next renew replaces it where it is in use.",
            slots=replace(slots, revoked=(*slots.revoked, *fresh), retry_at=None, failures=0),
            generation=fresh[0],
            plan=plan,
        )
