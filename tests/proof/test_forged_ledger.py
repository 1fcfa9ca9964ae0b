"""Somebody writes into the ledger that hosts serve what they do not: no cache is wrong, no host is left out."""

from __future__ import annotations

from dataclasses import replace

import pytest

from sslops.dane.rrset_plan import Owner
from sslops.deploy.steps import Deployer
from sslops.simulate.world import PromiseError
from tests.proof.life import EC, LARGE, Life


def rolled() -> Life:
    """Return a site whose second key was rolled, while every host serves the first one."""
    life = Life()
    life.make_key(EC)
    life.issue(EC)
    for _ in range(2):
        life.run("publish")
        life.load_all()
        life.wait(3 * LARGE)
    life.run("roll")
    return life


def claim_all_done(life: Life) -> None:
    """Write into the ledger that every host was seen to serve what is live now."""
    curr, ledger = life.curr(EC), life.world.ops.ledger
    assert curr is not None
    hosts = {
        name: replace(
            entry,
            services={
                s: replace(each, may_serve=(curr,), at=life.world.now, proof="port")
                for s, each in entry.services.items()
            },
        )
        for name, entry in ledger.hosts.items()
    }
    life.world.ops.ledger = replace(ledger, hosts=hosts)
    life.world.ops.ledger_moves += 1


def withdraw(life: Life) -> None:
    """Let publish do what it would, everybody load it, and caches forget what was there before."""
    life.run("publish")
    life.load_all()
    life.wait(3 * LARGE)


def test_no_record_goes_that_a_host_needs_whatever_the_ledger_claims(monkeypatch: pytest.MonkeyPatch) -> None:
    """Each port is asked first; without that question mail breaks at the next publish."""
    life = rolled()
    claim_all_done(life)
    with monkeypatch.context() as without:
        without.setattr(Owner, "_while_presented", lambda _, found: found)
        with pytest.raises(PromiseError):
            withdraw(life)

    life = rolled()
    claim_all_done(life)
    withdraw(life)

    assert 2 == len(next(iter(life.base.values())).records)


def test_no_host_is_skipped_that_shows_something_else(monkeypatch: pytest.MonkeyPatch) -> None:
    """Deploy asks its ports, and brings what is live; by the ledger alone the host keeps the old certificate."""
    life = rolled()
    curr = life.curr(EC)
    claim_all_done(life)
    with monkeypatch.context() as without:
        without.setattr(Deployer, "_contradicted", lambda *_: [])
        life.run("deploy")
        assert curr not in {host.serving.get(EC) for host in life.world.hosts.values()}

    life.run("deploy")

    served = {host.serving[EC] for host in life.world.hosts.values() if EC in host.serving}
    assert {curr} == served
