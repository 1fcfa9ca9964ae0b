"""Ways to leave out one check of the safety rules, or to change the order; in each sslops is wrong.

The search must find a cache that does not match a host in every one of them, or it proves nothing.
"""

from __future__ import annotations

from contextlib import contextmanager
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any, cast

import pytest

from sslops.dane import evidence
from sslops.dane import may_serve as gate
from sslops.dane import rrset_rules as transitions
from sslops.dane.first_use import FirstUse
from sslops.dane.may_serve import YES
from sslops.dane.records import CA_USAGES
from sslops.dane.rrset_plan import Owner
from sslops.dane.rrset_rules import Needed, Stay
from sslops.deploy import ledger_entries as entries
from sslops.deploy import steps as deploying
from sslops.deploy.host_session import Ended, HostSession, Prover
from sslops.deploy.ledger_entries import Proven
from sslops.deploy.session_plan import Shown
from sslops.deploy.steps import Deployer
from sslops.deploy.unassigned_services import UnassignedServices
from sslops.errors import Moved
from sslops.model.ledger import NameEntry
from sslops.model.observations import BaseCommit
from sslops.model.tlsa import EMPTY
from sslops.probe.survey import Look, Observer
from sslops.publish import steps as publishing
from sslops.publish.steps import Proposing, Publisher
from sslops.roll import steps as rolling
from sslops.roll.steps import Roller
from tests.unit.dane.builders import START

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
    from datetime import datetime

    from sslops.dane.records import Keys
    from sslops.deploy.host_plan import Work
    from sslops.deploy.host_session import Prepared
    from sslops.model.ledger import ApexEntry, Evidence, HostEntry, Ledger, Pending
    from sslops.model.names import ServiceId
    from sslops.model.observations import ApexSeen
    from sslops.model.shipment import Parcel
    from sslops.model.state import Branches
    from sslops.model.tlsa import TlsaParams, TlsaRecord
    from sslops.repo.snapshot import Snapshot

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
LOAD, ON, END = "all servers load", "a run goes on", "a run ends"
SLEPT = "a roll is reverted and deployed while a publish sleeps"
TWO_DEPLOYS = (REVERT, "a deploy begins", "a run goes on", END, DEPLOY, PUBLISH)
LEFT_HALF = (REVERT, ASLEEP, "a publish begins", "a run goes on", "a run is killed", "all servers load", DEPLOY)
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
    staged = {branches.main[service].slots.next, branches.next[service].slots.next, branches.next[service].slots.curr}
    may_serve = {key for entry in ledger.hosts.values() for key in entry.serves(service).may_serve}
    return replace(found, ids=found.ids - (staged - may_serve - {branches.main[service].slots.curr}))


_NEEDED = transitions.needed


def _with_records_of_the_present_ttl(  # a name lowered from 86400 to 300 counts 300 at once
    old: NameEntry, _largest: int, current: int, _owner: str, _seen: ApexSeen
) -> NameEntry:
    return NameEntry(current, old.commit)


def _contains(owner: str, seen: ApexSeen) -> bool:
    shown = [server.answers.get(owner, EMPTY).records for server in seen.servers if server.error is None]
    return all(rrset.records & each for rrset in seen.repo.base.rrsets(owner) for each in shown)


def _one_server(self: Observer, *about: object) -> ApexSeen:
    seen = _LOOK_AT(self, *about)  # type: ignore[arg-type]
    return replace(seen, servers=seen.servers[:1])


_LOOK_AT = Observer._look_at


def _no_intent(_self: object, snapshot: Snapshot, *_: object) -> Snapshot:
    return snapshot


def _numbers_only(entry: HostEntry, seq: int, _targets: object, **_: object) -> HostEntry:
    """Give the host its number, and say nothing of what it may serve."""
    return replace(entry, seq=seq)


def _the_same_number(entry: HostEntry, _seq: int, *about: Any, **more: Any) -> HostEntry:
    """Say what the host may serve under the number that all runs have."""
    return _INTEND(entry, entry.seq, *about, **more)


_INTEND = entries.intend


def _applied_by_anybody(self: Ended, entry: HostEntry, at: datetime) -> HostEntry:
    """Write down an outcome although another run was there since."""
    return replace(_APPLIED(self, replace(entry, seq=self.seq), at), seq=entry.seq)


