"""What a protected branch asks of a push and of a merge."""

from __future__ import annotations

from dataclasses import dataclass, field
from enum import StrEnum

from tests.world.forge.people import Role


class Status(StrEnum):
    """How a check of one commit stands."""

    PENDING = "pending"
    SUCCESS = "success"
    FAILED = "failed"


class Unmet(StrEnum):
    """Why a request cannot be merged now."""

    CLOSED = "closed"
    DRAFT = "draft"
    GONE = "the source branch is gone"
    EMPTY = "nothing to merge"
    CONFLICT = "conflict"
    APPROVALS = "approvals"
    CHECKS = "checks"
    UNSIGNED = "unsigned commits"


@dataclass(slots=True)
class Protection:
    """The rules of one branch; what stands here is what a new project's `main` has, unless a test says otherwise."""

    required_approvals: int = 0
    resets_approvals: bool = True
    """A push takes approvals back."""
    required_checks: tuple[str, ...] = ()
    """Names of checks. GitLab knows no names: any one means "pipelines must succeed"."""
    signed_commits: bool = False
    """Every new commit needs a good signature of one of the `allowed_signers` in the bare repository's folder."""
    may_push: Role | None = Role.MAINTAINER
    """The least role that may push; null: nobody, everything goes through requests."""
    may_merge: Role = Role.DEVELOPER
    may_force: bool = False
    pushers: set[str] = field(default_factory=set)
    """Users who may push whatever `may_push` says."""
    is_ruleset: bool = False
    """On GitHub: whether these are the rules of a ruleset, which `pushers` may bypass; else of a classic protection."""

    def lets_push(self, name: str, role: Role) -> bool:
        """Whether a user may push."""
        return name in self.pushers or (self.may_push is not None and role >= self.may_push)

    @property
    def asks_of_merges(self) -> bool:
        """Whether a merge needs anything beyond a role."""
        return bool(self.required_approvals or self.required_checks or self.signed_commits)
