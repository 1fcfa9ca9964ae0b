"""A plan as people look at it: by stage, in the order of the work, with what waits, is blocked or refused.

The renderers in `plan.py` read this and nothing else, so that terminal and merge request never disagree.
"""

from __future__ import annotations

import json
import textwrap
from dataclasses import dataclass
from typing import TYPE_CHECKING

from sslops.model.cause import Kind
from sslops.model.names import format_time
from sslops.model.plan import Verb
from sslops.report import outlook
from sslops.report.text import Paint, as_code, clock, columns, count, for_markdown, markdown_table, until, visible

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from datetime import datetime

    from sslops.errors import SslopsError
    from sslops.model.outlook import NameOutlook
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
class DoneRow:
    """What became of one action: its verb, its end (`done`, `proposed` or `failed`), at which targets, and why."""

    verb: str
    state: str
    subject: str
    what: str
    generation: str
    targets: tuple[str, ...]
    why: str = ""


@dataclass(frozen=True, slots=True)
class WaitRow:
    """One wait: about what, which step, its class, until or since when in words, why, and what to do next.

    *next* is empty where nobody has to act.
    """

    subject: str
    what: str
    kind: str
    when: str
    why: str
    next: str
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
        """Whether there is nothing to do, nothing waits, and nothing is refused."""
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


def _urgency(wait: Wait) -> tuple[bool, int, float]:
    """Put first what fails, then what is blocked, then what has no date, then what ends soon."""
    rank = 0 if wait.is_blocked else 1 if wait.until is None else 2
    return not wait.fatal, rank, wait.until.timestamp() if wait.until else 0.0


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
        kind=str(Kind.BLOCKED if wait.is_blocked else Kind.WAITS),
        when=_when(wait, now),
        why=wait.why,
        next=wait.end if wait.is_blocked else "",
        fatal=wait.fatal,
    )


def _when(wait: Wait, now: datetime) -> str:
    """Say until when it waits or since when it is blocked, and what makes it a failure."""
    words = until(wait.until, now) if wait.until is not None else f"until {wait.end}"
    if wait.is_blocked:
        words = "" if wait.since is None else f"since {clock(wait.since, now)}"
    if wait.deadline is not None:
        is_over = wait.deadline <= now
        fails = "a failure" if is_over else f"a failure from {clock(wait.deadline, now)} on"
        return f"{words}, {fails}" if is_over or not wait.fatal else f"{words}, too long for the certificate"
    return f"{words}, too long for the certificate".removeprefix(", ") if wait.fatal else words


def _hazard(hazard: Hazard) -> HazardRow:
    return HazardRow(name=str(hazard.name), subject=hazard.subject, why=hazard.why, consent=hazard.consent)


_WIDTH = 100
_TARGETS_SHOWN = 6
_WAITS_SHOWN = 12
_WAITS_IN_MARKDOWN = 50
_ACTION_HEADS = ("stage", "what for", "step", "generation", "why")
_WAIT_HEADS = ("not now", "what for", "step", "waits or blocked", "why")
_HAZARD_HEADS = ("hazard", "what for", "why", "accept with")


NO_PAINT = Paint()
_DONE_STYLES = {"done": "green", "proposed": "yellow", "failed": "red"}
_LONGEST_STATE = max(map(len, _DONE_STYLES))
NO_REQUESTS: Mapping[str, str] = {}


def as_text(view: PlanView, paint: Paint = NO_PAINT) -> str:
    """Return the plan stage by stage: what can be done now, what waits until when, which consent is missing.

    With *paint* what is added is green, what is withdrawn red.
    """
    if view.is_empty:
        return "nothing to do, nothing waits"
    blocks = [_stage_text(stage, paint) for stage in view.stages]
    return "\n\n".join([*blocks, *_hazard_block(view, paint), f"plan {view.digest}"])


def applied_as_text(
    view: PlanView, rows: Sequence[DoneRow], requests: Mapping[str, str] = NO_REQUESTS, paint: Paint = NO_PAINT
) -> str:
    """Return what was done, stage by stage: *rows*, what waits, and where each of the merge *requests* stands."""
    if view.is_empty and not rows and not requests:
        return "nothing to do, nothing waits"
    blocks = []
    for verb in dict.fromkeys((*map(str, Verb), *(row.verb for row in rows))):
        stage = next((each for each in view.stages if each.verb == verb), StageView(verb, (), ()))
        mine = [row for row in rows if row.verb == verb]
        if mine or stage.waits:
            heading = paint(f"{verb}: {_tally(mine, stage.waits)}", "bold")
            lines = [line for row in mine for line in _done_lines(row, paint)]
            blocks.append("\n".join([heading, *lines, *_wait_lines(stage, paint)]))
    if requests:
        blocks.append("\n".join([paint("merge requests", "bold"), *_request_lines(requests)]))
    return "\n\n".join([*blocks, *_hazard_block(view, paint), f"plan {view.digest}"])


