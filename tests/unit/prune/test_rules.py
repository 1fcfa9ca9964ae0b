"""What prune takes, and each reason for which it does not."""

from __future__ import annotations

from dataclasses import replace
from datetime import timedelta
from typing import TYPE_CHECKING, Any

import pytest

from sslops.dane.records import Keys
from sslops.model.inventory import Hold
from sslops.model.ledger import Ledger, Served
from sslops.model.names import ServiceId
from sslops.model.state import Branches, State
from sslops.prune.rules import MARGIN, DnsSeen, PruneOptions, dropped, plan
from tests.unit.dane.builders import (
    APEX,
    LONG,
    SERVICE,
    START,
    aged,
    branches,
    commit,
    gen,
    generation,
    inventory,
    keyed,
    ledger,
    look,
    record,
    service,
    settled,
    slots,
    state,
    zone,
)

if TYPE_CHECKING:
    from collections.abc import Iterable

    from sslops.model.names import GenerationId
    from sslops.model.plan import Plan

NOW = START + LONG + MARGIN
SLOTS = replace(slots(5, 6), prev=gen(4))
SITE = branches(SLOTS, *range(1, 7))
VERIFIED = ledger({"smtp1": settled(5), "smtp2": settled(5)})
KEEP_ONE = PruneOptions(keep=1)
ELSEWHERE = ServiceId("example.net", "old")


def dns(*history: Iterable[int], head: int | None = None) -> DnsSeen:
    """Return what is seen of a base that had these generations' records, one commit after the other."""
    commits = [commit(f"c{place}", zone(*numbers)) for place, numbers in enumerate(history)] or [commit("c0")]
    found = look(commits, commits[-1].views[0], head=None if head is None else commit("head", zone(head)))
    return DnsSeen({APEX: found.repo}, {APEX: found})


def taken(
    found: Branches = SITE,
    known: Ledger = VERIFIED,
    seen: DnsSeen | None = None,
    options: PruneOptions = KEEP_ONE,
    **changes: object,
) -> list[GenerationId]:
    """Return what goes of the one service."""
    return list(dropped(decided(found, known, seen, options, **changes)).get(SERVICE, ()))


def decided(
    found: Branches = SITE,
    known: Ledger = VERIFIED,
    seen: DnsSeen | None = None,
    options: PruneOptions = KEEP_ONE,
    **changes: object,
) -> Plan:
    """Return the plan."""
    given = {"inventory": inventory(), "now": NOW, "proposed": ()} | changes
    return plan(
        branches=found,
        ledger=known,
        dns=seen or dns((5,)),
        keys=Keys.of(found),
        options=options,
        **given,  # type: ignore[arg-type]
    )


def test_what_nothing_needs_is_taken() -> None:
    """Slots stay, and the newest of the rest; its action names the generation."""
    assert [gen(1), gen(2)] == taken()


KEPT: dict[str, dict[str, Any]] = {
    "by a slot of main": {"found": branches(SLOTS, *range(1, 7), main=replace(slots(2, 6), prev=gen(1)))},
    "by what was taken back": {"found": branches(replace(SLOTS, refused=gen(2)), *range(1, 7)), "left": [gen(1)]},
    "by the roll that is proposed": {"proposed": ((SERVICE, gen(2)),), "left": [gen(1)]},
    "by clean_keep": {"options": PruneOptions()},
    "by a larger number to be kept": {"options": PruneOptions(keep=2), "left": [gen(1)]},
    "by what a host may serve": {
        "known": ledger({"smtp1": Served((gen(5), gen(1))), "smtp2": settled(5)}),
        "left": [gen(2)],
    },
    "by a host that left the inventory": {"known": ledger({"gone": settled(1)}), "inventory": inventory(hosts=())},
    "by a record in DNS": {"seen": dns((1,), (2, 5)), "left": [gen(1)]},
    "by a proposal": {"seen": dns((5,), head=2), "left": [gen(1)]},
    "by evidence on the ledger": {
        "known": replace(VERIFIED, apexes=ledger(entry=aged(record(2))).apexes),
        "left": [gen(1)],
    },
    "as the newest of a name's past": {"seen": dns((1,), (2,), ()), "left": [gen(1)]},
    "by a hold": {"inventory": inventory(service(hold=Hold(None, "an audit"))), "left": []},
}


@pytest.mark.parametrize("case", KEPT)
def test_each_of_these_keeps_a_generation(case: str) -> None:
    """One thing more than where two go."""
    changes = dict(KEPT[case])
    left = changes.pop("left", None)
    found = taken(**changes)

    assert set(found) < {gen(1), gen(2)}
    assert left is None or left == found


def test_a_key_that_never_got_a_certificate_goes_after_a_day() -> None:
    """A discarded key is worth nothing; one of this hour may be another run's."""
    found = branches(slots(5), keyed(1), keyed(2), 5)

    assert [gen(1)] == taken(found, now=START + MARGIN + timedelta(minutes=1))
    assert [] == taken(found, now=START + timedelta(hours=1))


def test_what_signed_something_that_stays_is_kept_with_its_own_signers() -> None:
    """The chain of what is live is judged again before each roll."""
    ca, root = ServiceId("ca", "my-sub"), ServiceId("ca", "my-root")
    leaf = state(slots(5), *range(1, 5), generation(5, signer=gen(11)))
    subs = [replace(generation(number, signer=gen(20 + number % 10)), ca="my-root") for number in range(11, 16)]
    roots = [replace(generation(number), ca="my-root") for number in range(21, 26)]
    every = {**leaf.services, **state(slots(15), *subs, of=ca).services, **state(slots(25), *roots, of=root).services}
    site, options = Branches(State(every), State(every)), PruneOptions(keep=1, every=True)
    leaves = {SERVICE: (gen(1), gen(2), gen(3))}

    assert leaves | {ca: (gen(12), gen(13)), root: (gen(22), gen(23))} == dropped(decided(site, options=options))
    assert leaves == dropped(decided(site, options=options, now=NOW - timedelta(seconds=1)))  # a CA has not expired


def test_a_service_that_left_the_inventory_is_pruned_when_all_are_asked_for() -> None:
    """Its slots stay: nobody says that it may go as a whole."""
    found = state(replace(slots(5), prev=gen(4)), *range(1, 6), of=ELSEWHERE)
    site = Branches(found, found)

    assert {} == dropped(decided(site))
    assert {ELSEWHERE: (gen(1), gen(2))} == dropped(decided(site, options=PruneOptions(keep=1, every=True)))


@pytest.mark.parametrize(
    ("changes", "why"),
    [
        ({"known": ledger({"smtp1": settled(5)})}, "smtp2"),
        ({"known": ledger({"smtp1": settled(5), "smtp2": settled(5), "gone": Served()})}, "gone"),
        ({"seen": DnsSeen(failed={APEX: "no primary"})}, "no primary"),
        ({"seen": DnsSeen(seen={APEX: look([commit("c0")], None)})}, "timed out"),
    ],
)
def test_who_does_not_know_all_waits(changes: dict[str, object], why: str) -> None:
    """A host that may serve anything, a zone or a server that says nothing."""
    found = decided(**changes)  # type: ignore[arg-type]

    assert () == found.actions
    assert [True] == [why in wait.why for wait in found.waits]
