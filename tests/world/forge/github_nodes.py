"""How GitHub's GraphQL API shows things: plain values for the schema in `github.graphql`."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from tests.world.forge import github_shapes as rest
from tests.world.forge.api import stamp
from tests.world.forge.people import Role
from tests.world.forge.protection import Protection, Status

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from tests.world.forge.people import User
    from tests.world.forge.project import Project
    from tests.world.forge.requests import Approval, Check, Comment, Issue, MergeRequest

STATES = {Status.PENDING: "PENDING", Status.SUCCESS: "SUCCESS", Status.FAILED: "FAILURE"}
END = {"hasNextPage": False, "hasPreviousPage": False, "startCursor": None, "endCursor": None}


def connection(nodes: Sequence[Any]) -> dict[str, Any]:
    """Show a list that fits on one page."""
    return {"nodes": list(nodes), "totalCount": len(nodes), "pageInfo": END}


def page(items: Sequence[Any], first: int | None, after: str | None, show: Callable[[Any], Any]) -> dict[str, Any]:
    """Show at most *first* (and 100) items behind the cursor *after*."""
    start = int(after or 0)
    end = min(len(items), start + min(first or 100, 100))
    info = END | {"hasNextPage": end < len(items), "endCursor": str(end)}
    return {"nodes": [show(item) for item in items[start:end]], "totalCount": len(items), "pageInfo": info}


def user(someone: User) -> dict[str, Any]:
    """Show a user."""
    url = f"/{someone.name}"
    return {
        "__typename": "User",
        "id": f"U_{someone.number}",
        "login": someone.name,
        "name": someone.name,
        "databaseId": someone.number,
        "avatarUrl": "",
        "resourcePath": url,
        "url": url,
    }


def owner(within: Project) -> dict[str, Any]:
    """Show the organisation a project belongs to."""
    name = within.name.partition("/")[0]
    return {"__typename": "Organization", "id": "O_1", "login": name, "name": name}


def repository(shown: Project, asker: User) -> dict[str, Any]:
    """Show a repository; lists in it are cut where they are asked for."""
    permission = {Role.MAINTAINER: "ADMIN", Role.DEVELOPER: "WRITE"}.get(asker.role, "READ")
    return {
        "__typename": "Repository",
        "_project": shown,
        "id": f"R_{shown.number}",
        "databaseId": shown.number,
        "name": shown.name.partition("/")[2],
        "nameWithOwner": shown.name,
        "owner": owner(shown),
        "url": shown.web_url,
        "sshUrl": f"git@example.com:{shown.name}.git",
        "hasIssuesEnabled": True,
        "hasWikiEnabled": False,
        "isPrivate": True,
        "viewerPermission": permission,
        "defaultBranchRef": {"id": "REF_1", "name": shown.default_branch},
        "mergeCommitAllowed": "merge" in shown.merge_methods,
        "rebaseMergeAllowed": "rebase" in shown.merge_methods,
        "squashMergeAllowed": "squash" in shown.merge_methods,
        "autoMergeAllowed": shown.allows_auto_merge,
        "deleteBranchOnMerge": shown.deletes_merged_branches,
        "viewerDefaultMergeMethod": "MERGE",
    }


def pull(shown: MergeRequest, within: Project, asker: User) -> dict[str, Any]:
    """Show a pull request."""
    rules = within.protections.get(shown.target, Protection())
    enough = len(shown.approvals) >= rules.required_approvals
    wish = shown.auto_merge
    return {
        "__typename": "PullRequest",
        "id": pull_id(shown, within),
        "number": shown.number,
        "title": shown.title,
        "body": shown.body,
        "url": f"{within.web_url}/pull/{shown.number}",
        "state": "MERGED" if shown.is_merged else "OPEN" if shown.is_open else "CLOSED",
        "isDraft": shown.is_draft,
        "closed": not shown.is_open,
        "merged": shown.is_merged,
        "author": user(shown.author),
        "mergedBy": user(shown.merged_by) if shown.merged_by else None,
        **_moments(shown),
        **_branches(shown, within, asker),
        **_mergeability(shown, within),
        "reviewDecision": None if not rules.required_approvals else "APPROVED" if enough else "REVIEW_REQUIRED",
        "autoMergeRequest": wish and {"mergeMethod": wish.method.upper(), "enabledBy": user(wish.user)},
        "viewerCanEnableAutoMerge": within.allows_auto_merge,
        "comments": connection([comment(one, shown, within, asker) for one in shown.comments]),
        "reviews": connection([review(one, shown, within) for one in shown.approvals]),
        "labels": connection([label(name) for name in shown.labels]),
        "reactionGroups": [],
        **dict.fromkeys(("reviewRequests", "assignees", "assignedActors", "projectItems"), connection([])),
        "projectCards": {"totalCount": 0},
    }


def pull_id(shown: MergeRequest, within: Project) -> str:
    """Return the node id, the same as the REST API's."""
    return f"PR_{within.number}_{shown.number}"


