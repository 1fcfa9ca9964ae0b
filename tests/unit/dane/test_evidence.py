"""Since when a record can be relied on, and how large a TTL counts."""

from __future__ import annotations

from dataclasses import replace
from datetime import timedelta

import pytest

from sslops.dane.evidence import advance, free_at, gone_at, ready_at
from sslops.model.ledger import ApexEntry, Evidence, NameEntry, Pending
from sslops.model.observations import ApexSeen, DnsRepoSeen, ServerSeen
from sslops.model.tlsa import Rrset, TlsaParams
from tests.unit.dane.builders import OWNER, START, TTL, after, commit, look, record, repo, server, zone

NEW = ApexEntry()
FOREIGN = replace(record(9), data="ff" * 32)


def begun(seen: ApexSeen, entry: ApexEntry = NEW) -> set[object]:
    """Return the records with evidence after *seen*."""
    return set(advance(entry, seen).records)


def test_evidence_begins_when_every_server_shows_base() -> None:
    """It is dated by the look and names the commit of the base."""
    entry = advance(NEW, look([commit("c0"), commit("c1", zone(1))], zone(1), zone(1)))
    assert {record(1): Evidence(START, "c1", TTL)} == entry.records


@pytest.mark.parametrize("other", [{}, zone(2), zone(1, 2), None])
def test_evidence_does_not_begin_while_a_server_differs(other: dict[str, object] | None) -> None:
    """A server that is empty, old, ahead or silent is enough."""
    history = [commit("c0", zone(2)), commit("c1", zone(1))]
    assert set() == begun(look(history, zone(1), other))  # type: ignore[arg-type]


def test_evidence_does_not_begin_without_servers() -> None:
    """Nobody said anything."""
    assert set() == begun(look([commit("c1", zone(1))]))


def test_evidence_does_not_begin_while_servers_show_an_older_base() -> None:
    """The servers agree with each other, and not with the base."""
    assert set() == begun(look([commit("c0", zone(1, 2)), commit("c1", zone(1))], zone(1, 2), zone(1, 2)))


def test_evidence_does_not_begin_while_the_folders_differ() -> None:
    """Each of the `tlsa_dirs` feeds some server."""
    assert set() == begun(look([commit("c1", zone(1), zone(1, 2))], zone(1), zone(1)))


def test_evidence_does_not_begin_where_a_server_disagrees_with_itself() -> None:
    """Two addresses of one server are two servers."""
    seen = look([commit("c1", zone(1))], zone(1))
    split = replace(seen.servers[0], differing=frozenset({OWNER}))
    assert set() == begun(replace(seen, servers=(split,)))


def test_foreign_records_do_not_hinder_ours() -> None:
    """Of the records that are ours, exactly those of the base."""
    assert {record(1)} == begun(look([commit("c1", zone(1))], zone(1, FOREIGN), zone(1, FOREIGN)))


def test_evidence_keeps_its_date() -> None:
    """A later look that shows the same teaches nothing."""
    history = [commit("c0"), commit("c1", zone(1))]
    first = advance(NEW, look(history, zone(1)))
    assert first == advance(first, look(history, zone(1), at=after(50)))


def test_evidence_ends_when_a_commit_lacked_the_record_between_two_looks() -> None:
    """Two looks that agree say nothing about the time between them: the history is read."""
    first = advance(NEW, look([commit("c1", zone(1, 2))], zone(1, 2)))
    later = [commit("c1", zone(1, 2)), commit("c2", zone(1)), commit("c3", zone(1, 2))]
    then = advance(first, look(later, zone(1, 2), at=after(500)))
    assert (START, after(500)) == (then.records[record(1)].since, then.records[record(2)].since)


def test_evidence_ends_when_the_base_was_rewritten() -> None:
    """A commit that is on the line no more cannot say what happened since."""
    first = advance(NEW, look([commit("c1", zone(1))], zone(1)))
    assert after(9) == advance(first, look([commit("d1", zone(1))], zone(1), at=after(9))).records[record(1)].since


@pytest.mark.parametrize("shown", [{}, zone(2)])
def test_evidence_ends_when_one_server_lacks_the_record(shown: dict[str, object]) -> None:
    """Any look at any server."""
    history = [commit("c1", zone(1))]
    first = advance(NEW, look(history, zone(1), zone(1)))
    assert {} == advance(first, look(history, zone(1), shown, at=after(9))).records  # type: ignore[arg-type]


