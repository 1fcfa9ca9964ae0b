"""Prune in the world of the proof: it takes something, never what is needed, and the search would tell."""

from __future__ import annotations

from random import Random
from typing import TYPE_CHECKING

from sslops.prune import rules
from tests.proof.life import EC
from tests.proof.machine import Pick
from tests.proof.pruning import ACTIONS, SETTINGS, Pruned
from tests.proof.search import BROKEN, judged
from tests.proof.worlds import PRUNED, written

if TYPE_CHECKING:
    import pytest

SEED, STEPS = 34, 16
"""The first history of these actions in which a host that was down needs what slots have forgotten."""
BUSY = (
    "a key is changed",
    "a host dies or returns",
    "prune runs",
    "a certificate is renewed",
    "roll runs",
    "publish reaches everybody",
    "time passes",
)


def test_prune_takes_what_was_live_long_ago() -> None:
    """After five key changes only slots and what records name are left."""
    life = Pruned(SETTINGS["pruned"])
    for _ in range(5):
        ACTIONS["a key is changed"].do(life, Pick(()))
    life.prune(0)

    assert life.pruned > 0
    assert len(life.world.ops.next[EC].generations) < life.made


def test_the_search_finds_a_prune_that_looks_at_slots_alone(monkeypatch: pytest.MonkeyPatch) -> None:
    """Without what hosts may serve and what DNS has, a host serves what no branch has any more."""
    script = written(Random(SEED), STEPS, PRUNED.names, BUSY)  # noqa: S311  (a history is no secret)

    assert judged(script, to_rest=False) is None

    monkeypatch.setattr(rules, "_on_hosts", lambda _: frozenset())
    monkeypatch.setattr(rules, "_named_by_dns", lambda *_: frozenset())
    found = judged(script, to_rest=False)

    assert found is not None
    assert BROKEN == found.kind
