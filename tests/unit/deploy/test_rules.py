"""Which host needs what, what waits and why: from values alone."""

from __future__ import annotations

import datetime as dt
from dataclasses import dataclass, replace

import pytest

from sslops.dane.may_serve import YES, Verdict, refused
from sslops.dane.rrset_inputs import as_expected
from sslops.deploy import host_plan as rules
from sslops.deploy import steps as clocks
from sslops.deploy.host_plan import Decision, DeployOptions, World, include_sha256, is_gone, not_seen
from sslops.deploy.steps import TOLERANCE
from sslops.deploy.unassigned_services import UnassignedServices
from sslops.errors import UsageError
from sslops.inventory.reach import deliveries
from sslops.model.cause import Cause
from sslops.model.inventory import (
    DaneOwners,
    DaneSpec,
    FileModes,
    Group,
    Hold,
    Host,
    Inventory,
    RepoSettings,
    ServerClass,
    Service,
    Settings,
    Verify,
)
from sslops.model.ledger import ApexEntry, HostEntry, Ledger, Served
from sslops.model.names import GenerationId, ServiceId
from sslops.model.observations import PortSeen
from sslops.model.plan import Consents, HazardName
from sslops.model.shipment import Answer, Held, Outcome
from sslops.model.state import Branches, Generation, Issued, ServiceState, Slots, State, Status
from sslops.model.tlsa import TlsaParams

NOW = dt.datetime(2026, 11, 24, 14, 30, tzinfo=dt.UTC)
LATER = NOW + dt.timedelta(hours=1)
OLD, NEW = GenerationId("20261124T143000Z-9b1c"), GenerationId("20261125T021705Z-77aa")
MAIL, WEB, ROOT = ServiceId("example.com", "mail"), ServiceId("example.com", "web"), ServiceId("ca", "my-root")
RESTART = (("true",),)


def issued(generation: GenerationId, *, not_after: dt.datetime = NOW + dt.timedelta(days=90)) -> Generation:
    """Return an issued generation."""
    facts = Issued(NOW, "0a", "issuer", NOW, not_after, ("mail.example.com",), "aa" * 32)
    return Generation(
        generation, Status.ISSUED, NOW, "my-sub", None, "due", None, "ec", "secp384r1", "00", "00", None, facts
    )


def live(curr: GenerationId | None, *, not_after: dt.datetime = NOW + dt.timedelta(days=90)) -> ServiceState:
    """Return a service with two issued generations, of which *curr* is live."""
    known = {key: issued(key, not_after=not_after) for key in (OLD, NEW)}
    return ServiceState(Slots(curr=curr), known)


def world(
    *,
    ledger: dict[str, HostEntry] | None = None,
    classes: tuple[ServerClass, ...] | None = None,
    state: dict[ServiceId, ServiceState] | None = None,
    includes: dict[str, str | None] | None = None,
    hold: Hold | None = None,
) -> World:
    """Return a world with one mail server, `smtp1`, that gets both services of example.com."""
    services = {
        key: Service(key, "", "my-sub", subject=None, sans=("mail.example.com",), hold=hold)  # type: ignore[arg-type]
        for key in (MAIL, WEB, ROOT)
    }
    groups = {"example.com": Group("example.com", True, (MAIL, WEB)), "ca": Group("ca", True, (ROOT,))}
    wanted = classes or (ServerClass("smtp", (Host("smtp1", "10.0.0.1"),), restart_cmd=RESTART),)
    inventory = Inventory(
        Settings(), RepoSettings(), groups, services, {}, {server_class.name: server_class for server_class in wanted}
    )
    main = State(state or {MAIL: live(NEW), WEB: live(NEW), ROOT: live(NEW)})
    return World(inventory, Branches(main, main), Ledger(ledger or {}), includes or {}, NOW)


def decide(
    found: World, options: DeployOptions | None = None, *, refused: dict[ServiceId, Verdict] | None = None
) -> Decision:
    """Decide with a gate that lets everything pass but *refused*."""
    verdicts = refused or {}
    return rules.decide(found, lambda service, _, __: verdicts.get(service, YES), options or DeployOptions())


