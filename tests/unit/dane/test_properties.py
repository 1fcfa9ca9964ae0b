"""The rules against their own words in the design, on whatever hypothesis thinks of."""

from __future__ import annotations

from dataclasses import replace
from datetime import datetime, timedelta

from hypothesis import given, settings
from hypothesis import strategies as st

from sslops.dane.evidence import advance
from sslops.dane.may_serve import Gate
from sslops.model.ledger import ApexEntry, Evidence, Ledger, Lowered, NameEntry, Pending
from sslops.model.observations import ApexSeen, BaseCommit, DnsRepoSeen, ServerSeen, Zone
from sslops.model.tlsa import EMPTY, Rrset, TlsaParams, TlsaRecord
from tests.unit.dane.builders import APEX, OWNER, SERVICE, START, after, gen, keys, name, spki

COMBINATIONS = (TlsaParams(3, 1, 1), TlsaParams(3, 0, 1))
NUMBERS = (1, 2)
records = st.builds(
    TlsaRecord,
    st.just(OWNER),
    st.sampled_from(COMBINATIONS[:1] * 4 + COMBINATIONS[1:]),
    st.sampled_from([*map(spki, NUMBERS)]),
)
rrsets = st.builds(Rrset, st.sampled_from((5, 10, 40)), st.frozensets(records, max_size=3))
zones = rrsets.map(lambda rrset: {OWNER: rrset} if rrset.records else {})
moments = st.integers(0, 200).map(after)
COMMITS = ("c0", "c1", "c2", "c3")


@st.composite
def histories(draw: st.DrawFn, *, size: int = len(COMMITS)) -> tuple[BaseCommit, ...]:
    """Draw what the base went through; one folder, sometimes two that differ."""
    contents = draw(st.lists(st.lists(zones, min_size=1, max_size=1) | st.lists(zones, min_size=2, max_size=2),
                             min_size=1, max_size=size))  # fmt: skip
    return tuple(BaseCommit(COMMITS[place], tuple(views)) for place, views in enumerate(contents))


@st.composite
def servers(draw: st.DrawFn, base: BaseCommit) -> tuple[ServerSeen, ...]:
    """Draw servers, most of which show the base."""
    found = []
    for number in range(draw(st.integers(1, 2))):
        shown: Zone = draw(st.just(base.views[0]) | st.just(base.views[0]) | zones)
        error = draw(st.sampled_from((None, None, None, "timed out")))
        differing = draw(st.sampled_from((frozenset(), frozenset(), frozenset({OWNER}))))
        answers = {} if error else {OWNER: shown.get(OWNER, EMPTY)}
        found.append(ServerSeen(f"ns{number}", answers, error, frozenset() if error else differing))
    return tuple(found)


@st.composite
def looks(draw: st.DrawFn) -> ApexSeen:
    """Draw one look, the line known for all or for some of the commits."""
    history = draw(histories())
    known = draw(st.sets(st.sampled_from(COMMITS))) | {history[-1].commit}
    line = {each.commit: place for place, each in enumerate(history) if each.commit in known}
    head = draw(st.none() | st.none() | st.builds(BaseCommit, st.just("h"), st.tuples(zones)))
    return ApexSeen(draw(moments), DnsRepoSeen(history[-1], history, line, head), draw(servers(history[-1])))


proofs = st.builds(Evidence, moments, st.sampled_from(COMMITS), st.sampled_from((5, 10, 40)))
name_entries = st.builds(
    NameEntry, st.sampled_from((5, 10, 40)), st.sampled_from(COMMITS), st.none() | moments,
    st.none() | st.builds(Lowered, st.just(5), moments),
)  # fmt: skip
pendings = st.none() | st.builds(Pending, st.just("run"), st.just("c0"), st.none(), st.frozensets(records, max_size=3))
entries = st.builds(
    ApexEntry,
    pendings,
    st.dictionaries(st.just(OWNER), name_entries),
    st.dictionaries(records, proofs, max_size=4),
)


def _later(seen: ApexSeen, seconds: int) -> ApexSeen:
    """Return the same look, later; by now the line tells of every commit that the ledger names."""
    line = {each.commit: place for place, each in enumerate(seen.repo.history)}
    return replace(seen, at=seen.at + timedelta(seconds=seconds), repo=replace(seen.repo, line=line))


@given(entries, looks(), st.integers(0, 500))
def test_an_equal_look_teaches_nothing_new(entry: ApexEntry, seen: ApexSeen, seconds: int) -> None:
    """A look that changes nothing writes nothing, unless a lowered TTL or an old lack came of age meanwhile."""
    once = advance(entry, replace(seen, repo=_later(seen, 0).repo))
    twice = advance(once, _later(seen, seconds))
    assert once.records == twice.records
    changed = {owner for owner in once.names.keys() | twice.names.keys() if once.names[owner] != twice.names[owner]}
    aging = {owner for owner, name in once.names.items() if name.lowered or name.empty_since or name.gone}
    assert changed <= aging


