"""What becomes of one owner: services that come and go, DANE switched off, records of somebody else."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, Any

import pytest

from sslops.dane.first_use import AddressSeen
from sslops.dane.names import Owners
from sslops.dane.records import Der, Keys, Material
from sslops.dane.rrset_inputs import World
from sslops.model.cause import Cause
from sslops.model.inventory import CaType, CertificateAuthority, Group, Hold, Host, ServerClass, TlsaIssuer
from sslops.model.ledger import ApexEntry, HostEntry, Ledger, Served
from sslops.model.names import ServiceId
from sslops.model.observations import PortSeen
from sslops.model.plan import Consents, HazardName
from sslops.model.state import Branches, State
from sslops.model.tlsa import TlsaParams, TlsaRecord
from sslops.publish.rules import Publication, owners_to_ask, publication
from tests.unit.dane import builders
from tests.unit.dane.builders import (
    APEX,
    HOST,
    LONG,
    OWNER,
    PARAMS,
    SERVICE,
    START,
    commit,
    inventory,
    ledger,
    look,
    name,
    record,
    service,
    settled,
    slots,
    state,
    zone,
)
from tests.unit.publish.test_rules import BOTH, NOW, reasons

if TYPE_CHECKING:
    from datetime import datetime

    from sslops.model.inventory import Inventory, Service

RSA = ServiceId(APEX, "mail-rsa")
NOBODY = Owners((), ())
ONE, BOTH_NAMES = Owners((name(),), ()), Owners((name(), name(of=RSA)), ())
FOREIGN = Consents(frozenset({("tlsa-foreign", OWNER)}))
RSA_CERT = f"{11:064x}"


def two_services() -> Branches:
    """Return mail-ec with generation 1 live and mail-rsa with generation 11."""
    found = {**state(slots(1), 1).services, **state(slots(11), 11, of=RSA).services}
    return Branches(State(found), State(found))


def both_serve(**changes: Served) -> Ledger:
    """Return both hosts, each settled on both services; *changes* are entries of mail-rsa by host."""
    hosts = {
        host: HostEntry(1, {SERVICE: settled(1), RSA: changes.get(host, settled(11))}) for host in ("smtp1", "smtp2")
    }
    return Ledger(hosts, {APEX: ApexEntry()})


def shown(*numbers: int, port: int = 25) -> dict[str, tuple[AddressSeen, ...]]:
    """Return the one address of the name, which shows the certificates of these generations."""
    certificates = frozenset(f"{number:064x}" for number in numbers)
    return {OWNER: (AddressSeen("192.0.2.1", port, PortSeen(certificates, 1)),)}


def becomes(*in_base: int, servers: tuple[int, ...] = (), **changes: object) -> Publication:
    """Return what becomes of a base with these records; *servers* are shown beside them."""
    return publication(world(*in_base, servers=servers, **changes))


def world(*in_base: int, servers: tuple[int, ...] = (), **changes: object) -> World:
    """Return a world of two services at one name."""
    seen = look([commit("c0"), commit("c1", zone(*in_base))], zone(*in_base, *servers))
    branches = two_services()
    found = World(
        inventory(service(), service("mail-rsa")), branches, both_serve(), BOTH_NAMES, Keys.of(branches),
        {APEX: seen.repo}, {APEX: seen}, NOW,
    )  # fmt: skip
    return replace(found, **changes)  # type: ignore[arg-type]


def records(found: Publication) -> set[object]:
    """Return the records that the include file will have; those of the base when it does not change."""
    return set(found.proposals[0].records) if found.proposals else {"unchanged"}


def whys(found: Publication) -> str:
    """Return why it waits, in one text."""
    return "; ".join(wait.why for wait in found.plan.waits)


def test_a_port_of_two_services_gets_both_records_at_first_use() -> None:
    """When each host serves both, and the name shows nothing else."""
    assert {record(1), record(11)} == records(becomes(addresses=shown(1, 11)))
    assert {"unchanged"} == records(becomes(addresses=shown(1, 11, 99)))


def test_first_use_waits_for_every_host_of_every_service() -> None:
    """One of them is not yet verified to serve the RSA certificate."""
    found = becomes(addresses=shown(1, 11), ledger=both_serve(smtp2=Served()))
    assert ({"unchanged"}, True) == (records(found), "smtp2" in whys(found))


def test_a_service_that_joins_gets_its_record_before_any_host_serves_it() -> None:
    """One record more of a kind that is there already."""
    joining = both_serve(smtp1=Served(), smtp2=Served())
    assert {record(1), record(11)} == records(becomes(1, ledger=joining))


def test_a_service_that_left_the_name_keeps_its_record_while_its_hosts_serve_the_name() -> None:
    """The port shows its certificate to whoever asks for RSA."""
    found = becomes(1, 11, owners=ONE, addresses=shown(1))
    assert ({"unchanged"}, True) == (records(found), "the records of example.com/mail-rsa stay" in whys(found))


def without_rsa(*, entries: Served | None = None) -> dict[str, Any]:
    """Return the changes after mail-rsa was retired; *entries*: what its hosts are still thought to serve of it."""
    hosts = dict(ledger(BOTH, ApexEntry()).hosts)
    if entries is not None:
        hosts["smtp1"] = HostEntry(1, {SERVICE: settled(1), RSA: entries})
    return {"owners": ONE, "inventory": inventory(service()), "ledger": Ledger(hosts, {APEX: ApexEntry()})}


def test_a_retired_service_gives_up_its_record_when_nothing_shows_it() -> None:
    """Its entries are closed, and every address was asked."""
    gone = becomes(1, 11, addresses=shown(1), **without_rsa())
    assert {record(1)} == records(gone)


@pytest.mark.parametrize(
    ("entries", "addresses"),
    [(settled(11), shown(1)), (Served(), shown(1)), (None, shown(1, 11)), (None, {}), (None, shown())],
)
def test_a_retired_service_keeps_its_record_while_it_may_be_met(
    entries: Served | None, addresses: dict[str, tuple[AddressSeen, ...]]
) -> None:
    """A host is not proven to be without it, a port shows it, or no address could be asked."""
    found = becomes(1, 11, addresses=addresses, **without_rsa(entries=entries))
    assert ({"unchanged"}, True) == (records(found), "stay" in whys(found))


ABOUT_CA = TlsaParams(2, 1, 1)
MY_SUB = ServiceId("ca", "my-sub")


def after_a_change_of_kind(
    kind: TlsaParams, rest: Inventory, *, before: tuple[TlsaRecord | int, ...] = (1, 11)
) -> set[object]:
    """Return what mail-ec gets when it asks for *kind* and only records about the CA are left of those *before*.

    The CA signed mail-rsa, which hosts still serve, with its key 7, and mail-ec with 8 after it was renewed.
    """
    signed = {
        **state(slots(1), builders.generation(1, signer=builders.gen(8))).services,
        **state(slots(11), builders.generation(11, signer=builders.gen(7)), of=RSA).services,
        **state(slots(8), 7, 8, of=MY_SUB).services,
    }
    branches = Branches(State(signed), State(signed))
    base = zone(record(7, params=ABOUT_CA), record(8, params=ABOUT_CA))
    seen = look([commit("c0"), commit("c1", zone(*before)), commit("c2", base)], base)
    found = becomes(
        branches=branches, keys=Keys.of(branches), repo={APEX: seen.repo}, seen={APEX: seen}, inventory=rest,
        owners=Owners((name(params=kind),), ()), addresses=shown(1, 11),
    )  # fmt: skip
    return records(found)


@pytest.mark.parametrize("rest", [(), (service("mail-rsa", dane=()),), (service("mail-rsa"),)])
def test_a_service_that_hosts_still_show_is_remembered_when_the_record_of_its_ca_is_all_that_is_left(
    rest: tuple[Service, ...],
) -> None:
    """Retired, without `dane_tls`, or not asked for here: the history of the base has its records of another kind."""
    left = inventory(service(), *rest)

    assert {"unchanged"} == after_a_change_of_kind(ABOUT_CA, left)

    both = {record(7, params=ABOUT_CA), record(8, params=ABOUT_CA)}

    assert both | {record(1), record(11)} == after_a_change_of_kind(PARAMS, left)


def test_a_service_that_never_had_records_gets_none_and_keeps_that_of_its_ca_while_it_may_be_served() -> None:
    """imap beside smtp, of one CA: nobody can tell that it never had `dane_tls`, and a record more harms nobody."""
    beside = inventory(service(), service("mail-rsa", dane=()))
    both = (record(7, params=ABOUT_CA), record(8, params=ABOUT_CA))

    assert {"unchanged"} == after_a_change_of_kind(ABOUT_CA, beside, before=both)
    assert {*both, record(1)} == after_a_change_of_kind(PARAMS, beside, before=both)


def test_the_addresses_of_a_name_are_asked_only_where_it_matters() -> None:
    """First use, a service that left, a record of nobody; not in the usual run of things."""
    asked = [
        bool(owners_to_ask(each))
        for each in (world(), world(1, 11), world(1, 11, owners=ONE), world(1, 11, 99), world(1, owners=NOBODY))
    ]
    assert [True, False, True, True, False] == asked


def test_dane_switched_off_empties_the_name_at_once() -> None:
    """Without any record there is no DANE; who has the old ones cached finds what they say."""
    found = becomes(1, 11, owners=NOBODY)
    assert (["records"], {}) == (reasons(found), found.proposals[0].zone)


WEB = ServiceId(APEX, "web")


def test_a_name_that_one_service_left_by_the_inventory_is_emptied_though_another_there_is_retired() -> None:
    """The first may have a new staged key, without a record there."""
    rest = inventory(service(dane=()))
    assert set() == records(becomes(1, 11, owners=NOBODY, inventory=rest, ledger=ledger(BOTH, ApexEntry())))


@pytest.mark.parametrize(
    ("mail", "web", "expected"),
    [(settled(1), settled(9), {"unchanged"}), (None, settled(9), set()), (settled(1), None, set())],
)
def test_the_names_of_a_retired_service_are_emptied_when_no_host_serves_it_or_another_comes(
    mail: Served | None, web: Served | None, expected: set[str]
) -> None:
    """A file removed by mistake changes nothing in DNS; what is new to the hosts waits until these names are free."""
    retired = replace(inventory(service("web", dane=())), classes=inventory(service()).classes)
    served = {service: each for service, each in ((SERVICE, mail), (WEB, web)) if each is not None}
    known = Ledger({host: HostEntry(1, served) for host in ("smtp1", "smtp2")}, {APEX: ApexEntry()})
    assert expected == records(becomes(1, owners=NOBODY, inventory=retired, ledger=known))


def test_a_name_is_not_given_up_while_some_mx_is_not_known() -> None:
    """Its service may still have it: which hosts are its MX could not be asked."""
    found = becomes(1, owners=NOBODY, failed={APEX: "timed out"})
    assert ({"unchanged"}, True) == (records(found), "timed out" in whys(found))


def test_names_of_an_inactive_group_and_of_a_held_service_are_left_alone() -> None:
    """Frozen is frozen, wherever the name lies."""
    frozen = inventory(service(), service("web", "example.org"))
    frozen = replace(frozen, groups={**frozen.groups, APEX: Group(APEX, False, (SERVICE,))})
    seen = look([commit("c1", zone(1))], zone(1))
    odd = {"example.org": seen}
    found = becomes(owners=NOBODY, inventory=frozen, repo={"example.org": seen.repo}, seen=odd)
    assert ({"unchanged"}, True) == (records(found), "is not active" in whys(found))
    held = inventory(service(hold=Hold(None, "moving")), service("mail-rsa"))
    assert {"unchanged"} == records(becomes(1, 11, owners=NOBODY, inventory=held))


def test_our_records_do_not_leave_a_name_to_records_that_nothing_served_matches() -> None:
    """Whatever a person consents to: ours go when the other one is out of the zone."""
    for consents in (Consents(), FOREIGN):
        found = becomes(1, owners=NOBODY, servers=(99,), consents=consents, addresses=shown(1))

        assert ({"unchanged"}, [Cause.UNMANAGED_RECORDS]) == (
            records(found),
            [wait.cause for wait in found.plan.waits],
        )


def test_our_records_leave_a_name_to_somebody_else_who_is_the_only_one_met_there() -> None:
    """Its mail moved to another server: every address shows that one's certificate, and a person says it may be so."""
    found = becomes(1, owners=NOBODY, servers=(99,), addresses=shown(99))

    assert ({"unchanged"}, [HazardName.TLSA_FOREIGN]) == (records(found), [each.name for each in found.plan.hazards])
    assert set() == records(becomes(1, owners=NOBODY, servers=(99,), addresses=shown(99), consents=FOREIGN))


