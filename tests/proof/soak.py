"""The long search, by `make soak`: first every mutation, from any seed, then histories until the time is over.

Prints seeds, histories, steps and what was found; exit 1 when a history breaks the promise or never comes to rest, or
when a mutation is not found.
"""

from __future__ import annotations

import argparse
import sys
import time
from random import Random
from typing import TYPE_CHECKING

from tests.proof.mutations import MUTATIONS
from tests.proof.search import counterexample, first_seed, judged
from tests.proof.worlds import ALONE, BESIDE, written

if TYPE_CHECKING:
    from collections.abc import Iterator

    from tests.proof.machine import Script

TRIES = 5000
LENGTHS = (15, 30, 45, 80)


def main() -> int:
    """Search until the time is over."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--minutes", type=float, default=30)
    parser.add_argument("--seed", type=int, default=None, help="the first seed; by default one of the moment")
    parser.add_argument("--search-only", action="store_true", help="leave the mutations to tests.proof.drift")
    given = parser.parse_args()
    first = int(time.time()) % 1_000_000 * 1000 if given.seed is None else given.seed
    taken = () if given.search_only else tuple(MUTATIONS)
    missed = [name for name in taken if not _finds(name, first)]
    end = time.monotonic() + 60 * given.minutes
    seed, found, scripts, steps = first, 0, 0, 0
    while time.monotonic() < end:
        for script in _scripts(seed):
            finding = judged(script)
            scripts, steps = scripts + 1, steps + len(script.steps)
            if finding is not None:
                found += 1
                print(counterexample(seed, script, finding), flush=True)
        seed += 1
    print(f"seeds {first} to {seed - 1}: {scripts} histories, {steps} steps, {found} of them wrong")
    if taken:
        print(f"{len(taken) - len(missed)} of {len(taken)} mutations found" + (f", not {missed}" if missed else ""))
    return 1 if found or missed else 0


def _scripts(seed: int) -> Iterator[Script]:
    """Yield what a seed comes to: a history of one site alone, and one of a part of what may be beside it."""
    for part in (ALONE, BESIDE[seed // len(LENGTHS) % len(BESIDE)]):
        yield written(Random(seed), LENGTHS[seed % len(LENGTHS)], part.names)  # noqa: S311  (a history is no secret)


def _finds(name: str, first: int) -> bool:
    seed = first_seed(name, range(first, first + TRIES))
    print(
        f"mutation '{name}': {'not found' if seed is None else f'found after {seed - first + 1} histories'}", flush=True
    )
    return seed is not None


if __name__ == "__main__":
    sys.exit(main())
