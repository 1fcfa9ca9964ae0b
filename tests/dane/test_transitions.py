"""Which records may come and go."""

from __future__ import annotations

from dataclasses import replace

import pytest

from sslops.dane.transitions import AddressSeen, FirstUse, NameSeen, Needed, needed, parked, target
from sslops.model.ledger import HostEntry, Ledger, Served
from sslops.model.names import ServiceId
from sslops.model.seen import PortSeen
from sslops.model.tlsa import TlsaParams
from tests.dane.builders import (
    SERVICE,
    branches,
    gen,
    keys,
    ledger,
    name,
    record,
    settled,
    slots,
)

ALL = frozenset({record(1), record(2), record(3)})


def test_slots_of_both_branches_are_needed() -> None:
    """`curr` and `next`, on `main` and on `next`."""
    both = branches(slots(2, 3), 1, 2, 3, main=slots(1, 2))
    assert frozenset({gen(1), gen(2), gen(3)}) == needed(SERVICE, both, Ledger(), [], frozenset()).ids


def test_what_any_host_may_serve_is_needed() -> None:
    """Settled, either of two, and a host that left the inventory."""
    hosts = {"smtp1": settled(1), "smtp2": Served((gen(2), gen(3))), "gone": settled(4)}
    found = needed(SERVICE, branches(slots()), ledger(hosts), ["smtp1", "smtp2"], frozenset())
    assert Needed(frozenset(map(gen, (1, 2, 3, 4)))) == found


def test_a_host_that_was_never_asked_is_unknown() -> None:
    """Whether by inventory alone, or with something unknown on the ledger."""
    found = needed(SERVICE, branches(slots()), ledger({"smtp1": Served((gen(1), None))}), ["smtp2"], frozenset())
    assert (("smtp1", "smtp2"), False) == (found.unknown, found.is_known)


def test_a_host_that_only_keeps_copies_needs_nothing() -> None:
    """Its class says that it does not serve."""
    found = needed(SERVICE, branches(slots()), ledger({"backup": settled(1)}), [], frozenset({"backup"}))
    assert Needed(frozenset()) == found


def test_a_host_without_anything_of_ours_is_known() -> None:
    """It serves nothing of the service, and that was proven."""
    assert needed(SERVICE, branches(slots()), ledger({"smtp1": Served(())}), ["smtp1"], frozenset()).is_known


def test_needed_records_are_added_and_others_go() -> None:
    """Nothing needs generation 1 any more."""
    seen = NameSeen(frozenset({record(1), record(2)}))
    wanted = Needed(frozenset({gen(2), gen(3)}))
    assert frozenset({record(2), record(3)}) == target(name(), wanted, seen, keys(1, 2, 3))


def test_nothing_goes_while_a_host_is_unknown() -> None:
    """It may serve any of them; adding is never wrong."""
    seen = NameSeen(frozenset({record(1), record(2)}))
    assert ALL == target(name(), Needed(frozenset({gen(3)}), ("smtp1",)), seen, keys(1, 2, 3))


def test_nothing_goes_while_a_needed_record_cannot_be_made() -> None:
    """A host serves a generation that the repository lost: some record is its."""
    seen = NameSeen(frozenset({record(1), record(2)}))
    assert frozenset({record(1), record(2)}) == target(name(), Needed(frozenset({gen(2), gen(9)})), seen, keys(1, 2))


def test_nothing_goes_that_a_proposal_has() -> None:
    """Somebody may count on it."""
    seen = NameSeen(frozenset({record(1), record(2)}), proposed=frozenset({record(1)}))
    assert record(1) in target(name(), Needed(frozenset({gen(2)})), seen, keys(1, 2))


def test_a_proposal_adds_nothing_that_nobody_needs() -> None:
    """Only what is in the base can be kept."""
    seen = NameSeen(frozenset({record(2)}), proposed=frozenset({record(1)}))
    assert frozenset({record(2)}) == target(name(), Needed(frozenset({gen(2)})), seen, keys(1, 2))


