"""Forgejo's pull requests and commit statuses.

Answers of a merge in the order of `routers/api/v1/repo/pull.go`: 404 closed, 405 not mergeable, 201 scheduled, 409 head
or conflict. A scheduled merge is not tied to `head_commit_id`, there as here.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from tests.world.forge import forgejo_shapes as shapes
from tests.world.forge.calls import Reply
from tests.world.forge.forgejo import READ, REPO, WRITE, paged, routes
from tests.world.forge.people import Role
from tests.world.forge.protection import Status, Unmet
from tests.world.forge.repository import Conflict, Raced
from tests.world.forge.requests import Approval, AutoMerge

if TYPE_CHECKING:
    from tests.world.forge.calls import Call
    from tests.world.forge.forgejo import Api
    from tests.world.forge.project import Project
    from tests.world.forge.requests import MergeRequest

PULLS = REPO + "/pulls"
PULL = PULLS + "/{number}"


@routes.add("GET", PULLS, *READ)
def _list(api: Api, call: Call, owner: str, repo: str) -> Reply:
    within = api.project(f"{owner}/{repo}")
    state = call.argument("state", "open")
    found = [one for one in within.requests() if state in {"all", "open" if one.is_open else "closed"}]
    if call.argument("poster"):
        found = [one for one in found if one.author.name == call.argument("poster")]
    if call.argument("sort") == "oldest":
        found.reverse()
    if call.argument("sort") == "recentupdate":
        found.sort(key=lambda one: one.updated_at, reverse=True)
    return paged(api, call, found, lambda one: shapes.pull(one, within))


@routes.add("POST", PULLS, *WRITE)
def _open(api: Api, call: Call, owner: str, repo: str) -> Reply:
    within = api.project(f"{owner}/{repo}")
    source, target = str(call.argument("head") or "").rpartition(":")[2], str(call.argument("base") or "")
    if not call.argument("title"):
        raise api.problem(422, "[Title]: Required")
    if within.repository.head(source) is None or within.repository.head(target) is None:
        raise api.not_found()
    known = within.find(source, target)
    if known is not None:
        which = f"id: {known.identity}, issue_id: {known.identity}, head_branch: {source}, base_branch: {target}"
        raise api.problem(409, f"pull request already exists for these targets [{which}]")
    request = within.open(call.user, source, target, str(call.argument("title")), str(call.argument("body") or ""))
    return Reply(201, shapes.pull(request, within))


@routes.add("GET", PULL, *READ)
def _show(api: Api, call: Call, owner: str, repo: str, number: str) -> Reply:
    within = api.project(f"{owner}/{repo}")
    return Reply(200, shapes.pull(api.request(within, number), within))


@routes.add("PATCH", PULL, *WRITE)
def _edit(api: Api, call: Call, owner: str, repo: str, number: str) -> Reply:
    within = api.project(f"{owner}/{repo}")
    request = api.request(within, number)
    request.title = str(call.argument("title") or request.title)
    if call.argument("body") is not None:
        request.body = str(call.argument("body"))
    if call.argument("state") in {"open", "closed"}:
        if request.is_merged:
            raise api.problem(412, "cannot change state of this pull request, it was already merged")
        within.set_open(request, call.user, is_open=call.argument("state") == "open")
    if call.argument("base"):
        if within.repository.head(str(call.argument("base"))) is None:
            raise api.problem(404, f"new base '{call.argument('base')}' not exist")
        request.target = str(call.argument("base"))
    request.updated_at = within.now
    return Reply(201, shapes.pull(request, within))


@routes.add("GET", PULL + "/merge", *READ)
def _is_merged(api: Api, call: Call, owner: str, repo: str, number: str) -> Reply:
    if not api.request(api.project(f"{owner}/{repo}"), number).is_merged:
        raise api.not_found()
    return Reply(204)


@routes.add("POST", PULL + "/merge", *WRITE)
def _merge(api: Api, call: Call, owner: str, repo: str, number: str) -> Reply:
    within = api.project(f"{owner}/{repo}")
    request = api.request(within, number)
    method, waits = str(call.argument("Do") or "merge"), call.flag("merge_when_checks_succeed")
    missing = set(within.unmet(request))
    _check(api, request, missing, waits=waits)
    title, text = str(call.argument("MergeTitleField") or ""), str(call.argument("MergeMessageField") or "")
    message = f"{title}\n\n{text}".strip() if title else None
    deletes = call.flag("delete_branch_after_merge")
    always = within.manners.always_schedules
    if waits and (always or missing or not _are_all_good(within, request)):
        if method not in within.merge_methods and not within.manners.schedules_any_style:
            raise api.problem(405, f"{method} is not allowed an allowed merge style for this repository")
        if request.auto_merge is not None:
            said = f"pull request is already scheduled to auto merge when checks succeed [pull_id: {request.identity}]"
            raise api.problem(409, said)
        within.schedule(request, AutoMerge(call.user, method, message, deletes))
        return Reply(201)
    if method not in within.merge_methods:
        raise api.problem(405, f"{method} is not allowed an allowed merge style for this repository")
    if call.argument("head_commit_id") not in {None, "", request.head}:
        raise api.problem(409, "head out of date")
    _land(api, within, request, method, call, message, deletes=deletes)
    return Reply(200)


def _check(api: Api, request: MergeRequest, missing: set[Unmet], *, waits: bool) -> None:
    if request.is_merged:
        raise api.problem(405, "The PR is already merged")
    if Unmet.CLOSED in missing:
        raise api.not_found()
    if Unmet.DRAFT in missing:
        raise api.problem(405, "Work in progress PRs cannot be merged")
    if request.unsettled:
        request.unsettled -= 1
        raise api.problem(405, "Please try again later")
    if missing & {Unmet.CONFLICT, Unmet.GONE}:
        raise api.problem(405, "Please try again later")
    if waits:
        return
    if Unmet.APPROVALS in missing:
        raise api.problem(405, "Does not have enough approvals")
    if Unmet.CHECKS in missing:
        raise api.problem(405, "Not all required status checks successful")
    if Unmet.UNSIGNED in missing:
        raise api.problem(405, "The branch requires signed commits")


def _are_all_good(within: Project, request: MergeRequest) -> bool:
    return {check.status for check in within.checks_of(request.head).values()} <= {Status.SUCCESS}


def _land(
    api: Api, within: Project, request: MergeRequest, method: str, call: Call, message: str | None, *, deletes: bool
) -> None:
    if method == "fast-forward-only" and not within.repository.contains(request.head, request.target):
        raise api.problem(500, "")  # measured: nobody there counted on it
    try:
        within.land(request, method, call.user, message, deletes=deletes)
    except Conflict as error:
        raise api.problem(409, "Merge Conflict Error") from error
    except Raced as error:
        raise api.problem(409, "merge push out of date") from error


@routes.add("DELETE", PULL + "/merge", *WRITE)
def _cancel(api: Api, call: Call, owner: str, repo: str, number: str) -> Reply:
    within = api.project(f"{owner}/{repo}")
    request = api.request(within, number)
    if request.auto_merge is None:
        raise api.not_found()
    if request.auto_merge.user.name != call.user.name and call.user.role < Role.MAINTAINER:
        raise api.problem(403, "user has no permission to cancel the scheduled auto merge")
    within.cancel(request, call.user)
    return Reply(204)


@routes.add("POST", PULL + "/update", *WRITE)
def _update(api: Api, call: Call, owner: str, repo: str, number: str) -> Reply:
    within = api.project(f"{owner}/{repo}")
    request = api.request(within, number)
    try:
        if call.argument("style") == "rebase":
            base = within.repository.head(request.target) or ""
            made = within.repository.rebased(base, request.head, call.user.person)
            within.move_branch(request.source, made, call.user)
        else:
            within.update_branch(request.number, by=call.user.name)
    except Conflict as error:
        raise api.problem(409, "merge failed because of conflict") from error
    return Reply(200)


@routes.add("GET", PULL + "/commits", *READ)
def _commits(api: Api, call: Call, owner: str, repo: str, number: str) -> Reply:
    within = api.project(f"{owner}/{repo}")
    request = api.request(within, number)
    found = within.repository.log(f"{request.target}..{request.head}")
    return paged(api, call, found, lambda one: {"sha": one.sha, "commit": {"message": one.message}})


@routes.add("GET", PULL + "/files", *READ)
def _files(api: Api, call: Call, owner: str, repo: str, number: str) -> Reply:
    within = api.project(f"{owner}/{repo}")
    request = api.request(within, number)
    return paged(api, call, within.repository.changed_files(request.target, request.head), _file)


def _file(change: tuple[str, str]) -> dict[str, Any]:
    kind, path = change
    return {"filename": path, "status": {"A": "added", "D": "deleted"}.get(kind, "changed")}


@routes.add("GET", PULL + "/reviews", *READ)
def _reviews(api: Api, call: Call, owner: str, repo: str, number: str) -> Reply:
    within = api.project(f"{owner}/{repo}")
    request = api.request(within, number)
    return paged(api, call, request.approvals, lambda approval: shapes.review(approval, request, within))


@routes.add("POST", PULL + "/reviews", *WRITE)
def _review(api: Api, call: Call, owner: str, repo: str, number: str) -> Reply:
    within = api.project(f"{owner}/{repo}")
    request = api.request(within, number)
    if call.argument("event") != "APPROVED":
        raise api.problem(422, "this forge knows approvals only")
    if call.user.name == request.author.name:
        raise api.problem(422, "approve your own pull is not allowed")
    request.approvals = [given for given in request.approvals if given.user.name != call.user.name]
    made = Approval(len(request.approvals) + 1, call.user, request.head, within.now)
    if call.user.role >= Role.DEVELOPER:  # others' approvals are not "official"
        request.approvals.append(made)
        within.try_auto_merges()
    return Reply(200, shapes.review(made, request, within))


@routes.add("GET", PULLS + "/{base}/{head*}", *READ)
def _by_branches(api: Api, call: Call, owner: str, repo: str, base: str, head: str) -> Reply:
    # The oldest there is, whether it is open or not: the query behind it has neither a state nor an order.
    within = api.project(f"{owner}/{repo}")
    found = [one for one in within.requests() if (one.target, one.source) == (base, head.rpartition(":")[2])]
    if not found:
        raise api.not_found()
    return Reply(200, shapes.pull(found[-1], within))


@routes.add("GET", REPO + "/commits/{ref*}/status", *READ)
def _combined(api: Api, call: Call, owner: str, repo: str, ref: str) -> Reply:
    within = api.project(f"{owner}/{repo}")
    sha = within.repository.head(ref) or within.repository.resolve(ref)
    if sha is None:
        raise api.not_found()
    return Reply(200, shapes.combined_status(sha, within))


@routes.add("GET", REPO + "/commits/{sha*}/statuses", *READ)
@routes.add("GET", REPO + "/statuses/{sha}", *READ)
def _statuses(api: Api, call: Call, owner: str, repo: str, sha: str) -> Reply:
    found = [check for check in reversed(api.project(f"{owner}/{repo}").checks) if check.sha == sha]
    return paged(api, call, found, shapes.status)


@routes.add("POST", REPO + "/statuses/{sha}", *WRITE)
def _set_status(api: Api, call: Call, owner: str, repo: str, sha: str) -> Reply:
    within = api.project(f"{owner}/{repo}")
    said = str(call.argument("state"))
    status = {"success": Status.SUCCESS, "failure": Status.FAILED, "error": Status.FAILED}.get(said, Status.PENDING)
    within.pipeline(sha, status, str(call.argument("context") or "default"))
    return Reply(201, shapes.status(within.checks[-1]))
