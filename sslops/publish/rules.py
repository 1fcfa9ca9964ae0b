"""What publish would change in the DNS repository, and what has to wait: pure, one apex at a time.

The answer is a `Proposal` for each apex whose include file changes; `sslops.dane.transitions` knows the records.
"""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from enum import StrEnum
from typing import TYPE_CHECKING

from sslops.dane import transitions
from sslops.dane.transitions import FirstUse, NameSeen
from sslops.inventory.reach import hosts_copying, hosts_serving
from sslops.model.inventory import Verify
from sslops.model.ledger import ApexEntry
from sslops.model.names import CA_GROUP
from sslops.model.plan import Action, Consents, Hazard, HazardName, Plan, Verb, Wait, joined
from sslops.model.tlsa import EMPTY, Rrset

if TYPE_CHECKING:
    from collections.abc import Mapping
    from datetime import datetime

    from sslops.dane.names import DaneName, Owners
    from sslops.dane.records import Keys
    from sslops.dane.transitions import AddressSeen
    from sslops.model.inventory import Inventory
    from sslops.model.ledger import Ledger
    from sslops.model.names import GenerationId, ServiceId
    from sslops.model.seen import ApexSeen, DnsRepoSeen, Zone
    from sslops.model.state import Branches
    from sslops.model.tlsa import TlsaRecord


SMTP_PORTS = frozenset({25, 587})


class Reason(StrEnum):
    """Why the include file of an apex changes; part of the digest."""

    RECORDS = "records"
    TTL = "ttl"
    MISSING_FILE = "missing-file"
    STALE_PROPOSAL = "stale-proposal"


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
    """Owner name to what each address of its host shows; only needed for names that are empty."""
    consents: Consents = Consents()


@dataclass(frozen=True, slots=True)
class Proposal:
    """The include file that one apex should have."""

    apex: str
    zone: Zone
    records: frozenset[TlsaRecord]


@dataclass(frozen=True, slots=True)
class Publication:
    """The plan, and the proposals that carry it out."""

    plan: Plan
    proposals: tuple[Proposal, ...]


@dataclass(frozen=True, slots=True)
class _Name:
    """What becomes of one owner."""

    rrset: Rrset
    waits: tuple[Wait, ...] = ()
    hazards: tuple[Hazard, ...] = ()


def active_apexes(inventory: Inventory) -> tuple[str, ...]:
    """Return the apexes that have an include file: every active group but `ca`, sorted."""
    return tuple(sorted(domain for domain, group in inventory.groups.items() if group.active and domain != CA_GROUP))


def empty_names(world: World) -> tuple[DaneName, ...]:
    """Return the names without any record yet: before their first one, their addresses are to be asked."""
    return tuple(name for name in world.owners.names if _seen(name.apex, name.owner, world).is_empty)


def ports_of(name: DaneName, inventory: Inventory) -> tuple[Verify, ...]:
    """Return how the host of *name* is asked: the serving classes' `verify`, by default the `dane_tls` port itself."""
    found = {host.verify for host in hosts_serving(inventory, name.service) if host.verify}
    exact = {verify for verify in found if verify.port == name.port}
    default = Verify(name.port, "smtp" if name.port in SMTP_PORTS else None)
    return tuple(sorted(exact or found or {default}, key=lambda verify: (verify.port, verify.starttls or "")))


def publication(world: World) -> Publication:
    """Decide what every active apex's include file should become."""
    parts = [_apex(apex, world) for apex in active_apexes(world.inventory) if apex in world.repo]
    plans = [_outside(world), *(plan for _, plan in parts)]
    return Publication(joined(plans), tuple(proposal for proposal, plan in parts if plan.actions))