def test_a_name_is_not_emptied_while_a_server_shows_what_base_has_no_more() -> None:
    """It lags, or somebody keeps a copy of the record beside the include file: that alone would match nothing."""
    before = [commit("c0", zone(1, 2)), commit("c1", zone(1))]
    for left, expected in (((2,), {"unchanged"}), ((), set())):
        seen = look(before, zone(1, *left))
        found = becomes(owners=NOBODY, repo={APEX: seen.repo}, seen={APEX: seen})

        assert expected == records(found)


def test_records_that_no_generation_explains_stay_in_a_name_that_nobody_asks_for() -> None:
    """Somebody wrote them by hand into our file before it was ours."""
    found = becomes(99, owners=NOBODY)
    assert ({"unchanged"}, ["tlsa-foreign"]) == (records(found), [each.name for each in found.plan.hazards])
    assert set() == records(becomes(99, owners=NOBODY, consents=FOREIGN))


def test_our_record_joins_those_that_were_written_by_hand() -> None:
    """The old certificate is still served everywhere; nothing of it is touched."""
    found = becomes(99, ledger=Ledger({}, {APEX: ApexEntry()}), addresses=shown(99))
    assert {record(1), record(11), record(99)} == records(found)


def test_our_record_joins_those_of_another_part_of_the_zone() -> None:
    """The zone has them itself; every server shows them."""
    found = becomes(servers=(99,), ledger=Ledger({}, {APEX: ApexEntry()}), addresses=shown(99))
    assert {record(1), record(11)} == records(found)


