"""How GitLab shows things (docs.gitlab.com/api: "Merge requests", "Notes", "Issues", "Protected branches")."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from tests.world.forge.api import stamp
from tests.world.forge.people import Role
from tests.world.forge.protection import Protection, Status, Unmet

if TYPE_CHECKING:
    from collections.abc import Sequence

    from tests.world.forge.people import User
    from tests.world.forge.project import Project
    from tests.world.forge.requests import Check, Comment, Issue, MergeRequest

DETAILED = {
    Unmet.CLOSED: "not_open",
    Unmet.GONE: "commits_status",
    Unmet.EMPTY: "commits_status",
    Unmet.DRAFT: "draft_status",
    Unmet.CONFLICT: "conflict",
    Unmet.CHECKS: "ci_must_pass",
    Unmet.APPROVALS: "not_approved",
    Unmet.UNSIGNED: "commits_status",
}
"""`detailed_merge_status` of the first thing that is missing."""


def user(someone: User) -> dict[str, Any]:
    """Show a user."""
    return {
        "id": someone.number,
        "username": someone.name,
        "public_email": None,
        "name": someone.name,
        "state": "active",
        "locked": False,
        "avatar_url": None,
        "web_url": f"/{someone.name}",
    }


def optional(someone: User | None) -> dict[str, Any] | None:
    """Show a user, or null."""
    return None if someone is None else user(someone)


def project(shown: Project) -> dict[str, Any]:
    """Show a project."""
    owner, _, name = shown.name.rpartition("/")
    rules = shown.protections.get(shown.default_branch, Protection())
    return {
        "id": shown.number,
        "name": name,
        "path": name,
        "path_with_namespace": shown.name,
        "namespace": {"id": 1, "name": owner, "path": owner, "kind": "group", "full_path": owner},
        "default_branch": shown.default_branch,
        "web_url": shown.web_url,
        "http_url_to_repo": shown.http_url,
        "ssh_url_to_repo": f"git@example.com:{shown.name}.git",
        "visibility": "private",
        "archived": False,
        "merge_requests_enabled": True,
        "issues_enabled": True,
        # CI is switched on by the first pipeline or the first rule that asks for one.
        "builds_access_level": "enabled" if shown.checks or rules.required_checks else "disabled",
        "merge_method": "ff" if shown.fast_forwards else "merge",
        "squash_option": "default_off" if "squash" in shown.merge_methods else "never",
        "only_allow_merge_if_pipeline_succeeds": bool(rules.required_checks),
        "allow_merge_on_skipped_pipeline": None,
        "ci_config_path": shown.ci_config_path,
        "remove_source_branch_after_merge": shown.deletes_merged_branches,
    }


def merge_request(shown: MergeRequest, within: Project, *, is_single: bool) -> dict[str, Any]:
    """Show a merge request; a list shows less than a single one."""
    state = "merged" if shown.is_merged else "opened" if shown.is_open else "closed"
    missing = within.unmet(shown)
    conflict = Unmet.CONFLICT in missing
    draft = within.manners.is_draft(shown)
    basic = {
        "id": shown.identity,
        "iid": shown.number,
        "project_id": within.number,
        "source_project_id": within.number,
        "target_project_id": within.number,
        "title": shown.title,
        "description": shown.body,
        "state": state,
        "created_at": stamp(shown.created_at),
        "updated_at": stamp(shown.updated_at),
        "merged_at": stamp(shown.merged_at),
        "merged_by": optional(shown.merged_by),
        "merge_user": optional(shown.merged_by or (shown.auto_merge.user if shown.auto_merge else None)),
        "closed_at": None if shown.is_merged else stamp(shown.closed_at),
        "closed_by": None if shown.is_merged else optional(shown.closed_by),
        "source_branch": shown.source,
        "target_branch": shown.target,
        "author": user(shown.author),
        "assignee": None,
        "assignees": [],
        "reviewers": [],
        "labels": list(shown.labels),
        "milestone": None,
        "draft": draft,
        "work_in_progress": draft,
        "merge_when_pipeline_succeeds": shown.auto_merge is not None,
        "merge_status": "cannot_be_merged" if conflict else "can_be_merged",
        "detailed_merge_status": DETAILED[missing[0]] if missing else "mergeable",
        "sha": shown.merged_head or shown.head,
        "merge_commit_sha": shown.merge_commit,
        "squash_commit_sha": shown.squash_commit,
        "user_notes_count": len(shown.comments),
        "discussion_locked": None,
        "should_remove_source_branch": None,
        "force_remove_source_branch": False,
        "squash": False,
        "squash_on_merge": False,
        "has_conflicts": conflict,
        "blocking_discussions_resolved": True,
        "references": {
            "short": f"!{shown.number}",
            "relative": f"!{shown.number}",
            "full": f"{within.name}!{shown.number}",
        },
        "web_url": f"{within.web_url}/-/merge_requests/{shown.number}",
    }
    return basic | _single(shown, within) if is_single else basic


def _single(shown: MergeRequest, within: Project) -> dict[str, Any]:
    newest = within.newest_pipeline(shown.head)
    head = shown.merged_head or shown.head
    base = within.repository.merge_base(shown.target, head) if within.repository.head(shown.target) else None
    return {
        "head_pipeline": None if newest is None else pipeline(newest, within, shown.source),
        "pipeline": None if newest is None else pipeline(newest, within, shown.source),
        "diff_refs": {"base_sha": base, "head_sha": head, "start_sha": base},
        "merge_error": None,
        "changes_count": str(len(within.repository.changed_files(shown.target, head))) if base else None,
        "user": {"can_merge": True},
        "rebase_in_progress": False,
    }


def pipeline(shown: Check, within: Project, ref: str) -> dict[str, Any]:
    """Show a pipeline."""
    status = {Status.PENDING: "running", Status.SUCCESS: "success", Status.FAILED: "failed"}[shown.status]
    return {
        "id": shown.number,
        "iid": shown.number,
        "project_id": within.number,
        "sha": shown.sha,
        "ref": ref,
        "status": status,
        "source": "merge_request_event",
        "created_at": stamp(shown.at),
        "updated_at": stamp(shown.at),
        "web_url": shown.url,
    }


def note(shown: Comment, below: Issue, kind: str, within: Project) -> dict[str, Any]:
    """Show a comment; *kind* is `MergeRequest` or `Issue`."""
    return {
        "id": shown.number,
        "type": None,
        "body": shown.text,
        "author": user(shown.author),
        "created_at": stamp(shown.created_at),
        "updated_at": stamp(shown.updated_at),
        "system": shown.is_system,
        "noteable_id": below.identity,
        "noteable_type": kind,
        "noteable_iid": below.number,
        "project_id": within.number,
        "resolvable": False,
        "confidential": False,
        "internal": False,
    }


def issue(shown: Issue, within: Project) -> dict[str, Any]:
    """Show an issue."""
    return {
        "id": shown.identity,
        "iid": shown.number,
        "project_id": within.number,
        "title": shown.title,
        "description": shown.body,
        "state": "opened" if shown.is_open else "closed",
        "created_at": stamp(shown.created_at),
        "updated_at": stamp(shown.updated_at),
        "closed_at": stamp(shown.closed_at),
        "closed_by": optional(shown.closed_by),
        "labels": list(shown.labels),
        "milestone": None,
        "assignees": [],
        "author": user(shown.author),
        "type": "ISSUE",
        "user_notes_count": len(shown.comments),
        "confidential": False,
        "issue_type": "issue",
        "web_url": f"{within.web_url}/-/issues/{shown.number}",
    }


def approvals(shown: MergeRequest, within: Project) -> dict[str, Any]:
    """Show who approved, and how many are missing."""
    required = within.protections.get(shown.target, Protection()).required_approvals
    given = len(shown.approvals)
    return {
        "id": shown.identity,
        "iid": shown.number,
        "project_id": within.number,
        "title": shown.title,
        "state": "merged" if shown.is_merged else "opened" if shown.is_open else "closed",
        "approved": given >= required,
        "approvals_required": required,
        "approvals_left": max(0, required - given),
        "approved_by": [
            {"user": user(approval.user), "approved_at": stamp(approval.at)} for approval in shown.approvals
        ],
        "user_has_approved": False,
        "user_can_approve": True,
    }


def commit(sha: str, within: Project) -> dict[str, Any]:
    """Show a commit."""
    shown = within.repository.log("-1", sha)[0]
    return {
        "id": shown.sha,
        "short_id": shown.sha[:8],
        "title": shown.title,
        "message": f"{shown.message}\n",
        "parent_ids": list(shown.parents),
        "author_name": shown.author.name,
        "author_email": shown.author.email,
        "authored_date": shown.authored_at,
        "committer_name": shown.committer.name,
        "committer_email": shown.committer.email,
        "committed_date": shown.committed_at,
        "created_at": shown.committed_at,
        "web_url": f"{within.web_url}/-/commit/{shown.sha}",
    }


def branch(name: str, sha: str, within: Project, viewer: User) -> dict[str, Any]:
    """Show a branch to *viewer*."""
    rules = within.rules_of(name)
    return {
        "name": name,
        "commit": commit(sha, within),
        "merged": within.repository.contains(within.default_branch, sha),
        "protected": rules is not None,
        "default": name == within.default_branch,
        "can_push": rules is None or rules.lets_push(viewer.name, viewer.role),
        "developers_can_push": bool(rules and rules.may_push == Role.DEVELOPER),
        "developers_can_merge": bool(rules and rules.may_merge <= Role.DEVELOPER),
        "web_url": f"{within.web_url}/-/tree/{name}",
    }


def protected_branch(name: str, rules: Protection, pushers: Sequence[User] = ()) -> dict[str, Any]:
    """Show the rules of a protected branch."""
    return {
        "id": 1,
        "name": name,
        "push_access_levels": [_level(0 if rules.may_push is None else int(rules.may_push)), *map(_person, pushers)],
        "merge_access_levels": [_level(int(rules.may_merge))],
        "unprotect_access_levels": [],
        "allow_force_push": rules.may_force,
        "code_owner_approval_required": False,
    }


def _person(someone: User) -> dict[str, Any]:
    facts = {"access_level": 40, "access_level_description": someone.name, "user_id": someone.number}
    return {"id": 1, "group_id": None, **facts}


def _level(level: int) -> dict[str, Any]:
    said = {0: "No one", 30: "Developers + Maintainers", 40: "Maintainers"}.get(level, str(level))
    return {"id": 1, "access_level": level, "access_level_description": said, "user_id": None, "group_id": None}
