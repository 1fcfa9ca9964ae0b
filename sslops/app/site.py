"""One ops repository at one moment: what each stage does there, and which adapter stands behind which of its ports."""

from __future__ import annotations

import os
import random
import time
from contextlib import nullcontext
from dataclasses import dataclass, replace
from functools import cached_property, partial
from typing import TYPE_CHECKING

from sslops.app.forges import Project, Reviewed, dns_clone, dns_project, ops_project
from sslops.app.outcome import Outcome
from sslops.errors import (
    Bug,
    DnsError,
    Faults,
    GitError,
    PeerError,
    SslopsError,
    StateError,
    UsageError,
    bugs_of,
)
from sslops.model.inventory import CaType
from sslops.model.names import ServiceId
from sslops.model.plan import Plan, Verb
from sslops.model.proposal import Kind
from sslops.system.clock import SystemClock

if TYPE_CHECKING:
    from collections.abc import Callable, Collection, Iterator, Mapping
    from datetime import datetime

    from sslops.app.renew import Renewal
    from sslops.app.session import Session
    from sslops.dane.records import Material
    from sslops.deploy.host_plan import DeployOptions
    from sslops.deploy.steps import Deployer
    from sslops.issue.rules import RenewOptions, Step
    from sslops.model.inventory import Inventory, Verify
    from sslops.model.names import GenerationId
    from sslops.model.observations import PortSeen
    from sslops.model.outlook import NameOutlook
    from sslops.model.plan import Consents
    from sslops.pki.integrity import CertificateJudge
    from sslops.probe.survey import Observer
    from sslops.proposals.dns_repository import DnsRepository
    from sslops.prune.rules import PruneOptions
    from sslops.prune.steps import Pruner
    from sslops.publish.steps import Publisher
    from sslops.rekey.steps import Rekeyer
    from sslops.repo.snapshot import Snapshot
    from sslops.repo.store import OpsRepo
    from sslops.revoke.rules import RevokeOptions
    from sslops.revoke.steps import Revoker
    from sslops.roll.rules import RollOptions
    from sslops.roll.steps import Roller
    from sslops.secrets.sops import Sops
    from sslops.system.ssh import Ssh


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
    asks_forges: bool = False
    """Whether a dry-run may ask forges what became of requests."""
    is_draft: bool = False
    """Whether the inventory is a working tree's, which nobody need have reviewed."""

    # The stages.

    def plan(self) -> Outcome:
        """Return what every stage can do now; a stage that fails, as where DNS or a forge is away, stops no other."""
        failures: list[SslopsError] = []
        names: list[NameOutlook] = []

        def publish() -> Plan:
            if self.inventory.dns is None:
                return Plan()
            published, seen = self._publisher().foresee(self.snapshot, asks_forge=self._asks(self._dns_project))
            names.extend(seen)
            return published

        found = self.plan_renew(self.renew_options())
        stages: dict[str, Callable[[], Plan]] = {
            "publish": publish,
            "roll": lambda: self.plan_roll(self.roll_options()),
            "deploy": lambda: self.plan_deploy(self.deploy_options()),
        }
        for name, stage in stages.items():
            try:
                with bugs_of(name):
                    found += stage()
            except PeerError as error:
                failures.append(error)
            except Bug as bug:
                failures.append(bug)
        return Outcome(found, failures=(*failures, *self._troubles), names=tuple(names))

    @property
    def troubles(self) -> tuple[SslopsError, ...]:
        """What went wrong beside the stage itself until now."""
        return tuple(self._troubles)

    def renew_options(
        self,
        *,
        force: bool = False,
        new_key: bool = False,
        reuse_key: bool = False,
        staging: bool = False,
        said: str = "",
        new_accounts: Collection[str] = (),
        step: Step | None = None,
    ) -> RenewOptions:
        """Return the options of renew; UsageError for a new account at what is no ACME CA."""
        from sslops.issue.rules import RenewOptions

        acme = sorted(name for name, ca in self.inventory.cas.items() if ca.type is CaType.ACME)
        for name in new_accounts:
            if name not in acme:
                message = f"'{name}' is no ACME CA of the inventory"
                raise UsageError(message, hint=f"ACME CAs: {', '.join(acme) or 'none'}")
            self.session.say(f"a new account at '{name}' takes the place of the one in use")
        return RenewOptions(self.targets, force, new_key, reuse_key, staging, said, step, frozenset(new_accounts))

    def rehearsing(self) -> Site:
        """Return the same site for a rehearsal: it orders from staging servers, and writes a branch nobody rolls."""
        from sslops.app.renew import STAGING_BRANCH, rehearsed

        ops = replace(self.ops, settings=replace(self.ops.settings, next_branch=STAGING_BRANCH))
        return replace(self, ops=ops, snapshot=ops.snapshot(), inventory=rehearsed(self.inventory), is_rehearsal=True)

    def plan_renew(self, options: RenewOptions) -> Plan:
        """Return what renew would do."""
        from sslops.issue import rules

        return self._heed_dnssec(rules.plan(self.inventory, self.snapshot.branches, SystemClock().now(), options))

    def renew(self, options: RenewOptions, digest: str | None = None) -> Outcome:
        """Renew, onto the branch next: own CAs sign at once, what ACME servers sign is one batch."""
        uses_hosts = any(ca.validation == "http-01" for ca in self.inventory.cas.values())
        with self.ssh() if uses_hosts else nullcontext() as ssh:
            done = self._renewal(ssh).renew(options, digest)
            return done + Outcome(failures=tuple(self._troubles), requests=self._requests)

    def _renewal(self, ssh: Ssh | None) -> Renewal:
        from sslops.app.renew import Renewal

        return Renewal(
            session=self.session,
            ops=self.ops,
            snapshot=self.snapshot,
            inventory=self.inventory,
            run=self.run,
            sops=self._sops,
            ssh=ssh,
            reload_dns=self._restart_name_servers,
            heed=self._heed_dnssec,
            is_rehearsal=self.is_rehearsal,
            consents=self.consents,
            note_request=self._requests.__setitem__,
        )

    def _heed_dnssec(self, plan: Plan) -> Plan:
        """Take out the orders that a broken DNSSEC chain would fail; asks only where a validator is named."""
        validator = self.inventory.dns.validator if self.inventory.dns else None
        if validator is None or not plan.actions:
            return plan
        from sslops.issue.dnssec import questions, withheld
        from sslops.probe.name_servers import Resolver

        bogus = Resolver(self.session.say).bogus(validator, questions(plan, self.inventory))
        return withheld(plan, self.inventory, bogus, self.consents)

    def plan_publish(self) -> Plan:
        """Return what publish would do; nothing where the inventory names no DNS repository."""
        if self.inventory.dns is None:
            return Plan()
        return self._publisher().plan(self.snapshot, asks_forge=self._asks(self._dns_project))

    def publish(self, digest: str | None = None, *, force: bool = False) -> Outcome:
        """Publish; nothing to do where the inventory names no DNS repository. *force* proposes what was declined."""
        if self._repository is None:
            return Outcome(is_applied=True)
        plan = self._publisher(force=force).publish(self.snapshot, digest)
        return Outcome(plan, is_applied=True, failures=tuple(self._troubles), requests=self._requests)

    def roll_options(
        self, *, force: bool = False, min_roll_minutes: int | None = None, back: bool = False
    ) -> RollOptions:
        """Return the options of roll."""
        from sslops.roll.rules import RollOptions

        return RollOptions(self.targets, force, min_roll_minutes, back)

    def plan_roll(self, options: RollOptions) -> Plan:
        """Return what roll would do."""
        return self._roller(options).plan(self.snapshot, asks_forge=self._asks(self._ops_project))

    def roll(self, options: RollOptions, digest: str | None = None) -> Outcome:
        """Roll."""
        plan = self._roller(options).roll(self.snapshot, digest)
        return Outcome(plan, is_applied=True, failures=tuple(self._troubles), requests=self._requests)

    def deploy_options(
        self,
        *,
        hosts: Collection[str] = (),
        is_shard: bool = False,
        force_restart: bool = False,
        forget: Collection[str] = (),
    ) -> DeployOptions:
        """Return the options of deploy."""
        from sslops.deploy.host_plan import DeployOptions

        return DeployOptions(self.targets, frozenset(hosts), force_restart, frozenset(forget), self.consents, is_shard)

    def plan_deploy(self, options: DeployOptions) -> Plan:
        """Return what deploy would do; no host is asked."""
        with self.ssh() as ssh:
            return self._deployer(options, ssh).plan(self.snapshot)

    def deploy(self, options: DeployOptions, digest: str | None = None) -> Outcome:
        """Deploy."""
        with self.ssh() as ssh:
            done = self._deployer(options, ssh).deploy(self.snapshot, digest)
        return Outcome(done.plan, is_applied=True, failures=(*done.failures, *self._troubles), troubles=done.troubles)

    def prune_options(self, *, keep: int | None = None, every: bool = False) -> PruneOptions:
        """Return the options of prune."""
        from sslops.prune.rules import PruneOptions

        return PruneOptions(self.targets, keep, every)

    def plan_prune(self, options: PruneOptions) -> Plan:
        """Return what prune would do."""
        return self._pruner(options).plan(self.snapshot)

    def prune(self, options: PruneOptions, digest: str | None = None) -> Outcome:
        """Prune, on the branch next."""
        plan = self._pruner(options).prune(self.snapshot, digest)
        return Outcome(plan, is_applied=True, failures=tuple(self._troubles))

    def plan_rekey(self) -> Plan:
        """Return what rekey would do; nothing is opened."""
        return self._rekeyer().plan(self.snapshot)

    def rekey(self, digest: str | None = None) -> Outcome:
        """Wrap anew what opens here."""
        rekeyer = self._rekeyer()
        plan = rekeyer.rekey(self.snapshot, digest)
        return Outcome(plan, is_applied=True, failures=tuple(rekeyer.failures))

    def _rekeyer(self) -> Rekeyer:
        from sslops.rekey.steps import Rekeyer

        return Rekeyer(self.ops, self._sops, self._sops_config, self.ops.git.blobs, self.session.say_once)

    def plan_revoke(self, options: RevokeOptions) -> Plan:
        """Return what revoke would do; no CA is asked."""
        return self._revoker(options).plan(self.snapshot)

    def revoke(self, options: RevokeOptions, digest: str | None = None, *, said: str = "", by_key: bool) -> Outcome:
        """Revoke: mark it on next, then tell each CA."""
        revoker = self._revoker(options, said, by_key=by_key)
        plan = revoker.revoke(self.snapshot, digest)
        failed = dict(revoker.failures)
        told = Plan(tuple(a for a in plan.actions if ServiceId(a.group, a.service) not in failed), plan.waits)
        lost = tuple((Verb.REVOKE, service, error.what) for service, error in failed.items())
        return Outcome(told, is_applied=True, failures=tuple(failed.values()), failed=lost)

    def _revoker(self, options: RevokeOptions, said: str = "", *, by_key: bool = False) -> Revoker:
        from sslops.revoke.steps import Revoker

        authority = self._renewal(None).authority(by_key=by_key)
        return Revoker(self.inventory, self.ops, authority, SystemClock(), options, said)

    # What stands behind their ports.

    def _pruner(self, options: PruneOptions) -> Pruner:
        from sslops.prune.steps import Pruner

        return Pruner(self.inventory, self.ops, self._observer, SystemClock(), options, self.material)

    def _publisher(self, *, force: bool = False) -> Publisher:
        from sslops.app import descriptions
        from sslops.publish.steps import ByRequest, Publisher

        if self._repository is None:
            message = "the inventory names no DNS repository"
            raise UsageError(message, hint="dns.repo in inventory/sslops.yaml")
        project = self._dns_project
        way = None
        if project is not None:
            requests = project.requests(
                Kind.TLSA, self._repository.git, self.run, note=self._requests.__setitem__, force=force
            )
            way = ByRequest(requests, descriptions.tlsa)
        return Publisher(
            inventory=self.inventory,
            ops=self.ops,
            repository=self._repository,
            observer=self._observer,
            ask_port=self._ask_port,
            clock=SystemClock(),
            sleep=time.sleep,
            run=self.run,
            consents=self.consents,
            material=self.material,
            restart=self._restart_name_servers,
            way=way,
            talk=self.session,
        )

    @property
    def projects(self) -> tuple[Project | None, Project | None]:
        """The projects of the ops and of the DNS repository on their forges; null where the engine merges."""
        return self._ops_project, self._dns_project

    @cached_property
    def _dns_project(self) -> Project | None:
        return None if self.inventory.dns is None else dns_project(self.inventory.dns)

    @cached_property
    def _ops_project(self) -> Project | None:
        return ops_project(self.inventory.repo, self.ops.git.remote_url)

    def _asks(self, project: Project | None) -> bool:
        """Whether the forge of *project* is to be asked what became of requests; says so where it cannot be."""
        if project is None or not self.asks_forges:
            return False
        obstacle = self._reviewed.obstacle(project)
        if obstacle is not None:
            self.session.say(obstacle)
        return obstacle is None

    @cached_property
    def _reviewed(self) -> Reviewed:
        """Return the servers that a token may be shown to."""
        remote = self.ops.git.remote_url
        return Reviewed.of_main(self.ops, self.snapshot, remote) if self.is_draft else Reviewed(self.inventory, remote)

    def _ask_port(self, address: str, verify: Verify, server_name: str, host: str | None = None) -> PortSeen:
        """Ask an address of a name, from where the class says that its ports are asked, or one of *host*'s own."""
        from sslops.probe.host_ports import guarded

        about = f"port {verify.port} of '{host or address}'"
        return guarded(about, lambda: self._asked_port(address, verify, server_name, host), self._tell_bug)

    def _asked_port(self, address: str, verify: Verify, server_name: str, host: str | None) -> PortSeen:
        from sslops.probe.tls import EVERY_KEY_TYPE, ask_port

        if verify.asked_from == "runner":
            return ask_port(
                address,
                verify.port,
                starttls=verify.starttls,
                server_name=server_name,
                key_types=EVERY_KEY_TYPE,
                timeout_seconds=verify.patience_seconds,
            )
        from sslops.probe.host_ports import AskedPorts

        hosts = {host.name: host for each in self.inventory.classes.values() for host in each.hosts}
        asked_so = [
            each
            for name, each in sorted(hosts.items())
            if each.verify is not None and not each.is_local
            if name == host or (host is None and replace(each.verify, address=None) == verify)
        ]
        with self.ssh() as ssh:
            return AskedPorts(ssh).from_hosts(asked_so, address, verify, server_name, EVERY_KEY_TYPE)

    def _restart_name_servers(self) -> None:
        from sslops.system.processes import Commands

        command = self.inventory.dns.restart_cmd if self.inventory.dns else ()
        why = Commands().run(command) if command else None
        if why is not None:
            what = f"dns.restart_cmd failed, so the name servers may not have loaded what was pushed: {why}"
            self._troubles.append(DnsError(what, hint="dns.restart_cmd in inventory/sslops.yaml, run by hand"))

    def _roller(self, options: RollOptions) -> Roller:
        from sslops.app import descriptions
        from sslops.roll.steps import ByRequest, Roller

        project, way = self._ops_project, None
        if project is not None:
            describe = partial(descriptions.roll, self.inventory, self.material)
            requests = project.requests(
                Kind.ROLL, self.ops.git, self.run, note=self._requests.__setitem__, force=options.force
            )
            way = ByRequest(requests, describe, time.sleep, self.session)
        judge = self._certificate_judge
        return Roller(self.inventory, self.ops, self._observer, SystemClock(), options, self.material, way, judge)

    @cached_property
    def _certificate_judge(self) -> CertificateJudge:
        """Who looks at certificates again before they become live or are sent."""
        from sslops.inventory.loading import load
        from sslops.pki.integrity import CertificateJudge

        def former(since: datetime) -> Iterator[Inventory]:
            for files in self.ops.former_inventories(self.snapshot, since):
                try:
                    yield load(files)
                except Faults:
                    continue  # a broken inventory of the past asked for nothing

        return CertificateJudge(self.ops, self.snapshot, self.inventory, SystemClock().now(), former)

    def ssh(self) -> Ssh:
        """Return the ssh client with the host keys of main; to be used as a context."""
        from sslops.system.ssh import Ssh

        known_hosts = self.ops.read(self.snapshot.main_commit, "inventory/known_hosts") or b""
        hosts = [host for server_class in self.inventory.classes.values() for host in server_class.hosts]
        return Ssh(known_hosts.decode("utf-8", "replace"), hosts, environ=os.environ)

    def _deployer(self, options: DeployOptions, ssh: Ssh) -> Deployer:
        from sslops.deploy.receiver import Receivers
        from sslops.deploy.steps import Deployer
        from sslops.pki.stored import StoredVault
        from sslops.probe.host_ports import AskedPorts, GuardedPorts
        from sslops.system.processes import Commands
        from sslops.system.ssh import LocalShell

        return Deployer(
            inventory=self.inventory,
            ops=self.ops,
            observer=self._observer,
            clock=SystemClock(),
            receiver=Receivers(ssh, LocalShell(os.environ), SystemClock().now, effects=self.session.effects),
            ports=GuardedPorts(AskedPorts(ssh), self._tell_bug),
            talk=self.session,
            vault=StoredVault(self.ops, self._sops, self._tlsa_rr, self._certificate_judge),
            commands=Commands(),
            sleep=time.sleep,
            random=random.random,
            options=options,
            includes=self._reachable_repository,
            material=self.material,
        )

    def _tlsa_rr(self, service: ServiceId, generation: GenerationId) -> bytes:
        """Return the records that the DNS base has of one generation, as zone text."""
        from sslops.dane.records import Keys
        from sslops.dane.zonefile import render_records

        repository, keys = self._reachable_repository, Keys.of(self.snapshot.branches, self.material)
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
        from sslops.deploy.at_once import in_threads
        from sslops.probe.name_servers import Resolver
        from sslops.probe.survey import Observer

        try:
            repository, obstacle = self._repository, "the inventory names no DNS repository"
        except GitError as error:
            repository, obstacle = None, error.what
        resolver = Resolver(self.session.say)
        return Observer(
            self.inventory,
            repository,
            resolver,
            SystemClock(),
            self.consents,
            obstacle,
            self._tell_bug,
            self.session,
            in_threads,
        )

    def _tell_bug(self, bug: Bug) -> None:
        """Keep *bug* as a failure of this run; a zone is looked at several times, and told once."""
        if bug.what not in {each.what for each in self._troubles}:
            self._troubles.append(bug)

    @cached_property
    def _requests(self) -> dict[str, str]:
        """Where each merge request stands that this run touched, by its address."""
        return {}

    @cached_property
    def _troubles(self) -> list[SslopsError]:
        """What went wrong beside the stage itself, and is part of its outcome."""
        return []

    @cached_property
    def _sops(self) -> Sops:
        from sslops.secrets.sops import Sops

        return Sops(self._sops_config)

    @cached_property
    def _sops_config(self) -> str:
        config = self.ops.read(self.snapshot.main_commit, ".sops.yaml")
        if config is None:
            message = f"there is no '.sops.yaml' on '{self.inventory.repo.branch}'"
            raise StateError(message, hint="sslops init shows what it looks like")
        return config.decode()

    @cached_property
    def _repository(self) -> DnsRepository | None:
        """The DNS repository, just fetched; null when the inventory names none. GitError when it cannot be reached."""
        from sslops.proposals.dns_repository import DnsRepository

        settings = self.inventory.dns
        if settings is None:
            return None
        with self.session.progress("fetching the DNS repository"):
            git = dns_clone(self.ops.git, settings, self.session, self._reviewed.dns_url)
            found = DnsRepository(git.asking(self.ops.signers(self.snapshot)), settings.branch, settings.tlsa_dirs)
            found.refresh()
        return found

    @cached_property
    def material(self) -> Mapping[tuple[ServiceId, GenerationId], Material]:
        """Keys and certificates in DER, read when a record is about more than the public facts tell."""
        from sslops.pki.stored import StoredMaterial

        return StoredMaterial(self.ops, self.snapshot)
