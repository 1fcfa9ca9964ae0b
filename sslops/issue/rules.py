"""Who signs for whom: the order of the work, which generation of an own CA signs, and why one cannot."""

from __future__ import annotations

from dataclasses import dataclass, replace
from datetime import timedelta
from enum import StrEnum
from typing import TYPE_CHECKING

from sslops.acme.limits import Budget
from sslops.model.acme import tells_closed_account
from sslops.model.cause import Cause
from sslops.model.certificates import Validity
from sslops.model.inventory import CaType, KeyLifecycle
from sslops.model.names import ServiceId, format_time
from sslops.model.plan import Action, Plan, Verb, Wait
from sslops.model.state import Status
from sslops.pki.lifetime import ca_renew_at, renew_at
from sslops.pki.request import request_in, request_sha256

if TYPE_CHECKING:
    from datetime import datetime

    from sslops.model.inventory import Inventory, Service, Settings
    from sslops.model.names import GenerationId
    from sslops.model.state import Branches, Generation, ServiceState, Slots, State


def is_root(inventory: Inventory, service: Service) -> bool:
    """Whether *service* is an own CA that signs itself."""
    return service.is_ca and inventory.signer_of(service) in {None, service.id}


def signers_above(inventory: Inventory, service: Service) -> int:
    """Return how many own CAs stand above *service*: roots come first in a run, leaves last."""
    above: set[ServiceId] = set()
    signer = inventory.signer_of(service)
    while signer is not None and signer not in above and signer in inventory.services:
        above.add(signer)
        signer = inventory.signer_of(inventory.services[signer])
    return len(above - {service.id})


def signing_generation(state: ServiceState) -> Generation | None:
    """Return what an own CA signs with: its `next` if issued, else `curr`; never what was taken back or revoked."""
    candidates = (found for found in (state.next, state.curr) if found is not None)
    usable = (found for found in candidates if found.status is Status.ISSUED and found.issued is not None)
    barred = {state.slots.refused, *state.slots.revoked}
    return next((found for found in usable if found.id not in barred), None)


def obstacle(signer: ServiceId, candidate: Generation | None, now: datetime, ends: datetime | None) -> str | None:
    """Say why *signer* cannot sign with *candidate*, or null.

    *ends* is given when a certificate is only due: a signer that ends no later would not make it last longer.
    """
    if candidate is None or candidate.issued is None:
        return f"its signer '{signer}' has no certificate yet"
    if candidate.issued.not_after <= now:
        return f"the certificate of its signer '{signer}' has expired on {format_time(candidate.issued.not_after)}"
    if ends is not None and candidate.issued.not_after <= ends:
        return ends_no_later(signer, candidate.issued.not_after)
    return None


def ends_no_later(signer: ServiceId, ends: datetime) -> str:
    """Say that *signer*, which ends at *ends*, has to be renewed first."""
    return f"its signer '{signer}' ends no later, on {format_time(ends)}: that comes first"


class What(StrEnum):
    """The steps of the stage."""

    ISSUE = "issue"
    REISSUE = "reissue"
    """A certificate for a key that another generation already has."""
    KEY = "key"
    """The prepublished key of the following generation."""
    REPLACE_KEY = "replace-key"
    RESUME = "resume"
    """An ACME order is under way: look at it, and bring it to its end."""

    @property
    def signs(self) -> bool:
        """Whether the step ends with a certificate."""
        return self in {What.ISSUE, What.REISSUE, What.RESUME}


class Step(StrEnum):
    """A single step that a person asks for (`sslops dev`); `renew` takes the same ones when they are due."""

    KEYS = "keys"
    """The key of the following generation, with its CSR; one that is prepublished already is replaced."""
    CSR = "csr"
    """The CSR as the inventory has it now, with its key: a CSR belongs to its generation."""
    CERT = "cert"
    """The certificate, due or not."""


class RenewReason(StrEnum):
    """Why a step is taken: the closed list that is part of a plan's digest."""

    FIRST = "first"
    DUE = "due"
    FORCED = "forced"
    NEW_KEY = "new-key"
    CA_CHANGED = "ca-changed"
    INVENTORY_CHANGED = "inventory-changed"
    STANDING_KEY = "standing-key"
    CSR_CHANGED = "csr-changed"
    REVOKED = "revoked"
    SIGNER_REVOKED = "signer-revoked"
    """The own CA's certificate that signed it was revoked."""
    REHEARSAL = "rehearsal"


