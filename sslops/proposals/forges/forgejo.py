"""Forgejo's API v1: Gitea's (`gitea`), which it came from, in all that we call.

Where its servers act another way (7.0.9 and newer merge a scheduled request only when a check, an approval or a push
comes later, and never when all was there before), asking to merge at once first makes no difference of it.
"""

from __future__ import annotations

from dataclasses import dataclass

from sslops.proposals.forges.gitea import GiteaApi


@dataclass(frozen=True)
class ForgejoApi(GiteaApi):
    """One repository behind the API at *address*."""

    can_allow_force: bool = False
