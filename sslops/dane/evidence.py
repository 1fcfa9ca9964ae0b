"""Since when a record can be relied on: how one look at DNS changes an apex's entry on the ledger.

Evidence is kept per record. It begins when every server shows the same RRset and, of the records that are ours,
exactly those of the DNS base; it ends with any later commit of the base, or any look at any server, that lacks the
record. The base's history is read each time, because two looks that agree say nothing about the time between them.
"""

from __future__ import annotations

from dataclasses import replace
from datetime import timedelta
from functools import partial
from itertools import pairwise
from typing import TYPE_CHECKING

from sslops.dane.records import CA_USAGES
from sslops.model.derived import derived, grouped
from sslops.model.ledger import ApexEntry, Evidence, Lowered, NameEntry

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Mapping
    from datetime import datetime

    from sslops.dane.records import Keys
    from sslops.model.ledger import Pending
    from sslops.model.names import ServiceId
    from sslops.model.observations import ApexSeen, BaseCommit, DnsRepoSeen
    from sslops.model.tlsa import Rrset, TlsaParams, TlsaRecord


TTL_FACTOR = 2
"""A resolver may have asked just before the last server changed, and clocks differ: twice, as RFC 7671 section 8.1."""


def advance(entry: ApexEntry, seen: ApexSeen) -> ApexEntry:
    """Return *entry* as it stands after the look *seen*; equal to *entry* when the look taught nothing."""
    entry = bounded_by_history(entry, seen)
    names = {owner: name for owner in _known_owners(entry, seen) if (name := _name_after(owner, entry, seen))}
    kept = {record: proof for record, proof in entry.records.items() if not is_broken(record, proof, seen)}
    begun = {
        record: Evidence(seen.at, seen.repo.base.commit, names[owner].ttl_seconds)
        for owner in sorted(seen.repo.base.owners())
        if servers_agree_with_base(owner, seen)
        for record in seen.repo.base.rrsets(owner)[0].records
        if record not in kept
    }
    return replace(entry, names=names, records=kept | begun)


def bounded_by_history(entry: ApexEntry, seen: ApexSeen) -> ApexEntry:
    """Return *entry* with nothing older, and no TTL smaller, than the history of the DNS base shows.

    The ledger can be written by others: what it claims may make a step wait, never hurry. A record is not seen before
    the commit that brought it, a name not empty before the one that emptied it, and an RRset that a cache could still
    hold then counts with its TTL. A commit that claims to be made after the look tells nothing.
    """
    return replace(
        entry,
        records={record: _bounded_evidence(record, proof, seen) for record, proof in entry.records.items()},
        names={owner: _bounded_name(owner, name, seen) for owner, name in entry.names.items()},
    )


def _bounded_evidence(record: TlsaRecord, proof: Evidence, seen: ApexSeen) -> Evidence:
    since = _not_before(proof.since, lambda commit: commit.has(record), seen)
    past = _outlived_ttl(lambda commit: _without(record, commit), since, seen)
    return Evidence(since, proof.commit, max(proof.max_ttl_seconds, past))


def _without(record: TlsaRecord, commit: BaseCommit) -> list[Rrset]:
    return [rrset for rrset in commit.rrsets(record.owner) if record not in rrset.records]


def _bounded_name(owner: str, name: NameEntry, seen: ApexSeen) -> NameEntry:
    def rrsets(commit: BaseCommit) -> tuple[Rrset, ...]:
        return commit.rrsets(owner)

    empty_since = name.empty_since
    if empty_since is not None:
        empty_since = _not_before(empty_since, lambda commit: not _combinations(rrsets(commit)), seen)
    lowered = name.lowered
    if lowered is not None:
        ttl = lowered.ttl_seconds
        lowered = Lowered(ttl, _not_before(lowered.since, lambda one: _largest_ttl(rrsets(one)) <= ttl, seen))
    past = _outlived_ttl(rrsets, empty_since or seen.at, seen)
    bounded = replace(
        name, ttl_seconds=max(name.ttl_seconds, past), empty_since=empty_since, lowered=lowered, gone=dict(name.gone)
    )
    if empty_since is None:
        bounded = replace(bounded, gone=_bounded_gone(owner, bounded, seen))
    return bounded


