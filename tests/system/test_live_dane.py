"""DANE on real parts, judged by a real mail sender: knot, unbound, postfix, and `posttls-finger` at level dane-only."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from tests.conftest import COUNTED
from tests.system.live_dane import LiveDane
from tests.system.story import INCLUDES
from tests.world.judge import Verdict
from tests.world.postfix_site import PostfixSite
from tests.world.programs import wait_until

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path


@pytest.fixture
def world(world_folder: Path) -> Iterator[PostfixSite]:
    """Yield two mail servers behind two MX hosts, and two validating resolvers with caches."""
    started = PostfixSite(world_folder)
    yield started
    started.close()


def test_a_sender_that_insists_on_dane_always_delivers(
    world: PostfixSite, record_property: Callable[[str, object], None]
) -> None:
    """First use, a renewal with the prepublished key, a key by force, DANE off; the judge can tell a wrong record."""
    judge = world.judge()
    with judge:
        live = LiveDane(world, judge)
        live.first_use()
        live.renew()
        live.force_another_key()
        live.dane_off()
    verified = judge.count(Verdict.VERIFIED)
    families = " and ".join(sorted({way.family for way in world.ways}))
    record_property(
        COUNTED, f"posttls-finger over {families}: {verified} of {len(judge.looks)} looks verified, none broken"
    )

    assert verified > 0

    wrong = "".join(f"{owner} 1 IN TLSA 3 1 1 {'aa' * 32}\n" for owner in world.owners)
    world.site.dns.edit(dict.fromkeys(INCLUDES, wrong))

    wait_until(
        lambda: {judge.look(0, way).verdict for way in world.ways} == {Verdict.BROKEN},
        lambda: "a wrong record went unnoticed",
    )
