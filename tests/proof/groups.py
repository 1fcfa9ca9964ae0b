"""Two groups whose services share hosts and ports, and whose mail hosts may lie in each other's zones.

By SNI a host shows what belongs to the name that it is asked for: the certificates of the group whose zone it is in.
Without, it shows those of every group that sends its mail there; then whoever turns a group's mail to a name looks
first whether what a cache may hold of it matches, as with any MX.
"""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from itertools import product
from typing import TYPE_CHECKING

from sslops.model.names import ServiceId
from sslops.model.observations import Zone
from sslops.model.tlsa import TlsaRecord, owner_name
from tests.proof import life as of
from tests.proof import machine
from tests.proof.life import Life, Setting
from tests.proof.machine import Action, Pick
from tests.unit.dane.builders import APEX

if TYPE_CHECKING:
    from sslops.model.inventory import Inventory
    from sslops.model.tlsa import Rrset
    from sslops.simulate.dns import Line

OTHER = "example.net"
NET, MAIL_NET, SPARE_NET = ServiceId(OTHER, "mail-net"), f"mail.{OTHER}", f"spare.{OTHER}"


@dataclass(frozen=True, slots=True)
class TwoGroups(Setting):
    """A world with two groups."""

    services: tuple[ServiceId, ...] = (of.EC, NET)
    has_sni: bool = True


SETTINGS = {
    "two groups": TwoGroups(),
    "two groups, after a roll": TwoGroups(begins="rolled"),
    "two groups, two folders": TwoGroups(views=2),
    "two groups, reviewed": TwoGroups(is_reviewed=True, begins="rolled"),
    "two groups, no SNI": TwoGroups(has_sni=False),
    "two groups, no SNI, after a roll": TwoGroups(has_sni=False, begins="rolled"),
}
ALL = [[of.MAIL], [MAIL_NET], [of.SPARE], [SPARE_NET], [of.MAIL, MAIL_NET], [of.SPARE, SPARE_NET]]
MX = tuple(map(frozenset, ALL))


@dataclass
class Neighbours(Life):
    """A site with two groups."""

    setting: TwoGroups = TwoGroups()
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
        """Return the names in the zone of the service's group, whoever asks for them; without SNI those it asks for."""
        if not self.setting.has_sni:
            return self.asked(service)
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
        """Get the certificate of what is staged, unless the group is not active."""
        if service.group not in self.inactive:
            super().issue(service)

    def turn_to(self, ports: frozenset[int], mx: frozenset[str], mx_other: frozenset[str]) -> None:
        """Let people ask for these ports and mail hosts, unless they know better.

        With SNI a group may ask for a mail host in the zone of another that does not ask for it itself: there daemons
        show the other's certificate.
        """
        before = self.ports, self.mx, self.mx_other
        self.ports, self.mx, self.mx_other = ports, mx, mx_other
        if (self.setting.has_sni and self._is_own()) or all(map(self._may_be_met, self.asks)):
            self.configure()
        else:
            self.ports, self.mx, self.mx_other = before

    def _is_own(self) -> bool:
        """Whether each group asks for those mail hosts in its own zone that the other has."""
        mx, other = self.mx, self.mx_other
        return mx & {MAIL_NET, SPARE_NET} <= other and other & {of.MAIL, of.SPARE} <= mx

    def _may_be_met(self, service: ServiceId) -> bool:
        """Whether all that may be served of a service matches all that a cache may hold of the names it comes to."""
        new = set(self.met(service)) - self.shown_at.get(service, set())
        versions = [version for version in self.may_be_served() if version[0] == service]
        return all(
            self.world.keys.matching(owner, params, *version) & rrset.records
            for owner, rrset in self._to_be_cached()
            if owner in new
            for version in versions
            for params in rrset.combinations
        )

    def _to_be_cached(self) -> set[tuple[str, Rrset]]:
        """Return what caches hold or may come to hold, as servers load and people merge."""
        dns, views = self.world.dns, list[Zone]()
        for apex, line in dns.lines.items():
            loaded = min(server.loaded for server in line.servers)
            views += [view for commit in line.commits[loaded:] for view in commit.views]
            views += [view for found in (dns.head.brings(apex, dns.content) if dns.head else ()) for view in found]
        return {*dns.cached, *(item for view in views for item in view.items())}

    def come_to_rest(self) -> None:
        """Repair everything: both groups are active, and daemons show under a name what is asked for there."""
        self.inactive.clear()
        if self.setting.has_sni and not self._is_own():
            self.mx, self.mx_other = frozenset({of.MAIL}), frozenset({MAIL_NET})
        self.shown_at.update({service: set(self.met(service)) for service in self.shown_at})
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
    life.turn_to(life.ports, pick(MX), life.mx_other)


def _mail_hosts_of_the_other_change(life: Life, pick: Pick) -> None:
    assert isinstance(life, Neighbours)
    life.turn_to(life.ports, life.mx, pick(MX))


def _mail_hosts_of_both_change(life: Life, pick: Pick) -> None:
    assert isinstance(life, Neighbours)
    mx = pick(MX)
    life.turn_to(life.ports, mx, mx)


def _ports_change(life: Life, pick: Pick) -> None:
    assert isinstance(life, Neighbours)
    life.turn_to(pick(machine.PORTS), life.mx, life.mx_other)


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
    "mail hosts of both groups change": Action(_mail_hosts_of_both_change),
    "other ports are asked for": Action(_ports_change, 1),
}
