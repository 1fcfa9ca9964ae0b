"""A public CA: it signs with whichever of its intermediates it likes, and people list those that it may use.

Nothing of it can be told before the certificate is there. Who changes the list, or asks for records about the CA,
owes the engine nothing: what cannot be matched has to wait.
"""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING

from sslops.dane.records import Der
from sslops.model.inventory import CaType, CertificateAuthority, TlsaIssuer
from sslops.model.tlsa import TlsaRecord
from tests.proof import life as of
from tests.proof.life import Life, Setting
from tests.proof.machine import Action, Pick

if TYPE_CHECKING:
    from sslops.model.inventory import Inventory
    from sslops.model.names import ServiceId

SETTINGS = {
    "a public CA": Setting(),
    "a public CA, after a roll": Setting(begins="rolled"),
    "a public CA, EC and RSA": Setting(services=(of.EC, of.RSA)),
    "a public CA, reviewed": Setting(begins="rolled", is_reviewed=True),
}
INTERMEDIATES = {name: Der(f"certificate {name}".encode(), f"key {name}".encode()) for name in ("R1", "R2", "R3")}
EVERY = frozenset(INTERMEDIATES)
LISTS = (EVERY - {"R3"}, EVERY - {"R1"}, EVERY - {"R2"}, EVERY, frozenset({"R1"}))
KINDS = tuple(
    map(frozenset, ([of.CA_KEY], [of.CA_KEY, of.KEY], [of.CA_WHOLE], [of.CA_KEY, of.CA_WHOLE], [of.CA_LONG], [of.KEY]))
)


@dataclass
class Public(Life):
    """A site whose certificates come from a public CA."""

    listed: frozenset[str] = LISTS[0]
    signs: str = "R1"
    left: list[str] = field(default_factory=list)
    """What was not as asked before records about the CA were asked for at the end."""

    @property
    def inventory(self) -> Inventory:
        """The inventory with the public CA, and its list."""
        made = super().inventory
        issuers = tuple(
            TlsaIssuer(params.selector, params.match, INTERMEDIATES[name].data(params))
            for name in sorted(self.listed)
            for params in (of.CA_KEY, of.CA_WHOLE, of.CA_LONG)
        )
        public = CertificateAuthority("public", CaType.ACME, tlsa_issuers=issuers)
        services = {
            key: service if service.is_ca else replace(service, signing_ca="public")
            for key, service in made.services.items()
        }
        return replace(made, cas={**made.cas, "public": public}, services=services)

    def issue(self, service: ServiceId) -> None:
        """Get the certificate of what is staged, with the chain that the CA serves at the moment."""
        following = self.world.ops.branches.next[service].next
        super().issue(service)
        if following is not None and following.issued is None and service != of.CA:
            made = self.material[service, following.id]
            self.material[service, following.id] = replace(made, chain=(INTERMEDIATES[self.signs],))

    def come_to_rest(self) -> None:
        """Repair everything; then let records about the CA take the place of the others, every intermediate listed."""
        self.listed = EVERY
        super().come_to_rest()
        self.left = super().unfinished()
        self.asks = dict.fromkeys(self.asks, frozenset({of.CA_KEY}))
        self.configure()
        for service in self.asks:
            self.make_key(service)
            self.issue(service)
        self.rest()

    def unfinished(self) -> list[str]:
        """Return what is not as the inventory asks, then and now."""
        wanted = {service: self.curr(service) for service in self.asks}
        issuers = {
            owner: frozenset(TlsaRecord(owner, of.CA_KEY, each.data(of.CA_KEY)) for each in INTERMEDIATES.values())
            for owner in self.owners
        }
        serving = [self.world.hosts[name].serving for name in self.host_names]
        shown = [{owner: rrset.records for owner, rrset in view.items()} for view in self.line.views]
        found = [f"a host serves {each}, not {wanted}" for each in serving if each != wanted]
        return [*self.left, *found, *(f"a folder has {each}, not {issuers}" for each in shown if each != issuers)]


# What can happen.


def _other_intermediate_signs(life: Life, pick: Pick) -> None:
    assert isinstance(life, Public)
    life.signs = pick(sorted(EVERY))


def _list_changes(life: Life, pick: Pick) -> None:
    assert isinstance(life, Public)
    life.listed = pick(LISTS)
    life.configure()


def _ca_is_asked_for(life: Life, pick: Pick) -> None:
    service = pick(sorted(life.asks))
    if life.curr(service) is not None:
        life.asks[service] = pick(KINDS)
        life.configure()


ACTIONS = {
    "the public CA signs with another intermediate": Action(_other_intermediate_signs, 3),
    "the list of issuers changes": Action(_list_changes, 3),
    "records about the CA are asked for": Action(_ca_is_asked_for, 5),
}
