"""The REST API of Forgejo and Gitea, version 1 (`/swagger.v1.json`): who may call, in their words."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from tests.world.forge import forgejo_shapes as shapes
from tests.world.forge.api import Api as BaseApi
from tests.world.forge.calls import Refusal, Reply, Routes, links, page_of
from tests.world.forge.people import Role

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

    from tests.world.forge.calls import Call
    from tests.world.forge.people import Token

routes = Routes()
REPO = "/repos/{owner}/{repo}"
READ, WRITE = ("read:repository", "write:repository"), ("write:repository",)
READ_ISSUE, WRITE_ISSUE = ("read:issue", "write:issue"), ("write:issue",)


class Api(BaseApi):
    """In front of a forge that behaves like Forgejo."""

    routes = routes

    def project_name(self, call: Call) -> str | None:
        """The two segments behind `repos`."""
        words = call.path.split("/")
        return "/".join(words[2:4]) if words[1:2] == ["repos"] and len(words) > 3 else None

    def authenticate(self, call: Call) -> Token:
        """`Authorization: token X` or `Bearer X`."""
        token = self.forge.people.holder(call.headers.get("Authorization", "").partition(" ")[2])
        if token is None or token.is_expired:
            raise self.problem(401, "invalid username, password or token")
        return token

    def check_scopes(self, call: Call, needs: tuple[str, ...]) -> None:
        """403 names the missing scope; then the role."""
        assert call.token is not None
        if needs and "all" not in call.token.scopes and not call.token.scopes & set(needs):
            raise self.problem(403, f"token does not have at least one of required scope(s): [{needs[0]}]")
        if call.is_write and call.user.role < Role.DEVELOPER:
            raise self.problem(403, "user should have a permission to write to a repo")

    def problem(self, status: int, message: str) -> Refusal:
        """Return an error as Forgejo words it."""
        return Refusal(status, {"message": message, "url": f"{self.forge.url}/api/swagger"})

    def not_found(self, what: str = "") -> Refusal:  # noqa: ARG002  (GitLab names it)
        """Say what Forgejo says of everything that is not there."""
        body = {"message": "The target couldn't be found.", "url": f"{self.forge.url}/api/swagger", "errors": []}
        return Refusal(404, body)


def paged(api: Api, call: Call, items: Sequence[Any], show: Callable[[Any], Any]) -> Reply:
    """Answer one page with X-Total-Count, and links where there is more."""
    page = page_of(items, call, "limit", 30, 50)
    targets: dict[str, int] = {}
    if page.number < page.last:
        targets |= {"next": page.number + 1, "last": page.last}
    if page.number > 1:
        targets |= {"first": 1, "prev": page.number - 1}
    headers = {"X-Total-Count": str(page.total)} | links(call, page, "limit", targets)
    return listed(api, call, [show(item) for item in page.items], headers)


def listed(api: Api, call: Call, items: list[Any], headers: Mapping[str, str] | None = None) -> Reply:
    """Answer *items*; where there are none, `null` if that is how this server writes an empty list here."""
    if items or not call.path.endswith(api.forge.manners.null_lists):
        return Reply(200, items, headers or {})
    return Reply(200, b"null\n", {"Content-Type": "application/json", **(headers or {})})


@routes.add("GET", "/version")
def _version(api: Api, call: Call) -> Reply:
    return Reply(200, {"version": api.forge.manners.version})


@routes.add("GET", "/user", "read:user", "write:user")
def _user(api: Api, call: Call) -> Reply:
    return Reply(200, shapes.user(call.user))


@routes.add("GET", REPO, *READ)
def _repository(api: Api, call: Call, owner: str, repo: str) -> Reply:
    role = call.user.role
    may = {"admin": role >= Role.MAINTAINER, "push": role >= Role.DEVELOPER, "pull": role >= Role.REPORTER}
    return Reply(200, shapes.repository(api.project(f"{owner}/{repo}")) | {"permissions": may})


@routes.add("GET", REPO + "/branches", *READ)
def _branches(api: Api, call: Call, owner: str, repo: str) -> Reply:
    within = api.project(f"{owner}/{repo}")
    return paged(
        api,
        call,
        sorted(within.repository.branches().items()),
        lambda one: shapes.branch(one[0], one[1], within, call.user),
    )


@routes.add("GET", REPO + "/branches/{branch*}", *READ)
def _branch(api: Api, call: Call, owner: str, repo: str, branch: str) -> Reply:
    within = api.project(f"{owner}/{repo}")
    sha = within.repository.head(branch)
    if sha is None:
        raise api.not_found()
    return Reply(200, shapes.branch(branch, sha, within, call.user))


@routes.add("DELETE", REPO + "/branches/{branch*}", *WRITE)
def _delete_branch(api: Api, call: Call, owner: str, repo: str, branch: str) -> Reply:
    within = api.project(f"{owner}/{repo}")
    if within.repository.head(branch) is None:
        raise api.not_found()
    if branch in within.protections:
        raise api.problem(403, "branch protected")
    within.move_branch(branch, None, call.user)
    return Reply(204)


@routes.add("GET", REPO + "/branch_protections", *READ)
def _protections(api: Api, call: Call, owner: str, repo: str) -> Reply:
    if call.user.role < Role.MAINTAINER:
        raise api.problem(403, "user should be an owner or a collaborator with admin write of a repository")
    within = api.project(f"{owner}/{repo}")
    can = within.manners.rules_may_allow_force
    found = sorted(within.protections.items())
    return Reply(200, [shapes.protection(name, rules, can_allow_force=can) for name, rules in found])


@routes.add("GET", REPO + "/collaborators", *READ)
def _collaborators(api: Api, call: Call, owner: str, repo: str) -> Reply:
    found = [each for each in api.forge.people.all() if each.role > Role.NONE]
    return paged(api, call, found, shapes.user)


@routes.add("GET", REPO + "/teams", *READ)
def _teams(api: Api, call: Call, owner: str, repo: str) -> Reply:
    raise api.problem(405, "repo is not owned by an organization")


@routes.add("GET", REPO + "/branch_protections/{branch*}", *READ)
def _protection(api: Api, call: Call, owner: str, repo: str, branch: str) -> Reply:
    rules = api.project(f"{owner}/{repo}").protections.get(branch)
    if rules is None:
        raise api.not_found()
    can = api.project(f"{owner}/{repo}").manners.rules_may_allow_force
    return Reply(200, shapes.protection(branch, rules, can_allow_force=can))
