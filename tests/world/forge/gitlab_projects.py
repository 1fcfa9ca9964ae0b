"""GitLab's version, user, project, branches, protection and pipelines."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from tests.world.forge import gitlab_shapes as shapes
from tests.world.forge.calls import Refusal, Reply
from tests.world.forge.gitlab import PROJECT, READ, WRITE, paged, require, routes
from tests.world.forge.people import Role
from tests.world.forge.protection import Status

if TYPE_CHECKING:
    from tests.world.forge.calls import Call
    from tests.world.forge.gitlab import Api
    from tests.world.forge.protection import Protection


@routes.add("GET", "/version", *READ)
@routes.add("GET", "/metadata", *READ)
def _version(api: Api, call: Call) -> Reply:
    return Reply(200, {"version": "18.5.0-ee", "revision": "0000000", "enterprise": True})


@routes.add("GET", "/user", *READ, "read_user")
def _user(api: Api, call: Call) -> Reply:
    facts = {"email": call.user.person.email, "web_url": f"{api.forge.url}/{call.user.name}"}
    return Reply(200, shapes.user(call.user) | facts)


@routes.add("GET", "/personal_access_tokens/self")
def _own_token(api: Api, call: Call) -> Reply:
    assert call.token is not None
    return Reply(
        200,
        {
            "id": 1,
            "name": call.user.name,
            "revoked": False,
            "scopes": sorted(call.token.scopes),
            "user_id": call.user.number,
            "active": True,
            "expires_at": None,
        },
    )


@routes.add("GET", PROJECT, *READ)
def _show_project(api: Api, call: Call, project: str) -> Reply:
    level = {"access_level": int(call.user.role), "notification_level": 3}
    permissions = {"permissions": {"project_access": level, "group_access": None}}
    return Reply(200, shapes.project(api.project(project)) | permissions)


@routes.add("GET", PROJECT + "/approvals", *READ)
def _approval_settings(api: Api, call: Call, project: str) -> Reply:
    rules = api.project(project).protection()
    return Reply(
        200, {"approvals_before_merge": rules.required_approvals, "reset_approvals_on_push": rules.resets_approvals}
    )


@routes.add("GET", PROJECT + "/push_rule", *READ)
def _push_rule(api: Api, call: Call, project: str) -> Reply:
    rules = api.project(project).protection()
    return Reply(200, {"id": 1, "reject_unsigned_commits": rules.signed_commits})


@routes.add("GET", PROJECT + "/repository/branches", *READ)
def _branches(api: Api, call: Call, project: str) -> Reply:
    within = api.project(project)
    return paged(
        call, sorted(within.repository.branches().items()), lambda one: shapes.branch(one[0], one[1], within, call.user)
    )


@routes.add("GET", PROJECT + "/repository/branches/{branch}", *READ)
def _branch(api: Api, call: Call, project: str, branch: str) -> Reply:
    within = api.project(project)
    sha = within.repository.head(branch)
    if sha is None:
        raise api.not_found("Branch")
    return Reply(200, shapes.branch(branch, sha, within, call.user))


@routes.add("DELETE", PROJECT + "/repository/branches/{branch}", *WRITE)
def _delete_branch(api: Api, call: Call, project: str, branch: str) -> Reply:
    within = api.project(project)
    if within.repository.head(branch) is None:
        raise api.not_found("Branch")
    if branch in within.protections:
        raise Refusal(403, {"message": "403 Forbidden - Protected branch can't be removed"})
    within.move_branch(branch, None, call.user)
    return Reply(204)


@routes.add("GET", PROJECT + "/protected_branches", *READ)
def _protected_branches(api: Api, call: Call, project: str) -> Reply:
    if call.user.role < Role.MAINTAINER:
        raise Refusal(403, {"message": "403 Forbidden"})
    found = sorted(api.project(project).protections.items())
    people = {each.name: each for each in api.forge.people.all()}

    def show(one: tuple[str, Protection]) -> dict[str, Any]:
        return shapes.protected_branch(*one, [people[name] for name in sorted(one[1].pushers)])

    return paged(call, found, show)


@routes.add("GET", PROJECT + "/approval_rules", *READ)
def _approval_rules(api: Api, call: Call, project: str) -> Reply:
    rules = api.project(project).rules_of("main")
    count = rules.required_approvals if rules else 0
    return paged(call, [{"id": 1, "name": "All", "approvals_required": count}] if count else [], dict)


@routes.add("GET", PROJECT + "/protected_branches/{branch}", *READ)
def _protected_branch(api: Api, call: Call, project: str, branch: str) -> Reply:
    rules = api.project(project).protections.get(branch)
    if rules is None:
        raise api.not_found()
    return Reply(200, shapes.protected_branch(branch, rules))


@routes.add("GET", PROJECT + "/repository/commits/{sha}", *READ)
def _commit(api: Api, call: Call, project: str, sha: str) -> Reply:
    within = api.project(project)
    found = within.repository.head(sha) or within.repository.resolve(sha)
    if found is None:
        raise api.not_found("Commit")
    return Reply(200, shapes.commit(found, within))


@routes.add("GET", PROJECT + "/pipelines", *READ)
def _pipelines(api: Api, call: Call, project: str) -> Reply:
    within = api.project(project)
    sha = call.argument("sha")
    found = [check for check in reversed(within.checks) if sha in {None, check.sha}]
    return paged(call, found, lambda check: shapes.pipeline(check, within, str(call.argument("ref", ""))))


@routes.add("POST", PROJECT + "/statuses/{sha}", *WRITE)
def _set_status(api: Api, call: Call, project: str, sha: str) -> Reply:
    within = api.project(project)
    require(call, "state")
    said = str(call.argument("state"))
    status = {"success": Status.SUCCESS, "failed": Status.FAILED, "canceled": Status.FAILED}.get(said, Status.PENDING)
    within.pipeline(sha, status, str(call.argument("name") or call.argument("context") or "default"))
    return Reply(201, {"sha": sha, "status": said, "id": within.checks[-1].number})
