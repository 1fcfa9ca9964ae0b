"""What becomes of a name that a wildcard answers for: its records come along, and what else would end is refused."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

import pytest

from sslops.model.cause import Cause
from sslops.model.ledger import ApexEntry, Ledger
from sslops.model.observations import Surroundings, WildcardAnswer
from sslops.model.plan import Consents, HazardName
from sslops.model.tlsa import Rrset
from sslops.publish.rules import owners_to_survey, publication
from tests.unit.dane.builders import APEX, OWNER, TTL, commit, look, record
from tests.unit.publish.test_owner import NOBODY, becomes, records, shown, world

if TYPE_CHECKING:
    from sslops.dane.rrset_inputs import World

WILDCARD = "*._tcp.mail.example.com."
OTHERS = WildcardAnswer("*._tcp.mail.example.com.", "TLSA", TTL, ("3 1 1 99",), "*.mail.example.com.")
BACK = WildcardAnswer(OWNER, "TLSA", TTL, ("3 1 1 99",), WILDCARD)
NEW = {"ledger": Ledger({}, {APEX: ApexEntry()}), "addresses": shown(99)}


def below_a_wildcard(*numbers: int, **changes: object) -> World:
    """Return a world where both servers make the records of *numbers* of a wildcard, and base has none."""
    zone = {OWNER: Rrset(TTL, frozenset(map(record, numbers)), WILDCARD)}
    seen = look([commit("c0"), commit("c1")], zone, zone)
    return replace(world(), repo={APEX: seen.repo}, seen={APEX: seen}, **{**NEW, **changes})  # type: ignore[arg-type]


def test_the_records_of_a_wildcard_come_along_with_the_first_of_ours() -> None:
    """They end with it; records of the zone's own do not, and stay where they are."""
    found = publication(below_a_wildcard(99))

    assert {record(1), record(11), record(99)} == records(found)
    assert {record(1), record(11)} == records(becomes(servers=(99,), **NEW))


def test_a_server_that_lags_still_shows_the_wildcard_and_its_records_stay_in_the_file() -> None:
    """Base has records of its own already; without what the wildcard gives, that server's would come back alone."""
    plain, made = {OWNER: Rrset(TTL, frozenset({record(1)}))}, {OWNER: Rrset(TTL, frozenset({record(99)}), WILDCARD)}
    seen = look([commit("c0"), commit("c1", plain)], plain, made)
    found = publication(replace(world(), repo={APEX: seen.repo}, seen={APEX: seen}, addresses=shown(1, 99)))

    assert record(99) in records(found)


def test_only_a_name_that_begins_or_ceases_to_have_records_is_looked_around() -> None:
    """A record more or less changes nothing about its existence."""
    assert {APEX: (OWNER,)} == owners_to_survey(below_a_wildcard(99))
    assert {} == owners_to_survey(world(1))
    assert {APEX: (OWNER,)} == owners_to_survey(world(1, owners=NOBODY))


@pytest.mark.parametrize(
    ("near", "begins"), [(Surroundings(ending=(OTHERS,)), True), (Surroundings(beginning=(BACK,)), False)]
)
def test_what_a_wildcard_stops_or_begins_to_answer_needs_consent(near: Surroundings, begins: bool) -> None:
    """Nothing changes before; the hazard is the owner's, and its consent leads on."""
    here = below_a_wildcard(99) if begins else world(1, owners=NOBODY)
    found = publication(replace(here, surroundings={OWNER: near}))
    (hazard,) = found.plan.hazards

    assert ({"unchanged"}, HazardName.WILDCARD, OWNER) == (records(found), hazard.name, hazard.subject)
    assert "3 1 1 99" in hazard.why

    consents = Consents(frozenset({(HazardName.WILDCARD.value, OWNER)}))
    led_on = publication(replace(here, surroundings={OWNER: near}, consents=consents))

    assert ({"unchanged"} != records(led_on), ()) == (True, led_on.plan.hazards)


def test_what_begins_does_not_matter_to_a_name_that_gets_records_nor_what_ends_to_one_that_loses_them() -> None:
    """Each side is asked for its own."""
    coming = publication(replace(below_a_wildcard(99), surroundings={OWNER: Surroundings(beginning=(BACK,))}))
    going = publication(replace(world(1, owners=NOBODY), surroundings={OWNER: Surroundings(ending=(OTHERS,))}))

    assert () == (*coming.plan.hazards, *going.plan.hazards)
    assert set() == records(going)


@pytest.mark.parametrize(
    ("near", "cause"),
    [
        (Surroundings(cut="behind a zone cut"), Cause.ZONE_CUT),
        (Surroundings(error="the name servers do not show the same"), Cause.DNS_UNOBSERVED),
    ],
)
def test_a_name_that_nobody_would_see_or_nobody_knows_about_gets_no_record(near: Surroundings, cause: Cause) -> None:
    """Blocked, with the reason."""
    found = publication(replace(below_a_wildcard(99), surroundings={OWNER: near}))

    assert {"unchanged"} == records(found)
    assert cause in {wait.cause for wait in found.plan.waits if wait.is_blocked}
