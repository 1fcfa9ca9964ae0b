"""Drift is judged from what git and the ledger know and what servers and ports show."""

from __future__ import annotations

from dataclasses import replace
from datetime import timedelta
from typing import TYPE_CHECKING

import pytest

from sslops.dane.records import Keys
from sslops.model.ledger import HostEntry, Ledger, Served
from sslops.model.observations import PortSeen, ServerSeen
from sslops.model.plan import Consents, HazardName
from sslops.model.state import Branches, Generation, Slots, State
from sslops.model.tlsa import Rrset, TlsaRecord
from sslops.probe.live import LiveName, LivePort
from sslops.report.live import Known, LiveView
from tests.unit.report.test_status_view import (
    EE,
    INVENTORY,
    MAIL,
    NEW,
    NOW,
    OLD,
    OWNER,
    generation,
    state,
    with_evidence,
)

if TYPE_CHECKING:
    from sslops.model.names import GenerationId

LONG_AGO = NOW - timedelta(days=5)
SINCE = "2026-11-19T14:30:00Z"
BOTH = with_evidence(OLD, NEW, since=LONG_AGO)
ONLY_OLD = with_evidence(OLD, since=LONG_AGO)
UNMANAGED = TlsaRecord(OWNER, EE, "ee" * 32)


def certificate(key: GenerationId) -> str:
    """Return the hash of a generation's certificate."""
    return key[-4:] * 8 + "ce" * 16


def issued(key: GenerationId) -> Generation:
    """Return a generation with a certificate of its own."""
    made = generation(key)
    assert made.issued is not None
    return replace(made, issued=replace(made.issued, cert_sha256=certificate(key)))


ROLLED: State = state(Slots(curr=NEW, prev=OLD), issued(OLD), issued(NEW))
SETTLED: State = state(Slots(curr=OLD), issued(OLD), issued(NEW))


def record(key: GenerationId) -> TlsaRecord:
    """Return the 3 1 1 record of a generation."""
    return TlsaRecord(OWNER, EE, key[-4:] * 16)


def drift(
    *servers: frozenset[TlsaRecord] | None,
    served: str | None = certificate(OLD),
    ledger: Ledger = ONLY_OLD,
    main: State = SETTLED,
    consents: Consents = Consents(),
) -> list[str]:
    """Return the alarms, as `kind: subject: what`, where each of *servers* shows these records and smtp1 *served*."""
    shown = tuple(
        ServerSeen(f"ns{place}", error="timed out")
        if records is None
        else ServerSeen(f"ns{place}", {OWNER: Rrset(1800, records)})
        for place, records in enumerate(servers, 1)
    )
    seen = PortSeen(error="refused") if served is None else PortSeen(frozenset({served}), 1)
    branches = Branches(main, main)
    known = Known(INVENTORY, branches, ledger, Keys.of(branches))
    name = LiveName(OWNER, shown, services=frozenset({MAIL}))
    view = LiveView((name,), (LivePort("smtp1", 25, MAIL, seen),), known, consents)
    return [f"{each.kind}: {each.subject}: {each.what}" for each in view.alarms()]


MAY_BE_EITHER = replace(BOTH, hosts={"smtp1": HostEntry(2, {MAIL: Served((OLD, NEW))})})


@pytest.mark.parametrize(
    ("servers", "served", "ledger", "main"),
    [
        ([{OLD}, {OLD}], OLD, ONLY_OLD, SETTLED),
        ([{OLD, NEW}, {OLD, NEW}], OLD, BOTH, ROLLED),
        ([{OLD, NEW}, {OLD, NEW}], NEW, MAY_BE_EITHER, ROLLED),
        ([set(), set()], OLD, Ledger(), SETTLED),
    ],
    ids=["at rest", "rolled, not deployed yet", "switched, not verified yet", "before the first record"],
)
def test_what_belongs_to_a_change_under_way_is_no_drift(
    servers: list[set[GenerationId]], served: GenerationId, ledger: Ledger, main: State
) -> None:
    """A schedule may ask at any time, and is called by what is wrong only."""
    shown = [frozenset(map(record, keys)) for keys in servers]

    assert [] == drift(*shown, served=certificate(served), ledger=ledger, main=main)


def test_a_server_that_lost_a_record_is_drift() -> None:
    """The record of what is served is missing on one server: named, with since when it was seen."""
    found = drift(frozenset({record(OLD)}), frozenset())

    assert [
        f"drift: {OWNER}: ns2 lacks record 3 1 1 {'a' * 16} ({MAIL} {OLD}); the ledger has it as visible since {SINCE}"
    ] == found


def test_a_served_certificate_without_its_record_is_drift() -> None:
    """Somebody put another generation of ours on the host: git says another one, and no record matches."""
    found = drift(frozenset({record(OLD)}), served=certificate(NEW))

    assert [
        f"drift: smtp1:25: serves {MAIL} {NEW}, and main has {OLD}",
        f"drift: smtp1:25: serves {NEW}, and no 3 1 1 record at {OWNER} on ns1 matches it",
    ] == found


def test_a_certificate_of_others_is_drift() -> None:
    """A certificate that no generation explains."""
    (found,) = drift(frozenset({record(OLD)}), served="f" * 64)

    assert found.startswith("drift: smtp1:25: serves a certificate that is unmanaged (SHA-256 ffffffffffffffff...)")


def test_an_unmanaged_record_is_drift_unless_it_was_accepted() -> None:
    """`accept` of tlsa-foreign ends the alarm, as it ends the hazard."""
    shown = frozenset({record(OLD), UNMANAGED})
    accepted = Consents(frozenset({(HazardName.TLSA_FOREIGN, OWNER)}))

    assert [f"drift: {OWNER}: ns1 shows record 3 1 1 eeeeeeeeeeeeeeee (unmanaged)"] == drift(shown)
    assert [] == drift(shown, consents=accepted)


def test_a_record_on_one_server_only_is_drift() -> None:
    """Whatever it is of: the servers differ."""
    found = drift(frozenset({record(OLD), record(NEW)}), frozenset({record(OLD)}))

    assert [f"drift: {OWNER}: ns1 shows record 3 1 1 bbbbbbbbbbbbbbbb ({MAIL} {NEW}), ns2 does not"] == found


def test_no_answer_is_an_alarm_of_its_own() -> None:
    """What could not be asked is not known to be well."""
    assert [
        f"unobserved: {OWNER}: ns1 gave no answer: timed out",
        "unobserved: smtp1:25: refused",
    ] == drift(None, served=None)
