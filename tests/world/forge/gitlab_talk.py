"""GitLab's notes and issues."""

from __future__ import annotations

from typing import TYPE_CHECKING

from tests.world.forge import gitlab_shapes as shapes
from tests.world.forge.calls import Refusal, Reply
from tests.world.forge.gitlab import (
    COMMENT_LIMIT,
    PROJECT,
    READ,
    WRITE,
    change_state,
    check_text,
    edit_texts,
    labels_in,
    paged,
    require,
    routes,
)
from tests.world.forge.people import Role

if TYPE_CHECKING:
    from tests.world.forge.calls import Call
    from tests.world.forge.gitlab import Api
    from tests.world.forge.project import Project
    from tests.world.forge.requests import Comment, Issue


def _below(api: Api, within: Project, kind: str, number: str) -> tuple[Issue, str]:
    if kind == "merge_requests":
        return api.request(within, number), "MergeRequest"
    if not number.isdigit() or int(number) not in within.issues:
        raise api.not_found("Issue")
    return within.issues[int(number)], "Issue"


@routes.add("GET", PROJECT + "/{kind}/{number}/notes", *READ)
def _notes(api: Api, call: Call, project: str, kind: str, number: str) -> Reply:
    within = api.project(project)
    below, name = _below(api, within, kind, number)
    found = sorted(below.comments, key=lambda note: note.number, reverse=call.argument("sort", "desc") == "desc")
    return paged(call, found, lambda note: shapes.note(note, below, name, within))


@routes.add("POST", PROJECT + "/{kind}/{number}/notes", *WRITE)
def _add_note(api: Api, call: Call, project: str, kind: str, number: str) -> Reply:
    within = api.project(project)
    below, name = _below(api, within, kind, number)
    require(call, "body")
    check_text(str(call.argument("body")), COMMENT_LIMIT, "Note")
    return Reply(
        201, shapes.note(within.add_comment(below, call.user, str(call.argument("body"))), below, name, within)
    )


def _note(api: Api, call: Call, below: Issue, note: str) -> Comment:
    found = next((comment for comment in below.comments if str(comment.number) == note), None)
    if found is None:
        raise api.not_found("Note")
    if call.is_write and found.author.name != call.user.name and call.user.role < Role.MAINTAINER:
        raise Refusal(403, {"message": "403 Forbidden"})
    return found


@routes.add("GET", PROJECT + "/{kind}/{number}/notes/{note}", *READ)
def _show_note(api: Api, call: Call, project: str, kind: str, number: str, note: str) -> Reply:
    within = api.project(project)
    below, name = _below(api, within, kind, number)
    return Reply(200, shapes.note(_note(api, call, below, note), below, name, within))


@routes.add("PUT", PROJECT + "/{kind}/{number}/notes/{note}", *WRITE)
def _edit_note(api: Api, call: Call, project: str, kind: str, number: str, note: str) -> Reply:
    within = api.project(project)
    below, name = _below(api, within, kind, number)
    found = _note(api, call, below, note)
    check_text(str(call.argument("body")), COMMENT_LIMIT, "Note")
    found.text, found.updated_at = str(call.argument("body")), within.now
    return Reply(200, shapes.note(found, below, name, within))


@routes.add("DELETE", PROJECT + "/{kind}/{number}/notes/{note}", *WRITE)
def _delete_note(api: Api, call: Call, project: str, kind: str, number: str, note: str) -> Reply:
    below, _ = _below(api, api.project(project), kind, number)
    below.comments.remove(_note(api, call, below, note))
    return Reply(204)


ISSUES = PROJECT + "/issues"


@routes.add("GET", ISSUES, *READ)
def _issues(api: Api, call: Call, project: str) -> Reply:
    within = api.project(project)
    found = [issue for issue in within.issues.values() if _is_wanted(issue, call)]
    found.sort(key=lambda issue: issue.number, reverse=call.argument("sort", "desc") == "desc")
    return paged(call, found, lambda issue: shapes.issue(issue, within))


def _is_wanted(issue: Issue, call: Call) -> bool:
    state = call.argument("state", "all")
    text = str(call.argument("search", "")).lower()
    labels = set(labels_in(call.argument("labels")))
    is_author = call.argument("author_username", issue.author.name) == issue.author.name
    fits = text in issue.title.lower() or text in issue.body.lower()
    return (
        state in {"all", "opened" if issue.is_open else "closed"} and fits and is_author and labels <= set(issue.labels)
    )


@routes.add("POST", ISSUES, *WRITE)
def _open_issue(api: Api, call: Call, project: str) -> Reply:
    within = api.project(project)
    require(call, "title")
    body = str(call.argument("description") or "")
    check_text(body, within.manners.body_limit, "Description")
    made = within.open_issue(call.user, str(call.argument("title")), body, labels_in(call.argument("labels")))
    return Reply(201, shapes.issue(made, within))


@routes.add("GET", ISSUES + "/{number}", *READ)
def _show_issue(api: Api, call: Call, project: str, number: str) -> Reply:
    within = api.project(project)
    issue, _ = _below(api, within, "issues", number)
    return Reply(200, shapes.issue(issue, within))


@routes.add("PUT", ISSUES + "/{number}", *WRITE)
def _edit_issue(api: Api, call: Call, project: str, number: str) -> Reply:
    within = api.project(project)
    issue, _ = _below(api, within, "issues", number)
    edit_texts(call, issue, within.manners.body_limit)
    change_state(within, issue, call)
    return Reply(200, shapes.issue(issue, within))
