"""GitHub's GraphQL endpoint: graphql-core executes and validates, here is what the fields and mutations do.

Why auto-merge is refused: GitHub docs "Automatically merging a pull request" (it has to be allowed, and something
has to be missing), and the words of its API as clients report them ("Pull request is in clean status").
"""

from __future__ import annotations

from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING, Any

import graphql

from tests.world.forge import github_nodes as nodes
from tests.world.forge.calls import Refusal, Reply
from tests.world.forge.github import check_body, routes
from tests.world.forge.github_pulls import check_mergeable, open_pull
from tests.world.forge.github_shapes import merge_state
from tests.world.forge.people import Role
from tests.world.forge.repository import Conflict, Raced
from tests.world.forge.requests import AutoMerge

if TYPE_CHECKING:
    from collections.abc import Sequence

    from tests.world.forge.calls import Call
    from tests.world.forge.github import Api
    from tests.world.forge.people import User
    from tests.world.forge.project import Project
    from tests.world.forge.requests import Issue, MergeRequest

NEEDS = {"mergePullRequest": "contents:write", "createIssue": "issues:write", "addComment": "issues:write"}
"""The permission of each mutation; the others need `pull_requests:write`."""


@cache
def _schema() -> graphql.GraphQLSchema:
    return graphql.build_schema((Path(__file__).parent / "github.graphql").read_text())


@routes.add("POST", "/graphql")
def _graphql(api: Api, call: Call) -> Reply:
    done = graphql.graphql_sync(
        _schema(),
        str(call.argument("query") or ""),
        root_value=_Root(api, call),
        variable_values=call.argument("variables") or {},
        operation_name=call.argument("operationName"),
    )
    answer: dict[str, Any] = {"data": done.data}
    if done.errors:
        answer["errors"] = [_error(error) for error in done.errors]
    return Reply(200, answer)


def _error(error: graphql.GraphQLError) -> dict[str, Any]:
    cause = error.original_error
    kind = cause.kind if isinstance(cause, ProblemError) else None
    said: dict[str, Any] = {"type": kind} if kind else {}
    places = [{"line": place.line, "column": place.column} for place in error.locations or ()]
    return said | {"path": error.path or [], "locations": places, "message": error.message}


class ProblemError(Exception):
    """What a field or mutation answers in `errors`, with GitHub's *kind* of it."""

    def __init__(self, message: str, kind: str = "UNPROCESSABLE") -> None:
        """Say *message*."""
        super().__init__(message)
        self.kind = kind


