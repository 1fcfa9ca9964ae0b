"""With whom `roll` works: the ops repository."""

from __future__ import annotations

from typing import TYPE_CHECKING, Protocol

from sslops.observe.ports import Clock

if TYPE_CHECKING:
    from collections.abc import Sequence

    from sslops.model.change import Change, Note
    from sslops.model.ledger import Ledger
    from sslops.state.snapshot import Snapshot

__all__ = ["Clock", "Ops"]


class Ops(Protocol):
    """The ops repository; every write is a compare-and-swap against the snapshot and raises Moved when it lost."""

    def write_ledger(self, snapshot: Snapshot, ledger: Ledger, note: Note) -> Snapshot:
        """Push *ledger*; nothing happens when it equals the snapshot's."""
        ...

    def write_roll(self, snapshot: Snapshot, changes: Sequence[Change]) -> Snapshot:
        """Commit *changes* on `next`, move the roll branch, and merge where the engine merges."""
        ...
