"""What may be ordered from a CA that publishes its limits."""

from __future__ import annotations

from dataclasses import replace
from datetime import timedelta

from sslops.acme.limits import Budget, registered_domain
from sslops.acme.order_rules import backoff
from sslops.issue.rules import RenewOptions, plan
from sslops.model.inventory import CaType, CertificateAuthority
from sslops.model.names import ServiceId, generation_id
from sslops.model.state import AriWindow, Branches, Generation, Issued, ServiceState, Slots, State, Status
from tests.unit.issue.site import NOW, WEB, inventory_of, leaf

LE = CertificateAuthority("le", CaType.ACME)
SERVICE = leaf(WEB, "www.example.com", "example.com", signing_ca="le")
INVENTORY = replace(inventory_of(SERVICE), cas={"le": LE})


def issued(days_ago: float, number: int = 0) -> Generation:
    """Return a generation of SERVICE that the CA issued some days ago."""
    at = NOW - timedelta(days=days_ago)
    spki = f"{number:04x}" + "0" * 60
    facts = Issued(at, "1", "CN=CA", at, at + timedelta(days=90), SERVICE.sans, "00")
    return Generation(
        generation_id(at, spki), Status.ISSUED, at, "le", None, "due", None, "ec", "secp256r1", spki, "x", issued=facts
    )


def state_of(*generations: Generation, slots: Slots | None = None) -> State:
    """Return a state in which SERVICE has *generations*, the last of them in curr."""
    last = generations[-1].id if generations else None
    return State({WEB: ServiceState(slots or Slots(curr=last), {each.id: each for each in generations})})


def test_a_sixth_certificate_for_the_same_names_in_a_week_waits() -> None:
    """The plan says how many there are, and from when on one more may be ordered."""
    state = state_of(*(issued(0.1, number) for number in range(5)))
    planned = plan(INVENTORY, Branches(state, state), NOW, RenewOptions(force=True))

    assert () == planned.actions
    assert ["'le' allows no more than 5 certificates for the same names in 7 days"] == [w.why for w in planned.waits]
    assert [True] == [NOW < wait.until < NOW + timedelta(days=7 / 5) for wait in planned.waits if wait.until]


def test_tokens_come_back_one_by_one() -> None:
    """After a fifth of the week there is one again."""
    state = state_of(*(issued(1.5, number) for number in range(5)))

    assert 1 == len(plan(INVENTORY, Branches(state, state), NOW, RenewOptions(force=True)).actions)


def test_what_was_issued_long_ago_takes_nothing_now() -> None:
    """A certificate of 160 hours is renewed twice a week; after half a year there are still tokens."""
    state = state_of(*(issued(3.5 * number + 3.5, number) for number in range(50)))

    assert 1 == len(plan(INVENTORY, Branches(state, state), NOW, RenewOptions(force=True)).actions)


def test_a_renewal_in_the_suggested_window_is_exempt() -> None:
    """It says what it replaces, so it takes no token."""
    window = AriWindow(NOW - timedelta(days=1), NOW + timedelta(days=1))
    generations = [issued(0.1, number) for number in range(5)]
    state = state_of(*generations, slots=Slots(curr=generations[-1].id, ari=window))
    (action,) = plan(INVENTORY, Branches(state, state), NOW, RenewOptions(force=True)).actions

    assert "exempt" in action.why


def test_one_plan_takes_no_more_than_there_is() -> None:
    """50 certificates a week for one domain: the 51st service waits."""
    services = [leaf(ServiceId("example.com", f"w{n:02}"), f"w{n}.example.com", signing_ca="le") for n in range(51)]
    inventory = replace(inventory_of(*services), cas={"le": LE})
    planned = plan(inventory, Branches(State(), State()), NOW)

    assert (50, ["w50"]) == (len(planned.actions), [wait.service for wait in planned.waits])


def failing(failures: int, minutes_ago: int) -> State:
    """Return a state in which SERVICE never got a certificate: that many failures in a row, the last a while ago."""
    keyed = replace(issued(0), status=Status.KEYED, issued=None)
    retry = NOW - timedelta(minutes=minutes_ago) + backoff(failures)
    return State({WEB: ServiceState(Slots(next=keyed.id, failures=failures, retry_at=retry), {keyed.id: keyed})})


def test_a_sixth_forced_try_in_an_hour_waits_for_the_proofs_that_failed() -> None:
    """Five failed proofs of a name in an hour are the most, also of a service that never got a certificate."""
    state = failing(5, minutes_ago=2)
    planned = plan(INVENTORY, Branches(state, state), NOW, RenewOptions(force=True))

    assert () == planned.actions
    assert ["'le' allows no more than 5 failed proofs of one name in an hour"] == [w.why for w in planned.waits]
    assert [True] == [wait.until < NOW + timedelta(minutes=12) for wait in planned.waits if wait.until]


def test_failed_proofs_come_back_within_the_hour() -> None:
    """A quarter of an hour gives one of the five back."""
    state = failing(5, minutes_ago=15)

    assert 1 == len(plan(INVENTORY, Branches(state, state), NOW, RenewOptions(force=True)).actions)


def test_a_ca_without_known_limits_has_no_budget() -> None:
    """Any other directory."""
    other = replace(LE, directory="https://ca.example.net/dir")

    assert Budget.of(other, INVENTORY, State(), NOW) is None


def test_a_registered_domain_is_the_shortest_group() -> None:
    """A group below another one counts for that; a name outside of all groups by its last two labels."""
    services = (leaf(ServiceId(group, "web"), f"www.{group}") for group in ("example.com", "sub.example.com"))
    inventory = inventory_of(*services)

    assert "example.com" == registered_domain("*.www.sub.example.com", inventory)
    assert "example.org" == registered_domain("www.example.org", inventory)
