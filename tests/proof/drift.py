"""Does the search still need every check? By `make drift`: each is taken out of the code of production in turn.

For each the search has up to 400 seeds to find a history that goes wrong. Prints a line each, and how many were found;
exit 1 when one was not. A check that nobody misses is one that the search does not reach, or that the code lost.
"""

from __future__ import annotations

import argparse
import sys
import time

from tests.proof.mutations import MUTATIONS
from tests.proof.search import first_seed

TRIES = 400


def main() -> int:
    """Take out every check, one after the other."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--seed", type=int, default=0, help="the first seed [0]")
    parser.add_argument("names", nargs="*", metavar="NAME", help="these checks only")
    given = parser.parse_args()
    names = given.names or list(MUTATIONS)
    found = 0
    for name in names:
        begin = time.monotonic()
        seed = first_seed(name, range(given.seed, given.seed + TRIES))
        found += seed is not None
        told = f"not found in {TRIES} histories" if seed is None else f"found by seed {seed}"
        print(f"{name}: {told}, {time.monotonic() - begin:.1f} s", flush=True)
    print(f"{found} of {len(names)} found")
    return 0 if found == len(names) else 1


if __name__ == "__main__":
    sys.exit(main())