def _request_lines(requests: Mapping[str, str]) -> list[str]:
    """Return a line for each: what stands there has the address in it, or is one word."""
    return [f"  {_head(*((why,) if address in why else (address, why)))}" for address, why in requests.items()]


def _tally(rows: Sequence[DoneRow], waits: Sequence[WaitRow]) -> str:
    """Say how many of each there are.

    >>> from dataclasses import replace
    >>> row = DoneRow("deploy", "done", "example.com/mail", "serve", "", ("smtp1", "smtp2"))
    >>> _tally([row, replace(row, state="failed", targets=("smtp3",))], ())
    '2 done, 1 failed'
    """
    amounts = dict.fromkeys((*_DONE_STYLES, "waiting", "blocked"), 0)
    for row in rows:
        # Deploy does an action at each host; the records of publish are one change.
        amounts[row.state] += len(row.targets) if row.verb == Verb.DEPLOY else 1
    for wait in waits:
        word = {Kind.WAITS: "waiting", Kind.BLOCKED: "blocked"}[Kind(wait.kind)]
        amounts[word] += 1
    return ", ".join(f"{amount} {state}" for state, amount in amounts.items() if amount)


def _done_lines(row: DoneRow, paint: Paint) -> list[str]:
    state = paint(row.state.ljust(_LONGEST_STATE), _DONE_STYLES.get(row.state))
    return [
        f"  {state}  {_head(row.subject, row.what, row.generation)}",
        *_target_lines(row.targets, paint),
        *(_prose(row.why if row.state == "failed" else f"why: {row.why}") if row.why else ()),
    ]


def as_markdown(view: PlanView) -> str:
    """Return the plan as one table for each part, and the digest in a comment."""
    actions = [(stage, row) for stage in view.stages for row in stage.actions]
    waits = [(stage, row) for stage in view.stages for row in stage.waits]
    more = len(waits) - _WAITS_IN_MARKDOWN
    blocks = [f"<!-- sslops-plan: {view.digest} -->"]
    if actions:
        blocks.append(markdown_table(_ACTION_HEADS, [_action_cells(*each) for each in actions]))
    if waits:
        blocks.append(markdown_table(_WAIT_HEADS, [_wait_cells(*each) for each in waits[:_WAITS_IN_MARKDOWN]]))
        blocks += [_more_wait(more).capitalize()] if more > 0 else []
    if view.hazards:
        blocks.append(markdown_table(_HAZARD_HEADS, [_hazard_cells(row) for row in view.hazards]))
    if view.is_empty:
        blocks.append("Nothing to do, nothing waits.")
    return "\n\n".join(blocks)


def as_json(
    plan: Plan,
    digest: str,
    names: Sequence[NameOutlook] = (),
    results: Sequence[dict[str, object]] | None = None,
    errors: Sequence[SslopsError] = (),
) -> str:
    """Return `{digest, actions, waits, hazards}`; times in UTC, what is not known yet null.

    With *names* also `dane`: what lies before each of them. After `--apply` also `results`: what became of each action,
    and `errors`: what failed on the way.
    """
    document: dict[str, object] = {
        "digest": digest,
        "actions": [_action_json(action) for action in plan.actions],
        "waits": [_wait_json(wait) for wait in plan.waits],
        "hazards": [_hazard_json(hazard) for hazard in plan.hazards],
    }
    if names:
        document["dane"] = outlook.as_document(names)
    if results is not None:
        document["results"] = list(results)
    if results is not None or errors:
        document["errors"] = [error_document(error) for error in errors]
    return json.dumps(document, indent=2, ensure_ascii=False)


def _stage_text(stage: StageView, paint: Paint) -> str:
    lines = [paint(stage.verb, "bold")]
    for row in stage.actions:
        head = _head(row.subject, row.what, row.generation)
        lines += [f"  {head}", *_prose(row.why), *_target_lines(row.targets, paint)]
    return "\n".join([*lines, *_wait_lines(stage, paint)])


