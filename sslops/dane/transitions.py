"""Which records may come and go: the rules `may_publish` and `may_withdraw` of design section 2, for one name.

>>> from sslops.dane.transitions import Needed
>>> Needed(frozenset(), ("smtp1",)).is_known
False
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from sslops.dane.records import is_supported

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

    from sslops.dane.names import DaneName
    from sslops.dane.records import Keys
    from sslops.model.ledger import Ledger
    from sslops.model.names import GenerationId, ServiceId
    from sslops.model.seen import PortSeen
    from sslops.model.state import Branches
    from sslops.model.tlsa import TlsaRecord


@dataclass(frozen=True, slots=True)
class Needed:
    """The generations of a service that some slot or host needs, and the hosts that nothing is known about."""

    ids: frozenset[GenerationId]
    unknown: tuple[str, ...] = ()

    @property
    def is_known(self) -> bool:
        """Whether the list is complete, so that a record outside it may go."""
        return not self.unknown


@dataclass(frozen=True, slots=True)
class NameSeen:
    """What is published under one owner now, by source."""

    base: frozenset[TlsaRecord]
    servers: frozenset[TlsaRecord] = frozenset()
    proposed: frozenset[TlsaRecord] = frozenset()
    """What a pending or open proposal would add or keep."""

    @property
    def is_empty(self) -> bool:
        """Whether the next record would be the first one of ours.

        A proposal that did not land does not count, nor does a server that still shows what base has no more.
        """
        return not self.base


@dataclass(frozen=True, slots=True)
class AddressSeen:
    """What the port of one address of a name showed."""

    address: str
    port: int
    seen: PortSeen


@dataclass(frozen=True, slots=True)
class FirstUse:
    """What is known before the first record: the hosts that serve, what each is proven to, the name's addresses."""

    curr: GenerationId | None
    cert_sha256: str | None
    hosts: Mapping[str, GenerationId | None] = field(default_factory=dict)
    addresses: tuple[AddressSeen, ...] = ()

    def unproven_host(self) -> str | None:
        """Return a host that is not settled on `curr`; the empty string when no host serves at all."""
        if self.curr is None or not self.hosts:
            return ""
        return next((host for host, settled in sorted(self.hosts.items()) if settled != self.curr), None)

    def unproven_address(self) -> str | None:
        """Return an address that does not show the certificate of `curr`; the empty string when there is none."""
        if self.cert_sha256 is None or not self.addresses:
            return ""
        shown = {entry.address: False for entry in self.addresses}
        for entry in self.addresses:
            if entry.seen.error is None and not entry.seen.shows_only(self.cert_sha256):
                return f"{entry.address}:{entry.port}"
            shown[entry.address] |= entry.seen.error is None
        return next((address for address, answered in sorted(shown.items()) if not answered), None)


def needed(
    service: ServiceId, branches: Branches, ledger: Ledger, serving: Iterable[str], exempt: frozenset[str]
) -> Needed:
    """Collect what must stay published: slots of both branches, and what any host may serve.

    *serving* are the hosts that get the service by the inventory; *exempt* those that only keep copies. A host that
    left the inventory counts until its ledger entry ends.
    """
    states = (branches.main[service], branches.next[service])
    ids = {slot for state in states for slot in (state.slots.curr, state.slots.next) if slot}
    unknown = {host for host in serving if service not in ledger.host(host).services}
    for host, entry in ledger.hosts.items():
        if service in entry.services and host not in exempt:
            may_serve = entry.services[service].may_serve
            ids |= {generation for generation in may_serve if generation}
            unknown |= {host} if None in may_serve else set()
    return Needed(frozenset(ids), tuple(sorted(unknown)))


def parked(name: DaneName, rivals: Iterable[DaneName], seen: NameSeen, keys: Keys) -> str | None:
    """Return why nothing may change under this owner yet; null when it is one key kind of one service, all ours."""
    others = {rival.service for rival in rivals} - {name.service}
    if others:
        return f"{', '.join(map(str, sorted(others)))} has records at this name too"
    if {rival.params for rival in rivals} != {name.params}:
        return "several kinds of record are asked for at this name"
    if not is_supported(name.params):
        return f"{name.params} records cannot be made from a key alone"
    published = seen.base | seen.servers | seen.proposed
    if {record.params for record in published} - {name.params}:
        return f"the name has records other than {name.params}"
    ours = {keys.record(name.owner, name.params, name.service, key) for key in keys.ids(name.service)}
    if published - ours:
        return "the name has records that are not ours"
    return None


def target(name: DaneName, wanted: Needed, seen: NameSeen, keys: Keys) -> frozenset[TlsaRecord]:
    """Return the records that the name should have in the next base.

    Everything needed is there: a record of a combination that is there already may always be added. A record goes
    only when no slot, no host and no proposal needs it, and every host is known.
    """
    made = {keys.record(name.owner, name.params, name.service, key) for key in wanted.ids}
    records = frozenset(record for record in made if record is not None)
    is_complete = wanted.is_known and None not in made
    return records | (seen.base & seen.proposed if is_complete else seen.base)
