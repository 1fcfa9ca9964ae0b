"""What the rules of a branch let happen, and what of that is too much or too little for sslops. Pure.

The forges tell facts (`Guard`); what they mean is decided here, for all of them. Null is not known: most forges show
the rules themselves to administrators only.

>>> gap(Guard(is_protected=False), EngineBranch("ledger", is_rewritten=False))
'no rule: whoever may write to the project pushes there'
>>> stop(Guard(is_protected=True, lets_force=False), EngineBranch("next"))
'a rule that forbids force pushes'
>>> stop(Guard(is_protected=True, lets_force=False), EngineBranch("ledger", is_rewritten=False)) is None
True
"""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class EngineBranch:
    """A branch that is the engine's own; *is_rewritten*: its pushes are not always forward."""

    name: str
    is_rewritten: bool = True


@dataclass(frozen=True, slots=True)
class Guard:
    """The rules of one branch, as far as the forge shows them to our token.

    *lets_us_push*, and *lets_force* where that is no fast-forward; *others* who may push too, in words (empty: nobody).
    For a branch that requests are merged into: whether the rules ask for a request (*needs_request*), for checks and
    for approvals.
    """

    is_protected: bool | None = None
    lets_us_push: bool | None = None
    lets_force: bool | None = None
    others: tuple[str, ...] | None = None
    needs_request: bool | None = None
    needs_checks: bool | None = None
    needs_approvals: bool | None = None


def stop(guard: Guard, branch: EngineBranch) -> str | None:
    """Return which rule is in the engine's way on a branch of its own; null when none is, or nobody can tell."""
    if guard.lets_us_push is False:
        return "a rule that does not let its account push"
    if branch.is_rewritten and guard.lets_force is False:
        return "a rule that forbids force pushes"
    return None


def gap(guard: Guard, branch: EngineBranch) -> str | None:
    """Return what lets others write to a branch of the engine's; null when nothing does, or nobody can tell."""
    if guard.is_protected is False:
        return "no rule: whoever may write to the project pushes there"
    if guard.others:
        return f"a rule that lets others push: {', '.join(guard.others)}"
    if not branch.is_rewritten and guard.lets_force:
        return "a rule that allows force pushes, and this branch only ever goes forward"
    return None


def base_gaps(guard: Guard, *, is_reviewed: bool, has_check: bool) -> tuple[str, ...]:
    """Return what the rules of the reviewed branch lack.

    *is_reviewed*: the policy is that a person merges; *has_check*: `sslops check` is to be green before.
    """
    if guard.is_protected is False:
        return ("is not protected: whoever may push decides what is served",)
    found = []
    if guard.needs_request is False:
        who = f": {', '.join(guard.others)}" if guard.others else ""
        found.append(f"can be pushed to without a merge request{who}")
    if has_check and guard.needs_checks is False:
        found.append("does not require the check of 'sslops check'")
    if is_reviewed and guard.needs_approvals is False:
        found.append("requires no approval, and the policy is 'review'")
    return tuple(found)