@dataclass(frozen=True, slots=True)
class RenewOptions:
    """What the person who runs `renew` asks for; *targets* null means all active groups."""

    targets: frozenset[ServiceId] | None = None
    force: bool = False
    new_key: bool = False
    reuse_key: bool = False
    staging: bool = False
    """Rehearse: order from the staging of each CA, whatever is due."""
    said: str = ""
    """Why, in the words of whoever asks; it joins the reason of what is done for no other one."""
    step: Step | None = None
    """Take this step alone, for each of *targets*."""
    new_accounts: frozenset[str] = frozenset()
    """ACME CAs at which a new account is made, whatever the old one is worth."""


SCHEDULED = RenewOptions()
"""What the scheduled job asks for: nothing special."""


@dataclass(frozen=True, slots=True)
class _View:
    """One service with all that a decision about it rests on."""

    inventory: Inventory
    service: Service
    state: ServiceState
    live: GenerationId | None
    """The generation that `main` makes the hosts serve."""
    now: datetime
    options: RenewOptions
    fingerprint: str
    revoked_signers: frozenset[GenerationId] = frozenset()
    """Generations of its own CA that were revoked."""

    @property
    def standing(self) -> Generation | None:
        """The staged generation that has a key and no certificate."""
        deck = self.state.next
        return deck if deck is not None and deck.issued is None else None

    @property
    def staged(self) -> Generation | None:
        """The staged generation that has its certificate."""
        deck = self.state.next
        return deck if deck is not None and deck.issued is not None else None

    @property
    def newest(self) -> Generation | None:
        """The generation whose certificate is asked whether it is due."""
        return newest(self.state)

    def is_of_another_ca(self, generation: Generation) -> bool:
        """Whether *generation* is not of the CA that signs now: the entry is another, or names another server."""
        ca = self.inventory.acme_ca(self.service)
        return generation.ca != self.service.signing_ca if ca is None else not generation.comes_from(ca)


def plan(inventory: Inventory, branches: Branches, now: datetime, options: RenewOptions = SCHEDULED) -> Plan:
    """Return what can be issued or keyed at *now*, and what waits; a service that is not due is neither."""
    views = {service.id: _view(inventory, service, branches, now, options) for service in _asked(inventory, options)}
    decided = {key: _blocked(view) or _choose(view) for key, view in views.items()}
    for key in sorted(decided, key=lambda key: (signers_above(inventory, views[key].service), key)):
        outcome = decided[key]
        if isinstance(outcome, Action) and What(outcome.what).signs:
            decided[key] = _signer_wait(views[key], RenewReason(outcome.reason), branches, decided) or outcome
    _charge(decided, views, inventory, branches, now)
    outcomes = [outcome for _, outcome in sorted(decided.items())]
    return Plan(
        tuple(outcome for outcome in outcomes if isinstance(outcome, Action)),
        tuple(outcome for outcome in outcomes if isinstance(outcome, Wait)),
    )


def split(plan: Plan, inventory: Inventory) -> tuple[Plan, tuple[Action, ...]]:
    """Return the part of *plan* that needs nobody else, and the actions that end with a certificate from ACME."""
    ordered = tuple(
        action
        for action in plan.of(Verb.RENEW).actions
        if What(action.what).signs
        and inventory.acme_ca(inventory.services[ServiceId(action.group, action.service)]) is not None
    )
    return Plan(tuple(action for action in plan.actions if action not in ordered), plan.waits, plan.hazards), ordered


def newest(state: ServiceState) -> Generation | None:
    """Return the generation whose certificate is asked whether it is due: `next`'s, else `curr`'s, else null."""
    return next((found for found in (state.next, state.curr) if found is not None and found.issued is not None), None)


def renewal_time(
    inventory: Inventory, service: Service, generation: Generation, slots: Slots | None = None
) -> datetime | None:
    """Return when the certificate of *generation* is to be renewed; null while it has none.

    For a leaf the moment chosen when it was issued counts (`renew_at` in *slots*), or an earlier one when the inventory
    now asks for that; a window that the CA suggested is kept as it is.
    """
    issued = generation.issued
    if issued is None:
        return None
    validity = Validity(issued.not_before, issued.not_after)
    if service.ca is not None:
        return ca_renew_at(validity, service.ca.sign_end_days)
    ruled = _by_rule(inventory.settings, service, generation.id, validity)
    chosen = slots.renew_at if slots is not None else None
    if chosen is None or not issued.not_before < chosen <= issued.not_after:
        return ruled
    return chosen if slots is not None and slots.ari is not None else min(chosen, ruled)


