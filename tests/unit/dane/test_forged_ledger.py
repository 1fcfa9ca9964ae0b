"""What a ledger claims that somebody else wrote: it may make a step wait, never hurry.

Each attack is first carried out on rules without the defence, so that it is known to bite.
"""

from __future__ import annotations

from contextlib import contextmanager
from dataclasses import replace
from datetime import timedelta
from typing import TYPE_CHECKING

import pytest

from sslops.dane import evidence
from sslops.dane.evidence import advance, free_at, gone_at, ready_at
from sslops.dane.first_use import AddressSeen
from sslops.dane.records import Keys
from sslops.dane.rrset_plan import Owner
from sslops.model.ledger import ApexEntry, Evidence, Lowered, NameEntry
from sslops.model.observations import BaseCommit, PortSeen
from sslops.publish.rules import publication
from tests.unit.dane.builders import (
    OWNER,
    PARAMS,
    START,
    TTL,
    after,
    branches,
    ledger,
    look,
    record,
    settled,
    slots,
    zone,
)
from tests.unit.publish.test_owner import ONE, records, whys, world

if TYPE_CHECKING:
    from collections.abc import Iterator

    from sslops.model.observations import Zone
    from sslops.publish.rules import Publication

LONG_AGO = START - timedelta(days=400)
OTHER = replace(PARAMS, match=2)


@contextmanager
def believed() -> Iterator[None]:
    """Leave out what history says about an entry, for a while."""
    with pytest.MonkeyPatch.context() as without:
        without.setattr(evidence, "bounded_by_history", lambda entry, _: entry)
        yield


def dated(*contents: tuple[float, Zone]) -> list[BaseCommit]:
    """Return a history of the base: when each content came, in seconds after the start."""
    return [BaseCommit(f"c{number}", (content,), after(at)) for number, (at, content) in enumerate(contents)]


def test_a_record_is_not_older_than_the_commit_that_brought_it() -> None:
    """The entry claims that it was visible for a year, at a commit that has it all the time since."""
    seen = look(dated((0, zone(1)), (1000, zone(1, 2))), zone(1, 2), at=after(1001))
    forged = ApexEntry(records={record(2): Evidence(LONG_AGO, "c1", 1)})

    with believed():
        assert ready_at(advance(forged, seen).records[record(2)]) < after(1001)

    assert after(1000 + 2 * TTL) == ready_at(advance(forged, seen).records[record(2)])


def test_a_record_that_was_away_is_not_older_than_its_return() -> None:
    """That the base had it before counts for nothing."""
    seen = look(dated((0, zone(1, 2)), (500, zone(1)), (1000, zone(1, 2))), zone(1, 2), at=after(1001))
    forged = ApexEntry(records={record(2): Evidence(LONG_AGO, "c2", TTL)})

    assert after(1000) == advance(forged, seen).records[record(2)].since


def test_an_rrset_with_a_larger_ttl_is_waited_for_until_no_cache_can_hold_it() -> None:
    """The commit that brought the record lowered the TTL as well; the entry names only the small one."""
    seen = look(dated((0, zone(1, ttl=86400)), (1000, zone(1, 2, ttl=300))), zone(1, 2, ttl=300), at=after(1001))
    forged = ApexEntry(
        names={OWNER: NameEntry(300, "c1", lowered=Lowered(300, LONG_AGO))},
        records={record(2): Evidence(after(1000), "c1", 300)},
    )

    with believed():
        assert 300 == advance(forged, seen).records[record(2)].max_ttl_seconds

    assert 86400 == advance(forged, seen).records[record(2)].max_ttl_seconds
    assert 86400 == advance(forged, seen).names[OWNER].ttl_seconds


def test_a_name_is_not_free_before_the_commit_that_emptied_it() -> None:
    """The entry claims that it had no record for a year."""
    seen = look(dated((0, zone(1)), (1000, {})), {}, at=after(1001))
    forged = ApexEntry(names={OWNER: NameEntry(1, "c1", LONG_AGO)})

    with believed():
        assert (free_at(advance(forged, seen).names[OWNER]) or START) < after(1001)

    assert after(1000 + 2 * TTL) == free_at(advance(forged, seen).names[OWNER])


