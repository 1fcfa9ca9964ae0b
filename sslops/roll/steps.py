"""How roll does it: a look at DNS, the verdicts, then one commit for each service and one push for all."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from sslops.dane.may_serve import Gate
from sslops.dane.records import Keys
from sslops.dane.rrset_inputs import as_expected
from sslops.errors import StateError
from sslops.model.cause import Cause
from sslops.model.change import Change, Note
from sslops.model.names import ServiceId
from sslops.model.plan import Plan, digest, require
from sslops.model.proposal import Kind, Proposal
from sslops.proposals.engine import sync
from sslops.repo.retrying import comes_true
from sslops.repo.take_in import applied, rolls
from sslops.roll import rules
from sslops.system.progress import NOBODY

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

    from sslops.dane.records import Material
    from sslops.model.inventory import Inventory
    from sslops.model.ledger import Ledger
    from sslops.model.names import GenerationId
    from sslops.model.plan import Action, Wait
    from sslops.probe.survey import Observer
    from sslops.repo.snapshot import Snapshot
    from sslops.roll.ports import Certificates, Clock, Describe, Ops, Requests
    from sslops.roll.rules import RollOptions
    from sslops.system.progress import Talk


PATIENCE_SECONDS = 30
"""How long a forge is waited for that was asked to merge."""


@dataclass(frozen=True, slots=True)
class ByRequest:
    """How main moves where there is a forge: the *requests*, and who writes what they say; *sleep* takes seconds."""

    requests: Requests
    describe: Describe
    sleep: Callable[[float], None]
    talk: Talk = NOBODY


@dataclass(frozen=True, slots=True)
class Roller:
    """Rolls what is ready; *way* null: the engine merges by itself."""

    inventory: Inventory
    ops: Ops
    observer: Observer
    clock: Clock
    options: RollOptions
    material: Mapping[tuple[ServiceId, GenerationId], Material] | None = None
    way: ByRequest | None = None
    certificates: Certificates | None = None
    """Null where there are no certificates to look at: in a world of rules alone."""

    def plan(self, snapshot: Snapshot, *, asks_forge: bool = False) -> Plan:
        """Return what roll would do, and what waits; the forge is asked only with *asks_forge*."""
        plan, _ = self._judged(snapshot, self._unfit(snapshot))
        return plan if self.way is None else plan + Plan(waits=self._proposed(snapshot, asks_forge=asks_forge))

    def roll(self, snapshot: Snapshot, expected_digest: str | None = None) -> Plan:
        """Roll; Moved when another run was faster, to be tried again from the start."""
        unfit = self._unfit(snapshot)
        plan, ledger = self._judged(snapshot, unfit)
        self._require_planned(snapshot, plan, unfit)
        require(plan, expected_digest)
        note = Note("observe", "what DNS shows", "A look at the name servers found something new.")
        snapshot = self.ops.write_ledger(snapshot, ledger, note)
        name = digest(plan)
        changes = [self._change(action, snapshot, name) for action in plan.actions]
        if self.way is None:
            self.ops.write_roll(snapshot, changes)
            return plan
        return plan + Plan(waits=self._propose(self.way, snapshot, changes))

    def _judged(self, snapshot: Snapshot, unfit: Mapping[tuple[ServiceId, GenerationId], str]) -> tuple[Plan, Ledger]:
        """Return the plan, and the ledger as it stands after the look that it rests on."""
        keys, ledger = Keys.of(snapshot.branches, self.material), as_expected(snapshot.ledger, self.inventory)
        if not self._asks_dns(snapshot):
            gate = Gate(ledger, {}, keys, (), self.clock.now())
            return rules.plan(self.inventory, snapshot.branches, gate, self.options, unfit), ledger
        look = self.observer.look(snapshot.ledger)
        ledger = look.advanced(ledger)
        gate = look.gate(self.inventory, ledger, keys, self.clock.now())
        return rules.plan(self.inventory, snapshot.branches, gate, self.options, unfit), ledger

    def _unfit(self, snapshot: Snapshot) -> Mapping[tuple[ServiceId, GenerationId], str]:
        """Return what is wrong with the certificates that may become live in this run."""
        candidates = {
            service: each
            for service in self.inventory.services
            if self.options.targets is None or service in self.options.targets
            if (each := rules.candidate(service, snapshot.branches, back=self.options.back)) is not None
        }
        asked = (*candidates.items(), *rules.pending(snapshot.branches).items())
        return self.certificates.unfit(asked) if self.certificates is not None and asked else {}

    def _require_planned(
        self, snapshot: Snapshot, plan: Plan, unfit: Mapping[tuple[ServiceId, GenerationId], str]
    ) -> None:
        """Refuse to move main where next would change more there than rolls do."""
        planned = {ServiceId(each.group, each.service): each.generation for each in plan.actions if each.generation}
        strays = list(
            rules.unplanned(
                self.inventory,
                snapshot.branches,
                planned,
                unfit,
                self.clock.now(),
                merges=self.way is None,
            )
        )
        if strays:
            head = (snapshot.next_commit or "")[:10]
            what = f"'{self.inventory.repo.next_branch}' (at {head}) says what no roll can: {'; '.join(strays)}"
            hint = f"git log {self.inventory.repo.next_branch} -- state/, and take off what the bot did not write"
            raise StateError(what, hint=hint)

    # Where a forge merges.

    def _propose(self, way: ByRequest, snapshot: Snapshot, changes: Sequence[Change]) -> tuple[Wait, ...]:
        """Write *changes* on next, let one request ask for every roll that main lacks, and return what waits."""
        rolled = rolls(snapshot.branches.main, applied(snapshot.branches.next, changes))
        change = _ProposedRoll(self, way, snapshot, changes, rolled)
        if not rolled:
            change.take_back(way.requests.withdraw)
            return ()
        hold = rules.held(self.inventory, rolled, self.clock.now())
        done = sync(way.requests, change, change.digest, may_merge=hold is None)
        if done.is_merged:
            return ()
        why = done.why("roll")
        is_held = hold is not None and not done.stated.is_declined
        return self._waits(change.snapshot, rolled, f"{why}; {hold}" if is_held else why, done.stated.cause)

    def _proposed(self, snapshot: Snapshot, *, asks_forge: bool) -> tuple[Wait, ...]:
        """Return the waits for what was proposed before, told from the branches and, if it may be asked, the forge."""
        rolled = rolls(snapshot.branches.main, snapshot.branches.next)
        if not rolled or self.way is None:
            return ()
        stated = self.way.requests.look(digest(rules.request(rolled))) if asks_forge else None
        if stated is not None:
            return self._waits(snapshot, rolled, stated.why, stated.cause)
        is_declined = rolled != snapshot.proposed
        told = "declined" if is_declined else f"proposed on '{Kind.ROLL.branch}'"
        cause = Cause.DECLINED if is_declined else Cause.REVIEW
        return self._waits(snapshot, rolled, f"{told}; --fetch asks the forge", cause)

    def _waits(
        self, snapshot: Snapshot, rolled: Mapping[ServiceId, GenerationId], why: str, cause: Cause
    ) -> tuple[Wait, ...]:
        return rules.request_waits(snapshot.branches, rolled, self.clock.now(), why, cause)

    def _asks_dns(self, snapshot: Snapshot) -> bool:
        """Whether a candidate has DANE, or may still have it in DNS after it left the inventory."""
        back = self.options.back
        candidates = [s for s in self.inventory.active() if rules.is_candidate(s, snapshot.branches, back=back)]
        return any(service.dane or self.inventory.dns is not None for service in candidates)

    def _change(self, action: Action, snapshot: Snapshot, plan: str) -> Change:
        service = ServiceId(action.group, action.service)
        state, is_back, now = snapshot.branches.next[service], action.reason == rules.RollReason.BACK, self.clock.now()
        return Change(
            action="roll",
            service=service,
            title=f"back to {action.generation}" if is_back else f"{action.generation} is live",
            why=f"{action.why}.",
            slots=rules.back_slots(state, now) if is_back else rules.rolled_slots(state.slots, now),
            generation=action.generation,
            plan=plan,
        )


@dataclass(slots=True)
class _ProposedRoll:
    """The rolls that main lacks, as `sslops.proposals.engine.sync` knows a change; *changes* are this run's own."""

    stage: Roller
    way: ByRequest
    snapshot: Snapshot
    changes: Sequence[Change]
    rolled: Mapping[ServiceId, GenerationId]

    @property
    def digest(self) -> str:
        """What a person declines."""
        return digest(rules.request(self.rolled))

    def brings(self) -> bool:
        """Whether the roll branch has just these rolls."""
        return self.rolled == self.snapshot.proposed

    def push(self, *, anew: bool) -> None:
        """Write *changes* on next, and let the roll branch follow where the set of rolls is another one.

        It is not made *anew* for a main that moved on: next takes that in, and a person presses "update branch".
        """
        if not anew:
            self.snapshot = self.stage.ops.write_roll(self.snapshot, self.changes)

    def take_back(self, withdraw: Callable[[], None]) -> None:
        """Let the roll branch bring nothing; *changes* are written all the same."""
        if self.snapshot.proposed:
            # The request first: some forges close one whose branch brings nothing, as if a person declined it.
            withdraw()
        self.stage.ops.write_roll(self.snapshot, self.changes, is_declined=True)

    def proposal(self, limit: int) -> Proposal:
        """Return what to ask for."""
        text = self.way.describe(self.snapshot, self.digest, limit)
        head = self.snapshot.roll_commit or ""
        return Proposal(Kind.ROLL, self.way.requests.target, head, self.digest, text.title, text.body)

    def is_merged(self) -> bool:
        """Whether main has the rolls, within the time in which a forge that merges by itself does."""

        def look() -> bool:
            main = self.stage.ops.refresh().branches.main
            return all(main[service].slots.curr == generation for service, generation in self.rolled.items())

        with self.way.talk.progress(f"waiting until the forge has merged '{Kind.ROLL.branch}'"):
            return comes_true(look, sleep=self.way.sleep, seconds=PATIENCE_SECONDS)