def entry(**services: Served) -> dict[str, HostEntry]:
    """Return the ledger of `smtp1` with *services* by name."""
    return {"smtp1": HostEntry(5, {ServiceId("example.com", name): served for name, served in services.items()})}


SETTLED = Served((NEW,), NOW, "port")


def test_a_settled_host_is_left_alone() -> None:
    """Nothing is due where everything is proven."""
    decision = decide(world(ledger=entry(mail=SETTLED, web=SETTLED)))

    assert ((), ()) == (decision.works, decision.waits)


def test_a_settled_host_gets_another_owner_group_or_mode() -> None:
    """What changed in the inventory is carried out now, not with the next certificate, and only where it differs."""
    files = FileModes(group="postfix", key_mode="0640")
    classes = (ServerClass("smtp", (Host("smtp1", "10.0.0.1"),), files=files, restart_cmd=RESTART),)
    found = world(ledger=entry(mail=SETTLED, web=replace(SETTLED, files=files)), classes=classes)
    decision = decide(found)

    assert [({MAIL: NEW}, frozenset({MAIL}), frozenset())] == [
        (dict(work.due), work.chmod, work.unproven) for work in decision.works
    ]
    assert ["files-changed"] == [action.reason for action in rules.plan_of(decision, found.branches).actions]


def test_a_proof_from_before_the_roll_counts_no_more() -> None:
    """The same generation was live once, taken back, and its files may have left the host meanwhile."""
    for minutes, expected in ((-1, 0), (1, 1)):
        rolled = Slots(curr=NEW, rolled_at=NOW + dt.timedelta(minutes=minutes))
        state = {MAIL: replace(live(NEW), slots=rolled), WEB: live(NEW), ROOT: live(NEW)}
        assert expected == len(decide(world(ledger=entry(mail=SETTLED, web=SETTLED), state=state)).works)


def test_only_what_differs_is_due() -> None:
    """The other service of the host is not touched."""
    decision = decide(world(ledger=entry(mail=Served((OLD,), NOW, "port"), web=SETTLED)))

    assert [{MAIL: NEW}] == [dict(work.due) for work in decision.works]
    assert frozenset() == decision.works[0].unproven


@pytest.mark.parametrize("may_serve", [(None,), (OLD, NEW), (None, NEW), ()])
def test_an_entry_that_tells_nothing_certain_is_unproven(may_serve: tuple[GenerationId | None, ...]) -> None:
    """The host is asked before anything is sent."""
    decision = decide(world(ledger=entry(mail=Served(may_serve), web=SETTLED)))

    assert frozenset({MAIL}) == decision.works[0].unproven


def test_one_generation_without_proof_is_unproven() -> None:
    """A forced restart that was killed leaves such an entry."""
    assert frozenset({MAIL}) == decide(world(ledger=entry(mail=Served((NEW,)), web=SETTLED))).works[0].unproven


def test_a_live_generation_that_was_deleted_on_main_is_a_failure() -> None:
    """Nothing can be deployed, and "nothing to do" would be taken for success; another target is not concerned."""
    deleted = world(state={MAIL: ServiceState(Slots(curr=OLD)), WEB: live(NEW)})
    (wait,) = decide(deleted).waits

    assert (MAIL.name, "serve", True) == (wait.service, wait.what, wait.fatal)
    assert f"revert the commit that deleted 'state/example.com/mail/{OLD}'" in wait.why
    assert () == decide(deleted, DeployOptions(targets=frozenset({WEB}))).waits


def test_keys_of_own_cas_never_go_anywhere() -> None:
    """A class without pairs gets every leaf, and no CA."""
    assert {MAIL, WEB} == set(decide(world()).works[0].due)


def test_what_the_gate_refuses_waits_with_its_reason() -> None:
    """Until when and why come from the gate."""
    refused = {MAIL: Verdict(allowed=False, until=LATER, why="the record is young")}
    decision = decide(world(ledger=entry(mail=Served((OLD,), NOW, "port"), web=SETTLED)), refused=refused)

    assert () == decision.works
    assert [(LATER, "the record is young", False)] == [(wait.until, wait.why, wait.fatal) for wait in decision.waits]


