"""Status tells from the repository alone where every service stands."""

from __future__ import annotations

import json
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from functools import partial
from hashlib import sha256

import pytest
from hypothesis import given
from hypothesis import strategies as st

from sslops.dane.records import CA_USAGES, Der, Material
from sslops.model.inventory import (
    CaType,
    CertificateAuthority,
    DaneOwners,
    DaneSpec,
    Group,
    Hold,
    Inventory,
    RepoSettings,
    Service,
    Settings,
    Subject,
)
from sslops.model.ledger import ApexEntry, Evidence, HostEntry, Ledger, Served
from sslops.model.names import GenerationId, ServiceId
from sslops.model.state import Branches, Generation, Issued, ServiceState, Slots, State, Status
from sslops.model.tlsa import TlsaParams, TlsaRecord
from sslops.report.status import (
    MEANING,
    Alarm,
    AlarmKind,
    Phase,
    ServiceStatus,
    StatusReport,
    StatusWait,
    as_json,
    as_markdown,
    as_rich,
    as_text,
    status_report,
)

NOW = datetime(2026, 11, 24, 14, 30, tzinfo=UTC)
MAIL = ServiceId("example.com", "mail-ec")
OLD, NEW = GenerationId("20261001T000000Z-aaaa"), GenerationId("20261124T140000Z-bbbb")
OWNER = "_25._tcp.mail.example.com."
EE = TlsaParams(3, 1, 1)
RENEW_AT = NOW + timedelta(days=10)


def generation(key: GenerationId, status: Status = Status.ISSUED, *, days: float = 36, ago: float = 30) -> Generation:
    """Return a generation whose certificate was issued *ago* minutes ago and is good for *days*."""
    issued_at = NOW - timedelta(minutes=ago)
    issued = Issued(issued_at, "01", "my-sub", issued_at, NOW + timedelta(days=days), ("mail.example.com",), "cc" * 32)
    return Generation(
        id=key,
        status=status,
        created_at=issued_at,
        ca="my-sub",
        profile=None,
        reason="due",
        reused_from=None,
        key_type="ec",
        key_size="secp384r1",
        spki_sha256=key[-4:] * 16,
        csr_sha256="dd" * 32,
        issued=issued if status is Status.ISSUED else None,
    )


def state(slots: Slots, *generations: Generation) -> State:
    """Return a branch that knows one service."""
    return State({MAIL: ServiceState(slots, {each.id: each for each in generations})})


SERVICE = Service(
    id=MAIL,
    description="",
    signing_ca="my-sub",
    subject=Subject(),
    sans=("mail.example.com",),
    dane=(DaneSpec(25, "tcp", EE, DaneOwners.MX),),
)
INVENTORY = Inventory(
    settings=Settings(),
    repo=RepoSettings(),
    groups={"example.com": Group("example.com", active=True, services=(MAIL,))},
    services={MAIL: SERVICE},
    cas={"my-sub": CertificateAuthority("my-sub", CaType.LOCAL)},
)
LIVE = state(Slots(curr=OLD, renew_at=RENEW_AT), generation(OLD))
STAGED = state(Slots(curr=OLD, next=NEW, renew_at=RENEW_AT), generation(OLD), generation(NEW, days=90))
SETTLED = Ledger(hosts={"smtp1": HostEntry(1, {MAIL: Served((OLD,))})})
RECEIVERS = {MAIL: ("smtp1",)}


def told(
    main: State, deck: State | None = None, ledger: Ledger = SETTLED, inventory: Inventory = INVENTORY
) -> ServiceStatus:
    """Return the one line of the report."""
    (line,) = status_report(
        inventory, Branches(main, main if deck is None else deck), ledger, RECEIVERS, NOW, None
    ).services
    return line


def with_evidence(*keys: GenerationId, since: datetime) -> Ledger:
    """Return a ledger on which the records of *keys* were seen everywhere since *since*."""
    records = {TlsaRecord(OWNER, EE, key[-4:] * 16): Evidence(since, "c0ffee", 1800) for key in keys}
    return replace(SETTLED, apexes={"example.com": ApexEntry(records=records)})