def test_evidence_outlives_a_server_that_does_not_answer() -> None:
    """Silence is not a lack; whoever serves next asks again."""
    history = [commit("c1", zone(1))]
    first = advance(NEW, look(history, zone(1), zone(1)))
    assert first == advance(first, look(history, zone(1), None, at=after(9)))


def test_a_ttl_that_was_lowered_together_with_the_record_still_counts() -> None:
    """A name lowered from 86400 to 300 by the commit that brought the record counts 86400."""
    history = [commit("c1", zone(1, ttl=86400)), commit("c2", zone(1, 2, ttl=300))]
    first = advance(NEW, look(history[:1], zone(1, ttl=86400)))
    then = advance(first, look(history, zone(1, 2, ttl=300), at=after(60)))
    assert Evidence(after(60), "c2", 86400) == then.records[record(2)]


def test_a_large_ttl_that_lived_between_two_looks_counts() -> None:
    """Nobody saw it on a server, but the base had it."""
    history = [commit("c1", zone(1, ttl=300)), commit("c2", zone(1, ttl=86400)), commit("c3", zone(1, 2, ttl=300))]
    first = advance(NEW, look(history[:1], zone(1, ttl=300)))
    then = advance(first, look(history, zone(1, 2, ttl=300), at=after(60)))
    assert 86400 == then.records[record(2)].max_ttl_seconds


def test_a_lowered_ttl_counts_after_twice_the_old_one() -> None:
    """Not a second earlier."""
    history = [commit("c1", zone(1, ttl=1000)), commit("c2", zone(1, ttl=10))]
    entry = advance(NEW, look(history[:1], zone(1, ttl=1000)))
    entry = advance(entry, look(history, zone(1, ttl=10), at=after(1)))
    early = advance(entry, look(history, zone(1, ttl=10), at=after(2000)))
    late = advance(early, look(history, zone(1, ttl=10), at=after(2001)))
    assert (1000, 10) == (early.names[OWNER].ttl_seconds, late.names[OWNER].ttl_seconds)


def test_a_name_that_never_had_records_has_no_entry() -> None:
    """There is nothing a cache could hold."""
    assert NEW == advance(NEW, look([commit("c0")], {}, {}))


def test_an_emptied_name_becomes_free_after_twice_its_ttl() -> None:
    """Counted from the first look at which base and every server are empty."""
    history = [commit("c1", zone(1)), commit("c2")]
    entry = advance(NEW, look(history[:1], zone(1)))
    assert free_at(advance(entry, look(history, zone(1), {}, at=after(5))).names[OWNER]) is None
    assert after(7 + 2 * TTL) == free_at(advance(entry, look(history, {}, {}, at=after(7))).names[OWNER])


def test_a_proposal_for_an_emptied_name_begins_the_count_anew() -> None:
    """What is pending may be in a cache before anybody looks again."""
    emptied = ApexEntry(names={OWNER: NameEntry(TTL, "c2", START)})
    pending = Pending("run", "c2", None, frozenset({record(1)}))
    entry = advance(replace(emptied, pending=pending), look([commit("c2")], {}, at=after(9)))
    assert None is entry.names[OWNER].empty_since


def test_records_between_two_looks_begin_the_count_anew() -> None:
    """Empty now and empty before is not empty all the time."""
    emptied = ApexEntry(names={OWNER: NameEntry(TTL, "c2", START)})
    history = [commit("c2"), commit("c3", zone(1, ttl=500)), commit("c4")]
    name = advance(emptied, look(history, {}, at=after(9))).names[OWNER]
    assert (after(9), 500) == (name.empty_since, name.ttl_seconds)


def test_a_name_is_not_empty_while_one_address_of_a_server_shows_records() -> None:
    """What all addresses agree on is nothing, and yet a cache gets records from one of them."""
    emptied = ApexEntry(names={OWNER: NameEntry(TTL, "c2", START)})
    split = replace(server({}), differing=frozenset({OWNER}))
    seen = ApexSeen(after(9), repo(commit("c2")), (split, server({}, "ns2")))
    assert None is advance(emptied, seen).names[OWNER].empty_since


def test_a_lost_ledger_knows_from_history_that_a_name_had_records() -> None:
    """It counts from now, with the largest TTL there ever was."""
    history = [commit("c1", zone(1, ttl=900)), commit("c2")]
    name = advance(NEW, look(history, {}, at=after(3))).names[OWNER]
    assert (after(3), 900) == (name.empty_since, name.ttl_seconds)


