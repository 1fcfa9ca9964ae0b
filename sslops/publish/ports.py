"""With whom `publish` works: the ledger in the ops repository, the DNS repository, ports of servers, the clock."""

from __future__ import annotations

from typing import TYPE_CHECKING, Protocol

from sslops.observe.ports import Clock, Repository

if TYPE_CHECKING:
    from collections.abc import Mapping

    from sslops.model.change import Note
    from sslops.model.inventory import Verify
    from sslops.model.ledger import Ledger
    from sslops.model.seen import PortSeen
    from sslops.state.snapshot import Snapshot

__all__ = ["AskPort", "Clock", "DnsRepository", "Ops"]


class Ops(Protocol):
    """The ops repository; every write is a compare-and-swap against the snapshot and raises Moved when it lost."""

    def write_ledger(self, snapshot: Snapshot, ledger: Ledger, note: Note) -> Snapshot:
        """Push *ledger*; nothing happens when it equals the snapshot's."""
        ...


class DnsRepository(Repository, Protocol):
    """The DNS repository, which can be changed."""

    @property
    def base(self) -> str:
        """The commit of the base branch as last fetched."""
        ...

    @property
    def head(self) -> str | None:
        """The commit of the proposal branch as last fetched."""
        ...

    def refresh(self) -> None:
        """Fetch; GitError when it cannot be reached."""
        ...

    def paths(self, apex: str) -> tuple[str, ...]:
        """Return the include files of *apex*."""
        ...

    def publish(self, base: str, head: str | None, files: Mapping[str, bytes], message: str) -> str:
        """Propose and merge in one atomic push; Moved when base or head is another one by now."""
        ...

    def fence(self, head: str | None, message: str) -> str:
        """Move the proposal branch by a commit of our own; Moved when it is not at *head*."""
        ...


class AskPort(Protocol):
    """Asks a port what it serves, from where its `verify` says."""

    def __call__(self, address: str, verify: Verify, server_name: str) -> PortSeen:
        """Connect once; a port that cannot be asked is a value with `error`."""
        ...
