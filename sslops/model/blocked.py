"""Since when something is blocked, and whether that is a failure by now: pure, from a plan and what is remembered."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

from sslops.model.cause import MEANINGS, Cause
from sslops.model.ledger import Trouble
from sslops.model.plan import Verb

if TYPE_CHECKING:
    from collections.abc import Collection, Mapping
    from datetime import datetime, timedelta

    from sslops.model.plan import Plan, Wait


MAX_WORDS = 300
"""Characters of a failure that the ledger keeps."""

REMEMBERED = frozenset({Verb.PUBLISH, Verb.ROLL, Verb.DEPLOY})
"""The verbs that push the ledger, so that it can remember for them. Renew tells since when by its own dates."""


def judged(plan: Plan, known: Mapping[str, datetime], now: datetime, grace: timedelta | None = None) -> Plan:
    """Return *plan* with since when each of its waits is blocked, and from when on that is a failure.

    *known* is what the ledger remembers (`Wait.key` to the moment it was first met); what nobody has met before is
    blocked since now. *grace* takes the place of what the causes have, but for what is a failure at once.
    """
    return replace(plan, waits=tuple(_judged(wait, known, now, grace) for wait in plan.waits))


def remembered(
    plan: Plan, known: Mapping[str, datetime], verbs: Collection[Verb], now: datetime, *, is_partial: bool
) -> Mapping[str, datetime]:
    """Return what the ledger is to remember after *verbs* were carried out with *plan*; equal to *known* without news.

    A run about a part of the site says nothing about what it does not name.
    """
    asked = REMEMBERED & set(verbs)
    blocked = {wait.key for wait in plan.waits if wait.is_blocked and wait.verb in asked}
    kept = {key: since for key, since in known.items() if is_partial or key in blocked or key.split()[0] not in asked}
    return kept | dict.fromkeys(blocked - kept.keys(), now)


def troubled(
    found: Mapping[str, str], known: Mapping[str, Trouble], plan: Plan, now: datetime, *, is_partial: bool
) -> Mapping[str, Trouble]:
    """Return which hosts a deploy leaves in trouble, each with its last words and since when.

    *found* is what failed in this one. A host that was not tried, because of its backoff or because a run about
    a part of the site did not touch it, keeps what it has.
    """
    tried = {target for action in plan.actions if action.verb is Verb.DEPLOY for target in action.targets}
    backing_off = {wait.what for wait in plan.waits if wait.verb is Verb.DEPLOY and wait.cause is Cause.BACKOFF}
    kept = {host: each for host, each in known.items() if host in backing_off or (is_partial and host not in tried)}
    told = {host: " ".join(why.split())[:MAX_WORDS] for host, why in found.items()}
    return kept | {host: Trouble(known[host].since if host in known else now, why) for host, why in told.items()}


def _judged(wait: Wait, known: Mapping[str, datetime], now: datetime, grace: timedelta | None) -> Wait:
    own = MEANINGS[wait.cause].grace
    if not wait.is_blocked or own is None:
        return wait
    since = min(wait.since or known.get(wait.key, now), now)
    deadline = since + (own if grace is None or not own else grace)
    return replace(wait, since=since, deadline=deadline, fatal=wait.fatal or deadline <= now)
