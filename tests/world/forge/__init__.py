"""A local forge for tests that behaves like GitLab, GitHub, Forgejo or Gitea.

`with Forge(folder, "gitlab") as forge:` gives `forge.project("infra/certs")`, `forge.token("bot")`, `forge.api_url` and
`forge.faults`; a project gives its clone URLs and what a person does there: `merge`, `close`, `approve`, `pipeline`.
"""

from __future__ import annotations

from tests.world.forge.forge import Forge
from tests.world.forge.manners import Dialect
from tests.world.forge.people import Rights, Role
from tests.world.forge.project import Project, Refused
from tests.world.forge.protection import Protection, Status, Unmet
from tests.world.forge.requests import Comment, Issue, MergeRequest

__all__ = [
    "Comment",
    "Dialect",
    "Forge",
    "Issue",
    "MergeRequest",
    "Project",
    "Protection",
    "Refused",
    "Rights",
    "Role",
    "Status",
    "Unmet",
]
