"""DANE on real servers for as long as asked: `python -m tests.system.live_soak MINUTES [SEED]`. Root only.

Steps of `LiveDane` in a random order while the judge looks on; what it finds broken ends the soak with an error. At the
end a key is changed with the engine's gate taken out, which the judge has to find: it could have failed all the time.
"""

from __future__ import annotations

import random
import shutil
import sys
import tempfile
import time
from pathlib import Path

from tests.system.live_dane import LiveDane
from tests.world.judge import Verdict
from tests.world.postfix_site import PostfixSite

SEED = 20261124


def soak(minutes: float, seed: int = SEED) -> int:
    """Take steps for *minutes*, and end the one under way; return how often DANE was verified.

    AssertionError when a sender that insists on DANE could not deliver.
    """
    folder = Path(tempfile.mkdtemp(prefix="sslops-"))
    world = PostfixSite(folder)
    try:
        with world.judge() as judge:
            _take_steps(LiveDane(world, judge), random.Random(seed), time.monotonic() + 60 * minutes)  # noqa: S311  (reproducible)
            verified = judge.count(Verdict.VERIFIED)
        strict = world.judge()
        strict.begin()
        LiveDane(world, strict).change_the_key_without_a_gate()
        strict.end()
    finally:
        world.close()
    shutil.rmtree(folder)
    return verified


def _take_steps(live: LiveDane, dice: random.Random, end: float) -> None:
    live.first_use()
    while time.monotonic() < end:
        step = dice.choice(
            [
                (live.renew,),
                (live.force_another_key,),
                (live.renew_while_a_host_is_down,),
                (live.force_another_key_while_a_server_lags,),
                (live.dane_off, live.dane_on),
                (live.add_rsa, live.renew, live.remove_rsa),
            ]
        )
        for part in step:
            part()
            print(f"{part.__name__}: {live.judge.count(Verdict.VERIFIED)} verified", flush=True)


def main(minutes: str, seed: str = str(SEED)) -> None:
    """Soak, and say what was seen."""
    print(f"verified {soak(float(minutes), int(seed))} times, never broken")


if __name__ == "__main__":
    main(*sys.argv[1:])