def _bounded_gone(owner: str, name: NameEntry, seen: ApexSeen) -> dict[TlsaParams, datetime | None]:
    """Return what the name lost, with what its entry does not tell although a cache may still go by it."""
    present = _combinations(seen.repo.base.rrsets(owner))
    rrsets = [rrset for commit in seen.repo.history for rrset in commit.rrsets(owner)]
    found = dict(name.gone)
    for params in _combinations(rrsets) - present:
        start = _began(partial(_lacks, owner, params), seen)
        ttl = _largest_ttl(rrset for rrset in rrsets if params in rrset.combinations)
        if start is None or start + timedelta(seconds=TTL_FACTOR * ttl) <= seen.at:
            continue
        known = found.get(params, start)
        found[params] = None if known is None else max(known, start)
    return found


def _lacks(owner: str, params: TlsaParams, commit: BaseCommit) -> bool:
    return params not in _combinations(commit.rrsets(owner))


def _not_before(moment: datetime, holds: Callable[[BaseCommit], bool], seen: ApexSeen) -> datetime:
    """Return *moment*, or when the base began to be as *holds* says, whichever is later."""
    start = _began(holds, seen)
    return moment if start is None else max(moment, start)


def _began(holds: Callable[[BaseCommit], bool], seen: ApexSeen) -> datetime | None:
    """Return since when every commit of the base has been as *holds* says; null where no commit tells."""
    start: BaseCommit | None = None
    for commit in reversed(seen.repo.history):
        if not holds(commit):
            break
        start = commit
    return _told(start, seen)


def _told(commit: BaseCommit | None, seen: ApexSeen) -> datetime | None:
    return None if commit is None or commit.at is None or commit.at > seen.at else commit.at


def _outlived_ttl(rrsets: Callable[[BaseCommit], Iterable[Rrset]], moment: datetime, seen: ApexSeen) -> int:
    """Return the largest TTL of the *rrsets* of former commits of the base that a cache could hold at *moment*."""
    largest = 0
    for commit, following in pairwise(seen.repo.history):
        end, ttl = _told(following, seen), _largest_ttl(rrsets(commit))
        if end is not None and end + timedelta(seconds=TTL_FACTOR * ttl) > moment:
            largest = max(largest, ttl)
    return largest


def first_entry(seen: ApexSeen) -> ApexEntry:
    """Return the entry of an apex that the ledger does not know, before the look *seen*.

    Records of ours in base are those of a ledger that was lost.
    """
    return ApexEntry(rebuilt_at=seen.at if seen.repo.maybe_by_us else None)


def ready_at(evidence: Evidence) -> datetime:
    """Return the moment from which no cache can hold an RRset without the record."""
    return evidence.since + timedelta(seconds=TTL_FACTOR * evidence.max_ttl_seconds)


def free_at(name: NameEntry) -> datetime | None:
    """Return the moment from which no cache can hold any record of the name; null while it has records."""
    if name.empty_since is None:
        return None
    return name.empty_since + timedelta(seconds=TTL_FACTOR * name.ttl_seconds)


def proposals(pending: Pending | None, seen: ApexSeen) -> tuple[frozenset[TlsaRecord], ...]:
    """Return the record sets that may become the base at any moment: what is pending, and the open proposal."""
    found = [] if pending is None else [pending.records]
    if seen.repo.head is not None:
        found += records_by_view(seen.repo.head)
    return tuple(found)


@derived
def records_by_view(commit: BaseCommit) -> tuple[frozenset[TlsaRecord], ...]:
    """Return all records of each view of *commit*."""
    return tuple(frozenset(record for rrset in view.values() for record in rrset.records) for view in commit.views)


