"""DANE on real servers for as long as asked: `python -m tests.system.live_soak MINUTES [SEED]`. Root only.

Steps of `LiveDane` in an order of chance while the judge looks on; what it finds broken ends the soak with an error.
Every kind of step is taken before one is taken again. At the end a key is changed with the engine's gate taken out,
which the judge has to find: it could have failed all the time.
"""

from __future__ import annotations

import os
import random
import shutil
import sys
import tempfile
import time
from collections import Counter
from pathlib import Path

from tests.system.live_dane import LiveDane
from tests.world.judge import Judge, Verdict
from tests.world.loopback import NO_IPV6, has_ipv6
from tests.world.postfix_site import PostfixSite

SEED = 20261124
KINDS = (
    (LiveDane.renew,),
    (LiveDane.force_another_key,),
    (LiveDane.renew_while_a_host_is_down,),
    (LiveDane.force_another_key_while_a_server_lags,),
    (LiveDane.dane_off, LiveDane.dane_on),
    (LiveDane.add_rsa, LiveDane.renew, LiveDane.remove_rsa),
    (LiveDane.ask_for_other_records,),
    (LiveDane.take_a_roll_back,),
    (LiveDane.lose_the_ledger,),
    (LiveDane.renew_while_runs_are_killed,),
    (LiveDane.renew_by_two_runs_at_once,),
    (LiveDane.force_another_key_while_a_server_is_down,),
    (LiveDane.change_the_ttl,),
    (LiveDane.renew_while_a_restart_fails,),
    (LiveDane.renew_while_receivers_are_killed,),
)
"""Steps that end where they began; those of one kind follow each other."""


class Soak:
    """A site, its judge, and the steps that were taken."""

    def __init__(self, seed: int) -> None:
        """Start everything; *seed* decides the order."""
        self.folder = Path(tempfile.mkdtemp(prefix="sslops-"))
        self.taken: Counter[str] = Counter()
        self._dice = random.Random(seed)  # noqa: S311  (reproducible)
        self._world = PostfixSite(self.folder)
        self._judge = self._world.judge()

    def run(self, minutes: float) -> None:
        """Take steps for *minutes*, at least one of each kind; AssertionError when a sender could not deliver."""
        try:
            with self._judge as judge:
                self._take_steps(judge, time.monotonic() + 60 * minutes)
            strict = self._world.judge()
            strict.begin()
            LiveDane(self._world, strict).change_the_key_without_a_gate()
            strict.end()
        finally:
            self._world.close()
        shutil.rmtree(self.folder)

    def said(self) -> str:
        """Return what was done and seen, in a line."""
        looks = self._judge.looks
        families = Counter(look.way.family for look in looks if look.verdict is Verdict.VERIFIED)
        verified = ", ".join(f"{count} over {family}" for family, count in sorted(families.items()))
        steps = ", ".join(f"{name} {count}" for name, count in sorted(self.taken.items()))
        return (
            f"{self.taken.total()} steps ({steps}); {len(looks)} looks, {families.total()} verified ({verified}), "
            f"{self._judge.count(Verdict.NO_RECORDS)} without records, {len(self._judge.broken)} broken"
        )

    def _take_steps(self, judge: Judge, end: float) -> None:
        live = LiveDane(self._world, judge, self._dice)
        live.first_use()
        is_complete = False
        while not is_complete or time.monotonic() < end:
            for kind in self._dice.sample(KINDS, len(KINDS)):
                if is_complete and time.monotonic() >= end:
                    return
                for step in kind:
                    begun = time.monotonic()
                    step(live)
                    self.taken[step.__name__] += 1
                    print(
                        f"{step.__name__}: {time.monotonic() - begun:.0f} s, {judge.count(Verdict.VERIFIED)} verified",
                        flush=True,
                    )
            is_complete = True


def main(minutes: str = "10", seed: str = str(SEED)) -> int:
    """Soak, and say what was seen."""
    if os.geteuid() != 0:
        print("NOT RUN: DANE on real servers for long (tests.system.live_soak): postfix needs root", file=sys.stderr)
        return 1
    if not has_ipv6():
        print(NO_IPV6, file=sys.stderr)
    soak = Soak(int(seed))
    try:
        soak.run(float(minutes))
    except BaseException:
        print(f"seed {seed}: {soak.said()}\nwhat the servers wrote is kept in {soak.folder}", flush=True)
        raise
    print(f"seed {seed}: {soak.said()}")
    print("a key changed with the gate taken out was found")
    return 0


if __name__ == "__main__":
    sys.exit(main(*sys.argv[1:]))