def test_a_service_that_its_host_serves_is_live() -> None:
    """A settled host with main's curr is the goal, and then renewal is what is waited for."""
    line = told(LIVE)

    assert Phase.LIVE is line.phase
    assert (OLD, None, 36.0, 1) == (line.curr, line.next, line.days_left, line.settled)
    assert (StatusWait("renew", RENEW_AT, "renewal"),) == line.waits


def test_an_untouched_service_is_new() -> None:
    """Nothing was made yet."""
    assert Phase.NEW is told(State()).phase


def test_a_first_key_is_keyed() -> None:
    """A key without a certificate, and no curr, is the very beginning."""
    line = told(State(), state(Slots(next=NEW), generation(NEW, Status.KEYED)))

    assert (Phase.KEYED, Status.KEYED, None) == (line.phase, line.next_status, line.days_left)


def test_a_standing_key_does_not_hide_that_it_is_live() -> None:
    """With a staged key for next time the service is still live."""
    deck = state(Slots(curr=OLD, next=NEW, renew_at=RENEW_AT), generation(OLD), generation(NEW, Status.KEYED))
    line = told(LIVE, deck)

    assert (Phase.LIVE, NEW, Status.KEYED) == (line.phase, line.next, line.next_status)
    assert (StatusWait("renew", RENEW_AT, "renewal; its key is ready"),) == line.waits


def test_a_young_record_makes_the_roll_wait() -> None:
    """Twice the largest TTL after the record was seen everywhere, and not before."""
    line = told(LIVE, STAGED, with_evidence(OLD, NEW, since=NOW - timedelta(minutes=5)))

    assert Phase.WAITING is line.phase
    assert [NOW + timedelta(minutes=60)] == [wait.until for wait in line.waits if wait.step == "roll"]


def test_a_record_nobody_saw_makes_the_roll_wait_without_an_end() -> None:
    """Without evidence for the next record nobody can say when."""
    line = told(LIVE, STAGED, with_evidence(OLD, since=NOW - timedelta(days=5)))

    assert [StatusWait("roll", None, f"its 3 1 1 record at {OWNER} is not visible on all name servers")] == list(
        line.waits
    )


def test_an_aged_record_is_ready_once_min_roll_mins_is_over() -> None:
    """Both bounds hold; the later one counts."""
    ledger = with_evidence(OLD, NEW, since=NOW - timedelta(days=5))
    aged = state(Slots(curr=OLD, next=NEW), generation(OLD), generation(NEW, ago=91))

    assert [NOW + timedelta(minutes=60)] == [wait.until for wait in told(LIVE, STAGED, ledger).waits]
    assert Phase.READY is told(LIVE, aged, ledger).phase


def test_what_a_person_asked_for_does_not_wait_for_min_roll_mins() -> None:
    """As roll has it: a forced renewal is wanted now."""
    ledger = with_evidence(OLD, NEW, since=NOW - timedelta(days=5))
    young = replace(generation(NEW), reason="forced")

    assert Phase.READY is told(LIVE, state(Slots(curr=OLD, next=NEW), generation(OLD), young), ledger).phase


def test_a_first_certificate_waits_for_nothing() -> None:
    """No curr, no records: there is nothing to protect yet."""
    deck = state(Slots(next=NEW), generation(NEW))

    assert Phase.READY is told(State(), deck, Ledger()).phase


def test_a_host_that_may_serve_either_is_named() -> None:
    """Until a host is settled the roll is not finished."""
    either = Ledger(hosts={"smtp1": HostEntry(2, {MAIL: Served((OLD, None))})})
    line = told(LIVE, ledger=either)

    assert (Phase.DEPLOYING, {"smtp1": (OLD, None)}, 0) == (line.phase, line.hosts, line.settled)
    assert "not yet verified on this host: smtp1" in [wait.why for wait in line.waits]


