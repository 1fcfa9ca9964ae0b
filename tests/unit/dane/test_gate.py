"""May a host serve a generation?"""

from __future__ import annotations

from dataclasses import replace

import pytest

from sslops.dane.evidence import advance
from sslops.dane.may_serve import YES, Gate, Verdict, slowest
from sslops.dane.records import Der, Keys, Material
from sslops.model.ledger import ApexEntry, Evidence, HostEntry, Ledger, NameEntry, Pending
from sslops.model.names import ServiceId
from sslops.model.observations import ApexSeen
from sslops.model.plan import HazardName
from sslops.model.tlsa import TlsaParams
from tests.unit.dane.builders import (
    APEX,
    HOST,
    OWNER,
    SERVICE,
    START,
    TTL,
    after,
    aged,
    commit,
    gen,
    generation,
    keys,
    look,
    name,
    record,
    server,
    settled,
    zone,
)

BASE = [commit("c1", zone(1, 2))]
READY = after(2 * TTL)
OTHER_OWNER = "_25._tcp.old.example.com."


def asked(seen: ApexSeen | None, entry: ApexEntry | None, **changes: object) -> Verdict:
    """Ask about generation 2, at the moment its record is ready."""
    gate = Gate(
        Ledger(apexes={} if entry is None else {APEX: entry}),
        {} if seen is None else {APEX: seen},
        keys(1, 2),
        (name(),),
        READY,
    )
    return replace(gate, **changes).may_serve(SERVICE, gen(2))  # type: ignore[arg-type]


def test_an_aged_record_on_every_server_opens_the_gate() -> None:
    """Evidence at least twice the TTL old, all servers, all commits, no proposal against it."""
    assert YES == asked(look(BASE, zone(1, 2), zone(1, 2)), aged(record(1), record(2)))


def test_the_gate_opens_at_twice_the_ttl_and_not_before() -> None:
    """The wait says until when."""
    verdict = asked(look(BASE, zone(1, 2)), aged(record(1), record(2)), now=after(2 * TTL - 1))
    assert (False, READY) == (verdict.allowed, verdict.until)


def test_a_record_without_evidence_closes_the_gate() -> None:
    """Base and servers have it, but since when is not known."""
    assert not asked(look(BASE, zone(1, 2)), aged(record(1))).allowed


def test_a_server_without_an_answer_closes_the_gate() -> None:
    """All are asked, each time; a person may consent to leave one out."""
    verdict = asked(look(BASE, zone(1, 2), None), aged(record(1), record(2)))
    assert verdict.hazard is not None
    assert (False, HazardName.NS_UNREACHABLE) == (verdict.allowed, verdict.hazard.name)


def test_no_server_at_all_closes_the_gate() -> None:
    """Nobody vouches for anything."""
    assert not asked(look(BASE), aged(record(1), record(2))).allowed


def test_a_server_that_disagrees_with_itself_closes_the_gate() -> None:
    """One of its addresses lags."""
    seen = look(BASE, zone(1, 2))
    split = replace(seen.servers[0], differing=frozenset({OWNER}))
    assert not asked(replace(seen, servers=(split,)), aged(record(1), record(2))).allowed


@pytest.mark.parametrize("shown", [zone(1), {}, zone(record(2, OTHER_OWNER))])
def test_a_stale_ledger_does_not_open_the_gate(shown: dict[str, object]) -> None:
    """A server lacks the record now; evidence from before this look is worth nothing."""
    assert not asked(look(BASE, zone(1, 2), shown), aged(record(1), record(2))).allowed  # type: ignore[arg-type]


def test_a_commit_that_lacked_the_record_closes_the_gate() -> None:
    """Even where the ledger was not brought up to date with it."""
    history = [*BASE, commit("c2", zone(1)), commit("c3", zone(1, 2))]
    assert not asked(look(history, zone(1, 2)), aged(record(1), record(2))).allowed


def test_a_pending_withdrawal_closes_the_gate() -> None:
    """It may land at any moment."""
    entry = replace(aged(record(1), record(2)), pending=Pending("run", "c1", None, frozenset({record(1)})))
    assert not asked(look(BASE, zone(1, 2)), entry).allowed


def test_an_open_proposal_that_lacks_the_record_closes_the_gate() -> None:
    """A stale merge request may be merged by anybody."""
    seen = look(BASE, zone(1, 2), head=commit("h1", zone(1)))
    assert not asked(seen, aged(record(1), record(2))).allowed


def test_a_proposal_that_keeps_the_record_does_not_matter() -> None:
    """Adding and keeping do no harm."""
    entry = replace(aged(record(1), record(2)), pending=Pending("run", "c1", None, frozenset({record(2), record(3)})))
    assert YES == asked(look(BASE, zone(1, 2), head=commit("h1", zone(2))), entry)


