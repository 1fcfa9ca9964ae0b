"""Which name servers do not show a challenge yet: authoritative ones first, then those of `dns_xtra_ns`."""

from __future__ import annotations

import os
from dataclasses import replace
from typing import TYPE_CHECKING

from sslops.model.inventory import Settings
from sslops.probe.challenges import ChallengeLook
from sslops.probe.dns_question import Patience
from sslops.probe.name_servers import Resolver
from tests.unit.issue.site import WEB, inventory_of, leaf
from tests.world.acme_resolver import Resolver as World53
from tests.world.dns_files import ACME_DIR
from tests.world.peers import missing

if TYPE_CHECKING:
    from pathlib import Path

    from tests.world.dns import DnsWorld

OWNER, VALUE = "_acme-challenge.www.example.com.", "a" * 43
RECORD = (OWNER, VALUE)
INCLUDE = f"{ACME_DIR}/acme-challenge.example.com"


def look(world: DnsWorld, *extra: str) -> ChallengeLook:
    """Return a look at the servers of *world*, and at the *extra* ones."""
    servers = {"example.com": (world.primary, world.secondary)}
    inventory = inventory_of(leaf(WEB, "www.example.com"))
    inventory = replace(inventory, dns_servers=servers, settings=replace(Settings(), dns_xtra_ns=extra))
    return ChallengeLook(inventory, Resolver(), Patience(timeout_seconds=0.5, tries=2))


def show(world: DnsWorld) -> None:
    """Publish the challenge."""
    world.edit({INCLUDE: f'{OWNER} 60 IN TXT "{VALUE}"\n'})


def test_a_server_that_lags_is_named(dns_world: DnsWorld) -> None:
    """The challenge counts when the last of them shows it."""
    dns_world.lag()
    show(dns_world)
    lagging = look(dns_world).missing([RECORD])

    assert [RECORD] == list(lagging)
    assert str(dns_world.secondary) in lagging[RECORD]

    dns_world.catch_up()

    assert {} == look(dns_world).missing([RECORD])


def test_resolvers_of_dns_xtra_ns_have_to_show_it_too(dns_world: DnsWorld, tmp_path: Path) -> None:
    """They are asked at port 53 once every name server shows it; one that is silent shows nothing."""
    if os.geteuid() != 0:
        missing("only root may listen on port 53")
    resolver = World53(tmp_path / "resolver", dns_world, port=53)
    try:
        show(dns_world)
        dns_world.settle()

        assert {} == look(dns_world, resolver.endpoint.address).missing([RECORD])
    finally:
        resolver.stop()
    silent = look(dns_world, resolver.endpoint.address).missing([RECORD])

    assert resolver.endpoint.address in silent[RECORD]
