"""The comment on a merge request that touches the inventory: what it will do, compared with what is decided already."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from sslops.report.document import Part, Table, bullets, fitted, listed, on_one_row
from sslops.report.escape import as_code
from sslops.report.plan_view import subject
from sslops.report.words import count

if TYPE_CHECKING:
    from collections.abc import Sequence

    from sslops.errors import Faults, SslopsError
    from sslops.model.plan import Action, Hazard, Plan
    from sslops.report.document import Written
    from sslops.report.inventory_changes import Difference, Differences

MARKER = "<!-- sslops-plan-comment -->"
ARTIFACT = "sslops-plan.md"


@dataclass(frozen=True, slots=True)
class CommentView:
    """What a merge request changes: *before* is the plan of the branch it goes to, *after* the one with it merged.

    *failures* is what could not be looked at.
    """

    differences: Differences
    before: Plan
    after: Plan
    failures: tuple[str, ...]
    limit: int

    @property
    def follows(self) -> tuple[Action, ...]:
        """The steps that only the merge request asks for."""
        return tuple(each for each in self.after.actions if _key(each) not in set(map(_key, self.before.actions)))

    @property
    def ends(self) -> tuple[Action, ...]:
        """The steps that are due now, and not with the merge request."""
        return tuple(each for each in self.before.actions if _key(each) not in set(map(_key, self.after.actions)))


def plan_comment(view: CommentView) -> Written:
    """Return the comment."""
    found, steps = view.differences, view.follows
    parts = [Part("", (_headline(view),))]
    tables = (("service", found.services), ("CA", found.cas), ("host", found.hosts))
    parts += [Part("", (_difference_table(head, rows),)) for head, rows in tables if rows]
    said = [f"It consents to {what}" for what in found.accepts]
    said += [f"Other settings change: {listed(found.others, 8)}"] if found.others else []
    parts += [Part("", (bullets(said),))] if said else []
    if steps or view.ends:
        parts.append(Part("What follows at once", tuple(_steps(steps, view.ends))))
    hazards = [each for each in view.after.hazards if each not in view.before.hazards]
    parts += [Part("Hazards", (bullets(map(_hazard, hazards)),))] if hazards else []
    if view.failures:
        parts.append(Part("Not looked at", (bullets([on_one_row(why) for why in view.failures]),)))
    if steps != view.after.actions:
        parts.append(Part(f"The whole plan after the merge: {_counts(view.after)}", (_whole(view),), folded=True))
    return fitted(tuple(parts), MARKER, view.limit, ARTIFACT)


def faults_comment(error: Faults | SslopsError, limit: int) -> Written:
    """Return the comment on an inventory that cannot be read: every fault with its place."""
    faults = getattr(error, "faults", (error,))
    rows = tuple(
        (as_code(str(fault.where or "")), on_one_row(fault.what), on_one_row(fault.hint or "")) for fault in faults
    )
    headline = f"**The inventory has {count(len(rows), 'fault')}, so there is no plan.**"
    return fitted((Part("", (headline, Table(("where", "what", "hint"), rows))),), MARKER, limit, ARTIFACT)


def _headline(view: CommentView) -> str:
    found = view.differences
    if found.is_empty and not (view.follows or view.ends):
        return "**Nothing changes for certificates, DNS or hosts.**"
    words = [
        count(len(found.services), "service") if found.services else "",
        count(len(found.cas), "CA") if found.cas else "",
        count(len(found.hosts), "host") if found.hosts else "",
    ]
    told = ", ".join(word for word in words if word) or "settings only"
    steps = (
        f"{count(len(view.follows), 'step follows', 'steps follow')} at once"
        if view.follows
        else "no step follows at once"
    )
    return f"**This merge request changes {told}; {steps}.** Nothing happens before it is merged."


def _difference_table(head: str, rows: Sequence[Difference]) -> Table:
    return Table((head, "change"), tuple((as_code(each.subject), "<br>".join(each.what)) for each in rows))


def _steps(steps: Sequence[Action], ends: Sequence[Action]) -> list[str | Table]:
    blocks: list[str | Table] = [_action_table(steps)] if steps else []
    if ends:
        blocks.append(f"No longer done: {listed([f'{each.verb} {each.what} {_subject(each)}' for each in ends])}.")
    return blocks


def _action_table(actions: Sequence[Action]) -> Table:
    return Table(("stage", "what for", "step", "why"), tuple(map(_action_cells, actions)))


def _action_cells(action: Action) -> tuple[str, ...]:
    targets = f"<br>{listed(action.targets)}" if action.targets else ""
    return (
        str(action.verb),
        as_code(_subject(action)),
        on_one_row(action.what),
        on_one_row(action.why or action.reason) + targets,
    )


def _whole(view: CommentView) -> str | Table:
    return _action_table(view.after.actions) if view.after.actions else "Nothing is to be done now."


def _counts(plan: Plan) -> str:
    waits = f", {count(len(plan.waits), 'waits', 'wait')}" if plan.waits else ""
    return f"{count(len(plan.actions), 'step')} now{waits}"


def _hazard(hazard: Hazard) -> str:
    return f"{as_code(hazard.name)} at {as_code(hazard.subject)}: {on_one_row(hazard.why)}"


def _subject(action: Action) -> str:
    return subject(action.group, action.service)


def _key(action: Action) -> tuple[object, ...]:
    """Return what makes two steps the same one; why it is taken is prose."""
    return action.verb, action.group, action.service, action.what, action.reason, action.generation, action.targets
