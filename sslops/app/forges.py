"""To whom a token may be shown: the servers that main's inventory names, whatever a working tree says.

A merge request brings an inventory that nobody reviewed yet. Where that one could choose the server, a plan of it would
hand the token of the DNS repository, or of a forge, to whoever wrote it.
"""

from __future__ import annotations

import os
import time
from dataclasses import dataclass
from functools import cache
from typing import TYPE_CHECKING, cast

from sslops.errors import Faults, ForgeError, bugs_of
from sslops.inventory.loading import load
from sslops.model.forges import NO_FORGE, Forge
from sslops.model.inventory import MergePolicy
from sslops.repo.git import Git
from sslops.system.clock import SystemClock
from sslops.system.extras import require
from sslops.system.own_environment import environment

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from sslops.app.session import Session
    from sslops.model.inventory import DnsSettings, Inventory, RepoSettings
    from sslops.model.proposal import Kind, MergeRequest, Proposal
    from sslops.proposals.forges.tokens import Role, Token
    from sslops.proposals.ports import ForgeProject, Requests
    from sslops.proposals.rules import Asked, Proposed
    from sslops.repo.git_process import GitCredential
    from sslops.repo.snapshot import Snapshot
    from sslops.repo.store import OpsRepo


@dataclass(frozen=True, slots=True)
class Reviewed:
    """The servers that *inventory* names (null: none), for an ops repository whose remote is *ops_remote*."""

    inventory: Inventory | None
    ops_remote: str | None

    @classmethod
    def of_main(cls, ops: OpsRepo, snapshot: Snapshot, ops_remote: str | None) -> Reviewed:
        """Return those of main; a broken inventory there names nobody."""
        try:
            return cls(load(ops.inventory_files(snapshot)), ops_remote)
        except Faults:
            return cls(None, ops_remote)

    @property
    def dns_url(self) -> str | None:
        """The git URL of the DNS repository."""
        return self.inventory.dns.url if self.inventory and self.inventory.dns else None

    def obstacle(self, project: Project) -> str | None:
        """Say why the forge of *project* is not asked; null when it can be."""
        if project.token.secret is None:
            return f"{project.role} is not set, so the forge was not asked about '{project.name}'"
        if not self.has_forge_of(project):
            return f"main names another forge for '{project.name}' than this inventory, so none was asked"
        return None

    def has_forge_of(self, project: Project) -> bool:
        """Whether *project* lies on the forge that is named for projects of its role."""
        try:
            return any(
                each is not None and (each.role, each.address) == (project.role, project.address)
                for each in self._projects()
            )
        except ForgeError:
            return False

    def _projects(self) -> tuple[Project | None, ...]:
        if self.inventory is None:
            return ()
        dns = None if self.inventory.dns is None else dns_project(self.inventory.dns)
        return ops_project(self.inventory.repo, self.ops_remote), dns


@dataclass(frozen=True, slots=True)
class Noted:
    """The requests of one kind, and *note*, which gets the address of each that was touched, and where it stands."""

    requests: Requests
    note: Callable[[str, str], None]

    @property
    def target(self) -> str:
        """The branch that they shall be merged into."""
        return self.requests.target

    @property
    def body_limit(self) -> int:
        """The most characters of a body."""
        return self.requests.body_limit

    def look(self, digest: str) -> Proposed | Asked | None:
        """Return the open request, or the one by whose closing a person declined *digest*."""
        return self.requests.look(digest)

    def refusal(self, digest: str) -> MergeRequest | None:
        """Return the request by whose closing a person declined *digest*, noted."""
        refusal = self.requests.refusal(digest)
        if refusal is not None:
            self.note(refusal.url, "declined by a person; --force opens it again")
        return refusal

    def propose(self, proposal: Proposal, *, may_merge: bool = True) -> Proposed | Asked:
        """Let one open request say *proposal*, and note it."""
        stated = self.requests.propose(proposal, may_merge=may_merge)
        self.note(stated.address, "merged" if stated.is_merged else stated.why)
        return stated

    def unschedule(self) -> None:
        """Take back every merge that the forge was asked for."""
        self.requests.unschedule()

    def withdraw(self) -> None:
        """Close what is open."""
        self.requests.withdraw()


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
        from sslops.proposals.forges.tokens import find_token

        return find_token(self.forge, self.role, self.name, environment())

    def requests(
        self, kind: Kind, git: Git, run: str | None, *, note: Callable[[str, str], None], force: bool = False
    ) -> Requests:
        """Return who keeps the requests of *kind*; *force* opens one again that a person declined.

        *git* is the clone that the branch of *kind* is pushed from: a token of GitLab's may be able to do no more.
        *note* gets the address of each request that was touched, and where it stands.
        """
        from sslops.proposals.engine import Proposer

        policy = self.merge.get(kind, MergePolicy.REVIEW)
        proposer = Proposer(cache(self.open), kind, self.target, policy, force)
        if self.forge != Forge.GITLAB:
            return Noted(proposer, note)
        from sslops.proposals.branch import RequestBranch
        from sslops.proposals.engine import OrByPush
        from sslops.proposals.forges.push_options import request_options

        branch = RequestBranch(git, kind, self.target, run)
        return Noted(OrByPush(proposer, branch, request_options, f"'{self.name}' on GitLab"), note)

    @property
    def address(self) -> str:
        """Where the forge is; ForgeError when nothing tells."""
        from sslops.proposals.forges.address import forge_address

        return forge_address(self.forge, self.remote, os.environ, self.url)

    def open(self) -> ForgeProject:
        """Return the project as its token may see and change it; ForgeError without a token."""
        require("forge")
        from sslops.proposals.forges.registry import open_forge
        from sslops.proposals.forges.wire import ForgePatience

        patience = ForgePatience(SystemClock().now, time.sleep)
        forge = open_forge(self.forge, self.name, self.token, self.address, patience)
        return cast("ForgeProject", _Guarded(forge, f"'{self.name}' on {self.forge}"))


