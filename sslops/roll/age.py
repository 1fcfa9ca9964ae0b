"""How long a certificate lies on deck before it is rolled: `min_roll_mins`, whatever DANE asks for beside it.

The one rule for whoever does it or says when: `roll`, `plan`, `status` and the bodies of merge requests.
"""

from __future__ import annotations

from datetime import timedelta
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from datetime import datetime

    from sslops.model.inventory import Service
    from sslops.model.state import Generation

ASKED_FOR = frozenset({"forced", "new-key"})
"""The reasons of a generation that a person asked for by name (`renew --force`, `--new-key`): it is wanted now."""


def mature_at(service: Service, on_deck: Generation, minutes: int | None = None) -> datetime | None:
    """Return when *on_deck* has been on deck for long enough; null when it need not lie there at all.

    *minutes* is what the command line says instead of the inventory, and counts for every generation. What a person
    asked for does not wait for the inventory's: who replaces a key that leaked has no time for it.
    """
    if on_deck.issued is None or (minutes is None and on_deck.reason in ASKED_FOR):
        return None
    return on_deck.issued.issued_at + timedelta(minutes=service.min_roll_minutes if minutes is None else minutes)
