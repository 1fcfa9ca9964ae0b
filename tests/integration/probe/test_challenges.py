"""Which name servers do not show a challenge yet: authoritative ones first, then those of `dns_xtra_ns`."""

from __future__ import annotations

import os
from dataclasses import replace
from typing import TYPE_CHECKING

from sslops.errors import DnsError, Unprovable
from sslops.model.inventory import Settings
from sslops.model.plan import Consents, HazardName
from sslops.probe.challenges import ChallengeLook
from sslops.probe.dns_question import Patience
from sslops.probe.name_servers import Resolver
from tests.unit.issue.site import WEB, inventory_of, leaf
from tests.world.acme_resolver import Resolver as World53
from tests.world.dns_files import ACME_DIR, ZONES
from tests.world.peers import missing

if TYPE_CHECKING:
    from pathlib import Path

    from sslops.model.observations import WildcardAnswer
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
    silent = look(dns_world, resolver.endpoint.address)

    assert resolver.endpoint.address in silent.missing([RECORD])[RECORD]

    consents = Consents(frozenset({(hazard.name, hazard.subject) for hazard in silent.hazards}))
    silent.consents = consents

    assert [(HazardName.XTRA_NS_UNREACHABLE, resolver.endpoint.address)] == sorted(consents.given)
    assert ({}, ()) == (silent.missing([RECORD]), silent.hazards)


def edit_zone(world: DnsWorld, *records: str) -> None:
    """Add *records* to the zone of example.com."""
    zone = f"{ZONES}/example.com.zone"
    world.edit({zone: "\n".join([world.read(zone).rstrip(), *records, ""])})
    world.settle()


def test_a_challenge_takes_the_place_of_an_alias_that_only_a_wildcard_gives(dns_world: DnsWorld) -> None:
    """An explicit alias is followed; one that leads out of our zones, and a delegation, can never be proved."""
    names = {name: f"_acme-challenge.{name}.example.com." for name in ("www", "own", "away", "there.sub")}
    edit_zone(
        dns_world,
        "* CNAME lb.example.org.",
        "_acme-challenge.own CNAME own.example.com.",
        "_acme-challenge.away CNAME away.example.org.",
        "sub NS ns1",
    )
    found = look(dns_world).targets(names.values())

    assert names["www"] == found[names["www"]]
    assert "own.example.com." == found[names["own"]]
    assert isinstance(found[names["away"]], Unprovable)
    assert "is in no zone that sslops manages" in str(found[names["away"]])
    assert isinstance(found[names["there.sub"]], Unprovable)
    assert "zone cut: 'sub.example.com.'" in str(found[names["there.sub"]])


def test_what_ends_with_a_challenge_is_what_every_server_tells(dns_world: DnsWorld) -> None:
    """A secondary that lags behind an edit of the wildcard makes it unknown, not half carried along."""
    edit_zone(dns_world, "* A 192.0.2.7")

    assert {"*.www.example.com.", "www.example.com."} == {each.name for each in ending(dns_world)}

    dns_world.lag()
    zone = f"{ZONES}/example.com.zone"
    dns_world.edit({zone: dns_world.read(zone).replace("192.0.2.7", "192.0.2.8") + "\n"})
    told = look(dns_world).ending([OWNER])[OWNER]

    assert isinstance(told, DnsError)


def ending(world: DnsWorld) -> tuple[WildcardAnswer, ...]:
    """Return what ends with the challenge of `www`."""
    found = look(world).ending([OWNER])[OWNER]

    assert not isinstance(found, DnsError)

    return found
