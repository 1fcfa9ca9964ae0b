"""What a look makes of what could not be looked at."""

from __future__ import annotations

import pytest

from sslops.dane.names import Owners
from sslops.model.ledger import Ledger
from sslops.observe.look import Look
from tests.dane.builders import APEX, SERVICE, START, commit, gen, inventory, keys, repo, service, zone


@pytest.mark.parametrize(("has_dane", "published", "expected"), [(True, 9, False), (False, 1, False), (False, 9, True)])
def test_a_service_waits_for_an_apex_that_could_not_be_looked_at(
    has_dane: bool, published: int, expected: bool
) -> None:
    """It waits when the inventory asks for DANE, or when the base still has a record of it; others do not."""
    asked = inventory(service()) if has_dane else inventory(service(dane=()))
    found = Look(START, Owners((), ()), {APEX: repo(commit("c1", zone(published)))}, {}, {APEX: "no answer"})
    assert expected == found.gate(asked, Ledger(), keys(1, 2), START).may_serve(SERVICE, gen(2)).allowed