@dataclass(frozen=True, slots=True)
class _Guarded:
    """A project whose answers may be such as nobody foresaw: that is a `Bug` about this project, and no more."""

    project: ForgeProject
    about: str

    def __getattr__(self, name: str) -> object:
        with bugs_of(self.about):
            found = getattr(self.project, name)
        if not callable(found):
            return found

        def guarded(*values: object, **named: object) -> object:
            with bugs_of(self.about):
                return found(*values, **named)

        return guarded


def dns_project(settings: DnsSettings) -> Project | None:
    """Return the project of the DNS repository; null where the engine merges."""
    if settings.forge == NO_FORGE:
        return None
    from sslops.proposals.forges.tokens import Role

    name = settings.project or ""
    return Project(Role.DNS, settings.forge, name, settings.branch, settings.url, settings.merge, settings.forge_url)


def ops_project(settings: RepoSettings, remote: str | None) -> Project | None:
    """Return the project of the ops repository, whose git URL is *remote*; null where the engine merges."""
    if settings.forge == NO_FORGE:
        return None
    from sslops.proposals.forges.tokens import Role

    name = settings.project or ""
    return Project(Role.OPS, settings.forge, name, settings.branch, remote, settings.merge, settings.forge_url)


def dns_clone(ops: Git, settings: DnsSettings, session: Session, reviewed_url: str | None) -> Git:
    """Return the private clone of the DNS repository: the bot commits and signs there as it does in *ops*.

    The token is shown to the server of *reviewed_url* only (`sslops.app.forges`); *session* reports another.
    """
    from sslops.proposals.forges.tokens import Role

    clone = Git.clone_bare(settings.url, ops.private_dir / "dns.git", effects=session.effects, signing=ops.signing)
    held = _credentials(Role.DNS, settings, settings.url)
    shown = [each for each in held if each.covers(reviewed_url or "")]
    if held and not shown:
        session.say_once(f"main names another server for the DNS repository, so {Role.DNS} was not shown to this one")
    return clone.acting_as(ops.committer).showing(*shown)


def ops_clone(ops: Git, settings: RepoSettings) -> Git:
    """Return *ops* with the token for its remote."""
    from sslops.proposals.forges.tokens import Role

    return ops.showing(*_credentials(Role.OPS, settings, ops.remote_url))


def _credentials(role: Role, settings: DnsSettings | RepoSettings, remote: str | None) -> tuple[GitCredential, ...]:
    """Return what git shows *remote* over http; none without a token: git is as the job or the person set it up."""
    from sslops.proposals.forges.tokens import find_token, git_user
    from sslops.repo.git_process import GitCredential

    if remote is None or not remote.startswith(("https://", "http://")):
        return ()
    secret = find_token(settings.forge, role, settings.project or "", environment()).secret
    return (GitCredential(remote, git_user(settings.forge), secret),) if secret else ()