def _apex(apex: str, world: World) -> tuple[Proposal, Plan]:
    base = world.repo[apex].base
    names = {owner: _name(apex, owner, world) for owner in _owners(apex, world)}
    zone = {owner: name.rrset for owner, name in names.items() if name.rrset.records}
    waits = tuple(wait for name in names.values() for wait in name.waits)
    hazards = tuple(hazard for name in names.values() for hazard in name.hazards)
    proposal = Proposal(apex, zone, frozenset(record for rrset in zone.values() for record in rrset.records))
    return proposal, Plan(_actions(apex, zone, base.views, world), waits, hazards)


def _owners(apex: str, world: World) -> list[str]:
    wanted = {name.owner for name in world.owners.names if name.apex == apex}
    return sorted(wanted | world.repo[apex].base.owners())


def _actions(apex: str, zone: Zone, views: tuple[Zone, ...], world: World) -> tuple[Action, ...]:
    changes = {f"{sign}{record}" for view in views for sign, record in _difference(view, zone)}
    entry, missing = world.ledger.apex(apex), world.repo[apex].missing
    found: list[tuple[Reason, tuple[str, ...], str]] = []
    if changes:
        found.append(
            (
                Reason.RECORDS,
                tuple(sorted(changes)),
                _counted(changes),
            )
        )
    elif any(view != zone for view in views) and not missing:
        found.append((Reason.TTL, tuple(sorted(zone)), "the TTL in the inventory is another one"))
    if missing:
        found.append((Reason.MISSING_FILE, missing, "the zone includes a file that does not exist"))
    if entry is not None and entry.pending is not None and not found:
        found.append((Reason.STALE_PROPOSAL, (entry.pending.run,), "a run that is gone left a proposal behind"))
    return tuple(
        Action(Verb.PUBLISH, apex, "", "tlsa", reason, targets=targets, why=why) for reason, targets, why in found
    )


def _counted(changes: set[str]) -> str:
    """Say how many records come and go."""
    added = sum(change.startswith("+") for change in changes)
    parts = [f"{added} to add"] if added else []
    parts += [f"{len(changes) - added} to take away"] if added < len(changes) else []
    return f"records: {', '.join(parts)}"


def _difference(view: Zone, zone: Zone) -> list[tuple[str, TlsaRecord]]:
    before = {record for rrset in view.values() for record in rrset.records}
    after = {record for rrset in zone.values() for record in rrset.records}
    return [("+", record) for record in after - before] + [("-", record) for record in before - after]


def _name(apex: str, owner: str, world: World) -> _Name:
    current = _current(apex, owner, world)
    rivals = [name for name in world.owners.names if (name.apex, name.owner) == (apex, owner)]
    if not rivals:
        lost = "no service has this name any more" if apex in world.seen else "its DNS could not be looked at"
        return _Name(current, (_wait(apex, "", owner, lost),))
    name, seen = rivals[0], _seen(apex, owner, world)
    reason = _stopped(name, world) or transitions.parked(name, rivals, seen, world.keys)
    if reason is not None:
        return _Name(current, (_wait(name.service.group, name.service.name, owner, reason),))
    if seen.is_empty:
        refusal = _first_use(name, world)
        if refusal is not None:
            return refusal
    needed = _needed(name.service, world)
    records = transitions.target(name, needed, seen, world.keys)
    would_go = records - transitions.target(name, replace(needed, unknown=()), seen, world.keys)
    waits = tuple(
        _wait(name.service.group, name.service.name, owner, f"nothing is withdrawn while {host} is not proven")
        for host in needed.unknown
        if would_go
    )
    return _Name(Rrset(name.ttl_seconds, records), waits)


def _stopped(name: DaneName, world: World) -> str | None:
    """Return why the name is left alone for now, by a person's wish or because DNS could not be looked at."""
    hold = world.inventory.hold_on(world.inventory.services[name.service], world.now)
    if hold is not None:
        return f"held: {hold.reason}"
    if name.apex not in world.seen:
        return "its DNS could not be looked at"
    left = _left_behind(name, world)
    return f"its port changed, and the records at {left} cannot be withdrawn yet" if left else None


