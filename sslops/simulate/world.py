"""The whole of it: the ops repository with its branches, DNS, hosts, time, and the promise held against all of them."""

from __future__ import annotations

from collections import ChainMap
from dataclasses import dataclass, field
from types import MappingProxyType
from typing import TYPE_CHECKING

from sslops.dane.names import dane_owners
from sslops.dane.records import Keys
from sslops.inventory.reach import hosts_serving
from sslops.model.state import Branches
from sslops.simulate.challenges import Challenges
from sslops.simulate.forge import SimulatedForge

if TYPE_CHECKING:
    from collections.abc import Mapping
    from datetime import datetime, timedelta

    from sslops.dane.records import Material
    from sslops.model.names import GenerationId, ServiceId
    from sslops.model.state import Generation
    from sslops.model.tlsa import Rrset, TlsaRecord
    from sslops.simulate.dns import Dns
    from sslops.simulate.hosts import SimulatedHost
    from sslops.simulate.ops import OpsRepository


class PromiseError(BaseException):
    """A cache may hold an RRset that does not match what a host serves; no stage may take it for its own trouble."""

    def __init__(self, what: str) -> None:
        """Say *what* does not match."""
        super().__init__(what)
        self.what = what


@dataclass(slots=True)
class World:
    """Everything that exists, and what is true of it."""

    now: datetime
    ops: OpsRepository
    dns: Dns
    hosts: dict[str, SimulatedHost]
    material: Mapping[tuple[ServiceId, GenerationId], Material] = field(default_factory=dict)
    shown_at: Mapping[ServiceId, set[str]] | None = None
    """The owner names whose ports show a service; null: every port shows everything."""
    invented: dict[tuple[ServiceId, GenerationId], Material] = field(default_factory=dict)
    """Keys and certificates that exist only here; `material` has those of the repository."""
    dns_forge: SimulatedForge | None = None
    """Where the DNS base moves by merge requests; null: the engine merges."""
    ops_forge: SimulatedForge | None = None
    """Where main does."""
    acme_forge: SimulatedForge | None = None
    """The requests for challenges, on the same forge as those for records."""
    challenges: Challenges = field(init=False)
    runs_begun: int = 0
    _matches: dict[tuple[str, Rrset, ServiceId, GenerationId], bool] = field(default_factory=dict)
    _asked: tuple[object, Mapping[str, frozenset[ServiceId]]] = (None, MappingProxyType({}))

    def __post_init__(self) -> None:
        """Let what exists only here be known as well."""
        self.material = ChainMap(self.invented, self.material)  # type: ignore[arg-type]
        self.challenges = Challenges(self.dns)

    def use_forges(self, *, merges: bool | None = None) -> None:
        """Let main and the DNS base move by merge requests from now on; *merges* as `SimulatedForge` has it."""
        self.ops.has_forge = True
        self.ops_forge = SimulatedForge(
            lambda: None if self.ops.roll is None else self.ops.roll.commit, lambda _: self.ops.merge_roll(), merges
        )
        self.acme_forge = SimulatedForge(
            lambda: None if self.challenges.head is None else self.challenges.head.commit,
            lambda _: self.challenges.merge(),
            merges,
        )
        self.dns_forge = SimulatedForge(
            lambda: None if self.dns.head is None else self.dns.head.commit, self.dns.merge, merges
        )

    def facts(self, service: ServiceId, generation: GenerationId) -> Generation | None:
        """Return what either branch knows of a generation."""
        found = (state[service].generations.get(generation) for state in (self.ops.next, self.ops.main))
        return next((each for each in found if each is not None), None)

    def certificate(self, service: ServiceId, generation: GenerationId) -> bytes:
        """Return what stands for the file `cert.pem` of a generation."""
        facts = self.facts(service, generation)
        return b"" if facts is None or facts.issued is None else facts.issued.cert_sha256.encode()

    @property
    def keys(self) -> Keys:
        """The keys of all generations, by whichever branch knows them."""
        return Keys.of(Branches(self.ops.main, self.ops.next), self.material)

    # Where clients find a host.

    def addresses(self, name: str) -> tuple[str, ...]:
        """Return the addresses behind a name: of hosts that are to serve what is asked for there, and that do."""
        asked = self._services_asked_at(name)
        serving = {host.name for service in asked for host in hosts_serving(self.ops.inventory, service)}
        serving |= {
            each.name for each in self.hosts.values() if any(self.is_shown_by_name(s, name) for s in each.serving)
        }
        return tuple(f"192.0.2.{place}" for place, each in enumerate(sorted(self.hosts), 1) if each in serving)

    def host_at(self, address: str) -> str:
        """Return the name of the host that has an address."""
        return sorted(self.hosts)[int(address.rpartition(".")[2]) - 1]

    def is_shown_by_name(self, service: ServiceId, name: str) -> bool:
        """Whether hosts that have *service* show it to whoever asks for the host *name*, on any port."""
        return self.shown_at is None or any(host_of(owner) == name for owner in self.shown_at.get(service, ()))

    def _services_asked_at(self, name: str) -> frozenset[ServiceId]:
        mx = {apex: line.mx for apex, line in self.dns.lines.items()}
        if self._asked[0] != (self.ops.inventory, mx):
            found: dict[str, set[ServiceId]] = {}
            for each in dane_owners(self.ops.inventory, mx).names:
                found.setdefault(each.host, set()).add(each.service)
            names = {host: frozenset(services) for host, services in found.items()}
            self._asked = (self.ops.inventory, mx), names
        return self._asked[1].get(name, frozenset())

    # Time and the promise.

    def wait(self, span: timedelta) -> None:
        """Let time pass."""
        self.witness()
        self.now += span
        self.witness()

    def witness(self) -> None:
        """Let caches ask every server; PromiseError when one may hold what does not match what a host serves."""
        self.dns.remember(self.now)
        for owner, rrset in self.dns.cached:
            for host in self.hosts.values():
                if host.is_strange and not is_of_strangers(rrset.records):
                    raise PromiseError(f"'{host.name}' shows something else, and a cache may hold records of {owner}")
                for service, generation in host.serving.items():
                    if self.is_shown_at(service, owner) and not self._is_matched(owner, rrset, service, generation):
                        raise PromiseError(_broken(host.name, service, generation, owner, rrset))

    def is_shown_at(self, service: ServiceId, owner: str) -> bool:
        """Whether hosts that have *service* show it to whoever asks for *owner*."""
        return self.shown_at is None or owner in self.shown_at.get(service, ())

    def _is_matched(self, owner: str, rrset: Rrset, service: ServiceId, generation: GenerationId) -> bool:
        key = (owner, rrset, service, generation)
        if key not in self._matches:
            self._matches[key] = all(
                self.keys.matching(owner, params, service, generation) & rrset.records for params in rrset.combinations
            )
        return self._matches[key]


STRANGE = "5e" * 32
"""What the records say that match what a host shows which is not ours."""


def is_of_strangers(records: frozenset[TlsaRecord]) -> bool:
    """Whether each combination of *records* has one that matches what is not ours."""
    return {record.params for record in records} == {record.params for record in records if record.data == STRANGE}


def host_of(owner: str) -> str:
    """Return the host that an owner name is about.

    >>> host_of("_25._tcp.mail.example.com.")
    'mail.example.com'
    """
    return owner.split(".", 2)[2].rstrip(".")


def _broken(host: str, service: ServiceId, generation: GenerationId, owner: str, rrset: Rrset) -> str:
    shown = ", ".join(f"{record.params} {record.data[:8]}" for record in sorted(rrset.records))
    return f"'{host}' serves {generation} of {service}, and a cache may hold {shown} of {owner}"