def test_records_written_by_hand_go_when_nothing_needs_them_and_a_person_agrees() -> None:
    """Every host and every address shows ours only; consent alone is not enough."""
    served: dict[str, Any] = {"addresses": shown(1, 11)}
    found = becomes(1, 11, 99, **served)
    assert ({"unchanged"}, ["tlsa-foreign"]) == (records(found), [each.name for each in found.plan.hazards])
    assert {record(1), record(11)} == records(becomes(1, 11, 99, consents=FOREIGN, **served))
    for early in ({"addresses": shown(1, 11, 99)}, {**served, "ledger": both_serve(smtp1=Served())}):
        assert {"unchanged"} == records(becomes(1, 11, 99, consents=FOREIGN, **early))


def test_a_service_on_other_hosts_gives_up_its_record_when_the_name_does_not_show_it() -> None:
    """It lives on elsewhere, on hosts that have nothing to do with this name."""
    elsewhere = inventory(service(), service("mail-rsa"))
    pairs = {"smtp": ("smtp1", "mail-ec"), "web": ("web1", "mail-rsa")}
    classes = {
        key: ServerClass(key, (Host(host, "192.0.2.1"),), svc_depends=((APEX, (only,)),))
        for key, (host, only) in pairs.items()
    }
    hosts = {"smtp1": HostEntry(1, {SERVICE: settled(1)}), "web1": HostEntry(1, {RSA: settled(11)})}
    changes: dict[str, Any] = {
        "owners": ONE, "inventory": replace(elsewhere, classes=classes), "ledger": Ledger(hosts, {APEX: ApexEntry()}),
    }  # fmt: skip
    assert {record(1)} == records(becomes(1, 11, addresses=shown(1), **changes))
    assert {"unchanged"} == records(becomes(1, 11, addresses=shown(1, 11), **changes))


