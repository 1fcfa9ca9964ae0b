"""GitHub's issues, comments, branches, protection, statuses and checks over REST."""

from __future__ import annotations

from typing import TYPE_CHECKING

from tests.world.forge import github_shapes as shapes
from tests.world.forge.calls import Reply
from tests.world.forge.github import REPO, check_body, edit_texts, invalid, paged, problem, routes
from tests.world.forge.people import Role
from tests.world.forge.protection import Status
from tests.world.forge.requests import MergeRequest

if TYPE_CHECKING:
    from tests.world.forge.calls import Call
    from tests.world.forge.github import Api
    from tests.world.forge.project import Project
    from tests.world.forge.protection import Protection
    from tests.world.forge.requests import Check, Comment, Issue

ISSUES = REPO + "/issues"
ISSUE = ISSUES + "/{number}"
COMMENT = ISSUES + "/comments/{comment}"
READ = ("issues:read", "pull_requests:read")
WRITE = ("issues:write", "pull_requests:write")
"""What touches issues and pull requests alike is allowed by either."""


def all_issues(within: Project) -> list[Issue]:
    """Return issues and pull requests, newest first."""
    return sorted([*within.issues.values(), *within.requests()], key=lambda issue: -issue.number)


def _issue(api: Api, within: Project, number: str) -> Issue:
    found = next((issue for issue in all_issues(within) if str(issue.number) == number), None)
    if found is None:
        raise api.not_found()
    return found


def _show(issue: Issue, within: Project, call: Call) -> dict[str, object]:
    return shapes.issue(issue, within, call.base, is_pull=isinstance(issue, MergeRequest))


@routes.add("GET", ISSUES, *READ)
def _list(api: Api, call: Call, owner: str, repo: str) -> Reply:
    within = api.project(f"{owner}/{repo}")
    found = [issue for issue in all_issues(within) if _is_wanted(issue, call)]
    if call.argument("direction") == "asc":
        found.reverse()
    return paged(call, found, lambda issue: _show(issue, within, call))


def _is_wanted(issue: Issue, call: Call) -> bool:
    state = call.argument("state", "open")
    labels = {name for name in str(call.argument("labels", "")).split(",") if name}
    is_creator = call.argument("creator", issue.author.name) == issue.author.name
    return state in {"all", "open" if issue.is_open else "closed"} and labels <= set(issue.labels) and is_creator


@routes.add("POST", ISSUES, "issues:write")
def _open(api: Api, call: Call, owner: str, repo: str) -> Reply:
    within = api.project(f"{owner}/{repo}")
    if not call.argument("title"):
        raise invalid("Issue", "title", "missing_field")
    check_body(call.argument("body"), "Issue")
    labels = [str(label) for label in call.argument("labels") or ()]
    made = within.open_issue(call.user, str(call.argument("title")), str(call.argument("body") or ""), labels)
    return Reply(201, _show(made, within, call))


@routes.add("GET", ISSUE, *READ)
def _show_issue(api: Api, call: Call, owner: str, repo: str, number: str) -> Reply:
    within = api.project(f"{owner}/{repo}")
    return Reply(200, _show(_issue(api, within, number), within, call))


@routes.add("PATCH", ISSUE, *WRITE)
def _edit(api: Api, call: Call, owner: str, repo: str, number: str) -> Reply:
    within = api.project(f"{owner}/{repo}")
    issue = _issue(api, within, number)
    edit_texts(call, issue, "Issue")
    if "labels" in call.body:
        issue.labels = tuple(str(label) for label in call.argument("labels") or ())
    if call.argument("state") in {"open", "closed"}:
        within.set_open(issue, call.user, is_open=call.argument("state") == "open")
    issue.updated_at = within.now
    return Reply(200, _show(issue, within, call))


@routes.add("POST", ISSUE + "/labels", *WRITE)
def _add_labels(api: Api, call: Call, owner: str, repo: str, number: str) -> Reply:
    issue = _issue(api, api.project(f"{owner}/{repo}"), number)
    wished = call.argument("labels") or call.argument("") or ()
    issue.labels = tuple(sorted({*issue.labels, *(str(label) for label in wished)}))
    return Reply(200, [shapes.label(name) for name in issue.labels])