_APPLIED = Ended.applied


def _proven_unseen(
    _self: Prover, _host: object, asked: Mapping[ServiceId, object], **_: object
) -> Mapping[ServiceId, Shown]:
    return {service: Shown("port") for service in asked}


def _parcel_that_goes_back_anywhere(self: HostSession, service: ServiceId) -> Parcel:
    return replace(_PARCEL(self, service), returns_to=None)


def _parcel_by_the_ledger_alone(self: HostSession, service: ServiceId) -> Parcel:
    """Let a host go back to anything where the ledger says "unknown", whatever the host says that it has."""
    parcel = _PARCEL(self, service)
    is_unknown = None in (self._given.before.serves(service).may_serve or (None,))
    return replace(parcel, returns_to=None) if is_unknown else parcel


_PARCEL = HostSession._parcel


def _allowed_as_planned(_self: Deployer, _world: object, _snapshot: object, works: Sequence[Work]) -> dict[str, Work]:
    return {work.host.name: work for work in works}


def _concluded_before_it_is_known(self: Deployer, prepared: Sequence[Prepared]) -> object:
    """Write down that every host serves what it is to get, then send it."""
    hoped = [
        Ended(each.work.host.name, each.seq, each.before, {s: Proven(key, "port") for s, key in each.work.due.items()})
        for each in prepared
    ]
    self._conclude(self.ops.refresh(), hoped)
    return _SESSIONS(self, prepared)


_SESSIONS = Deployer._sessions


def _head_as_it_is(self: Publisher, _ledger: object) -> str | None:
    return self.repository.head


def _leased_on_what_is_there(self: Proposing) -> str:
    """Take the branch as it is, unless there is none."""
    repository = self.stage.repository
    return repository.head or repository.fence(None, "nothing yet")


def _leased_on_nothing(self: Proposing) -> str:
    """Where no run left anything take the branch as it is, and where there is none its absence."""
    repository = self.stage.repository
    if self.stage.stale(self.snapshot.ledger):
        return _LEASED(self)
    return cast("str", repository.head)


_LEASED = Proposing._leased


class _Careless:
    """A port whose pushes are repeated, as they are, on top of whatever was faster."""

    def __init__(self, port: Any) -> None:
        self._port = port

    def __getattr__(self, name: str) -> object:
        return getattr(self._port, name)

    def write_ledger(self, snapshot: Snapshot, ledger: Ledger, note: object) -> object:
        """Overwrite the ledger."""
        return self._insist(lambda seen: self._port.write_ledger(seen, ledger, note), snapshot)

    def write_roll(self, snapshot: Snapshot, changes: object, **how: bool) -> object:
        """Overwrite next, the roll branch and main."""
        return self._insist(lambda seen: self._port.write_roll(seen, changes, **how), snapshot)

    def _insist(self, write: Callable[[Snapshot], object], snapshot: Snapshot) -> object:
        try:
            return write(snapshot)
        except Moved:
            now = self._port.refresh()
            names = ("main_commit", "next_commit", "roll_commit", "ledger_commit")
            return write(replace(snapshot, **{name: getattr(now, name) for name in names}))

    def publish(self, base: str, head: str | None, files: object, message: str) -> object:
        """Write files over whatever the base has by now."""
        try:
            return self._port.publish(base, head, files, message)
        except Moved:
            self._port.refresh()
            return self._port.publish(self._port.base, self._port.head, files, message)

    def propose(self, base: str, head: str | None, files: object, message: str) -> object:
        """Move the branch from wherever it is."""
        try:
            return self._port.propose(base, head, files, message)
        except Moved:
            self._port.refresh()
            return self._port.propose(base, self._port.head, files, message)


def _careless(stage: type, port: str) -> property:
    """Return the field *port* of *stage* as it is without any compare-and-swap."""
    given = getattr(stage, port)
    return property(lambda self: _Careless(given.__get__(self)), given.__set__)


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


def _target_without_wildcards(at: transitions.AtName, seen: transitions.NameSeen, keys: Keys) -> transitions.Target:
    return _TARGET(at, replace(seen, synthesised=frozenset()), keys)


_TARGET = transitions.target


