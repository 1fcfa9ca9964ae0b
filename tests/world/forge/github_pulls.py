"""GitHub's pull requests over REST."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from tests.world.forge import github_shapes as shapes
from tests.world.forge.calls import Refusal, Reply
from tests.world.forge.github import REPO, check_body, edit_texts, invalid, paged, problem, routes
from tests.world.forge.people import Role
from tests.world.forge.protection import Protection, Unmet
from tests.world.forge.repository import Conflict, Raced
from tests.world.forge.requests import Approval

if TYPE_CHECKING:
    from tests.world.forge.calls import Call
    from tests.world.forge.github import Api
    from tests.world.forge.project import Project
    from tests.world.forge.requests import MergeRequest

PULLS = REPO + "/pulls"
PULL = PULLS + "/{number}"
READ, WRITE = "pull_requests:read", "pull_requests:write"


@routes.add("GET", PULLS, READ)
def _list(api: Api, call: Call, owner: str, repo: str) -> Reply:
    within = api.project(f"{owner}/{repo}")
    found = [request for request in within.requests() if _is_wanted(request, call, owner)]
    by = {"updated": lambda one: one.updated_at}.get(str(call.argument("sort")), lambda one: one.number)
    direction = call.argument("direction", "desc" if call.argument("sort", "created") == "created" else "asc")
    found.sort(key=by, reverse=direction == "desc")
    return paged(call, found, lambda request: shapes.pull(request, within, call.base, is_single=False))


def _is_wanted(request: MergeRequest, call: Call, owner: str) -> bool:
    # A head without "owner:" is ignored, as GitHub does.
    state, head = call.argument("state", "open"), str(call.argument("head", ""))
    fits_head = ":" not in head or head == f"{owner}:{request.source}"
    fits_base = call.argument("base") in {None, "", request.target}
    return state in {"all", "open" if request.is_open else "closed"} and fits_head and fits_base


@routes.add("POST", PULLS, WRITE)
def _open(api: Api, call: Call, owner: str, repo: str) -> Reply:
    within = api.project(f"{owner}/{repo}")
    request = open_pull(within, call, str(call.argument("head") or ""), str(call.argument("base") or ""))
    return Reply(201, shapes.pull(request, within, call.base, is_single=True))


def open_pull(within: Project, call: Call, head: str, base: str) -> MergeRequest:
    """Open a pull request after GitHub's checks of it."""
    owner = within.name.partition("/")[0]
    source = head.removeprefix(f"{owner}:")
    if not call.argument("title"):
        raise invalid("PullRequest", "title", "missing_field")
    check_body(call.argument("body"), "PullRequest")
    for field, branch in (("head", source), ("base", base)):
        if within.repository.head(branch) is None:
            raise invalid("PullRequest", field, "invalid")
    if within.find(source, base) is not None:
        raise invalid("PullRequest", None, "custom", f"A pull request already exists for {owner}:{source}.")
    if within.repository.contains(base, source):
        raise invalid("PullRequest", None, "custom", f"No commits between {base} and {source}")
    text = str(call.argument("body") or "")
    return within.open(call.user, source, base, str(call.argument("title")), text, is_draft=call.flag("draft"))


@routes.add("GET", PULL, READ)
def _show(api: Api, call: Call, owner: str, repo: str, number: str) -> Reply:
    within = api.project(f"{owner}/{repo}")
    return Reply(200, shapes.pull(api.request(within, number), within, call.base, is_single=True))


@routes.add("PATCH", PULL, WRITE)
def _edit(api: Api, call: Call, owner: str, repo: str, number: str) -> Reply:
    within = api.project(f"{owner}/{repo}")
    request = api.request(within, number)
    edit_texts(call, request, "PullRequest")
    if call.argument("base"):
        request.target = str(call.argument("base"))
    if call.argument("state") in {"open", "closed"}:
        _change_state(within, request, call)
    request.updated_at = within.now
    return Reply(200, shapes.pull(request, within, call.base, is_single=True))


def _change_state(within: Project, request: MergeRequest, call: Call) -> None:
    wish = call.argument("state") == "open"
    if wish and not request.is_open and (request.is_merged or within.repository.head(request.source) is None):
        raise invalid("PullRequest", "state", "invalid", "state cannot be changed.")
    within.set_open(request, call.user, is_open=wish)


@routes.add("GET", PULL + "/merge", READ)
def _is_merged(api: Api, call: Call, owner: str, repo: str, number: str) -> Reply:
    if not api.request(api.project(f"{owner}/{repo}"), number).is_merged:
        raise api.not_found()
    return Reply(204)


