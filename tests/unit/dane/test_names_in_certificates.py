"""With a CA usage a client checks the name in the certificate too (RFC 7671 section 5.2)."""

from __future__ import annotations

from dataclasses import replace

import pytest

from sslops.dane.may_serve import Gate
from sslops.dane.records import Keys
from sslops.dane.rrset_rules import AtName, Claim, NameSeen, Needed, target
from sslops.model.ledger import ApexEntry, Ledger, NameEntry
from sslops.model.names import CA_GROUP, ServiceId
from sslops.model.tlsa import TlsaParams
from tests.unit.dane.builders import (
    APEX,
    OWNER,
    PARAMS,
    SERVICE,
    START,
    after,
    aged,
    commit,
    gen,
    generation,
    keys,
    look,
    name,
    record,
    zone,
)

ANCHOR = TlsaParams(2, 1, 1)
ISSUER = record(50, params=ANCHOR)
"""The key of the own CA, as it stands in DNS."""


def signed(*sans: str) -> Keys:
    """Return the keys of a generation with these names, signed by generation 50 of the own CA."""
    made = generation(1, signer=gen(50))
    assert made.issued is not None
    made = replace(made, issued=replace(made.issued, sans=sans))
    return Keys({(SERVICE, gen(1)): made, (ServiceId(CA_GROUP, "my-sub"), gen(50)): generation(50)})


@pytest.mark.parametrize(
    ("san", "expected"),
    [("mail.example.com", True), ("*.example.com", True), ("example.com", True), ("www.example.com", False)],
)
def test_a_certificate_that_names_neither_host_nor_domain_is_not_served_under_a_ca_record(
    san: str, *, expected: bool
) -> None:
    """The chain matches, and the client refuses all the same."""
    seen = look([commit("c1", zone(ISSUER))], zone(ISSUER), at=after(1000))
    gate = Gate(Ledger(apexes={APEX: aged(ISSUER)}), {APEX: seen}, signed(san), (name(params=ANCHOR),), after(1000))
    assert expected == gate.may_serve(SERVICE, gen(1)).allowed


def test_a_ca_record_is_not_added_beside_others_while_the_served_certificate_lacks_the_name() -> None:
    """It would match the chain of something that a client then refuses."""
    at = AtName(OWNER, frozenset({PARAMS, ANCHOR}), (Claim(SERVICE, Needed(frozenset({gen(1)}))),), START)
    found = target(at, NameSeen(frozenset({record(1)})), signed("www.example.com"))
    assert (frozenset({record(1)}), True) == (found.records, "does not name the host" in found.stays[0].why)
    assert {record(1), ISSUER} == target(at, NameSeen(frozenset({record(1)})), signed("mail.example.com")).records


def test_a_name_that_was_emptied_counts_though_no_certificate_names_it() -> None:
    """Nobody can ask DNS whose it was, and DANE-EE asks for no name: the MX host may have another one."""
    emptied = NameEntry(100, "c2", empty_since=START)
    entry = ApexEntry(names={"_25._tcp.mx7.example.com.": emptied})
    early, late = (Gate(Ledger(apexes={APEX: entry}), {}, keys(1), (), after(seconds)) for seconds in (199, 200))
    assert (False, True) == (early.may_serve(SERVICE, gen(1)).allowed, late.may_serve(SERVICE, gen(1)).allowed)
