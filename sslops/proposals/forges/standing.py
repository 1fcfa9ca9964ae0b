"""What a token may do on a project, and which settings of the project matter to us: for `sslops doctor`."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from sslops.proposals.forges.wire import Refusal

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable

    from sslops.proposals.forges.protection import EngineBranch, Guard

_LACKING = frozenset({401, 403})


@dataclass(frozen=True, slots=True)
class Probe:
    """A call that is refused without *right* and changes nothing with it: what it names is never there.

    *work* completes "it cannot ...".
    """

    right: str
    work: str
    call: Callable[[], object]

    @property
    def is_lacking(self) -> bool:
        """Whether the forge refuses the call for want of the right; any other answer means that it got so far."""
        try:
            self.call()
        except Refusal as refusal:
            return refusal.status in _LACKING
        return False


def lacks(probes: Iterable[Probe]) -> tuple[Probe, ...]:
    """Try every probe, and return those whose right is lacking."""
    return tuple(probe for probe in probes if probe.is_lacking)


@dataclass(frozen=True, slots=True)
class Standing:
    """How we stand with one project; null means that the forge does not tell this token.

    *scopes* of the token and the day it *expires_at*, whether it *can_propose* (push and open requests), the rules of
    the branch that requests are merged into (*base*) and of the engine's own (*engine*), whether requests *can_wait* to
    be merged by the forge, and which of the allowed ways to merge are *unsigning*: they make new commits without our
    signature. *lacks* are the rights that were tried and refused, *excess* names what the token may do beyond what is
    needed, *can_merge* whether it may merge into the branch. *unruled* are people who may write, where the forge
    has no rule for some branch of the engine's that would not stop the engine too.
    """

    scopes: tuple[str, ...] | None
    expires_at: str | None
    can_propose: bool | None
    base: Guard
    engine: tuple[tuple[EngineBranch, Guard], ...]
    can_wait: bool | None
    unsigning: tuple[str, ...]
    lacks: tuple[Probe, ...] = ()
    excess: tuple[str, ...] = ()
    can_merge: bool | None = None
    unruled: tuple[str, ...] = ()
    exposed: str | None = None
    """What the rules open to whoever holds the bot's token, in words; null: nothing, or nobody can tell."""