@routes.add("GET", ISSUE + "/comments", *READ)
def _comments(api: Api, call: Call, owner: str, repo: str, number: str) -> Reply:
    within = api.project(f"{owner}/{repo}")
    issue = _issue(api, within, number)
    return paged(call, issue.comments, lambda comment: shapes.comment(comment, issue, within, call.base))


@routes.add("POST", ISSUE + "/comments", *WRITE)
def _comment(api: Api, call: Call, owner: str, repo: str, number: str) -> Reply:
    within = api.project(f"{owner}/{repo}")
    issue = _issue(api, within, number)
    if not call.argument("body"):
        raise invalid("IssueComment", "body", "missing_field")
    check_body(call.argument("body"), "IssueComment")
    made = within.add_comment(issue, call.user, str(call.argument("body")))
    return Reply(201, shapes.comment(made, issue, within, call.base))


def _find_comment(api: Api, call: Call, within: Project, number: str) -> tuple[Comment, Issue]:
    for issue in all_issues(within):
        for comment in issue.comments:
            if str(comment.number) == number:
                if call.is_write and comment.author.name != call.user.name and call.user.role < Role.MAINTAINER:
                    raise problem(403, "Must have admin rights to Repository.")
                return comment, issue
    raise api.not_found()


@routes.add("GET", COMMENT, *READ)
def _show_comment(api: Api, call: Call, owner: str, repo: str, comment: str) -> Reply:
    within = api.project(f"{owner}/{repo}")
    found, issue = _find_comment(api, call, within, comment)
    return Reply(200, shapes.comment(found, issue, within, call.base))


@routes.add("PATCH", COMMENT, *WRITE)
def _edit_comment(api: Api, call: Call, owner: str, repo: str, comment: str) -> Reply:
    within = api.project(f"{owner}/{repo}")
    found, issue = _find_comment(api, call, within, comment)
    check_body(call.argument("body"), "IssueComment")
    found.text, found.updated_at = str(call.argument("body")), within.now
    return Reply(200, shapes.comment(found, issue, within, call.base))


@routes.add("DELETE", COMMENT, *WRITE)
def _delete_comment(api: Api, call: Call, owner: str, repo: str, comment: str) -> Reply:
    found, issue = _find_comment(api, call, api.project(f"{owner}/{repo}"), comment)
    issue.comments.remove(found)
    return Reply(204)


@routes.add("GET", REPO + "/branches", "contents:read")
def _branches(api: Api, call: Call, owner: str, repo: str) -> Reply:
    within = api.project(f"{owner}/{repo}")
    return paged(
        call, sorted(within.repository.branches().items()), lambda one: shapes.branch(one[0], one[1], within, call.base)
    )


@routes.add("GET", REPO + "/branches/{branch*}/protection", "administration:read")
def _protection(api: Api, call: Call, owner: str, repo: str, branch: str) -> Reply:
    within = api.project(f"{owner}/{repo}")
    if within.repository.head(branch) is None:
        raise problem(404, "Branch not found")
    if branch not in within.protections:
        raise problem(404, "Branch not protected")
    url = f"{call.base}/repos/{within.name}/branches/{branch}/protection"
    return Reply(200, shapes.protection(within.protections[branch], url))


@routes.add("GET", REPO + "/branches/{branch*}", "contents:read")
def _branch(api: Api, call: Call, owner: str, repo: str, branch: str) -> Reply:
    within = api.project(f"{owner}/{repo}")
    sha = within.repository.head(branch)
    if sha is None:
        raise problem(404, "Branch not found")
    return Reply(200, shapes.branch(branch, sha, within, call.base))


@routes.add("GET", REPO + "/rules/branches/{branch*}", "metadata:read")
def _rules(api: Api, call: Call, owner: str, repo: str, branch: str) -> Reply:
    within = api.project(f"{owner}/{repo}")
    rules = within.rules_of(branch)
    if rules is None or not rules.is_ruleset:
        return paged(call, [], dict)
    return paged(call, shapes.ruleset_rules(rules, _number(within, rules), within.name), dict)


