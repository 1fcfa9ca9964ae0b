"""What publish would change in the DNS repository, and what has to wait: pure, one apex at a time.

The answer is a `Proposal` for each apex whose include file changes; `owner` decides about one name.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from enum import StrEnum
from typing import TYPE_CHECKING

from sslops.dane.records import Index
from sslops.dane.rrset_inputs import World, active_apexes
from sslops.dane.rrset_plan import Owner, is_failure
from sslops.model.cause import Cause
from sslops.model.plan import Action, Hazard, HazardName, Plan, Verb, Wait, joined
from sslops.model.tlsa import TlsaParams

if TYPE_CHECKING:
    from sslops.dane.names import DaneName
    from sslops.model.names import ServiceId
    from sslops.model.observations import ApexSeen, ServerSeen, Zone
    from sslops.model.tlsa import TlsaRecord


class PublishReason(StrEnum):
    """Why the include file of an apex changes; part of the digest."""

    RECORDS = "records"
    TTL = "ttl"
    MISSING_FILE = "missing-file"
    STALE_PROPOSAL = "stale-proposal"


@dataclass(frozen=True, slots=True)
class ZoneChange:
    """The include file that one apex should have."""

    apex: str
    zone: Zone
    records: frozenset[TlsaRecord]


@dataclass(frozen=True, slots=True)
class Publication:
    """The plan, and the proposals that carry it out."""

    plan: Plan
    proposals: tuple[ZoneChange, ...]


def owners_to_ask(world: World) -> tuple[Owner, ...]:
    """Return the owners whose addresses have to be asked before something can change there."""
    found = (owner for each in owners(world).values() for owner in each)
    return tuple(owner for owner in found if owner.apex in world.seen and owner.is_to_be_asked())


def owners_withdrawing(world: World) -> tuple[Owner, ...]:
    """Return the owners that would lose some of their records: what their ports present is asked first."""
    found = (owner for each in owners(world).values() for owner in each)
    return tuple(owner for owner in found if owner.apex in world.seen and owner.is_withdrawing())


def owners_to_survey(world: World) -> dict[str, tuple[str, ...]]:
    """Return by apex the owners that would begin or cease to have records: what is around them is asked first."""
    found = {
        apex: tuple(owner.owner for owner in each if apex in world.seen and owner.is_to_be_surveyed())
        for apex, each in owners(world).items()
    }
    return {apex: wanted for apex, wanted in found.items() if wanted}


def publication(world: World) -> Publication:
    """Decide what every active apex's include file should become."""
    parts = [_apex(apex, names, world) for apex, names in owners(world).items()]
    plans = [_outside(world), *(_served_otherwise(seen, apex, world) for apex, seen in sorted(world.seen.items()))]
    plans += [plan for _, plan in parts]
    told = {wait.group for plan in plans for wait in plan.waits if wait.cause is Cause.DNS_UNOBSERVED}
    plans += [_unobserved(apex, why) for apex, why in sorted(world.failed.items()) if apex not in told]
    return Publication(joined(plans), tuple(proposal for proposal, plan in parts if plan.actions))


def to_propose(found: Publication) -> Publication:
    """Return the part of *found* that a person can decide about: without what a run that is gone left behind."""
    actions = tuple(action for action in found.plan.actions if action.reason != PublishReason.STALE_PROPOSAL)
    apexes = {action.group for action in actions}
    proposals = tuple(proposal for proposal in found.proposals if proposal.apex in apexes)
    return Publication(replace(found.plan, actions=actions), proposals)


def waiting(found: Publication, world: World, why: str, cause: Cause = Cause.REVIEW) -> Plan:
    """Return the plan of *found* when all of it was proposed, and *why* it is not in the base yet."""
    names: dict[str, list[DaneName]] = {action.group: [] for action in found.plan.actions}
    for name in world.owners.names:
        names.get(name.apex, []).append(name)
    waits = tuple(
        Wait(Verb.PUBLISH, apex, "", "tlsa", None, why, cause, fatal=is_failure(here, world))
        for apex, here in sorted(names.items())
    )
    return replace(found.plan, actions=(), waits=(*found.plan.waits, *waits))


def _apex(apex: str, owners_of_apex: tuple[Owner, ...], world: World) -> tuple[ZoneChange, Plan]:
    base = world.repo[apex].base
    names = {owner.owner: owner.becomes() for owner in owners_of_apex}
    zone = {owner: name.rrset for owner, name in names.items() if name.rrset.records}
    waits = tuple(wait for name in names.values() for wait in name.waits)
    hazards = tuple(hazard for name in names.values() for hazard in name.hazards)
    proposal = ZoneChange(apex, zone, frozenset(record for rrset in zone.values() for record in rrset.records))
    return proposal, Plan(_actions(apex, zone, base.views, world), waits, hazards)


def owners(world: World) -> dict[str, tuple[Owner, ...]]:
    """Return every owner that has records or should have some, by apex."""
    apexes = [apex for apex in active_apexes(world.inventory) if apex in world.repo]
    bases = {apex: world.repo[apex].base for apex in apexes}
    used = (rrset.combinations for base in bases.values() for view in base.views for rrset in view.values())
    index = Index.of(world.keys, frozenset[TlsaParams]().union(*used))
    return {
        apex: tuple(
            Owner(apex, owner, world, index)
            for owner in sorted(bases[apex].owners() | {name.owner for name in world.names_in(apex)})
        )
        for apex in apexes
    }


