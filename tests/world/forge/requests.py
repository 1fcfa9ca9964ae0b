"""What a forge keeps beside git: merge requests, comments, issues, reviews, checks."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from datetime import datetime

    from tests.world.forge.people import User
    from tests.world.forge.protection import Status


@dataclass(slots=True)
class Comment:
    """A remark below an issue or a request."""

    number: int
    author: User
    text: str
    created_at: datetime
    updated_at: datetime
    is_system: bool = False
    """Written by the forge itself ("approved this merge request")."""


@dataclass(slots=True)
class Approval:
    """Somebody's consent to a head."""

    number: int
    user: User
    head: str
    at: datetime


@dataclass(frozen=True, slots=True)
class Event:
    """Something that happened to an issue or request, by Forgejo's name of it: `close`, `pull_scheduled_merge`."""

    number: int
    kind: str
    user: User
    at: datetime


@dataclass(slots=True)
class AutoMerge:
    """The wish to merge as soon as everything required is there."""

    user: User
    method: str
    message: str | None
    deletes_branch: bool


@dataclass(slots=True)
class Issue:
    """An issue; requests of GitHub and Forgejo are issues too and share their numbers."""

    number: int
    identity: int
    author: User
    title: str
    body: str
    created_at: datetime
    updated_at: datetime
    is_open: bool = True
    closed_at: datetime | None = None
    closed_by: User | None = None
    labels: tuple[str, ...] = ()
    comments: list[Comment] = field(default_factory=list)
    events: list[Event] = field(default_factory=list)


@dataclass(slots=True)
class MergeRequest(Issue):
    """A wish to merge branch `source` into branch `target`."""

    source: str = ""
    target: str = ""
    head: str = ""
    """The commit the source branch was last seen at."""
    is_draft: bool = False
    merged_at: datetime | None = None
    merged_by: User | None = None
    merged_head: str | None = None
    base_before: str | None = None
    """Where the target was when it was merged."""
    merge_commit: str | None = None
    squash_commit: str | None = None
    approvals: list[Approval] = field(default_factory=list)
    auto_merge: AutoMerge | None = None
    unsettled: int = 0
    """How many calls to merge find the forge still thinking about it."""

    @property
    def is_merged(self) -> bool:
        """Whether it is in the target branch."""
        return self.merged_at is not None


@dataclass(frozen=True, slots=True)
class Check:
    """One result of one check of one commit; the newest of a name counts."""

    number: int
    sha: str
    name: str
    status: Status
    at: datetime
    url: str = ""