def test_a_name_that_never_had_records_asks_nothing() -> None:
    """Without TLSA there is no DANE."""
    seen = look([commit("c0")], {})
    assert YES == asked(seen, advance(ApexEntry(), seen))


def test_an_emptied_name_asks_nothing_after_twice_its_ttl() -> None:
    """Until then it waits, and says until when."""
    entry = ApexEntry(names={OWNER: NameEntry(TTL, "c2", START)})
    seen = look([commit("c2")], {})
    assert YES == asked(seen, entry)
    assert READY == asked(seen, entry, now=after(2 * TTL - 1)).until


@pytest.mark.parametrize("place", ["pending", "head"])
def test_a_first_record_on_its_way_closes_the_gate(place: str) -> None:
    """A name about to get records is not free."""
    coming = commit("h1", zone(1))
    pending = Pending("run", "c0", None, frozenset({record(1)})) if place == "pending" else None
    seen = look([commit("c0")], {}, head=coming if place == "head" else None)
    assert not asked(seen, ApexEntry(pending=pending)).allowed


def test_every_combination_at_a_name_is_asked_for() -> None:
    """A resolver may use the strongest alone (RFC 7671 section 9)."""
    sha512 = record(1, params=TlsaParams(3, 1, 2))
    mixed = zone(record(1), record(2), sha512)
    assert not asked(look([commit("c1", mixed)], mixed), aged(record(1), record(2), sha512)).allowed


def test_a_withdrawn_combination_closes_the_gate_until_no_cache_goes_by_it() -> None:
    """Some cache holds the RRset of before, in which what is to be served may have had no record of that kind."""
    entry = aged(record(1), record(2))
    gone = replace(entry, names={OWNER: NameEntry(TTL, "c1", gone={TlsaParams(3, 0, 1): after(1)})})
    seen = look(BASE, zone(1, 2))
    assert (False, after(1 + 2 * TTL)) == (asked(seen, gone).allowed, asked(seen, gone).until)
    assert YES == asked(seen, gone, now=after(1 + 2 * TTL))
    unsure = replace(gone, names={OWNER: NameEntry(TTL, "c1", gone={TlsaParams(3, 0, 1): None})})
    assert None is asked(seen, unsure, now=after(9 * TTL)).until


def test_one_ca_of_the_chain_is_enough() -> None:
    """A client takes whichever published CA it finds in the chain."""
    about_ca = TlsaParams(2, 1, 1)
    made = Material(b"key", b"cert", (Der(b"sub", b"sub-key"), Der(b"root", b"root-key")))
    known = Keys(keys(2).generations, {(SERVICE, gen(2)): made})
    sub, root = sorted(known.matching(OWNER, about_ca, SERVICE, gen(2)))
    for published in (sub, root):
        base = zone(published)
        assert YES == asked(look([commit("c1", base)], base), aged(published), keys=known)
    other = zone(record(9, params=about_ca))
    assert not asked(look([commit("c1", other)], other), aged(record(9, params=about_ca)), keys=known).allowed


def test_a_ca_ties_only_names_that_the_certificate_is_for() -> None:
    """A web server signed by the same CA has nothing to do with the mail server's records."""
    about_ca = TlsaParams(2, 1, 1)
    web, ca = ServiceId(APEX, "web-ec"), ServiceId("ca", "my-sub")
    facts = generation(5, signer=gen(7))
    assert facts.issued is not None
    at_web = replace(facts, issued=replace(facts.issued, sans=("www.example.com",)))
    base = zone(1, record(7, params=about_ca))
    for sans, expected in ((at_web, True), (facts, False)):
        known = Keys({(web, gen(5)): sans, (ca, gen(7)): generation(7)})
        gate = Gate(Ledger(apexes={APEX: aged(record(1))}), {APEX: look([commit("c1", base)], base)}, known, (), READY)
        assert expected == gate.may_serve(web, gen(5)).allowed