def is_alarming(inventory: Inventory, service: Service, state: ServiceState, now: datetime) -> bool:
    """Whether a renewal that waits for somebody has become a failure: in the last third between due and the end.

    A wait that is reported as a failure only when the certificate has expired is reported too late.
    """
    present = newest(state)
    due = None if present is None else renewal_time(inventory, service, present, state.slots)
    if due is None or present is None or present.issued is None:
        return False
    ends = present.issued.not_after
    return now >= ends - max(ends - due, timedelta()) / 3


def blocked_since(inventory: Inventory, service: Service, state: ServiceState, now: datetime) -> datetime | None:
    """Return since when a step of renew that is blocked now should have happened; null when that is not known here.

    A renewal is blocked since it was due, what was begun for another reason since its key was made.
    """
    present = newest(state)
    due = None if present is None else renewal_time(inventory, service, present, state.slots)
    if due is not None and due <= now:
        return due
    begun = state.next
    return begun.created_at if begun is not None and begun.issued is None and begun.reason in _BEGINNINGS else None


def _by_rule(settings: Settings, service: Service, generation: GenerationId, validity: Validity) -> datetime:
    return renew_at(validity, settings, service, generation, service.renew_expire_days)


def _asked(inventory: Inventory, options: RenewOptions) -> tuple[Service, ...]:
    if options.targets is None:
        return inventory.active()
    return tuple(service for key, service in sorted(inventory.services.items()) if key in options.targets)


def _view(inventory: Inventory, service: Service, branches: Branches, now: datetime, options: RenewOptions) -> _View:
    fingerprint = request_sha256(request_in(inventory, service))
    live, signer = branches.main[service.id].slots.curr, inventory.signer_of(service)
    signers = frozenset(() if signer in {None, service.id} else branches.next[signer].slots.revoked)
    return _View(inventory, service, branches.next[service.id], live, now, options, fingerprint, signers)


def _blocked(view: _View) -> Wait | None:
    """Return why nothing at all is done for a service now, or null."""
    inventory, service, slots = view.inventory, view.service, view.state.slots
    hold = inventory.hold_on(service, view.now)
    ca = inventory.cas.get(service.signing_ca)
    if not inventory.groups[service.id.group].active:
        # Only the command line can have asked for it.
        return _wait(view, "inactive", None, f"group '{service.id.group}' is not active", Cause.IMPOSSIBLE)
    if hold is not None:
        return _wait(view, "hold", hold.until, f"on hold: {hold.reason}", Cause.HOLD)
    if view.options.staging and (ca is None or ca.staging_directory is None or ca.type is not CaType.ACME):
        cause = Cause.NOT_REHEARSED if view.options.targets is None else Cause.IMPOSSIBLE
        return _wait(view, "staging", None, f"there is no staging for CA '{service.signing_ca}'", cause)
    is_asked = view.options.force or service.signing_ca in view.options.new_accounts
    standing = view.standing
    reason = standing.failure if standing is not None and standing.failure else ""
    is_closed = tells_closed_account(reason, service.signing_ca)
    if is_closed and not is_asked and standing is not None and not view.is_of_another_ca(standing):
        return _wait(view, "account", None, reason, Cause.ACCOUNT_CLOSED)
    if slots.retry_at is not None and slots.retry_at > view.now and not is_asked:
        why = f"failed {slots.failures} times{reason and ': '}{reason}"
        return _wait(view, "retry", slots.retry_at, why, Cause.BACKOFF)
    return None


def _choose(view: _View) -> Action | Wait | None:
    if view.options.step is not None:
        return _choose_step(view, view.options.step)
    return _choose_staged(view, view.staged) if view.staged is not None else _choose_without_staged_certificate(view)