def test_a_wait_that_outlives_what_is_served_is_fatal() -> None:
    """The certificate served now would expire first."""
    state = {MAIL: live(NEW, not_after=NOW + dt.timedelta(minutes=30)), WEB: live(None), ROOT: live(None)}
    refused = {MAIL: Verdict(allowed=False, until=LATER, why="the record is young")}
    decision = decide(world(ledger=entry(mail=Served((OLD,), NOW, "port")), state=state), refused=refused)

    assert [True] == [wait.fatal for wait in decision.waits]


@pytest.mark.parametrize("may_serve", [(), (None,), (None, NEW)])
def test_a_wait_of_a_host_of_which_nobody_knows_what_it_serves_is_judged_by_what_it_may(
    may_serve: tuple[GenerationId | None, ...],
) -> None:
    """The ledger was lost, and the one before the last roll ends in a while."""
    old, new = issued(OLD, not_after=NOW + dt.timedelta(minutes=30)), issued(NEW)
    state = {MAIL: ServiceState(Slots(curr=NEW, prev=OLD), {OLD: old, NEW: new}), WEB: live(None), ROOT: live(None)}
    refused = {MAIL: Verdict(allowed=False, until=LATER, why="the record is young")}
    decision = decide(world(ledger=entry(mail=Served(may_serve)), state=state), refused=refused)

    assert [True] == [wait.fatal for wait in decision.waits]


def test_a_host_that_is_to_keep_copies_only_gets_none_before_it_is_seen_not_to_serve() -> None:
    """New files under a daemon that may still show the old ones would say nothing about what it shows."""
    copies = (ServerClass("other", (Host("smtp1", "10.0.0.1"),), serves=False),)
    served, kept = Served((OLD,), NOW, "port"), Served((OLD,), NOW, "copy")
    found = decide(world(classes=copies, ledger=entry(**{MAIL.name: served, WEB.name: kept})))

    assert [(frozenset({MAIL}), [WEB])] == [(work.former, list(work.due)) for work in found.works]
    assert [True] == ["it keeps copies of this only" in wait.why for wait in found.waits]


def test_what_a_keeper_of_copies_begins_to_serve_is_not_proven() -> None:
    """Its files are right; what its daemon shows nobody has asked yet."""
    found = world(ledger=entry(**{MAIL.name: Served((NEW,), NOW, "copy"), WEB.name: SETTLED}))
    seen = replace(found, ledger=as_expected(found.ledger, found.inventory))

    assert [(frozenset({MAIL}), {MAIL: NEW})] == [(work.unproven, dict(work.due)) for work in decide(seen).works]


@pytest.mark.parametrize(("proof", "expected"), [("port", None), ("copy", "copy"), (None, None)])
def test_what_a_host_is_to_serve_no_more_is_not_proven(proof: str | None, expected: str | None) -> None:
    """People take its files away; what it may serve stays, and a copy stays a copy."""
    known = {MAIL: SETTLED, WEB: SETTLED, GONE: Served((OLD,), NOW, proof)}
    found = world(ledger={"smtp1": HostEntry(7, known)})
    seen = as_expected(found.ledger, found.inventory).host("smtp1")

    assert {**known, GONE: Served((OLD,), NOW, expected)} == seen.services


def test_nothing_of_a_frozen_group_is_doubted() -> None:
    """Nothing about it changes while its group is not active."""
    served = Served((OLD,), NOW, "port")
    found = world(ledger={"smtp1": HostEntry(7, {MAIL: SETTLED, GONE: served})})
    frozen = replace(found.inventory, groups={**found.inventory.groups, "example.com": Group("example.com", False, ())})

    assert served == as_expected(found.ledger, frozen).host("smtp1").serves(GONE)


def test_a_copy_asks_no_gate() -> None:
    """A class that does not serve may hold any generation."""
    copies = (ServerClass("other", (Host("smtp1", "10.0.0.1"),), serves=False),)
    refused = {MAIL: Verdict(allowed=False), WEB: Verdict(allowed=False)}

    assert {MAIL, WEB} == set(decide(world(classes=copies), refused=refused).works[0].due)