def test_a_ca_shared_with_a_service_that_asks_for_records_ties_no_other_for_good() -> None:
    """imap beside smtp: no record of another kind there holds it, only the age of a record that it matches."""
    about_ca = TlsaParams(2, 1, 1)
    imap, ca, record_of_ca = ServiceId(APEX, "imap-ec"), ServiceId("ca", "my-sub"), record(7, params=about_ca)
    known = Keys({(imap, gen(5)): generation(5, signer=gen(7)), (ca, gen(7)): generation(7)})
    base = zone(1, record_of_ca)
    names = (name(),)
    young, old = aged(record(1), record_of_ca, since=READY), aged(record(1), record_of_ca)
    for entry, expected in ((old, (True, None)), (young, (False, after(4 * TTL)))):
        seen = {APEX: look([commit("c1", base)], base)}
        verdict = Gate(Ledger(apexes={APEX: entry}), seen, known, names, READY).may_serve(imap, gen(5))

        assert expected == (verdict.allowed, verdict.until)
    others = zone(1, record(9, params=about_ca))
    seen = {APEX: look([commit("c1", others)], others)}

    assert Gate(Ledger(apexes={APEX: aged(record(1))}), seen, known, names, READY).may_serve(imap, gen(5)).allowed


def test_a_service_that_had_records_of_its_own_is_tied_to_those_that_another_asks_for() -> None:
    """rsa lost its `dane_tls`, and smtp asks for the CA's record and its key: the key of rsa has no record."""
    about_ca = TlsaParams(2, 1, 1)
    rsa, ca, record_of_ca = ServiceId(APEX, "mail-rsa"), ServiceId("ca", "my-sub"), record(7, params=about_ca)
    known = Keys({(rsa, gen(5)): generation(5, signer=gen(7)), (ca, gen(7)): generation(7)})
    base, before = zone(1, record_of_ca), zone(1, 5)
    for history, expected in (([commit("c0", before), commit("c1", base)], False), ([commit("c1", base)], True)):
        seen = {APEX: look(history, base)}
        gate = Gate(Ledger(apexes={APEX: aged(record(1), record_of_ca)}), seen, known, (name(),), READY)

        assert expected == gate.may_serve(rsa, gen(5)).allowed


def test_a_name_that_left_the_inventory_still_counts() -> None:
    """It has records of the service, so somebody may still hold it against the host."""
    old = zone(1, 2, record(1, OTHER_OWNER))
    seen = look([commit("c1", old)], old)
    assert not asked(seen, aged(record(1), record(2), record(1, OTHER_OWNER))).allowed


def test_a_name_that_left_inventory_and_dns_counts_until_it_is_free() -> None:
    """Caches hold what was withdrawn a moment ago, whatever the inventory says now."""
    history = [commit("c1", zone(1, 2, record(1, OTHER_OWNER))), commit("c2", zone(1, 2))]
    entry = replace(aged(record(1), record(2)), names={OTHER_OWNER: NameEntry(TTL, "c2", after(1))})
    seen = look(history, zone(1, 2), owners=(OWNER, OTHER_OWNER))
    assert after(1 + 2 * TTL) == asked(seen, entry).until
    assert YES == asked(seen, entry, now=after(1 + 2 * TTL))


def test_an_apex_that_could_not_be_looked_at_closes_the_gate() -> None:
    """For names that the inventory asks for."""
    assert not asked(None, aged(record(1), record(2))).allowed


def test_a_service_without_dane_by_now_waits_for_an_apex_that_could_not_be_looked_at() -> None:
    """The ledger knows that it had a record; whether it still has is not known."""
    assert not asked(None, aged(record(1)), names=()).allowed
    assert YES == asked(None, aged(record(1)), names=(), keys=keys(8, 9))


def test_a_service_whose_names_could_not_be_found_waits_with_that_reason() -> None:
    """Without the MX nobody knows which names count."""
    assert "no MX" == asked(look(BASE, zone(1, 2)), aged(record(2)), blind={SERVICE: "no MX"}).why


def test_a_service_without_dane_is_free() -> None:
    """Other services' records are not its business."""
    gate = Gate(Ledger(apexes={APEX: aged(record(1))}), {APEX: look(BASE, zone(1, 2))}, keys(1, 2), (name(),), READY)
    assert YES == gate.may_serve(ServiceId(APEX, "web-ec"), gen(5))


NEW_NAME = ServiceId(APEX, "mail-renamed")
RENAMED = Keys({**keys(1, 2).generations, (NEW_NAME, gen(5)): generation(5)})
AT_SMTP1 = {"smtp1": frozenset({NEW_NAME})}


def arriving(seen: ApexSeen | None, entry: ApexEntry, **changes: object) -> Verdict:
    """Ask about a service that smtp1 never showed, where the inventory asks for no name at all."""
    known = {} if seen is None else {APEX: seen}
    gate = Gate(Ledger(apexes={APEX: entry}), known, RENAMED, (), READY, new_at=AT_SMTP1)
    return replace(gate, **changes).may_serve(NEW_NAME, gen(5), "smtp1")  # type: ignore[arg-type]


