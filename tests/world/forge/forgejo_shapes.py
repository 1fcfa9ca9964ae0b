"""How Forgejo shows things: the definitions of its `/swagger.v1.json` (PullRequest, Issue, Comment, Branch, ...)."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from tests.world.forge.api import stamp
from tests.world.forge.people import Role
from tests.world.forge.protection import Protection, Status

if TYPE_CHECKING:
    from tests.world.forge.people import User
    from tests.world.forge.project import Project
    from tests.world.forge.requests import Approval, Check, Comment, Event, Issue, MergeRequest

CHECK_STATES = {Status.PENDING: "pending", Status.SUCCESS: "success", Status.FAILED: "failure"}


def user(someone: User) -> dict[str, Any]:
    """Show a user."""
    return {
        "id": someone.number,
        "login": someone.name,
        "login_name": "",
        "full_name": "",
        "email": f"{someone.name}@noreply.example.com",
        "avatar_url": "",
        "html_url": "",
        "is_admin": False,
        "username": someone.name,
    }


def optional(someone: User | None) -> dict[str, Any] | None:
    """Show a user, or null."""
    return None if someone is None else user(someone)


def repository(shown: Project) -> dict[str, Any]:
    """Show a repository."""
    owner, _, name = shown.name.partition("/")
    methods = shown.merge_methods
    return {
        "id": shown.number,
        "owner": {"id": 1, "login": owner, "username": owner},
        "name": name,
        "full_name": shown.name,
        "private": True,
        "fork": False,
        "archived": False,
        "empty": not shown.repository.branches(),
        "html_url": shown.web_url,
        "clone_url": shown.http_url,
        "default_branch": shown.default_branch,
        "has_issues": True,
        "has_pull_requests": True,
        "allow_merge_commits": "merge" in methods,
        "allow_rebase": "rebase" in methods,
        "allow_rebase_explicit": "rebase-merge" in methods,
        "allow_squash_merge": "squash" in methods,
        "allow_fast_forward_only_merge": "fast-forward-only" in methods,
        "default_merge_style": "merge",
        "default_delete_branch_after_merge": shown.deletes_merged_branches,
    }


def pull(shown: MergeRequest, within: Project) -> dict[str, Any]:
    """Show a pull request."""
    store = within.repository
    where = repository(within)
    target = store.head(shown.target) or ""
    is_there = store.head(shown.source) is not None
    return issue_facts(shown) | {
        "url": f"{within.web_url}/pulls/{shown.number}",
        "html_url": f"{within.web_url}/pulls/{shown.number}",
        "diff_url": f"{within.web_url}/pulls/{shown.number}.diff",
        "patch_url": f"{within.web_url}/pulls/{shown.number}.patch",
        "draft": within.manners.is_draft(shown),
        "requested_reviewers": [],
        "mergeable": shown.is_open and within.is_mergeable(shown),
        "merged": shown.is_merged,
        "merged_at": stamp(shown.merged_at),
        "merge_commit_sha": shown.merge_commit,
        "merged_by": optional(shown.merged_by),
        "allow_maintainer_edit": False,
        "base": {"label": shown.target, "ref": shown.target, "sha": target, "repo_id": within.number, "repo": where},
        "head": {
            "label": shown.source,
            "ref": shown.source if is_there else f"refs/pull/{shown.number}/head",
            "sha": shown.head,
            "repo_id": within.number,
            "repo": where,
        },
        "merge_base": store.merge_base(shown.target, shown.head) if target else "",
    }


def issue_facts(shown: Issue) -> dict[str, Any]:
    """Show what issues and pull requests have in common."""
    return {
        "id": shown.identity,
        "number": shown.number,
        "user": user(shown.author),
        "title": shown.title,
        "body": shown.body,
        "labels": [{"id": 1, "name": name, "color": "ededed"} for name in shown.labels],
        "milestone": None,
        "assignee": None,
        "assignees": None,
        "state": "open" if shown.is_open else "closed",
        "is_locked": False,
        "comments": len(shown.comments),
        "created_at": stamp(shown.created_at),
        "updated_at": stamp(shown.updated_at),
        "closed_at": stamp(shown.closed_at),
        "due_date": None,
    }


def issue(shown: Issue, within: Project, base: str, request: MergeRequest | None) -> dict[str, Any]:
    """Show an issue; *request* is itself when it is a pull request."""
    kind = "issues" if request is None else "pulls"
    owner, _, name = within.name.partition("/")
    pull_facts = None if request is None else {"merged": request.is_merged, "merged_at": stamp(request.merged_at)}
    return issue_facts(shown) | {
        "url": f"{base}/repos/{within.name}/issues/{shown.number}",
        "html_url": f"{within.web_url}/{kind}/{shown.number}",
        "original_author": "",
        "ref": "",
        "repository": {"id": within.number, "name": name, "owner": owner, "full_name": within.name},
        "pull_request": pull_facts,
    }


def comment(shown: Comment, below: Issue, within: Project, *, is_pull: bool) -> dict[str, Any]:
    """Show a comment."""
    kind = "pulls" if is_pull else "issues"
    above = f"{within.web_url}/{kind}/{below.number}"
    return {
        "id": shown.number,
        "html_url": f"{above}#issuecomment-{shown.number}",
        "pull_request_url": above if is_pull else "",
        "issue_url": "" if is_pull else above,
        "user": user(shown.author),
        "original_author": "",
        "body": shown.text,
        "created_at": stamp(shown.created_at),
        "updated_at": stamp(shown.updated_at),
    }


def remark(shown: Comment) -> dict[str, Any]:
    """Show a comment as part of a history."""
    moments = {"created_at": stamp(shown.created_at), "updated_at": stamp(shown.updated_at)}
    return {"id": shown.number, "type": "comment", "user": user(shown.author), "body": shown.text, **moments}


def event(shown: Event) -> dict[str, Any]:
    """Show what happened to an issue or request (TimelineComment)."""
    moments = {"created_at": stamp(shown.at), "updated_at": stamp(shown.at)}
    return {"id": shown.number, "type": shown.kind, "user": user(shown.user), "body": "", **moments}


def review(shown: Approval, request: MergeRequest, within: Project) -> dict[str, Any]:
    """Show an approving review."""
    return {
        "id": shown.number,
        "user": user(shown.user),
        "team": None,
        "state": "APPROVED",
        "body": "",
        "commit_id": shown.head,
        "stale": shown.head != request.head,
        "official": True,
        "dismissed": False,
        "comments_count": 0,
        "submitted_at": stamp(shown.at),
        "html_url": f"{within.web_url}/pulls/{request.number}#issuecomment-{shown.number}",
    }


def branch(name: str, sha: str, within: Project, viewer: User) -> dict[str, Any]:
    """Show a branch to *viewer*: the name of its rule only administrators see."""
    shown = within.repository.log("-1", sha)[0]
    rules = within.rules_of(name)
    author = {"name": shown.author.name, "email": shown.author.email, "username": ""}
    committer = {"name": shown.committer.name, "email": shown.committer.email, "username": ""}
    facts = {"id": sha, "message": f"{shown.message}\n", "url": "", "timestamp": shown.committed_at}
    return {
        "name": name,
        "commit": facts | {"author": author, "committer": committer, "verification": None, "added": None},
        "protected": rules is not None,
        "required_approvals": rules.required_approvals if rules else 0,
        "enable_status_check": bool(rules and rules.required_checks),
        "status_check_contexts": list(rules.required_checks) if rules else [],
        "user_can_push": rules is None or rules.lets_push(viewer.name, viewer.role),
        "user_can_merge": True,
        "effective_branch_protection_name": name if rules and viewer.role >= Role.MAINTAINER else "",
    }


def protection(name: str, rules: Protection, *, can_allow_force: bool) -> dict[str, Any]:
    """Show the rules of a protected branch."""
    return {
        "branch_name": name,
        "rule_name": name,
        "enable_push": rules.may_push is not None or bool(rules.pushers),
        "enable_push_whitelist": bool(rules.pushers),
        "push_whitelist_usernames": sorted(rules.pushers),
        "push_whitelist_teams": [],
        "push_whitelist_deploy_keys": False,
        **({"enable_force_push": rules.may_force} if can_allow_force else {}),
        "enable_merge_whitelist": False,
        "enable_status_check": bool(rules.required_checks),
        "status_check_contexts": list(rules.required_checks),
        "required_approvals": rules.required_approvals,
        "dismiss_stale_approvals": rules.resets_approvals,
        "require_signed_commits": rules.signed_commits,
        "block_on_outdated_branch": False,
        "block_on_rejected_reviews": False,
    }


def status(shown: Check) -> dict[str, Any]:
    """Show a commit status."""
    return {
        "id": shown.number,
        "status": CHECK_STATES[shown.status],
        "target_url": shown.url,
        "description": "",
        "url": "",
        "context": shown.name,
        "creator": None,
        "created_at": stamp(shown.at),
        "updated_at": stamp(shown.at),
    }


def combined_status(sha: str, within: Project) -> dict[str, Any]:
    """Show all statuses of a commit; none at all is an empty state."""
    found = list(within.checks_of(sha).values())
    states = {check.status for check in found}
    worst = next((state for state in (Status.FAILED, Status.PENDING, Status.SUCCESS) if state in states), None)
    return {
        "state": CHECK_STATES[worst] if worst else "",
        "sha": sha,
        "total_count": len(found),
        "statuses": [status(check) for check in found] or None,
        "repository": repository(within),
        "commit_url": "",
        "url": "",
    }