def _choose_step(view: _View, step: Step) -> Action | Wait | None:
    """Decide for a single step that a person asked for, under the rules that `renew` has for it."""
    if step is Step.CERT:
        return _choose(replace(view, options=replace(view.options, step=None, force=True)))
    standing, obstacle = view.standing, None
    if view.service.is_ca:
        obstacle = f"the key of an own CA is made with its certificate: sslops dev {Step.CERT}"
    elif view.staged is not None:
        obstacle = f"next has its certificate ({view.staged.id}): roll it, or discard its key by sslops renew --new-key"
    elif standing is not None and standing.order is not None:
        obstacle = f"the order for {standing.id} is pending: sslops dev {Step.CERT} goes on with it"
    elif standing is None and view.live is None:
        obstacle = f"nothing is live yet: sslops dev {Step.CERT} makes the first key with its certificate"
    if obstacle is not None:
        return _wait(view, step, None, obstacle, Cause.IMPOSSIBLE, fatal=True)
    if standing is None:
        return _standing_key(view)
    if step is Step.KEYS:
        return _action(view, What.REPLACE_KEY, RenewReason.NEW_KEY)
    is_right = standing.csr_sha256 == view.fingerprint
    return None if is_right else _action(view, What.REPLACE_KEY, RenewReason.CSR_CHANGED)


def _choose_staged(view: _View, deck: Generation) -> Action | Wait | None:
    """Decide for a service whose `next` has its certificate: it is re-issued, with its own key where possible."""
    reason = _asked_for(view) or (RenewReason.NEW_KEY if view.options.new_key else None) or _reason(view, deck)
    if reason is None and deck.id == view.state.slots.refused and _is_due(view, view.state.curr):
        reason = RenewReason.DUE  # what was taken back will not replace the certificate that ends
    if reason is None:
        return None
    # The key of what was revoked may be the reason for it.
    is_new = view.options.new_key or view.options.staging or deck.id in view.state.slots.revoked
    return _issue(view, reason, None if is_new else deck)


def _choose_without_staged_certificate(view: _View) -> Action | Wait | None:
    curr, standing = view.newest, view.standing
    if standing is not None and view.inventory.acme_ca(view.service) is not None and not view.options.new_key:
        begun = _choose_begun(view, standing)
        if begun is not None:
            return begun
    reason = _asked_for(view) or (RenewReason.FIRST if curr is None else _reason(view, curr))
    if reason is not None:
        return _issue(view, reason, None if view.options.new_key or view.options.staging else standing)
    if standing is not None and view.options.new_key:
        return _action(view, What.REPLACE_KEY, RenewReason.NEW_KEY)
    if standing is not None and standing.csr_sha256 != view.fingerprint:
        return _action(view, What.REPLACE_KEY, RenewReason.CSR_CHANGED)
    if standing is None and view.service.key_lifecycle is KeyLifecycle.PREPUBLISH and not view.service.is_ca:
        return _standing_key(view)
    return None


def _choose_begun(view: _View, standing: Generation) -> Action | Wait | None:
    """Go on with an issue that a run began and did not end; null when *standing* is only a key made ahead.

    An order that is over, or that the inventory no longer wants, is replaced by a new one, with the same CSR if it can.
    """
    if standing.reason not in _BEGINNINGS or (standing.reason == RenewReason.REHEARSAL) != view.options.staging:
        return None
    view = replace(view, options=replace(view.options, said=view.options.said or standing.said or ""))
    reason, order = RenewReason(standing.reason), standing.order
    is_wanted = standing.csr_sha256 == view.fingerprint and not view.is_of_another_ca(standing)
    if order is not None and is_wanted and order.expires > view.now:
        return _action(view, What.RESUME, reason, standing.id)
    return _issue(view, reason, standing)


def _standing_key(view: _View) -> Action | Wait:
    """Make the following generation's key once the roll to the present one is live."""
    if view.live is not None and view.live == view.state.slots.curr:
        return _action(view, What.KEY, RenewReason.STANDING_KEY)
    why = f"the roll to {view.state.slots.curr} is not on the main branch yet"
    return _wait(view, "key", None, why, Cause.REVIEW)


