"""A host's entry never loses a generation that the host may be serving, whatever order things happen in."""

from __future__ import annotations

import datetime as dt
from typing import TYPE_CHECKING

from hypothesis import given
from hypothesis import strategies as st

from sslops.deploy import ledger_entries as entries
from sslops.deploy.ledger_entries import Proven
from sslops.model.ledger import HostEntry, Served
from sslops.model.names import GenerationId, ServiceId

if TYPE_CHECKING:
    from collections.abc import Callable

NOW = dt.datetime(2026, 11, 24, 14, 30, tzinfo=dt.UTC)
SERVICES = [ServiceId("example.com", name) for name in ("mail-ec", "mail-rsa", "web-ec")]
GENERATIONS = [GenerationId(f"2026112{day}T143000Z-9b1c") for day in range(5)]

services = st.sampled_from(SERVICES)
generations = st.sampled_from(GENERATIONS)
targets = st.dictionaries(services, generations)
served = st.builds(
    Served,
    may_serve=st.lists(st.none() | generations, max_size=3, unique=True).map(tuple),
    proof=st.sampled_from([None, "port", "files"]),
    failures=st.integers(0, 9),
    retry_at=st.none() | st.just(NOW),
)
hosts = st.builds(HostEntry, seq=st.integers(0, 9), services=st.dictionaries(services, served))


def may_serve(entry: HostEntry, service: ServiceId) -> set[GenerationId | None]:
    """Return what the host may serve; nothing proven means something unknown."""
    return set(entry.serves(service).may_serve) or {None}


@given(hosts, targets)
def test_an_intent_drops_nothing(entry: HostEntry, wanted: dict[ServiceId, GenerationId]) -> None:
    """Afterwards the host may serve what it could before, and the targets."""
    during = entries.intend(entry, entry.seq + 1, wanted, at=NOW)

    for service in SERVICES:
        assert may_serve(entry, service) <= may_serve(during, service)
    assert all(generation in may_serve(during, service) for service, generation in wanted.items())


@given(hosts, targets)
def test_an_intent_settles_nothing(entry: HostEntry, wanted: dict[ServiceId, GenerationId]) -> None:
    """No service gets a proof, and only what was settled on its target already stays so."""
    during = entries.intend(entry, entry.seq + 1, wanted, at=NOW)

    for service, generation in wanted.items():
        assert during.serves(service).proof is None
        if during.serves(service).settled is not None:
            assert (generation,) == entry.serves(service).may_serve


@given(hosts, targets, st.integers(0, 20))
def test_an_outcome_of_another_number_changes_nothing(
    entry: HostEntry, wanted: dict[ServiceId, GenerationId], seq: int
) -> None:
    """When a newer run was there, what we found out may be old."""
    if seq == entry.seq:
        seq += 1
    proven = {service: Proven(generation, "port") for service, generation in wanted.items()}
    outcomes: list[Callable[[], HostEntry]] = [
        lambda: entries.settle(entry, seq, proven, at=NOW),
        lambda: entries.went_back(entry, seq, proven, SERVICES, at=NOW),
        lambda: entries.restore(entry, seq, HostEntry(), SERVICES),
        lambda: entries.forgive(entry, seq, SERVICES),
        lambda: entries.hold_includes(entry, seq, {"example.com": "00"}),
    ]

    assert all(outcome() == entry for outcome in outcomes)


@given(hosts, targets, st.sets(services))
def test_only_what_is_proven_is_settled(
    entry: HostEntry, wanted: dict[ServiceId, GenerationId], proven: set[ServiceId]
) -> None:
    """A service without proof keeps every generation of the intent."""
    during = entries.intend(entry, entry.seq + 1, wanted, at=NOW)
    facts = {service: Proven(wanted[service], "port") for service in proven & wanted.keys()}
    after = entries.settle(during, during.seq, facts, at=NOW)

    for service in SERVICES:
        if service in facts:
            assert (wanted[service],) == after.serves(service).may_serve
        else:
            assert during.serves(service) == after.serves(service)


@given(hosts, targets, targets)
def test_two_runs_side_by_side_lose_nothing(
    entry: HostEntry, first: dict[ServiceId, GenerationId], second: dict[ServiceId, GenerationId]
) -> None:
    """The older run's outcome comes after the newer one's intent: everything either may have done stays."""
    older = entries.intend(entry, entry.seq + 1, first, at=NOW)
    newer = entries.intend(older, older.seq + 1, second, at=NOW)
    proven = {service: Proven(generation, "port") for service, generation in first.items()}
    after = entries.settle(newer, older.seq, proven, at=NOW)

    for service in SERVICES:
        expected = may_serve(entry, service) | {first.get(service), second.get(service)} - {None}
        assert expected <= may_serve(after, service)


@given(hosts, targets)
def test_what_was_not_sent_is_as_before(entry: HostEntry, wanted: dict[ServiceId, GenerationId]) -> None:
    """Dropped after the intent, the services are what they were; only the number stays higher."""
    during = entries.intend(entry, entry.seq + 1, wanted, at=NOW)
    after = entries.restore(during, during.seq, entry, wanted)

    assert (entry.services, entry.seq + 1) == (after.services, after.seq)


def test_the_backoff_grows_to_a_day() -> None:
    """1, 10, 100 minutes, then daily."""
    minutes = [(entries.retry_at(failures, NOW) - NOW).total_seconds() / 60 for failures in range(1, 7)]

    assert [1, 10, 100, 1440, 1440, 1440] == minutes


def test_a_session_that_went_back_counts_a_failure_and_keeps_the_proof() -> None:
    """The host is settled on what it served before, and the next try waits."""
    old, new = GENERATIONS[:2]
    service = SERVICES[0]
    during = entries.intend(HostEntry(3, {service: Served((old,), NOW, "port", 1)}), 4, {service: new}, at=NOW)
    after = entries.went_back(during, 4, {service: Proven(old, "port")}, [service], at=NOW)

    expected = Served((old,), NOW, "port", 2, NOW + dt.timedelta(minutes=10))
    assert expected == after.serves(service)


def test_a_host_that_holds_what_no_intent_named_is_unknown() -> None:
    """Nothing is forgotten of what it may serve; a copy stays a copy; another run's entry is not touched."""
    service, (old, new) = SERVICES[0], GENERATIONS[:2]
    during = entries.intend(HostEntry(3, {service: Served((old,), NOW, "port")}), 4, {service: new}, at=NOW)

    assert (None, old, new) == entries.doubt(during, 4, [service]).serves(service).may_serve
    assert during == entries.doubt(during, 3, [service])
    copy = entries.intend(HostEntry(3), 4, {service: new}, at=NOW, copies=[service])
    assert copy == entries.doubt(copy, 4, [service])


def test_success_ends_the_backoff() -> None:
    """A proof forgets the failures before it."""
    service = SERVICES[0]
    failing = HostEntry(3, {service: Served((GENERATIONS[0],), NOW, None, 3, NOW)})
    after = entries.settle(failing, 3, {service: Proven(GENERATIONS[0], "files")}, at=NOW)

    assert Served((GENERATIONS[0],), NOW, "files") == after.serves(service)