def test_a_host_that_was_never_asked_is_unknown() -> None:
    """A lost ledger says nothing about any host."""
    assert {"smtp1": (None,)} == told(LIVE, ledger=Ledger()).hosts


def test_a_roll_that_main_has_not_merged_is_proposed() -> None:
    """The merge request is open."""
    rolled = state(Slots(curr=NEW, prev=OLD), generation(OLD), generation(NEW))
    line = told(LIVE, rolled)

    assert (Phase.PROPOSED, OLD, NEW) == (line.phase, line.curr, line.next)


def test_what_was_taken_back_is_refused() -> None:
    """A revert on main stops the generation until somebody forces it."""
    deck = state(Slots(curr=OLD, next=NEW, refused=NEW), generation(OLD), generation(NEW))

    assert Phase.REFUSED is told(LIVE, deck).phase


def test_a_hold_stops_everything_visibly() -> None:
    """Whose wish it is, and until when, is all that is waited for."""
    hold = Hold(NOW + timedelta(days=1), "freeze")
    line = told(LIVE, inventory=replace(INVENTORY, settings=Settings(hold=hold)))

    assert (Phase.HELD, (StatusWait("hold", hold.until, "freeze"),)) == (line.phase, line.waits)


def test_an_expired_certificate_is_said_first() -> None:
    """Nothing matters more, not even a hold."""
    expired = state(Slots(curr=OLD), generation(OLD, days=-1))
    held = replace(INVENTORY, settings=Settings(hold=Hold(None, "freeze")))
    line = told(expired, inventory=held)

    assert (Phase.EXPIRED, -1.0) == (line.phase, line.days_left)


def test_a_service_past_its_renewal_is_due() -> None:
    """The next run renews it."""
    assert Phase.DUE is told(state(Slots(curr=OLD, renew_at=NOW), generation(OLD))).phase


def test_a_service_gone_from_the_inventory_is_retired() -> None:
    """Hosts that may still serve it keep it in the report."""
    empty = replace(INVENTORY, services={}, groups={})
    line = told(LIVE, inventory=empty)

    assert (Phase.RETIRED, "smtp1 may still serve it") == (line.phase, line.waits[0].why)


def test_an_inactive_group_is_frozen() -> None:
    """Nothing is waited for where nothing is done."""
    frozen = replace(INVENTORY, groups={"example.com": Group("example.com", active=False, services=(MAIL,))})
    line = told(LIVE, inventory=frozen)

    assert (Phase.FROZEN, ()) == (line.phase, line.waits)


KEYS = st.sampled_from([None, OLD, NEW])
LISTS = st.lists(KEYS, max_size=3).map(tuple)
PROVEN = st.lists(st.sampled_from([OLD, NEW]), max_size=2)
MOMENTS = st.none() | st.integers(-100, 100).map(lambda hours: NOW + timedelta(hours=hours))
STATES = st.builds(
    lambda curr, next_, refused, renew_at, retry_at, statuses: state(
        Slots(curr=curr, next=next_, refused=refused, renew_at=renew_at, retry_at=retry_at),
        *(generation(key, status) for key, status in zip((OLD, NEW), statuses, strict=True)),
    ),
    KEYS,
    KEYS,
    KEYS,
    MOMENTS,
    MOMENTS,
    st.tuples(st.sampled_from(Status), st.sampled_from(Status)),
)


@given(
    STATES, STATES, st.lists(KEYS, max_size=3).map(tuple), st.lists(st.sampled_from([OLD, NEW]), max_size=2), MOMENTS
)
def test_whatever_the_branches_say_there_is_a_report(
    main: State,
    deck: State,
    may_serve: tuple[GenerationId | None, ...],
    proven: list[GenerationId],
    since: datetime | None,
) -> None:
    """No combination of slots, ledger and time breaks the report, and each form of it can be made."""
    ledger = replace(
        with_evidence(*proven, since=since or NOW), hosts={"smtp1": HostEntry(1, {MAIL: Served(may_serve)})}
    )
    report = status_report(INVENTORY, Branches(main, deck), ledger, RECEIVERS, NOW, since)

    assert [str(MAIL)] == [str(each.id) for each in report.services]
    assert json.loads(as_json(report))["services"][0]["phase"] in set(Phase)
    assert as_text(report)
    assert as_markdown(report)


