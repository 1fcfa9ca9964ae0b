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
from sslops.model.forges import NO_FORGE, Forge
from sslops.model.secret import Secret

if TYPE_CHECKING:
    from collections.abc import Mapping

_ANY_GIT_USER = "x-access-token"


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


def git_user(kind: str) -> str:
    """Return the user name that goes with a token as git's password, on a forge of *kind* or on none."""
    return _ANY_GIT_USER if kind == NO_FORGE else Forge.of(kind).row.git_user


def find_token(kind: str, role: Role, project: str, environ: Mapping[str, str]) -> Token:
    """Return the token for *project* on a forge of *kind*.

    A job's own token is taken only for the project that the job belongs to: it could do nothing anywhere else.
    ForgeError when what the variable holds is no token.
    """
    is_own = environ.get("GITHUB_REPOSITORY", "").lower() == project.lower()
    of_the_job = Forge.of(kind).row.job_tokens if is_own and kind != NO_FORGE else ()
    for name in (role.value, *of_the_job):
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
