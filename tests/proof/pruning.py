"""Prune at any moment, by a clock for which every certificate has expired: only the other rules hold it back."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import timedelta
from typing import TYPE_CHECKING

from sslops.model.plan import Consents
from sslops.prune.rules import PruneOptions
from sslops.simulate.stages import Machine
from tests.proof import life as of
from tests.proof.life import Life, Setting
from tests.proof.machine import MOST_RUNS, Action

if TYPE_CHECKING:
    from tests.proof.machine import Pick

AHEAD = timedelta(days=1000)
SETTINGS = {
    "pruned": Setting(begins="rolled"),
    "pruned, EC and RSA": Setting(services=(of.EC, of.RSA), begins="rolled"),
    "pruned, two folders": Setting(views=2, begins="rolled"),
    "pruned, reviewed": Setting(is_reviewed=True, begins="rolled"),
}


@dataclass
class Pruned(Life):
    """A site that prunes."""

    pruned: int = 0

    def prune(self, keep: int, calls: int | None = None) -> None:
        """Prune; or begin to, and do so many *calls*."""
        machine = Machine(self.world, consents=Consents(frozenset(self.given)))
        before = self._amount()
        run = machine.prune(PruneOptions(keep=keep, every=True), AHEAD)
        if calls is None:
            run.finish()
        else:
            self.active.append(run)
            run.begin()
            for _ in range(calls):
                run.go_on()
        self.pruned += before - self._amount()
        self._after(run)

    def come_to_rest(self) -> None:
        """Let what was taken back come to its end first, as for a site alone."""
        self.repair()
        self.rest()
        super().come_to_rest()

    def _amount(self) -> int:
        return sum(len(state.generations) for state in self.world.ops.next.services.values())


def _key_is_changed(life: Life, pick: Pick) -> None:
    """Bring one service from its key to the next, as far as the world lets it."""
    service = pick(sorted(life.asks))
    life.make_key(service)
    life.issue(service)
    for verb in ("publish", "roll", "deploy", "publish"):
        life.run(verb)
        life.merge_everything()
        life.load_all()
        life.wait(3 * of.LARGE)


def _prunes(life: Life, pick: Pick) -> None:
    if isinstance(life, Pruned):
        life.prune(pick((0, 0, 1)))


def _begins_to_prune(life: Life, pick: Pick) -> None:
    if isinstance(life, Pruned) and len(life.active) < MOST_RUNS:
        life.prune(0, calls=pick((1, 3, 6, 12)))


ACTIONS = {
    "a key is changed": Action(_key_is_changed, 10),
    "prune runs": Action(_prunes, 6),
    "a prune begins": Action(_begins_to_prune, 3),
}
