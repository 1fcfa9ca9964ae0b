"""What each forge tells somebody whose push it refuses."""

from __future__ import annotations

from enum import Enum

from tests.world.forge.manners import Dialect


class Why(Enum):
    """Why a push is refused."""

    ROLE = 1
    PROTECTED = 2
    FORCED = 3
    UNSIGNED = 4


_GITHUB = "error: GH006: Protected branch update failed for {ref}.\nerror: "

WORDS = {
    (Dialect.GITLAB, Why.ROLE): "GitLab: You are not allowed to push code to this project.",
    (Dialect.GITLAB, Why.PROTECTED): "GitLab: You are not allowed to push code to protected branches on this project.",
    (
        Dialect.GITLAB,
        Why.FORCED,
    ): "GitLab: You are not allowed to force push code to a protected branch on this project.",
    (Dialect.GITLAB, Why.UNSIGNED): "GitLab: Commit must be signed with a GPG key",
    (Dialect.GITHUB, Why.ROLE): "Write access to repository not granted.",
    (Dialect.GITHUB, Why.PROTECTED): _GITHUB + "Changes must be made through a pull request.",
    (Dialect.GITHUB, Why.FORCED): _GITHUB + "Cannot force-push to this branch",
    (Dialect.GITHUB, Why.UNSIGNED): _GITHUB + "Commits must have verified signatures.",
    (Dialect.FORGEJO, Why.ROLE): "Forgejo: User permission denied for writing.",
    (Dialect.FORGEJO, Why.PROTECTED): "Forgejo: Not allowed to push to protected branch {branch}",
    (Dialect.FORGEJO, Why.FORCED): "Forgejo: branch {branch} is protected from force push",
    (Dialect.FORGEJO, Why.UNSIGNED): "Forgejo: branch {branch} is protected from unverified commit",
}
WORDS |= {
    (Dialect.GITEA, why): said.replace("Forgejo:", "Gitea:")
    for (dialect, why), said in WORDS.items()
    if dialect is Dialect.FORGEJO
}


def words(dialect: Dialect, why: Why, branch: str) -> str:
    """Return the lines for *why*."""
    return WORDS[dialect, why].format(ref=f"refs/heads/{branch}", branch=branch)
