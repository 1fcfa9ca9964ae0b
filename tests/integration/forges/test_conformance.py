"""The local forge passes what real ones are asked: so a test that it lets pass, a real one lets pass."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from sslops.errors import ForgeError
from sslops.model.forges import Forge
from tests.forge.conformance import CHECK, LIVES, Life, tried
from tests.rows import DIALECTS, rows
from tests.world.forge import Rights, Role, Status
from tests.world.forge.protection import Protection

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

    def require_approval(self, *, is_on: bool) -> bool:
        """By the protection of main."""
        self._bench.project.protection().required_approvals = int(is_on)
        return True

    def protect(self, branch: str, *, lets_force: bool) -> bool:
        """By the guide of the forge."""
        if lets_force and not self._bench.project.manners.rules_may_allow_force:
            return False
        rules = Protection(may_push=None, may_force=lets_force, pushers={"sslops-bot"}, is_ruleset=True)
        self._bench.project.protections[branch] = rules
        return True

    def unprotect(self, branch: str) -> None:
        """Take it away."""
        del self._bench.project.protections[branch]

    def dispatch(self, inputs: dict[str, str]) -> str | None:  # noqa: ARG002  (as a real one's)
        """The local forge runs no jobs."""
        return None

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
        rules, old = self._bench.project.rules_of(branch), store.head(branch)
        if rules is not None and not rules.may_force and old is not None and not store.contains(made, old):
            raise ForgeError(f"'{branch}' is protected from force pushes")
        self._bench.project.move_branch(branch, made, user)
        return made

    def head(self, branch: str) -> str:
        """Return where a branch is."""
        return self._bench.project.repository.head(branch) or ""


@pytest.mark.parametrize("dialect", rows(DIALECTS, ("gitlab", "github", "gitea")))
def test_the_local_forge_lives_every_life(start_bench: Callable[..., Bench], dialect: str) -> None:
    """One after the other, on one project, as on a real one; Forgejo, which answers as Gitea does, in the long run."""
    bench = start_bench(dialect)
    found = {}
    for one in LIVES:
        reader = bench.client(Rights.READ, Role.REPORTER)
        life = Life(Beside(bench), bench.client(), lambda _: None, reader)
        found[one.__name__] = tried(life, one)

    assert dict.fromkeys(found) == found
