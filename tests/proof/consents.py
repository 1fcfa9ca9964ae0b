"""Consents and holds, beside records of others: people say yes, wait, change their minds, and break nothing by that.

A consent is a person's word about what nobody can ask. So here people consent only to what is true: that a name server
is dead for everybody, that it is the host whose clock is wrong, that what cannot be asked serves what the ledger says.
That records of nobody may go is different: whether anything needs them the engine itself must find out.
"""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from datetime import timedelta
from typing import TYPE_CHECKING

from sslops.model.inventory import Endpoint, Hold
from sslops.model.plan import HazardName
from tests.proof import life as of
from tests.proof.life import Life, Setting
from tests.proof.machine import FAR_OFF, Action
from tests.proof.strangers import OWNERS, Shared

if TYPE_CHECKING:
    from sslops.model.inventory import Inventory
    from sslops.model.names import ServiceId
    from tests.proof.machine import Pick

SETTINGS = {
    "consents": Setting(),
    "consents, from nothing": Setting(begins="nothing"),
    "consents, after a roll": Setting(begins="rolled"),
    "consents, EC and RSA": Setting(services=(of.EC, of.RSA)),
    "consents, reviewed": Setting(is_reviewed=True, begins="rolled"),
}
FOREIGN = (HazardName.TLSA_FOREIGN, None)
WRONG_CLOCK = timedelta(minutes=10)


@dataclass
class Consenting(Shared):
    """A site whose people consent and hold."""

    held: set[ServiceId] = field(default_factory=set)

    @property
    def inventory(self) -> Inventory:
        """The inventory with holds, and a validating resolver."""
        made = super().inventory
        services = {
            key: replace(service, hold=Hold(None, "moving")) if key in self.held else service
            for key, service in made.services.items()
        }
        dns = None if made.dns is None else replace(made.dns, validator=Endpoint("192.0.2.53", 53))
        return replace(made, services=services, dns=dns)

    def are_clocks_right(self) -> bool:
        """Whether no host has a wrong clock that people accepted."""
        return not any(host.clock_ahead for host in self.world.hosts.values())

    def is_as_known(self) -> bool:
        """Whether every host serves what the ledger says, all of them are in the inventory, and none is strange."""
        ledger = self.world.ops.ledger
        return all(
            not host.is_strange
            and (name in self.host_names or not host.serving)
            and all(ledger.host(name).serves(service).settled == key for service, key in host.serving.items())
            for name, host in self.world.hosts.items()
        )

    def repair(self) -> None:
        """Let everything work again that a consent was about, and let nothing be held."""
        self.held.clear()
        self.given.clear()
        self.world.dns.untrusted.clear()
        for host in self.world.hosts.values():
            host.clock_ahead = timedelta()
        for place, server in enumerate(self.line.servers):
            if server.is_dead:
                self.replace_server(place)
        self.configure()
        super().repair()

    def replace_server(self, place: int) -> None:
        """Let another machine take the place of a name server that died, with the zone as it is now."""
        self.load(place)
        self.line.servers[place].is_dead = False
        self.given.discard((HazardName.NS_UNREACHABLE, self.line.servers[place].name))


# What can happen.


def _foreign_may_go(life: Life, _: Pick) -> None:
    assert isinstance(life, Consenting)
    life.given ^= {FOREIGN}


def _service_is_held(life: Life, pick: Pick) -> None:
    assert isinstance(life, Consenting)
    life.held ^= {pick(sorted(life.asks))}
    life.configure()


def _server_dies(life: Life, pick: Pick) -> None:
    assert isinstance(life, Consenting)
    place = pick(range(len(life.line.servers)))
    server = life.line.servers[place]
    if server.is_dead:
        life.replace_server(place)
    elif not any(each.is_dead for each in life.line.servers):
        life.world.witness()
        server.is_dead = True
        life.given.add((HazardName.NS_UNREACHABLE, server.name))


def _clock_is_wrong(life: Life, pick: Pick) -> None:
    name = pick(of.HOSTS)
    host = life.world.hosts[name]
    host.clock_ahead = timedelta() if host.clock_ahead else pick((WRONG_CLOCK, -WRONG_CLOCK))
    life.given ^= {(HazardName.CLOCK, name)}


def _runs_by_a_clock_far_off(life: Life, pick: Pick) -> None:
    assert isinstance(life, Consenting)
    if life.are_clocks_right():
        life.run("deploy", skew_seconds=pick(FAR_OFF))


def _nobody_vouches(life: Life, pick: Pick) -> None:
    life.world.dns.untrusted ^= {pick(OWNERS)}


def _that_is_accepted(life: Life, pick: Pick) -> None:
    life.given ^= {(HazardName.DNSSEC_BOGUS, pick(OWNERS))}


def _published_without_asking(life: Life, pick: Pick) -> None:
    assert isinstance(life, Consenting)
    if life.is_as_known():
        consent = (HazardName.NAME_UNPROVEN, pick((of.MAIL, of.SPARE)))
        life.given.add(consent)
        life.run("publish")
        life.given.discard(consent)


ACTIONS = {
    "people consent that records of nobody go, or take it back": Action(_foreign_may_go, 4),
    "a service is held, or let go": Action(_service_is_held, 4),
    "a name server dies and that is accepted, or another one takes its place": Action(_server_dies),
    "a host's clock goes wrong and that is accepted, or it is set": Action(_clock_is_wrong),
    "a deploy runs by a clock that is far off": Action(_runs_by_a_clock_far_off, 1),
    "no resolver vouches for a name, or does again": Action(_nobody_vouches),
    "that no resolver vouches for a name is accepted, or not any more": Action(_that_is_accepted),
    "people publish where an address cannot be asked": Action(_published_without_asking),
}
