"""What publish would change, and what waits: one apex at a time."""

from __future__ import annotations

from dataclasses import replace

from sslops.dane.first_use import AddressSeen
from sslops.dane.names import Owners
from sslops.dane.records import Keys
from sslops.dane.rrset_inputs import World, active_apexes, ports_of
from sslops.model.inventory import Hold, Host, ServerClass, Verify
from sslops.model.ledger import ApexEntry, HostEntry, Ledger, Pending, Served
from sslops.model.observations import ApexSeen, BaseCommit, PortSeen, ServerSeen
from sslops.model.plan import Consents, Plan, Verb
from sslops.publish.rules import Publication, owners_to_ask, publication, waiting
from tests.unit.dane.builders import (
    APEX,
    OWNER,
    SERVICE,
    TTL,
    after,
    branches,
    commit,
    gen,
    generation,
    inventory,
    keyed,
    ledger,
    look,
    name,
    record,
    service,
    settled,
    slots,
    zone,
)

NOW = after(10_000)
BOTH = {"smtp1": settled(1), "smtp2": settled(1)}


def world(seen: ApexSeen, known: Ledger | None = None, **changes: object) -> World:
    """Return a world with generation 1 live, 2 staged, and one name."""
    state = branches(slots(1, 2), 1, 2)
    names = Owners((name(),), ())
    found = World(
        inventory(), state, known or ledger(BOTH, ApexEntry()), names, Keys.of(state),
        {APEX: seen.repo}, {APEX: seen}, NOW,
    )  # fmt: skip
    return replace(found, **changes)  # type: ignore[arg-type]


def plain(*shown: int, ttl: int = TTL) -> ApexSeen:
    """Return a look at a base whose records every server shows."""
    return look([commit("c0"), commit("c1", zone(*shown, ttl=ttl))], zone(*shown, ttl=ttl))


def reasons(found: Publication) -> list[str]:
    """Return why the include files change."""
    return [action.reason for action in found.plan.actions]


def records(found: Publication) -> frozenset[object]:
    """Return the records that the one include file will have."""
    return found.proposals[0].records


def test_nothing_changes_when_base_has_what_is_needed() -> None:
    """Ten runs without anything due make no commit."""
    assert Publication(publication(world(plain(1, 2))).plan, ()) == publication(world(plain(1, 2)))
    assert ((), ()) == (publication(world(plain(1, 2))).plan.actions, publication(world(plain(1, 2))).plan.waits)


def test_the_record_of_next_joins() -> None:
    """DNS shows both while the change is under way."""
    found = publication(world(plain(1)))
    assert (["records"], frozenset({record(1), record(2)})) == (reasons(found), records(found))
    assert ((f"+{record(2)}",), Verb.PUBLISH) == (found.plan.actions[0].targets, found.plan.actions[0].verb)


def test_a_record_that_nobody_needs_goes() -> None:
    """Generation 1 is served nowhere and in no slot."""
    state = branches(slots(2), 1, 2)
    known = ledger({"smtp1": settled(2), "smtp2": settled(2)})
    found = publication(world(plain(1, 2), known, branches=state))
    assert frozenset({record(2)}) == records(found)


def test_nothing_goes_while_a_name_server_is_silent() -> None:
    """It may show records of others, and ours be the only ones of their kind that match what is served."""
    seen = plain(1, 2)
    mute = replace(seen, servers=(seen.servers[0], ServerSeen("ns2", error="timed out")))
    served = ledger({"smtp1": settled(2), "smtp2": settled(2)})
    for changes in ({"branches": branches(slots(2), 1, 2)}, {"owners": Owners((), ())}):
        found = publication(world(mute, served, **changes))

        assert ([], True) == (reasons(found), "ns2 gave no answer" in found.plan.waits[-1].why)
        assert [] != reasons(publication(world(seen, served, **changes)))

    assert frozenset({record(1), record(2)}) == records(publication(world(replace(mute, repo=plain(1).repo))))


def test_a_record_stays_while_one_host_serves_it() -> None:
    """A host that is down keeps its old record until a later run reaches it."""
    state = branches(slots(2), 1, 2)
    known = ledger({"smtp1": settled(2), "smtp2": settled(1)})
    assert [] == reasons(publication(world(plain(1, 2), known, branches=state)))


def test_a_record_stays_and_waits_while_a_host_is_unknown() -> None:
    """The wait names the host."""
    state = branches(slots(2), 1, 2)
    found = publication(world(plain(1, 2), ledger({"smtp1": settled(2)}), branches=state))
    assert [] == reasons(found)
    assert ["smtp2" in wait.why for wait in found.plan.waits] == [True]


def test_an_unknown_host_is_no_wait_when_nothing_would_go() -> None:
    """There is nothing to wait for."""
    assert () == publication(world(plain(1, 2), ledger({"smtp1": settled(1)}))).plan.waits