@routes.add("PUT", PULL + "/merge", "contents:write")
def _merge(api: Api, call: Call, owner: str, repo: str, number: str) -> Reply:
    within = api.project(f"{owner}/{repo}")
    request = api.request(within, number)
    method = str(call.argument("merge_method") or "merge")
    check_mergeable(within, request, method, call.argument("sha"))
    title, text = call.argument("commit_title"), call.argument("commit_message")
    message = None if title is None and text is None else f"{title or request.title}\n\n{text or ''}".strip()
    try:
        made = within.land(request, method, call.user, message)
    except (Conflict, Raced) as error:
        raise problem(405, "Pull Request is not mergeable") from error
    return Reply(200, {"sha": made, "merged": True, "message": "Pull Request successfully merged"})


def check_mergeable(within: Project, request: MergeRequest, method: str, sha: str | None) -> None:
    """Refuse a merge that the button would not do: 405, or 409 for another head."""
    names = {"merge": "Merge commits", "squash": "Squash merges", "rebase": "Rebase merges"}
    if method not in within.merge_methods:
        raise problem(405, f"{names.get(method, method)} are not allowed on this repository.")
    missing = within.unmet(request)
    if request.is_open and sha not in {None, "", request.head}:
        raise problem(409, "Head branch was modified. Review and try the merge again.")
    if missing:
        raise problem(405, _why(within, request, missing))


def _why(within: Project, request: MergeRequest, missing: list[Unmet]) -> str:
    rules = within.protections.get(request.target, Protection())
    if Unmet.DRAFT in missing:
        return "Pull Request is still a draft"
    if Unmet.APPROVALS in missing:
        return f"At least {rules.required_approvals} approving review is required by reviewers with write access."
    if Unmet.CHECKS in missing:
        return f'Required status check "{rules.required_checks[0]}" is expected.'
    if Unmet.UNSIGNED in missing:
        return "Commits must have verified signatures."
    return "Pull Request is not mergeable"


@routes.add("PUT", PULL + "/update-branch", WRITE)
def _update_branch(api: Api, call: Call, owner: str, repo: str, number: str) -> Reply:
    within = api.project(f"{owner}/{repo}")
    request = api.request(within, number)
    if call.argument("expected_head_sha") not in {None, request.head}:
        raise problem(422, "expected head sha didn\u2019t match current head ref.")
    try:
        within.update_branch(request.number, by=call.user.name)
    except Conflict as error:
        raise problem(422, "merge conflict between base and head") from error
    return Reply(
        202, {"message": "Updating pull request branch.", "url": f"{call.base}/repos/{within.name}/pulls/{number}"}
    )


@routes.add("GET", PULL + "/commits", READ)
def _commits(api: Api, call: Call, owner: str, repo: str, number: str) -> Reply:
    within = api.project(f"{owner}/{repo}")
    request = api.request(within, number)
    found = [commit.sha for commit in within.repository.log("--reverse", f"{request.target}..{request.head}")]
    return paged(call, found, lambda sha: shapes.commit(sha, within, call.base))


@routes.add("GET", PULL + "/files", READ)
def _files(api: Api, call: Call, owner: str, repo: str, number: str) -> Reply:
    within = api.project(f"{owner}/{repo}")
    request = api.request(within, number)
    return paged(call, within.repository.changed_files(request.target, request.head), _file)


def _file(change: tuple[str, str]) -> dict[str, Any]:
    kind, path = change
    return {"filename": path, "status": {"A": "added", "D": "removed"}.get(kind, "modified"), "sha": ""}


@routes.add("GET", PULL + "/reviews", READ)
def _reviews(api: Api, call: Call, owner: str, repo: str, number: str) -> Reply:
    within = api.project(f"{owner}/{repo}")
    request = api.request(within, number)
    return paged(call, request.approvals, lambda approval: shapes.review(approval, request, within))


@routes.add("POST", PULL + "/reviews", WRITE)
def _review(api: Api, call: Call, owner: str, repo: str, number: str) -> Reply:
    within = api.project(f"{owner}/{repo}")
    request = api.request(within, number)
    if call.argument("event") != "APPROVE":
        raise Refusal(422, {"message": "this forge knows approvals only"})
    if call.user.name == request.author.name:
        raise problem(422, "Unprocessable Entity", ["Can not approve your own pull request"])
    request.approvals = [given for given in request.approvals if given.user.name != call.user.name]
    made = Approval(len(request.approvals) + 1, call.user, request.head, within.now)
    if call.user.role >= Role.DEVELOPER:  # others' approvals do not count
        request.approvals.append(made)
        within.try_auto_merges()
    return Reply(200, shapes.review(made, request, within))
