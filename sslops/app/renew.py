"""What stands behind the ports of `renew`: the own CA, ACME servers with accounts and challenges, the branch.

Own CAs sign at once; what ACME servers sign is one batch, and the first push carries both.
"""

from __future__ import annotations

import os
import time
from dataclasses import dataclass, replace
from functools import cache, cached_property, partial
from pathlib import Path
from typing import TYPE_CHECKING

from sslops.app import descriptions
from sslops.app.forges import dns_clone, dns_project
from sslops.app.outcome import Outcome
from sslops.errors import StateError
from sslops.model.acme import ChallengeType
from sslops.model.inventory import CaType
from sslops.model.names import CA_GROUP, ServiceId
from sslops.model.plan import Consents, Plan, Verb, require
from sslops.model.plan import digest as digest_of
from sslops.model.proposal import Kind
from sslops.repo.state_files import CERT, PRIVKEY, generation_path
from sslops.system import extras
from sslops.system.clock import SystemClock

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence
    from datetime import datetime

    from sslops.acme.account import StoredAccounts
    from sslops.acme.client import AcmeClient
    from sslops.app.session import Session
    from sslops.errors import Bug
    from sslops.issue.acme_steps import Batch, Outside
    from sslops.issue.ports import Solver, Workshop
    from sslops.issue.rules import RenewOptions
    from sslops.model.acme import Proof
    from sslops.model.change import AccountChange, Change
    from sslops.model.inventory import CertificateAuthority, Inventory
    from sslops.model.state import Generation, State
    from sslops.pki.stored import StoredFiles
    from sslops.repo.engine_refs import StoredAppointments
    from sslops.repo.snapshot import Snapshot
    from sslops.repo.store import OpsRepo
    from sslops.secrets.sops import Sops
    from sslops.system.ssh import Ssh


STAGING_BRANCH = "sslops/staging"
"""Where a rehearsal writes instead of next: no roll ever reads it."""
_STAGING_SUFFIX = ".staging"


@dataclass(slots=True)
class Journal:
    """The branch that a run writes; each write is compared with what the one before left."""

    ops: OpsRepo
    snapshot: Snapshot

    def write(self, changes: Sequence[Change | AccountChange]) -> None:
        """Commit and push."""
        self.snapshot = self.ops.write_next(self.snapshot, changes)


@dataclass(frozen=True, slots=True)
class SeenWindows:
    """The state with the renewal windows as seen now, and the changes that write them down."""

    state: State
    changes: tuple[Change, ...]
    bugs: tuple[Bug, ...] = ()


