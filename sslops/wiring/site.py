"""One ops repository at one moment: what each stage does there, and which adapter stands behind which of its ports."""

from __future__ import annotations

import os
import random
import time
from contextlib import nullcontext
from dataclasses import dataclass, replace
from functools import cached_property
from typing import TYPE_CHECKING

from sslops.adapters.clock import SystemClock
from sslops.adapters.git import Git
from sslops.errors import GitError, SslopsError, StateError, UsageError
from sslops.model.plan import Plan
from sslops.verbs.outcome import Outcome

if TYPE_CHECKING:
    from collections.abc import Collection, Mapping

    from sslops.adapters.dns_repository import DnsRepository
    from sslops.adapters.sops import Sops
    from sslops.adapters.ssh import Ssh
    from sslops.dane.records import Material
    from sslops.deploy.decision import DeployOptions
    from sslops.deploy.steps import Deployer
    from sslops.issue.rules import RenewOptions
    from sslops.model.forecast import Assumptions, Forecast
    from sslops.model.inventory import Inventory, Verify
    from sslops.model.names import GenerationId, ServiceId
    from sslops.model.outlook import NameOutlook
    from sslops.model.plan import Consents
    from sslops.model.seen import PortSeen
    from sslops.observe.look import Observer
    from sslops.publish.steps import Publisher
    from sslops.report.live import LiveView
    from sslops.roll.rules import RollOptions
    from sslops.roll.steps import Roller
    from sslops.state.snapshot import Snapshot
    from sslops.state.store import OpsRepo
    from sslops.verbs.session import Session


