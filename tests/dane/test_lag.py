"""A combination that is withdrawn while a server lags: some cache may have asked that server a moment ago."""

from __future__ import annotations

import pytest

from tests.dane.builders import OWNER, PARAMS
from tests.dane.simulation import LARGE, PRIMARY, SECONDARY, SHORT
from tests.dane.test_combinations import WHOLE, Changing, settled_world


def keyed_beside_an_old_combination() -> Changing:
    """Return a world whose next key has an aged record of the kind that stays, and none of the kind that goes."""
    world = settled_world()
    world.wanted = frozenset({WHOLE})
    world.rest()
    world.make_key()
    world.wanted = frozenset({PARAMS})
    while world.base.views[0][OWNER].combinations != {PARAMS, WHOLE}:
        world.publish()
        world.load_all()
        world.look()
    world.wait(3 * LARGE)
    return world


@pytest.mark.parametrize("ttl_seconds", [SHORT, LARGE])
def test_a_withdrawn_combination_counts_until_the_last_server_forgot_it(ttl_seconds: int) -> None:
    """Also when a look in between had something else to write down: a TTL that changed with the same commit."""
    world = keyed_beside_an_old_combination()
    world.ttl_seconds = ttl_seconds
    world.publish()
    assert {PARAMS} == world.base.views[0][OWNER].combinations
    world.issue()
    world.look()
    world.load(PRIMARY)
    world.look()
    world.wait(1)
    world.load(SECONDARY)
    world.look()
    world.roll()
    world.deploy("smtp1")
    world.check()
