"""Which orders a broken DNSSEC chain stops, and what a CA looks up for one."""

from __future__ import annotations

from dataclasses import replace

import pytest

from sslops.issue.dnssec import questions, withheld
from sslops.issue.rules import plan
from sslops.model.inventory import CaType, CertificateAuthority, Inventory
from sslops.model.plan import Consents, HazardName, Plan
from sslops.model.state import Branches, State
from tests.unit.issue.site import MAIL, NOW, ROOT, SUB, WEB, ca, inventory_of, leaf

NAME = "*.mail.example.com"
CAA, CHALLENGE = ("mail.example.com", "CAA"), ("_acme-challenge.mail.example.com", "TXT")


def world(validation: str = "dns-01") -> Inventory:
    """Return an inventory with one service from ACME and one from an own CA."""
    acme = CertificateAuthority("le", CaType.ACME, validation=validation, directory="https://acme.example.net/dir")
    made = inventory_of(
        ca("my-root", "self", 3650),
        ca("my-sub", "my-root", 365),
        leaf(MAIL, NAME, "192.0.2.1", signing_ca="le"),
        leaf(WEB, "www.example.com"),
    )
    return replace(made, cas={**made.cas, "le": acme})


def planned(inventory: Inventory) -> Plan:
    """Return what is due where nothing was ever issued."""
    return plan(inventory, Branches(State({}), State({})), NOW)


@pytest.mark.parametrize(
    ("validation", "challenge"),
    [
        ("dns-01", {CHALLENGE}),
        ("http-01", {("mail.example.com", "A"), ("mail.example.com", "AAAA")}),
    ],
)
def test_a_ca_looks_at_caa_and_at_the_challenge(validation: str, challenge: set[tuple[str, str]]) -> None:
    """An own CA looks at nothing, an address has no CAA."""
    inventory = world(validation)

    assert {CAA, ("example.com", "CAA"), *challenge} == set(questions(planned(inventory), inventory))


@pytest.mark.parametrize("bogus", [CAA, CHALLENGE])
def test_a_bogus_answer_stops_the_order_and_nothing_else(bogus: tuple[str, str]) -> None:
    """The hazard names the name, and an own CA goes on."""
    inventory = world()
    found = withheld(planned(inventory), inventory, {bogus: "broken"}, Consents())

    assert {ROOT.name, SUB.name, WEB.name} == {action.service for action in found.actions}
    assert [(HazardName.DNSSEC_BOGUS, NAME, MAIL.name)] == [(h.name, h.subject, h.service) for h in found.hazards]


def test_with_consent_the_order_goes_ahead() -> None:
    """By the exact words of the refusal."""
    inventory = world()
    consents = Consents(frozenset({("dnssec-bogus", NAME)}))

    assert planned(inventory) == withheld(planned(inventory), inventory, {CAA: "broken"}, consents)
