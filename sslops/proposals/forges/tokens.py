"""Which token speaks for us on which project: read once from the environment, held as a Secret from then on.

>>> ops = find_token("github", Role.OPS, "infra/certs", {"SSLOPS_FORGE_TOKEN": "t"})
>>> ops.source, ops.secret
('SSLOPS_FORGE_TOKEN', <secret forge token>)
>>> find_token("gitlab", Role.DNS, "infra/dns", {"SSLOPS_FORGE_TOKEN": "t"}).secret is None
True
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum
from typing import TYPE_CHECKING

from sslops.errors import ForgeError
from sslops.model.secret import Secret

if TYPE_CHECKING:
    from collections.abc import Mapping


_JOB_TOKENS = {"github": ("GITHUB_TOKEN",), "forgejo": ("FORGEJO_TOKEN", "GITHUB_TOKEN")}
"""What a job of the forge holds by itself; GitLab's `CI_JOB_TOKEN` may not call what we need."""

GIT_USERS = {"gitlab": "oauth2", "github": "x-access-token", "forgejo": "oauth2", "none": "x-access-token"}
"""The user name that goes with a token as git's password; most forges take any, GitHub Apps this one."""


class Role(StrEnum):
    """Which of the two projects a token is for; the value is the variable that holds it."""

    OPS = "SSLOPS_FORGE_TOKEN"
    DNS = "SSLOPS_DNS_TOKEN"


@dataclass(frozen=True, slots=True)
class Token:
    """The token for the project of *role*: *source* is the variable it was found in; both null when there is none."""

    role: Role
    secret: Secret | None = None
    source: str | None = None

    @property
    def is_of_the_job(self) -> bool:
        """Whether it is the one that the forge gives every job, which can do less."""
        return self.source is not None and self.source != self.role


def find_token(kind: str, role: Role, project: str, environ: Mapping[str, str]) -> Token:
    """Return the token for *project* on a forge of *kind*.

    A job's own token is taken only for the project that the job belongs to: it could do nothing anywhere else.
    ForgeError when what the variable holds is no token.
    """
    is_own = environ.get("GITHUB_REPOSITORY", "").lower() == project.lower()
    for name in (role.value, *(_JOB_TOKENS.get(kind, ()) if is_own else ())):
        text = environ.get(name, "").strip()
        if text:
            _check(name, text)
            return Token(role, Secret(text.encode(), "forge token"), name)
    return Token(role)


def _check(name: str, text: str) -> None:
    """Refuse what could not stand in a header or in an answer to git, without showing it."""
    if not text.isascii() or not text.isprintable() or " " in text:
        message = f"{name} holds something that is no token"
        raise ForgeError(message, hint="one line, without white space in it")
