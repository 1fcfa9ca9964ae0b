"""Since when what is blocked is blocked: looked up in the ledger and in git, and written down where it is news."""

from __future__ import annotations

from dataclasses import replace
from datetime import timedelta
from typing import TYPE_CHECKING

from sslops.model import blocked
from sslops.model.change import Note
from sslops.model.plan import Verb
from sslops.repo.git_history import changed_at
from sslops.system.clock import SystemClock

if TYPE_CHECKING:
    from collections.abc import Collection, Mapping
    from datetime import datetime

    from sslops.app.outcome import Outcome
    from sslops.app.site import Site
    from sslops.model.plan import Plan, Wait


def seen(site: Site, outcome: Outcome) -> Outcome:
    """Return *outcome* with what is known of how long its waits are blocked; nothing is written."""
    return replace(outcome, plan=_judged(site, outcome.plan, site.snapshot.ledger.blocked))


def remembered(site: Site, outcome: Outcome, verbs: Collection[Verb], *, is_partial: bool) -> Outcome:
    """Return *outcome* likewise, after the ledger has learnt what is blocked now; a run without news writes nothing.

    Raises Moved when another run was faster.
    """
    snapshot = site.ops.snapshot()
    known = snapshot.ledger.blocked
    judged = _judged(site, outcome.plan, known)
    news = blocked.remembered(judged, known, verbs, SystemClock().now(), is_partial=is_partial)
    troubles = snapshot.ledger.troubles
    if Verb.DEPLOY in verbs:
        troubles = blocked.troubled(outcome.troubles, troubles, judged, SystemClock().now(), is_partial=is_partial)
    if (news, troubles) != (known, snapshot.ledger.troubles) and not site.is_rehearsal:
        note = Note("observe", "what is blocked", "And which hosts the last deploy failed at.")
        site.ops.write_ledger(snapshot, replace(snapshot.ledger, blocked=news, troubles=troubles), note)
    return replace(outcome, plan=judged)


def _judged(site: Site, plan: Plan, known: Mapping[str, datetime]) -> Plan:
    minutes = site.inventory.settings.blocked_grace_minutes
    dated = replace(plan, waits=tuple(_dated(site, wait) for wait in plan.waits))
    grace = None if minutes is None else timedelta(minutes=minutes)
    return blocked.judged(dated, known, SystemClock().now(), grace)


def _dated(site: Site, wait: Wait) -> Wait:
    """Return *wait* of renew, which the ledger does not remember, with since when main asks for its certificate."""
    if wait.verb is not Verb.RENEW or wait.since is not None or not wait.is_blocked:
        return wait
    path = f"inventory/{wait.group}/{wait.service}.yaml"
    return replace(wait, since=changed_at(site.ops.git.process, site.snapshot.main_commit, path))
