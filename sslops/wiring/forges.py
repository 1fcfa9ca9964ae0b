"""Which forge stands behind the merge requests of each project, with which token, and what they say.

Nothing is asked before a stage has something to ask: a job that finds nothing to do needs no token.
"""

from __future__ import annotations

import os
import time
from dataclasses import dataclass
from functools import cache
from typing import TYPE_CHECKING

from sslops.adapters.clock import SystemClock
from sslops.adapters.git import Git
from sslops.model.inventory import MergePolicy

if TYPE_CHECKING:
    from collections.abc import Mapping

    from sslops.adapters.git_credentials import GitCredential
    from sslops.forge.tokens import Role, Token
    from sslops.model.inventory import DnsSettings, RepoSettings
    from sslops.model.proposal import Kind
    from sslops.propose.ports import Forge, Requests
    from sslops.verbs.session import Session

NO_FORGE = "none"


@dataclass(frozen=True, slots=True)
class Project:
    """One project on a forge; *remote* is its git URL, which tells where the forge is unless *url* says so."""

    role: Role
    forge: str
    name: str
    target: str
    remote: str | None
    merge: Mapping[str, MergePolicy]
    url: str | None = None

    @property
    def token(self) -> Token:
        """The token that speaks for us there, as the environment has it."""
        from sslops.forge.tokens import find_token

        return find_token(self.forge, self.role, self.name, os.environ)

    def requests(self, kind: Kind, git: Git, run: str | None, *, force: bool = False) -> Requests:
        """Return who keeps the requests of *kind*; *force* opens one again that a person declined.

        *git* is the clone that the branch of *kind* is pushed from: a token of GitLab's may be able to do no more.
        """
        from sslops.propose.steps import Proposer

        policy = self.merge.get(kind, MergePolicy.REVIEW)
        proposer = Proposer(cache(self.open), kind, self.target, policy, force)
        if self.forge != "gitlab":
            return proposer
        from sslops.adapters.request_branch import RequestBranch
        from sslops.forge.push_options import request_options
        from sslops.propose.by_push import OrByPush

        branch = RequestBranch(git, kind, self.target, run)
        return OrByPush(proposer, branch, request_options, f"'{self.name}' on GitLab")

    @property
    def address(self) -> str:
        """Where the forge is; ForgeError when nothing tells."""
        from sslops.forge.address import forge_address

        return forge_address(self.forge, self.remote, os.environ, self.url)

    def open(self) -> Forge:
        """Return the project as its token may see and change it; ForgeError without a token."""
        from sslops.forge.opening import open_forge
        from sslops.forge.wire import Patience

        patience = Patience(SystemClock().now, time.sleep)
        return open_forge(self.forge, self.name, self.token, self.address, patience)


def dns_project(settings: DnsSettings) -> Project | None:
    """Return the project of the DNS repository; null where the engine merges."""
    if settings.forge == NO_FORGE:
        return None
    from sslops.forge.tokens import Role

    name = settings.project or ""
    return Project(Role.DNS, settings.forge, name, settings.branch, settings.url, settings.merge, settings.forge_url)


def ops_project(settings: RepoSettings, remote: str | None) -> Project | None:
    """Return the project of the ops repository, whose git URL is *remote*; null where the engine merges."""
    if settings.forge == NO_FORGE:
        return None
    from sslops.forge.tokens import Role

    name = settings.project or ""
    return Project(Role.OPS, settings.forge, name, settings.branch, remote, settings.merge, settings.forge_url)


def dns_clone(ops: Git, settings: DnsSettings, session: Session, reviewed_url: str | None) -> Git:
    """Return the private clone of the DNS repository: the bot commits and signs there as it does in *ops*.

    The token is shown to the server of *reviewed_url* only (`sslops.wiring.reviewed`); *session* is told of another.
    """
    from sslops.forge.tokens import Role

    clone = Git.clone_bare(settings.url, ops.private_dir / "dns.git", effects=session.effects, signing=ops.signing)
    held = _credentials(Role.DNS, settings, settings.url)
    shown = [each for each in held if each.covers(reviewed_url or "")]
    if held and not shown:
        session.say_once(f"main names another server for the DNS repository, so {Role.DNS} was not shown to this one")
    return clone.acting_as(ops.committer).showing(*shown)


def ops_clone(ops: Git, settings: RepoSettings) -> Git:
    """Return *ops* with the token for its remote."""
    from sslops.forge.tokens import Role

    return ops.showing(*_credentials(Role.OPS, settings, ops.remote_url))


def _credentials(role: Role, settings: DnsSettings | RepoSettings, remote: str | None) -> tuple[GitCredential, ...]:
    """Return what git shows *remote* over http; none without a token: git is as the job or the person set it up."""
    from sslops.adapters.git_credentials import GitCredential
    from sslops.forge.tokens import GIT_USERS, find_token

    if remote is None or not remote.startswith(("https://", "http://")):
        return ()
    secret = find_token(settings.forge, role, settings.project or "", os.environ).secret
    return (GitCredential(remote, GIT_USERS[settings.forge], secret),) if secret else ()
