"""The worlds that are searched: one site alone, and what may be there beside it; scripts are played and written here.

Each part has its own life, settings and actions, so what is added to one leaves the histories of others as they are.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from tests.proof import consents, copies, families, groups, pruning, strangers, wildcards
from tests.proof.life import Life
from tests.proof.machine import (
    ACTIONS,
    BY_ITSELF,
    LATE_MERGES,
    MOST_CHOICES,
    MOST_PICKS,
    SERVERS,
    SETTINGS,
    Pick,
    Script,
    Step,
)
from tests.unit.dane import issuers

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from random import Random

    from tests.proof.life import Setting
    from tests.proof.machine import Action


@dataclass(frozen=True, slots=True)
class Part:
    """One kind of world: how it lives, the *settings* it begins in, and what can happen there."""

    life: type[Life]
    settings: Mapping[str, Setting]
    actions: Mapping[str, Action]

    @property
    def names(self) -> tuple[str, ...]:
        """The names of its settings."""
        return tuple(self.settings)


ALONE = Part(Life, SETTINGS, ACTIONS)
OTHERS = Part(strangers.Shared, strangers.SETTINGS, {**ACTIONS, **strangers.ACTIONS})
GROUPS = Part(groups.Neighbours, groups.SETTINGS, {**ACTIONS, **groups.ACTIONS})
PUBLIC = Part(issuers.Public, issuers.SETTINGS, {**ACTIONS, **issuers.ACTIONS})
COPIES = Part(copies.Copying, copies.SETTINGS, {**ACTIONS, **copies.ACTIONS})
DUAL = Part(families.Dual, families.SETTINGS, {**ACTIONS, **families.ACTIONS})
CONSENTS = Part(consents.Consenting, consents.SETTINGS, {**ACTIONS, **strangers.ACTIONS, **consents.ACTIONS})
AUTO = Part(Life, BY_ITSELF, {**ACTIONS, **LATE_MERGES})
WILD = Part(wildcards.Wild, wildcards.SETTINGS, {**ACTIONS, **strangers.ACTIONS, **wildcards.ACTIONS})
PRUNED = Part(pruning.Pruned, pruning.SETTINGS, {**ACTIONS, **pruning.ACTIONS})
SERVED = Part(Life, SERVERS, ACTIONS)
BESIDE = (OTHERS, GROUPS, PUBLIC, COPIES, DUAL, CONSENTS, AUTO, WILD, PRUNED, SERVED)
"""The parts where more is there than one site alone."""
_PART_OF = {name: part for part in (ALONE, *BESIDE) for name in part.settings}


def begun(setting: str) -> Life:
    """Return the world that a setting begins with."""
    return _PART_OF[setting].life(_PART_OF[setting].settings[setting])


def play(script: Script, life: Life) -> None:
    """Let *script* happen in *life*; PromiseError when some cache may not match some host."""
    actions = _PART_OF[script.setting].actions
    for step in script.steps:
        actions[step.action].do(life, Pick(step.picks))
        life.follow_inventory()
        life.world.witness()


def written(
    random: Random, steps: int, settings: Sequence[str] = ALONE.names, actions: Sequence[str] | None = None
) -> Script:
    """Write a script of these *actions*; without, of some of all: what is left out leaves room for the rest.

    The *settings* must be of one part.
    """
    table = _PART_OF[settings[0]].actions
    share = random.choice((0.4, 0.7, 1.0))
    known = actions or [name for name, action in table.items() if action.weight > 4 or random.random() < share]
    names = random.choices(known, [1 if actions else table[name].weight for name in known], k=steps)
    picks = [tuple(random.randrange(MOST_CHOICES) for _ in range(MOST_PICKS)) for _ in names]
    return Script(random.choice(settings), tuple(map(Step, names, picks)))