def _moments(shown: Issue) -> dict[str, Any]:
    merged_at = getattr(shown, "merged_at", None)
    return {
        "createdAt": stamp(shown.created_at),
        "updatedAt": stamp(shown.updated_at),
        "closedAt": stamp(shown.closed_at),
        "mergedAt": stamp(merged_at),
    }


def _branches(shown: MergeRequest, within: Project, asker: User) -> dict[str, Any]:
    rules = within.protections.get(shown.target)
    rule = rules and {"requiresStrictStatusChecks": False, "requiredApprovingReviewCount": rules.required_approvals}
    return {
        "baseRefName": shown.target,
        "baseRefOid": shown.base_before or within.repository.head(shown.target),
        "baseRef": {"id": "REF_1", "name": shown.target, "branchProtectionRule": rule},
        "headRefName": shown.source,
        "headRefOid": shown.head,
        "headRepository": repository(within, asker),
        "headRepositoryOwner": owner(within),
        "isCrossRepository": False,
        "maintainerCanModify": False,
        "isInMergeQueue": False,
        "isMergeQueueEnabled": False,
    }


def _mergeability(shown: MergeRequest, within: Project) -> dict[str, Any]:
    store = within.repository
    since = shown.base_before or shown.target
    commits = store.log(f"{since}..{shown.head}")
    return {
        "mergeable": "UNKNOWN" if not shown.is_open else "MERGEABLE" if within.is_mergeable(shown) else "CONFLICTING",
        "mergeStateStatus": rest.merge_state(shown, within).upper(),
        "mergeCommit": commit(shown.merge_commit, within) if shown.merge_commit else None,
        "commits": connection([{"commit": commit(one.sha, within)} for one in reversed(commits)]),
        "additions": 0,
        "deletions": 0,
        "changedFiles": len(store.changed_files(since, shown.head)),
    }


def commit(sha: str, within: Project) -> dict[str, Any]:
    """Show a commit."""
    shown = within.repository.log("-1", sha)[0]
    checks = list(within.checks_of(sha).values())
    return {
        "__typename": "Commit",
        "id": f"C_{sha}",
        "oid": sha,
        "messageHeadline": shown.title,
        "messageBody": shown.message.partition("\n")[2].strip(),
        "committedDate": shown.committed_at,
        "authoredDate": shown.authored_at,
        "statusCheckRollup": _rollup(checks) if checks else None,
    }


def _rollup(checks: Sequence[Check]) -> dict[str, Any]:
    states = {check.status for check in checks}
    worst = next(state for state in (Status.FAILED, Status.PENDING, Status.SUCCESS) if state in states)
    return {"state": STATES[worst], "contexts": connection([_context(check) for check in checks])}


def _context(shown: Check) -> dict[str, Any]:
    return {
        "__typename": "StatusContext",
        "context": shown.name,
        "state": STATES[shown.status],
        "targetUrl": shown.url,
        "createdAt": stamp(shown.at),
        "isRequired": True,
    }


def comment(shown: Comment, below: Issue, within: Project, asker: User) -> dict[str, Any]:
    """Show a comment."""
    return {
        "__typename": "IssueComment",
        "id": f"IC_{shown.number}",
        "author": user(shown.author),
        "authorAssociation": "MEMBER",
        "body": shown.text,
        "createdAt": stamp(shown.created_at),
        "url": f"{within.web_url}/issues/{below.number}#issuecomment-{shown.number}",
        "includesCreatedEdit": shown.updated_at != shown.created_at,
        "isMinimized": False,
        "reactionGroups": [],
        "viewerDidAuthor": shown.author.name == asker.name,
    }


def review(shown: Approval, request: MergeRequest, within: Project) -> dict[str, Any]:
    """Show an approving review."""
    return {
        "id": f"PRR_{shown.number}",
        "author": user(shown.user),
        "authorAssociation": "MEMBER",
        "submittedAt": stamp(shown.at),
        "body": "",
        "state": "APPROVED",
        "commit": commit(shown.head, within),
        "reactionGroups": [],
        "url": f"{within.web_url}/pull/{request.number}#pullrequestreview-{shown.number}",
    }


def label(name: str) -> dict[str, Any]:
    """Show a label."""
    return {"id": f"LA_{name}", "name": name, "color": "ededed"}


def issue(shown: Issue, within: Project) -> dict[str, Any]:
    """Show an issue."""
    return {
        "__typename": "Issue",
        "id": f"I_{within.number}_{shown.number}",
        "number": shown.number,
        "title": shown.title,
        "body": shown.body,
        "url": f"{within.web_url}/issues/{shown.number}",
        "state": "OPEN" if shown.is_open else "CLOSED",
        "author": user(shown.author),
        **_moments(shown),
        "labels": connection([label(name) for name in shown.labels]),
    }
