"""Servers that are on IPv6 only, and runs on machines without it: what one run cannot ask another one can."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from tests.proof import life as of
from tests.proof.life import Life, Setting
from tests.proof.machine import CALLS, FATES, MOST_RUNS, Action

if TYPE_CHECKING:
    from tests.proof.machine import Pick

SETTINGS = {
    "IPv6": Setting(),
    "IPv6, after a roll": Setting(begins="rolled"),
    "IPv6, two folders": Setting(views=2),
    "IPv6, reviewed": Setting(begins="rolled", is_reviewed=True),
}


@dataclass
class Dual(Life):
    """A site with two address families."""


def _host_changes_family(life: Life, pick: Pick) -> None:
    host = life.world.hosts[pick(of.HOSTS)]
    host.is_ipv6_only = not host.is_ipv6_only


def _server_changes_family(life: Life, pick: Pick) -> None:
    server = pick(life.line.servers)
    server.is_ipv6_only = not server.is_ipv6_only


def _runs_without(life: Life, pick: Pick) -> None:
    life.has_ipv6 = False
    life.run(pick(("publish", "roll", "deploy")), pick(FATES))
    life.has_ipv6 = True


def _begins_without(life: Life, pick: Pick) -> None:
    if len(life.active) < MOST_RUNS:
        life.has_ipv6 = False
        life.begin(pick(("publish", "deploy")), pick(FATES), calls=pick(CALLS))
        life.has_ipv6 = True


ACTIONS = {
    "a host is on IPv6 only, or on both again": Action(_host_changes_family, 4),
    "a name server is on IPv6 only, or on both again": Action(_server_changes_family, 4),
    "a stage runs where there is no IPv6": Action(_runs_without, 5),
    "a stage begins where there is no IPv6": Action(_begins_without),
}
