"""What the checks of the local forge get."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest

from tests.world.forge import Forge

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path


@pytest.fixture
def start_forge(world_folder: Path) -> Iterator[Callable[..., Forge]]:
    """Yield a function that starts a forge of a dialect, `main` and `sslops/tlsa` (one commit ahead) in `infra/dns`."""
    started: list[Forge] = []

    def start(dialect: str, **switches: Any) -> Forge:
        forge = Forge(world_folder / f"forge{len(started)}", dialect, ["infra/dns"], **switches)
        started.append(forge)
        project = forge.project("infra/dns")
        project.edit({"zone": "; empty\n"}, "First", start=None)
        project.edit({"tlsa": "; records\n"}, "Records", branch="sslops/tlsa", by="bot")
        return forge

    yield start
    for forge in started:
        forge.close()