def _wait_lines(stage: StageView, paint: Paint) -> list[str]:
    lines = []
    for wait in stage.waits[:_WAITS_SHOWN]:
        style = "red" if wait.fatal or wait.kind == Kind.BLOCKED else "yellow"
        lines += [paint(f"  {_head(wait.subject, f'{wait.what} {wait.kind}', wait.when)}", style), *_prose(wait.why)]
        lines += [f"      next: {visible(wait.next)}"] if wait.next else []
    more = len(stage.waits) - _WAITS_SHOWN
    return [*lines, f"  {_more_wait(more)}"] if more > 0 else lines


def _more_wait(more: int) -> str:
    return f"and {more} more wait, for longer; --json has them all"


def _head(*words: str) -> str:
    return columns([[word for word in words if word]])


def _prose(text: str) -> list[str]:
    # Consents and names in it are copied: a line ends between words only.
    wrapper = textwrap.TextWrapper(_WIDTH, "      ", "      ", break_on_hyphens=False, break_long_words=False)
    return wrapper.wrap(visible(text))


_SIGNS = {"+": "green", "-": "red"}


def _target_lines(targets: Sequence[str], paint: Paint) -> list[str]:
    """Return the hosts or records of an action; a record that is added or withdrawn has its sign before it."""
    shown = [f"      {paint(columns([[target]]), _SIGNS.get(target[:1]))}" for target in targets[:_TARGETS_SHOWN]]
    more = len(targets) - _TARGETS_SHOWN
    return [*shown, f"      and {count(more, 'more', 'more')}"] if more > 0 else shown


def _hazard_block(view: PlanView, paint: Paint) -> list[str]:
    if not view.hazards:
        return []
    return ["\n".join([paint("hazards", "bold"), *(_hazard_text(hazard, paint) for hazard in view.hazards)])]


def _hazard_text(row: HazardRow, paint: Paint) -> str:
    last = f"accept with: {columns([[row.consent]])}" if row.consent else "nobody can accept it: it has to be mended"
    head = paint(f"  {_head(row.name, row.subject)}", "red")
    return "\n".join([head, *_prose(row.why), f"      {last}"])


def _action_cells(stage: StageView, row: ActionRow) -> tuple[str, ...]:
    targets = "".join(f"<br>{as_code(target)}" for target in row.targets)
    generation = as_code(row.generation)
    return stage.verb, as_code(row.subject), for_markdown(row.what), generation, for_markdown(row.why) + targets


def _wait_cells(stage: StageView, row: WaitRow) -> tuple[str, ...]:
    words = for_markdown(f"{row.kind} {row.when}".rstrip())
    why = for_markdown(row.why) + (f"<br>next: {for_markdown(row.next)}" if row.next else "")
    return stage.verb, as_code(row.subject), for_markdown(row.what), f"**{words}**" if row.fatal else words, why


def _hazard_cells(row: HazardRow) -> tuple[str, ...]:
    return as_code(row.name), as_code(row.subject), for_markdown(row.why), as_code(row.consent) if row.consent else "-"


def _action_json(action: Action) -> dict[str, str | None]:
    return {
        "verb": str(action.verb),
        "group": action.group,
        "service": action.service,
        "generation": action.generation,
        "what": action.what,
        "reason": action.reason,
        "why": action.why,
    }


def _wait_json(wait: Wait) -> dict[str, str | None]:
    """`for` is the verb that waits, `what` the step or host it would take, `kind` whether it waits or is blocked.

    What is blocked has `next`, what to do about it; it is a failure from `fails_at` on.
    """
    return {
        "group": wait.group,
        "service": wait.service,
        "for": str(wait.verb),
        "what": wait.what,
        "until": None if wait.until is None else format_time(wait.until),
        "why": wait.why,
        "kind": str(Kind.BLOCKED if wait.is_blocked else Kind.WAITS),
        "cause": str(wait.cause),
        "since": None if wait.since is None or not wait.is_blocked else format_time(wait.since),
        "fails_at": None if wait.deadline is None else format_time(wait.deadline),
        "next": wait.end if wait.is_blocked else None,
    }


def _hazard_json(hazard: Hazard) -> dict[str, str]:
    return {"name": str(hazard.name), "subject": hazard.subject, "why": hazard.why}


def error_document(error: SslopsError) -> dict[str, object]:
    """Return what a program reads of a failure: what happened, where, and what helps; null where nobody knows."""
    where = error.where
    return {
        "what": error.what,
        "file": where.file if where else None,
        "line": where.line if where else None,
        "column": where.column if where else None,
        "hint": error.hint,
    }