SHA512 = TlsaParams(3, 1, 2)
ASKED_FOR_SHA512 = Owners((name(params=SHA512),), ())


@pytest.mark.parametrize(("in_base", "on_servers"), [((99,), ()), ((), (99,))])
def test_a_new_combination_does_not_join_records_that_are_not_ours_before_ours_are_served(
    in_base: tuple[int, ...], on_servers: tuple[int, ...]
) -> None:
    """Who goes by the new one alone, as RFC 7671 section 9 has it, finds no match for what the port shows."""
    state_of_new = state(slots(next=1), 1)
    new = {
        "branches": Branches(state_of_new, state_of_new),
        "keys": material(Branches(state_of_new, state_of_new)),
        "inventory": inventory(service()),
        "owners": ASKED_FOR_SHA512,
        "ledger": Ledger({}, {APEX: ApexEntry()}),
        "addresses": shown(99),
    }
    found = becomes(*in_base, servers=on_servers, **new)
    assert SHA512 not in {each.params for proposal in found.proposals for each in proposal.records}
    assert "is not served yet" in whys(found)


@pytest.mark.parametrize(("address", "expected"), [(99, False), (1, True)])
def test_what_left_the_base_and_is_shown_still_may_be_somebody_elses(address: int, expected: bool) -> None:
    """It lies beside the include file by now, or a server lags: a new combination comes where only ours is served."""
    seen = look([commit("c0", zone(1, 99)), commit("c1", zone(1))], zone(1, 99))
    live = Branches(state(slots(1), 1), state(slots(1), 1))
    changes: dict[str, Any] = {
        "branches": live,
        "keys": material(live),
        "inventory": inventory(service()),
        "owners": ASKED_FOR_SHA512,
        "ledger": Ledger(
            {host: HostEntry(1, {SERVICE: settled(1)}) for host in ("smtp1", "smtp2")}, {APEX: ApexEntry()}
        ),
        "addresses": shown(address),
        "repo": {APEX: seen.repo},
        "seen": {APEX: seen},
    }
    found = becomes(1, **changes)

    assert expected == (SHA512 in {each.params for proposal in found.proposals for each in proposal.records})


