"""What a stage did or would do, and the exit code it ends in (design section 6)."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from sslops.errors import ExitCode, SslopsError, worst
from sslops.model.cause import Cause
from sslops.model.plan import Action, Plan, Verb

if TYPE_CHECKING:
    from collections.abc import Mapping

    from sslops.model.names import ServiceId
    from sslops.model.outlook import NameOutlook


@dataclass(frozen=True, slots=True)
class Result:
    """What became of one action; of deploy at one host, *target*. *failure* is null where it was done."""

    action: Action
    target: str | None
    failure: str | None


@dataclass(frozen=True, slots=True)
class Outcome:
    """The plan of one verb, whether it was carried out, and what failed on the way."""

    plan: Plan = Plan()
    is_applied: bool = False
    failures: tuple[SslopsError, ...] = ()
    names: tuple[NameOutlook, ...] = ()
    """What lies before each name with DANE; only `plan` looks ahead."""
    troubles: Mapping[str, str] = field(default_factory=dict)
    """Host to what failed there."""
    failed: tuple[tuple[Verb, ServiceId, str], ...] = ()
    """Services for which a verb failed, and why."""
    requests: Mapping[str, str] = field(default_factory=dict)
    """Where each merge request stands that was touched, by its address."""

    def __add__(self, other: Outcome) -> Outcome:
        """Join the outcomes of two stages of one run."""
        return Outcome(
            self.plan + other.plan,
            self.is_applied or other.is_applied,
            (*self.failures, *other.failures),
            troubles={**self.troubles, **other.troubles},
            failed=(*self.failed, *other.failed),
            requests={**self.requests, **other.requests},
        )

    def results(self) -> tuple[Result, ...]:
        """Return what became of each action at each of its hosts; empty for a dry-run, where nothing became of any."""
        if not self.is_applied:
            return ()
        done = [
            Result(action, target, self.troubles.get((target or "").partition("/")[0]))
            for action in self.plan.actions
            for target in (action.targets if action.verb is Verb.DEPLOY else (None,))
        ]
        lost = [
            Result(Action(verb, service.group, service.name, str(verb), "failed"), None, why)
            for verb, service, why in self.failed
        ]
        return (*done, *lost)

    def is_proposed(self, action: Action) -> bool:
        """Whether *action* is done as far as this run could: a person, or the forge, has to merge it."""
        causes = {Cause.REVIEW, Cause.NOT_MERGEABLE, Cause.DECLINED}
        return any(
            wait.cause in causes and (wait.verb, wait.group) == (action.verb, action.group)
            for wait in self.plan.waits
            if not action.service or wait.service in {action.service, ""}
        )

    def exit_code(self, *, detailed: bool) -> ExitCode:
        """Return the exit code; waiting and pending only count when *detailed*."""
        codes = [ExitCode.DONE, *(failure.exit_code for failure in self.failures)]
        codes += [ExitCode.FAILED] if any(wait.fatal for wait in self.plan.waits) else []
        codes += [ExitCode.REFUSED] if self.plan.hazards else []
        if detailed:
            codes += [ExitCode.PENDING] if self.plan.actions and not self.is_applied else []
            codes += [ExitCode.WAITING] if self.plan.waits else []
        return worst(codes)