def _issue(view: _View, reason: RenewReason, key_of: Generation | None) -> Action | Wait:
    """Issue with the key of *key_of* where its CSR still says what the inventory says, else with a new one."""
    if view.options.reuse_key:
        key_of = view.state.curr
        if key_of is not None and key_of.id in view.state.slots.revoked:
            why = "the key of curr is not used again: its certificate was revoked"
            return _wait(view, "reuse-key", None, why, Cause.IMPOSSIBLE, fatal=True)
        if key_of is None or key_of.csr_sha256 != view.fingerprint:
            why = "the key of curr cannot be used again: its CSR does not say what the inventory says"
            why = why if key_of else "there is no curr whose key could be used"
            return _wait(view, "reuse-key", None, why, Cause.IMPOSSIBLE, fatal=True)
    if key_of is None or key_of.csr_sha256 != view.fingerprint:
        return _action(view, What.ISSUE, reason)
    return _action(view, What.ISSUE if key_of is view.standing else What.REISSUE, reason, key_of.id)


def _asked_for(view: _View) -> RenewReason | None:
    if view.options.staging:
        return RenewReason.REHEARSAL
    return RenewReason.FORCED if view.options.force else None


def _reason(view: _View, newest: Generation) -> RenewReason | None:
    """Return why the certificate of *newest* has to be replaced, or null."""
    if newest.id in view.state.slots.revoked:
        return RenewReason.REVOKED
    if newest.issued is not None and newest.issued.signer in view.revoked_signers:
        return RenewReason.SIGNER_REVOKED
    if view.is_of_another_ca(newest):
        return RenewReason.CA_CHANGED
    if newest.csr_sha256 != view.fingerprint:
        return RenewReason.INVENTORY_CHANGED
    return RenewReason.DUE if _is_due(view, newest) else None


def _is_due(view: _View, generation: Generation | None) -> bool:
    moment = None if generation is None else _renewal_time(view, generation)
    return moment is not None and moment <= view.now


def _renewal_time(view: _View, generation: Generation) -> datetime | None:
    slots = view.state.slots if generation is view.newest else None
    return renewal_time(view.inventory, view.service, generation, slots)


def _signer_wait(
    view: _View, reason: RenewReason, branches: Branches, decided: dict[ServiceId, Action | Wait | None]
) -> Wait | None:
    """Return what a service waits for that its signer lacks; a signer that is issued in this run lacks nothing."""
    if is_root(view.inventory, view.service) or view.inventory.acme_ca(view.service) is not None:
        return None
    signer = view.inventory.signer_of(view.service)
    if signer is None:
        unknown = f"no own CA '{view.service.signing_ca}' in the inventory"
        return _wait(view, "signer", None, unknown, Cause.SIGNER, fatal=True)
    step = decided.get(signer)
    if isinstance(step, Action) and What(step.what).signs:
        return None
    ends = view.newest.issued.not_after if reason is RenewReason.DUE and view.newest and view.newest.issued else None
    why = obstacle(signer, signing_generation(branches.next[signer]), view.now, ends)
    if why is None:
        return None
    # What keeps the signer keeps what it signs.
    if isinstance(step, Wait):
        return _wait(view, "signer", step.until, f"{why} ({step.why})", step.cause)
    return _wait(view, "signer", None, why, Cause.SIGNER)


def _charge(
    decided: dict[ServiceId, Action | Wait | None],
    views: dict[ServiceId, _View],
    inventory: Inventory,
    branches: Branches,
    now: datetime,
) -> None:
    """Put what each new order costs into its action; one that its CA's limits have no room for waits.

    A new account is part of what it costs.
    """
    is_rehearsal = any(view.options.staging for view in views.values())
    left = {} if is_rehearsal else _left_servers(inventory, branches.next)
    budgets: dict[str, Budget | None] = {}
    for key, outcome in sorted(decided.items()):
        view = views[key]
        ca = inventory.acme_ca(view.service)
        if ca is None or not isinstance(outcome, Action) or What(outcome.what) not in {What.ISSUE, What.REISSUE}:
            continue
        if ca.name not in budgets:
            budgets[ca.name] = Budget.of(ca, inventory, branches.next, now)
        budget = budgets[ca.name]
        if budget is not None and not view.options.staging:
            cost = budget.order(view.service, inventory, view.state)
            if cost.until is not None:
                why = f"'{ca.name}' allows no more than {budget.why(view.service, inventory)}"
                decided[key] = _wait(view, "limit", cost.until, why, Cause.CA_LIMIT)
                continue
            outcome = replace(outcome, why=f"{outcome.why}; {cost.words}")  # noqa: PLW2901
        if ca.name in view.options.new_accounts:
            outcome = replace(outcome, why=f"{outcome.why}; from a new account, as asked for")  # noqa: PLW2901
        elif ca.name in left:
            why = f"from a new account: '{ca.name}' was {left[ca.name]} before"
            outcome = replace(outcome, why=f"{outcome.why}; {why}")  # noqa: PLW2901
        decided[key] = outcome


