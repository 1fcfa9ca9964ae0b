"""The digest of a plan: what a person reviewed and `--plan DIGEST` holds a run to (design section 6).

It covers actions, targets and reasons; not prose, times, ids that are not made yet, or observations.

>>> from sslops.model.plan import Plan
>>> digest(Plan())[:14]
'sha256:4f53cda'
"""

from __future__ import annotations

import hashlib
import json
from typing import TYPE_CHECKING

from sslops.errors import Refused

if TYPE_CHECKING:
    from sslops.model.plan import Plan


def digest(plan: Plan) -> str:
    """Return `sha256:` and the hash of the canonical JSON of the plan's actions."""
    actions = [
        {
            "verb": str(action.verb),
            "group": action.group,
            "service": action.service,
            "what": action.what,
            "reason": str(action.reason),
            "generation": action.generation,
            "targets": list(action.targets),
        }
        for action in plan.actions
    ]
    canonical = json.dumps(actions, sort_keys=True, separators=(",", ":"), ensure_ascii=False)
    return "sha256:" + hashlib.sha256(canonical.encode()).hexdigest()


def require(plan: Plan, expected: str | None) -> None:
    """Do nothing when *plan* is the one asked for; Refused otherwise."""
    actual = digest(plan)
    if expected is not None and actual != expected:
        message = f"the plan is now {actual}, not {expected}"
        raise Refused(message, hint="sslops plan")
