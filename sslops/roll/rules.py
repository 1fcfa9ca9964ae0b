"""What `roll` may make live, and when. Pure.

`mature_at` is the one rule of `min_roll_mins` for whoever rolls or says when: `roll`, `plan`, `status` and the bodies
of merge requests.
"""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from datetime import timedelta
from enum import StrEnum
from typing import TYPE_CHECKING

from sslops.dane.may_serve import YES, Verdict, refused, slowest
from sslops.model.cause import Cause
from sslops.model.names import ServiceId, format_time
from sslops.model.plan import Action, HazardName, Plan, Verb, Wait, joined
from sslops.model.state import Status
from sslops.pki.request import request_in, request_sha256

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping
    from datetime import datetime

    from sslops.dane.may_serve import Gate
    from sslops.model.inventory import Inventory, Service
    from sslops.model.names import GenerationId
    from sslops.model.plan import Hazard
    from sslops.model.state import Branches, Generation, ServiceState, Slots


ASKED_FOR = frozenset({"forced", "new-key", "revoked", "signer-revoked"})
"""The reasons of a generation that a person asked for (`renew --force`, `--new-key`, `revoke`): it is wanted now."""


def mature_at(service: Service, staged: Generation, minutes: int | None = None) -> datetime | None:
    """Return when *staged* has been staged for long enough; null when it need not lie there at all.

    *minutes* is what the command line says instead of the inventory, and counts for every generation. What a person
    asked for does not wait for the inventory's: who replaces a key that leaked has no time for it.
    """
    if staged.issued is None or (minutes is None and staged.reason in ASKED_FOR):
        return None
    return staged.issued.issued_at + timedelta(minutes=service.min_roll_minutes if minutes is None else minutes)


REHEARSAL = "rehearsal"
"""The reason of a generation that a staging server signed: wherever it turns up, it is never rolled."""


class RollReason(StrEnum):
    """Why a service is rolled; part of the digest."""

    READY = "ready"
    FIRST = "first"
    FORCED = "forced"
    BACK = "back"
    """A person takes the last roll back."""
    REQUEST = "request"
    """Rolled on `next`; a merge request asks for it on `main`."""


@dataclass(frozen=True, slots=True)
class RollOptions:
    """What the command line asked for; *targets* null: all active groups."""

    targets: frozenset[ServiceId] | None = None
    force: bool = False
    min_roll_minutes: int | None = None
    back: bool = False
    """Take the last roll of each of *targets* back instead of rolling."""


NOTHING_UNFIT: Mapping[tuple[ServiceId, GenerationId], str] = {}
"""What is wrong with certificates that must not become live, by service and generation: nothing."""


def plan(
    inventory: Inventory,
    branches: Branches,
    gate: Gate,
    options: RollOptions,
    unfit: Mapping[tuple[ServiceId, GenerationId], str] = NOTHING_UNFIT,
) -> Plan:
    """Return a roll for every service that is ready, and a wait for every one that is not; signers are judged first.

    *unfit* tells what is wrong with the certificates of candidates that renew would not have stored.
    """
    judge, found, rolled = _Judge(inventory, branches, gate, options, unfit), list[Plan](), set[ServiceId]()
    if options.back:
        return joined(judge.back(s) for key, s in sorted(inventory.services.items()) if key in (options.targets or ()))
    for service in _by_signer(inventory, options.targets):
        staged = branches.next[service.id].next
        if staged is None or staged.status is not Status.ISSUED or staged.reason == REHEARSAL:
            continue
        verdict = judge.verdict(service, staged, rolled)
        if verdict.allowed:
            rolled.add(service.id)
            found.append(Plan(actions=(judge.action(service, staged),)))
        else:
            found.append(Plan(waits=(judge.wait(service, verdict),), hazards=_hazards(verdict)))
    return joined(found)


def verdict(inventory: Inventory, branches: Branches, gate: Gate, service: Service, staged: Generation) -> Verdict:
    """Return whether *staged* of *service* may be rolled now; one without a certificate, if it had it."""
    return _Judge(inventory, branches, gate, RollOptions()).verdict(service, staged, set())


def is_candidate(service: Service, branches: Branches, *, back: bool = False) -> bool:
    """Whether *service* has an issued `next` (with *back* a `prev`), so that DNS needs to be asked about it."""
    if back:
        return branches.next[service.id].slots.prev is not None
    staged = branches.next[service.id].next
    return staged is not None and staged.status is Status.ISSUED


