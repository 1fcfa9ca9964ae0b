"""Two groups whose services share hosts and ports: by SNI a host shows what belongs to the name that it is asked for.

Each group's mail hosts may lie in the zone of the other, whose include file then has the records of both.
"""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from itertools import product
from typing import TYPE_CHECKING

from sslops.model.names import ServiceId
from sslops.model.tlsa import TlsaRecord, owner_name
from tests.dane import life as of
from tests.dane.builders import APEX
from tests.dane.life import Life, Setting
from tests.dane.machine import Action, Pick

if TYPE_CHECKING:
    from sslops.model.inventory import Inventory
    from sslops.model.seen import Zone
    from sslops.model.tlsa import Rrset
    from sslops.simulate.dns import Line

OTHER = "example.net"
NET, MAIL_NET = ServiceId(OTHER, "mail-net"), f"mail.{OTHER}"
SETTINGS = {
    "two groups": Setting(services=(of.EC, NET)),
    "two groups, after a roll": Setting(services=(of.EC, NET), begins="rolled"),
    "two groups, two folders": Setting(services=(of.EC, NET), views=2),
    "two groups, reviewed": Setting(services=(of.EC, NET), is_reviewed=True, begins="rolled"),
}
MX = tuple(map(frozenset, ([of.MAIL], [MAIL_NET], [of.MAIL, MAIL_NET], [of.SPARE], [of.SPARE, MAIL_NET])))
MX_OTHER = tuple(map(frozenset, ([MAIL_NET], [of.MAIL], [of.MAIL, MAIL_NET])))


@dataclass
class Neighbours(Life):
    """A site with two groups."""

    mx_other: frozenset[str] = frozenset({MAIL_NET})
    inactive: set[str] = field(default_factory=set)

    # What the inventory asks for.

    def lines(self) -> dict[str, Line]:
        """Return one line for each group."""
        return {APEX: self.begun_line(), OTHER: self.begun_line()}

    @property
    def inventory(self) -> Inventory:
        """The inventory with both groups, one of them perhaps not active."""
        made = super().inventory
        groups = {domain: replace(group, active=domain not in self.inactive) for domain, group in made.groups.items()}
        return replace(made, groups=groups)

    def configure(self) -> None:
        """Merge a change of the inventory; DNS has the MX of both."""
        super().configure()
        self.other.mx = tuple(f"{host}." for host in sorted(self.mx_other))

    @property
    def other(self) -> Line:
        """The line of the other group's include file."""
        return self.world.dns.lines[OTHER]

    @property
    def owners(self) -> tuple[str, ...]:
        """The owner names that any group asks for."""
        return tuple(sorted({owner for service in (of.EC, NET) for owner in self.asked(service)}))

    def asked(self, service: ServiceId) -> tuple[str, ...]:
        """Return the owner names of one service: the mail hosts of its group."""
        hosts = self.mx if service.group == APEX else self.mx_other
        return tuple(owner_name(port, "tcp", host) for port, host in product(sorted(self.ports), sorted(hosts)))

    def met(self, service: ServiceId) -> tuple[str, ...]:
        """Return the names in the zone of the service's group, whoever asks for them."""
        return tuple(owner for owner in self.owners if owner.endswith(f".{service.group}."))

    def _matches_everything(self, owner: str, rrset: Rrset) -> bool:
        return all(
            self.world.keys.matching(owner, params, *version) & rrset.records
            for version in self.may_be_served()
            if self.world.is_shown_at(version[0], owner)
            for params in rrset.combinations
        )

    # What is frozen is not renewed.

    def make_key(self, service: ServiceId, *, replaces: bool = False) -> None:
        """Make the key of the following generation, unless the group is not active."""
        if service.group not in self.inactive:
            super().make_key(service, replaces=replaces)

    def issue(self, service: ServiceId) -> None:
        """Get the certificate of what is on deck, unless the group is not active."""
        if service.group not in self.inactive:
            super().issue(service)

    def turn_to(self, mx: frozenset[str], mx_other: frozenset[str]) -> None:
        """Let the groups have these mail hosts, where each group asks for those in its own zone that another has.

        Daemons show its certificate there, and the engine knows of that by the inventory only.
        """
        if mx & {MAIL_NET} <= mx_other and mx_other & {of.MAIL} <= mx:
            self.mx, self.mx_other = mx, mx_other
            self.configure()

    def come_to_rest(self) -> None:
        """Repair everything: both groups are active again."""
        self.inactive.clear()
        super().come_to_rest()

    def published(self, line: Line) -> tuple[Zone, ...]:
        """Return what is asked for: records of the other group stay where hosts that have both serve the name."""
        return tuple(
            {o: replace(rrset, records=rrset.records - self._staying(o)) for o, rrset in view.items()}
            for view in line.views
        )

    def _staying(self, owner: str) -> frozenset[TlsaRecord]:
        """Return the records of what is needed of services that do not ask for a name."""
        found = {
            (s, key)
            for s in self.asks
            if owner not in self.asked(s)
            for key in (self.slots(s).curr, self.slots(s).next)
            if key
        }
        return frozenset[TlsaRecord]().union(*(self.world.keys.matching(owner, of.KEY, *version) for version in found))


# What can happen.


def _group_rests_or_wakes(life: Life, pick: Pick) -> None:
    assert isinstance(life, Neighbours)
    life.inactive ^= {pick((OTHER, APEX))}
    life.configure()


def _server_of_the_other_loads(life: Life, pick: Pick) -> None:
    assert isinstance(life, Neighbours)
    life.world.dns.load(OTHER, pick(range(2)))


def _server_of_the_other_falls_silent(life: Life, pick: Pick) -> None:
    assert isinstance(life, Neighbours)
    server = pick(life.other.servers)
    server.is_silent = not server.is_silent


def _other_is_unheard_of(life: Life, _: Pick) -> None:
    assert isinstance(life, Neighbours)
    life.other.is_unheard = not life.other.is_unheard


def _mail_hosts_change(life: Life, pick: Pick) -> None:
    assert isinstance(life, Neighbours)
    life.turn_to(pick(MX), life.mx_other)


def _mail_hosts_of_the_other_change(life: Life, pick: Pick) -> None:
    assert isinstance(life, Neighbours)
    life.turn_to(life.mx, pick(MX_OTHER))


def _service_is_retired(life: Life, pick: Pick) -> None:
    """Without any certificate of its group a daemon would show some other one under its names, which nobody knows."""
    service = pick(of.LEAVES)
    if service in life.asks and any(other in life.asks for other in of.LEAVES if other != service):
        del life.asks[service]
        life.configure()


def _service_is_renamed(life: Life, pick: Pick) -> None:
    """A service keeps its group, whatever its name is."""
    old, new = pick([service for service in sorted(life.asks) if service.group == APEX]), pick(of.LEAVES)
    if new not in life.asks and new not in life.shown_at:
        life.asks[new] = life.asks.pop(old)
        life.configure()
        life.make_key(new)


ACTIONS = {
    "a service is retired": Action(_service_is_retired, 1),
    "a service is renamed": Action(_service_is_renamed, 1),
    "a group rests or wakes": Action(_group_rests_or_wakes),
    "a server of the other group loads": Action(_server_of_the_other_loads, 5),
    "a server of the other group falls silent or answers again": Action(_server_of_the_other_falls_silent, 1),
    "nobody tells the other MX, or tells it again": Action(_other_is_unheard_of),
    "mail hosts change": Action(_mail_hosts_change, 3),
    "mail hosts of the other group change": Action(_mail_hosts_of_the_other_change, 3),
}