def test_a_host_that_left_the_inventory_keeps_its_record() -> None:
    """Leaving the inventory alone does not end its entry."""
    state = branches(slots(2), 1, 2)
    known = ledger({"smtp1": settled(2), "smtp2": settled(2), "gone": settled(1)})
    assert [] == reasons(publication(world(plain(1, 2), known, branches=state)))


def test_a_host_that_keeps_copies_does_not_count() -> None:
    """Class `other` serves nobody."""
    state = branches(slots(2), 1, 2)
    known = ledger({"smtp1": settled(2), "smtp2": settled(2), "backup": replace(settled(1), proof="copy")})
    found = publication(world(plain(1, 2), known, branches=state, inventory=inventory(copies=["backup"])))
    assert frozenset({record(2)}) == records(found)


def test_a_changed_ttl_is_a_change() -> None:
    """The inventory decides the TTL."""
    found = publication(world(plain(1, 2, ttl=7)))
    assert (["ttl"], TTL) == (reasons(found), found.proposals[0].zone[OWNER].ttl_seconds)


def test_a_missing_file_is_made_even_without_records() -> None:
    """Zones include it, so it must exist."""
    seen = look([commit("c0")], {})
    gone = replace(seen, repo=replace(seen.repo, missing=("zones/tlsa.example.com",)))
    found = publication(world(gone, owners=Owners((), ())))
    assert (["missing-file"], {}) == (reasons(found), found.proposals[0].zone)


def test_a_proposal_of_a_run_that_is_gone_is_cleared() -> None:
    """Though nothing else changes."""
    entry = ApexEntry(Pending("run-1", "c1", None, frozenset({record(1), record(2)})))
    assert ["stale-proposal"] == reasons(publication(world(plain(1, 2), ledger(BOTH, entry))))


def test_an_open_proposal_that_is_not_wanted_any_more_is_taken_back() -> None:
    """Left open it would keep the name from being free, and whoever merges it years later would be right to."""
    history = [commit("c0"), commit("c1", zone(1, 2))]
    seen = look(history, zone(1, 2), head=commit("h", zone(2)))
    assert ["stale-proposal"] == reasons(publication(world(seen)))


def test_an_apex_that_could_not_be_looked_at_waits_with_that_reason() -> None:
    """Its names may be unknown too, for they come from the MX."""
    seen = plain(1)
    for owners in (Owners((name(),), ()), Owners((), ())):
        found = publication(replace(world(seen), seen={}, owners=owners))
        assert ([], ["its DNS could not be observed"]) == (reasons(found), [wait.why for wait in found.plan.waits])


def test_a_held_service_is_left_alone() -> None:
    """A person's wish, with its reason."""
    held = inventory(service(hold=Hold(None, "moving")))
    found = publication(world(plain(1), inventory=held))
    assert ([], ["held: moving"]) == (reasons(found), [wait.why for wait in found.plan.waits])


def test_a_host_outside_every_zone_waits() -> None:
    """It is somebody else's machine: blocked, until a person says so, in the words that it offers."""
    there = world(plain(1, 2), owners=Owners((name(),), ((SERVICE, "mx.example.org."),)))
    found = publication(there)
    told = Consents(frozenset({("name-unproven", "mx.example.org")}))

    assert [("mx.example.org", True)] == [(wait.what, wait.is_blocked) for wait in found.plan.waits]
    assert "--accept name-unproven=mx.example.org" in found.plan.waits[0].end
    assert () == publication(replace(there, consents=told)).plan.waits


def test_folders_that_differ_become_the_same() -> None:
    """What one of the `tlsa_dirs` lacks is put there."""
    seen = look([BaseCommit("c1", (zone(1, 2), zone(1)))], zone(1, 2))
    found = publication(world(seen))
    assert (["records"], zone(1, 2)) == (reasons(found), found.proposals[0].zone)


def test_every_active_group_but_ca_has_an_include_file() -> None:
    """In a stable order."""
    services = (service(), service("web", "example.org"), service("my-sub", "ca"))
    assert ("example.com", "example.org") == active_apexes(inventory(*services))


def test_the_actions_of_several_apexes_are_sorted() -> None:
    """A plan is the same, however the inventory lists its groups."""
    seen = look([commit("c0")], {})
    gone = replace(seen.repo, missing=("x",))
    both = inventory(service("web", "example.org"), service())
    found = publication(world(seen, inventory=both, owners=Owners((), ()), repo={"example.org": gone, APEX: gone}))
    assert [APEX, "example.org"] == [action.group for action in found.plan.actions]


def first_use(known: Ledger, *ports: PortSeen, **changes: object) -> Publication:
    """Publish the first record of an empty name; each port is one address of its host."""
    addresses = tuple(AddressSeen(f"192.0.2.{place}", 25, port) for place, port in enumerate(ports, 1))
    return publication(world(look([commit("c0")], {}), known, addresses={OWNER: addresses}, **changes))