def _left_behind(name: DaneName, world: World) -> str | None:
    """Return an owner with records that no service asks for any more and that differs from *name* in the port only."""
    wanted = {each.owner for each in world.owners.names}
    left = sorted(world.repo[name.apex].base.owners() - wanted)
    return next((owner for owner in left if owner.split(".", 2)[2] == f"{name.host}."), None)


def _first_use(name: DaneName, world: World) -> _Name | None:
    """Return what stands in the way of the first record of an empty name; null when nothing does."""
    curr = world.branches.main[name.service].curr
    first = FirstUse(
        curr=None if curr is None else curr.id,
        cert_sha256=None if curr is None or curr.issued is None else curr.issued.cert_sha256,
        hosts=_proven(name.service, world),
        addresses=world.addresses.get(name.owner, ()),
    )
    group, service = name.service.group, name.service.name
    if curr is None:
        return _Name(EMPTY, (_wait(group, service, name.owner, "no certificate is live yet"),))
    host = first.unproven_host()
    if host is not None:
        lack = f"{host} is not proven to serve" if host else "no host serves"
        why = f"{lack} {curr.id}, so {name.owner} gets no first record"
        return _Name(EMPTY, (_wait(group, service, name.owner, why),))
    address = first.unproven_address()
    if address is None:
        return None
    why = f"{address or 'no address'} of {name.host} does not show the certificate of {name.service}"
    hazard = Hazard(HazardName.NAME_UNPROVEN, name.host, why, Verb.PUBLISH, group, service)
    return None if world.consents.cover(hazard) else _Name(EMPTY, (), (hazard,))


def _proven(service: ServiceId, world: World) -> dict[str, GenerationId | None]:
    """Return what each host is proven to serve (null: not proven); one that left the inventory counts while unknown."""
    served = {
        host: entry.services[service]
        for host, entry in world.ledger.hosts.items()
        if service in entry.services and None in entry.services[service].may_serve
    }
    served |= {
        host.name: world.ledger.host(host.name).serves(service) for host in hosts_serving(world.inventory, service)
    }
    copies = {host.name for host in hosts_copying(world.inventory, service)}
    return {host: entry.settled if entry.proof else None for host, entry in served.items() if host not in copies}


def _needed(service: ServiceId, world: World) -> transitions.Needed:
    serving = [host.name for host in hosts_serving(world.inventory, service)]
    exempt = frozenset(host.name for host in hosts_copying(world.inventory, service))
    return transitions.needed(service, world.branches, world.ledger, serving, exempt)


def _current(apex: str, owner: str, world: World) -> Rrset:
    rrsets = world.repo[apex].base.rrsets(owner)
    records = frozenset(record for rrset in rrsets for record in rrset.records)
    return Rrset(max(rrset.ttl_seconds for rrset in rrsets), records)


def _seen(apex: str, owner: str, world: World) -> NameSeen:
    entry, seen = world.ledger.apex(apex) or ApexEntry(), world.seen.get(apex)
    base = _current(apex, owner, world).records if apex in world.repo else frozenset()
    if seen is None:
        return NameSeen(base)
    proposed = [] if entry.pending is None else [*entry.pending.records]
    if seen.repo.head is not None:
        proposed += [record for rrset in seen.repo.head.rrsets(owner) for record in rrset.records]
    shown = [record for server in seen.servers for record in server.answers.get(owner, EMPTY).records]
    return NameSeen(base, frozenset(shown), frozenset(record for record in proposed if record.owner == owner))


def _wait(group: str, service: str, owner: str, why: str) -> Wait:
    return Wait(Verb.PUBLISH, group, service, owner, None, why)


def _outside(world: World) -> Plan:
    return Plan(
        waits=tuple(
            Wait(Verb.PUBLISH, service.group, service.name, host, None, f"{host} lies outside every zone of ours")
            for service, host in world.owners.outside
        )
    )
