"""What publish judges by, and the questions about one owner that it answers."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from sslops.dane.evidence import proposals, ready_at
from sslops.dane.transitions import NameSeen
from sslops.model.ledger import ApexEntry
from sslops.model.names import CA_GROUP
from sslops.model.plan import Consents
from sslops.model.tlsa import EMPTY, Rrset

if TYPE_CHECKING:
    from collections.abc import Mapping
    from datetime import datetime

    from sslops.dane.first_use import AddressSeen
    from sslops.dane.names import DaneName, Owners
    from sslops.dane.records import Keys
    from sslops.model.inventory import Inventory
    from sslops.model.ledger import Ledger
    from sslops.model.seen import ApexSeen, DnsRepoSeen
    from sslops.model.state import Branches
    from sslops.model.tlsa import TlsaRecord


@dataclass(frozen=True, slots=True)
class World:
    """What publish judges by: *ledger* after the look; *repo* has all active apexes, *seen* those looked at."""

    inventory: Inventory
    branches: Branches
    ledger: Ledger
    owners: Owners
    keys: Keys
    repo: Mapping[str, DnsRepoSeen]
    seen: Mapping[str, ApexSeen]
    now: datetime
    addresses: Mapping[str, tuple[AddressSeen, ...]] = field(default_factory=dict)
    """Owner name to what each address of its host shows; only needed for the owners of `to_be_asked`."""
    consents: Consents = Consents()
    failed: Mapping[str, str] = field(default_factory=dict)
    """Apex to the reason why it could not be looked at."""

    def names(self, apex: str, owner: str) -> tuple[DaneName, ...]:
        """Return what the inventory asks for at *owner*: one entry for each service and combination."""
        return tuple(name for name in self.owners.names if (name.apex, name.owner) == (apex, owner))

    def entry(self, apex: str) -> ApexEntry:
        """Return the apex on the ledger, empty when it was never looked at."""
        return self.ledger.apex(apex) or ApexEntry()

    def current(self, apex: str, owner: str) -> Rrset:
        """Return what base has at *owner*, in whichever view."""
        rrsets = self.repo[apex].base.rrsets(owner) if apex in self.repo else ()
        records = frozenset(record for rrset in rrsets for record in rrset.records)
        return Rrset(max((rrset.ttl_seconds for rrset in rrsets), default=0), records)

    def name_seen(self, apex: str, owner: str) -> NameSeen:
        """Return what is published at *owner*, by source."""
        base, seen, pending = self.current(apex, owner).records, self.seen.get(apex), self.entry(apex).pending
        if seen is None:
            return NameSeen(base)
        proposed = (r for found in proposals(pending, seen) for r in found if r.owner == owner)
        shown = [server.answers.get(owner, EMPTY).records for server in seen.servers]
        commits = (*seen.repo.history, seen.repo.base)
        return NameSeen(
            base=base,
            servers=frozenset().union(*shown),
            proposed=frozenset(proposed),
            underway=frozenset(r for r in pending.records if r.owner == owner) if pending else frozenset(),
            everywhere=frozenset.intersection(*shown) if shown else frozenset(),
            past=frozenset(r for commit in commits for rrset in commit.rrsets(owner) for r in rrset.records),
            views=tuple(rrset.combinations for rrset in seen.repo.base.rrsets(owner)),
        )

    def ready(self, apex: str, owner: str) -> dict[TlsaRecord, datetime]:
        """Return the records of *owner* with evidence, and from when on no cache can lack each."""
        records = self.entry(apex).records
        return {record: ready_at(proof) for record, proof in records.items() if record.owner == owner}


def active_apexes(inventory: Inventory) -> tuple[str, ...]:
    """Return the apexes that have an include file: every active group but `ca`, sorted."""
    return tuple(sorted(domain for domain, group in inventory.groups.items() if group.active and domain != CA_GROUP))