def test_every_phase_has_a_meaning() -> None:
    """The list is closed and explained."""
    assert list(Phase) == list(MEANING)


def test_json_has_the_keys_of_the_design() -> None:
    """Programs rely on these names (design section 6)."""
    document = json.loads(as_json(StatusReport(NOW, None, (told(LIVE),))))

    assert {
        "fetched_at": None,
        "alarms": [],
        "services": [
            {
                "group": "example.com",
                "service": "mail-ec",
                "phase": "live",
                "curr": OLD,
                "next": None,
                "not_after": "2026-12-30T14:30:00Z",
                "days_left": 36.0,
                "waits": [{"for": "renew", "until": "2026-12-04T14:30:00Z", "why": "renewal"}],
                "hosts": {"smtp1": [OLD]},
                "troubles": {},
            }
        ],
        "blocked": [],
    } == document


def test_plain_text_is_a_table_and_a_sum() -> None:
    """Columns for people and grep, and how many are in which phase."""
    head, line, _, closing = as_text(StatusReport(NOW, NOW - timedelta(minutes=3), (told(LIVE),))).splitlines()

    assert ["service", "phase", "days", "left", "curr", "next", "hosts", "waits", "for"] == head.split()
    assert ["example.com/mail-ec", "live", "36.0", "aaaa", "-", "1/1", "renew"] == line.split()[:7]
    assert "1 service: 1 live; fetched 3 min ago" == closing


@pytest.mark.parametrize("render", [as_text, partial(as_rich, verbose=True), as_markdown])
def test_a_hostile_host_name_is_only_shown(render: object) -> None:
    """Names from outside reach no terminal and no forge as commands."""
    hostile = Ledger(hosts={"\x1b[2J[red]x|y": HostEntry(1, {MAIL: Served((OLD, None))})})
    text = render(StatusReport(NOW, None, (told(LIVE, ledger=hostile),)))  # type: ignore[operator]

    assert "\x1b[2J" not in text
    assert "x|y" not in text if render is as_markdown else "[red]x|y" in text.replace("\n", "")


KINDS = [TlsaParams(usage, selector, match) for usage in (0, 1, 2, 3) for selector in (0, 1) for match in (0, 1, 2)]


def material_of(key: GenerationId) -> Material:
    """Return the DER of a generation: what its facts are the hashes of."""
    return Material(key.encode(), b"cert " + key.encode(), (Der(b"ca cert", b"ca spki"),))


def of_material(key: GenerationId) -> Generation:
    """Return an issued generation whose hashes are those of its DER."""
    made, facts = material_of(key), generation(key, ago=100)
    assert made.cert is not None
    assert facts.issued is not None
    issued = replace(facts.issued, cert_sha256=sha256(made.cert).hexdigest())
    return replace(facts, spki_sha256=sha256(made.spki).hexdigest(), issued=issued)


@pytest.mark.parametrize("params", KINDS, ids=str)
def test_a_record_of_every_kind_is_judged_by_what_it_says(params: TlsaParams) -> None:
    """Key or certificate, own or the CA's, hashed or whole: its own record makes a service ready, no other."""
    service = replace(SERVICE, dane=(DaneSpec(25, "tcp", params, DaneOwners.MX),))
    inventory = replace(INVENTORY, services={MAIL: service})
    deck = state(Slots(curr=OLD, next=NEW), of_material(OLD), of_material(NEW))
    material = {(MAIL, key): material_of(key) for key in (OLD, NEW)}
    der = material_of(NEW).chain[0] if params.usage in CA_USAGES else Der(b"cert " + NEW.encode(), NEW.encode())
    right, since = TlsaRecord(OWNER, params, der.data(params)), Evidence(NOW - timedelta(days=5), "c0ffee", 1800)

    def phase(record: TlsaRecord) -> Phase:
        ledger = replace(SETTLED, apexes={"example.com": ApexEntry(records={record: since})})
        branches = Branches(state(Slots(curr=OLD), of_material(OLD), of_material(NEW)), deck)
        report = status_report(inventory, branches, ledger, RECEIVERS, NOW, None, material=material)
        return report.services[0].phase

    assert (Phase.READY, Phase.WAITING) == (phase(right), phase(replace(right, data="ee" * 32)))