def test_a_server_that_lags_does_not_make_the_next_record_a_second_one() -> None:
    """The base is empty, so whoever adds one adds the first."""
    assert NameSeen(frozenset(), servers=frozenset({record(1)}), proposed=frozenset({record(1)})).is_empty


@pytest.mark.parametrize(
    ("rivals", "seen"),
    [
        ([name(), name(of=ServiceId("example.com", "mail-rsa"))], NameSeen(frozenset())),
        ([name(), name(params=TlsaParams(3, 1, 2))], NameSeen(frozenset())),
        ([name()], NameSeen(frozenset({record(1, params=TlsaParams(3, 1, 2))}))),
        ([name()], NameSeen(frozenset(), servers=frozenset({record(9)}))),
        ([name()], NameSeen(frozenset(), proposed=frozenset({record(9)}))),
    ],
)
def test_a_name_that_is_not_one_kind_of_one_service_is_left_alone(rivals: list[object], seen: NameSeen) -> None:
    """Another service, another combination, somebody else's record: nothing changes there."""
    assert parked(name(), rivals, seen, keys(1, 2)) is not None  # type: ignore[arg-type]


def test_a_combination_that_needs_a_certificate_is_left_alone() -> None:
    """A standing key could not be published ahead."""
    odd = name(params=TlsaParams(3, 0, 1))
    assert parked(odd, [odd], NameSeen(frozenset()), keys(1)) is not None


def test_a_name_with_only_ours_is_not_left_alone() -> None:
    """The plain case."""
    assert None is parked(name(), [name()], NameSeen(frozenset({record(1)}), frozenset({record(2)})), keys(1, 2))


GOOD = PortSeen(frozenset({"aa"}), 1)
BAD = PortSeen(frozenset({"bb"}), 1)
DEAD = PortSeen(error="refused")


def first(*addresses: AddressSeen, **changes: object) -> FirstUse:
    """Return what is known before a first record, one host settled on generation 1."""
    return replace(FirstUse(gen(1), "aa", {"smtp1": gen(1)}, addresses), **changes)  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("hosts", "expected"),
    [
        ({}, ""),
        ({"smtp1": gen(1), "smtp2": None}, "smtp2"),
        ({"smtp1": gen(2)}, "smtp1"),
        ({"smtp1": gen(1), "smtp2": gen(1)}, None),
    ],
)
def test_every_host_is_proven_before_the_first_record(hosts: dict[str, object], expected: str | None) -> None:
    """No host, one never asked, one on something else; or all of them on `curr`."""
    assert expected == first(hosts=hosts).unproven_host()


@pytest.mark.parametrize(
    ("ports", "expected"),
    [
        ([], ""),
        ([("192.0.2.1", GOOD), ("192.0.2.2", GOOD)], None),
        ([("192.0.2.1", GOOD), ("192.0.2.2", BAD)], "192.0.2.2:25"),
        ([("192.0.2.1", GOOD), ("192.0.2.2", DEAD)], "192.0.2.2"),
        ([("192.0.2.1", DEAD), ("192.0.2.1", GOOD)], None),
        ([("192.0.2.1", GOOD), ("192.0.2.1", BAD)], "192.0.2.1:25"),
        ([("192.0.2.1", PortSeen(frozenset({"aa", "bb"}), 2))], "192.0.2.1:25"),
    ],
)
def test_every_address_of_the_name_is_asked(ports: list[tuple[str, PortSeen]], expected: str | None) -> None:
    """Each must answer at one port, and show nothing but the certificate of `curr`."""
    assert expected == first(*(AddressSeen(at, 25, port) for at, port in ports)).unproven_address()


def test_entries_of_other_services_need_nothing() -> None:
    """A host serves several services."""
    other = Ledger({"smtp1": HostEntry(1, {ServiceId("example.com", "web-ec"): settled(7)})})
    assert frozenset() == needed(SERVICE, branches(slots()), other, [], frozenset()).ids
