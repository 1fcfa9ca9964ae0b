"""The local forge passes what real ones are asked: so a test that it lets pass, a real one lets pass."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from sslops.model.forges import Forge
from tests.forge.conformance import CHECK, LIVES, Life, tried
from tests.rows import DIALECTS, rows
from tests.world.forge import Status

if TYPE_CHECKING:
    from collections.abc import Callable, Collection

    from tests.integration.forges.bench import Bench

STYLES = {Forge.GITLAB: ("merge",), Forge.GITHUB: ("merge", "rebase", "squash")}


class Beside:
    """The person at a local forge; implements `Admin`."""

    def __init__(self, bench: Bench) -> None:
        """Act on its project."""
        self.kind = Forge.of(bench.kind)
        self.project = bench.project.name
        self.styles: tuple[str, ...] = STYLES.get(self.kind, tuple(bench.project.manners.methods))
        self._bench = bench

    def require_check(self, *, is_on: bool) -> None:
        """By the protection of main."""
        self._bench.project.protection().required_checks = (CHECK,) if is_on else ()

    def report(self, sha: str, state: str) -> None:
        """By a status."""
        status = {"success": Status.SUCCESS, "failure": Status.FAILED}.get(state, Status.PENDING)
        self._bench.project.pipeline(sha, status, CHECK)

    def allow(self, styles: Collection[str]) -> None:
        """By the settings."""
        if self.kind is not Forge.GITLAB:
            self._bench.project.merge_methods = set(styles)

    def push(self, branch: str, files: dict[str, str], parent: str) -> str:
        """As the bot does."""
        store, user = self._bench.project.repository, self._bench.forge.user("sslops-bot")
        made = store.edited(store.resolve(parent), files, "Change", (user.person, user.person))
        self._bench.project.move_branch(branch, made, user)
        return made

    def head(self, branch: str) -> str:
        """Return where a branch is."""
        return self._bench.project.repository.head(branch) or ""


@pytest.mark.parametrize("dialect", rows(DIALECTS, DIALECTS))
def test_the_local_forge_lives_every_life(start_bench: Callable[..., Bench], dialect: str) -> None:
    """One after the other, on one project, as on a real one."""
    bench = start_bench(dialect)
    found = {}
    for one in LIVES:
        life = Life(Beside(bench), bench.client(), lambda _: None)
        found[one.__name__] = tried(life, one)

    assert dict.fromkeys(found) == found
