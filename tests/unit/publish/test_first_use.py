"""The first record of an empty name, and how a person consents to one that cannot be proven."""

from __future__ import annotations

from dataclasses import replace

import pytest

from sslops.dane.first_use import AddressSeen
from sslops.model.observations import PortSeen
from sslops.model.plan import Consents, HazardName
from sslops.publish.rules import publication
from tests.unit.dane.builders import HOST, OWNER, branches, commit, inventory, ledger, look, settled, slots
from tests.unit.publish.test_rules import BOTH, OURS, first_use, reasons, world


@pytest.mark.parametrize("ports", [(), (OURS, PortSeen(frozenset({"ff"}), 1)), (PortSeen(error="refused"),)])
def test_an_address_that_does_not_show_curr_is_a_hazard(ports: tuple[PortSeen, ...]) -> None:
    """No address, somebody else's certificate, or nobody there."""
    found = first_use(ledger(BOTH), *ports)
    assert ([], [(HazardName.NAME_UNPROVEN, HOST)]) == (
        reasons(found),
        [(hazard.name, hazard.subject) for hazard in found.plan.hazards],
    )


def test_an_address_of_ipv6_is_named_so_that_its_port_can_be_told() -> None:
    """In brackets, as everywhere else."""
    wrong = AddressSeen("2001:db8::1", 25, PortSeen(frozenset({"ff"}), 1))
    found = publication(world(look([commit("c0")], {}), ledger(BOTH), addresses={OWNER: (wrong,)}))
    assert [True] == ["[2001:db8::1]:25" in hazard.why for hazard in found.plan.hazards]


def test_a_person_may_consent_to_an_unproven_name() -> None:
    """By the exact words of the refusal."""
    consents = Consents(frozenset({("name-unproven", HOST)}))
    assert ["records"] == reasons(first_use(ledger(BOTH), consents=consents))


def test_nobody_can_consent_to_an_unproven_host() -> None:
    """Our own hosts can be asked."""
    consents = Consents(frozenset({(str(hazard), None) for hazard in HazardName}))
    assert [] == reasons(first_use(ledger({"smtp1": settled(1)}), OURS, consents=consents))


def test_a_service_that_no_host_serves_waits() -> None:
    """And says so."""
    found = first_use(ledger(), OURS, inventory=inventory(hosts=[]))
    assert ["no host serves" in wait.why for wait in found.plan.waits] == [True]


def test_a_service_without_a_live_certificate_waits() -> None:
    """The first roll comes before the first record."""
    found = first_use(ledger(BOTH), OURS, branches=branches(slots(None, 2), 1, 2))
    assert ["no certificate is live yet" in wait.why for wait in found.plan.waits] == [True]


def test_a_name_that_is_not_signed_gets_no_first_record() -> None:
    """A validating resolver does not vouch for it; nothing would heed the record, or mail would be deferred."""
    seen = replace(look([commit("c0")], {}), unsigned={OWNER: "not signed"})
    found = publication(world(seen, ledger(BOTH), addresses={OWNER: (AddressSeen("192.0.2.1", 25, OURS),)}))
    assert ([], ["dnssec-bogus"]) == (reasons(found), [hazard.name for hazard in found.plan.hazards])


def test_a_port_that_speaks_another_protocol_is_told_with_what_to_change() -> None:
    """As deploy does: no consent helps where `verify` is wrong."""
    seen = PortSeen(error="no greeting", hint="the port greets as imap does: 'starttls: imap' in 'verify'")
    (hazard,) = first_use(ledger(BOTH), seen).plan.hazards

    assert "(no greeting; the port greets as imap does: 'starttls: imap' in 'verify')" in hazard.why