def candidate(service: ServiceId, branches: Branches, *, back: bool = False) -> Generation | None:
    """Return the generation that a roll of *service* would make live; null when there is none that is issued."""
    state = branches.next[service]
    found = state.at(state.slots.prev) if back else state.next
    return found if found is not None and found.issued is not None else None


def pending(branches: Branches) -> Mapping[ServiceId, Generation]:
    """Return what `next` makes live and main does not yet: rolls of earlier runs that nobody merged so far."""
    return {
        service: state.curr
        for service, state in sorted(branches.next.services.items())
        if state.curr is not None and state.slots.curr != branches.main[service].slots.curr
    }


def unplanned(
    inventory: Inventory,
    branches: Branches,
    planned: Mapping[ServiceId, GenerationId],
    unfit: Mapping[tuple[ServiceId, GenerationId], str],
    now: datetime,
    *,
    merges: bool,
) -> Iterator[str]:
    """Yield what the rolls on `next` would change on main and no roll can have decided; *planned* are this run's own.

    A roll goes forward; a rollback is one that a person took, which `refused` tells. Where the engine *merges* by
    itself nobody reviews what an earlier run (or somebody in its name) left there, so it is judged again.
    """
    for service, wanted in pending(branches).items():
        live, slots = branches.main[service].slots.curr, branches.next[service].slots
        if planned.get(service) is not None:
            continue
        if live is not None and wanted.id < live and slots.refused != live:
            yield f"'{service}' would go from {live} back to {wanted.id}"
        elif merges and (service, wanted.id) in unfit:
            yield f"'{service}' would get {wanted.id}: {unfit[service, wanted.id]}"
        elif merges and (why := held(inventory, {service: wanted.id}, now)) is not None:
            yield f"'{service}' would get {wanted.id}, and {why}"


def rolled_slots(slots: Slots, now: datetime) -> Slots:
    """Return the slots after a roll at *now*."""
    refused = None if slots.refused == slots.next else slots.refused
    return replace(slots, curr=slots.next, next=None, prev=slots.curr, rolled_at=now, refused=refused)


def back_slots(state: ServiceState, now: datetime) -> Slots:
    """Return the slots after the last roll is taken back at *now*; as after a revert on main (`repo/take_in.py`).

    What was live is refused, stays at hand in `prev`, and is staged again where nothing else is.
    """
    slots = state.slots
    staged = slots.next if slots.next is not None else slots.curr
    newest = state.at(staged)
    keeps_schedule = newest is not None and newest.issued is not None
    return replace(
        slots,
        curr=slots.prev,
        next=staged,
        prev=None if staged == slots.curr else slots.curr,
        rolled_at=now,
        renew_at=slots.renew_at if keeps_schedule else None,
        ari=slots.ari if keeps_schedule else None,
        refused=slots.curr,
    )


def does_not_last(inventory: Inventory, service: ServiceId, generation: Generation) -> str:
    """Say why *generation* of *service* will be replaced although somebody went back to it; empty when it will not."""
    known = inventory.services.get(service)
    if known is None:
        return ""
    is_as_asked = generation.csr_sha256 == request_sha256(request_in(inventory, known))
    if is_as_asked and generation.ca == known.signing_ca:
        return ""
    wish = "names another CA" if is_as_asked else "asks for another certificate"
    return (
        f"this does not last: the inventory {wish} than {generation.id}, so the next renew replaces it; "
        f"change inventory/{service}.yaml back as well, or put a hold there"
    )


def request(rolled: Mapping[ServiceId, GenerationId]) -> Plan:
    """Return what a merge request for *rolled* is about, as a plan: its digest is what a person declines."""
    return joined(
        Plan((Action(Verb.ROLL, service.group, service.name, "roll", RollReason.REQUEST, generation),))
        for service, generation in rolled.items()
    )


def request_waits(
    branches: Branches, rolled: Mapping[ServiceId, GenerationId], now: datetime, why: str, cause: Cause = Cause.REVIEW
) -> tuple[Wait, ...]:
    """Return the wait of each service whose roll a person has to merge.

    Nobody can tell how long that takes, so it is a failure once the last tenth of the life of what is served has begun.
    """
    return tuple(
        Wait(
            Verb.ROLL,
            service.group,
            service.name,
            "roll",
            None,
            why,
            cause,
            fatal=_outlives(branches.main[service].curr, None, now),
        )
        for service in sorted(rolled)
    )


