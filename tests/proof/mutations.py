"""Ways to leave out one check of the safety rules, or to change the order; in each sslops is wrong.

The search must find a cache that does not match a host in every one of them, or it proves nothing.
"""

from __future__ import annotations

from contextlib import contextmanager
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

import pytest

from sslops.dane import evidence
from sslops.dane import may_serve as gate
from sslops.dane import rrset_rules as transitions
from sslops.dane.first_use import FirstUse
from sslops.dane.may_serve import YES
from sslops.dane.records import CA_USAGES
from sslops.dane.rrset_plan import Owner
from sslops.dane.rrset_rules import Needed, Stay
from sslops.model.ledger import NameEntry
from sslops.model.observations import BaseCommit
from sslops.model.tlsa import EMPTY
from sslops.probe.survey import Look
from sslops.simulate import runs
from sslops.simulate.dns import Dns
from sslops.simulate.hosts import SimulatedHost
from tests.unit.dane.builders import START

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

    from sslops.dane.records import Keys
    from sslops.model.ledger import ApexEntry, Evidence, Ledger, Pending
    from sslops.model.names import ServiceId
    from sslops.model.observations import ApexSeen, ServerSeen, Zone
    from sslops.model.shipment import Parcel
    from sslops.model.state import Branches
    from sslops.model.tlsa import TlsaParams, TlsaRecord
    from sslops.publish.rules import Publication

    Wrong = tuple[tuple[object, str, object], ...]

ORDER, FENCE, MAY_SERVE, EVIDENCE, RECORDS = RULES = (
    "one order",
    "fence",
    "may_serve",
    "evidence",
    "may_publish and may_withdraw",
)
"""The five rules of the promise."""


RENEW, PUBLISH, ROLL, DEPLOY, TIME, REVERT = (
    "a certificate is renewed",
    "publish reaches everybody",
    "roll runs",
    "deploy runs",
    "time passes",
    "a roll is reverted on main",
)
ASLEEP = "a publish falls asleep before it proposes"
USUAL = (RENEW, PUBLISH, ROLL, DEPLOY, TIME)
"""What a key change consists of."""
SIDE_BY_SIDE = (REVERT, ASLEEP, "a run goes on", "all servers load", DEPLOY)
LATE = (REVERT, "a key is made", PUBLISH, DEPLOY, "deploy goes wrong", "a receiver wakes up")
BY_HAND = (
    REVERT,
    DEPLOY,
    "a record that nobody needs is dropped by hand",
    "the last DNS commit is reverted",
    "all servers load",
)
MERGED = "a DNS proposal is merged"
REVIEWED = (REVERT, "a roll is merged", "publish runs", MERGED, "all servers load", TIME, DEPLOY)
REVIEWED_ASLEEP = (*SIDE_BY_SIDE, "publish runs", MERGED, "the branch of proposals is deleted")
BESIDE_OURS = ("somebody adds a record beside the include file", PUBLISH, TIME, ROLL, DEPLOY)
SLOW = (RENEW, "publish runs", "a server loads", TIME, ROLL, DEPLOY)


@dataclass(frozen=True, slots=True)
class Mutation:
    """A check that is left out: of which of the five rules, and what is replaced, `(owner, attribute, by what)`.

    *more* are the actions that the search keeps to beside the *usual* ones, in the world *setting*; *steps*: how many.
    *stops*: what goes wrong is not that a cache is wrong, but that the site never comes to rest.
    """

    rule: str
    wrong: Wrong
    more: tuple[str, ...] = ()
    setting: str = "one key"
    usual: tuple[str, ...] = USUAL
    steps: int = 20
    seed: int = 0
    """Where the search begins: before the first script that finds it, so that `make test` is quick."""
    stops: bool = False


def _is_broken_now(record: TlsaRecord, _proof: Evidence, seen: ApexSeen) -> bool:
    return not seen.repo.base.has(record) or any(server.shows(record) is False for server in seen.servers)


def _is_broken_in_base(record: TlsaRecord, proof: Evidence, seen: ApexSeen) -> bool:
    line = seen.repo.since(proof.commit)
    return line is None or not all(commit.has(record) for commit in (*line, seen.repo.base))


def _has_somewhere(self: BaseCommit, record: TlsaRecord) -> bool:
    return any(record in view.get(record.owner, EMPTY).records for view in self.views)