def test_a_restart_does_not_reach_what_must_not_be_loaded() -> None:
    """Files of `mail` may be new while it must not be served: `web` of the same class waits too."""
    ledger = entry(mail=Served((OLD, NEW)), web=Served((OLD,), NOW, "port"))
    refused = {MAIL: Verdict(allowed=False, until=LATER, why="a server lags")}
    decision = decide(world(ledger=ledger), refused=refused)

    assert () == decision.works
    assert {"a server lags", "the restart would reach 'example.com/mail' too: a server lags"} == {
        wait.why for wait in decision.waits
    }


def test_a_service_that_was_never_sent_does_not_hold_up_another() -> None:
    """Of `mail` there are no files of ours yet, so a restart cannot load them."""
    refused = {MAIL: Verdict(allowed=False, until=LATER, why="the record is young")}

    assert [{WEB: NEW}] == [dict(work.due) for work in decide(world(), refused=refused).works]


def test_the_backoff_of_a_failed_restart_counts() -> None:
    """Until then the host is left alone; a person who names it does not wait."""
    ledger = entry(mail=Served((OLD,), NOW, "port", 2, LATER), web=SETTLED)

    assert [(LATER, "restart or verification failed 2 times")] == [
        (wait.until, wait.why) for wait in decide(world(ledger=ledger)).waits
    ]
    named = DeployOptions(hosts=frozenset({"smtp1"}))
    assert [{MAIL: NEW}] == [dict(work.due) for work in decide(world(ledger=ledger), named).works]


def test_a_hold_stops_a_service_visibly() -> None:
    """It waits with the reason that a person gave."""
    decision = decide(world(hold=Hold(LATER, "audit")))

    assert {"held: audit"} == {wait.why for wait in decision.waits}
    assert () == decision.works


def test_an_include_file_that_differs_is_sent() -> None:
    """By its hash; an apex without a file gets an empty one."""
    ledger = {"smtp1": replace(entry(mail=SETTLED, web=SETTLED)["smtp1"], tlsa={"example.com": "old"})}

    assert {"example.com": "new"} == decide(world(ledger=ledger, includes={"example.com": "new"})).works[0].includes
    empty = decide(world(ledger=ledger, includes={"example.com": None})).works[0].includes
    assert {"example.com": include_sha256(b"")} == empty


def test_an_include_file_waits_while_its_restart_does() -> None:
    """A class that depends on dns restarts for it, so its backoff counts."""
    dns = (ServerClass("dns", (Host("smtp1", "10.0.0.1"),), restart_cmd=RESTART, depends=("dns",)),)
    ledger = entry(mail=Served((NEW,), NOW, "port", 1, LATER), web=SETTLED)
    decision = decide(world(ledger=ledger, classes=dns, includes={"example.com": "new"}))

    assert () == decision.works
    assert ["the restart failed before"] == [wait.why for wait in decision.waits]


def test_a_forced_restart_proves_again_what_is_settled() -> None:
    """It sends nothing, and everything of the class is due to be shown."""
    decision = decide(world(ledger=entry(mail=SETTLED, web=SETTLED)), DeployOptions(force_restart=True))

    assert (frozenset({"smtp"}), {MAIL: NEW, WEB: NEW}) == (decision.works[0].restart, dict(decision.works[0].due))


def test_targets_and_hosts_narrow_it() -> None:
    """Only the services and hosts that were named."""
    only_web = DeployOptions(targets=frozenset({WEB}))

    assert [{WEB: NEW}] == [dict(work.due) for work in decide(world(), only_web).works]
    with pytest.raises(UsageError, match="no host 'smtp9' in the inventory"):
        decide(world(), DeployOptions(hosts=frozenset({"smtp9"})))


def test_a_host_that_left_the_inventory_keeps_its_entry() -> None:
    """It waits, visibly, with the command that ends it."""
    ledger = {"gone": HostEntry(3, {MAIL: Served((OLD,), NOW, "port")})}
    decision = decide(world(ledger=ledger))

    assert {} == decision.closed
    assert ["gone"] == [wait.what for wait in decision.waits]
    assert "sslops deploy --forget gone" in decision.waits[0].why