def held(inventory: Inventory, rolled: Mapping[ServiceId, GenerationId], now: datetime) -> str | None:
    """Return why the bot must not merge *rolled* by itself; null when no hold is on any of it."""
    known = [inventory.services[service] for service in sorted(rolled) if service in inventory.services]
    holds = [(service.id, hold) for service in known if (hold := inventory.hold_on(service, now)) is not None]
    return f"{holds[0][0]} is held: {holds[0][1].reason}" if holds else None


def _outlives(curr: Generation | None, until: datetime | None, now: datetime) -> bool:
    return curr is not None and curr.issued is not None and curr.issued.ends_before(until, now)


def _hazards(verdict: Verdict) -> tuple[Hazard, ...]:
    """Return what a person must decide about; a record that is not there yet is just a wait before a roll."""
    hazard = verdict.hazard
    if hazard is None or hazard.name not in {HazardName.NS_UNREACHABLE, HazardName.DNSSEC_BOGUS}:
        return ()
    return (replace(hazard, verb=Verb.ROLL),)


def _by_signer(inventory: Inventory, targets: frozenset[ServiceId] | None) -> Iterable[Service]:
    """Return the services to consider, each after the own CA that signs it."""
    chosen = [s for s in inventory.active() if targets is None or s.id in targets]
    return sorted(chosen, key=lambda service: (_depth(service, inventory), service.id))


def _depth(service: Service, inventory: Inventory) -> int:
    path, signer = [service.id], inventory.signer_of(service)
    while signer is not None and signer in inventory.services and signer not in path:
        path.append(signer)
        signer = inventory.signer_of(inventory.services[signer])
    return len(path)


def _unfit_words(generation: Generation, words: str) -> str:
    return f"the certificate of {generation.id} is not one that renew would have stored: {words}"


