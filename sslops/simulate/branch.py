"""The branch that proposals lie on: what it has, where it left the base, and what git makes of both.

As `proposals/branch.py` has it: each move is a commit of its own that nobody saw before, and the branch counts
until it is merged, whatever a forge says of the request.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING

from sslops.model.tlsa import EMPTY, Rrset

if TYPE_CHECKING:
    from sslops.model.observations import Zone
    from sslops.model.tlsa import TlsaRecord


Views = tuple["Zone", ...]
"""The include file of one apex in each of the `tlsa_dirs`."""
Content = Mapping[str, Views]
"""All include files, by apex."""


@dataclass(frozen=True, slots=True)
class Head:
    """The commit that a branch of proposals points to: its name, which no other has, and its *content*.

    *start* is what the base had where the branch left it; null once the base has the commit itself.
    """

    commit: str
    content: Content
    start: Content | None

    def brings(self, apex: str, base: Content) -> tuple[Views, ...]:
        """Return what an apex may have once the branch is merged; nothing when a merge changes nothing there."""
        if self.start is None or self.content[apex] == base[apex]:
            return ()
        merged = None if self.start[apex] == base[apex] else self.merged(base)
        return (self.content[apex],) if merged is None else (self.content[apex], merged[apex])

    def has_exactly(self, zones: Mapping[str, Zone], base: Content) -> bool:
        """Whether a merge makes the apexes of *zones* have just that in every folder, and changes nothing else."""
        if self.start is None or {apex for apex in base if self.start[apex] != self.content[apex]} != zones.keys():
            return False
        return all(
            self.start[apex] == base[apex] and all(view == zone for view in self.content[apex])
            for apex, zone in zones.items()
        )

    def merged(self, base: Content) -> Content | None:
        """Return what git's merge makes of *base*; null when there is nothing to merge, or when it conflicts."""
        if self.start is None:
            return None
        found = {apex: _views(self.start[apex], base[apex], self.content[apex]) for apex in base}
        return None if None in found.values() else {apex: views for apex, views in found.items() if views is not None}


def _views(start: Views, ours: Views, theirs: Views) -> Views | None:
    merged = tuple(_zone(*sides) for sides in zip(start, ours, theirs, strict=True))
    return None if None in merged else tuple(zone for zone in merged if zone is not None)


def _zone(start: Zone, ours: Zone, theirs: Zone) -> Zone | None:
    found: Zone = {}
    for owner in sorted(start.keys() | ours.keys() | theirs.keys()):
        rrset = _rrset(*(side.get(owner, EMPTY) for side in (start, ours, theirs)))
        if rrset is None:
            return None
        if rrset.records:
            found[owner] = rrset
    return found


def _rrset(start: Rrset, ours: Rrset, theirs: Rrset) -> Rrset | None:
    """Merge one owner, line by line; null where it conflicts."""
    if ours in (start, theirs):
        return theirs
    if start == theirs:
        return ours
    if not start.ttl_seconds == ours.ttl_seconds == theirs.ttl_seconds:
        return None  # the TTL stands on every line
    records = _together(start.records, ours.records, theirs.records)
    return None if records is None else Rrset(start.ttl_seconds, records)


def _together(
    start: frozenset[TlsaRecord], ours: frozenset[TlsaRecord], theirs: frozenset[TlsaRecord]
) -> frozenset[TlsaRecord] | None:
    """Merge record by record, which is more than git dares; a combination that one side took away whole conflicts."""
    for params in {record.params for record in start | ours | theirs}:
        was, here, there = (
            frozenset(record for record in side if record.params == params) for side in (start, ours, theirs)
        )
        if was not in (here, there) and here != there and not (here and there):
            return None
    return (start | ours | theirs) - (start - ours) - (start - theirs)
