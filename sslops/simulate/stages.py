"""Runs of the stages in a simulated world: the code of production, and which fake stands behind which of its ports.

What `app/site.py` is for the real world. There is nothing here of what a stage does, or in which order.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import timedelta
from functools import partial
from typing import TYPE_CHECKING

from sslops.acme.dns01 import ByRequest as ChallengesByRequest
from sslops.acme.dns01 import Dns01
from sslops.deploy.host_plan import DeployOptions
from sslops.deploy.steps import Deployer
from sslops.errors import SslopsError
from sslops.model.inventory import MergePolicy
from sslops.model.plan import Consents, Plan
from sslops.model.plan import digest as digest_of
from sslops.model.proposal import Kind, Text, mark
from sslops.model.secret import Secret
from sslops.model.shipment import ServiceFiles
from sslops.probe.survey import Observer
from sslops.proposals.engine import Proposer
from sslops.prune.rules import PruneOptions
from sslops.prune.steps import Pruner
from sslops.publish.steps import ByRequest, Publisher
from sslops.repo.retrying import retrying
from sslops.roll.rules import RollOptions
from sslops.roll.steps import ByRequest as RollByRequest
from sslops.roll.steps import Roller
from sslops.simulate.challenges import ChallengeClone, ChallengeLook
from sslops.simulate.dns import Clone, Resolver
from sslops.simulate.receivers import HostPorts, Receivers
from sslops.simulate.scheduler import Run

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence
    from datetime import datetime

    from sslops.dane.rrset_inputs import World as Judged
    from sslops.model.acme import Proof
    from sslops.model.inventory import Inventory
    from sslops.model.names import GenerationId, ServiceId
    from sslops.publish.rules import Publication
    from sslops.repo.snapshot import Snapshot
    from sslops.simulate.forge import SimulatedForge
    from sslops.simulate.hosts import HostFate
    from sslops.simulate.world import World

    Version = tuple[ServiceId, GenerationId]

TARGET = "main"
"""The branch that requests are merged into, in either repository."""


@dataclass(frozen=True, slots=True)
class Clock:
    """The clock of one machine: the world's, and somewhat off."""

    world: World
    skew: timedelta = timedelta()

    def now(self) -> datetime:
        """Return the moment as that machine has it."""
        return self.world.now + self.skew


@dataclass(frozen=True, slots=True)
class Vault:
    """Certificates and keys; of these only whose they are matters here."""

    world: World

    def files(self, _: Snapshot, wanted: Sequence[Version]) -> Mapping[Version, ServiceFiles | SslopsError]:
        """Return what stands for the public files of each of *wanted*."""
        return {version: ServiceFiles(b"", self.world.certificate(*version), b"") for version in wanted}

    def keys(self, _: Snapshot, wanted: Sequence[Version]) -> Mapping[Version, Secret | SslopsError]:
        """Return what stands for the keys."""
        return dict.fromkeys(wanted, Secret(b""))


class Commands:
    """Commands on the runner: they work, and nothing comes of it."""

    def run(self, _words: Sequence[str]) -> str | None:
        """Return that nothing went wrong."""
        return None


