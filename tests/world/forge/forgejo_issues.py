"""Forgejo's issues and comments; every pull request is an issue too."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from tests.world.forge import forgejo_shapes as shapes
from tests.world.forge.calls import Reply
from tests.world.forge.forgejo import READ_ISSUE, REPO, WRITE_ISSUE, listed, paged, routes
from tests.world.forge.people import Role
from tests.world.forge.requests import MergeRequest

if TYPE_CHECKING:
    from tests.world.forge.calls import Call
    from tests.world.forge.forgejo import Api
    from tests.world.forge.project import Project
    from tests.world.forge.requests import Comment, Issue

ISSUES = REPO + "/issues"
ISSUE = ISSUES + "/{number}"
COMMENT = ISSUES + "/comments/{comment}"


def _all(within: Project) -> list[Issue]:
    return sorted([*within.issues.values(), *within.requests()], key=lambda issue: -issue.number)


def _issue(api: Api, within: Project, number: str) -> Issue:
    found = next((issue for issue in _all(within) if str(issue.number) == number), None)
    if found is None:
        raise api.not_found()
    return found


def _show(issue: Issue, within: Project, call: Call) -> dict[str, Any]:
    return shapes.issue(issue, within, call.base, issue if isinstance(issue, MergeRequest) else None)


@routes.add("GET", ISSUES, *READ_ISSUE)
def _list(api: Api, call: Call, owner: str, repo: str) -> Reply:
    within = api.project(f"{owner}/{repo}")
    found = [issue for issue in _all(within) if _is_wanted(issue, call)]
    return paged(api, call, found, lambda issue: _show(issue, within, call))


def _is_wanted(issue: Issue, call: Call) -> bool:
    state, text = call.argument("state", "open"), str(call.argument("q", "")).lower()
    kind = "pulls" if isinstance(issue, MergeRequest) else "issues"
    is_creator = call.argument("created_by", issue.author.name) == issue.author.name
    is_open = "open" if issue.is_open else "closed"
    fits = text in issue.title.lower() or text in issue.body.lower()
    return state in {"all", is_open} and call.argument("type", kind) in {"", kind} and is_creator and fits


@routes.add("POST", ISSUES, *WRITE_ISSUE)
def _open(api: Api, call: Call, owner: str, repo: str) -> Reply:
    within = api.project(f"{owner}/{repo}")
    if not call.argument("title"):
        raise api.problem(422, "[Title]: Required")
    made = within.open_issue(call.user, str(call.argument("title")), str(call.argument("body") or ""))
    return Reply(201, _show(made, within, call))


@routes.add("GET", ISSUE, *READ_ISSUE)
def _show_issue(api: Api, call: Call, owner: str, repo: str, number: str) -> Reply:
    within = api.project(f"{owner}/{repo}")
    return Reply(200, _show(_issue(api, within, number), within, call))


@routes.add("PATCH", ISSUE, *WRITE_ISSUE)
def _edit(api: Api, call: Call, owner: str, repo: str, number: str) -> Reply:
    within = api.project(f"{owner}/{repo}")
    issue = _issue(api, within, number)
    issue.title = str(call.argument("title") or issue.title)
    if call.argument("body") is not None:
        issue.body = str(call.argument("body"))
    if call.argument("state") in {"open", "closed"}:
        within.set_open(issue, call.user, is_open=call.argument("state") == "open")
    issue.updated_at = within.now
    return Reply(201, _show(issue, within, call))


def _comment_shape(comment: Comment, issue: Issue, within: Project) -> dict[str, Any]:
    return shapes.comment(comment, issue, within, is_pull=isinstance(issue, MergeRequest))


@routes.add("GET", ISSUE + "/comments", *READ_ISSUE)
def _comments(api: Api, call: Call, owner: str, repo: str, number: str) -> Reply:
    within = api.project(f"{owner}/{repo}")
    issue = _issue(api, within, number)
    # One answer without pages: `issueGetComments` takes neither page nor limit.
    return listed(api, call, [_comment_shape(comment, issue, within) for comment in issue.comments])


@routes.add("GET", ISSUE + "/timeline", *READ_ISSUE)
def _timeline(api: Api, call: Call, owner: str, repo: str, number: str) -> Reply:
    issue = _issue(api, api.project(f"{owner}/{repo}"), number)
    shown = [(one.number, shapes.event(one)) for one in issue.events]
    shown += [(one.number, shapes.remark(one)) for one in issue.comments]
    return paged(api, call, sorted(shown, key=lambda one: one[0]), lambda one: one[1])


@routes.add("POST", ISSUE + "/comments", *WRITE_ISSUE)
def _comment(api: Api, call: Call, owner: str, repo: str, number: str) -> Reply:
    within = api.project(f"{owner}/{repo}")
    issue = _issue(api, within, number)
    if not call.argument("body"):
        raise api.problem(422, "[Body]: Required")
    made = within.add_comment(issue, call.user, str(call.argument("body")))
    return Reply(201, _comment_shape(made, issue, within))


def _find_comment(api: Api, call: Call, within: Project, number: str) -> tuple[Comment, Issue]:
    for issue in _all(within):
        for comment in issue.comments:
            if str(comment.number) == number:
                if call.is_write and comment.author.name != call.user.name and call.user.role < Role.MAINTAINER:
                    raise api.problem(403, "")
                return comment, issue
    raise api.not_found()


@routes.add("GET", COMMENT, *READ_ISSUE)
def _show_comment(api: Api, call: Call, owner: str, repo: str, comment: str) -> Reply:
    within = api.project(f"{owner}/{repo}")
    found, issue = _find_comment(api, call, within, comment)
    return Reply(200, _comment_shape(found, issue, within))


@routes.add("PATCH", COMMENT, *WRITE_ISSUE)
def _edit_comment(api: Api, call: Call, owner: str, repo: str, comment: str) -> Reply:
    within = api.project(f"{owner}/{repo}")
    found, issue = _find_comment(api, call, within, comment)
    found.text, found.updated_at = str(call.argument("body")), within.now
    return Reply(200, _comment_shape(found, issue, within))


@routes.add("DELETE", COMMENT, *WRITE_ISSUE)
def _delete_comment(api: Api, call: Call, owner: str, repo: str, comment: str) -> Reply:
    found, issue = _find_comment(api, call, api.project(f"{owner}/{repo}"), comment)
    issue.comments.remove(found)
    return Reply(204)
