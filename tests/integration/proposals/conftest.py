"""Desks that end with their test."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from tests.integration.proposals.desk import Desk

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path


@pytest.fixture
def start(tmp_path: Path) -> Iterator[Callable[..., Desk]]:
    """Yield a function that starts a desk on a forge of a dialect."""
    started: list[Desk] = []

    def make(dialect: str = "github") -> Desk:
        started.append(Desk(tmp_path, dialect))
        return started[-1]

    yield make
    for each in started:
        each.close()


@pytest.fixture
def desk(start: Callable[..., Desk]) -> Desk:
    """Return a desk on the forge that closes requests by itself most readily."""
    return start()
