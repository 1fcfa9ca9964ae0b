"""Which generations `prune` may take out of `state/`. Pure.

A generation is taken only when every one of these says that nobody needs it: slots of both branches, the roll that is
proposed, what hosts may serve by the ledger, records in DNS and on the ledger, certificates that it signed, and
`clean_keep`. A revert on main to one that was taken brings its folder back, or names one that is not there: then every
verb says so, and nothing is rolled or sent.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import timedelta
from typing import TYPE_CHECKING

from sslops.dane.records import CA_USAGES, Index
from sslops.inventory.reach import deliveries
from sslops.model.cause import Cause
from sslops.model.names import CA_GROUP, GenerationId, ServiceId
from sslops.model.plan import Action, Plan, Verb, Wait, joined

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping
    from datetime import datetime

    from sslops.dane.records import Keys, Version
    from sslops.model.inventory import Inventory
    from sslops.model.ledger import Ledger
    from sslops.model.observations import ApexSeen, DnsRepoSeen
    from sslops.model.state import Branches, Generation
    from sslops.model.tlsa import TlsaRecord

    Candidates = Mapping[ServiceId, frozenset[GenerationId]]


MARGIN = timedelta(days=1)
"""How long a CA must have expired, or a key without certificate have been there: clocks differ, runs take time."""
WHAT, REASON = "drop", "unneeded"


@dataclass(frozen=True, slots=True)
class PruneOptions:
    """What the command line asks for.

    *targets* null: all active groups. *keep* null: `clean_keep` of the inventory. *every*: also services that the
    inventory does not have any more, and those of groups that are not active.
    """

    targets: frozenset[ServiceId] | None = None
    keep: int | None = None
    every: bool = False


@dataclass(frozen=True, slots=True)
class DnsSeen:
    """What DNS has and had: the repository and the servers, by apex, and the apexes that could not be observed."""

    repo: Mapping[str, DnsRepoSeen] = field(default_factory=dict)
    seen: Mapping[str, ApexSeen] = field(default_factory=dict)
    failed: Mapping[str, str] = field(default_factory=dict)

    @property
    def obstacle(self) -> str | None:
        """Why nobody can tell now which records are published; null when all of DNS was seen."""
        for apex, why in sorted(self.failed.items()):
            return f"DNS of {apex} could not be observed: {why}"
        silent = [server for _, entry in sorted(self.seen.items()) for server in entry.servers if server.error]
        return f"name server {silent[0].server} gave no answer: {silent[0].error}" if silent else None

    def present(self) -> Iterator[TlsaRecord]:
        """Yield every record that some server, the base or a proposal has now."""
        for repo in (*self.repo.values(), *(entry.repo for entry in self.seen.values())):
            for commit in (repo.base, *((repo.head,) if repo.head is not None else ())):
                yield from (
                    each for owner in commit.owners() for found in commit.rrsets(owner) for each in found.records
                )
        for entry in self.seen.values():
            yield from (each for server in entry.servers for found in server.answers.values() for each in found.records)

    def past(self) -> frozenset[TlsaRecord]:
        """Return every record that the base ever had."""
        commits = (commit for repo in self.repo.values() for commit in repo.history)
        return frozenset(
            each for commit in commits for view in commit.views for found in view.values() for each in found.records
        )


def plan(
    inventory: Inventory,
    branches: Branches,
    ledger: Ledger,
    dns: DnsSeen,
    keys: Keys,
    now: datetime,
    options: PruneOptions,
    proposed: Iterable[tuple[ServiceId, GenerationId]] = (),
) -> Plan:
    """Return what can be dropped, and what waits; *proposed* is what the roll branch would make live."""
    found = candidates(inventory, branches, ledger, now, options, proposed)
    if not found:
        return Plan()
    if dns.obstacle is not None:
        return Plan(waits=tuple(_wait(service, dns.obstacle) for service in found))
    named = _named_by_dns(ledger, dns, keys)
    found = _unsigned(
        {s: frozenset(each for each in ids if (s, each) not in named) for s, ids in found.items()}, branches
    )
    unverified = _unverified(inventory, ledger)
    return joined(
        Plan(waits=(_wait(service, f"host {unverified[service]} is not verified, so it may serve any of them"),))
        if service in unverified
        else Plan(tuple(_action(service, branches.next[service].generations[key]) for key in sorted(ids)))
        for service, ids in sorted(found.items())
    )


def dropped(plan: Plan) -> dict[ServiceId, tuple[GenerationId, ...]]:
    """Return what the actions of *plan* drop."""
    found: dict[ServiceId, tuple[GenerationId, ...]] = {}
    for action in plan.of(Verb.PRUNE).actions:
        service = ServiceId(action.group, action.service)
        found[service] = (*found.get(service, ()), *((action.generation,) if action.generation is not None else ()))
    return found


def candidates(
    inventory: Inventory,
    branches: Branches,
    ledger: Ledger,
    now: datetime,
    options: PruneOptions,
    proposed: Iterable[tuple[ServiceId, GenerationId]] = (),
) -> Candidates:
    """Return, by service, the generations that neither a slot, a host, a certificate nor `clean_keep` needs.

    DNS has the last word, and needs to be asked only where there are any.
    """
    held = frozenset(proposed) | _on_hosts(ledger)
    keep = inventory.settings.clean_keep if options.keep is None else options.keep
    found = {}
    for service, state in sorted(branches.next.services.items()):
        if not _is_asked(service, inventory, now, options):
            continue
        slots = _in_slots(service, branches)
        others = sorted((key for key in state.generations if key not in slots), reverse=True)
        found[service] = frozenset(
            key
            for key in others[keep:]
            if (service, key) not in held and _is_over(service, state.generations[key], now)
        )
    return _unsigned(found, branches)


def _is_asked(service: ServiceId, inventory: Inventory, now: datetime, options: PruneOptions) -> bool:
    known, group = inventory.services.get(service), inventory.groups.get(service.group)
    if known is not None and inventory.hold_on(known, now) is not None:
        return False
    is_regular = known is not None and group is not None and group.active
    return options.every or is_regular if options.targets is None else service in options.targets


def _in_slots(service: ServiceId, branches: Branches) -> frozenset[GenerationId]:
    """Return what a slot of either branch names, the generation that was taken back included."""
    both = (branches.main[service].slots, branches.next[service].slots)
    named = {each for slots in both for each in (slots.curr, slots.next, slots.prev, slots.refused)}
    return frozenset(each for each in named if each is not None)


def _on_hosts(ledger: Ledger) -> frozenset[Version]:
    return frozenset(
        (service, each)
        for host in ledger.hosts.values()
        for service, served in host.services.items()
        for each in served.may_serve
        if each is not None
    )


def _unverified(inventory: Inventory, ledger: Ledger) -> dict[ServiceId, str]:
    """Return for each service a host that may serve anything of it, for all that the ledger knows."""
    found: dict[ServiceId, str] = {}
    for each in deliveries(inventory):
        entry = ledger.host(each.host.name)
        found |= {service: each.host.name for service in each.serving if None in entry.serves(service).may_serve}
    for name, entry in ledger.hosts.items():
        unknown = (s for s, served in entry.services.items() if None in served.may_serve and not served.is_copy)
        found |= dict.fromkeys(unknown, name)
    return found


def _is_over(service: ServiceId, generation: Generation, now: datetime) -> bool:
    """Whether nobody elsewhere needs it: who trusts a CA does so until it expires; a key may be in an order."""
    if generation.issued is not None:
        return service.group != CA_GROUP or generation.issued.not_after + MARGIN <= now
    order_ends = generation.created_at if generation.order is None else generation.order.expires
    return max(generation.created_at, order_ends) + MARGIN <= now


def _unsigned(found: Candidates, branches: Branches) -> Candidates:
    """Return *found* without the signers of what stays, and theirs in turn; empty entries are left out."""
    signers = [
        ((service, key), (ServiceId(CA_GROUP, each.ca), GenerationId(each.issued.signer)))
        for state in (branches.main, branches.next)
        for service, entry in state.services.items()
        for key, each in entry.generations.items()
        if each.issued is not None and each.issued.signer is not None
    ]
    going = {(service, key) for service, ids in found.items() for key in ids}
    while needed := {signer for signed, signer in signers if signed not in going} & going:
        going -= needed
    kept = {service: frozenset(key for key in ids if (service, key) in going) for service, ids in found.items()}
    return {service: ids for service, ids in kept.items() if ids}


def _named_by_dns(ledger: Ledger, dns: DnsSeen, keys: Keys) -> frozenset[Version]:
    """Return the generations that records name: all of those that are published, of those of the past enough of them.

    Whether a service ever had records at a name decides about the records of its CA there (`evidence.had_records`),
    for which one generation at each name is enough. A record about a CA matches all that it signed; the newest of each
    service will do, and every generation of the CA itself.
    """
    on_ledger = {record for entry in ledger.apexes.values() for record in entry.records}
    underway = {record for entry in ledger.apexes.values() if entry.pending for record in entry.pending.records}
    present, past = on_ledger | underway | set(dns.present()), dns.past()
    index = Index.of(keys, frozenset(record.params for record in (*present, *past)))
    named: set[Version] = set()
    newest: dict[tuple[str, ServiceId], GenerationId] = {}
    for record in (*present, *past):
        is_about_all, is_present = record.params.usage not in CA_USAGES, record in present
        for service, generation in index.versions(record):
            if is_present and (is_about_all or service.group == CA_GROUP):
                named.add((service, generation))
            key = (f"{record.owner} {record.params.usage in CA_USAGES}", service)
            newest[key] = max(newest.get(key, generation), generation)
    return frozenset(named | {(service, generation) for (_, service), generation in newest.items()})


def _action(service: ServiceId, old: Generation) -> Action:
    never = "it never got a certificate, and " if old.issued is None else ""
    why = f"{never}no slot, host, record or certificate names it any more"
    return Action(Verb.PRUNE, service.group, service.name, WHAT, REASON, old.id, why=why)


def _wait(service: ServiceId, why: str) -> Wait:
    return Wait(Verb.PRUNE, service.group, service.name, WHAT, None, why, Cause.EARLIER_STEP)