@dataclass(frozen=True, slots=True)
class _Judge:
    """The world one roll is judged in."""

    inventory: Inventory
    branches: Branches
    gate: Gate
    options: RollOptions
    unfit: Mapping[tuple[ServiceId, GenerationId], str] = field(default_factory=dict)

    def verdict(self, service: Service, staged: Generation, rolled: set[ServiceId]) -> Verdict:
        refusal = self._free_to_move(service)
        if refusal is not None:
            return refusal
        if self._slots(service).refused == staged.id and not self.options.force:
            curr = self.branches.next[service.id].curr
            passing = "" if curr is None else does_not_last(self.inventory, service.id, curr)
            why = f"{staged.id} was taken back on {self.inventory.repo.branch}; sslops roll --force takes it again"
            why += f"; {passing}" if passing else ""
            return refused(why, Cause.TAKEN_BACK)
        if staged.issued is not None and staged.issued.not_after <= self.gate.now:
            return refused(f"{staged.id} has expired; sslops renew makes another one", Cause.EARLIER_STEP)
        if staged.id in self._slots(service).revoked:
            return refused(f"{staged.id} was revoked; sslops renew makes another one", Cause.EARLIER_STEP)
        if (service.id, staged.id) in self.unfit:
            return refused(_unfit_words(staged, self.unfit[service.id, staged.id]), Cause.IMPOSSIBLE)
        may_serve = self.gate.may_serve(service.id, staged.id)
        return slowest([self._signed(service, staged, rolled), self._aged(service, staged), may_serve])

    def back(self, service: Service) -> Plan:
        """Return the plan for taking the last roll of *service* back: an action, or why there is none."""
        state = self.branches.next[service.id]
        former, obstacle = state.at(state.slots.prev), self._no_way_back(service, state)
        if obstacle is not None or former is None:
            return Plan(waits=(obstacle,) if obstacle is not None else ())
        refusal = self._free_to_move(service)
        if refusal is not None:
            return Plan(waits=(self._back_wait(service, refusal.why, refusal.cause, until=refusal.until),))
        # The record of what was live may be withdrawn, and nobody publishes it before a slot needs it. Hosts are safe:
        # deploy asks the gate for each of them, as after a revert on main.
        verdict = self.gate.may_serve(service.id, former.id)
        parts = [f"{former.id} is live again instead of {state.slots.curr}"]
        if not verdict.allowed:
            until = f" (from {format_time(verdict.until)} on)" if verdict.until is not None else ""
            parts.append(f"hosts follow as soon as DNS allows{until}, for now {verdict.why}")
        parts += [passing] if (passing := does_not_last(self.inventory, service.id, former)) else []
        why = "; ".join(parts)
        return Plan(
            (Action(Verb.ROLL, service.id.group, service.id.name, "roll", RollReason.BACK, former.id, why=why),)
        )

    def _no_way_back(self, service: Service, state: ServiceState) -> Wait | None:
        """Return why nobody can go back; null when there is a generation to go back to."""
        slots, former = state.slots, state.at(state.slots.prev)
        if slots.refused is not None and slots.curr is not None and slots.refused > slots.curr:
            why = f"the roll to {slots.refused} was taken back already; sslops roll --force takes it again"
            return self._back_wait(service, why, Cause.TAKEN_BACK)
        if slots.curr is None or former is None or former.issued is None:
            lacks = "nothing was live before" if slots.prev is None else f"{slots.prev} is not in state/ any more"
            why = f"there is nothing to go back to: {lacks}"
        elif former.issued.not_after <= self.gate.now:
            why = f"{former.id} has expired"
        elif former.id in slots.revoked:
            why = f"{former.id} was revoked"
        elif (service.id, former.id) in self.unfit:
            why = _unfit_words(former, self.unfit[service.id, former.id])
        else:
            return None
        why = f"{why}; sslops renew --force --new-key replaces what is live"
        return self._back_wait(service, why, Cause.IMPOSSIBLE, fatal=True)

    @staticmethod
    def _back_wait(
        service: Service, why: str, cause: Cause, *, until: datetime | None = None, fatal: bool = False
    ) -> Wait:
        return Wait(Verb.ROLL, service.id.group, service.id.name, "back", until, why, cause, fatal)

    def _free_to_move(self, service: Service) -> Verdict | None:
        """Return the refusal of people: a hold, or a group that is not active; null where there is none."""
        hold = self.inventory.hold_on(service, self.gate.now)
        if hold is not None:
            return refused(f"held: {hold.reason}", Cause.HOLD, hold.until)
        if not self.inventory.groups[service.id.group].active:
            why = f"group '{service.id.group}' is not active, so nothing of it changes"
            return refused(why, Cause.FROZEN)
        return None

    def action(self, service: Service, staged: Generation) -> Action:
        curr = self._slots(service).curr
        reason = RollReason.FORCED if self.options.force else RollReason.FIRST if curr is None else RollReason.READY
        until = f", good until {staged.issued.not_after:%Y-%m-%d}" if staged.issued else ""
        why = f"{staged.id} replaces {curr or 'nothing'}{until}"
        return Action(Verb.ROLL, service.id.group, service.id.name, "roll", reason, staged.id, why=why)

    def wait(self, service: Service, verdict: Verdict) -> Wait:
        # Where `next` is a roll ahead, that roll has a wait of its own, for whoever merges it.
        fatal = _outlives(self.branches.next[service.id].curr, verdict.until, self.gate.now)
        fatal = fatal or verdict.cause is Cause.IMPOSSIBLE
        key = service.id
        return Wait(Verb.ROLL, key.group, key.name, "roll", verdict.until, verdict.why, verdict.cause, fatal)

    def _slots(self, service: Service) -> Slots:
        return self.branches.next[service.id].slots

    def _aged(self, service: Service, staged: Generation) -> Verdict:
        curr = self._slots(service).curr
        if self.options.force or curr is None or curr in self._slots(service).revoked or staged.issued is None:
            return YES
        until = mature_at(service, staged, self.options.min_roll_minutes)
        if until is None or until <= self.gate.now:
            return YES
        minutes = (until - staged.issued.issued_at).total_seconds() / 60
        return refused(f"younger than min_roll_mins: {minutes:.0f}", Cause.MIN_ROLL, until)

    def _signed(self, service: Service, staged: Generation, rolled: set[ServiceId]) -> Verdict:
        """Return whether the own CA that signed is live: no service is rolled before its signer."""
        signer = self.inventory.signer_of(service)
        signed_by = staged.issued.signer if staged.issued else None
        if signer is None or signed_by is None or signer in rolled:
            return YES
        if self.branches.next[signer].slots.next != signed_by:
            return YES
        return refused(f"its signer {signer} {signed_by} is not rolled yet", Cause.EARLIER_STEP)