@dataclass(slots=True)
class Machine:
    """A machine that runs the stages: how its clock is, to what a person consents, what becomes of its shipments.

    *told* has the last plan of its run, and *error* what the run ended in where that was no success.
    """

    world: World
    skew: timedelta = timedelta()
    fates: Mapping[str, HostFate] = field(default_factory=dict)
    consents: Consents = Consents()
    patience_seconds: int = 0
    """How long publish looks for what it published; time passes only where whoever plays lets it."""
    has_ipv6: bool = True
    restart: Callable[[], None] = lambda: None
    """What `dns.restart_cmd` does; without one name servers load when they like."""
    told: Plan = field(default_factory=Plan)
    error: SslopsError | None = None

    def publish(self) -> Run:
        """Publish."""
        return self._run(self._publish)

    def roll(self, options: RollOptions = RollOptions()) -> Run:  # noqa: B008
        """Roll."""
        return self._run(partial(self._roll, options=options))

    def deploy(self, options: DeployOptions = DeployOptions()) -> Run:  # noqa: B008
        """Deploy."""
        return self._run(partial(self._deploy, options=options))

    def prune(self, options: PruneOptions = PruneOptions(), ahead: timedelta = timedelta()) -> Run:  # noqa: B008
        """Prune, by a clock that is *ahead* of the world's."""
        return self._run(partial(self._prune, options=options, ahead=ahead))

    def show(self, proofs: frozenset[Proof]) -> Run:
        """Do what `renew` does in the DNS repository for an order: show *proofs*."""
        return self._run(lambda run: self._solve(run, proofs, lambda solver: solver.publish(proofs)))

    def clean(self, proofs: frozenset[Proof]) -> Run:
        """Take *proofs* away again."""
        return self._run(lambda run: self._solve(run, proofs, lambda solver: solver.clean(proofs)))

    def _run(self, stage: Callable[[Run], Plan]) -> Run:
        """Return the run that carries *stage* out, again from the start when another one was faster."""

        def act(run: Run) -> None:
            try:
                self.told = retrying(lambda: stage(run), sleep=run.gate(_sleep), random=lambda: 0.0)
            except SslopsError as error:
                self.error = error

        return Run(act)

    # What stands behind their ports.

    def _publish(self, run: Run) -> Plan:
        world, ops = self.world, run.gate(self.world.ops)
        snapshot, inventory, way = ops.refresh(), world.ops.inventory, None
        clone = self._fetched(run)
        if world.dns_forge is not None:
            way = ByRequest(self._requests(run, Kind.TLSA, world.dns_forge), describe_records)
        return Publisher(
            inventory=inventory,
            ops=ops,
            repository=clone,
            observer=self._observer(run, inventory, clone),
            ask_port=run.gate(HostPorts(world, self.has_ipv6).ask),
            clock=run.gate(Clock(world, self.skew)),
            sleep=run.gate(_sleep),
            run=self._name(),
            consents=self.consents,
            material=world.material,
            restart=run.gate(self.restart),
            way=way,
            patience_seconds=self.patience_seconds,
        ).publish(snapshot)

    def _roll(self, run: Run, options: RollOptions) -> Plan:
        world, ops = self.world, run.gate(self.world.ops)
        snapshot, inventory, way = ops.refresh(), world.ops.inventory, None
        observer = self._observer(run, inventory, self._fetched(run))
        if world.ops_forge is not None:
            way = RollByRequest(self._requests(run, Kind.ROLL, world.ops_forge), describe_rolls, run.gate(_sleep))
        clock = run.gate(Clock(world, self.skew))
        return Roller(inventory, ops, observer, clock, options, world.material, way).roll(snapshot)

    def _deploy(self, run: Run, options: DeployOptions) -> Plan:
        world, ops = self.world, run.gate(self.world.ops)
        snapshot, inventory = ops.refresh(), world.ops.inventory
        clone = self._fetched(run)
        done = Deployer(
            inventory=inventory,
            ops=ops,
            observer=self._observer(run, inventory, clone),
            clock=run.gate(Clock(world, self.skew)),
            receiver=run.gate(Receivers(world, self.fates, self.skew, self.has_ipv6)),
            ports=run.gate(HostPorts(world, self.has_ipv6)),
            vault=run.gate(Vault(world)),
            commands=run.gate(Commands()),
            sleep=run.gate(_sleep),
            random=lambda: 0.0,
            options=options,
            includes=clone,
            material=world.material,
            patience_seconds=(),
            at_once=run.at_once,
        ).deploy(snapshot)
        return done.plan

    def _prune(self, run: Run, options: PruneOptions, ahead: timedelta) -> Plan:
        world, ops = self.world, run.gate(self.world.ops)
        snapshot, inventory = ops.refresh(), world.ops.inventory
        observer = self._observer(run, inventory, self._fetched(run))
        clock = run.gate(Clock(world, self.skew + ahead))
        return Pruner(inventory, ops, observer, clock, options, world.material).prune(snapshot)

    def _solve(self, run: Run, proofs: frozenset[Proof], act: Callable[[Dns01], object]) -> Plan:
        world, apexes = self.world, tuple(self.world.dns.lines)
        clone, way = run.gate(ChallengeClone(world.challenges)), None
        clone.refresh()
        if world.acme_forge is not None:
            requests = self._requests(run, Kind.ACME, world.acme_forge)
            way = ChallengesByRequest(clone, requests, describe_challenges, dict, run.gate(_sleep))
        act(Dns01(clone, ChallengeLook(apexes), apexes, proofs, run.gate(self.restart), way))
        return Plan()

    def _fetched(self, run: Run) -> Clone:
        """Return the DNS repository as this run has just fetched it."""
        clone = run.gate(Clone(self.world.dns))
        clone.refresh()
        return clone

    def _observer(self, run: Run, inventory: Inventory, clone: Clone) -> Observer:
        resolver = run.gate(Resolver(self.world.dns, self.world.addresses, self.has_ipv6))
        return Observer(inventory, clone, resolver, run.gate(Clock(self.world, self.skew)), self.consents)

    def _requests(self, run: Run, kind: Kind, forge: SimulatedForge) -> Proposer:
        policy = MergePolicy.REVIEW if forge.merges is None else MergePolicy.AUTO
        gate = run.gate(forge)
        return Proposer(lambda: gate, kind, TARGET, policy)

    def _name(self) -> str:
        self.world.runs_begun += 1
        return f"run {self.world.runs_begun}"


def describe_records(found: Publication, world: Judged, limit: int) -> Text:
    """Say of a proposal no more than which plan it is."""
    del world, limit
    return Text("TLSA", mark(digest_of(found.plan)))


def describe_rolls(snapshot: Snapshot, digest: str, limit: int) -> Text:
    """Say of a roll no more than which plan it is."""
    del snapshot, limit
    return Text("roll", mark(digest))


def describe_challenges(
    shown: Mapping[Proof, str], present: frozenset[tuple[str, str]], carried: frozenset[str], digest: str, limit: int
) -> Text:
    """Say of challenges no more than which plan it is."""
    del shown, present, carried, limit
    return Text("challenges", mark(digest))


def _sleep(_seconds: float) -> None:
    """Let no time pass: how long that was is up to whoever plays."""