def _actions(apex: str, zone: Zone, views: tuple[Zone, ...], world: World) -> tuple[Action, ...]:
    changes = {f"{sign}{record}" for view in views for sign, record in _difference(view, zone)}
    entry, missing = world.ledger.apex(apex), world.repo[apex].missing
    found: list[tuple[PublishReason, tuple[str, ...], str]] = []
    if changes:
        found.append(
            (
                PublishReason.RECORDS,
                tuple(sorted(changes)),
                _counted(changes),
            )
        )
    elif any(view != zone for view in views) and not missing:
        found.append((PublishReason.TTL, tuple(sorted(zone)), "the TTL in the inventory is another one"))
    if missing:
        found.append((PublishReason.MISSING_FILE, missing, "the zone includes a file that does not exist"))
    if entry is not None and entry.pending is not None and not found:
        found.append((PublishReason.STALE_PROPOSAL, (entry.pending.run,), "a run that is gone left a proposal behind"))
    head = world.repo[apex].head
    if head is not None and not found and any(view != zone for view in head.views):
        found.append((PublishReason.STALE_PROPOSAL, (), "an open proposal asks for what is not wanted any more"))
    return tuple(
        Action(Verb.PUBLISH, apex, "", "tlsa", reason, targets=targets, why=why) for reason, targets, why in found
    )


def _counted(changes: set[str]) -> str:
    """Say how many records come and go."""
    added = sum(change.startswith("+") for change in changes)
    parts = [f"{added} to add"] if added else []
    parts += [f"{len(changes) - added} to withdraw"] if added < len(changes) else []
    return f"records: {', '.join(parts)}"


def _difference(view: Zone, zone: Zone) -> list[tuple[str, TlsaRecord]]:
    before = {record for rrset in view.values() for record in rrset.records}
    after = {record for rrset in zone.values() for record in rrset.records}
    return [("+", record) for record in after - before] + [("-", record) for record in before - after]


def _unobserved(apex: str, why: str) -> Plan:
    """Return what is blocked for an apex of which not even the names are known."""
    words = f"its DNS could not be observed: {why}"
    return Plan(waits=(Wait(Verb.PUBLISH, apex, "", "tlsa", None, words, Cause.DNS_UNOBSERVED),))


def _served_otherwise(seen: ApexSeen, apex: str, world: World) -> Plan:
    """Return what is blocked because name servers do not show the DNS base: one line for each of them.

    Without it a record that no name server ever loads would be told only once something has to be rolled.
    """
    found: dict[str, tuple[Cause, str]] = {}
    owners = seen.repo.base.owners().union(*(server.answers for server in seen.servers))
    for server in seen.servers:
        lacking = [owner for owner in sorted(owners) if _differs(owner, server, seen)]
        if server.error is not None:
            has_others = any(other.error is None for other in seen.servers)
            accept = (
                f" ({Hazard(HazardName.NS_UNREACHABLE, server.server, server.error).consent})" if has_others else ""
            )
            found[server.server] = Cause.NS_UNREACHABLE, f"name server {server.server}: {server.error}{accept}"
        elif lacking:
            more = f" and {len(lacking) - 1} more" if len(lacking) > 1 else ""
            why = f"name server {server.server} does not show what the DNS base has at {lacking[0]}{more}"
            found[server.server] = Cause.NOT_LOADED, why
    for owner, error in sorted(seen.unsigned.items()):
        accept = Hazard(HazardName.DNSSEC_BOGUS, owner, error).consent
        if any(rrset.records for rrset in seen.repo.base.rrsets(owner)):
            found[owner] = Cause.DNSSEC_BOGUS, f"{error} ({accept})"
    here = world.names_in(apex)
    return Plan(
        waits=tuple(
            Wait(Verb.PUBLISH, apex, "", what, None, why, cause, fatal=is_failure(here, world))
            for what, (cause, why) in found.items()
        )
    )


def _differs(owner: str, server: ServerSeen, seen: ApexSeen) -> bool:
    """Whether *server* lacks a record of the base at *owner*, or shows one that the base had once."""
    if server.error is not None or owner not in server.answers or owner in server.aliases:
        return False
    base = frozenset(record for rrset in seen.repo.base.rrsets(owner) for record in rrset.records)
    past = frozenset(
        record for commit in seen.repo.history for rrset in commit.rrsets(owner) for record in rrset.records
    )
    shown = server.answers[owner].records
    return owner in server.differing or not base <= shown or bool(shown & (past - base))


def _outside(world: World) -> Plan:
    return Plan(
        waits=tuple(
            Wait(Verb.PUBLISH, each.group, each.service, each.subject, None, each.why, Cause.OUTSIDE_ZONES)
            for each in (_outside_hazard(service, host) for service, host in world.owners.outside)
            if not world.consents.cover(each)
        )
    )


def _outside_hazard(service: ServiceId, host: str) -> Hazard:
    """Return what a person consents to who knows that the records of *host* are somebody else's business."""
    name = host.rstrip(".").lower()
    why = f"{name} lies in no zone that sslops manages: its TLSA records are for whoever runs that zone"
    return Hazard(HazardName.NAME_UNPROVEN, name, why, Verb.PUBLISH, service.group, service.name)