@dataclass(frozen=True)
class Site:
    """One ops repository at one moment, with everything that a stage needs to work on it."""

    session: Session
    ops: OpsRepo
    snapshot: Snapshot
    inventory: Inventory
    consents: Consents
    targets: frozenset[ServiceId] | None
    run: str
    is_rehearsal: bool = False

    # The stages.

    def plan(self) -> Outcome:
        """Return what every stage can do now; a DNS repository that cannot be reached is a failure beside the rest."""
        failures: tuple[SslopsError, ...] = ()
        names: tuple[NameOutlook, ...] = ()
        found = self.plan_renew(self.renew_options())
        if self.inventory.dns:
            try:
                published, names = self._publisher.foresee(self.snapshot)
                found += published
            except GitError as error:
                failures = (error,)
        found += self.plan_roll(self.roll_options()) + self.plan_deploy(self.deploy_options())
        return Outcome(found, failures=failures, names=names)

    def renew_options(
        self, *, force: bool = False, new_key: bool = False, reuse_key: bool = False, staging: bool = False
    ) -> RenewOptions:
        """Return the options of renew."""
        from sslops.issue.rules import RenewOptions

        return RenewOptions(self.targets, force, new_key, reuse_key, staging)

    def rehearsing(self) -> Site:
        """Return the same site for a rehearsal: it orders from staging servers, and writes a branch nobody rolls."""
        from sslops.wiring.renewal import STAGING_BRANCH, rehearsed

        ops = replace(self.ops, settings=replace(self.ops.settings, next_branch=STAGING_BRANCH))
        return replace(self, ops=ops, snapshot=ops.snapshot(), inventory=rehearsed(self.inventory), is_rehearsal=True)

    def plan_renew(self, options: RenewOptions) -> Plan:
        """Return what renew would do."""
        from sslops.issue import rules

        return rules.plan(self.inventory, self.snapshot.branches, SystemClock().now(), options)

    def renew(self, options: RenewOptions, digest: str | None = None) -> Outcome:
        """Renew, onto the branch next: own CAs sign at once, what ACME servers sign is one batch."""
        from sslops.wiring.renewal import Renewal

        uses_hosts = any(ca.validation == "http-01" for ca in self.inventory.cas.values())
        with self._ssh() if uses_hosts else nullcontext() as ssh:
            renewal = Renewal(
                session=self.session,
                ops=self.ops,
                snapshot=self.snapshot,
                inventory=self.inventory,
                run=self.run,
                sops=self._sops,
                ssh=ssh,
                reload_dns=self._restart_name_servers,
                is_rehearsal=self.is_rehearsal,
            )
            return renewal.renew(options, digest)

    def plan_publish(self) -> Plan:
        """Return what publish would do; nothing where the inventory names no DNS repository."""
        if self.inventory.dns is None:
            return Plan()
        return self._publisher.plan(self.snapshot)[0].plan

    def publish(self, digest: str | None = None) -> Outcome:
        """Publish; nothing to do where the inventory names no DNS repository."""
        if self._repository is None:
            return Outcome(is_applied=True)
        return Outcome(self._publisher.publish(self.snapshot, digest), is_applied=True)

    def roll_options(self, *, force: bool = False, min_roll_minutes: int | None = None) -> RollOptions:
        """Return the options of roll."""
        from sslops.roll.rules import RollOptions

        return RollOptions(self.targets, force, min_roll_minutes)

    def plan_roll(self, options: RollOptions) -> Plan:
        """Return what roll would do."""
        return self._roller(options).plan(self.snapshot)[0]

    def roll(self, options: RollOptions, digest: str | None = None) -> Outcome:
        """Roll."""
        return Outcome(self._roller(options).roll(self.snapshot, digest), is_applied=True)

    def deploy_options(
        self, *, hosts: Collection[str] = (), force_restart: bool = False, forget: Collection[str] = ()
    ) -> DeployOptions:
        """Return the options of deploy."""
        from sslops.deploy.decision import DeployOptions

        return DeployOptions(self.targets, frozenset(hosts), force_restart, frozenset(forget), self.consents)

    def plan_deploy(self, options: DeployOptions) -> Plan:
        """Return what deploy would do; no host is asked."""
        with self._ssh() as ssh:
            return self._deployer(options, ssh).plan(self.snapshot)

    def deploy(self, options: DeployOptions, digest: str | None = None) -> Outcome:
        """Deploy."""
        with self._ssh() as ssh:
            done = self._deployer(options, ssh).deploy(self.snapshot, digest)
        return Outcome(done.plan, is_applied=True, failures=done.failures)

    def live(self) -> LiveView:
        """Ask name servers and ports what they show now; nothing is written, not even fetched."""
        from sslops.dane.records import Keys
        from sslops.deploy.asked_ports import AskedPorts
        from sslops.deploy.session import server_name
        from sslops.inventory.reach import deliveries
        from sslops.observe.dns import Resolver
        from sslops.observe.live import live_names, live_ports
        from sslops.report.live import Legend, LiveView

        names = live_names(self.inventory, self.snapshot.ledger, Resolver(self.session.say))
        with self._ssh() as ssh:
            asker = AskedPorts(ssh, time.sleep)
            ports = live_ports(
                (
                    (delivery.host, verify, service)
                    for delivery in deliveries(self.inventory)
                    for service in sorted(delivery.serving)
                    for verify in delivery.verifies(service)
                ),
                lambda service: server_name(self.inventory.services[service]),
                lambda host, verify, name: asker.show(host, verify, name, connections=1, over_seconds=0),
            )
        wanted = [port for port in ports if self.targets is None or port.service in self.targets]
        return LiveView(names, tuple(wanted), Legend(Keys.of(self.snapshot.branches, self._material)))

    def forecast(self, assumptions: Assumptions) -> Forecast:
        """Play the time ahead in a world that begins with this repository; nobody is asked, nothing is changed."""
        from sslops.simulate.beginning import world_of
        from sslops.simulate.forecast import forecast

        world = world_of(
            self.inventory,
            self.snapshot.branches,
            self.snapshot.ledger,
            self.session.now,
            self._material,
            is_reviewed=bool(assumptions.merge_delay),
        )
        return forecast(world, assumptions)

    # What stands behind their ports.

    @cached_property
    def _publisher(self) -> Publisher:
        from sslops.publish.steps import Publisher

        if self._repository is None:
            message = "the inventory names no DNS repository"
            raise UsageError(message, hint="dns.repo in inventory/sslops.yaml")
        return Publisher(
            inventory=self.inventory,
            ops=self.ops,
            repository=self._repository,
            observer=self._observer,
            ask_port=_ask_port,
            clock=SystemClock(),
            sleep=time.sleep,
            run=self.run,
            consents=self.consents,
            material=self._material,
            restart=self._restart_name_servers,
        )

    def _restart_name_servers(self) -> None:
        from sslops.adapters.commands import Commands

        command = self.inventory.dns.restart_cmd if self.inventory.dns else ()
        why = Commands().run(command) if command else None
        if why is not None:
            self.session.say(f"dns.restart_cmd: {why}")

    def _roller(self, options: RollOptions) -> Roller:
        from sslops.roll.steps import Roller

        return Roller(self.inventory, self.ops, self._observer, SystemClock(), options, self._material)

    def _ssh(self) -> Ssh:
        from sslops.adapters.ssh import Ssh

        known_hosts = self.ops.read(self.snapshot.main_commit, "inventory/known_hosts") or b""
        hosts = [host for server_class in self.inventory.classes.values() for host in server_class.hosts]
        return Ssh(known_hosts.decode("utf-8", "replace"), hosts, environ=os.environ)

    def _deployer(self, options: DeployOptions, ssh: Ssh) -> Deployer:
        from sslops.adapters.commands import Commands
        from sslops.adapters.receiver import Receivers
        from sslops.adapters.ssh import LocalShell
        from sslops.adapters.stored import StoredVault
        from sslops.deploy.asked_ports import AskedPorts
        from sslops.deploy.steps import Deployer

        return Deployer(
            inventory=self.inventory,
            ops=self.ops,
            observer=self._observer,
            clock=SystemClock(),
            receiver=Receivers(ssh, LocalShell(os.environ), effects=self.session.effects),
            ports=AskedPorts(ssh),
            vault=StoredVault(self.ops, self._sops, self._tlsa_rr),
            commands=Commands(),
            sleep=time.sleep,
            random=random.random,
            options=options,
            includes=self._reachable_repository,
            material=self._material,
        )

    def _tlsa_rr(self, service: ServiceId, generation: GenerationId) -> bytes:
        """Return the records that the DNS base has of one generation, as zone text."""
        from sslops.dane.records import Keys
        from sslops.dane.zonefile import render_records

        repository, keys = self._reachable_repository, Keys.of(self.snapshot.branches, self._material)
        if repository is None or not self.inventory.services[service].dane:
            return b""
        zone = repository.apex(service.group).base.views[0]
        return render_records(zone, lambda r: r in keys.matching(r.owner, r.params, service, generation)).encode()

    @property
    def _reachable_repository(self) -> DnsRepository | None:
        """The DNS repository; null when there is none, or when it cannot be reached now."""
        try:
            return self._repository
        except GitError:
            return None

    @cached_property
    def _observer(self) -> Observer:
        from sslops.observe.dns import Resolver
        from sslops.observe.look import Observer

        try:
            repository, obstacle = self._repository, "the inventory names no DNS repository"
        except GitError as error:
            repository, obstacle = None, error.what
        resolver = Resolver(self.session.say)
        return Observer(self.inventory, repository, resolver, SystemClock(), self.consents, obstacle)

    @cached_property
    def _sops(self) -> Sops:
        from sslops.adapters.sops import Sops

        config = self.ops.read(self.snapshot.main_commit, ".sops.yaml")
        if config is None:
            message = f"there is no '.sops.yaml' on '{self.inventory.repo.branch}'"
            raise StateError(message, hint="sslops init shows what it looks like")
        return Sops(config.decode())

    @cached_property
    def _repository(self) -> DnsRepository | None:
        """The DNS repository, just fetched; null when the inventory names none. GitError when it cannot be reached."""
        from sslops.adapters.dns_repository import DnsRepository

        settings = self.inventory.dns
        if settings is None:
            return None
        git = Git.clone_bare(settings.url, self.ops.git.private_dir / "dns.git", effects=self.session.effects)
        found = DnsRepository(git.acting_as(self.ops.git.committer), settings.branch, settings.tlsa_dirs)
        found.refresh()
        return found

    @cached_property
    def _material(self) -> Mapping[tuple[ServiceId, GenerationId], Material]:
        """Keys and certificates in DER, read when a record is about more than the public facts tell."""
        from sslops.adapters.stored import StoredMaterial

        return StoredMaterial(self.ops, self.snapshot)


def _ask_port(address: str, verify: Verify, server_name: str) -> PortSeen:
    from sslops.observe.tls import EVERY_KEY_TYPE, ask_port

    return ask_port(address, verify.port, starttls=verify.starttls, server_name=server_name, key_types=EVERY_KEY_TYPE)