def _number(within: Project, rules: Protection) -> int:
    return list(within.protections.values()).index(rules) + 1


@routes.add("GET", REPO + "/rulesets/{number}", "metadata:read")
def _ruleset(api: Api, call: Call, owner: str, repo: str, number: str) -> Reply:
    within = api.project(f"{owner}/{repo}")
    for name, rules in within.protections.items():
        if rules.is_ruleset and int(number) % shapes.UNPASSABLE == _number(within, rules):
            return Reply(200, shapes.ruleset(name, rules, int(number), within.name, call.user))
    raise api.not_found()


@routes.add("GET", REPO + "/keys", "administration:read")
def _keys(api: Api, call: Call, owner: str, repo: str) -> Reply:
    return paged(call, [], dict)


@routes.add("GET", REPO + "/hooks", "webhooks:read")
def _hooks(api: Api, call: Call, owner: str, repo: str) -> Reply:
    return paged(call, [], dict)


@routes.add("GET", REPO + "/actions/secrets", "secrets:read")
def _secrets(api: Api, call: Call, owner: str, repo: str) -> Reply:
    return Reply(200, {"total_count": 0, "secrets": []})


@routes.add("GET", REPO + "/git/ref/{ref*}", "contents:read")
def _ref(api: Api, call: Call, owner: str, repo: str, ref: str) -> Reply:
    within = api.project(f"{owner}/{repo}")
    sha = within.repository.resolve(f"refs/{ref}")
    if sha is None:
        raise api.not_found()
    return Reply(200, {"ref": f"refs/{ref}", "node_id": "R", "object": {"type": "commit", "sha": sha, "url": ""}})


@routes.add("POST", REPO + "/git/refs", "contents:write")
def _make_ref(api: Api, call: Call, owner: str, repo: str) -> Reply:
    raise problem(422, "Reference name must start with 'refs/'")


@routes.add("DELETE", REPO + "/git/refs/heads/{branch*}", "contents:write")
def _delete_ref(api: Api, call: Call, owner: str, repo: str, branch: str) -> Reply:
    within = api.project(f"{owner}/{repo}")
    if within.repository.head(branch) is None:
        raise problem(422, "Reference does not exist")
    if branch in within.protections:
        raise problem(422, "Cannot delete this protected branch")
    within.move_branch(branch, None, call.user)
    return Reply(204)


def _commit(api: Api, within: Project, name: str) -> str:
    sha = within.repository.head(name) or within.repository.resolve(name)
    if sha is None:
        raise problem(422, f"No commit found for SHA: {name}")
    return sha


@routes.add("GET", REPO + "/commits/{sha*}/status", "statuses:read")
def _status(api: Api, call: Call, owner: str, repo: str, sha: str) -> Reply:
    within = api.project(f"{owner}/{repo}")
    return Reply(200, shapes.combined_status(_commit(api, within, sha), within, call.base))


@routes.add("GET", REPO + "/commits/{sha*}/check-runs", "checks:read", "statuses:read")
def _check_runs(api: Api, call: Call, owner: str, repo: str, sha: str) -> Reply:
    _commit(api, api.project(f"{owner}/{repo}"), sha)
    return Reply(200, {"total_count": 0, "check_runs": []})  # the checks here are commit statuses


@routes.add("GET", REPO + "/commits/{sha}", "contents:read")
def _show_commit(api: Api, call: Call, owner: str, repo: str, sha: str) -> Reply:
    within = api.project(f"{owner}/{repo}")
    return Reply(200, shapes.commit(_commit(api, within, sha), within, call.base))


@routes.add("POST", REPO + "/statuses/{sha}", "statuses:write")
def _set_status(api: Api, call: Call, owner: str, repo: str, sha: str) -> Reply:
    within = api.project(f"{owner}/{repo}")
    said = str(call.argument("state"))
    status = {"success": Status.SUCCESS, "failure": Status.FAILED, "error": Status.FAILED}.get(said, Status.PENDING)
    within.pipeline(sha, status, str(call.argument("context") or "default"))
    newest: Check = within.checks[-1]
    return Reply(201, shapes.status(newest, call.base))
