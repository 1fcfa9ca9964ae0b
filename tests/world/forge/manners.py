"""How the forges differ in what they do by themselves, apart from the words of their APIs.

What real servers were seen to do is a switch here, on by default for the dialect and version that it was seen on (the
table in docs/forges.md); `Forge(folder, dialect, version=..., null_lists=("",))` sets one.

Other sources: GitHub docs "About merge methods", "About protected branches"; GitLab docs "Merge methods", "Squash and
merge", "Auto-merge", and `MergeRequests::RefreshService`; Gitea `services/pull/merge*.go`, `services/automerge`.
"""

from __future__ import annotations

import re
from dataclasses import dataclass, replace
from enum import StrEnum
from typing import TYPE_CHECKING, Any

from tests.world.forge.people import Rights

if TYPE_CHECKING:
    from collections.abc import Mapping

    from tests.world.forge.requests import MergeRequest


class Dialect(StrEnum):
    """Which forge this one behaves like."""

    GITLAB = "gitlab"
    GITHUB = "github"
    FORGEJO = "forgejo"
    GITEA = "gitea"

    @property
    def is_gitea_like(self) -> bool:
        """Whether it speaks Gitea's API."""
        return self in {Dialect.FORGEJO, Dialect.GITEA}


@dataclass(frozen=True, slots=True)
class Manners:
    """One forge's ways."""

    dialect: Dialect
    prefix: str
    """Where its API begins."""
    token_prefix: str
    request_ref: str
    """Under which ref each request's head is kept, `{}` being its number."""
    shares_numbers: bool
    """Issues and requests are counted together."""
    closes_without_branch: bool
    """Deleting the source branch closes the request."""
    closes_when_emptied: bool
    """Pushing the source branch back to what the target has closes the request."""
    merges_by_push: bool
    """A push that brings a request's head into its target marks the request as merged."""
    push_cancels_auto_merge: bool
    waits_for_all_checks: bool
    """An auto-merge waits for every check that was started, also for one that is not required."""
    draft_title: re.Pattern[str] | None
    """What at the start of a title makes a draft; null: drafts are a property of their own."""
    methods: tuple[str, ...]
    body_limit: int
    """The most characters of a request's body."""
    scopes: dict[Rights, frozenset[str]]
    version: str = ""
    """What it says its version is."""
    null_lists: tuple[str, ...] = ()
    """Ends of the paths of lists that are `null` when empty, as Go writes a slice that nothing was put into."""
    always_schedules: bool = False
    """Asked to merge when checks succeed it only ever schedules (201); else it merges at once what is ready."""
    fires_at_once: bool = True
    """What is ready when it is scheduled is merged; else only something that comes later does it."""
    schedules_any_style: bool = False
    """A way to merge that the project forbids is accepted for a schedule, which comes to nothing in silence."""
    unsettled_merges: int = 0
    """How many calls to merge are answered with 405 "Please try again later" after a push, while it is thinking."""
    rules_may_allow_force: bool = True
    """Whether the protection of a branch can allow force pushes at all."""

    def is_draft(self, request: MergeRequest) -> bool:
        """Whether *request* is marked as not finished."""
        if self.draft_title is None:
            return request.is_draft
        return self.draft_title.match(request.title) is not None


GITLAB = Manners(
    dialect=Dialect.GITLAB,
    prefix="/api/v4",
    token_prefix="glpat-",
    request_ref="refs/merge-requests/{}/head",
    shares_numbers=False,
    closes_without_branch=False,
    closes_when_emptied=False,
    merges_by_push=True,
    push_cancels_auto_merge=True,
    waits_for_all_checks=True,
    draft_title=re.compile(r"\s*(\[draft\]|\(draft\)|draft:)", re.IGNORECASE),
    methods=("merge", "squash", "rebase"),
    body_limit=1_048_576,
    scopes={
        Rights.ALL: frozenset({"api", "write_repository"}),
        Rights.READ: frozenset({"read_api", "read_repository"}),
        Rights.PUSH: frozenset({"write_repository"}),
        Rights.JOB: frozenset({"job"}),
    },
)

GITHUB = Manners(
    dialect=Dialect.GITHUB,
    prefix="/api/v3",
    token_prefix="github_pat_",
    request_ref="refs/pull/{}/head",
    shares_numbers=True,
    closes_without_branch=True,
    closes_when_emptied=True,
    merges_by_push=True,
    push_cancels_auto_merge=False,
    waits_for_all_checks=False,
    draft_title=None,
    methods=("merge", "squash", "rebase"),
    body_limit=65_536,
    scopes={
        Rights.ALL: frozenset(
            {"contents:write", "pull_requests:write", "issues:write", "statuses:read", "metadata:read"}
        ),
        Rights.READ: frozenset(
            {"contents:read", "pull_requests:read", "issues:read", "statuses:read", "metadata:read"}
        ),
        Rights.PUSH: frozenset({"contents:write", "metadata:read"}),
        Rights.JOB: frozenset({"contents:read", "metadata:read"}),
    },
)

FORGEJO = Manners(
    dialect=Dialect.FORGEJO,
    prefix="/api/v1",
    token_prefix="",
    request_ref="refs/pull/{}/head",
    shares_numbers=True,
    closes_without_branch=True,
    closes_when_emptied=False,
    merges_by_push=False,
    push_cancels_auto_merge=False,
    waits_for_all_checks=False,
    draft_title=re.compile(r"(WIP:|\[WIP\])", re.IGNORECASE),
    methods=("merge", "squash", "rebase", "rebase-merge", "fast-forward-only"),
    body_limit=16 * 1024 * 1024,
    scopes={
        Rights.ALL: frozenset({"write:repository", "write:issue", "read:user"}),
        Rights.READ: frozenset({"read:repository", "read:issue", "read:user"}),
        Rights.PUSH: frozenset({"write:repository"}),
        Rights.JOB: frozenset({"read:repository"}),
    },
    version="11.0.15+gitea-1.22.0",
    null_lists=("/timeline",),
    always_schedules=True,
    fires_at_once=False,
    schedules_any_style=True,
    unsettled_merges=1,
    rules_may_allow_force=False,
)

GITEA = replace(FORGEJO, dialect=Dialect.GITEA, version="1.26.0", fires_at_once=True, rules_may_allow_force=True)

_DEFAULTS = {manners.dialect: manners for manners in (GITLAB, GITHUB, FORGEJO, GITEA)}
_OLDER: dict[tuple[Dialect, str], dict[str, Any]] = {
    (Dialect.FORGEJO, "7.0.8"): {"always_schedules": False, "version": "7.0.8+gitea-1.21.11"},
}
"""Versions that were seen to act otherwise."""


def manners(dialect: Dialect, version: str | None, switches: Mapping[str, Any]) -> Manners:
    """Return the ways of *dialect* at *version* (null: the one that was measured), with *switches* set."""
    older = _OLDER[dialect, version] if version is not None else {}
    return replace(_DEFAULTS[dialect], **{**older, **switches})