def test_forgetting_a_host_needs_consent() -> None:
    """Without it the exact words are a hazard; with it the entry goes."""
    ledger = {"gone": HostEntry(3, {MAIL: Served((OLD,), NOW, "port")})}
    refused = decide(world(ledger=ledger), DeployOptions(forget=frozenset({"gone"})))
    consents = Consents(frozenset({("host-removed", "gone")}))
    granted = decide(world(ledger=ledger), DeployOptions(forget=frozenset({"gone"}), consents=consents))

    assert ["--accept host-removed=gone"] == [hazard.consent for hazard in refused.hazards]
    assert (frozenset(), frozenset({"gone"})) == (refused.forgotten, granted.forgotten)
    assert ((), ()) == (granted.hazards, granted.waits)


def test_a_host_of_the_inventory_cannot_be_forgotten() -> None:
    """It can be asked, so nothing is taken on trust."""
    with pytest.raises(UsageError, match="'smtp1' is in the inventory"):
        decide(world(), DeployOptions(forget=frozenset({"smtp1"})))


def test_an_entry_ends_when_all_it_may_serve_has_expired() -> None:
    """Nothing unknown among it, and nobody brings it up to date any more."""
    past = {MAIL: live(NEW, not_after=NOW), WEB: live(NEW), ROOT: live(NEW)}
    gone = HostEntry(3, {MAIL: Served((OLD, NEW))})
    unknown = HostEntry(3, {MAIL: Served((None, NEW))})

    assert {"gone": frozenset({MAIL})} == decide(world(ledger={"gone": gone}, state=past)).closed
    assert {} == decide(world(ledger={"gone": unknown}, state=past)).closed
    assert {} == decide(world(ledger={"smtp1": gone}, state=past)).closed


def test_the_plan_names_each_service_once_with_its_hosts() -> None:
    """Two hosts that need the same are one action."""
    pair = (ServerClass("smtp", (Host("smtp1", "10.0.0.1"), Host("smtp2", "10.0.0.2")), restart_cmd=RESTART),)
    found = world(classes=pair)
    actions = rules.plan_of(decide(found), found.branches).actions

    assert [("mail", ("smtp1", "smtp2")), ("web", ("smtp1", "smtp2"))] == [
        (action.service, action.targets) for action in actions
    ]
    assert {"unproven"} == {action.reason for action in actions}


def test_the_plan_does_not_depend_on_the_order_of_classes() -> None:
    """Names sorted differently in the inventory give the same plan."""
    one = ServerClass("a", (Host("smtp1", "10.0.0.1"),), restart_cmd=RESTART)
    two = ServerClass("b", (Host("smtp2", "10.0.0.2"), Host("smtp1", "10.0.0.1")), restart_cmd=RESTART)
    first, second = world(classes=(one, two)), world(classes=(two, one))

    assert rules.plan_of(decide(first), first.branches) == rules.plan_of(decide(second), second.branches)


GONE = ServiceId("example.com", "gone")
SERVED = Served((OLD,), NOW, "port")


def with_former(served: Served, **changes: object) -> World:
    """Return a world whose host has an entry of a service that the inventory does not give it."""
    settled = Served((NEW,), NOW, "port")
    return world(ledger={"smtp1": HostEntry(7, {MAIL: settled, WEB: settled, GONE: served})}, **changes)  # type: ignore[arg-type]


def test_a_service_that_a_host_gets_no_more_is_asked_about_and_waits() -> None:
    """Leaving the inventory proves nothing."""
    decision = rules.decide(with_former(SERVED), lambda *_: YES, DeployOptions())
    assert [frozenset({GONE})] == [work.former for work in decision.works]
    assert [("gone", "smtp1")] == [(wait.service, wait.what) for wait in decision.waits]


def test_a_service_that_was_proven_to_be_nowhere_is_not_asked_about() -> None:
    """Its entry says that nothing of ours is served."""
    assert () == rules.decide(with_former(Served(())), lambda *_: YES, DeployOptions()).works


UNMATCHABLE = refused("has 2 0 1 records", Cause.UNMATCHABLE)


