"""What every test of the forge clients gets."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest

from tests.integration.forges.bench import Bench
from tests.rows import DIALECTS

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path


@pytest.fixture
def start_bench(world_folder: Path) -> Iterator[Callable[..., Bench]]:
    """Yield a function that starts a forge of a given kind."""
    started: list[Bench] = []

    def start(kind: str, **switches: Any) -> Bench:
        started.append(Bench(world_folder / f"forge{len(started)}", kind, **switches))
        return started[-1]

    yield start
    for bench in started:
        bench.close()


@pytest.fixture(params=DIALECTS)
def bench(start_bench: Callable[[str], Bench], request: pytest.FixtureRequest) -> Bench:
    """Return a forge of each kind in turn."""
    return start_bench(request.param)
