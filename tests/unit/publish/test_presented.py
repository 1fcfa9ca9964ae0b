"""What publish asks before a record is withdrawn: where a host itself says how, and what its answer is worth."""

from __future__ import annotations

from dataclasses import replace
from types import SimpleNamespace
from typing import TYPE_CHECKING, cast

import pytest

from sslops.model.inventory import Host, ServerClass, Verify
from sslops.model.observations import PortSeen
from sslops.publish.steps import Publisher
from tests.unit.dane.builders import inventory, service

if TYPE_CHECKING:
    from sslops.dane.rrset_plan import Owner

OLD = PortSeen(frozenset({"ab" * 32}), 1)
SILENT = PortSeen(error="no way in")


@pytest.mark.parametrize(
    ("asked_from", "seen", "counts"),
    [("host", OLD, True), ("host", SILENT, False), ("runner", OLD, True), ("runner", SILENT, True)],
)
def test_a_host_that_is_asked_at_its_own_end_is_asked_too(asked_from: str, seen: PortSeen, *, counts: bool) -> None:
    """What it still presents keeps its record, whatever the ledger says; a job that cannot log in learns nothing."""
    verify = Verify(25, "smtp", asked_from=asked_from)
    host = Host("smtp1", "192.0.2.1", verify=verify)
    known = replace(inventory(service()), classes={"smtp": ServerClass("smtp", (host,))})
    asked: list[tuple[str, str | None]] = []

    def ask(address: str, _verify: Verify, _name: str, name: str | None = None) -> PortSeen:
        asked.append((address, name))
        return seen

    publisher = SimpleNamespace(inventory=known, ask_port=ask)
    name = SimpleNamespace(service=service().id, host="mail.example.com.")
    owner = cast("Owner", SimpleNamespace(names=(name,)))
    found = Publisher._presented(cast("Publisher", publisher), owner, ())

    assert [("127.0.0.1" if asked_from == "host" else "192.0.2.1", "smtp1")] == asked
    assert ([seen] if counts else []) == [each.seen for each in found]