def test_a_new_combination_joins_records_that_are_not_ours_when_only_ours_are_served() -> None:
    """Every host and every address was asked."""
    served: dict[str, Any] = {
        "inventory": inventory(service()),
        "owners": ASKED_FOR_SHA512,
        "keys": material(two_services()),
    }
    hosts = Ledger({host: HostEntry(1, {SERVICE: settled(1)}) for host in ("smtp1", "smtp2")}, {APEX: ApexEntry()})
    assert {SHA512, PARAMS} == {
        each.params for each in becomes(1, 99, ledger=hosts, addresses=shown(1), **served).proposals[0].records
    }
    assert {"unchanged"} == records(becomes(1, 99, ledger=hosts, addresses=shown(1, 99), **served))


def material(known: Branches) -> Keys:
    """Return the keys of every generation, with something for SHA-512 to hash."""
    return Keys.of(known, {version: Material(b"key") for version in Keys.of(known).generations})


def test_the_record_of_a_lost_key_goes_by_itself_when_every_host_is_known() -> None:
    """The branch with the generation was deleted; the comment still says that the engine wrote it."""
    seen = look([commit("c0"), commit("c1", zone(1, 11, 99))], zone(1, 11, 99))
    repo = {APEX: replace(seen.repo, written_by_us=frozenset({record(1), record(11), record(99)}))}
    assert {record(1), record(11)} == records(becomes(1, 11, 99, repo=repo))
    for early in (Served(), settled(99)):
        assert {"unchanged"} == records(becomes(1, 11, 99, repo=repo, ledger=both_serve(smtp1=early)))