def is_proposed(owner: str, pending: Pending | None, seen: ApexSeen) -> bool:
    """Whether some record set that may become the base has a record at *owner*."""
    if pending is not None and owner in pending_at(pending):
        return True
    return seen.repo.head is not None and any(rrset.records for rrset in seen.repo.head.rrsets(owner))


@derived
def pending_at(pending: Pending) -> Mapping[str, tuple[TlsaRecord, ...]]:
    """Return owner to the records that a publish is about to propose there."""
    return grouped((record.owner, record) for record in pending.records)


@derived
def evidence_at(entry: ApexEntry) -> Mapping[str, tuple[TlsaRecord, ...]]:
    """Return owner to its records with evidence."""
    return grouped((record.owner, record) for record in entry.records)


def had_records(owner: str, service: ServiceId, repo: DnsRepoSeen, keys: Keys) -> bool:
    """Whether the base ever had, at *owner*, a record about a key or certificate of *service* itself.

    The record of a CA tells nothing: it matches whatever the CA signed. Nor does one of a generation that is lost.
    """
    commits = (*repo.history, repo.base)
    past = frozenset(record for commit in commits for rrset in commit.rrsets(owner) for record in rrset.records)
    own = {record.params for record in past if record.params.usage not in CA_USAGES}
    return any(
        not past.isdisjoint(keys.matching(owner, params, service, each)) for params in own for each in keys.ids(service)
    )


def _known_owners(entry: ApexEntry, seen: ApexSeen) -> list[str]:
    shown = {owner for server in seen.servers for owner in server.answers}
    past = {owner for commit in seen.repo.history for owner in commit.owners()}
    return sorted(entry.names.keys() | shown | past)


def is_broken(record: TlsaRecord, proof: Evidence, seen: ApexSeen) -> bool:
    """Whether a commit of the base since *proof* began, or a server that was asked now, lacks *record*."""
    line = seen.repo.since(proof.commit)
    if line is None or not all(commit.has(record) for commit in (*line, seen.repo.base)):
        return True
    return any(server.shows(record) is False for server in seen.servers)


def servers_agree_with_base(owner: str, seen: ApexSeen) -> bool:
    """Whether every server shows the same records at *owner*, and of those that are ours exactly those of base."""
    shown = _shown(owner, seen)
    if shown is None:
        return False
    ours = frozenset(
        record
        for commit in (*seen.repo.history, seen.repo.base)
        for rrset in commit.rrsets(owner)
        for record in rrset.records
    )
    wanted = {rrset.records for rrset in seen.repo.base.rrsets(owner)}
    return len({rrset.records for rrset in shown}) == 1 and wanted == {shown[0].records & ours}


def _shown(owner: str, seen: ApexSeen) -> tuple[Rrset, ...] | None:
    """Return what each server shows for *owner*; null unless every server answered, with one voice."""
    if not seen.servers:
        return None
    if any(server.error or owner not in server.answers or owner in server.differing for server in seen.servers):
        return None
    return tuple(server.answers[owner] for server in seen.servers)


def _name_after(owner: str, entry: ApexEntry, seen: ApexSeen) -> NameEntry | None:
    old = entry.names.get(owner)
    past = _line_since(old, seen)
    current = [*seen.repo.base.rrsets(owner)]
    current += [server.answers[owner] for server in seen.servers if owner in server.answers]
    ever = [rrset for commit in past for rrset in commit.rrsets(owner)] + current
    # Records at the end of an alias are in caches too, also where nobody knows which.
    aliases = [server.answers[owner] for server in seen.servers if owner in server.aliases]
    behind_alias = max((rrset.ttl_seconds for rrset in aliases), default=0)
    if old is None and not behind_alias and not any(rrset.records for rrset in ever):
        return None
    start = old or NameEntry(0, seen.repo.base.commit)
    if behind_alias or any(rrset.records for rrset in current):
        longest = max(_largest_ttl(current), behind_alias)
        new = _with_records(start, max(_largest_ttl(ever), longest), longest, owner, seen)
        new = replace(new, gone=_gone(start, new, past, owner, seen))
    else:
        new = _without_records(start, owner, entry.pending, past, seen)
        new = replace(new, ttl_seconds=max(new.ttl_seconds, _largest_ttl(ever)))
    return start if new == start and old is not None else replace(new, commit=seen.repo.base.commit)


