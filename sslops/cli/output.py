"""What a stage verb did or would do, how it is shown, and the exit code it ends in (design section 6)."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

from sslops.model.plan import Plan, digest
from sslops.report import outlook
from sslops.report.plan import DoneRow, applied_as_text, as_json, as_markdown, as_text, subject, view
from sslops.report.text import for_markdown

if TYPE_CHECKING:
    from sslops.app.outcome import Outcome, Result
    from sslops.app.session import Session
    from sslops.errors import ExitCode


@dataclass(frozen=True, slots=True)
class Form:
    """How the result is wanted."""

    as_json: bool = False
    as_markdown: bool = False
    detailed: bool = False


def finish(session: Session, outcome: Outcome, form: Form) -> ExitCode:
    """Show the outcome: the plan on stdout, failures and what to do next on stderr; return the exit code."""
    plan = outcome.plan
    if form.as_json:
        results = [_result(each) for each in outcome.results()] if outcome.is_applied else None
        failures = {failure.render(): failure for failure in outcome.failures}
        session.show(as_json(plan, digest(plan), outcome.names, results, tuple(failures.values())))
    elif form.as_markdown:
        session.show(as_markdown(view(plan, digest(plan), session.now)))
    elif plan != Plan() or not outcome.failures:
        session.show(_as_text(outcome, session), styled=True)
    if outcome.names and not form.as_json:
        show = outlook.as_markdown if form.as_markdown else outlook.as_text
        session.show(f"\n{show(outcome.names, session.now)}")
    for failure in {failure.render(): failure for failure in outcome.failures}.values():
        session.complain(failure)
    session.summarise(_summary(session, outcome))
    if plan.actions and not outcome.is_applied:
        session.say("nothing was changed; --apply does it")
    return outcome.exit_code(detailed=form.detailed)


def _as_text(outcome: Outcome, session: Session) -> str:
    """Return the plan, or once it is applied what became of it."""
    shown = view(outcome.plan, digest(outcome.plan), session.now)
    if not outcome.is_applied:
        return as_text(shown, session.paint)
    return applied_as_text(shown, _rows(outcome), outcome.requests, session.paint)


def _rows(outcome: Outcome) -> list[DoneRow]:
    """Return a row for each action; what failed at some hosts only has one more for each of those."""
    rows: dict[DoneRow, list[str]] = {}
    for result in outcome.results():
        action = result.action
        well = "proposed" if outcome.is_proposed(action) else "done"
        row = DoneRow(
            str(action.verb),
            well if result.failure is None else "failed",
            subject(action.group, action.service),
            action.what,
            action.generation or "",
            () if result.target is not None else action.targets,
            result.failure or action.why or action.reason,
        )
        rows.setdefault(row, []).extend([result.target] if result.target is not None else [])
    return [replace(row, targets=tuple(targets)) if targets else row for row, targets in rows.items()]


def _result(result: Result) -> dict[str, object]:
    """Return what a program reads of what became of an action."""
    action = result.action
    return {
        "verb": str(action.verb),
        "group": action.group,
        "service": action.service,
        "what": action.what,
        "generation": action.generation,
        "host": result.target,
        "result": "done" if result.failure is None else "failed",
        "why": result.failure,
    }


def _summary(session: Session, outcome: Outcome) -> str:
    """Write the outcome for the page of a job."""
    done = "done" if outcome.is_applied else "not done, only planned"
    parts = [f"**sslops**: {done}", as_markdown(view(outcome.plan, digest(outcome.plan), session.now))]
    parts += [f"- {for_markdown(failure.what)}" for failure in outcome.failures]
    parts += [f"- {for_markdown(f'{address}: {why}')}" for address, why in outcome.requests.items()]
    return "\n\n".join(parts)
