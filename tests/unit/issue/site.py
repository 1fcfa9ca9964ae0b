"""A small world for the stage `issue`: an inventory of own CAs, and a repository in memory that takes changes."""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING

from sslops.errors import NoIdentity, SopsError
from sslops.issue.ports import Workshop
from sslops.issue.rules import SCHEDULED, RenewOptions, plan
from sslops.issue.steps import IssueOutcome, renew
from sslops.model.inventory import (
    CaSpec,
    CaType,
    CertificateAuthority,
    Group,
    Inventory,
    KeyLifecycle,
    KeySpec,
    RepoSettings,
    Service,
    Settings,
    Subject,
)
from sslops.model.names import CA_GROUP, GenerationId, ServiceId
from sslops.model.secret import Secret
from sslops.model.state import Branches, ServiceState, State
from sslops.pki.local_ca import LocalCa

if TYPE_CHECKING:
    from collections.abc import Iterable

    from sslops.model.change import Change

NOW = datetime(2026, 11, 24, 14, 30, tzinfo=UTC)
ROOT, SUB = ServiceId(CA_GROUP, "my-root"), ServiceId(CA_GROUP, "my-sub")
MAIL, WEB = ServiceId("example.com", "mail-ec"), ServiceId("example.com", "web-ec")
EC = KeySpec("ec", "secp256r1")


def ca(name: str, signing_ca: str, days: int, key: KeySpec = EC, digest: str = "sha256") -> Service:
    """Return an own CA that signs for *days*."""
    subject = Subject(common_name=f"Example {name}", organization="Example Company", country="US")
    return Service(ServiceId(CA_GROUP, name), name, signing_ca, subject, (), key, ca=CaSpec(days, digest))


def leaf(service: ServiceId, *sans: str, signing_ca: str = "my-sub", key: KeySpec = EC) -> Service:
    """Return a leaf with the names *sans*, the first of them its common name."""
    subject = Subject(common_name=sans[0], organization="Example Company", country="US")
    return Service(service, service.name, signing_ca, subject, sans, key)


def inventory_of(*services: Service, settings: Settings | None = None) -> Inventory:
    """Return an inventory of *services*; the own CAs among them are the CAs it knows."""
    groups = {service.id.group for service in services}
    own = [service for service in services if service.is_ca]
    return Inventory(
        settings=settings or Settings(),
        repo=RepoSettings(),
        groups={
            group: Group(group, active=True, services=tuple(s.id for s in services if s.id.group == group))
            for group in sorted(groups)
        },
        services={service.id: service for service in services},
        cas={
            service.id.name: CertificateAuthority(
                service.id.name, CaType.SELF if service.signing_ca == "self" else CaType.LOCAL
            )
            for service in own
        },
    )


def usual(key: KeySpec = EC, digest: str = "sha256") -> Inventory:
    """Return a root (3650 days), an intermediate (365), a mail service with a prepublished key, and a web service."""
    mail = replace(leaf(MAIL, "mail.example.com", "example.com", key=key), key_lifecycle=KeyLifecycle.PREPUBLISH)
    web = leaf(WEB, "www.example.com", "*.example.com", "192.0.2.7", "2001:db8::7", key=key)
    return inventory_of(ca("my-root", "self", 3650, key, digest), ca("my-sub", "my-root", 365, key, digest), mail, web)


@dataclass
class OpenVault:
    """A vault without encryption: the rules and steps are tested here, sops elsewhere."""

    unreadable: set[str] = field(default_factory=set)
    """Beginnings of paths whose identity is not at hand."""
    refused: set[str] = field(default_factory=set)
    """Beginnings of paths that cannot be encrypted."""

    def encrypt_many(self, items: Iterable[tuple[str, Secret]]) -> tuple[bytes | SopsError, ...]:
        """Return each secret as its document, or the error for a refused path."""
        return tuple(
            SopsError(f"no rule is for '{path}'") if path.startswith(tuple(self.refused)) else secret.reveal()
            for path, secret in items
        )

    def decrypt(self, path: str, document: bytes) -> Secret:
        """Return the document as the secret, unless the path is unreadable."""
        if path.startswith(tuple(self.unreadable)):
            message = f"no identity here opens '{path}'"
            raise NoIdentity(message)
        return Secret(document)


@dataclass
class Site:
    """A repository in memory: both branches and the files of all generations."""

    inventory: Inventory = field(default_factory=usual)
    branches: Branches = field(default_factory=lambda: Branches(State(), State()))
    now: datetime = NOW
    vault: OpenVault = field(default_factory=OpenVault)
    content: dict[tuple[ServiceId, GenerationId, str], bytes] = field(default_factory=dict)

    def read(self, service: ServiceId, generation: GenerationId, name: str) -> bytes | None:
        """Return a stored file."""
        return self.content.get((service, generation, name))

    def renew(self, options: RenewOptions = SCHEDULED) -> IssueOutcome:
        """Plan and carry out what can be done now, and store it."""
        planned = plan(self.inventory, self.branches, self.now, options)
        workshop = Workshop(LocalCa(), self.vault, self)
        outcome = renew(planned, self.inventory, self.branches.next, self.now, workshop, digest="sha256:0")
        self.store(outcome.changes)
        return outcome

    def store(self, changes: Iterable[Change]) -> None:
        """Write *changes* to the branch `next`, as the repository would."""
        services = dict(self.branches.next.services)
        for change in changes:
            generations = dict(self.branches.next[change.service].generations)
            for files in change.put:
                generation = files.generation.id
                generations[generation] = files.generation
                named = {"csr.pem": files.csr, "cert.pem": files.cert, "chain.pem": files.chain}
                for name, content in {**named, "privkey.pem.sops": files.privkey_sops}.items():
                    if content is not None:
                        self.content[change.service, generation, name] = content
            services[change.service] = ServiceState(change.slots, generations)
        self.branches = Branches(self.branches.main, State(services))

    def roll(self, *services: ServiceId, merged: bool = True) -> None:
        """Make `next` of *services* (without any: of all that have a staged certificate) the new `curr`."""
        rolled = dict(self.branches.next.services)
        for service in services or tuple(rolled):
            state = rolled[service]
            if state.next is not None and state.next.issued is not None:
                slots = replace(
                    state.slots, curr=state.slots.next, next=None, prev=state.slots.curr, rolled_at=self.now
                )
                rolled[service] = replace(state, slots=slots)
        after = State(rolled)
        self.branches = Branches(after if merged else self.branches.main, after)

    def live(self) -> Site:
        """Bring everything to life: first certificates, rolled and merged, prepublished keys made."""
        self.renew()
        self.roll()
        self.renew()
        return self

    def later(self, days: float) -> Site:
        """Let *days* pass."""
        self.now += timedelta(days=days)
        return self

    def newest(self, service: ServiceId, name: str) -> bytes:
        """Return a file of what is staged, or else live."""
        slots = self.branches.next[service].slots
        generation = slots.next or slots.curr
        assert generation is not None
        return self.content[service, generation, name]
