"""Which certificates a port may show in place of the right one."""

from __future__ import annotations

from dataclasses import replace

import pytest

from sslops.deploy.session_plan import questions
from sslops.inventory.reach import Delivery, Part
from sslops.model.inventory import FileModes, Host, Service, Verify
from sslops.model.state import Generation, ServiceState, Slots
from tests.unit.dane.builders import generation, service

SMTP, IMAP = Verify(25, "smtp"), Verify(993)
MAIL, OTHER = service("mail-ec"), service("other")


def delivery(*verifies: Verify) -> Delivery:
    """Return what a host gets that shows both services on each of the ports."""
    both = frozenset({MAIL.id, OTHER.id})
    parts = tuple(Part(f"class{number}", both, verify=verify) for number, verify in enumerate(verifies))
    return Delivery(Host("smtp1", "192.0.2.1"), parts, tuple(sorted(both)), both, FileModes())


def other(key_type: str = "ec", *names: str) -> Generation:
    """Return what the other service should show."""
    made = generation(2)
    assert made.issued is not None
    return replace(made, key_type=key_type, issued=replace(made.issued, sans=names or made.issued.sans))


def excused(who: Service, beside: Generation, *verifies: Verify) -> list[bool]:
    """Return for each port whether *beside* may be shown for *who*."""
    mine = generation(1)
    state = ServiceState(Slots(curr=mine.id), {mine.id: mine})
    found = questions(delivery(*verifies), who, state, mine.id, {OTHER.id: beside})
    assert beside.issued is not None
    digest = beside.issued.cert_sha256
    return [digest in each.others for each in found]


@pytest.mark.parametrize(
    ("beside", "expected"),
    [
        (other(), True),
        (other("rsa"), False),
        (other("ec", "web.example.com"), False),
        (other("rsa", "web.example.com"), False),
        (other("ec", "*.example.com"), True),
    ],
)
def test_with_dane_only_what_nothing_tells_apart_may_be_shown_instead(beside: Generation, expected: bool) -> None:
    """The name asked for (SNI) and the kind of key decide."""
    assert [expected] == excused(MAIL, beside, SMTP)


def test_without_dane_a_neighbour_proves_the_reload() -> None:
    """A port that does not look at names shows one of them."""
    assert [True] == excused(replace(MAIL, dane=()), other("rsa", "web.example.com"), SMTP)


def test_each_further_host_name_is_asked_once_where_the_port_has_records() -> None:
    """Not a wildcard, not on another port, and only when there was a certificate before."""
    who = replace(MAIL, sans=("mail.example.com", "*.example.com", "mx.example.com", "192.0.2.1"))
    before, mine = generation(1), generation(2)
    state = ServiceState(Slots(curr=mine.id), {mine.id: mine, before.id: before})
    found = questions(delivery(SMTP, IMAP), who, state, mine.id, {})

    assert [(25, "mail.example.com", 3), (25, "mx.example.com", 1), (993, "mail.example.com", 3)] == [
        (each.verify.port, each.server_name, each.connections) for each in found
    ]
    assert before.issued is not None
    assert [None, frozenset({before.issued.cert_sha256}), None] == [each.former for each in found]
    first = ServiceState(Slots(curr=mine.id), {mine.id: mine})
    assert 2 == len(questions(delivery(SMTP, IMAP), who, first, mine.id, {}))


def test_a_port_without_records_may_show_a_neighbour() -> None:
    """The records are about port 25; where only another port can be asked, it stands in for it."""
    stranger = other("ec", "web.example.com")

    assert [False, True] == excused(MAIL, stranger, SMTP, IMAP)
    assert [False] == excused(MAIL, stranger, IMAP)