@given(entries, looks())
def test_evidence_never_outlives_a_lack(entry: ApexEntry, seen: ApexSeen) -> None:
    """Base, every commit since, and every server that was asked have whatever has evidence."""
    for record, proof in advance(entry, seen).records.items():
        place = seen.repo.line[proof.commit]
        assert all(
            record in view.get(OWNER, EMPTY).records for commit in seen.repo.history[place:] for view in commit.views
        )
        for server in seen.servers:
            assert server.error or (record in server.answers[OWNER].records and OWNER not in server.differing)


@given(entries, looks())
def test_evidence_begins_only_where_all_servers_equal_base(entry: ApexEntry, seen: ApexSeen) -> None:
    """What is new begins now, at this base, and nobody was silent, ahead or behind."""
    for record, proof in advance(entry, seen).records.items():
        if entry.records.get(record) == proof:
            continue
        assert (seen.at, seen.repo.base.commit) == (proof.since, proof.commit)
        ours = {
            each for commit in seen.repo.history for view in commit.views for each in view.get(OWNER, EMPTY).records
        }
        shown = [server.answers[OWNER].records for server in seen.servers if not server.error]
        assert len(shown) == len(seen.servers)
        assert len(set(shown)) == 1
        assert all(view.get(OWNER, EMPTY).records == shown[0] & ours for view in seen.repo.base.views)


@given(st.lists(st.tuples(st.integers(0, 60), rrsets), min_size=1, max_size=8))
def test_the_ttl_of_a_name_never_falls_before_twice_the_old_one(steps: list[tuple[int, Rrset]]) -> None:
    """Whatever TTLs come and go, one that was seen counts until twice its length after it was seen last."""
    history: list[BaseCommit] = []
    entry, now, last_seen = ApexEntry(), START, dict[int, datetime]()
    for number, (seconds, rrset) in enumerate(steps):
        now += timedelta(seconds=seconds)
        last_seen |= dict.fromkeys((each.ttl_seconds for each in _last(history)), now)
        history.append(BaseCommit(f"d{number}", ({OWNER: rrset} if rrset.records else {},)))
        last_seen |= dict.fromkeys((each.ttl_seconds for each in _last(history)), now)
        line = {each.commit: place for place, each in enumerate(history)}
        server = ServerSeen("ns1", {OWNER: history[-1].views[0].get(OWNER, EMPTY)})
        entry = advance(entry, ApexSeen(now, DnsRepoSeen(history[-1], tuple(history), line), (server,)))
        alive = [ttl for ttl, at in last_seen.items() if now < at + timedelta(seconds=2 * ttl)]
        assert max(alive, default=0) <= (entry.names[OWNER].ttl_seconds if OWNER in entry.names else 0)


def _last(history: list[BaseCommit]) -> list[Rrset]:
    return [rrset for rrset in history[-1].views[0].values() if rrset.records] if history else []


@settings(max_examples=200)
@given(entries, looks(), moments.map(lambda at: at + timedelta(seconds=60)))
def test_a_yes_is_what_the_design_says(before: ApexEntry, seen: ApexSeen, now: datetime) -> None:
    """Every combination seen anywhere has the record: aged, on all servers, in base, its history and all proposals."""
    entry = advance(before, seen)
    gate = Gate(Ledger(apexes={APEX: entry}), {APEX: seen}, keys(*NUMBERS), (name(),), now)
    if not gate.may_serve(SERVICE, gen(2)).allowed:
        return
    assert all(not server.error and OWNER not in server.differing for server in seen.servers)
    everywhere = [view.get(OWNER, EMPTY).records for view in seen.repo.base.views]
    everywhere += [server.answers[OWNER].records for server in seen.servers]
    everywhere += [] if entry.pending is None else [entry.pending.records]
    everywhere += [] if seen.repo.head is None else [seen.repo.head.views[0].get(OWNER, EMPTY).records]
    combinations = {record.params for records_there in everywhere for record in records_there}
    if not combinations:
        emptied = entry.names.get(OWNER)
        assert emptied is None or (
            emptied.empty_since is not None and now >= emptied.empty_since + timedelta(seconds=2 * emptied.ttl_seconds)
        )
    elif OWNER in entry.names:
        lost = entry.names[OWNER]
        assert all(since and now >= since + timedelta(seconds=2 * lost.ttl_seconds) for since in lost.gone.values())
    for params in combinations:
        record = TlsaRecord(OWNER, params, spki(2))
        assert all(record in records_there for records_there in everywhere)
        proof = entry.records[record]
        assert now >= proof.since + timedelta(seconds=2 * proof.max_ttl_seconds)
