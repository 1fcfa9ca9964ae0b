"""A reviewer of the inventory is told what it does to certificates, DNS and hosts."""

from __future__ import annotations

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from sslops.errors import Faults, InventoryError, Location
from sslops.model.plan import Action, Hazard, HazardName, Plan, Verb
from sslops.report.merge_request import BODY_LIMIT
from sslops.report.plan_comment import (
    MARKER,
    CommentView,
    Difference,
    Differences,
    differences,
    faults_comment,
    plan_comment,
)
from tests.unit.report.markdown import OURS, cells, elements
from tools import sample_world as site

SETTINGS, WEB = "inventory/sslops.yaml", "inventory/example.com/web-ec.yaml"
NONE = Differences((), (), (), (), ())
STEP = Action(Verb.RENEW, "example.com", "web-ec", "issue", "due", why="it is due")
FOLDED = OURS | {"<details>", "<summary>"}


def told(changed: Differences = NONE, before: Plan = Plan(), after: Plan = Plan(), *failures: str) -> str:
    """Return the comment."""
    return plan_comment(CommentView(changed, before, after, failures, BODY_LIMIT)).text


def test_nothing_is_said_to_change() -> None:
    """In one line."""
    assert f"**Nothing changes for certificates, DNS or hosts.**\n\n{MARKER}" == told()


def test_the_same_inventory_has_no_differences() -> None:
    """Whatever it says."""
    assert NONE == differences(site.INVENTORY, site.INVENTORY)


@pytest.mark.parametrize(
    ("edit", "expected"),
    [
        ((WEB, "[www.example.com, example.com]", "[www.example.com]"), "names go: `example.com`"),
        ((WEB, "secp256r1", "secp384r1"), "key: `ec secp256r1` becomes `ec secp384r1`"),
        ((WEB, "signing_ca: my-sub", "signing_ca: my-root"), "CA: `my-sub` becomes `my-root`"),
        ((WEB, "CN: www.example.com", "CN: example.com"), "also: `subject`"),
        ((WEB, "name: ", "hold: {until: '2026-12-01', reason: moves}\nname: "), "held until 2026-12-01: moves"),
    ],
)
def test_what_is_asked_of_a_certificate_is_told(edit: tuple[str, str, str], expected: str) -> None:
    """Each difference is one sentence."""
    found = differences(site.INVENTORY, site.inventory({}, edit)).services

    assert (Difference("example.com/web-ec", (expected,)),) == found


def test_tlsa_records_are_told() -> None:
    """A service that gets DANE, and another TTL."""
    new = site.inventory({WEB: "dane_tls: [[443, tcp, 3, 1, 1, SANS]]\ndane_tls_ttl: 300\n"})
    (found,) = differences(site.INVENTORY, new).services

    assert "TLSA: none becomes `443/tcp 3 1 1 SANS`" in found.what
    assert "TTL of its records: 1800 s becomes 300 s" in found.what


def test_a_service_that_goes_and_its_hosts_are_told() -> None:
    """Retired, and no longer given to anybody."""
    edit = (SETTINGS, "services: [mail-ec, web-ec]", "services: [mail-ec]")
    found = differences(site.INVENTORY, site.inventory({}, edit, without=WEB))

    assert ["example.com/web-ec"] == [each.subject for each in found.services]
    assert found.services[0].what[0].startswith("retired")
    assert ["backup.example.com", "web1.example.com"] == [each.subject for each in found.hosts]


def test_a_frozen_group_is_told() -> None:
    """Nothing is retired by it."""
    new = site.inventory({}, (SETTINGS, "{domain: example.net, active: true", "{domain: example.net, active: false"))
    found = differences(site.INVENTORY, new).services

    assert (Difference("example.net/web-ec", ("frozen: its group is not active any more",)),) == found


def test_hosts_and_settings_are_told() -> None:
    """A host that comes, one that is reached another way, a restart, and a setting."""
    new = site.inventory(
        {},
        (SETTINGS, "hosts: [web1.example.com]", "hosts: [web1.example.com, web2.example.com]"),
        (SETTINGS, "port: 2222", "port: 2223"),
        (SETTINGS, "/usr/sbin/postfix reload", "/usr/sbin/postfix restart"),
        (SETTINGS, "dns_check_delay: 0", "dns_check_delay: 6"),
    )
    found = differences(site.INVENTORY, new)
    hosts = {each.subject: each.what for each in found.hosts}

    assert ("new", "gets `example.com/web-ec`, `example.net/web-ec`") == hosts["web2.example.com"]
    assert ("restarts, or is asked what it serves, another way",) == hosts["smtp1.example.com"]
    assert "is reached another way" in hosts["smtp2"]
    assert ("globals.dns_check_delay_seconds",) == found.others


def test_a_consent_is_told() -> None:
    """Who merges it accepts a danger."""
    line = "accept: [{hazard: clock, subject: ns1, until: '2026-12-01', reason: 'it is slow'}]\n"
    found = differences(site.INVENTORY, site.inventory({SETTINGS: line}))

    assert "- It consents to `clock=ns1`, until 2026-12-01: it is slow" in told(found)


def test_only_the_steps_of_the_request_follow_from_it() -> None:
    """What is due anyway stands in the whole plan, behind a line to click on."""
    due = Action(Verb.RENEW, "example.com", "mail-ec", "issue", "due", why="29.9 of 90 days left")
    text = told(NONE, Plan((due,)), Plan((due, STEP)))

    assert "mail-ec" not in text.partition("<details>")[0]
    assert "### What follows at once" in text
    assert "<summary>The whole plan after the merge: 2 steps now</summary>" in text


def test_a_step_that_is_not_due_any_more_is_told() -> None:
    """By its stage and subject."""
    assert "No longer done: `renew issue example.com/web-ec`." in told(NONE, Plan((STEP,)))


def test_a_new_hazard_and_a_blind_spot_are_told() -> None:
    """What could not be observed is not left out in silence."""
    text = told(NONE, Plan(), Plan(hazards=(Hazard(HazardName.CLOCK, "ns1", "it is slow"),)), "no answer")

    assert "- `clock` at `ns1`: it is slow" in text
    assert "### Not observed\n\n- no answer" in text


def test_a_broken_inventory_is_told_by_its_faults() -> None:
    """Each with its place."""
    text = faults_comment(Faults([InventoryError("no such CA", where=Location("a.yaml", 1, 2))]), BODY_LIMIT).text

    assert "**The inventory has 1 fault, so there is no plan.**" == text.partition("\n")[0]
    assert "| `a.yaml:1:2` | no such CA |  |" in text


def hostile(text: str) -> str:
    """Return a comment where everything from outside is *text*."""
    changed = Differences((Difference(text, ("new",)),), (), (), (text,), ())
    step = Action(Verb.RENEW, text, text, text, text, targets=(text,), why=text)
    hazard = Hazard(HazardName.CLOCK, text, text)
    return told(changed, Plan((STEP,)), Plan((step,), hazards=(hazard,)), text)


@given(st.text(alphabet="a|\\`<>&*_[]()!@#~$%\n -"))
@settings(max_examples=40)
def test_a_hostile_inventory_stays_in_its_cells(text: str) -> None:
    """It brings no element, no cell and no end of the comment of its own."""
    assert cells(hostile("harmless")) == cells(hostile(text))
    assert set() == elements(hostile(text)) - FOLDED
    assert hostile(text).endswith(MARKER)