def _needed_by_slots(service: ServiceId, branches: Branches, *_: object) -> Needed:
    slots = [state[service].slots for state in (branches.main, branches.next)]
    return Needed(frozenset(key for each in slots for key in (each.curr, each.next) if key))


def _needed_by_main(service: ServiceId, branches: Branches, ledger: Ledger, *rest: object) -> Needed:
    found = _NEEDED(service, branches, ledger, *rest)  # type: ignore[arg-type]
    on_deck = {branches.main[service].slots.next, branches.next[service].slots.next, branches.next[service].slots.curr}
    may_serve = {key for entry in ledger.hosts.values() for key in entry.serves(service).may_serve}
    return replace(found, ids=found.ids - (on_deck - may_serve - {branches.main[service].slots.curr}))


_NEEDED = transitions.needed


def _with_records_of_the_present_ttl(  # a name lowered from 86400 to 300 counts 300 at once
    old: NameEntry, _largest: int, current: int, _owner: str, _seen: ApexSeen
) -> NameEntry:
    return NameEntry(current, old.commit)


def _contains(owner: str, seen: ApexSeen) -> bool:
    shown = [server.answers.get(owner, EMPTY).records for server in seen.servers if server.error is None]
    return all(rrset.records & each for rrset in seen.repo.base.rrsets(owner) for each in shown)


def _first_server(dns: Dns, servers: dict[str, tuple[object, ...]], owners: tuple[str, ...]) -> tuple[ServerSeen, ...]:
    first = dict([next(iter(servers.items()))])
    return _ASKED(dns, first, owners)  # type: ignore[arg-type]


_ASKED = Dns.tlsa


def _without_intent(ledger: Ledger, _found: Publication) -> Ledger:
    return ledger


def _no_works(ledger: Ledger, works: object, _looked: object, _clock: object) -> Ledger:
    """Give the hosts their numbers, and say nothing of what they may serve."""
    hosts = dict(ledger.hosts)
    for work in works:  # type: ignore[attr-defined]
        entry = ledger.host(work.host.name)
        hosts[work.host.name] = replace(entry, seq=entry.seq + 1)
    return replace(ledger, hosts=hosts)


def _no_fence(dns: Dns, lease: int, _base: object) -> int | None:
    return lease if lease == dns.number else None


def _publish_without_lease_on_the_branch(dns: Dns, lease: tuple[int, int], zones: dict[str, Zone]) -> bool:
    return _PUBLISH(dns, (lease[0], dns.number), zones)


_PUBLISH = Dns.publish


def _fence_without_a_commit(dns: Dns, lease: int, _base: object) -> int | None:
    """Let the branch bring nothing by deleting it, so that it is where it was before it was first made."""
    if lease != dns.number:
        return None
    dns.delete_branch()
    return dns.number


def _remember_another_try(host: SimulatedHost, parcel: Parcel) -> None:
    """Keep the way back while the same generation comes again, whether or not it was settled by then."""
    service = parcel.service
    present = host.files.get(service)
    if service in host.former and (service in host.unfinished or present == parcel.generation):
        return
    host.former.pop(service, None)
    if present is not None:
        host.former[service] = present


def _only_pending(pending: Pending | None, _seen: ApexSeen) -> tuple[frozenset[TlsaRecord], ...]:
    return () if pending is None else (pending.records,)


def _yes_where_nothing_is_seen(self: gate.Gate, apex: str, *about: object) -> gate.Verdict:
    return _NAME(self, apex, *about) if apex in self.seen else YES  # type: ignore[arg-type]


_NAME = gate.Gate._name


def _lacks_nothing_of_a_list(at: transitions.AtName, params: TlsaParams, keys: Keys) -> Stay | None:
    is_listed = any(claim.is_listed for claim in at.claims)
    return None if params.usage in CA_USAGES and is_listed else _LACK(at, params, keys)


_LACK = transitions.lack


def _needed_by_servers(
    service: ServiceId, branches: Branches, ledger: Ledger, serving: Iterable[str], exempt: frozenset[str]
) -> Needed:
    hosts = {name: entry for name, entry in ledger.hosts.items() if name not in exempt}
    return _NEEDED(service, branches, replace(ledger, hosts=hosts), serving, exempt)


def _cached_without_what_servers_show(entry: ApexEntry, seen: ApexSeen) -> frozenset[TlsaRecord]:
    return _CACHED(entry, replace(seen, servers=()))


