"""How publish does it where a forge merges: the branch first, then the request, then the patience of a person.

Whatever the branch holds may be in the base the next moment, so it counts as a proposal from the push on, and before
that as `pending`. It is moved only when what it would bring is not what is wanted, so an approval stays an approval.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

from sslops.errors import Moved
from sslops.model.change import Note
from sslops.model.proposal import Kind, Proposal
from sslops.plan.digest import digest
from sslops.publish.rules import waiting
from sslops.state.retrying import comes_true

if TYPE_CHECKING:
    from sslops.model.plan import Plan
    from sslops.model.seen import Zone
    from sslops.observe.look import Look
    from sslops.propose.ports import Requests
    from sslops.publish.ports import Describe
    from sslops.publish.rules import Publication
    from sslops.publish.steps import Publisher
    from sslops.publish.world import World
    from sslops.state.snapshot import Snapshot


@dataclass(frozen=True, slots=True)
class ByRequest:
    """How the DNS base moves where there is a forge: the *requests*, and who writes what they say."""

    requests: Requests
    describe: Describe


@dataclass(frozen=True, slots=True)
class Proposing:
    """One publish into a DNS repository whose base moves by merge requests only; *found* is what is to be proposed.

    *snapshot* has on its ledger what the look taught, so that evidence does not depend on a forge that answers.
    """

    stage: Publisher
    way: ByRequest
    snapshot: Snapshot
    found: Publication
    world: World
    look: Look

    def run(self) -> Plan:
        """Propose, and return what was done and what waits for whom; Moved when another run was faster."""
        if not self.found.plan.actions:
            # What could not be looked at now is no reason to take back what was found out before.
            if not self.stage.repository.is_open(self.look.failed):
                self._take_back()
            return self.found.plan
        name = digest(self.found.plan)
        refusal = self.way.requests.refusal(name)
        if refusal is not None:
            self._take_back()
            why = f"declined: {refusal.url} was closed; sslops publish --force opens it again"
            return waiting(self.found, self.world, why)
        is_pushed = not self.stage.repository.brings(self._zones)
        snapshot = self._push() if is_pushed else self.snapshot
        stated = self.way.requests.propose(self._request(name))
        if stated.merging is not None and self._is_merged():
            if not is_pushed and self.stage.stale(snapshot.ledger):
                # It was a run that is gone which pushed this; should it only sleep, its lease is still good.
                self._leased()
            self.stage.conclude(snapshot, self.found.plan)
            return self.found.plan
        left = waiting(self.found, self.world, stated.why)
        return replace(left, actions=self.found.plan.actions) if is_pushed else left

    def _push(self) -> Snapshot:
        """Move the branch to what is wanted, announced on the ledger before and taken off it after."""
        stage, repository = self.stage, self.stage.repository
        head, base = self._leased(), repository.base
        snapshot = stage.intend(self.snapshot, self.look, self.found, head)
        files = stage.files(self.found.proposals, self.snapshot.branches, self.look)
        repository.propose(base, head, files, stage.message(self.found.plan))
        repository.refresh()
        if not repository.brings(self._zones):
            # Our files moved in the base between our look and our push: what was decided was about other ones.
            message = f"the DNS base of {', '.join(self._zones)} moved while it was proposed"
            raise Moved(message, hint="run again")
        note = Note("publish", f"TLSA of {', '.join(self._zones)} is proposed", "What becomes of it a request tells.")
        return stage.settle(snapshot, self.look, note)

    def _take_back(self) -> None:
        """Take back what is proposed: the open request, what the branch would bring, what a run that is gone left."""
        repository, is_stale = self.stage.repository, bool(self.stage.stale(self.snapshot.ledger))
        is_open = repository.is_open()
        if is_open:
            # The request first: some forges close one whose branch brings nothing, as if a person had declined it.
            self.way.requests.withdraw()
        if is_stale:
            self._leased()
            self.stage.settle(self.snapshot, self.look, Note("publish", "nothing is proposed", "A run was gone."))
        elif is_open or (repository.head is None and self.world.owners.names):
            # Forges offer to restore a branch that was deleted, with the plan it had; none does where there is one.
            repository.fence(repository.head, self._empty("nothing is left to propose"))

    def _leased(self) -> str:
        """Return the head to lease on, one that no run can know which sleeps (see `adapters/proposal_branch.py`)."""
        repository, stale = self.stage.repository, self.stage.stale(self.snapshot.ledger)
        if stale:
            return repository.fence(repository.head, self._empty(f"take over from {', '.join(stale)}"))
        return repository.head or repository.fence(None, self._empty("nothing yet"))

    def _empty(self, what: str) -> str:
        return f"publish: {what}\n\nSslops-Action: publish\nSslops-Run: {self.stage.run}\n"

    @property
    def _zones(self) -> dict[str, Zone]:
        return {proposal.apex: proposal.zone for proposal in self.found.proposals}

    def _request(self, name: str) -> Proposal:
        head = self.stage.repository.head
        if head is None:
            message = "the proposal branch was deleted while it was proposed"
            raise Moved(message, hint="run again")
        text = self.way.describe(self.found, self.world, self.way.requests.body_limit)
        return Proposal(Kind.TLSA, self.way.requests.target, head, name, text.title, text.body)

    def _is_merged(self) -> bool:
        """Whether the base says what was proposed, within the time in which a forge that merges by itself does."""

        def look() -> bool:
            self.stage.repository.refresh()
            return self.stage.repository.base_says(self._zones)

        return comes_true(look, sleep=self.stage.sleep, seconds=self.stage.patience_seconds)
