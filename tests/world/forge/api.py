"""What the three APIs have in common: find the path, ask who calls and what they may, hand on to the route."""

from __future__ import annotations

from abc import ABC, abstractmethod
from datetime import UTC
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from datetime import datetime

    from tests.world.forge.calls import Call, Refusal, Reply, Routes
    from tests.world.forge.forge import Forge
    from tests.world.forge.people import Token
    from tests.world.forge.project import Project
    from tests.world.forge.requests import MergeRequest


class Api(ABC):
    """One vendor's REST API in front of *forge*; handlers are functions of (api, call, named segments)."""

    routes: Routes

    def __init__(self, forge: Forge) -> None:
        """Speak for *forge*."""
        self.forge = forge

    def locate(self, call: Call) -> None:
        """Take the API prefix off the path and note which project it is about."""
        prefix = self.forge.manners.prefix
        if call.path.startswith(f"{prefix}/"):
            call.base, call.path = call.base + prefix, call.path.removeprefix(prefix)
        call.project = self.project_name(call)

    def answer(self, call: Call) -> Reply:
        """Answer *call*; Refusal when it may not be."""
        call.token = self.authenticate(call)
        found = self.routes.find(call.method, call.path)
        if found is None:
            raise self.no_route(call)
        handler, needs, names = found
        self.check_scopes(call, needs)
        return handler(self, call, **names)

    @abstractmethod
    def project_name(self, call: Call) -> str | None:
        """Return the name of the project in the path; null when there is none."""

    @abstractmethod
    def authenticate(self, call: Call) -> Token:
        """Return the token that came along; Refusal when it is missing, unknown or expired."""

    @abstractmethod
    def check_scopes(self, call: Call, needs: tuple[str, ...]) -> None:
        """Refuse a token that has none of the scopes *needs*."""

    @abstractmethod
    def not_found(self, what: str = "") -> Refusal:
        """Return the vendor's 404."""

    def no_route(self, call: Call) -> Refusal:  # noqa: ARG002  (GitLab looks at it)
        """Return what a path or method that nobody answers gets."""
        return self.not_found()

    def project(self, name: str) -> Project:
        """Return a project; Refusal when there is none."""
        if not self.forge.has_project(name):
            raise self.not_found("Project")
        return self.forge.project(name)

    def request(self, project: Project, number: str) -> MergeRequest:
        """Return a request by its number; Refusal when there is none."""
        if not number.isdigit() or int(number) not in {request.number for request in project.requests()}:
            raise self.not_found("Merge Request")
        return project.request(int(number))


def stamp(moment: datetime | None) -> str | None:
    """Write a moment as APIs do: UTC, whole seconds, `Z`."""
    return None if moment is None else moment.astimezone(UTC).strftime("%Y-%m-%dT%H:%M:%SZ")
