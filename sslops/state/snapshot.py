"""One look at all the branches: what every decision of a run is made from, and what its pushes are compared with."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Mapping

    from sslops.model.ledger import Ledger
    from sslops.model.names import GenerationId, ServiceId
    from sslops.model.state import Branches
    from sslops.state.take_in import TakeIn

ROLL_BRANCH = "sslops/roll"
LEDGER_BRANCH = "ledger"
INVENTORY = "inventory/"


@dataclass(frozen=True, slots=True)
class Snapshot:
    """The branches as last fetched: their commits (null: no such branch) and what they say.

    `branches.next` has main already taken in, whether or not that is committed yet. It is a value: whoever has one
    reaches no repository by it.
    """

    main_commit: str
    next_commit: str | None
    roll_commit: str | None
    ledger_commit: str | None
    """Null: everything about hosts and DNS is unknown."""
    branches: Branches = field(repr=False)
    take_in: TakeIn = field(repr=False)
    ledger: Ledger = field(repr=False)
    proposed: Mapping[ServiceId, GenerationId] = field(default_factory=dict, repr=False)
    """What the roll branch would make curr on main."""