def test_every_kind_of_record_at_a_name_must_match() -> None:
    """A client may go by one kind alone (RFC 7671 section 9): 3 1 1 in DNS is no help where 3 0 1 does not match."""
    other = TlsaRecord(OWNER, TlsaParams(3, 0, 1), "ee" * 32)
    ledger = with_evidence(OLD, NEW, since=NOW - timedelta(days=5))
    records = {**ledger.apexes["example.com"].records, other: Evidence(NOW - timedelta(days=5), "c0ffee", 1800)}
    line = told(LIVE, STAGED, replace(ledger, apexes={"example.com": ApexEntry(records=records)}))

    assert f"its 3 0 1 record at {OWNER} is not visible on all name servers" in [wait.why for wait in line.waits]


def test_a_host_that_may_serve_what_no_record_matches_is_a_mismatch() -> None:
    """By the ledger alone, and before everything else in every form."""
    report = status_report(
        INVENTORY, Branches(LIVE, LIVE), with_evidence(NEW, since=NOW - timedelta(days=5)), RECEIVERS, NOW, None
    )
    what = f"smtp1 may serve {OLD}, and no 3 1 1 record at {OWNER} matches it"

    assert [Alarm(AlarmKind.MISMATCH, str(MAIL), what, MAIL)] == list(report.alarms)
    assert f"mismatch: {MAIL}: {what}" == as_text(report).splitlines()[0]
    assert as_markdown(report).startswith("- mismatch")
    assert [what] == [each["what"] for each in json.loads(as_json(report))["alarms"]]


def test_less_than_was_asked_for_is_an_alarm() -> None:
    """`--fail-under`: 36 days are enough for 36 days, and not for 37."""
    report = StatusReport(NOW, None, (told(LIVE),))

    assert [[], ["ending"]] == [[str(each.kind) for each in report.ending(timedelta(days=days))] for days in (36, 37)]


@pytest.mark.parametrize("width", [60, 80, 100])
@pytest.mark.parametrize("names", [("mail-ec",), ("a-service-with-a-name-of-forty-letters-or-so", "web")])
def test_on_a_terminal_a_service_is_at_most_two_lines(width: int, names: tuple[str, ...]) -> None:
    """However long its name and however much it waits for, nothing is wider than the terminal."""
    waits = tuple(StatusWait("deploy", NOW + timedelta(hours=n), "a reason that goes on and on") for n in range(4))
    lines = tuple(replace(told(STAGED), id=ServiceId("example.com", name), waits=waits) for name in names)
    shown = as_rich(StatusReport(NOW, None, lines), width).splitlines()

    assert max(map(len, shown)) <= width
    assert 1 + 2 * len(names) >= len(shown[: shown.index("")])


def test_verbose_tells_names_issuer_key_and_lifetime() -> None:
    """In every form."""
    report = StatusReport(NOW, None, (told(LIVE),))
    facts = ("mail.example.com", "my-sub", "ec secp384r1", "2026-11-24 to 2026-12-30 (36 days)")

    assert [] == [fact for fact in facts if fact not in as_text(report, verbose=True)]
    assert [] == [fact for fact in facts if fact not in as_rich(report, 80, verbose=True)]
    assert "ec secp384r1" in as_markdown(report, verbose=True)
    assert ["mail.example.com"] == json.loads(as_json(report, verbose=True))["services"][0]["names"]
    assert "issuer" not in json.loads(as_json(report))["services"][0]
