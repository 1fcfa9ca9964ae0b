"""With whom `publish` works: the ledger in the ops repository, the DNS repository, ports of servers, the clock."""

from __future__ import annotations

from typing import TYPE_CHECKING, Protocol

from sslops.probe.survey import Clock, Repository
from sslops.proposals.ports import Requests

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

    from sslops.dane.rrset_inputs import World
    from sslops.model.change import Note
    from sslops.model.inventory import Verify
    from sslops.model.ledger import Ledger
    from sslops.model.observations import PortSeen, Zone
    from sslops.model.proposal import Text
    from sslops.publish.rules import Publication
    from sslops.repo.snapshot import Snapshot


__all__ = ["AskPort", "Clock", "Describe", "DnsRepository", "Ops", "Requests"]


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

    def require_own_hands(self) -> None:
        """Raise Refused when somebody else committed to the proposal branch."""
        ...

    def brings(self, zones: Mapping[str, Zone]) -> bool:
        """Whether merging the proposal makes these apexes' include files say *zones*, and changes nothing else."""
        ...

    def base_says(self, zones: Mapping[str, Zone]) -> bool:
        """Whether the include files of these apexes in base say *zones*."""
        ...

    def is_open(self, apexes: Iterable[str] | None = None) -> bool:
        """Whether merging the proposal would change an include file of *apexes*; null: whatever file."""
        ...

    def publish(self, base: str, head: str | None, files: Mapping[str, bytes], message: str) -> str:
        """Propose and merge in one atomic push; Moved when base or head is another one by now."""
        ...

    def propose(self, base: str, head: str | None, files: Mapping[str, bytes], message: str) -> str:
        """Propose *files* on *base* and return the new head; Moved when head is another one by now."""
        ...

    def fence(self, head: str | None, message: str) -> str:
        """Let the proposal branch bring nothing, by a commit of our own; Moved when it is not at *head*."""
        ...


class AskPort(Protocol):
    """Asks a port what it serves, from where its `verify` says."""

    def __call__(self, address: str, verify: Verify, server_name: str, host: str | None = None) -> PortSeen:
        """Connect once; a port that cannot be asked is a value with `error`.

        *host* names the host of the inventory whose own *address* it is; null: an address of the name.
        """
        ...


class Describe(Protocol):
    """Writes what people read on the forge."""

    def __call__(self, found: Publication, world: World, limit: int) -> Text:
        """Return title and body of the request for *found*, the body within *limit* characters."""
        ...
