"""What a token may do on a project, and which settings of the project matter to us: for `sslops doctor`."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Standing:
    """How we stand with one project; null means that the forge does not tell this token.

    *scopes* of the token and the day it *expires_at*, whether it *can_propose* (push and open requests), whether the
    branch *is_protected*, whether requests *can_wait* to be merged by the forge, and which of the allowed ways to merge
    are *unsigning*: they make new commits without our signature.
    """

    scopes: tuple[str, ...] | None
    expires_at: str | None
    can_propose: bool | None
    is_protected: bool | None
    can_wait: bool | None
    unsigning: tuple[str, ...]
