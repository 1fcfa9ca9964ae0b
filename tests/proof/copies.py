"""Hosts that only keep copies: what they get asks nobody, and one may be turned into a server, or a server into one.

No daemon begins or stops because of a word in the inventory: people stop it later, and one that is to serve is
configured at once and loads what is there with the next restart, or as it begins.
"""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING

from sslops.deploy.host_plan import World, former
from sslops.inventory.reach import deliveries
from sslops.model.inventory import ServerClass
from tests.proof import life as of
from tests.proof.life import Life, Setting
from tests.proof.machine import Action, Pick

if TYPE_CHECKING:
    from sslops.model.inventory import Inventory
    from sslops.simulate.hosts import HostFate
    from sslops.simulate.scheduler import Run
    from sslops.simulate.stages import Machine

SETTINGS = {
    "copies": Setting(),
    "copies, after a roll": Setting(begins="rolled"),
    "copies, EC and RSA": Setting(services=(of.EC, of.RSA)),
}


@dataclass
class Copying(Life):
    """A site where some hosts only keep copies."""

    copying: set[str] = field(default_factory=lambda: {of.HOSTS[1]})
    unseen: set[str] = field(default_factory=set)
    """Hosts that turned to serving and that no run has written down since."""
    begun: dict[int, tuple[Machine, set[str]]] = field(default_factory=dict)
    """By each run its machine, and which of those hosts it may write down."""
    left: list[str] = field(default_factory=list)
    """What was not as asked before every host was to serve at the end."""

    @property
    def inventory(self) -> Inventory:
        """The inventory with a class for those that keep copies."""
        made = super().inventory
        hosts = made.classes["smtp"].hosts
        smtp = replace(made.classes["smtp"], hosts=tuple(host for host in hosts if host.name not in self.copying))
        other = ServerClass("other", tuple(host for host in hosts if host.name in self.copying), serves=False)
        return replace(made, classes={"smtp": smtp, "other": other})

    def settle(self) -> None:
        """Begin where those that keep copies have no daemon."""
        for host in self.world.hosts.values():
            host.loads_alone = False
        self.stop_daemons()
        super().settle()

    def stop_daemons(self) -> None:
        """Stop what still runs on hosts that only keep copies."""
        for name in self.copying:
            self.world.hosts[name].has_daemon = False
            self.world.hosts[name].serving.clear()

    def turn(self, name: str, *, loads: bool = False) -> None:
        """Let a host serve that kept copies, at once if its daemon *loads* them, or keep copies only; one serves."""
        if name in self.copying:
            self.copying.remove(name)
            self.unseen.add(name)
            self.world.hosts[name].has_daemon = True
            if loads:
                self.load_if_harmless(name)
        elif set(self.host_names) - self.copying - {name} and not (name in self.unseen and self._serves(name)):
            self.copying.add(name)
            self.unseen.discard(name)
        self.configure()

    def _serves(self, name: str) -> bool:
        return bool(self.world.hosts[name].serving)

    def _made(self, verb: str, fate: HostFate, skew_seconds: int) -> Run:
        run = super()._made(verb, fate, skew_seconds)
        self.begun[id(run)] = self.machine, {*self.unseen}
        return run

    def _after(self, run: Run) -> None:
        super()._after(run)
        if run.has_ended:
            machine, unseen = self.begun.pop(id(run), (self.machine, set[str]()))
            if machine.error is None and not run.is_killed:
                self.unseen -= unseen

    def load_if_harmless(self, name: str) -> None:
        """Let the daemon that begins load the copies at once, where they match whatever a cache may come to hold."""
        host = self.world.hosts[name]
        views = [*self.line.views, *(view for commit in self.line.commits[self._loaded() :] for view in commit.views)]
        rrsets = {*self.world.dns.cached, *(item for view in views for item in view.items())}
        if all(
            self.world.keys.matching(owner, params, *version) & rrset.records
            for version in host.files.items()
            for owner, rrset in rrsets
            for params in rrset.combinations
        ):
            host.restart()

    def _loaded(self) -> int:
        return min(server.loaded for server in self.line.servers)

    def come_to_rest(self) -> None:
        """Repair everything, so that copies are where they are to be; then let every host serve."""
        self.stop_daemons()
        keepers = self.copying & set(self.host_names)
        super().come_to_rest()
        if self.take_away_what_may_be_served():
            self.rest()
        files = {name: host.files for name, host in self.world.hosts.items() if name in keepers}
        wanted = {service: self.curr(service) for service in self.asks}
        self.left = [f"{name} keeps {found}, not {wanted}" for name, found in files.items() if found != wanted]
        for name in sorted(self.copying):
            self.turn(name)
        self.rest()

    def take_away_what_may_be_served(self) -> bool:
        """Take the files that deploy waits for off the keepers of copies; whether there were any.

        A port without a daemon proves nothing, so what such a host may serve for all that is known ends with its files.
        """
        ops = self.world.ops
        world = World(ops.inventory, ops.branches, ops.ledger, {}, self.world.now)
        waiting = [(delivery.host.name, s) for delivery in deliveries(ops.inventory) for s in former(delivery, world)]
        for name, service in waiting:
            if name in self.copying:
                self.world.hosts[name].remove(service)
        return bool(waiting)

    def unfinished(self) -> list[str]:
        """Return what is not as the inventory asks, then and now."""
        return [*self.left, *super().unfinished()]


# What can happen.


def _turns(life: Life, pick: Pick) -> None:
    assert isinstance(life, Copying)
    life.turn(pick(of.HOSTS[:2]), loads=pick((False, True)))


def _daemons_are_stopped(life: Life, _: Pick) -> None:
    assert isinstance(life, Copying)
    life.stop_daemons()


ACTIONS = {
    "a host turns from copies to serving, or back": Action(_turns, 4),
    "daemons are stopped where copies are kept": Action(_daemons_are_stopped),
}
