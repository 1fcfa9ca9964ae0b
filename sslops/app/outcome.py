"""What a stage did or would do, and the exit code it ends in (design section 6)."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from sslops.errors import ExitCode, SslopsError, worst
from sslops.model.plan import Plan

if TYPE_CHECKING:
    from sslops.model.outlook import NameOutlook


@dataclass(frozen=True, slots=True)
class Outcome:
    """The plan of one verb, whether it was carried out, and what failed on the way."""

    plan: Plan = Plan()
    is_applied: bool = False
    failures: tuple[SslopsError, ...] = ()
    names: tuple[NameOutlook, ...] = ()
    """What lies before each name with DANE; only `plan` looks ahead."""

    def __add__(self, other: Outcome) -> Outcome:
        """Join the outcomes of two stages of one run."""
        return Outcome(self.plan + other.plan, self.is_applied or other.is_applied, (*self.failures, *other.failures))

    def exit_code(self, *, detailed: bool) -> ExitCode:
        """Return the exit code; waiting and pending only count when *detailed*."""
        codes = [ExitCode.DONE, *(failure.exit_code for failure in self.failures)]
        codes += [ExitCode.FAILED] if any(wait.fatal for wait in self.plan.waits) else []
        codes += [ExitCode.REFUSED] if self.plan.hazards else []
        if detailed:
            codes += [ExitCode.PENDING] if self.plan.actions and not self.is_applied else []
            codes += [ExitCode.WAITING] if self.plan.waits else []
        return worst(codes)
