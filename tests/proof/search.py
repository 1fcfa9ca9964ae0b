"""The search: scripts from seeds, played, and judged by the promise and by whether the site comes to rest."""

from __future__ import annotations

from contextlib import nullcontext
from dataclasses import dataclass
from random import Random
from typing import TYPE_CHECKING

from sslops.simulate.world import PromiseError
from tests.proof.machine import Script, shortened
from tests.proof.mutations import MUTATIONS, mutated
from tests.proof.worlds import ALONE, begun, play, written

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence
    from contextlib import AbstractContextManager

    from tests.proof.life import Life

BROKEN, RESTLESS = "a cache is wrong", "the site never comes to rest"


@dataclass(frozen=True, slots=True)
class Finding:
    """What a script came to: one of the kinds above, and what exactly."""

    kind: str
    what: str


@dataclass(frozen=True, slots=True)
class Counterexample:
    """The seed that led to it, the script without what does not matter, and what it comes to."""

    seed: int
    script: Script
    finding: Finding

    def __str__(self) -> str:
        """Return it as a person reads it."""
        return f"seed {self.seed}: {self.finding.kind}: {self.finding.what}\n{self.script}"


def judged(
    script: Script, *, to_rest: bool = True, within: Callable[[], AbstractContextManager[None]] = nullcontext
) -> Finding | None:
    """Play *script*, then let everything be repaired; return what went wrong, null when nothing did.

    The world has begun before the context *within* is entered.
    """
    life = begun(script.setting)
    try:
        with within():
            left = _left(script, life, to_rest=to_rest)
    except PromiseError as error:
        return Finding(BROKEN, error.what)
    finally:
        life.kill_all()
    return Finding(RESTLESS, "; ".join(left)) if left else None


def _left(script: Script, life: Life, *, to_rest: bool) -> list[str]:
    play(script, life)
    if not to_rest:
        return []
    life.repair()
    left = life.stalled()
    if not left:
        life.come_to_rest()
        left = life.unfinished()
    return left


def counterexample(seed: int, script: Script, finding: Finding) -> Counterexample:
    """Return the shortest script that still comes to the same kind of finding."""

    def fails(shorter: Script) -> bool:
        found = judged(shorter)
        return found is not None and found.kind == finding.kind

    small = shortened(script, fails)
    return Counterexample(seed, small, judged(small) or finding)


def search(seeds: Sequence[int], steps: int, settings: Sequence[str] = ALONE.names) -> Iterator[Counterexample]:
    """Yield what is wrong, one seed after the other."""
    for seed in seeds:
        script = written(Random(seed), steps, settings)  # noqa: S311  (a history is no secret)
        finding = judged(script)
        if finding is not None:
            yield counterexample(seed, script, finding)


def first_seed(name: str, seeds: Sequence[int]) -> int | None:
    """Return the first seed whose script shows the mutation *name*, and nothing without it; null when none does."""
    mutation = MUTATIONS[name]
    actions = (*mutation.usual, *mutation.more)
    wanted = RESTLESS if mutation.stops else BROKEN
    for seed in seeds:
        script = written(Random(seed), mutation.steps, (mutation.setting,), actions)  # noqa: S311
        finding = judged(script, to_rest=mutation.stops, within=lambda: mutated(name))
        if finding is not None and finding.kind == wanted and judged(script, to_rest=mutation.stops) is None:
            return seed
    return None
