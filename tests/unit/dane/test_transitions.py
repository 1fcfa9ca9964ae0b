"""Which records may come and go."""

from __future__ import annotations

from dataclasses import replace

import pytest

from sslops.dane.first_use import AddressSeen, FirstUse, Live
from sslops.dane.records import Der, Keys, Material
from sslops.dane.rrset_rules import AtName, Claim, NameSeen, Needed, Target, needed, target
from sslops.model.cause import Cause
from sslops.model.ledger import HostEntry, Ledger, Served
from sslops.model.names import ServiceId
from sslops.model.observations import PortSeen
from sslops.model.tlsa import TlsaParams, TlsaRecord
from tests.unit.dane.builders import (
    OWNER,
    PARAMS,
    SERVICE,
    after,
    branches,
    gen,
    generation,
    keyed,
    keys,
    ledger,
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
    found = needed(SERVICE, branches(slots(1)), ledger({"smtp1": Served((gen(1), None))}), ["smtp2"], frozenset())
    assert (("smtp1", "smtp2"), False) == (found.unknown, found.is_known)


def test_a_host_that_only_keeps_copies_needs_nothing() -> None:
    """Its class says that it does not serve, and it never did."""
    kept = replace(settled(1), proof="copy")
    found = needed(SERVICE, branches(slots()), ledger({"backup": kept}), [], frozenset({"backup"}))
    assert Needed(frozenset()) == found


def test_a_host_that_served_needs_what_it_may_serve_though_it_is_to_keep_copies_only() -> None:
    """A word in the inventory stops no daemon."""
    found = needed(SERVICE, branches(slots()), ledger({"backup": settled(1)}), [], frozenset({"backup"}))
    assert Needed(frozenset({gen(1)})) == found


def test_a_host_that_kept_copies_is_unknown_once_it_is_to_serve() -> None:
    """It has the files; what it shows nobody has asked."""
    kept = replace(settled(1), proof="copy")
    found = needed(SERVICE, branches(slots(1), 1), ledger({"backup": kept}), ["backup"], frozenset())
    assert Needed(frozenset({gen(1)}), ("backup",)) == found


def test_a_host_without_anything_of_ours_is_known() -> None:
    """It serves nothing of the service, and that was proven."""
    assert needed(SERVICE, branches(slots()), ledger({"smtp1": Served(())}), ["smtp1"], frozenset()).is_known


RSA = ServiceId("example.com", "mail-rsa")
SHA512, WHOLE = TlsaParams(3, 1, 2), TlsaParams(3, 0, 1)
CERT = {number: TlsaRecord(OWNER, WHOLE, f"{number:064x}") for number in range(5)}


def name(*claims: Claim | Needed, **changes: object) -> AtName:
    """Return a name that wants 3 1 1; a claim given by what is needed is mail-ec's."""
    made = tuple(each if isinstance(each, Claim) else Claim(SERVICE, each) for each in claims)
    return replace(AtName(OWNER, frozenset({PARAMS}), made, after(0)), **changes)  # type: ignore[arg-type]


def need(*numbers: int, unknown: tuple[str, ...] = ()) -> Needed:
    """Return these generations as needed."""
    return Needed(frozenset(map(gen, numbers)), unknown)


def becomes(at: AtName, seen: NameSeen, known: Keys) -> frozenset[TlsaRecord]:
    """Return the records that the name should have."""
    return target(at, seen, known).records


def base(*records: TlsaRecord | int, **changes: object) -> NameSeen:
    """Return a name that base has these records of, generations given by number."""
    found = frozenset(record(each) if isinstance(each, int) else each for each in records)
    return NameSeen(found, **changes)  # type: ignore[arg-type]


def two(*numbers: int) -> Keys:
    """Return the keys of these generations of mail-ec, and of generations 11 and 12 of mail-rsa."""
    return Keys({**keys(*numbers).generations, **keys(11, 12, of=RSA).generations})


def test_needed_records_are_added_and_others_go() -> None:
    """Nothing needs generation 1 any more."""
    assert frozenset({record(2), record(3)}) == becomes(name(need(2, 3)), base(1, 2), keys(1, 2, 3))


def test_nothing_goes_while_a_host_is_unknown() -> None:
    """It may serve any of them; adding is never wrong."""
    found = target(name(need(3, unknown=("smtp1",))), base(1, 2), keys(1, 2, 3))
    assert (ALL, True) == (found.records, "smtp1" in found.stays[0].why)


def test_nothing_goes_while_a_needed_record_cannot_be_made() -> None:
    """A host serves a generation that the repository lost: some record is its."""
    assert frozenset({record(1), record(2)}) == becomes(name(need(2, 9)), base(1, 2), keys(1, 2))


def test_nothing_goes_that_a_run_is_about_to_propose() -> None:
    """It may be asleep, and somebody may count on what it said."""
    assert record(1) in becomes(
        name(need(2)), base(1, 2, proposed=frozenset({record(1)}), underway=frozenset({record(1)})), keys(1, 2)
    )


def test_an_open_request_holds_no_withdrawal() -> None:
    """The branch is the engine's own: one request withdraws the old record and adds what the open one adds."""
    assert frozenset({record(2)}) == becomes(name(need(2)), base(1, 2, proposed=frozenset({record(1)})), keys(1, 2))


def test_a_proposal_adds_nothing_that_nobody_needs() -> None:
    """Only what is in the base can be kept."""
    assert frozenset({record(2)}) == becomes(name(need(2)), base(2, proposed=frozenset({record(1)})), keys(1, 2))


def test_a_server_that_lags_does_not_make_the_next_record_a_second_one() -> None:
    """The base is empty, so whoever adds one adds the first."""
    lagging = frozenset({record(1)})
    assert NameSeen(frozenset(), servers=lagging, proposed=lagging, everywhere=lagging, past=lagging).is_empty


def test_a_record_of_somebody_else_on_every_server_makes_the_next_one_a_second_one() -> None:
    """A record of a combination that is there may always be added, ours or not."""
    foreign = frozenset({record(9)})
    seen = NameSeen(frozenset(), servers=foreign, everywhere=foreign)
    assert (False, frozenset({PARAMS})) == (seen.is_empty, seen.combinations)
    assert frozenset({record(1)}) == becomes(name(need(1, unknown=("smtp1",))), seen, keys(1))


def test_a_record_of_somebody_else_on_one_server_only_does_not() -> None:
    """Who asks another server finds nothing, and would be told of a key that is not served."""
    assert NameSeen(frozenset(), servers=frozenset({record(9)})).is_empty


def test_copies_of_ours_that_others_keep_in_a_combination_of_their_own_are_not_joined() -> None:
    """Once base had them too nobody could tell that they stay there when ours are withdrawn."""
    own = frozenset({record(1), record(2)})
    for theirs, expected in ((CERT[1], own), (TlsaRecord(OWNER, WHOLE, "f" * 64), {*own, CERT[1], CERT[2]})):
        shown = own | {theirs}
        found = target(name(need(1, 2)), base(1, 2, servers=shown, everywhere=shown), keys(1, 2))
        assert expected == found.records
        assert (theirs in CERT.values()) == any("copies" in stay.why for stay in found.stays)


def test_each_of_several_services_has_its_records() -> None:
    """A port that serves an EC and an RSA certificate needs both."""
    both = name(Claim(SERVICE, need(1, 2)), Claim(RSA, need(11)))
    assert frozenset({record(1), record(2), record(11)}) == becomes(both, base(1), two(1, 2))


def test_nothing_of_any_service_goes_while_one_has_an_unknown_host() -> None:
    """That host may serve what is about to go."""
    both = name(Claim(SERVICE, need(2)), Claim(RSA, need(11, unknown=("smtp1",))))
    assert record(1) in becomes(both, base(1, 2, 11), two(1, 2))


def test_a_new_combination_comes_with_all_its_records_at_once() -> None:
    """Whoever prefers it must find what any host may serve (RFC 7671 section 9)."""
    wanted = name(need(1, 2), wanted=frozenset({PARAMS, WHOLE}))
    assert frozenset({record(1), record(2), CERT[1], CERT[2]}) == becomes(wanted, base(1, 2), keys(1, 2))


def test_a_new_combination_waits_while_a_host_is_unknown() -> None:
    """It may serve what has no such record."""
    found = target(name(need(1, unknown=("smtp1",)), wanted=frozenset({PARAMS, WHOLE})), base(1), keys(1))
    assert frozenset({record(1)}) == found.records
    assert "no 3 0 1 records yet: smtp1 is not verified" == found.stays[0].why


def test_a_new_combination_waits_for_a_record_that_cannot_be_made() -> None:
    """The generation that a host serves is lost: its certificate cannot be hashed."""
    assert frozenset({record(1)}) == becomes(name(need(1, 9), wanted=frozenset({WHOLE})), base(1), keys(1))


def test_a_key_without_a_certificate_does_not_keep_a_combination_back() -> None:
    """No host can serve it; its record joins when it is issued."""
    known = Keys({(SERVICE, each.id): each for each in (generation(1), keyed(2))})
    wanted = name(need(1, 2), wanted=frozenset({WHOLE}))
    assert CERT[1] in becomes(wanted, base(1), known)
    assert CERT[2] in becomes(wanted, base(1, CERT[1]), keys(1, 2))


def test_an_old_combination_goes_when_no_cache_can_lack_the_new_one() -> None:
    """All its records at once, and not a second before."""
    wanted, seen = name(need(1), wanted=frozenset({WHOLE})), base(1, CERT[1])
    early = target(replace(wanted, ready={CERT[1]: after(1)}), seen, keys(1))
    assert (seen.base, after(1)) == (early.records, early.stays[0].until)
    assert frozenset({CERT[1]}) == becomes(replace(wanted, ready={CERT[1]: after(0)}), seen, keys(1))
    assert seen.base == becomes(wanted, seen, keys(1))


@pytest.mark.parametrize(
    "seen",
    [
        base(1, 2, CERT[1], CERT[2], proposed=frozenset({record(2)})),
        base(1, 2, CERT[1], CERT[2], servers=frozenset({record(9)})),
        base(1, 2, CERT[1], CERT[2], views=(frozenset({PARAMS, WHOLE}), frozenset({PARAMS}))),
    ],
)
def test_an_old_combination_goes_as_a_whole_or_stays(seen: NameSeen) -> None:
    """A part of it, or a record of somebody else, would be all that a resolver that prefers it finds."""
    wanted = name(need(1, 2), wanted=frozenset({WHOLE}), ready=dict.fromkeys((CERT[1], CERT[2]), after(0)))
    assert {record(1), record(2)} <= becomes(wanted, seen, keys(1, 2))


def test_a_combination_that_stays_takes_in_new_generations() -> None:
    """While the change is under way a new key gets its record in both."""
    wanted = name(need(1, 2), wanted=frozenset({WHOLE}))
    assert {record(2), CERT[2]} <= becomes(wanted, base(1, CERT[1]), keys(1, 2))


def test_records_of_nobody_stay() -> None:
    """Until a person says otherwise; they need no record of ours beside them."""
    assert frozenset({record(1), record(9)}) == becomes(
        name(need(1), nobodys=frozenset({record(9)})), base(1, 9), keys(1)
    )


def test_standing_records_are_published_whatever_is_served() -> None:
    """The CA that may sign next is in DNS before it does."""
    ca = TlsaParams(2, 1, 1)
    standing = frozenset({TlsaRecord(OWNER, ca, "aa"), TlsaRecord(OWNER, ca, "bb")})
    claim = Claim(SERVICE, Needed(frozenset()), standing=standing)
    assert Target(standing) == target(name(claim, wanted=frozenset({ca})), NameSeen(frozenset()), keys())


def test_a_listed_issuer_must_be_in_the_chain_that_is_served() -> None:
    """Else nothing that is served would match, and the combination must not appear."""
    ca = TlsaParams(2, 1, 1)
    known = Keys(keys(1).generations, {(SERVICE, gen(1)): Material(b"key", b"cert", (Der(b"ca", b"ca-key"),))})
    matching = min(known.matching(OWNER, ca, SERVICE, gen(1)))
    other = TlsaRecord(OWNER, ca, "aa")
    claim = Claim(SERVICE, need(1), standing=frozenset({other}), is_listed=True)
    refused = target(name(claim, wanted=frozenset({ca})), base(), known)
    assert (frozenset(), True) == (refused.records, "tlsa_issuers" in refused.stays[0].why)
    listed = replace(claim, standing=frozenset({other, matching}))
    assert frozenset({other, matching}) == becomes(name(listed, wanted=frozenset({ca})), base(), known)


def test_a_service_that_was_never_live_has_no_unknown_hosts() -> None:
    """Nobody can serve what was never rolled: its first key joins a name without holding up the others."""
    assert needed(SERVICE, branches(slots(None, 1), 1), Ledger(), ["smtp1"], frozenset()).is_known
    taken_back = branches(slots(None, None, refused=1), 1)
    assert not needed(SERVICE, taken_back, Ledger(), ["smtp1"], frozenset()).is_known


GOOD = PortSeen(frozenset({"aa"}), 1)
BAD = PortSeen(frozenset({"bb"}), 1)
DEAD = PortSeen(error="refused")


def first(*addresses: AddressSeen, hosts: dict[str, object] | None = None, others: tuple[Live, ...] = ()) -> FirstUse:
    """Return what is known before a first record, one host settled on generation 1."""
    settled_hosts = {"smtp1": gen(1)} if hosts is None else hosts
    return FirstUse((Live(SERVICE, gen(1), "aa", settled_hosts), *others), addresses)  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("hosts", "expected"),
    [
        ({}, "no host serves"),
        ({"smtp1": gen(1), "smtp2": None}, "smtp2 is not yet verified"),
        ({"smtp1": gen(2)}, "smtp1 is not yet verified"),
        ({"smtp1": gen(1), "smtp2": gen(1)}, None),
    ],
)
def test_every_host_is_proven_before_the_first_record(hosts: dict[str, object], expected: str | None) -> None:
    """No host, one never asked, one on something else; or all of them on `curr`."""
    why, _ = first(hosts=hosts).unproven_host() or ("", None)

    assert (expected is None) == (not why)
    assert (expected or "") in why