def _left_servers(inventory: Inventory, state: State) -> dict[str, str]:
    """Return the ACME CAs that are another server than the last time they were asked for something, and which."""
    last: dict[str, Generation] = {}
    for found in state.services.values():
        for generation in found.generations.values():
            known = last.get(generation.ca)
            if generation.directory is not None and (known is None or known.created_at < generation.created_at):
                last[generation.ca] = generation
    return {
        name: generation.directory
        for name, generation in last.items()
        if name in inventory.cas and generation.directory not in {None, inventory.cas[name].directory}
    }


def _wait(view: _View, what: str, until: datetime | None, why: str, cause: Cause, *, fatal: bool = False) -> Wait:
    """Return a wait; one that would outlive the certificate, or may do so, is a failure."""
    key, issued = view.service.id, view.newest.issued if view.newest is not None else None
    if until is None and not view.options.staging:
        fatal = fatal or is_alarming(view.inventory, view.service, view.state, view.now)
    elif until is not None and issued is not None:
        fatal = fatal or until >= issued.not_after
    since = blocked_since(view.inventory, view.service, view.state, view.now)
    return Wait(Verb.RENEW, key.group, key.name, what, until, why, cause, fatal, since)


def _action(view: _View, what: What, reason: RenewReason, key_of: GenerationId | None = None) -> Action:
    key = view.service.id
    return Action(Verb.RENEW, key.group, key.name, what, reason, key_of, why=_why(view, reason))


def _why(view: _View, reason: RenewReason) -> str:
    issued = view.newest.issued if view.newest is not None else None
    ari = view.state.slots.ari
    if reason is RenewReason.DUE and ari is not None and ari.explanation_url is not None:
        return f"the CA asks for it, and explains at {ari.explanation_url}"
    if reason is RenewReason.DUE and issued is not None:
        return f"{_days(issued.not_after - view.now)} of {_days(issued.not_after - issued.not_before)} days left"
    before = view.newest.directory if view.newest is not None else None
    ca = view.inventory.acme_ca(view.service)
    if reason is RenewReason.CA_CHANGED and before is not None and ca is not None and ca.directory != before:
        return f"'{ca.name}' is the server at {ca.directory} now, and the certificate is of {before}"
    said = f": {view.options.said}" if view.options.said and reason in ASKED else ""
    return f"{_SENTENCES[reason]}{said}"


def _days(span: timedelta) -> str:
    return f"{span / timedelta(days=1):.1f}".removesuffix(".0")


_BEGINNINGS = frozenset(
    {
        RenewReason.FIRST,
        RenewReason.DUE,
        RenewReason.FORCED,
        RenewReason.CA_CHANGED,
        RenewReason.INVENTORY_CHANGED,
        RenewReason.REHEARSAL,
        RenewReason.REVOKED,
        RenewReason.SIGNER_REVOKED,
    }
)
"""Reasons to issue, as a generation has them whose certificate was ordered or about to be."""

ASKED = frozenset({RenewReason.FORCED, RenewReason.NEW_KEY, RenewReason.REHEARSAL})
"""Reasons that a person gives, and may explain."""

_SENTENCES = {
    RenewReason.FIRST: "there is no certificate yet",
    RenewReason.DUE: "it is due",
    RenewReason.FORCED: "asked for with --force",
    RenewReason.NEW_KEY: "asked for with --new-key",
    RenewReason.CA_CHANGED: "the inventory names another CA",
    RenewReason.INVENTORY_CHANGED: "the inventory asks for another certificate",
    RenewReason.STANDING_KEY: "the roll is live, so the key of the following generation is made ahead",
    RenewReason.REHEARSAL: "asked for with --staging",
    RenewReason.REVOKED: "its certificate was revoked",
    RenewReason.SIGNER_REVOKED: "the certificate of the CA that signed it was revoked",
    RenewReason.CSR_CHANGED: "the CSR of the prepublished key no longer matches the inventory",
}
