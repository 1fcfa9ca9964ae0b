"""Who talks to the forge: users with a role in every project, and the tokens they hold."""

from __future__ import annotations

import itertools
import secrets
from dataclasses import dataclass
from enum import IntEnum, StrEnum

from tests.world.forge.repository import Person


class Role(IntEnum):
    """What a member may do; the numbers are GitLab's access levels."""

    NONE = 0
    GUEST = 10
    REPORTER = 20
    """Reads (GitHub and Forgejo: read)."""
    DEVELOPER = 30
    """Pushes to branches that are not protected, opens and merges requests (write)."""
    MAINTAINER = 40
    """Everything but what protection denies to everybody (admin)."""


class Rights(StrEnum):
    """What a token is good for, in words that every forge can say with scopes of its own."""

    ALL = "all"
    """Repository, merge requests and issues."""
    READ = "read"
    """Read everything, change nothing."""
    PUSH = "push"
    """Git only: no API."""
    JOB = "job"
    """What the forge's CI hands to a job by itself."""


@dataclass(frozen=True, slots=True)
class User:
    """A member of every project."""

    number: int
    name: str
    role: Role

    @property
    def person(self) -> Person:
        """How commits name them."""
        return Person(self.name, f"{self.name}@example.com")


@dataclass(frozen=True, slots=True)
class Token:
    """A secret, whose it is and what it is good for."""

    secret: str
    user: User
    scopes: frozenset[str]
    is_expired: bool = False
    is_job: bool = False


class People:
    """All users and tokens of a forge; *scopes* says what each of the Rights is in this forge's own words."""

    def __init__(self, scopes: dict[Rights, frozenset[str]], prefix: str) -> None:
        """Start with nobody; secrets begin with *prefix*, as the forge's do."""
        self._scopes = scopes
        self._prefix = prefix
        self._users: dict[str, User] = {}
        self._tokens: dict[str, Token] = {}
        self._numbers = itertools.count(1)

    def user(self, name: str, role: Role | None = None) -> User:
        """Return the user *name*, who joins as a maintainer when not there yet; *role* changes the role."""
        known = self._users.get(name)
        if known is None or (role is not None and role != known.role):
            number = next(self._numbers) if known is None else known.number
            known = self._users[name] = User(number, name, Role.MAINTAINER if role is None else role)
        return known

    def all(self) -> list[User]:
        """Return everybody."""
        return list(self._users.values())

    def named(self, name: str) -> User | None:
        """Return the user *name* if there is one."""
        return self._users.get(name)

    def issue(self, name: str, rights: Rights | frozenset[str], role: Role, *, is_expired: bool) -> Token:
        """Give user *name* a token; scopes may be given in the forge's own words."""
        scopes = self._scopes[rights] if isinstance(rights, Rights) else rights
        secret = self._prefix + secrets.token_hex(20)
        is_job = rights is Rights.JOB
        self._tokens[secret] = Token(secret, self.user(name, role), scopes, is_expired, is_job)
        return self._tokens[secret]

    def revoke(self, secret: str) -> None:
        """Let the forge forget a token."""
        del self._tokens[secret]

    def holder(self, secret: str) -> Token | None:
        """Return the token whose secret this is, expired ones too, the role as it is now."""
        token = self._tokens.get(secret)
        if token is None:
            return None
        user = self._users[token.user.name]
        return Token(token.secret, user, token.scopes, token.is_expired, token.is_job)
