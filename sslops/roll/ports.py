"""With whom `roll` works: the ops repository."""

from __future__ import annotations

from typing import TYPE_CHECKING, Protocol

from sslops.probe.survey import Clock
from sslops.proposals.ports import Requests

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence

    from sslops.model.change import Change, Note
    from sslops.model.ledger import Ledger
    from sslops.model.names import GenerationId, ServiceId
    from sslops.model.proposal import Text
    from sslops.model.state import Generation
    from sslops.repo.snapshot import Snapshot


__all__ = ["Certificates", "Clock", "Describe", "Ops", "Requests"]


class Ops(Protocol):
    """The ops repository; every write is a compare-and-swap against the snapshot and raises Moved when it lost."""

    def write_ledger(self, snapshot: Snapshot, ledger: Ledger, note: Note) -> Snapshot:
        """Push *ledger*; nothing happens when it equals the snapshot's."""
        ...

    def write_roll(self, snapshot: Snapshot, changes: Sequence[Change], *, is_declined: bool = False) -> Snapshot:
        """Commit *changes* on `next`, move the roll branch, and merge where the engine merges.

        *is_declined*: the roll branch must bring nothing.
        """
        ...

    def refresh(self) -> Snapshot:
        """Fetch and look again."""
        ...


class Certificates(Protocol):
    """Looks at certificates again before they become live."""

    def unfit(self, candidates: Iterable[tuple[ServiceId, Generation]]) -> Mapping[tuple[ServiceId, GenerationId], str]:
        """Return why some of *candidates* must not become live: those that renew would not have stored."""
        ...


class Describe(Protocol):
    """Writes what people read on the forge."""

    def __call__(self, snapshot: Snapshot, digest: str, limit: int) -> Text:
        """Return title and body of the request for every roll that `main` lacks, the body within *limit* characters."""
        ...
