"""What a look makes of what could not be observed."""

from __future__ import annotations

import pytest

from sslops.dane.names import Owners
from sslops.model.ledger import UNPROVEN, HostEntry, Ledger, Served
from sslops.probe.survey import Look
from tests.unit.dane.builders import APEX, SERVICE, START, commit, gen, inventory, keys, repo, service, settled, zone


@pytest.mark.parametrize(("has_dane", "published", "expected"), [(True, 9, False), (False, 1, False), (False, 9, True)])
def test_a_service_waits_for_an_apex_that_could_not_be_looked_at(
    has_dane: bool, published: int, expected: bool
) -> None:
    """It waits when the inventory asks for DANE, or when the base still has a record of it; others do not."""
    asked = inventory(service()) if has_dane else inventory(service(dane=()))
    found = Look(START, Owners((), ()), {APEX: repo(commit("c1", zone(published)))}, {}, {APEX: "no answer"})
    assert expected == found.gate(asked, Ledger(), keys(1, 2), START).may_serve(SERVICE, gen(2)).allowed


PROVEN, EITHER = settled(1), Served((gen(1), gen(2)), START)
NOTHING, ITS_FIRST = Served(()), Served((None, gen(2)), START)
A_COPY = Served((gen(1),), START, "copy")


@pytest.mark.parametrize(
    ("served", "expected"),
    [(PROVEN, False), (EITHER, False), (NOTHING, True), (ITS_FIRST, True), (A_COPY, True), (UNPROVEN, True)],
)
def test_a_service_is_new_to_a_host_that_was_never_proven_to_show_any_of_it(served: Served, expected: bool) -> None:
    """What was not there before may come in the place of another service."""
    known = Ledger({"smtp1": HostEntry(1, {SERVICE: PROVEN}), "smtp2": HostEntry(1, {SERVICE: served})})
    found = Look(START, Owners((), ()), {}, {}).gate(inventory(service()), known, keys(1, 2), START)
    assert (False, expected) == (SERVICE in found.new_at["smtp1"], SERVICE in found.new_at["smtp2"])
