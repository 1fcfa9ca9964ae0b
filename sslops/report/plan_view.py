"""A plan as people look at it: by stage, in the order of the work, with what waits and what stands in the way.

The renderers in `plan.py` read this and nothing else, so that terminal and merge request never disagree.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from sslops.model.plan import Verb
from sslops.report.words import until

if TYPE_CHECKING:
    from datetime import datetime

    from sslops.model.plan import Action, Hazard, Plan, Wait


@dataclass(frozen=True, slots=True)
class ActionRow:
    """One action: about what, which step, for which targets, and why in prose (else the bare reason)."""

    subject: str
    what: str
    generation: str
    targets: tuple[str, ...]
    why: str


@dataclass(frozen=True, slots=True)
class WaitRow:
    """One wait: about what, which step, until when in words, and why."""

    subject: str
    what: str
    until: str
    why: str
    fatal: bool


@dataclass(frozen=True, slots=True)
class HazardRow:
    """One hazard: its name, what it is about, why, and the exact words that accept it."""

    name: str
    subject: str
    why: str
    consent: str


@dataclass(frozen=True, slots=True)
class StageView:
    """What one verb would do now, and what it waits for."""

    verb: str
    actions: tuple[ActionRow, ...]
    waits: tuple[WaitRow, ...]


@dataclass(frozen=True, slots=True)
class PlanView:
    """The whole plan; *stages* leaves out verbs that have neither actions nor waits."""

    digest: str
    stages: tuple[StageView, ...]
    hazards: tuple[HazardRow, ...]

    @property
    def is_empty(self) -> bool:
        """Whether there is nothing to do, nothing waits, and nothing stands in the way."""
        return not (self.stages or self.hazards)


def view(plan: Plan, digest: str, now: datetime) -> PlanView:
    """Arrange *plan* by stage; *now* is what "in 2 h" counts from."""
    stages = (_stage(verb, plan.of(verb), now) for verb in Verb)
    return PlanView(
        digest=digest,
        stages=tuple(stage for stage in stages if stage.actions or stage.waits),
        hazards=tuple(_hazard(each) for each in plan.hazards),
    )


def subject(group: str, service: str) -> str:
    """Name what an action or a wait is about: `group/service`, or the group when it is about all of it."""
    return f"{group}/{service}" if group and service else group or service


def _stage(verb: Verb, plan: Plan, now: datetime) -> StageView:
    return StageView(
        verb=str(verb),
        actions=tuple(_action(each) for each in plan.actions),
        waits=tuple(_wait(each, now) for each in sorted(plan.waits, key=_urgency)),
    )


def _urgency(wait: Wait) -> tuple[bool, bool, float]:
    """Put first what fails, then what nobody knows the end of, then what ends soon."""
    return not wait.fatal, wait.until is not None, wait.until.timestamp() if wait.until else 0.0


def _action(action: Action) -> ActionRow:
    return ActionRow(
        subject=subject(action.group, action.service),
        what=action.what,
        generation=action.generation or "",
        targets=action.targets,
        why=action.why or action.reason,
    )


def _wait(wait: Wait, now: datetime) -> WaitRow:
    return WaitRow(
        subject=subject(wait.group, wait.service),
        what=wait.what,
        until=until(wait.until, now),
        why=wait.why,
        fatal=wait.fatal,
    )


def _hazard(hazard: Hazard) -> HazardRow:
    return HazardRow(name=str(hazard.name), subject=hazard.subject, why=hazard.why, consent=hazard.consent)