def after_the_loss(*, rebuilt_at: datetime | None = START + LONG / 2) -> dict[str, Any]:
    """Return the changes of a ledger that began late: generation 2 is live on every host, 1 was before."""
    known = ledger({"smtp1": settled(2), "smtp2": settled(2)}, ApexEntry(rebuilt_at=rebuilt_at))
    made = builders.branches(slots(2), 1, 2)
    return {"owners": ONE, "inventory": inventory(service()), "ledger": known, "branches": made, "keys": Keys.of(made)}


def test_a_record_from_before_a_lost_ledger_stays_while_an_address_shows_more_than_is_known() -> None:
    """A host that left meanwhile may serve it; it goes when every address shows only what is known."""
    late = after_the_loss() | {"now": START + LONG * 0.9}

    assert [OWNER] == [each.owner for each in owners_to_ask(world(1, 2, **late))]

    kept = becomes(1, 2, addresses=shown(1), **late)

    assert ({"unchanged"}, True) == (records(kept), "the ledger that knew who serves what was lost" in whys(kept))
    assert {record(2)} == records(becomes(1, 2, addresses=shown(2), **late))


def test_a_lost_ledger_is_over_with_the_certificates_from_before_it_or_by_consent() -> None:
    """Nobody can be met by an expired certificate, and a person may know better."""
    unknown = Consents(frozenset({("name-unproven", HOST)}))
    late = after_the_loss()

    assert {record(2)} == records(becomes(1, 2, now=START + LONG * 2, **late))
    assert {record(2)} == records(becomes(1, 2, now=START + LONG * 0.9, consents=unknown, **late))
    assert {record(2)} == records(becomes(1, 2, now=START + LONG * 0.9, **after_the_loss(rebuilt_at=None)))


def test_a_name_given_up_is_emptied_after_a_loss_of_the_ledger_too() -> None:
    """A cache that has its records has one for whatever is served; after that there is no DANE."""
    assert set() == records(becomes(1, **after_the_loss() | {"owners": NOBODY, "now": START + LONG * 0.9}))


def test_a_listed_issuer_joins_records_about_the_ca_that_nobody_asks_for_any_more() -> None:
    """A public CA signed the next certificate with another one of the list, while the records of the first still go."""
    ca, made = TlsaParams(2, 1, 1), builders.branches(slots(1, 2), 1, 2)
    first, second = (Der(b"", name.encode()) for name in ("R1", "R2"))
    chains = {
        (SERVICE, builders.gen(number)): Material(b"", b"", (signer,)) for number, signer in ((1, first), (2, second))
    }
    issuers = tuple(TlsaIssuer(1, 1, each.data(ca)) for each in (first, second))
    public = CertificateAuthority("public", CaType.ACME, tlsa_issuers=issuers)
    asked = replace(inventory(service(signing_ca="public")), cas={"public": public})
    about_first, about_second = (TlsaRecord(OWNER, ca, each.data(ca)) for each in (first, second))
    base = zone(1, 2, about_first)
    seen = look([commit("c0"), commit("c1", base)], base)

    found = publication(
        World(
            asked,
            made,
            ledger({"smtp1": settled(1), "smtp2": settled(1)}, ApexEntry()),
            ONE,
            Keys.of(made, chains),
            {APEX: seen.repo},
            {APEX: seen},
            NOW,
        )
    )

    assert {record(1), record(2), about_first, about_second} == records(found)