def gone_at(name: NameEntry, params: TlsaParams) -> datetime | None:
    """Return the moment from which no cache can use *params*, which the name lost; null while that is not known."""
    since = name.gone[params]
    return None if since is None else since + timedelta(seconds=TTL_FACTOR * name.ttl_seconds)


def _gone(
    old: NameEntry, new: NameEntry, past: tuple[BaseCommit, ...], owner: str, seen: ApexSeen
) -> Mapping[TlsaParams, datetime | None]:
    """Return the combinations that a cache may hold although base has them no more.

    One that some server still shows is among them: the entry's commit may move on before that server does.
    """
    lately = _combinations(rrset for commit in past for rrset in commit.rrsets(owner))
    shown = _combinations(server.answers[owner] for server in seen.servers if owner in server.answers)
    begun = None if _shown(owner, seen) is None else seen.at
    since = {
        params: None if params in shown else begun if params in lately else old.gone[params] or begun
        for params in sorted((lately | shown | old.gone.keys()) - _combinations(seen.repo.base.rrsets(owner)))
    }
    over = timedelta(seconds=TTL_FACTOR * new.ttl_seconds)
    return {params: moment for params, moment in since.items() if moment is None or moment + over > seen.at}


def _combinations(rrsets: Iterable[Rrset]) -> frozenset[TlsaParams]:
    return frozenset(params for rrset in rrsets for params in rrset.combinations)


def _line_since(old: NameEntry | None, seen: ApexSeen) -> tuple[BaseCommit, ...]:
    """Return what the base was since the entry was written; all of its history when that is not known."""
    line = None if old is None else seen.repo.since(old.commit)
    return seen.repo.history if line is None else line


def _largest_ttl(rrsets: Iterable[Rrset]) -> int:
    return max((rrset.ttl_seconds for rrset in rrsets if rrset.records), default=0)


def _with_records(old: NameEntry, largest: int, current: int, owner: str, seen: ApexSeen) -> NameEntry:
    free = free_at(old)
    if free is not None and free <= seen.at:
        old = NameEntry(0, old.commit)
    ttl_seconds = max(old.ttl_seconds, largest)
    if current >= ttl_seconds:
        return NameEntry(ttl_seconds, old.commit)
    steady = old.lowered is not None and {old.lowered.ttl_seconds} == {largest, current}
    if not steady:
        begun = None if _shown(owner, seen) is None else Lowered(current, seen.at)
        return NameEntry(ttl_seconds, old.commit, lowered=begun)
    if _shown(owner, seen) is not None and _has_outlived(old, seen.at):
        return NameEntry(current, old.commit)
    return NameEntry(ttl_seconds, old.commit, lowered=old.lowered)


def _has_outlived(old: NameEntry, now: datetime) -> bool:
    """Whether the smaller TTL stood long enough for every cache to have dropped the larger one."""
    return old.lowered is not None and now - old.lowered.since >= timedelta(seconds=TTL_FACTOR * old.ttl_seconds)


def _without_records(
    old: NameEntry, owner: str, pending: Pending | None, past: tuple[BaseCommit, ...], seen: ApexSeen
) -> NameEntry:
    proposed = is_proposed(owner, pending, seen)
    # Where the addresses of a server disagree, one of them still shows records.
    if proposed or any(owner in server.differing for server in seen.servers):
        return replace(old, empty_since=None, lowered=None, gone={})
    was_empty_since = old.empty_since
    if any(rrset.records for commit in past for rrset in commit.rrsets(owner)):
        was_empty_since = None
    if was_empty_since is None and _shown(owner, seen) is not None:
        was_empty_since = seen.at
    return replace(old, empty_since=was_empty_since, lowered=None, gone={})