MUTATIONS: dict[str, Mutation] = {
    "publish writes no intent": Mutation(
        ORDER, ((Publisher, "intend", _no_intent),), setting="after a roll", usual=SIDE_BY_SIDE, seed=104
    ),
    "deploy writes no intent": Mutation(
        ORDER, ((Deployer, "_intend", _no_intent),), setting="after a roll", usual=LATE, seed=32
    ),
    "deploy says nothing of what hosts may serve": Mutation(
        ORDER, ((entries, "intend", _numbers_only),), setting="after a roll", usual=LATE, seed=32
    ),
    "deploy does not look again after its intent": Mutation(
        ORDER,
        ((Deployer, "_look_again", _allowed_as_planned),),
        setting="after a roll",
        usual=(REVERT, "a deploy begins", "a record that nobody needs is dropped by hand", LOAD, END),
        seed=35,
    ),
    "a publish that a run left is not fenced off": Mutation(
        ORDER, ((Publisher, "_fenced", _head_as_it_is),), setting="after a roll", usual=LEFT_HALF, steps=30, seed=142
    ),
    "a proposal that a run left is not fenced off": Mutation(
        ORDER,
        ((Proposing, "_leased", _leased_on_what_is_there),),
        setting="reviewed, after a roll",
        usual=(*LEFT_HALF, MERGED),
        steps=30,
        seed=227,
    ),
    "publish overwrites the ledger": Mutation(
        ORDER,
        ((Publisher, "ops", _careless(Publisher, "ops")),),
        setting="after a roll",
        usual=("a publish begins", REVERT, DEPLOY, END, LOAD),
        seed=4,
    ),
    "deploy overwrites the ledger": Mutation(
        ORDER,
        ((Deployer, "ops", _careless(Deployer, "ops")),),
        setting="after a roll",
        usual=(REVERT, "a deploy begins", ASLEEP, ON, END, LOAD),
        steps=60,
        seed=14,
    ),
    "roll overwrites main": Mutation(
        ORDER,
        ((Roller, "ops", _careless(Roller, "ops")),),
        setting="after a roll",
        usual=(RENEW, "all jobs run", "a roll begins", END, PUBLISH),
        seed=46,
        steps=40,
    ),
    "publish overwrites the DNS base": Mutation(
        ORDER,
        ((Publisher, "repository", _careless(Publisher, "repository")),),
        setting="after a roll",
        usual=(REVERT, ASLEEP, "publish runs", DEPLOY, ON, LOAD),
        steps=40,
        seed=139,
    ),
    "publish overwrites the branch of proposals": Mutation(
        ORDER,
        ((Publisher, "repository", _careless(Publisher, "repository")),),
        setting="reviewed, after a roll",
        usual=(SLEPT, ON, MERGED, LOAD),
        steps=12,
        seed=19,
    ),
    "numbers of intents do not rise": Mutation(
        FENCE, ((entries, "intend", _the_same_number),), setting="after a roll", usual=LATE, steps=40, seed=32
    ),
    "an outcome counts though another run was there": Mutation(
        FENCE, ((Ended, "applied", _applied_by_anybody),), setting="after a roll", usual=TWO_DEPLOYS, steps=30, seed=142
    ),
    "hosts are believed without a number": Mutation(
        FENCE,
        ((HostSession, "_must_be_asked", lambda _: False),),
        setting="after a roll",
        usual=LATE,
        steps=40,
        seed=32,
    ),
    "what a port shows does not matter": Mutation(
        RECORDS, ((Prover, "prove", _proven_unseen),), ("deploy goes wrong",), seed=3
    ),
    "deploy concludes before its sessions have ended": Mutation(
        ORDER,
        ((Deployer, "_sessions", _concluded_before_it_is_known),),
        setting="after a roll",
        usual=LATE,
        steps=30,
        seed=1,
    ),
    "records are withdrawn while a name server is silent": Mutation(
        RECORDS,
        ((Owner, "_while_silent", lambda _self, found: found),),
        setting="records of others, two folders",
        usual=(*BESIDE_OURS, "a server falls silent or answers again"),
        more=("other kinds of record are asked for",),
        steps=30,
        seed=185,
    ),
    "clocks are not compared": Mutation(
        MAY_SERVE,
        ((deploying, "clock_hazards", lambda *_: []),),
        setting="after a roll",
        usual=(REVERT, PUBLISH, "a deploy runs by a clock that is far off"),
        seed=1,
    ),
    "deploy goes to whoever does not answer": Mutation(
        ORDER,
        ((Deployer, "_worth_while", lambda _self, _world, works, _looked: list(works)),),
        ("a service joins", "a service is retired"),
        stops=True,
    ),
    "a host goes back further than to what it served": Mutation(
        MAY_SERVE,
        ((HostSession, "_parcel", _parcel_that_goes_back_anywhere),),
        ("a file on a host is touched", "daemons are restarted by force"),
        usual=(RENEW, "all jobs run"),
        seed=44,
    ),
    "what was in the include file and lies beside it counts for a server that lags": Mutation(
        RECORDS,
        ((Owner, "_is_mixed", lambda self, strangers: bool(strangers or self.seen.foreign)),),
        setting="records of others, from nothing",
        usual=(
            "somebody adds a record beside the include file",
            "somebody adds a record to the include file",
            "somebody takes it out of the include file",
            "publish reaches everybody",
            "a certificate is renewed",
        ),
        steps=60,
        seed=60,
    ),
    "a lost ledger lets a host go back to anything": Mutation(
        MAY_SERVE,
        ((HostSession, "_parcel", _parcel_by_the_ledger_alone),),
        setting="after a roll",
        usual=(RENEW, "publish reaches everybody", "all jobs run"),
        more=("the ledger is lost", "a file on a host is touched", "deploy goes wrong"),
        seed=30,
    ),
    "deploy asks nothing": Mutation(
        MAY_SERVE, ((deploying, "_by_gate", lambda _: lambda *_: YES),), (REVERT,), "after a roll"
    ),
    "age does not count": Mutation(MAY_SERVE, ((gate, "ready_at", lambda proof: proof.since),), seed=8),
    "age alone counts": Mutation(
        MAY_SERVE,
        ((gate, "is_broken", lambda *_: False), (evidence, "is_broken", lambda *_: False)),
        (REVERT,),
        "after a roll",
    ),
    "proposals do not count": Mutation(
        MAY_SERVE, ((gate, "proposals", lambda *_: ()),), setting="after a roll", usual=SIDE_BY_SIDE, seed=8
    ),
    "open requests do not count": Mutation(
        MAY_SERVE, ((gate, "proposals", _only_pending),), setting="reviewed, after a roll", usual=REVIEWED, seed=183
    ),
    "the branch returns to where it was": Mutation(
        ORDER,
        ((Proposing, "_leased", _leased_on_nothing),),
        setting="reviewed, after a roll",
        usual=(SLEPT, ON, MERGED, LOAD),
        steps=12,
        seed=27,
    ),
    "an emptied name is free at once": Mutation(
        MAY_SERVE,
        ((gate, "free_at", lambda entry: entry.empty_since),),
        ("the include file is emptied by hand", "all servers load"),
        seed=290,
    ),
    "a withdrawn combination is forgotten at once": Mutation(
        MAY_SERVE,
        ((gate, "gone_at", lambda *_: START),),
        ("other kinds of record are asked for", "all jobs run"),
        seed=28,
    ),
    "names count only while they are asked for": Mutation(
        MAY_SERVE, ((gate.Gate, "_names_in_use", lambda _self, _service: ()),), ("mail hosts change",), seed=3
    ),
    "the record of a CA ties nobody but who asks for it": Mutation(
        MAY_SERVE,
        ((gate, "had_records", lambda *_: False),),
        setting="EC and RSA",
        usual=("other kinds of record are asked for", RENEW, "all jobs run", PUBLISH, TIME, ROLL, DEPLOY),
        steps=30,
        seed=58,
    ),
    "names that are given up are nobody's": Mutation(
        MAY_SERVE,
        ((gate.Gate, "_given_up_near", lambda *_: ()),),
        ("other kinds of record are asked for", "a service is renamed"),
        seed=87,
    ),
    "hosts restart before the records are published": Mutation(
        ORDER,
        ((gate.Gate, "_record", lambda *_: YES),),
        (REVERT, "publish runs", "all servers load"),
        "after a roll",
        seed=5,
    ),
    "one server is asked": Mutation(MAY_SERVE, ((Observer, "_look_at", _one_server),), usual=SLOW, seed=118),
    "one combination is enough": Mutation(
        MAY_SERVE,
        ((gate, "slowest", lambda verdicts: next((each for each in verdicts if each.allowed), YES)),),
        ("other kinds of record are asked for",),
        seed=1,
    ),
    "history is not read": Mutation(
        EVIDENCE,
        ((evidence, "is_broken", _is_broken_now), (gate, "is_broken", _is_broken_now)),
        setting="after a roll",
        usual=BY_HAND,
        seed=3,
    ),
    "one folder is enough": Mutation(
        EVIDENCE, ((BaseCommit, "has", _has_somewhere),), setting="two folders, after a roll", usual=BY_HAND, seed=10
    ),
    "servers are not read": Mutation(
        EVIDENCE,
        (
            (evidence, "is_broken", _is_broken_in_base),
            (gate, "is_broken", _is_broken_in_base),
            (evidence, "servers_agree_with_base", lambda *_: True),
        ),
        usual=SLOW,
        seed=18,
    ),
    "contains is as good as equals": Mutation(
        EVIDENCE, ((evidence, "servers_agree_with_base", _contains),), usual=SLOW, seed=19
    ),
    "a lowered TTL counts at once": Mutation(
        EVIDENCE,
        ((evidence, "_with_records", _with_records_of_the_present_ttl),),
        ("the TTL changes",),
        setting="a large TTL",
        seed=129,
    ),
    "what hosts serve may be withdrawn": Mutation(
        RECORDS, ((transitions, "needed", _needed_by_slots),), ("a host dies or returns",), seed=3
    ),
    "what is staged may be withdrawn": Mutation(RECORDS, ((transitions, "needed", _needed_by_main),), stops=True),
    "ports are not asked before the first record": Mutation(
        RECORDS,
        (
            (FirstUse, "unproven_address", lambda _self: None),
            (FirstUse, "unproven_host", lambda _self: None),
            (transitions, "lack", lambda *_: None),
        ),
        setting="from nothing",
        seed=1,
    ),
    "a new combination needs no record of what is served": Mutation(
        RECORDS,
        (
            (transitions, "lack", lambda *_: None),
            (Owner, "_served_by_others", lambda *_: None),
            (Owner, "_forgotten", lambda _: {}),
        ),
        ("other kinds of record are asked for", "the ledger is lost"),
        seed=34,
    ),
    "a lost ledger had nothing to forget": Mutation(
        RECORDS,
        ((Owner, "_forgotten", lambda _: {}),),
        ("a host joins or leaves", "the ledger is lost", "all jobs run"),
        seed=63,
    ),
    "what is retired stays in the way of what is new": Mutation(
        RECORDS,
        ((Owner, "_is_in_the_way", lambda _: False),),
        ("other kinds of record are asked for", "a service is renamed"),
        stops=True,
        seed=58,
    ),
    "a service that left the name is forgotten": Mutation(
        RECORDS, ((Owner, "_still_served", lambda *_: None),), ("a service is renamed",)
    ),
    "the record of a CA tells of nobody but who asks for it": Mutation(
        RECORDS,
        ((Owner, "_may_have_had_records", lambda *_: False),),
        setting="EC and RSA",
        usual=("other kinds of record are asked for", "a service is retired", "the CA is renewed", "all jobs run"),
        seed=25,
    ),
    "records of others beside ours are not seen": Mutation(
        RECORDS,
        (
            (transitions.NameSeen, "foreign", property(lambda _: frozenset())),
            (transitions.NameSeen, "surplus", property(lambda _: frozenset())),
        ),
        setting="records of others",
        usual=BESIDE_OURS,
        more=("other kinds of record are asked for",),
        seed=95,
    ),
    "what servers show beside a name that is emptied need not match": Mutation(
        RECORDS,
        ((Owner, "_left_behind", lambda _: None),),
        setting="records of others",
        usual=BESIDE_OURS,
        more=(RENEW, "all jobs run", "mail hosts change"),
        steps=30,
        seed=129,
    ),
    "a kind goes while servers show more of it than base": Mutation(
        RECORDS,
        ((transitions.NameSeen, "surplus", property(lambda seen: seen.foreign)),),
        setting="records of others",
        usual=("somebody adds a record beside the include file", "other kinds of record are asked for"),
        more=(RENEW, "all jobs run"),
        steps=70,
        seed=69,
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
        seed=282,
    ),
    "what a wildcard begins to answer is not asked": Mutation(
        RECORDS,
        ((Owner, "_in_its_surroundings", lambda _self, found: found),),
        setting="wildcards",
        usual=("somebody adds a wildcard", "other ports are asked for", "other kinds of record are asked for"),
        more=("all jobs run",),
        seed=15,
    ),
    "what a wildcard answered does not come along": Mutation(
        RECORDS,
        ((transitions, "target", _target_without_wildcards),),
        setting="wildcards, from nothing",
        usual=("somebody adds a wildcard", "all jobs run", "publish reaches everybody", RENEW),
        seed=2,
    ),
    "what came along from a wildcard counts as ours": Mutation(
        RECORDS,
        ((publishing, "_from_wildcard", lambda *_: []),),
        setting="wildcards, from nothing",
        usual=("somebody adds a wildcard", "all jobs run", "publish reaches everybody", RENEW),
        seed=2,
    ),
    "records of others go while addresses show what is theirs": Mutation(
        RECORDS,
        ((Owner, "_served_by_others", lambda *_: None),),
        setting="consents, from nothing",
        usual=(
            "somebody adds a record to the include file",
            "people consent that records of nobody go, or take it back",
        ),
        more=("all jobs run", "publish reaches everybody", RENEW),
        steps=30,
        seed=7,
    ),
    "copies of ours that others keep are joined": Mutation(
        RECORDS,
        ((transitions, "_copied", lambda *_: frozenset()),),
        setting="records of others, EC and RSA",
        usual=BESIDE_OURS,
        more=(RENEW, "all jobs run", "the ledger is lost"),
        seed=115,
    ),
    "a zone that cannot be observed holds nobody back": Mutation(
        MAY_SERVE,
        ((gate.Gate, "_name", _yes_where_nothing_is_seen), (Look, "_published", lambda *_: lambda _: False)),
        setting="two groups, no SNI",
        more=("mail hosts of both groups change", "nobody tells the other MX, or tells it again"),
        steps=35,
        seed=235,
    ),
    "a host is not asked whether it has anything of what waits there": Mutation(
        RECORDS,
        ((UnassignedServices, "vacant", lambda *_: frozenset()),),
        setting="two groups, after a roll",
        usual=("mail hosts of both groups change", "other kinds of record are asked for", "a group rests or wakes"),
        more=("other ports are asked for", "publish reaches everybody", "a host joins or leaves"),
        steps=30,
        seed=83,
        stops=True,
    ),
    "an issuer that is listed no more may be withdrawn": Mutation(
        RECORDS,
        ((transitions, "lack", _lacks_nothing_of_a_list),),
        setting="a public CA",
        more=("records about the CA are asked for", "the list of issuers changes"),
        seed=5,
    ),
    "who is to keep copies serves nothing": Mutation(
        RECORDS,
        ((transitions, "needed", _needed_by_servers),),
        setting="copies",
        more=("a host turns from copies to serving, or back",),
        seed=179,
    ),
    "who kept copies is believed": Mutation(
        MAY_SERVE,
        tuple((stage, "as_expected", lambda ledger, _: ledger) for stage in (publishing, rolling, deploying)),
        setting="copies",
        more=("a host turns from copies to serving, or back",),
        stops=True,
        seed=2,
    ),
}


@contextmanager
def mutated(name: str) -> Iterator[None]:
    """Leave out the check called *name* while the context lasts, and with it what holds against a forged ledger.

    That asks the world again and would hide what a rule by itself lets through.
    """
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(evidence, "bounded_by_history", lambda entry, _: entry)
        patch.setattr(publishing, "owners_withdrawing", lambda _: ())
        patch.setattr(Deployer, "_contradicted", lambda *_: [])
        for owner, attribute, wrong in MUTATIONS[name].wrong:
            patch.setattr(owner, attribute, wrong)
        yield