@pytest.mark.parametrize(
    ("entry", "verdict", "expected"),
    [
        (None, UNMATCHABLE, {MAIL}),
        (Served(()), UNMATCHABLE, set()),
        (Served((OLD,), NOW, "port"), UNMATCHABLE, set()),
        (None, refused("too young", Cause.CACHES, LATER), set()),
    ],
)
def test_a_host_is_asked_whether_it_has_anything_of_what_must_not_come_there(
    entry: Served | None, verdict: Verdict, expected: set[ServiceId]
) -> None:
    """Records that the service cannot match stay while a host of it was never asked, and it waits for them to go."""
    known = {WEB: Served((NEW,), NOW, "port")} | ({} if entry is None else {MAIL: entry})
    found = world(ledger={"smtp1": HostEntry(7, known)})
    decision = rules.decide(found, lambda *_: verdict, DeployOptions())

    assert expected == frozenset().union(*(work.vacant for work in decision.works))
    assert ["mail"] == [wait.service for wait in decision.waits]


def test_a_run_for_some_targets_leaves_the_others_alone() -> None:
    """A person asked for one service."""
    decision = rules.decide(with_former(SERVED), lambda *_: YES, DeployOptions(targets=frozenset({MAIL})))
    assert () == decision.works


@dataclass(frozen=True)
class Shows:
    """Ports that show these certificates, or give no answer."""

    certificates: frozenset[str] = frozenset()
    error: str | None = None

    def show(self, *_about: object, **_how: object) -> PortSeen:
        """Return it."""
        return PortSeen(self.certificates, 1, error=self.error)


@pytest.mark.parametrize(
    ("held", "ports", "expected"),
    [
        (Held(None), Shows(frozenset({"aa" * 32})), {MAIL}),
        (Held(None), Shows(frozenset({"cc" * 32})), set()),
        (Held(None), Shows(error="connection refused"), set()),
        (Held(OLD, {"cert.pem": "bb" * 32}), Shows(frozenset({"aa" * 32})), set()),
    ],
)
def test_a_host_has_nothing_of_a_service_when_neither_files_nor_ports_tell_of_it(
    held: Held, ports: Shows, expected: set[ServiceId]
) -> None:
    """What it was never asked it may show from anywhere, so its ports have to show what it is settled on, alone."""
    host = Host("smtp1", "10.0.0.1", verify=Verify(25, "smtp"))
    found = world(classes=(ServerClass("smtp", (host,), restart_cmd=RESTART),))
    work = rules.Work(deliveries(found.inventory)[0], vacant=frozenset({MAIL}))
    entry = HostEntry(7, {WEB: Served((NEW,), NOW, "port")})
    services = UnassignedServices(found.branches, ports)

    assert expected == services.vacant(work, entry, Answer(Outcome.DONE, 7, {MAIL: held}))


RIGHT, OTHER = "bb" * 32, "cc" * 32


@pytest.mark.parametrize(
    ("served", "ports", "expected"),
    [
        (SERVED, [PortSeen(frozenset({RIGHT}), 3)], True),
        (SERVED, [PortSeen(frozenset({OTHER}), 3)], True),
        (SERVED, [PortSeen(frozenset({RIGHT, "aa" * 32}), 3)], False),
        (SERVED, [], False),
        (SERVED, [PortSeen(frozenset(), 3)], False),
        (SERVED, [PortSeen(frozenset({RIGHT}), 3), PortSeen(error="refused")], False),
        (Served((OLD, None)), [PortSeen(frozenset({RIGHT}), 3)], True),
        (Served((OLD, None)), [PortSeen(frozenset({OTHER}), 3)], False),
        (Served((GenerationId("20200101T000000Z-0000"),)), [PortSeen(frozenset({OTHER}), 3)], False),
    ],
)
def test_ports_prove_that_a_service_is_gone(served: Served, ports: list[PortSeen], expected: bool) -> None:
    """All answer, none shows it; what is unknown is gone only where nothing but the right certificates is seen."""
    assert expected == not_seen(served, {OLD: "aa" * 32}, ports, frozenset({RIGHT}))


@pytest.mark.parametrize(
    ("files", "unfinished", "expected"),
    [(True, True, False), (True, False, True), (False, False, True), (False, True, True)],
)
def test_files_that_no_daemon_loaded_yet_may_be_served_whatever_the_port_shows(
    files: bool,
    unfinished: bool,
    expected: bool,
) -> None:
    """The run was killed between switch and restart, and the service left the inventory: the next restart shows it."""
    held = {GONE: Held(OLD, {"cert.pem": "aa" * 32}, intact=True)} if files else {}
    answer = Answer(Outcome.DONE, 7, held, {}, frozenset({GONE} if unfinished else ()))
    ports = [PortSeen(frozenset({RIGHT}), 3)]
    assert expected == is_gone(GONE, SERVED, answer, {OLD: "aa" * 32}, lambda: ports, frozenset({RIGHT}))