CERT = generation(1).issued
OURS = PortSeen(frozenset({CERT.cert_sha256 if CERT else ""}), 1)


def test_a_proven_name_gets_its_first_records() -> None:
    """`curr` and `next`, when all hosts and addresses show `curr`."""
    assert frozenset({record(1), record(2)}) == records(first_use(ledger(BOTH), OURS, OURS))


def test_the_port_of_the_class_is_asked() -> None:
    """The class's `verify`, preferably the one for the port of the record, by default that port itself."""
    verify = (Verify(465), Verify(25, "smtp"), Verify(993))
    made = inventory()
    classes = {
        str(each.port): ServerClass(str(each.port), (Host(f"h{each.port}", "192.0.2.1", verify=each),))
        for each in verify
    }
    assert (verify[1],) == ports_of(OWNER, (name(),), replace(made, classes=classes))
    assert (verify[0],) == ports_of(OWNER, (name(),), replace(made, classes={"465": classes["465"]}))
    assert (Verify(25, "smtp"),) == ports_of(OWNER, (name(),), made)


def test_a_name_is_empty_while_only_a_lagging_server_shows_it() -> None:
    """Its base is empty: the next record is a first one, and its addresses are asked."""
    lagging = look([commit("c1", zone(1)), commit("c2")], zone(1), {})
    assert [(name(),)] == [owner.names for owner in owners_to_ask(world(lagging))]
    assert [] == reasons(publication(world(lagging, ledger({"smtp1": settled(1)}))))


def test_hosts_that_serve_something_else_get_no_first_record() -> None:
    """Settled on another generation, or not settled."""
    for odd in (settled(2), Served((gen(1), gen(2))), Served((None,)), Served(()), Served((gen(1),), None, None)):
        assert [] == reasons(first_use(ledger({"smtp1": settled(1), "smtp2": odd}), OURS))


def test_a_host_that_left_the_inventory_is_proven_too() -> None:
    """The name may still lead to it, and nobody knows what it serves."""
    assert [] == reasons(first_use(ledger({**BOTH, "gone": Served((gen(1), None))}), OURS))


def test_a_host_that_keeps_copies_needs_no_proof() -> None:
    """It shows nothing to anybody."""
    known = Ledger({**ledger(BOTH).hosts, "backup": HostEntry(1, {SERVICE: Served(proof="copy")})}, {APEX: ApexEntry()})
    assert ["records"] == reasons(first_use(known, OURS, inventory=inventory(copies=["backup"])))


ENDING = branches(slots(1, 2), generation(1, not_after=after(11_000)), 2)
"""Generation 1 ends in a while; the last tenth of its life has begun at `NOW`."""
HELD = inventory(service(hold=Hold(None, "moving")))


def fatal(found: Plan) -> list[bool]:
    """Return of each wait whether it is a failure."""
    return [wait.fatal for wait in found.waits]


def test_a_record_that_what_follows_lacks_fails_while_what_is_served_ends() -> None:
    """Nobody can tell how long the wait is; with the record there, or without a staged certificate, nothing ends."""
    lacking = world(plain(1), inventory=HELD)
    keyed_only = branches(slots(1, 2), generation(1, not_after=after(11_000)), keyed(2))

    assert [False] == fatal(publication(lacking).plan)
    assert [True] == fatal(publication(replace(lacking, branches=ENDING)).plan)
    assert [False] == fatal(publication(world(plain(1, 2), inventory=HELD, branches=ENDING)).plan)
    assert [False] == fatal(publication(replace(lacking, branches=keyed_only)).plan)


def test_a_hold_with_a_date_says_it_and_fails_when_the_certificate_ends_before() -> None:
    """Whatever time is left until then."""
    for ends, expected in ((after(20_000), True), (after(90_000), False)):
        held = inventory(service(hold=Hold(after(30_000), "moving")))
        state = branches(slots(1, 2), generation(1, not_after=ends), 2)
        (wait,) = publication(world(plain(1), inventory=held, branches=state)).plan.waits

        assert (after(30_000), expected) == (wait.until, wait.fatal)


def test_a_record_that_stays_endangers_nothing() -> None:
    """A host is unknown: what it may need is left there, and no staged certificate lacks anything."""
    state = branches(slots(2), generation(1, not_after=after(11_000)), generation(2, not_after=after(11_000)))
    found = publication(world(plain(1, 2), ledger({"smtp1": settled(2)}), branches=state))

    assert [False] == fatal(found.plan)


def test_a_request_that_nobody_merges_fails_while_what_is_served_ends() -> None:
    """The first records of a name hold up no roll."""
    addresses = {OWNER: (AddressSeen("192.0.2.1", 25, OURS),)}
    for seen, expected in ((plain(1), [True]), (look([commit("c0")], {}), [False])):
        here = world(seen, branches=ENDING, addresses=addresses)
        found = publication(here)

        assert ["records"] == reasons(found)
        assert expected == fatal(waiting(found, here, "nobody merges it"))