class _Root:
    """The fields of Query and Mutation; graphql-core calls them by name, with the arguments as GitHub names them."""

    def __init__(self, api: Api, call: Call) -> None:
        self._forge = api.forge
        self._call = call
        self._me: User = call.user

    # -- Query ---------------------------------------------------------------------------------------------------------

    def viewer(self, _: object) -> dict[str, Any]:
        return nodes.user(self._me)

    def repository(self, _: object, owner: str, name: str) -> dict[str, Any]:
        full = f"{owner}/{name}"
        if not self._forge.has_project(full):
            raise ProblemError(f"Could not resolve to a Repository with the name '{full}'.", "NOT_FOUND")
        within = self._forge.project(full)
        self._call.project = full
        assert self._call.token is not None
        if not self._call.token.scopes & {"repo", "pull_requests:read", "pull_requests:write"}:
            raise ProblemError("Resource not accessible by personal access token", "FORBIDDEN")
        return nodes.repository(within, self._me) | {
            "pullRequest": lambda _, number: self._pull(within, number),
            "pullRequests": lambda _, **wishes: self._pulls(within, wishes),
            "issues": lambda _, **wishes: self._issues(within, wishes),
        }

    def node(self, _: object, id: str) -> dict[str, Any]:  # noqa: A002  (the argument's name in the schema)
        within, request = self._request(id)
        return nodes.pull(request, within, self._me)

    def _pull(self, within: Project, number: int) -> dict[str, Any]:
        known = {request.number: request for request in within.requests()}
        if number not in known:
            raise ProblemError(f"Could not resolve to a PullRequest with the number of {number}.", "NOT_FOUND")
        return nodes.pull(known[number], within, self._me)

    def _pulls(self, within: Project, wishes: dict[str, Any]) -> dict[str, Any]:
        base, head, states = (wishes.get(name) for name in ("baseRefName", "headRefName", "states"))
        found = [
            request
            for request in within.requests()
            if base in {None, request.target} and head in {None, request.source} and _is_in(request, states)
        ]
        return nodes.page(
            found, wishes.get("first"), wishes.get("after"), lambda one: nodes.pull(one, within, self._me)
        )

    def _issues(self, within: Project, wishes: dict[str, Any]) -> dict[str, Any]:
        states = wishes.get("states")
        found: list[Issue] = [
            issue
            for issue in sorted(within.issues.values(), key=lambda one: -one.number)
            if not states or ("OPEN" if issue.is_open else "CLOSED") in states
        ]
        return nodes.page(found, wishes.get("first"), wishes.get("after"), lambda one: nodes.issue(one, within))

    # -- Mutation ------------------------------------------------------------------------------------------------------

    def createPullRequest(self, _: object, input: dict[str, Any]) -> dict[str, Any]:  # noqa: A002, N802
        within = self._writable("createPullRequest", self._project(input["repositoryId"]))
        self._call.body = input
        try:
            request = open_pull(within, self._call, input["headRefName"], input["baseRefName"])
        except Refusal as refusal:
            errors = refusal.reply.body.get("errors", [{}])
            raise ProblemError(errors[0].get("message") or str(refusal.reply.body["message"])) from refusal
        return self._payload(input, within, request)

    def updatePullRequest(self, _: object, input: dict[str, Any]) -> dict[str, Any]:  # noqa: A002, N802
        within, request = self._writable_request("updatePullRequest", input)
        try:
            check_body(input.get("body"), "PullRequest")
        except Refusal as refusal:
            raise ProblemError("Body is too long (maximum is 65536 characters)") from refusal
        request.title = input.get("title") or request.title
        request.body = request.body if input.get("body") is None else input["body"]
        request.updated_at = within.now
        return self._payload(input, within, request)

    def closePullRequest(self, _: object, input: dict[str, Any]) -> dict[str, Any]:  # noqa: A002, N802
        within, request = self._writable_request("closePullRequest", input)
        within.set_open(request, self._me, is_open=False)
        return self._payload(input, within, request)

    def reopenPullRequest(self, _: object, input: dict[str, Any]) -> dict[str, Any]:  # noqa: A002, N802
        within, request = self._writable_request("reopenPullRequest", input)
        if request.is_merged or within.repository.head(request.source) is None:
            raise ProblemError("Could not open the pull request.")
        within.set_open(request, self._me, is_open=True)
        return self._payload(input, within, request)

    def mergePullRequest(self, _: object, input: dict[str, Any]) -> dict[str, Any]:  # noqa: A002, N802
        within, request = self._writable_request("mergePullRequest", input)
        method = input["mergeMethod"].lower()
        try:
            check_mergeable(within, request, method, input.get("expectedHeadOid"))
            within.land(request, method, self._me, _message(request, input))
        except Refusal as refusal:
            raise ProblemError(str(refusal.reply.body["message"])) from refusal
        except (Conflict, Raced) as error:
            raise ProblemError("Pull Request is not mergeable") from error
        return self._payload(input, within, request)

    def enablePullRequestAutoMerge(self, _: object, input: dict[str, Any]) -> dict[str, Any]:  # noqa: A002, N802
        within, request = self._writable_request("enablePullRequestAutoMerge", input)
        method = input["mergeMethod"].lower()
        complaint = _no_auto_merge(within, request, method, input.get("expectedHeadOid"))
        if complaint:
            raise ProblemError(complaint)
        request.auto_merge = AutoMerge(self._me, method, _message(request, input), deletes_branch=False)
        return self._payload(input, within, request)

    def disablePullRequestAutoMerge(self, _: object, input: dict[str, Any]) -> dict[str, Any]:  # noqa: A002, N802
        within, request = self._writable_request("disablePullRequestAutoMerge", input)
        if request.auto_merge is None:
            raise ProblemError("Can't disable auto-merge for this pull request.")
        within.cancel(request, self._me)
        return self._payload(input, within, request)

    def addComment(self, _: object, input: dict[str, Any]) -> dict[str, Any]:  # noqa: A002, N802
        within, request = self._request(input["subjectId"])
        self._writable("addComment", within)
        made = within.add_comment(request, self._me, input["body"])
        return {"commentEdge": {"node": nodes.comment(made, request, within, self._me)}}

    def createIssue(self, _: object, input: dict[str, Any]) -> dict[str, Any]:  # noqa: A002, N802
        within = self._writable("createIssue", self._project(input["repositoryId"]))
        made = within.open_issue(self._me, input["title"], input.get("body") or "")
        return {"issue": nodes.issue(made, within)}

    # -- what they share -----------------------------------------------------------------------------------------------

    def _project(self, node: str) -> Project:
        for within in self._forge.projects:
            if node == f"R_{within.number}":
                return within
        raise ProblemError(f"Could not resolve to a node with the global id of '{node}'.", "NOT_FOUND")

    def _request(self, node: str) -> tuple[Project, MergeRequest]:
        for within in self._forge.projects:
            for request in within.requests():
                if nodes.pull_id(request, within) == node:
                    return within, request
        raise ProblemError(f"Could not resolve to a node with the global id of '{node}'.", "NOT_FOUND")

    def _writable_request(self, mutation: str, input: dict[str, Any]) -> tuple[Project, MergeRequest]:  # noqa: A002
        within, request = self._request(input["pullRequestId"])
        return self._writable(mutation, within), request

    def _writable(self, mutation: str, within: Project) -> Project:
        assert self._call.token is not None
        self._call.project = within.name
        self._call.path = f"/repos/{within.name}/{mutation}"
        needed = {"repo", NEEDS.get(mutation, "pull_requests:write")}
        if self._me.role < Role.DEVELOPER or not self._call.token.scopes & needed:
            raise ProblemError("Resource not accessible by personal access token", "FORBIDDEN")
        return within

    def _payload(self, input: dict[str, Any], within: Project, request: MergeRequest) -> dict[str, Any]:  # noqa: A002
        return {
            "clientMutationId": input.get("clientMutationId"),
            "actor": nodes.user(self._me),
            "pullRequest": nodes.pull(request, within, self._me),
        }


def _is_in(request: MergeRequest, states: Sequence[str] | None) -> bool:
    state = "MERGED" if request.is_merged else "OPEN" if request.is_open else "CLOSED"
    return not states or state in states


def _message(request: MergeRequest, input: dict[str, Any]) -> str | None:  # noqa: A002
    title, text = input.get("commitHeadline"), input.get("commitBody")
    if not title and not text:
        return None
    return f"{title or request.title}\n\n{text or ''}".strip()


def _no_auto_merge(within: Project, request: MergeRequest, method: str, head: str | None) -> str | None:
    rules = within.protections.get(request.target)
    if not within.allows_auto_merge:
        return "Auto merge is not allowed for this repository"
    if method not in within.merge_methods:
        return f"Merge method {method} merging is not allowed on this repository"
    if head not in {None, request.head}:
        return "Head branch was modified. Review and try the merge again."
    state = merge_state(request, within)
    if state == "dirty" and not (rules and rules.asks_of_merges):
        return "Pull request Protected branch rules not configured for this branch"
    return None if state == "blocked" else f"Pull request Pull request is in {state} status"
