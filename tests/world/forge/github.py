"""GitHub's REST API (version 2022-11-28): who may call, in GitHub's words."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from tests.world.forge import github_shapes as shapes
from tests.world.forge.api import Api as BaseApi
from tests.world.forge.calls import Refusal, Reply, Routes, links, page_of
from tests.world.forge.faults import rate_headers
from tests.world.forge.people import Role

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from tests.world.forge.calls import Call
    from tests.world.forge.people import Token
    from tests.world.forge.requests import Issue

DOCS = "https://docs.github.com/rest"
BODY_LIMIT = 65_536
CLASSIC = {"repo", "public_repo", "workflow", "read:org"}
"""Scopes that only classic tokens have."""

routes = Routes()
REPO = "/repos/{owner}/{repo}"


class Api(BaseApi):
    """In front of a forge that behaves like GitHub."""

    routes = routes

    def locate(self, call: Call) -> None:
        """GraphQL of an enterprise host lies beside the REST API, not below it."""
        super().locate(call)
        if call.path == "/api/graphql":
            call.path = "/graphql"
        if call.path == "/graphql":
            call.is_question = "mutation" not in str(call.argument("query", ""))

    def project_name(self, call: Call) -> str | None:
        """The two segments behind `repos`."""
        words = call.path.split("/")
        return "/".join(words[2:4]) if words[1:2] == ["repos"] and len(words) > 3 else None

    def authenticate(self, call: Call) -> Token:
        """`Authorization: token X` or `Bearer X`."""
        token = self.forge.people.holder(call.headers.get("Authorization", "").partition(" ")[2])
        if token is None or token.is_expired:
            raise problem(401, "Bad credentials")
        return token

    def check_scopes(self, call: Call, needs: tuple[str, ...]) -> None:
        """A fine-grained token without the permission gets 403, a reader who writes too."""
        assert call.token is not None
        accepted = {need for need in needs if call.method == "GET" or need.endswith(":write")}
        implied = {scope.replace(":write", ":read") for scope in call.token.scopes}
        if needs and "repo" not in call.token.scopes and not (call.token.scopes | implied) & accepted:
            whose = "integration" if call.token.is_job else "personal access token"
            said = {"X-Accepted-GitHub-Permissions": "; ".join(sorted(need.replace(":", "=") for need in accepted))}
            raise problem(403, f"Resource not accessible by {whose}", headers=said)
        if call.is_write and call.user.role < Role.DEVELOPER and call.path != "/graphql":
            raise problem(403, "Resource not accessible by personal access token")

    def answer(self, call: Call) -> Reply:
        """Every answer says how many calls are left."""
        reply = super().answer(call)
        said = {"X-GitHub-Media-Type": "github.v3; format=json", **rate_headers(len(self.forge.calls)), **reply.headers}
        if call.token is not None and CLASSIC & call.token.scopes:  # fine-grained tokens do not tell
            said["X-OAuth-Scopes"] = ", ".join(sorted(call.token.scopes))
        elif call.token is not None and not call.token.is_job:
            said["GitHub-Authentication-Token-Expiration"] = "2036-01-01 00:00:00 UTC"
        return Reply(reply.status, reply.body, said)

    def not_found(self, what: str = "") -> Refusal:  # noqa: ARG002  (GitLab names it)
        """Say `Not Found`."""
        return problem(404, "Not Found")


def problem(status: int, message: str, errors: Sequence[Any] = (), headers: dict[str, str] | None = None) -> Refusal:
    """Return an error as GitHub words it."""
    body: dict[str, Any] = {"message": message, "documentation_url": DOCS, "status": str(status)}
    return Refusal(status, body | ({"errors": list(errors)} if errors else {}), headers)


def invalid(resource: str, field: str | None, code: str, message: str | None = None) -> Refusal:
    """Return `Validation Failed`."""
    said = {"resource": resource, "field": field, "code": code, "message": message}
    return problem(422, "Validation Failed", [{name: value for name, value in said.items() if value is not None}])


def check_body(text: str | None, resource: str) -> None:
    """Refuse a body that is too long."""
    if text is not None and len(text) > BODY_LIMIT:
        raise invalid(resource, "body", "custom", f"body is too long (maximum is {BODY_LIMIT} characters)")


def paged(call: Call, items: Sequence[Any], show: Callable[[Any], Any]) -> Reply:
    """Answer one page; the Link header is there only when there is more than one."""
    page = page_of(items, call, "per_page", 30, 100)
    targets: dict[str, int] = {}
    if page.number > 1:
        targets |= {"prev": page.number - 1, "first": 1}
    if page.number < page.last:
        targets |= {"next": page.number + 1, "last": page.last}
    return Reply(200, [show(item) for item in page.items], links(call, page, "per_page", targets))


def edit_texts(call: Call, issue: Issue, resource: str) -> None:
    """Set title and body as far as the call names them."""
    if "body" in call.body:
        check_body(call.argument("body"), resource)
        issue.body = str(call.argument("body") or "")
    if "title" in call.body:
        if not call.argument("title"):
            raise invalid(resource, "title", "missing_field")
        issue.title = str(call.argument("title"))


@routes.add("GET", "/meta")
def _meta(api: Api, call: Call) -> Reply:
    return Reply(200, {"installed_version": "3.18.0"})


@routes.add("GET", "/user")
def _user(api: Api, call: Call) -> Reply:
    return Reply(200, shapes.user(call.user) | {"name": call.user.name, "email": None})


@routes.add("GET", "/rate_limit")
def _rate_limit(api: Api, call: Call) -> Reply:
    left = {"limit": 5000, "used": 1, "remaining": 4999, "reset": 1}
    return Reply(200, {"resources": {"core": left, "search": left, "graphql": left}, "rate": left})


@routes.add("GET", REPO, "metadata:read")
def _repository(api: Api, call: Call, owner: str, repo: str) -> Reply:
    role = call.user.role
    may = {"admin": role >= Role.MAINTAINER, "push": role >= Role.DEVELOPER, "pull": role >= Role.REPORTER}
    shown = shapes.repository(api.project(f"{owner}/{repo}"), call.base)
    return Reply(200, shown | {"permissions": may})
