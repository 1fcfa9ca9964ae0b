"""A forge on this machine: real repositories, the API of GitLab, GitHub, Forgejo or Gitea, and git over http."""

from __future__ import annotations

import secrets
import threading
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any, Self

from tests.world.forge import (
    forgejo,
    forgejo_issues,
    forgejo_pulls,
    github,
    github_graphql,
    github_pulls,
    github_rest,
    gitlab,
    gitlab_projects,
    gitlab_requests,
    gitlab_talk,
)
from tests.world.forge.admission import Admission
from tests.world.forge.calls import Refusal, Reply
from tests.world.forge.faults import Faults
from tests.world.forge.manners import Dialect, manners
from tests.world.forge.people import People, Rights, Role, User
from tests.world.forge.project import Project
from tests.world.forge.repository import NOTHING
from tests.world.forge.server import Server

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable
    from pathlib import Path

    from tests.world.forge.api import Api
    from tests.world.forge.calls import Call

ROUTED = (
    (gitlab_projects, gitlab_requests, gitlab_talk),
    (github_pulls, github_rest, github_graphql),
    (forgejo_pulls, forgejo_issues),
)
"""The modules that fill each dialect's table of paths, by being imported."""

APIS: dict[Dialect, Callable[[Forge], Api]] = {
    Dialect.GITLAB: gitlab.Api,
    Dialect.GITHUB: github.Api,
    Dialect.FORGEJO: forgejo.Api,
    Dialect.GITEA: forgejo.Api,
}

PROJECTS = ("infra/certs", "infra/dns")


class Forge:
    """One forge below *folder*, at `url` (and `api_url`) until `close`; also a context manager.

    `clock` may be replaced by a test that lets days pass; all that the forge dates it dates by it, but not git commits.
    """

    def __init__(
        self,
        folder: Path,
        dialect: str,
        projects: Iterable[str] = PROJECTS,
        *,
        version: str | None = None,
        **switches: Any,
    ) -> None:
        """Start it with empty *projects*; *version* and *switches* change what it does by itself (`manners`)."""
        self.dialect = Dialect(dialect)
        self.manners = manners(self.dialect, version, switches)
        self.clock: Callable[[], datetime] = lambda: datetime.now(UTC)
        self.lock = threading.RLock()
        self._is_closed = False
        self.people = People(self.manners.scopes, self.manners.token_prefix)
        self.faults = Faults(self.dialect)
        self.calls: list[Call] = []
        self.hook_secret = secrets.token_hex(8)
        self.before_push: list[Callable[[], object]] = []
        """What somebody else does right before the next pushes are judged, one each."""
        self.misplaced_pushes = 0
        """How many of the next pushes are accepted and yet leave the ref where it was."""
        self.admission = Admission(self)
        self._api = APIS[self.dialect](self)
        self._server = Server(self)
        self.port = self._server.port
        self._projects: dict[str, Project] = {}
        for name in projects:
            self._projects[name] = Project(self, name, folder / f"{name}.git")
            self.admission.guard(self._projects[name])

    def __enter__(self) -> Self:
        """Return itself; it runs already."""
        return self

    def __exit__(self, *_: object) -> None:
        """Close it."""
        self.close()

    def close(self) -> None:
        """Stop serving, when what is under way is done; the repositories stay."""
        self.faults.closing.set()
        self._server.close()
        with self.lock:
            self._is_closed = True

    @property
    def url(self) -> str:
        """Where people and git find it."""
        return f"http://127.0.0.1:{self.port}"

    @property
    def api_url(self) -> str:
        """Where its API begins, as a self-hosted one's."""
        return self.url + self.manners.prefix

    def project(self, name: str) -> Project:
        """Return a project by its full name; KeyError when there is none."""
        return self._projects[name]

    def has_project(self, name: str) -> bool:
        """Whether there is a project of that name."""
        return name in self._projects

    @property
    def projects(self) -> list[Project]:
        """Every project."""
        return list(self._projects.values())

    def user(self, name: str, role: Role | None = None) -> User:
        """Return a member, who joins as a maintainer when new; *role* changes what they may do."""
        return self.people.user(name, role)

    def token(
        self,
        name: str,
        rights: Rights | Iterable[str] = Rights.ALL,
        role: Role = Role.MAINTAINER,
        *,
        is_expired: bool = False,
    ) -> str:
        """Make a token of user *name* (who gets *role*) and return its secret; scopes may be the forge's own words."""
        wished = rights if isinstance(rights, Rights) else frozenset(rights)
        return self.people.issue(name, wished, role, is_expired=is_expired).secret

    def revoke(self, secret: str) -> None:
        """Let a token be unknown from now on."""
        self.people.revoke(secret)

    def answer(self, call: Call) -> Reply:
        """Answer an API call, or do what a test ordered instead."""
        self.calls.append(call)
        self._api.locate(call)
        reply = self.faults.before(call)
        if reply is None:
            reply = self._work(call)
            reply = self.faults.after(call) or reply
        call.status = reply.status
        return reply

    def _work(self, call: Call) -> Reply:
        try:
            with self.lock:
                return Reply(0) if self._is_closed else self._api.answer(call)
        except Refusal as refusal:
            return refusal.reply

    def bend(self, project: Project, changes: list[tuple[str, str, str]]) -> list[tuple[str, str, str]]:
        """Return what of an accepted push stays; an ordered fault puts the refs back."""
        if self.misplaced_pushes == 0:
            return changes
        self.misplaced_pushes -= 1
        for ref, old, new in changes:
            if old == NOTHING:
                project.repository.git("update-ref", "-d", ref)
            else:
                project.repository.move(ref, old, new)
        return []