@dataclass(frozen=True)
class Renewal:
    """One run of `renew` on one snapshot; each part is made when it is first needed."""

    session: Session
    ops: OpsRepo
    snapshot: Snapshot
    inventory: Inventory
    run: str
    sops: Sops
    ssh: Ssh | None
    """Reaches web hosts; null where no CA proves names by http-01."""
    reload_dns: Callable[[], None]
    heed: Callable[[Plan], Plan] = lambda plan: plan
    """Takes out of a plan what a broken DNSSEC chain would fail, and puts the hazards in."""
    is_rehearsal: bool = False
    consents: Consents = Consents()
    note_request: Callable[[str, str], None] = lambda *_: None
    """Gets the address of each merge request that was touched, and where it stands."""

    def renew(self, options: RenewOptions, digest: str | None) -> Outcome:
        """Renew what is due, onto the branch; Refused unless the plan is *digest*, when that is given."""
        from sslops.issue import rules, steps
        from sslops.issue.ports import Workshop
        from sslops.pki.local_ca import LocalCa
        from sslops.pki.stored import StoredFiles

        now = SystemClock().now()
        seen = self._windows(options, now)
        branches = replace(self.snapshot.branches, next=seen.state)
        plan = self.heed(rules.plan(self.inventory, branches, now, options))
        require(plan, digest)
        workshop = Workshop(LocalCa(), self.sops, StoredFiles(self.ops, self.snapshot), self._journal.write)
        local, ordered = rules.split(plan, self.inventory)
        made = steps.renew(
            local,
            self.inventory,
            seen.state,
            now,
            workshop,
            digest=digest_of(plan),
            said=options.said,
            talk=self.session,
        )
        others = (*seen.changes, *made.unwritten)
        if ordered or options.new_accounts:
            made += self._batch(workshop, seen.state, digest_of(plan), options).run(ordered, others)
        else:
            self._journal.write(others)
        self._appointments.store(now)
        done = {change.service for change in made.changes}
        actions = tuple(action for action in plan.actions if ServiceId(action.group, action.service) in done)
        failures = (*seen.bugs, *(failure.error for failure in made.failures))
        carried_out = Plan(actions, plan.waits + made.waits, plan.hazards + made.hazards)
        failed = tuple((Verb.RENEW, failure.service, failure.error.what) for failure in made.failures)
        return Outcome(carried_out, is_applied=True, failures=failures, failed=failed)

    def authority(self, *, by_key: bool) -> Authority:
        """Return who tells the CAs what is revoked: *by_key* of each certificate, else by the account."""
        from sslops.acme.account import StoredAccounts
        from sslops.pki.stored import StoredFiles

        accounts = StoredAccounts(self.ops, self.snapshot, self.sops, self.inventory)
        files = StoredFiles(self.ops, self.snapshot)
        return Authority(self._client, self.inventory, accounts, files, self.sops, by_key)

    @cached_property
    def _servers(self) -> Mapping[str, AcmeClient]:
        """A client for each ACME CA of the inventory; none has asked anything yet."""
        return {ca.name: self._client(ca) for ca in self.inventory.cas.values() if ca.type is CaType.ACME}

    @cached_property
    def _appointments(self) -> StoredAppointments:
        from sslops.repo.engine_refs import StoredAppointments

        return StoredAppointments(self.ops.git, self.session.say)

    @cached_property
    def _journal(self) -> Journal:
        return Journal(self.ops, self.snapshot)

    def _outside(self, workshop: Workshop, others: frozenset[Proof], *, force: bool) -> Outside:
        """Return with whom the batch works; *others* are proofs that other orders need shown.

        *force* proposes challenges once more that a person declined.
        """
        extras.require("acme")
        from sslops.acme.account import StoredAccounts
        from sslops.issue.acme_steps import Outside

        suffix = _STAGING_SUFFIX if self.is_rehearsal else ""
        return Outside(
            workshop=workshop,
            accounts=StoredAccounts(self.ops, self.snapshot, self.sops, self.inventory, suffix),
            appointments=self._appointments,
            servers=self._servers,
            solver=cache(lambda kind: self._solver(kind, others, force=force)),
            journal=self._journal,
            clock=SystemClock(),
            sleep=time.sleep,
            talk=self.session,
        )

    def _windows(self, options: RenewOptions, now: datetime) -> SeenWindows:
        """Ask each CA for the windows of the certificates it issued, unless this is a rehearsal."""
        state, services = self.snapshot.branches.next, self.inventory.active()
        wanted = [one for one in services if options.targets is None or one.id in options.targets]
        if self.is_rehearsal or not any(self.inventory.acme_ca(service) for service in wanted):
            return SeenWindows(state, ())
        from sslops.issue.ari_schedule import Windows, applied
        from sslops.pki.stored import StoredFiles

        files = StoredFiles(self.ops, self.snapshot)
        windows = Windows(self.inventory, self._servers, files, self._appointments, self.session)
        found = windows.changes(state, wanted, now)
        return SeenWindows(applied(state, found), found, tuple(windows.bugs))

    def _batch(self, workshop: Workshop, state: State, digest: str | None, options: RenewOptions) -> Batch:
        """Return the batch that carries out what ACME servers sign."""
        from sslops.acme.order_rules import open_proofs
        from sslops.issue.acme_steps import Batch

        others = open_proofs(state, SystemClock().now())
        outside = self._outside(workshop, others, force=options.force)
        return Batch(
            outside,
            self.inventory,
            state,
            digest,
            is_rehearsal=self.is_rehearsal,
            said=options.said,
            new_accounts=options.new_accounts,
        )

    def _solver(self, kind: ChallengeType, others: frozenset[Proof], *, force: bool) -> Solver:
        if kind is ChallengeType.DNS_01:
            return self._dns01(others, force=force)
        return self._http01()

    def _http01(self) -> Solver:
        from sslops.acme.http01 import Http01, Place, SshWebroots
        from sslops.system.ssh import LocalShell

        if self.ssh is None:
            message = "no CA of the inventory proves names by http-01"
            raise StateError(message, hint="sslops check")
        webroots = SshWebroots(self.ssh, LocalShell(os.environ), effects=self.session.effects)
        places = tuple(
            Place(host, server_class.server_dir)
            for server_class in self.inventory.classes.values()
            if server_class.server_dir is not None
            for host in server_class.hosts
        )
        return Http01(webroots, places, self.session.say)

    def _client(self, ca: CertificateAuthority) -> AcmeClient:
        extras.require("acme")
        from sslops.acme.client import AcmeClient

        bundle = self._bundle(ca)
        effects = self.session.effects
        now, say = SystemClock().now, self.session.say
        return AcmeClient(ca.name, ca.directory, now=now, ca_bundle=bundle, effects=effects, say=say)

    def _bundle(self, ca: CertificateAuthority) -> str | None:
        """Return the file with the CAs to trust; one of the repository is put where requests can read it."""
        if ca.ca_bundle is None or ca.ca_bundle.startswith("/"):
            return ca.ca_bundle
        content = self.ops.read(self.snapshot.main_commit, ca.ca_bundle)
        if content is None:
            message = f"'{ca.ca_bundle}' is not there"
            raise StateError(message, hint=f"ca_bundle of '{ca.name}' in inventory/cas.yaml")
        copy = Path(self.ops.git.private_dir, "ca-bundles", f"{ca.name}.pem")
        copy.parent.mkdir(parents=True, exist_ok=True)
        copy.write_bytes(content)
        return str(copy)

    def _dns01(self, others: frozenset[Proof], *, force: bool) -> Solver:
        from sslops.acme.dns01 import ByRequest, Dns01
        from sslops.acme.order_rules import orders
        from sslops.probe.challenges import ChallengeLook
        from sslops.probe.name_servers import Resolver
        from sslops.proposals.dns_repository import ChallengeFiles

        settings = self.inventory.dns
        if settings is None or settings.acme_dir is None:
            message = "the inventory names no 'dns.acme_dir' for challenges"
            raise StateError(message, hint="sslops check")
        git = dns_clone(self.ops.git, settings, self.session, settings.url)
        git = git.asking(self.ops.signers(self.snapshot))
        files = ChallengeFiles(git, settings.branch, settings.acme_dir, self.run)
        files.refresh()
        apexes = tuple(name for name, group in self.inventory.groups.items() if group.active and name != CA_GROUP)
        look = ChallengeLook(self.inventory, Resolver(self.session.say), consents=self.consents)
        shown = frozenset(proof for proof in others if proof.type is ChallengeType.DNS_01)
        project, way = dns_project(settings), None
        if project is not None:
            now = lambda: orders(self._journal.snapshot.branches.next)  # noqa: E731
            describe = partial(descriptions.acme, now)
            requests = project.requests(Kind.ACME, git, self.run, note=self.note_request, force=force)
            way = ByRequest(files, requests, describe, now, time.sleep, self.session)
        return Dns01(files, look, apexes, shown, self.reload_dns, way)