def test_a_service_that_is_new_to_a_host_waits_for_the_names_that_are_given_up() -> None:
    """Its port may be that of the service it replaces, whose records caches still hold."""
    verdict = arriving(look(BASE, zone(1, 2)), aged(record(1), record(2)))
    assert (False, None) == (verdict.allowed, verdict.hazard)
    assert f"{OWNER} is no longer requested and still has records" in verdict.why
    emptied = ApexEntry(names={OWNER: NameEntry(TTL, "c2", after(1))})
    gone = look([*BASE, commit("c2")], {})
    assert after(1 + 2 * TTL) == arriving(gone, emptied).until
    assert YES == arriving(gone, emptied, now=after(1 + 2 * TTL))


def test_a_service_that_is_new_to_a_host_waits_while_nobody_knows_what_is_published() -> None:
    """The ledger has records there, and DNS could not be observed; a group that is gone is nobody's business."""
    assert not arriving(None, aged(record(1)), mute=frozenset({APEX})).allowed
    assert YES == arriving(None, aged(record(1)))


def test_only_what_is_new_to_a_host_waits_for_names_that_are_given_up() -> None:
    """A web server that is there already was never seen on that port; nor does the roll wait for one host."""
    seen, entry = look(BASE, zone(1, 2)), aged(record(1), record(2))
    assert YES == arriving(seen, entry, new_at={"smtp2": frozenset({NEW_NAME})})
    gate = Gate(Ledger(apexes={APEX: entry}), {APEX: seen}, RENAMED, (), READY, new_at=AT_SMTP1)
    assert YES == gate.may_serve(NEW_NAME, gen(5))


def test_names_that_are_asked_for_or_somebody_elses_are_not_given_up() -> None:
    """A service that joins beside another that has DANE does not wait for it; nor for unmanaged records."""
    assert YES == arriving(look(BASE, zone(1, 2)), aged(record(1), record(2)), names=(name(),))
    theirs = zone(record(9, "_443._tcp.www.example.com."))
    assert YES == arriving(look([commit("c1", theirs)], theirs), ApexEntry())


NET = ServiceId("example.net", "mail-ec")


@pytest.mark.parametrize(
    ("sans", "there", "is_group", "expected"),
    [
        ((HOST,), False, True, False),
        ((HOST,), False, False, True),
        (("mail.example.net",), True, True, False),
        (("mail.example.net",), True, False, False),
        (("mail.example.net",), False, True, True),
    ],
)
def test_a_name_given_up_in_another_zone_counts_where_its_service_is_or_the_certificate_names_its_host(
    sans: tuple[str, ...], there: bool, is_group: bool, expected: bool
) -> None:
    """The service that is replaced may be of another group, even of one that left the inventory."""
    facts = generation(5)
    assert facts.issued is not None
    known = Keys({**keys(1).generations, (NET, gen(5)): replace(facts, issued=replace(facts.issued, sans=sans))})
    hosts = {"smtp1": HostEntry(1, {SERVICE: settled(1)} if there else {})}
    seen = {APEX: look([commit("c1", zone(1))], zone(1))} if is_group else {}
    entry = {APEX: aged(record(1))}
    gate = Gate(Ledger(hosts, entry), seen, known, (), READY, new_at={"smtp1": frozenset({NET})})
    assert expected == gate.may_serve(NET, gen(5), "smtp1").allowed


def test_the_slowest_verdict_decides() -> None:
    """One without an end comes before any date, a date before yes."""
    soon, late = Verdict(allowed=False, until=after(1)), Verdict(allowed=False, until=after(2))
    never = Verdict(allowed=False)
    assert [YES, late, never] == [slowest([]), slowest([YES, late, soon]), slowest([late, never, YES])]


def test_a_wait_names_the_server_that_lags() -> None:
    """So that a person knows where to look."""
    seen = ApexSeen(START, look(BASE, zone(1, 2)).repo, (server(zone(1, 2), "ns1"), server(zone(1), "ns2")))
    verdict = asked(seen, advance(ApexEntry(records={record(1): Evidence(START, "c1", TTL)}), seen))
    assert "ns2" in verdict.why


def test_a_name_that_a_validating_resolver_does_not_vouch_for_closes_the_gate() -> None:
    """Senders would defer mail, or not heed the records."""
    seen = replace(look(BASE, zone(1, 2)), unsigned={OWNER: "broken"})
    verdict = asked(seen, aged(record(1), record(2)))
    assert verdict.hazard is not None
    assert (HazardName.DNSSEC_BOGUS, OWNER, "broken") == (verdict.hazard.name, verdict.hazard.subject, verdict.why)
    other = replace(seen, unsigned={OTHER_OWNER: "broken"})
    assert YES == asked(other, aged(record(1), record(2)))