def test_every_service_of_a_name_is_proven_before_its_first_record() -> None:
    """One that was never live is served nowhere, one that was must be asked about."""
    new, gone = Live(RSA, None, is_new=True), Live(RSA, None)
    unproven = Live(RSA, gen(11), "cc", {"smtp1": None})
    whys = [first(others=(each,)).unproven_host() is None for each in (new, gone, unproven)]
    assert [True, False, False] == whys
    assert FirstUse((new,)).unproven_host() == ("no certificate is live yet", Cause.EARLIER_STEP)


def test_a_port_may_show_the_certificate_of_any_service_of_the_name() -> None:
    """The EC one to this client, the RSA one to that."""
    other = Live(RSA, gen(11), "cc", {"smtp1": gen(11)})
    both = AddressSeen("192.0.2.1", 25, PortSeen(frozenset({"aa", "cc"}), 2))
    assert (None, "192.0.2.1:25") == (first(both, others=(other,)).unproven_address(), first(both).unproven_address())


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
        ([("192.0.2.1", PortSeen())], "192.0.2.1:25"),
    ],
)
def test_every_address_of_the_name_is_asked(ports: list[tuple[str, PortSeen]], expected: str | None) -> None:
    """Each must answer at one port, and show nothing but the certificate of `curr`."""
    assert expected == first(*(AddressSeen(at, 25, port) for at, port in ports)).unproven_address()


def test_entries_of_other_services_need_nothing() -> None:
    """A host serves several services."""
    other = Ledger({"smtp1": HostEntry(1, {ServiceId("example.com", "web-ec"): settled(7)})})
    assert frozenset() == needed(SERVICE, branches(slots()), other, [], frozenset()).ids
