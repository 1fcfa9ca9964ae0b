"""One project on a local forge of one kind, a bot's branch in it, and our client for it."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

from sslops.model.proposal import Kind, Proposal, mark
from sslops.model.secret import Secret
from sslops.proposals.forges.registry import open_forge
from sslops.proposals.forges.tokens import Role as ForRole
from sslops.proposals.forges.tokens import Token
from sslops.proposals.forges.wire import ForgePatience
from tests.world.forge import Forge, Rights, Role
from tests.world.forge.repository import Person

if TYPE_CHECKING:
    from collections.abc import Iterable
    from pathlib import Path

    from sslops.proposals.forges.client import Client

PROJECT = "infra/dns"
BOT = Person("sslops", "sslops@example.com")
DIGEST = "sha256:" + "a" * 64
OTHER = "sha256:" + "b" * 64


class Bench:
    """A *kind* of forge with a `main`, a branch `sslops/tlsa` one commit ahead, and what the client waited for."""

    def __init__(self, folder: Path, kind: str, **switches: Any) -> None:
        """Start the forge."""
        self.kind = kind
        self.forge = Forge(folder, kind, **switches)
        self.project = self.forge.project(PROJECT)
        self.waits: list[float] = []
        self.base = self.commit("main", "first", None)
        self.head = self.commit("sslops/tlsa", "records")
        self.secret = self.forge.token("sslops-bot")

    def close(self) -> None:
        """Stop the forge."""
        self.forge.close()

    def commit(self, branch: str, content: str, parent: str | None = "main") -> str:
        """Put a commit on *branch* (on *parent*'s, or none) as a push would; return its hash."""
        store = self.project.repository
        blob = store.git("hash-object", "-w", "--stdin", stdin=content)
        name = branch.replace("/", "-")
        tree = store.git("mktree", stdin=f"100644 blob {blob}\t{name}\n")
        above = (store.head(parent) or "",) if parent else ()
        made = store.commit(tree, above, content, (BOT, BOT))
        self.project.move_branch(branch, made, self.forge.user("sslops-bot"))
        return made

    def client(self, rights: Rights | Iterable[str] = Rights.ALL, role: Role = Role.MAINTAINER) -> Client:
        """Return a client with the bot's token, or one of its tokens with fewer rights."""
        secret = self.secret if rights is Rights.ALL and role is Role.MAINTAINER else self.other(rights, role)
        return self.with_token(secret)

    def other(self, rights: Rights | Iterable[str], role: Role) -> str:
        """Return the secret of another user's token."""
        return self.forge.token("smaller-bot", rights, role)

    def with_token(self, secret: str, project: str = PROJECT) -> Client:
        """Return a client that shows *secret*."""
        token = Token(ForRole.DNS, Secret(secret.encode(), "forge token"), "SSLOPS_DNS_TOKEN")
        return open_forge(self.kind, project, token, self.forge.url, self.patience)

    @property
    def patience(self) -> ForgePatience:
        """A clock, and a sleep that only writes down how long it would have been."""
        return ForgePatience(lambda: datetime.now(UTC), self.waits.append)

    def proposal(self, digest: str = DIGEST, title: str = "TLSA records", head: str | None = None) -> Proposal:
        """Return what the engine would propose."""
        body = f"What changes.\n\n{mark(digest)}"
        return Proposal(Kind.TLSA, "main", head or self.head, digest, title, body)
