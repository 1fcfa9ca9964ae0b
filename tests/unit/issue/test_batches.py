"""A large renewal is written a part at a time, so that a run which is killed loses no more than one."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from sslops.issue import steps
from sslops.issue.ports import Workshop
from sslops.issue.rules import SCHEDULED, plan
from sslops.model.names import ServiceId
from sslops.pki.local_ca import LocalCa
from tests.unit.issue.site import Site, usual

if TYPE_CHECKING:
    from collections.abc import Sequence

    from sslops.issue.steps import IssueOutcome
    from sslops.model.change import Change


class Killed(BaseException):
    """The process ends."""


class Branch:
    """Takes what is written to it, so many times, and then the process ends."""

    def __init__(self, site: Site, lasts: int = 99) -> None:
        """Begin with nothing written."""
        self.site, self.lasts = site, lasts
        self.parts: list[list[ServiceId]] = []

    def write(self, changes: Sequence[Change]) -> None:
        """Store *changes*."""
        if len(self.parts) == self.lasts:
            raise Killed
        self.parts.append([change.service for change in changes])
        self.site.store(changes)


def renewed(site: Site, branch: Branch) -> IssueOutcome:
    """Renew what is due, as a run does that writes a part at a time."""
    planned = plan(site.inventory, site.branches, site.now, SCHEDULED)
    workshop = Workshop(LocalCa(), site.vault, site, branch.write)
    outcome = steps.renew(planned, site.inventory, site.branches.next, site.now, workshop)
    branch.write(outcome.unwritten)
    return outcome


@pytest.fixture(autouse=True)
def _small_parts(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(steps, "BATCH", 2)


def test_every_part_is_written_once_and_signers_come_first() -> None:
    """Two CAs, then what they sign; the outcome tells of all of it, and holds the files of none that is written."""
    site = Site()
    branch = Branch(site)
    outcome = renewed(site, branch)

    assert [[ServiceId("ca", "my-root"), ServiceId("ca", "my-sub")]] == branch.parts[:1]
    assert sorted(usual().services) == sorted(service for part in branch.parts for service in part)
    assert sorted(usual().services) == sorted(change.service for change in outcome.changes)
    assert () == tuple(change.put for change in outcome.changes[:-2] if change.put)
    assert () == renewed(site, Branch(site)).changes


def test_a_run_that_is_killed_keeps_the_parts_before() -> None:
    """The next one makes the rest, and nothing again."""
    site = Site()
    with pytest.raises(Killed):
        renewed(site, Branch(site, lasts=1))
    kept = {service: state.next for service, state in site.branches.next.services.items()}
    rest = Branch(site)
    renewed(site, rest)

    assert {ServiceId("ca", "my-root"), ServiceId("ca", "my-sub")} == kept.keys()
    assert sorted(usual().services.keys() - kept.keys()) == sorted(service for part in rest.parts for service in part)
    assert kept == {service: site.branches.next[service].next for service in kept}


def test_what_a_lost_ca_signed_is_not_stored_in_a_later_part_either() -> None:
    """Its key could not be encrypted, so nobody could ever sign with it again."""
    site = Site()
    site.vault.refused = {"state/ca/my-sub"}
    branch = Branch(site)
    outcome = renewed(site, branch)

    assert [[ServiceId("ca", "my-root")]] == [part for part in branch.parts if part]
    assert len(usual().services) - 1 == len(outcome.failures)
