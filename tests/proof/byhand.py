"""What people do by hand to the include files and to the ledger: they look first, and break nothing at that moment."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

from sslops.model.names import CA_GROUP
from sslops.model.tlsa import EMPTY, Rrset
from sslops.simulate.world import is_of_strangers
from tests.unit.dane.builders import APEX

if TYPE_CHECKING:
    from collections.abc import Sequence

    from sslops.dane.records import Keys
    from sslops.model.names import GenerationId, ServiceId
    from sslops.model.observations import Zone
    from sslops.simulate.dns import Line
    from sslops.simulate.world import World


class ByHand:
    """The part of a life that is people's own work."""

    world: World

    @property
    def line(self) -> Line:
        """The include file's line."""
        return self.world.dns.lines[APEX]

    def commit_by_hand(self, views: Sequence[Zone]) -> None:
        """Write the include file of each folder."""
        self.world.dns.commit({APEX: tuple(views)})

    def empty_by_hand(self) -> None:
        """Take every record out."""
        self.commit_by_hand([{}] * len(self.line.views))

    def drop_by_hand(self, service: ServiceId, generation: GenerationId, *, first_folder: int = 0) -> None:
        """Take the records of one generation out, for nobody seems to need them: of every folder, or the last ones."""
        kept = self.line.views[:first_folder]
        self.commit_by_hand(
            [*kept, *(self._without(view, service, generation) for view in self.line.views[first_folder:])]
        )

    def _without(self, view: Zone, service: ServiceId, generation: GenerationId) -> Zone:
        """Return *view* without what tells of one key, where something of each kind is left."""
        keys, found = self.world.keys, dict(view)
        for owner, rrset in view.items():
            own = [params for params in rrset.combinations if params.usage == 3]
            left = rrset.records.difference(*(keys.matching(owner, params, service, generation) for params in own))
            if {record.params for record in left} == rrset.combinations:
                found[owner] = replace(rrset, records=left)
        return found

    def restore_by_hand(self) -> None:
        """Put back what the last commit took away, where it matches all that may be served."""
        if len(self.line.commits) > 1:
            self.commit_by_hand(list(map(self._restored, self.line.commits[-2].views, self.line.views)))

    def _restored(self, before: Zone, view: Zone) -> Zone:
        found = dict(view)
        for owner, old in before.items():
            back = Rrset(old.ttl_seconds, old.records | view.get(owner, EMPTY).records)
            if self._matches_everything(owner, back):
                found[owner] = back
        return found

    def unneeded(self) -> list[tuple[ServiceId, GenerationId]]:
        """Return the generations that no slot, host, receiver or run may need, sorted."""
        ops = self.world.ops
        needed = self.may_be_served() | {
            (service, slot)
            for state in (ops.main, ops.next, ops.main if ops.roll is None else ops.roll.state)
            for service, found in state.services.items()
            for slot in (found.slots.curr, found.slots.next)
            if slot is not None
        }  # fmt: skip
        return sorted(
            version for version in self.world.keys.generations if version not in needed and version[0].group != CA_GROUP
        )

    def may_be_served(self) -> set[tuple[ServiceId, GenerationId]]:
        """Return what hosts serve, or will when they restart, or when a receiver wakes up; and what the ledger says."""
        found = set()
        for host in self.world.hosts.values():
            found |= {*host.serving.items(), *host.files.items()}
            found |= {(p.service, p.generation) for _, shipment in host.under_way for p in shipment.parcels}
        for entry in self.world.ops.ledger.hosts.values():
            found |= {(s, key) for s, served in entry.services.items() for key in served.may_serve if key}
        return found

    @property
    def has_strangers(self) -> bool:
        """Whether some host still shows what is not ours."""
        return any(host.is_strange for host in self.world.hosts.values())

    def _matches_everything(self, owner: str, rrset: Rrset) -> bool:
        keys: Keys = self.world.keys
        return (not self.has_strangers or is_of_strangers(rrset.records)) and all(
            keys.matching(owner, params, *version) & rrset.records
            for version in self.may_be_served()
            for params in rrset.combinations
        )

    def lose_the_ledger(self) -> None:
        """Let somebody delete the branch `ledger`."""
        self.world.ops.lose_the_ledger()
