"""What lies before a name: its records, and the earliest moment of each next step."""

from __future__ import annotations

from dataclasses import replace
from datetime import timedelta
from typing import TYPE_CHECKING

from sslops.dane.may_serve import Gate
from sslops.dane.names import Owners
from sslops.dane.records import Keys
from sslops.issue.rules import RenewReason
from sslops.model.ledger import ApexEntry, Ledger
from sslops.publish.outlook import outlook
from tests.unit.dane.builders import (
    APEX,
    OWNER,
    SERVICE,
    TTL,
    after,
    aged,
    branches,
    generation,
    inventory,
    keyed,
    ledger,
    name,
    record,
    service,
    slots,
)
from tests.unit.publish.test_rules import BOTH, NOW, plain, world

if TYPE_CHECKING:
    from sslops.model.observations import ApexSeen
    from sslops.model.outlook import NameOutlook
    from sslops.model.state import Branches


def ahead(seen: ApexSeen, known: Ledger, state: Branches, **changes: object) -> NameOutlook:
    """Return what lies before the one name."""
    made = world(seen, known, branches=state, keys=Keys.of(state), inventory=inventory(service(min_roll_minutes=0)))
    made = replace(made, **changes)  # type: ignore[arg-type]
    (found,) = outlook(made, Gate(known, {APEX: seen}, made.keys, made.owners.names, NOW))
    return found


def test_a_record_that_is_to_come_is_a_step_of_now() -> None:
    """The base has one record, the next base two."""
    found = ahead(plain(1), ledger(BOTH, aged(record(1))), branches(slots(1, 2), 1, 2))
    assert (OWNER, (SERVICE,)) == (found.owner, found.services)
    assert ((record(1),), (record(1), record(2))) == (found.now, found.will)
    assert ("publish", NOW) == (found.steps[0].what, found.steps[0].at)
    assert ("roll", None) == (found.steps[-1].what, found.steps[-1].at)


def test_a_roll_is_dated_by_the_age_of_its_record() -> None:
    """Twice the TTL after the evidence began."""
    entry = aged(record(1), record(2), since=NOW)
    found = ahead(plain(1, 2), ledger(BOTH, entry), branches(slots(1, 2), 1, 2))
    assert [("roll", after(10_000 + 2 * TTL))] == [(step.what, step.at) for step in found.steps]


def test_a_standing_key_can_take_over_in_an_emergency() -> None:
    """As soon as its record has aged; its renewal is due much later."""
    state = branches(replace(slots(1, 2), renew_at=after(99_999)), 1, keyed(2))
    found = ahead(plain(1, 2), ledger(BOTH, aged(record(1), record(2))), state)
    assert [("replace", NOW), ("renew", after(99_999))] == [(step.what, step.at) for step in found.steps]
    early = ahead(plain(1, 2), ledger(BOTH, aged(record(1), record(2), since=NOW)), state)
    assert ("replace", after(10_000 + 2 * TTL)) == (early.steps[0].what, early.steps[0].at)
    assert "not before" in early.steps[0].why


def test_what_is_told_of_an_emergency_is_what_roll_then_does() -> None:
    """The certificate that `renew --force` gets for the prepublished key is rolled at the moment told before."""
    known = ledger(BOTH, aged(record(1), record(2)))
    before, forced = keyed(2), replace(generation(2), reason=RenewReason.FORCED)
    forced = replace(forced, issued=replace(forced.issued, issued_at=NOW))  # type: ignore[type-var]
    told = {}
    for staged in (before, forced, replace(forced, reason=RenewReason.DUE)):
        found = ahead(plain(1, 2), known, branches(slots(1, 2), 1, staged), inventory=inventory(service()))
        told[staged.reason, staged.status] = [(step.what, step.at) for step in found.steps]
    assert [
        [("replace", NOW)],
        [("roll", NOW)],
        [("roll", NOW + timedelta(minutes=service().min_roll_minutes))],
    ] == list(told.values())


def test_a_name_that_nobody_asks_for_shows_what_goes() -> None:
    """Its records are still there."""
    found = ahead(plain(1), ledger(BOTH, ApexEntry()), branches(slots(1), 1), owners=Owners((), ()))
    assert ((), (record(1),), ()) == (found.services, found.now, found.will)


def test_nothing_to_do_has_no_steps() -> None:
    """All is as it should be."""
    known = ledger(BOTH, aged(record(1)))
    assert () == ahead(plain(1), known, branches(slots(1), 1), owners=Owners((name(),), ())).steps