def test_parameters_that_went_lately_are_waited_for_though_the_entry_forgot_them() -> None:
    """A cache may go by them alone until it drops the RRset."""
    both = zone(1, record(1, params=OTHER))
    seen = look(dated((0, both), (1000, zone(1))), zone(1), at=after(1001))
    forged = ApexEntry(names={OWNER: NameEntry(TTL, "c1")})

    with believed():
        assert {} == advance(forged, seen).names[OWNER].gone

    assert after(1000 + 2 * TTL) == gone_at(advance(forged, seen).names[OWNER], OTHER)


def test_an_honest_entry_stays_as_it_is() -> None:
    """What the engine wrote itself is never older than history allows, so that nothing is written again and again."""
    history = dated((0, zone(1, ttl=86400)), (1000, zone(1, 2, ttl=300)), (2000, zone(2, ttl=300)))
    entry = ApexEntry()
    for place, at in ((1, 900), (2, 1010), (2, 1500), (3, 2010), (3, 3000)):
        shown = history[place - 1].views[0]
        entry = advance(entry, look(history[:place], shown, at=after(at)))

    assert entry == advance(entry, look(history, history[-1].views[0], at=after(3000)))


def test_a_commit_of_the_future_tells_nothing() -> None:
    """Somebody's clock is wrong: the site does not stand still until the year it names."""
    seen = look(dated((0, zone(1)), (10**9, zone(1, 2))), zone(1, 2), at=after(1001))
    known = ApexEntry(records={record(2): Evidence(after(1000), "c1", TTL)})

    assert after(1000) == advance(known, seen).records[record(2)].since


def withdrawn(presented: AddressSeen | None) -> Publication:
    """Return what becomes of the records of generation 1 where the ledger has every host on generation 2."""
    found = branches(slots(2), 1, 2)
    ports = {} if presented is None else {OWNER: (presented,)}
    hosts = ledger({"smtp1": settled(2), "smtp2": settled(2)}, ApexEntry())
    return publication(
        world(1, 2, branches=found, keys=Keys.of(found), ledger=hosts, owners=ONE, ports=ports, addresses={})
    )


@pytest.mark.parametrize(
    "presented",
    [
        AddressSeen("192.0.2.1", 25, PortSeen(frozenset({f"{1:064x}"}), 1)),
        AddressSeen("192.0.2.1", 25, PortSeen(frozenset({f"{1:064x}", f"{2:064x}"}), 1), "smtp1"),
        AddressSeen("192.0.2.1", 25, PortSeen(error="connection refused"), "smtp1"),
    ],
    ids=["an address shows it", "a host shows both", "a host is down"],
)
def test_a_record_stays_while_a_port_needs_it_whatever_the_ledger_claims(
    presented: AddressSeen, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The entry says that every host serves the following generation; whoever believes it withdraws the record."""
    with monkeypatch.context() as without:
        without.setattr(Owner, "_while_presented", lambda _, found: found)
        assert {record(2)} == records(withdrawn(presented))

    found = withdrawn(presented)

    assert {"unchanged"} == records(found)
    assert "nothing is withdrawn: port 25 of " in whys(found)


@pytest.mark.parametrize(
    "presented",
    [
        None,
        AddressSeen("192.0.2.1", 25, PortSeen(frozenset({f"{2:064x}"}), 1), "smtp1"),
        AddressSeen("192.0.2.1", 25, PortSeen(frozenset({"somebody else's"}), 1)),
        AddressSeen("2001:db8::1", 25, PortSeen(error="network is unreachable")),
    ],
    ids=["nothing to ask", "the new one", "not ours", "an address that the runner cannot reach"],
)
def test_a_record_goes_where_no_port_needs_it(presented: AddressSeen | None) -> None:
    """What presents nothing of ours tells nothing."""
    assert {record(2)} == records(withdrawn(presented))
