"""How `renew` does what its plan says: keys, CSRs and certificates become changes, signers first.

Nothing is written here: a change holds the files of one commit. One service that fails stops no other, except those
that it was to sign for.
"""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING

from sslops.errors import SslopsError
from sslops.issue.drafting import Drafter
from sslops.issue.drafts import Draft, Obstacle, SignedBy
from sslops.issue.rules import What, is_alarming, newest, renewal_time
from sslops.issue.signers import signers_above
from sslops.model.change import Change, GenerationFiles
from sslops.model.names import ServiceId, format_time
from sslops.model.plan import Verb, Wait

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping
    from datetime import datetime

    from sslops.errors import SopsError
    from sslops.issue.ports import Workshop
    from sslops.model.inventory import Inventory
    from sslops.model.plan import Action, Plan
    from sslops.model.secret import Secret
    from sslops.model.state import Slots, State


@dataclass(frozen=True, slots=True)
class Failure:
    """A service whose step failed, and how."""

    service: ServiceId
    error: SslopsError


@dataclass(frozen=True, slots=True)
class Outcome:
    """What a run made, in the order in which it is to be committed, what turned out to wait, and what failed."""

    changes: tuple[Change, ...] = ()
    waits: tuple[Wait, ...] = ()
    failures: tuple[Failure, ...] = ()

    def __add__(self, other: Outcome) -> Outcome:
        """Join what two parts of a run made."""
        return Outcome(self.changes + other.changes, self.waits + other.waits, self.failures + other.failures)


def renew(
    plan: Plan,
    inventory: Inventory,
    state: State,
    now: datetime,
    workshop: Workshop,
    *,
    digest: str | None = None,
    said: str = "",
) -> Outcome:
    """Carry out the `renew` actions of *plan* on *state*, the branch `next` that it was made for.

    Keys are encrypted while the next ones are made; *digest* names the plan in each commit, *said* is why a
    person asked for it.
    """
    actions = sorted(plan.of(Verb.RENEW).actions, key=lambda action: _signers_first(inventory, action))
    if not actions:
        return Outcome()
    drafter = Drafter(inventory, state, now, workshop, said)
    made = _Made()
    documents = workshop.vault.encrypt_many(_keys(_drafts(drafter, actions, made, _Present(inventory, state, now))))
    paths = [draft.key_path for draft in made.drafts if draft.key is not None]
    changes, unstored = _stored(made.drafts, dict(zip(paths, documents, strict=True)), inventory, state, digest)
    failures = sorted(made.failures + unstored, key=lambda found: found.service)
    return Outcome(tuple(changes), tuple(made.waits), tuple(failures))


@dataclass(slots=True)
class _Made:
    """What a run has come to so far."""

    drafts: list[Draft] = field(default_factory=list)
    waits: list[Wait] = field(default_factory=list)
    failures: list[Failure] = field(default_factory=list)


def _signers_first(inventory: Inventory, action: Action) -> tuple[int, ServiceId]:
    service = inventory.services[_service(action)]
    return signers_above(inventory, service), service.id


@dataclass(frozen=True, slots=True)
class _Present:
    """What is wanted, what there is, and the moment."""

    inventory: Inventory
    state: State
    now: datetime


def _drafts(drafter: Drafter, actions: Iterable[Action], made: _Made, present: _Present) -> Iterator[Draft]:
    """Make one draft after the other, and note in *made* what came of each action."""
    for action in actions:
        try:
            result = drafter.draft(action)
        except SslopsError as error:
            made.failures.append(Failure(_service(action), error))
            continue
        if isinstance(result, Obstacle):
            made.waits.append(_wait(action, result, present))
        else:
            made.drafts.append(result)
            yield result


def _keys(drafts: Iterable[Draft]) -> Iterator[tuple[str, Secret]]:
    return ((draft.key_path, draft.key) for draft in drafts if draft.key is not None)


def _stored(
    drafts: Iterable[Draft],
    documents: Mapping[str, bytes | SopsError],
    inventory: Inventory,
    state: State,
    digest: str | None,
) -> tuple[list[Change], list[Failure]]:
    """Return the changes; what a CA signed whose key could not be encrypted is not stored either."""
    changes: list[Change] = []
    failures: list[Failure] = []
    lost: set[SignedBy] = set()
    for draft in drafts:
        document = _lost_signer(draft, lost) or documents.get(draft.key_path, draft.document)
        if isinstance(document, SslopsError):
            lost.add(SignedBy(draft.service.id, draft.generation.id))
            failures.append(Failure(draft.service.id, document))
        else:
            changes.append(_change(draft, document, inventory, state[draft.service.id].slots, digest))
    return changes, failures


def _lost_signer(draft: Draft, lost: set[SignedBy]) -> SslopsError | None:
    if draft.signed_by is None or draft.signed_by not in lost:
        return None
    return SslopsError(f"the key of its signer '{draft.signed_by.service}' could not be stored")


def _change(draft: Draft, document: bytes | None, inventory: Inventory, slots: Slots, digest: str | None) -> Change:
    generation = draft.generation
    files = GenerationFiles(generation, draft.csr, draft.cert, draft.chain, document)
    return Change(
        action="renew",
        service=draft.service.id,
        title=_title(draft),
        why=_sentence(draft),
        slots=_slots(draft, inventory, slots),
        generation=generation.id,
        put=(files,),
        plan=digest,
    )


def _slots(draft: Draft, inventory: Inventory, slots: Slots) -> Slots:
    generation = draft.generation
    if generation.issued is None:
        return replace(slots, next=generation.id)
    renew_at = renewal_time(inventory, draft.service, generation)
    return replace(slots, next=generation.id, renew_at=renew_at, ari=None, retry_at=None, failures=0)


def _title(draft: Draft) -> str:
    issued = draft.generation.issued
    return f"{draft.generation.id}, " + ("standing key" if issued is None else f"until {issued.not_after:%Y-%m-%d}")


def _sentence(draft: Draft) -> str:
    why = f"{draft.action.why[:1].upper()}{draft.action.why[1:]}"
    if not What(draft.action.what).signs:
        return f"{why}."
    reused = draft.generation.reused_from
    own = "a new key" if draft.key is not None else "the standing key"
    key = own if reused is None else f"the key of {reused}"
    signer = f", signed by {draft.signed_by.service} {draft.signed_by.generation}" if draft.signed_by else ""
    return f"{why}: {key}{signer}."


def _wait(action: Action, obstacle: Obstacle, present: _Present) -> Wait:
    """Return the wait that a step ran into; it is a failure when the certificate in use ends soon."""
    service = present.inventory.services[_service(action)]
    state = present.state[service.id]
    known = newest(state)
    ends = None if known is None or known.issued is None else known.issued.not_after
    why = obstacle.why if ends is None else f"{obstacle.why}; the newest certificate ends on {format_time(ends)}"
    fatal = is_alarming(present.inventory, service, state, present.now)
    return Wait(Verb.RENEW, action.group, action.service, obstacle.what, None, why, fatal=fatal)


def _service(action: Action) -> ServiceId:
    return ServiceId(action.group, action.service)