def test_readiness_counts_twice_the_ttl() -> None:
    """In seconds after the evidence began."""
    assert timedelta(seconds=2 * TTL) == ready_at(Evidence(START, "c1", TTL)) - START


def test_a_repository_without_a_line_is_read_as_a_whole() -> None:
    """Nothing is known about when the commits were made."""
    seen = DnsRepoSeen(commit("c1", zone(1)), (commit("c0", zone(2, ttl=700)), commit("c1", zone(1))), {})
    entry = advance(NEW, ApexSeen(START, seen, (ServerSeen("ns1", zone(1)),)))
    assert 700 == entry.names[OWNER].ttl_seconds


WHOLE = TlsaParams(3, 0, 1)
MIXED = zone(1, record(1, params=WHOLE))


def test_a_combination_that_left_a_name_is_remembered() -> None:
    """A cache may go by it alone; it counts from the look in which every server was without it."""
    history = [commit("c1", MIXED), commit("c2", zone(1))]
    assert {WHOLE: None} == advance(NEW, look(history, MIXED, zone(1))).names[OWNER].gone
    gone = advance(NEW, look(history, zone(1), zone(1), at=after(3))).names[OWNER]
    assert ({WHOLE: after(3)}, after(3 + 2 * TTL)) == (gone.gone, gone_at(gone, WHOLE))


def test_a_combination_is_gone_when_all_servers_said_so() -> None:
    """One of them was silent, so the moment is not known yet."""
    history = [commit("c1", MIXED), commit("c2", zone(1))]
    unsure = advance(NEW, look(history, zone(1), None))
    assert {WHOLE: None} == unsure.names[OWNER].gone
    assert {WHOLE: after(5)} == advance(unsure, look(history, zone(1), zone(1), at=after(5))).names[OWNER].gone


def test_a_combination_is_forgotten_after_twice_the_ttl() -> None:
    """And not a second before."""
    history = [commit("c1", MIXED), commit("c2", zone(1))]
    entry = advance(NEW, look(history, zone(1)))
    assert entry == advance(entry, look(history, zone(1), at=after(2 * TTL - 1)))
    assert {} == advance(entry, look(history, zone(1), at=after(2 * TTL))).names[OWNER].gone


def test_a_combination_that_came_back_between_two_looks_counts_anew() -> None:
    """It was in base for a moment, and in some cache for longer."""
    entry = advance(NEW, look([commit("c1", MIXED), commit("c2", zone(1))], zone(1)))
    history = [commit("c1", MIXED), commit("c2", zone(1)), commit("c3", MIXED), commit("c4", zone(1))]
    assert {WHOLE: after(50)} == advance(entry, look(history, zone(1), at=after(50))).names[OWNER].gone


def test_a_combination_that_is_proposed_again_and_does_not_come_is_still_remembered() -> None:
    """A proposal is no reason to forget what caches hold."""
    entry = advance(NEW, look([commit("c1", MIXED), commit("c2", zone(1))], zone(1)))
    seen = look([commit("c2", zone(1))], zone(1), at=after(9), head=commit("h1", MIXED))
    assert {WHOLE: START} == advance(entry, seen).names[OWNER].gone


def test_a_combination_of_somebody_else_is_remembered_too() -> None:
    """Its record was in another part of the zone, so no commit of ours tells of it."""
    entry = advance(NEW, look([commit("c1", zone(1))], MIXED))
    gone = advance(entry, look([commit("c1", zone(1))], zone(1), at=after(7))).names[OWNER].gone
    assert {WHOLE: after(7)} == gone


@pytest.mark.parametrize("behind", [zone(FOREIGN)[OWNER], Rrset(TTL, frozenset())])
def test_an_alias_counts_as_records_that_caches_hold(behind: Rrset) -> None:
    """Also where nobody knows what is at its end: once it is gone the name is free 2 x TTL later, and not at once."""
    history = [commit("c0")]
    seen = look(history, {})
    aliased = replace(seen.servers[0], answers={OWNER: behind}, aliases={OWNER: "alias"}, differing=frozenset({OWNER}))
    entry = advance(NEW, replace(seen, servers=(aliased,)))

    assert (TTL, None) == (entry.names[OWNER].ttl_seconds, entry.names[OWNER].empty_since)

    gone = advance(entry, look(history, {}, at=after(100)))

    assert after(100 + 2 * TTL) == free_at(gone.names[OWNER])