@dataclass(frozen=True, slots=True)
class Authority:
    """Tells each ACME server what is revoked of it; `client` speaks to the server of an entry of `cas.yaml`."""

    client: Callable[[CertificateAuthority], AcmeClient]
    inventory: Inventory
    accounts: StoredAccounts
    files: StoredFiles
    sops: Sops
    by_key: bool

    def revoke(self, service: ServiceId, generation: Generation, reason: int) -> None:
        """Tell it."""
        cert = self.files.read(service, generation.id, CERT)
        ca = self.inventory.cas.get(generation.ca)
        if cert is None or ca is None:
            lacks = f"no '{CERT}' in state/" if cert is None else f"no CA '{generation.ca}' in inventory/cas.yaml"
            message = f"'{service}' {generation.id} cannot be revoked: there is {lacks}"
            raise StateError(message, hint="sslops check")
        key, client = None, self.client(replace(ca, directory=generation.directory or ca.directory))
        if self.by_key:
            path = generation_path(service, generation.id, PRIVKEY)
            key = self.sops.decrypt(path, self.files.read(service, generation.id, PRIVKEY) or b"")
        else:
            account = self.accounts.load(ca.name)
            if account is None:
                message = f"there is no account at '{ca.name}' in state/accounts/"
                raise StateError(message, hint="sslops revoke --by key, with the identity of the deploy job")
            client.use(account)
        client.revoke(cert, reason, key)


def rehearsed(inventory: Inventory) -> Inventory:
    """Return *inventory* with every ACME CA that has a staging server at that server."""
    cas = {
        name: replace(ca, directory=ca.staging_directory) if ca.staging_directory is not None else ca
        for name, ca in inventory.cas.items()
    }
    return replace(inventory, cas=cas)