@pytest.mark.parametrize(
    ("drift", "expected"),
    [
        (TOLERANCE, []),
        (-TOLERANCE, []),
        (dt.timedelta(minutes=3), ["3 min ahead of"]),
        (dt.timedelta(hours=-2), ["120 min behind"]),
    ],
)
def test_a_clock_that_is_not_ours_is_a_hazard(drift: dt.timedelta | None, expected: list[str]) -> None:
    """A minute is forgiven."""
    found = replace(world(), ledger=Ledger(apexes={"example.com": ApexEntry()}))
    looked = {"smtp1": Answer(Outcome.DONE, drift=drift)}
    hazards = clocks.clock_hazards(decide(found).works, looked, found, Consents())

    assert expected == [words for hazard in hazards for words in expected if f"is {words} this" in hazard.why]
    assert [(HazardName.CLOCK, "smtp1")] * len(expected) == [(each.name, each.subject) for each in hazards]


def test_a_host_that_does_not_tell_its_time_is_a_hazard() -> None:
    """It has no `date`, or one that says something else."""
    found = replace(world(), ledger=Ledger(apexes={"example.com": ApexEntry()}))
    hazards = clocks.clock_hazards(decide(found).works, {"smtp1": Answer(Outcome.DONE)}, found, Consents())

    assert ["does not tell its time" in each.why for each in hazards] == [True]


def test_a_clock_stands_in_the_way_of_what_is_new_only() -> None:
    """What is settled or loaded already may be proven again and restarted; copies serve nobody."""
    looked = {"smtp1": Answer(Outcome.DONE, drift=dt.timedelta(hours=5))}
    apexes = {"example.com": ApexEntry()}

    def subjects(known: dict[str, HostEntry], answer: Answer, *, serves: bool = True, force: bool = False) -> list[str]:
        smtp = ServerClass("smtp", (Host("smtp1", "10.0.0.1"),), restart_cmd=RESTART, serves=serves)
        found = replace(world(classes=(smtp,)), ledger=Ledger(known, apexes))
        works = decide(found, DeployOptions(force_restart=force)).works
        return [each.subject for each in clocks.clock_hazards(works, {"smtp1": answer}, found, Consents())]

    held = {service: Held(NEW, intact=True) for service in (MAIL, WEB)}
    loaded = replace(looked["smtp1"], services=held)

    assert ["smtp1"] == subjects({}, looked["smtp1"])
    assert [] == subjects({}, looked["smtp1"], serves=False)
    assert [] == subjects({}, loaded)
    assert ["smtp1"] == subjects({}, replace(loaded, unfinished=frozenset({MAIL})))
    assert [] == subjects(entry(mail=SETTLED, web=SETTLED), looked["smtp1"], force=True)


def test_a_site_with_dane_counts_before_any_look_at_dns() -> None:
    """The ledger knows of no records yet, and the inventory asks for some."""
    found, looked = world(), {"smtp1": Answer(Outcome.DONE, drift=dt.timedelta(hours=5))}
    dane = (DaneSpec(25, "tcp", TlsaParams(3, 1, 1), DaneOwners.MX),)
    services = {key: replace(each, dane=dane) for key, each in found.inventory.services.items()}
    wanted = replace(found, inventory=replace(found.inventory, services=services))

    assert 1 == len(clocks.clock_hazards(decide(wanted).works, looked, wanted, Consents()))


def test_a_clock_stands_in_nobodys_way_where_there_are_no_records_or_a_person_consents() -> None:
    """Without DANE nothing rests on the time."""
    looked = {"smtp1": Answer(Outcome.DONE, drift=dt.timedelta(hours=5))}
    consent = Consents(frozenset({(HazardName.CLOCK, "smtp1")}))
    without, known = world(), replace(world(), ledger=Ledger(apexes={"example.com": ApexEntry()}))

    assert [] == clocks.clock_hazards(decide(without).works, looked, without, Consents())
    assert [] == clocks.clock_hazards(decide(known).works, looked, known, consent)
