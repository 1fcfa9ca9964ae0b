"""GitLab's merge requests.

The order of the checks of a merge and their answers (401, 405, 422, 409) are those of `lib/api/merge_requests.rb`.
"""

from __future__ import annotations

import contextlib
from typing import TYPE_CHECKING, Any

from tests.world.forge import gitlab_shapes as shapes
from tests.world.forge.calls import Refusal, Reply
from tests.world.forge.gitlab import (
    PROJECT,
    READ,
    REQUEST,
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
from tests.world.forge.protection import Protection, Status, Unmet
from tests.world.forge.repository import Conflict, Raced
from tests.world.forge.requests import Approval, AutoMerge

if TYPE_CHECKING:
    from tests.world.forge.calls import Call
    from tests.world.forge.gitlab import Api
    from tests.world.forge.project import Project
    from tests.world.forge.requests import MergeRequest

BROKEN = {Unmet.EMPTY, Unmet.GONE, Unmet.CONFLICT, Unmet.CLOSED}
"""What no auto-merge waits for (`MergeRequest#broken?`)."""


@routes.add("GET", PROJECT + "/merge_requests", *READ)
def _list(api: Api, call: Call, project: str) -> Reply:
    within = api.project(project)
    found = [request for request in within.requests() if _is_wanted(request, call)]
    found.sort(key=lambda request: getattr(request, _order(call)), reverse=call.argument("sort", "desc") == "desc")
    return paged(call, found, lambda request: shapes.merge_request(request, within, is_single=False))


def _order(call: Call) -> str:
    return "updated_at" if call.argument("order_by") == "updated_at" else "number"


def _is_wanted(request: MergeRequest, call: Call) -> bool:
    state = call.argument("state", "all")
    shown = "merged" if request.is_merged else "opened" if request.is_open else "closed"
    wished = {"source_branch": request.source, "target_branch": request.target, "author_username": request.author.name}
    return state in {"all", shown} and all(
        call.argument(name, is_value) == is_value for name, is_value in wished.items()
    )


@routes.add("POST", PROJECT + "/merge_requests", *WRITE)
def _open(api: Api, call: Call, project: str) -> Reply:
    within = api.project(project)
    require(call, "title", "source_branch", "target_branch")
    source, target = str(call.argument("source_branch")), str(call.argument("target_branch"))
    body = str(call.argument("description") or "")
    check_text(body, within.manners.body_limit, "Description")
    if source == target:
        raise Refusal(422, {"message": ["You can't use same project/branch for source and target"]})
    missing = [
        word for word, branch in (("Source", source), ("Target", target)) if within.repository.head(branch) is None
    ]
    if missing:
        raise Refusal(
            422, {"message": [f'{missing[0]} branch "{source if missing[0] == "Source" else target}" does not exist']}
        )
    existing = within.find(source, target)
    if existing is not None:
        text = f"Another open merge request already exists for this source branch: !{existing.number}"
        raise Refusal(409, {"message": [text]})
    request = within.open(call.user, source, target, str(call.argument("title")), body)
    request.labels = labels_in(call.argument("labels"))
    return Reply(201, shapes.merge_request(request, within, is_single=True))


@routes.add("GET", REQUEST, *READ)
def _show(api: Api, call: Call, project: str, number: str) -> Reply:
    within = api.project(project)
    return Reply(200, shapes.merge_request(api.request(within, number), within, is_single=True))


@routes.add("PUT", REQUEST, *WRITE)
def _edit(api: Api, call: Call, project: str, number: str) -> Reply:
    within = api.project(project)
    request = api.request(within, number)
    edit_texts(call, request, within.manners.body_limit)
    target = call.argument("target_branch")
    if target and within.repository.head(str(target)) is not None:
        request.target = str(target)
    change_state(within, request, call)
    return Reply(200, shapes.merge_request(request, within, is_single=True))


@routes.add("PUT", REQUEST + "/merge", *WRITE)
def _merge(api: Api, call: Call, project: str, number: str) -> Reply:
    within = api.project(project)
    request = api.request(within, number)
    if call.user.role < within.protections.get(request.target, Protection(may_merge=Role.DEVELOPER)).may_merge:
        raise Refusal(401, {"message": "401 Unauthorized"})
    waits = call.flag("merge_when_pipeline_succeeds") or call.flag("auto_merge")
    at_once, later = _now_or_later(within, request, waits=waits)
    if not at_once and not later:
        raise Refusal(405, {"message": "405 Method Not Allowed"})
    if not later and within.unmet(request):
        raise Refusal(422, {"message": "Branch cannot be merged"})
    if call.argument("sha") not in {None, "", request.head}:
        raise Refusal(409, {"message": f"SHA does not match HEAD of source branch: {request.head}"})
    method = "squash" if call.flag("squash") else "merge"
    message, deletes = call.argument("merge_commit_message"), call.flag("should_remove_source_branch")
    if not at_once:
        within.schedule(request, AutoMerge(call.user, method, message, deletes))
        return Reply(200, shapes.merge_request(request, within, is_single=True))
    try:
        within.land(request, method, call.user, message, deletes=deletes)
    except (Conflict, Raced) as error:
        raise Refusal(422, {"message": "Branch cannot be merged"}) from error
    return Reply(200, shapes.merge_request(request, within, is_single=True))


def _now_or_later(within: Project, request: MergeRequest, *, waits: bool) -> tuple[bool, bool]:
    # `immediately_mergeable?` and `automatically_mergeable?`: with auto-merge wished, a request that lacks nothing and
    # has no pipeline is neither, which is GitLab's way to say 405 to "merge when ready" on a ready request.
    missing = set(within.unmet(request))
    if not waits:
        return not missing - {Unmet.CONFLICT}, False
    newest = within.newest_pipeline(request.head)
    is_active = newest is not None and newest.status is Status.PENDING
    later = not missing & BROKEN and (bool(missing) or is_active)
    return newest is not None and newest.status is Status.SUCCESS and not later, later


@routes.add("POST", REQUEST + "/cancel_merge_when_pipeline_succeeds", *WRITE)
def _cancel(api: Api, call: Call, project: str, number: str) -> Reply:
    within = api.project(project)
    request = api.request(within, number)
    if request.auto_merge is None:
        raise Refusal(406, {"message": "Can't cancel the automatic merge"})
    within.cancel(request, call.user)
    return Reply(201, {"status": "success"})


@routes.add("PUT", REQUEST + "/rebase", *WRITE)
def _rebase(api: Api, call: Call, project: str, number: str) -> Reply:
    within = api.project(project)
    request = api.request(within, number)
    base = within.repository.head(request.target) or ""
    with contextlib.suppress(Conflict):  # GitLab rebases later and tells of a failure in `merge_error`
        made = within.repository.rebased(base, request.head, call.user.person)
        within.move_branch(request.source, made, call.user)
    return Reply(202, {"rebase_in_progress": False})


@routes.add("GET", REQUEST + "/approvals", *READ)
def _approvals(api: Api, call: Call, project: str, number: str) -> Reply:
    within = api.project(project)
    return Reply(200, shapes.approvals(api.request(within, number), within))


@routes.add("POST", REQUEST + "/approve", *WRITE)
def _approve(api: Api, call: Call, project: str, number: str) -> Reply:
    within = api.project(project)
    request = api.request(within, number)
    if call.user.name == request.author.name or call.user.name in {given.user.name for given in request.approvals}:
        raise Refusal(401, {"message": "401 Unauthorized"})
    if call.argument("sha") not in {None, "", request.head}:
        raise Refusal(409, {"message": f"SHA does not match HEAD of source branch: {request.head}"})
    request.approvals.append(Approval(len(request.approvals) + 1, call.user, request.head, within.now))
    within.try_auto_merges()
    return Reply(201, shapes.approvals(request, within))


@routes.add("GET", REQUEST + "/pipelines", *READ)
def _pipelines(api: Api, call: Call, project: str, number: str) -> Reply:
    within = api.project(project)
    request = api.request(within, number)
    found = [check for check in reversed(within.checks) if check.sha == request.head]
    return paged(call, found, lambda check: shapes.pipeline(check, within, request.source))


@routes.add("GET", REQUEST + "/commits", *READ)
def _commits(api: Api, call: Call, project: str, number: str) -> Reply:
    within = api.project(project)
    request = api.request(within, number)
    found = [commit.sha for commit in within.repository.log(f"{request.target}..{request.head}")]
    return paged(call, found, lambda sha: shapes.commit(sha, within))


@routes.add("GET", REQUEST + "/diffs", *READ)
def _diffs(api: Api, call: Call, project: str, number: str) -> Reply:
    within = api.project(project)
    request = api.request(within, number)
    return paged(call, within.repository.changed_files(request.target, request.head), _diff)


def _diff(change: tuple[str, str]) -> dict[str, Any]:
    kind, path = change
    flags = {"new_file": kind == "A", "deleted_file": kind == "D", "renamed_file": False}
    return {"old_path": path, "new_path": path, "diff": "", **flags}