_CACHED = gate._may_be_cached


MUTATIONS: dict[str, Mutation] = {
    "publish writes no intent": Mutation(
        ORDER, ((runs, "_with_intent", _without_intent),), setting="after a roll", usual=SIDE_BY_SIDE, seed=102
    ),
    "deploy writes no intent": Mutation(
        ORDER, ((runs, "_with_works", _no_works),), setting="after a roll", usual=LATE, seed=30
    ),
    "a proposal that a run left is not fenced off": Mutation(
        ORDER,
        ((Dns, "fence", _no_fence), (Dns, "publish", _publish_without_lease_on_the_branch)),
        setting="after a roll",
        usual=SIDE_BY_SIDE,
        seed=102,
    ),
    "receivers look at no number": Mutation(
        FENCE, ((SimulatedHost, "is_newer", lambda _self, _seq: True),), setting="after a roll", usual=LATE, seed=76
    ),
    "a host goes back further than to what it served": Mutation(
        MAY_SERVE,
        ((SimulatedHost, "remember", _remember_another_try),),
        ("a file on a host is touched", "daemons are restarted by force"),
        usual=(RENEW, "all jobs run"),
    ),
    "deploy asks nothing": Mutation(MAY_SERVE, ((runs, "_verdict", lambda *_: YES),), (REVERT,), "after a roll"),
    "age does not count": Mutation(MAY_SERVE, ((gate, "ready_at", lambda proof: proof.since),)),
    "age alone counts": Mutation(
        MAY_SERVE,
        ((gate, "is_broken", lambda *_: False), (evidence, "is_broken", lambda *_: False)),
        (REVERT,),
        "after a roll",
    ),
    "proposals do not count": Mutation(
        MAY_SERVE, ((gate, "proposals", lambda *_: ()),), setting="after a roll", usual=SIDE_BY_SIDE, seed=104
    ),
    "open requests do not count": Mutation(
        MAY_SERVE, ((gate, "proposals", _only_pending),), setting="reviewed, after a roll", usual=REVIEWED, seed=183
    ),
    "the branch returns to where it was": Mutation(
        ORDER,
        ((Dns, "fence", _fence_without_a_commit),),
        setting="reviewed, after a roll",
        usual=REVIEWED_ASLEEP,
        steps=40,
        seed=23,
    ),
    "an emptied name is free at once": Mutation(
        MAY_SERVE,
        ((gate, "free_at", lambda entry: entry.empty_since),),
        ("the include file is emptied by hand", "all servers load"),
        seed=67,
    ),
    "a withdrawn combination is forgotten at once": Mutation(
        MAY_SERVE,
        ((gate, "gone_at", lambda *_: START),),
        ("other kinds of record are asked for", "all jobs run"),
        seed=26,
    ),
    "names count only while they are asked for": Mutation(
        MAY_SERVE, ((gate.Gate, "_names_in_use", lambda _self, _service: ()),), ("mail hosts change",)
    ),
    "names that are given up are nobody's": Mutation(
        MAY_SERVE,
        ((gate.Gate, "_given_up_near", lambda *_: ()),),
        ("other kinds of record are asked for", "a service is renamed"),
        seed=80,
    ),
    "hosts restart before the records are published": Mutation(
        ORDER, ((gate.Gate, "_record", lambda *_: YES),), (REVERT, "publish runs", "all servers load"), "after a roll"
    ),
    "one server is asked": Mutation(MAY_SERVE, ((Dns, "tlsa", _first_server),), usual=SLOW, seed=116),
    "one combination is enough": Mutation(
        MAY_SERVE,
        ((gate, "slowest", lambda verdicts: next((each for each in verdicts if each.allowed), YES)),),
        ("other kinds of record are asked for",),
    ),
    "history is not read": Mutation(
        EVIDENCE,
        ((evidence, "is_broken", _is_broken_now), (gate, "is_broken", _is_broken_now)),
        setting="after a roll",
        usual=BY_HAND,
    ),
    "one folder is enough": Mutation(
        EVIDENCE, ((BaseCommit, "has", _has_somewhere),), setting="two folders, after a roll", usual=BY_HAND
    ),
    "servers are not read": Mutation(
        EVIDENCE,
        (
            (evidence, "is_broken", _is_broken_in_base),
            (gate, "is_broken", _is_broken_in_base),
            (evidence, "servers_agree_with_base", lambda *_: True),
        ),
        usual=SLOW,
        seed=16,
    ),
    "contains is as good as equals": Mutation(
        EVIDENCE, ((evidence, "servers_agree_with_base", _contains),), usual=SLOW, seed=17
    ),
    "a lowered TTL counts at once": Mutation(
        EVIDENCE,
        ((evidence, "_with_records", _with_records_of_the_present_ttl),),
        ("the TTL changes",),
        setting="a large TTL",
        seed=127,
    ),
    "what hosts serve may be withdrawn": Mutation(
        RECORDS, ((transitions, "needed", _needed_by_slots),), ("a host dies or returns",)
    ),
    "what is on deck may be withdrawn": Mutation(RECORDS, ((transitions, "needed", _needed_by_main),), stops=True),
    "ports are not asked before the first record": Mutation(
        RECORDS,
        (
            (FirstUse, "unproven_address", lambda _self: None),
            (FirstUse, "unproven_host", lambda _self: None),
            (transitions, "lack", lambda *_: None),
        ),
        setting="from nothing",
    ),
    "a new combination needs no record of what is served": Mutation(
        RECORDS,
        (
            (transitions, "lack", lambda *_: None),
            (Owner, "_served_by_others", lambda *_: None),
            (Owner, "_forgotten", lambda _: {}),
        ),
        ("other kinds of record are asked for", "the ledger is lost"),
        seed=32,
    ),
    "a lost ledger had nothing to forget": Mutation(
        RECORDS,
        ((Owner, "_forgotten", lambda _: {}),),
        ("a host joins or leaves", "the ledger is lost", "all jobs run"),
        seed=60,
    ),
    "what is retired stays in the way of what is new": Mutation(
        RECORDS,
        ((Owner, "_is_in_the_way", lambda _: False),),
        ("other kinds of record are asked for", "a service is renamed"),
        stops=True,
        seed=50,
    ),
    "a service that left the name is forgotten": Mutation(
        RECORDS, ((Owner, "_still_served", lambda *_: None),), ("a service is renamed",)
    ),
    "records of others beside ours are not seen": Mutation(
        RECORDS,
        ((transitions.NameSeen, "foreign", property(lambda _: frozenset())),),
        setting="records of others",
        usual=BESIDE_OURS,
        more=("other kinds of record are asked for",),
        seed=15,
    ),
    "what only others have is not cached": Mutation(
        MAY_SERVE,
        (
            (gate, "_may_be_cached", _cached_without_what_servers_show),
            (transitions, "_copied", lambda *_: frozenset()),
        ),
        setting="records of others",
        usual=BESIDE_OURS,
        more=(RENEW,),
        seed=275,
    ),
    "copies of ours that others keep are joined": Mutation(
        RECORDS,
        ((transitions, "_copied", lambda *_: frozenset()),),
        setting="records of others, EC and RSA",
        usual=BESIDE_OURS,
        more=(RENEW, "all jobs run", "the ledger is lost"),
        seed=112,
    ),
    "a zone that cannot be looked at holds nobody back": Mutation(
        MAY_SERVE,
        ((gate.Gate, "_name", _yes_where_nothing_is_seen), (Look, "_is_published", lambda *_: False)),
        setting="two groups, no SNI",
        more=("mail hosts of both groups change", "nobody tells the other MX, or tells it again"),
        seed=760,
    ),
    "an issuer that is listed no more may be withdrawn": Mutation(
        RECORDS,
        ((transitions, "lack", _lacks_nothing_of_a_list),),
        setting="a public CA",
        more=("records about the CA are asked for", "the list of issuers changes"),
    ),
    "who is to keep copies serves nothing": Mutation(
        RECORDS,
        ((transitions, "needed", _needed_by_servers),),
        setting="copies",
        more=("a host turns from copies to serving, or back",),
        seed=190,
    ),
    "who kept copies is believed": Mutation(
        MAY_SERVE,
        ((runs, "as_expected", lambda ledger, _: ledger),),
        setting="copies",
        more=("a host turns from copies to serving, or back",),
        stops=True,
    ),
}


@contextmanager
def mutated(name: str) -> Iterator[None]:
    """Leave out the check called *name* while the context lasts."""
    with pytest.MonkeyPatch.context() as patch:
        for owner, attribute, wrong in MUTATIONS[name].wrong:
            patch.setattr(owner, attribute, wrong)
        yield
