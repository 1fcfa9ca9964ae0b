"""Ways to leave out one check of the safety rules; each is a context in which the rules are wrong.

The simulation must find a cache that does not match a host in every one of them, or it proves nothing.
"""

from __future__ import annotations

from contextlib import contextmanager
from typing import TYPE_CHECKING

import pytest

from sslops.dane import evidence, gate, transitions
from sslops.dane.first_use import FirstUse
from sslops.dane.transitions import Needed
from sslops.publish.owner import Owner
from tests.dane.builders import START
from tests.dane.simulation import Simulation

if TYPE_CHECKING:
    from collections.abc import Iterator

    from sslops.model.ledger import Evidence
    from sslops.model.names import ServiceId
    from sslops.model.seen import ApexSeen
    from sslops.model.state import Branches
    from sslops.model.tlsa import TlsaRecord

MUTATIONS: dict[str, tuple[tuple[object, str, object], ...]] = {}


def _is_broken_now(record: TlsaRecord, _proof: Evidence, seen: ApexSeen) -> bool:
    return not seen.repo.base.has(record) or any(server.shows(record) is False for server in seen.servers)


def _needed_by_slots(service: ServiceId, branches: Branches, *_: object) -> Needed:
    slots = branches.main[service].slots
    return Needed(frozenset(each for each in (slots.curr, slots.next) if each))


MUTATIONS.update(
    {
        "history is not read": (
            (evidence, "is_broken", _is_broken_now),
            (gate, "is_broken", _is_broken_now),
        ),
        "age does not count": ((gate, "ready_at", lambda proof: proof.since),),
        "proposals do not count": ((gate, "proposals", lambda *_: ()),),
        "what hosts serve may be withdrawn": ((transitions, "needed", _needed_by_slots),),
        "a new combination needs no record of what is served": (
            (transitions, "lack", lambda *_: None),
            (Owner, "_served_by_others", lambda *_: None),
        ),
        "a withdrawn combination is forgotten at once": ((gate, "gone_at", lambda *_: START),),
        "an emptied name is free at once": ((gate, "free_at", lambda entry: entry.empty_since),),
        "one server is asked": ((Simulation, "asked", lambda _self, servers: servers[:1]),),
        "ports are not asked before the first record": (
            (FirstUse, "unproven_address", lambda _self: None),
            (FirstUse, "unproven_host", lambda _self: None),
            (transitions, "lack", lambda *_: None),
        ),
    }
)


@contextmanager
def mutated(name: str) -> Iterator[None]:
    """Leave out the check called *name* while the context lasts."""
    with pytest.MonkeyPatch.context() as patch:
        for owner, attribute, wrong in MUTATIONS[name]:
            patch.setattr(owner, attribute, wrong)
        yield
