"""One thing the doctor looked at, and what it means for which verbs."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Collection, Iterable

ALL = ("check", "plan", "renew", "publish", "roll", "deploy", "run", "status")
"""Verbs that work on an ops repository."""


class Health(StrEnum):
    """`ok`; `missing`: the named verbs cannot do their work; `note`: it works, and somebody should know."""

    OK = "ok"
    MISSING = "missing"
    NOTE = "note"


@dataclass(frozen=True, slots=True)
class Finding:
    """What was looked at, how it is, what was seen, for which verbs it matters, and the command or edit that helps."""

    name: str
    health: Health
    what: str
    verbs: tuple[str, ...] = ()
    fix: str | None = None

    def concerns(self, verbs: Collection[str]) -> bool:
        """Whether one of *verbs* needs it; empty means any verb at all."""
        return not verbs or not self.verbs or bool(set(self.verbs) & set(verbs))


def is_ill(findings: Iterable[Finding]) -> bool:
    """Whether something is missing."""
    return any(finding.health is Health.MISSING for finding in findings)
