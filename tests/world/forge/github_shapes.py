"""How GitHub shows things (docs.github.com/rest: "Pulls", "Issues", "Branches", "Commit statuses", "Checks")."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from tests.world.forge.api import stamp
from tests.world.forge.protection import Protection, Status, Unmet

if TYPE_CHECKING:
    from tests.world.forge.people import User
    from tests.world.forge.project import Project
    from tests.world.forge.requests import Approval, Check, Comment, Issue, MergeRequest

CHECK_STATES = {Status.PENDING: "pending", Status.SUCCESS: "success", Status.FAILED: "failure"}


def user(someone: User) -> dict[str, Any]:
    """Show a user."""
    return {
        "login": someone.name,
        "id": someone.number,
        "node_id": f"U_{someone.number}",
        "avatar_url": "",
        "type": "User",
        "site_admin": False,
    }


def optional(someone: User | None) -> dict[str, Any] | None:
    """Show a user, or null."""
    return None if someone is None else user(someone)


def repository(shown: Project, base: str) -> dict[str, Any]:
    """Show a repository; *base* is where the API begins."""
    owner, _, name = shown.name.partition("/")
    return {
        "id": shown.number,
        "node_id": f"R_{shown.number}",
        "name": name,
        "full_name": shown.name,
        "private": True,
        "owner": {"login": owner, "id": 1, "node_id": "O_1", "type": "Organization"},
        "html_url": shown.web_url,
        "url": f"{base}/repos/{shown.name}",
        "clone_url": shown.http_url,
        "fork": False,
        "archived": False,
        "default_branch": shown.default_branch,
        "has_issues": True,
        "visibility": "private",
        "allow_merge_commit": "merge" in shown.merge_methods,
        "allow_squash_merge": "squash" in shown.merge_methods,
        "allow_rebase_merge": "rebase" in shown.merge_methods,
        "allow_auto_merge": shown.allows_auto_merge,
        "delete_branch_on_merge": shown.deletes_merged_branches,
    }


def merge_state(shown: MergeRequest, within: Project) -> str:
    """Return `mergeable_state`: what the merge button would say."""
    missing = set(within.unmet(shown))
    if Unmet.CLOSED in missing or Unmet.GONE in missing:
        return "unknown"
    if Unmet.CONFLICT in missing:
        return "dirty"
    if Unmet.DRAFT in missing:
        return "draft"
    if missing:
        return "blocked"
    results = {check.status for check in within.checks_of(shown.head).values()}
    return "unstable" if results - {Status.SUCCESS} else "clean"


def pull(shown: MergeRequest, within: Project, base: str, *, is_single: bool) -> dict[str, Any]:
    """Show a pull request; a list shows less than a single one."""
    here = f"{base}/repos/{within.name}"
    url = f"{here}/pulls/{shown.number}"
    owner = within.name.partition("/")[0]
    where = repository(within, base)
    target = shown.base_before or within.repository.head(shown.target)
    head = {"label": f"{owner}:{shown.source}", "ref": shown.source, "sha": shown.head}
    into = {"label": f"{owner}:{shown.target}", "ref": shown.target, "sha": target}
    wish = shown.auto_merge
    basic = {
        "id": shown.identity,
        "node_id": f"PR_{within.number}_{shown.number}",
        "number": shown.number,
        "url": url,
        "html_url": f"{within.web_url}/pull/{shown.number}",
        "issue_url": f"{here}/issues/{shown.number}",
        "comments_url": f"{here}/issues/{shown.number}/comments",
        "state": "open" if shown.is_open else "closed",
        "locked": False,
        "title": shown.title,
        "body": shown.body or None,
        "user": user(shown.author),
        "labels": [label(name) for name in shown.labels],
        "created_at": stamp(shown.created_at),
        "updated_at": stamp(shown.updated_at),
        "closed_at": stamp(shown.closed_at),
        "merged_at": stamp(shown.merged_at),
        "merge_commit_sha": shown.merge_commit,
        "assignee": None,
        "assignees": [],
        "requested_reviewers": [],
        "draft": shown.is_draft,
        "head": head | {"repo": where, "user": where["owner"]},
        "base": into | {"repo": where, "user": where["owner"]},
        "author_association": "MEMBER",
        "auto_merge": None if wish is None else {"enabled_by": user(wish.user), "merge_method": wish.method},
    }
    return basic | _single(shown, within) if is_single else basic


def _single(shown: MergeRequest, within: Project) -> dict[str, Any]:
    return {
        "merged": shown.is_merged,
        "merged_by": optional(shown.merged_by),
        "mergeable": within.is_mergeable(shown) if shown.is_open else None,
        "rebaseable": None,
        "mergeable_state": merge_state(shown, within),
        "comments": len(shown.comments),
        "review_comments": 0,
        "commits": len(within.repository.log(f"{shown.target}..{shown.head}")),
        "maintainer_can_modify": False,
    }


def label(name: str) -> dict[str, Any]:
    """Show a label."""
    return {"id": 1, "name": name, "color": "ededed", "default": False, "description": None}


def issue(shown: Issue, within: Project, base: str, *, is_pull: bool) -> dict[str, Any]:
    """Show an issue; every pull request is one too."""
    here = f"{base}/repos/{within.name}"
    kind = "pull" if is_pull else "issues"
    link = {"url": f"{here}/pulls/{shown.number}"}
    return {
        "id": shown.identity,
        "node_id": f"I_{within.number}_{shown.number}",
        "number": shown.number,
        "url": f"{here}/issues/{shown.number}",
        "html_url": f"{within.web_url}/{kind}/{shown.number}",
        "repository_url": here,
        "comments_url": f"{here}/issues/{shown.number}/comments",
        "title": shown.title,
        "body": shown.body or None,
        "state": "open" if shown.is_open else "closed",
        "state_reason": None,
        "user": user(shown.author),
        "labels": [label(name) for name in shown.labels],
        "assignees": [],
        "locked": False,
        "comments": len(shown.comments),
        "created_at": stamp(shown.created_at),
        "updated_at": stamp(shown.updated_at),
        "closed_at": stamp(shown.closed_at),
        "author_association": "MEMBER",
    } | ({"pull_request": link} if is_pull else {})


def comment(shown: Comment, below: Issue, within: Project, base: str) -> dict[str, Any]:
    """Show a comment."""
    here = f"{base}/repos/{within.name}/issues"
    return {
        "id": shown.number,
        "node_id": f"IC_{shown.number}",
        "url": f"{here}/comments/{shown.number}",
        "html_url": f"{within.web_url}/issues/{below.number}#issuecomment-{shown.number}",
        "issue_url": f"{here}/{below.number}",
        "body": shown.text,
        "user": user(shown.author),
        "created_at": stamp(shown.created_at),
        "updated_at": stamp(shown.updated_at),
        "author_association": "MEMBER",
    }


def review(shown: Approval, request: MergeRequest, within: Project) -> dict[str, Any]:
    """Show an approving review."""
    return {
        "id": shown.number,
        "node_id": f"PRR_{shown.number}",
        "user": user(shown.user),
        "body": "",
        "state": "APPROVED",
        "commit_id": shown.head,
        "submitted_at": stamp(shown.at),
        "html_url": f"{within.web_url}/pull/{request.number}#pullrequestreview-{shown.number}",
    }


def commit(sha: str, within: Project, base: str) -> dict[str, Any]:
    """Show a commit."""
    shown = within.repository.log("-1", sha)[0]
    url = f"{base}/repos/{within.name}/commits/{sha}"
    author = {"name": shown.author.name, "email": shown.author.email, "date": shown.authored_at}
    committer = {"name": shown.committer.name, "email": shown.committer.email, "date": shown.committed_at}
    return {
        "sha": sha,
        "node_id": f"C_{sha}",
        "url": url,
        "html_url": f"{within.web_url}/commit/{sha}",
        "commit": {
            "message": shown.message,
            "author": author,
            "committer": committer,
            "tree": {"sha": shown.tree, "url": url},
        },
        "author": None,
        "committer": None,
        "parents": [{"sha": parent, "url": f"{base}/repos/{within.name}/commits/{parent}"} for parent in shown.parents],
    }


def branch(name: str, sha: str, within: Project, base: str) -> dict[str, Any]:
    """Show a branch."""
    rules = within.rules_of(name)
    is_classic = rules is not None and not rules.is_ruleset
    names = list(rules.required_checks) if rules and is_classic else []
    level = "non_admins" if names else "off"
    checks = {"enforcement_level": level, "contexts": names, "checks": [{"context": each} for each in names]}
    return {
        "name": name,
        "commit": commit(sha, within, base),
        "protected": rules is not None,
        "protection": {"enabled": is_classic, "required_status_checks": checks},
        "protection_url": f"{base}/repos/{within.name}/branches/{name}/protection",
    }


def protection(rules: Protection, url: str) -> dict[str, Any]:
    """Show the classic protection of a branch; what is not required is left out."""
    shown: dict[str, Any] = {
        "url": url,
        "enforce_admins": {"url": f"{url}/enforce_admins", "enabled": rules.may_push is None},
        "required_signatures": {"url": f"{url}/required_signatures", "enabled": rules.signed_commits},
        "required_linear_history": {"enabled": False},
        "allow_force_pushes": {"enabled": rules.may_force},
        "allow_deletions": {"enabled": False},
    }
    if rules.required_approvals or rules.may_push is None:
        shown["required_pull_request_reviews"] = {
            "url": f"{url}/required_pull_request_reviews",
            "dismiss_stale_reviews": rules.resets_approvals,
            "require_code_owner_reviews": False,
            "required_approving_review_count": rules.required_approvals,
        }
    if rules.required_checks:
        names = list(rules.required_checks)
        checks = [{"context": name, "app_id": None} for name in names]
        where = f"{url}/required_status_checks"
        shown["required_status_checks"] = {"url": where, "strict": False, "contexts": names, "checks": checks}
    return shown


UNPASSABLE = 1000
"""What is added to the number of the ruleset of a branch for the one beside it, which nobody may bypass."""


def ruleset_rules(rules: Protection, number: int, where: str) -> list[dict[str, Any]]:
    """Show the rules of a ruleset as they are in force for a branch."""
    source = {"ruleset_source_type": "Repository", "ruleset_source": where, "ruleset_id": number}
    kinds: list[dict[str, Any]] = [{"type": "deletion"}]
    if rules.may_push is None:
        kinds.append({"type": "update"})
    if not rules.may_force:
        kinds.append({"type": "non_fast_forward"})
    if rules.required_approvals:
        flags = ("dismiss_stale_reviews_on_push", "require_code_owner_review", "require_last_push_approval")
        more = dict.fromkeys((*flags, "required_review_thread_resolution"), False)
        asked: dict[str, Any] = {"required_approving_review_count": rules.required_approvals, **more}
        kinds.append({"type": "pull_request", "parameters": asked})
    if rules.required_checks:
        checks = [{"context": each} for each in rules.required_checks]
        parameters = {"required_status_checks": checks, "strict_required_status_checks_policy": False}
        kinds.append({"type": "required_status_checks", "parameters": parameters})
    unpassable = source | {"ruleset_id": number + UNPASSABLE}
    return [each | (unpassable if each["type"] == "non_fast_forward" else source) for each in kinds]


def ruleset(name: str, rules: Protection, number: int, where: str, viewer: User) -> dict[str, Any]:
    """Show a ruleset to *viewer*, who learns only what they may bypass themselves."""
    return {
        "id": number,
        "name": name,
        "target": "branch",
        "source_type": "Repository",
        "source": where,
        "enforcement": "active",
        "current_user_can_bypass": "always" if viewer.name in rules.pushers and number < UNPASSABLE else "never",
        "conditions": {"ref_name": {"include": [f"refs/heads/{name}"], "exclude": []}},
    }


def status(shown: Check, base: str) -> dict[str, Any]:
    """Show a commit status."""
    return {
        "id": shown.number,
        "node_id": f"SC_{shown.number}",
        "url": f"{base}/statuses/{shown.sha}",
        "state": CHECK_STATES[shown.status],
        "context": shown.name,
        "description": None,
        "target_url": shown.url,
        "created_at": stamp(shown.at),
        "updated_at": stamp(shown.at),
    }


def combined_status(sha: str, within: Project, base: str) -> dict[str, Any]:
    """Show all statuses of a commit; none at all is "pending", as GitHub says."""
    found = list(within.checks_of(sha).values())
    states = {check.status for check in found}
    worst = (
        Status.FAILED
        if Status.FAILED in states
        else Status.PENDING
        if Status.PENDING in states or not found
        else Status.SUCCESS
    )
    return {
        "state": CHECK_STATES[worst],
        "sha": sha,
        "total_count": len(found),
        "statuses": [status(check, base) for check in found],
        "repository": repository(within, base),
    }
