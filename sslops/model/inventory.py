"""What should exist: the inventory after all its files were read and found sound.

Key names follow the files (design section 4); nothing here knows where a value was written.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from enum import StrEnum
from typing import TYPE_CHECKING

from sslops.model.names import CA_GROUP, ServiceId

if TYPE_CHECKING:
    from collections.abc import Mapping
    from datetime import datetime

    from sslops.model.mail_policy import StsPolicy
    from sslops.model.tlsa import TlsaParams


LETS_ENCRYPT = "https://acme-v02.api.letsencrypt.org/directory"
LETS_ENCRYPT_STAGING = "https://acme-staging-v02.api.letsencrypt.org/directory"
DEFAULT_PROFILE = "tlsserver"


class KeyLifecycle(StrEnum):
    """When the key of the following generation is made."""

    PREPUBLISH = "prepublish"
    AT_RENEWAL = "at-renewal"


class CaType(StrEnum):
    """Who signs: an ACME server, an own intermediate, or the key itself."""

    ACME = "acme"
    LOCAL = "local"
    SELF = "self"


@dataclass(frozen=True, slots=True)
class Endpoint:
    """An address (or a host name) and a port."""

    address: str
    port: int = 53

    def __str__(self) -> str:
        """Return `address:port`, IPv6 addresses in brackets."""
        return f"[{self.address}]:{self.port}" if ":" in self.address else f"{self.address}:{self.port}"


@dataclass(frozen=True, slots=True)
class Hold:
    """A person's wish that the bot leaves this alone *until* a moment (null: until removed)."""

    until: datetime | None
    reason: str


@dataclass(frozen=True, slots=True)
class KeySpec:
    """The kind of key: `ec` with a curve, `rsa` with bits, or `ed25519` (own CAs only)."""

    ktype: str = "ec"
    ec_algo: str = "secp384r1"
    rsa_bits: int = 4096


@dataclass(frozen=True, slots=True)
class Subject:
    """The X.509 subject; fields that are empty are left out of the certificate."""

    common_name: str | None = None
    organization: str | None = None
    organizational_unit: str | None = None
    locality: str | None = None
    state: str | None = None
    country: str | None = None
    email: str | None = None


@dataclass(frozen=True, slots=True)
class CaSpec:
    """What an own CA signs: for how many days, with which digest; a root's own life is `end_days`."""

    sign_end_days: int
    digest: str = "sha384"
    end_days: int | None = None


class DaneOwners(StrEnum):
    """Where the names of a service's TLSA records come from."""

    MX = "MX"
    SANS = "SANS"


@dataclass(frozen=True, slots=True, order=True)
class DaneSpec:
    """One `dane_tls` entry: `[port, proto, usage, selector, match(, MX|SANS)]`."""

    port: int
    proto: str
    params: TlsaParams
    owners: DaneOwners


@dataclass(frozen=True, slots=True)
class Service:
    """One certificate as the inventory asks for it."""

    id: ServiceId
    description: str
    signing_ca: str
    subject: Subject
    sans: tuple[str, ...]
    key: KeySpec = KeySpec()
    dane: tuple[DaneSpec, ...] = ()
    dane_ttl_seconds: int = 1800
    dane_apex: bool = False
    """With DaneOwners.MX: the apex owns records too, whatever its MX hosts are."""
    ca: CaSpec | None = None
    eku: tuple[str, ...] = ("serverAuth",)
    key_lifecycle: KeyLifecycle = KeyLifecycle.AT_RENEWAL
    min_roll_minutes: int = 90
    renew_expire_days: float | None = None
    hold: Hold | None = None

    @property
    def is_ca(self) -> bool:
        """Whether this is an own CA, whose key never leaves the repository."""
        return self.id.group == CA_GROUP


@dataclass(frozen=True, slots=True)
class Group:
    """An apex domain, or `ca`; an inactive group is frozen."""

    domain: str
    active: bool
    services: tuple[ServiceId, ...]
    hold: Hold | None = None
    mta_sts: StsPolicy | None = None
    """The policy that senders should find (RFC 8461)."""
    mta_sts_id: str | None = None
    """The id that its TXT record should have; null: any."""
    tls_rpt: tuple[str, ...] = ()
    """Where senders should send reports (RFC 8460)."""


@dataclass(frozen=True, slots=True, order=True)
class TlsaIssuer:
    """One CA of an issuer list: its hash or whole (*match*) of key or certificate (*selector*), in lower-case hex."""

    selector: int
    match: int
    data: str


@dataclass(frozen=True, slots=True)
class ExternalAccountReference:
    """An external account binding: the key id, and the file (sops, relative to the repository) with the MAC key."""

    kid: str
    hmac_key: str


@dataclass(frozen=True, slots=True)
class CertificateAuthority:
    """An entry of `cas.yaml`; for `local` and `self` the signer is the service `ca/<name>`.

    *directory* and *staging* are URLs of ACME directories, *ca_bundle* a file with the CAs that their servers' own
    certificates come from: absolute on the runner, else relative to the repository.
    """

    name: str
    type: CaType
    description: str = ""
    validation: str | None = None
    preferred_profile: str | None = None
    preferred_chain: str | None = None
    directory: str = LETS_ENCRYPT
    staging: str | None = None
    ca_bundle: str | None = None
    external_account: ExternalAccountReference | None = None
    tlsa_issuers: tuple[TlsaIssuer, ...] = ()
    """The active and backup issuers of a public CA, for services with a CA usage."""

    @property
    def is_lets_encrypt(self) -> bool:
        """Whether its rules and limits are those that Let's Encrypt publishes."""
        return self.directory in {LETS_ENCRYPT, LETS_ENCRYPT_STAGING}

    @property
    def staging_directory(self) -> str | None:
        """Where a rehearsal orders; null when nobody said."""
        return self.staging or (LETS_ENCRYPT_STAGING if self.is_lets_encrypt else None)

    @property
    def wanted_profile(self) -> str:
        """The profile to order where the server offers it."""
        return self.preferred_profile or DEFAULT_PROFILE


@dataclass(frozen=True, slots=True)
class Verify:
    """How a host is asked what it serves: *port*, *starttls* protocol (null: plain TLS), from where, at which address.

    *address* null: where ssh goes, or 127.0.0.1 when it is asked on the host itself. `own`: where ssh goes, always.
    """

    port: int
    starttls: str | None = None
    asked_from: str = "runner"
    given_patience: int | None = None
    address: str | None = None

    @property
    def patience_seconds(self) -> float:
        """How long one connection may take: as the inventory says, else as its protocol lets a server take.

        A mail server may let the greeting wait for five minutes (RFC 5321 section 4.5.3.2.1), as postscreen and delays
        against spam do in part.
        """
        if self.given_patience is not None:
            return self.given_patience
        return 300 if self.starttls == "smtp" else 10


@dataclass(frozen=True, slots=True)
class FileModes:
    """Owner, group and key mode of the files on a server; null leaves what the user's umask gives."""

    owner: str | None = None
    group: str | None = None
    key_mode: str = "0600"


@dataclass(frozen=True, slots=True)
class Host:
    """One server; `address` is where ssh goes, `local` the runner itself."""

    name: str
    address: str
    port: int = 22
    user: str | None = None
    prod_cert_dir: str = "/etc/ssl-mgr/prod-certs"
    verify: Verify | None = None

    @property
    def is_local(self) -> bool:
        """Whether the receiver runs here, without ssh, and the port is asked at 127.0.0.1."""
        return self.address == "local"


@dataclass(frozen=True, slots=True)
class ServerClass:
    """A named set of hosts with one way to restart.

    `svc_depends` is null when the class names none and so gets every leaf of the active groups;
    a pair's group may be `any`. `serves` false: the hosts only keep copies. *dhparm*: groups of RFC 7919 that its hosts
    get as files, the one that `dhparam.pem` leads to first.
    """

    name: str
    hosts: tuple[Host, ...]
    files: FileModes = FileModes()
    restart_cmd: tuple[tuple[str, ...], ...] = ()
    svc_depends: tuple[tuple[str, tuple[str, ...]], ...] | None = None
    depends: tuple[str, ...] = ()
    server_dir: str | None = None
    serves: bool = True
    dhparm: tuple[str, ...] = ()


class MergePolicy(StrEnum):
    """Who merges: the engine, or a person after review."""

    AUTO = "auto"
    REVIEW = "review"


@dataclass(frozen=True, slots=True)
class DnsSettings:
    """The DNS repository: where zone files live that include ours."""

    url: str
    branch: str
    tlsa_dirs: tuple[str, ...]
    acme_dir: str | None = None
    acme_aliases: tuple[str, ...] = ()
    """Domains of others whose `_acme-challenge` names are aliases into our zones."""
    forge: str = "none"
    project: str | None = None
    forge_url: str | None = None
    merge: Mapping[str, MergePolicy] = field(default_factory=dict)
    restart_cmd: tuple[str, ...] = ()
    validator: Endpoint | None = None
    """A validating resolver that is asked whether names with DANE are signed."""


@dataclass(frozen=True, slots=True)
class RepoSettings:
    """The ops repository itself: branches, forge, the bot's identity."""

    branch: str = "main"
    next_branch: str = "next"
    forge: str = "none"
    project: str | None = None
    forge_url: str | None = None
    merge: Mapping[str, MergePolicy] = field(default_factory=dict)
    bot_name: str = "sslops"
    bot_email: str = "sslops@localhost"


@dataclass(frozen=True, slots=True)
class RenewTargets:
    """Knots `lifetime in days: value`; null keeps the built-in lifetime rule (design section 4)."""

    target: tuple[tuple[float, float], ...] | None = None
    rand_adj: tuple[tuple[float, float], ...] | None = None


@dataclass(frozen=True, slots=True)
class Settings:
    """The `globals` that no service or host already carries."""

    clean_keep: int = 5
    renew_expire_days_spread: float = 0
    renew_targets: RenewTargets = RenewTargets()
    dns_check_delay_seconds: int = 0
    dns_xtra_ns: tuple[str, ...] = ()
    blocked_grace_minutes: int | None = None
    """Null: each cause has its own (`sslops.model.cause`)."""
    post_copy_cmd: tuple[tuple[str, tuple[str, ...]], ...] = ()
    hold: Hold | None = None


@dataclass(frozen=True, slots=True)
class Consent:
    """A hazard somebody accepted in the inventory; *subject* null accepts it for all."""

    hazard: str
    subject: str | None
    until: datetime | None
    reason: str


@dataclass(frozen=True, slots=True, weakref_slot=True)
class Inventory:
    """All of it. `services` holds the services of every group, inactive groups included."""

    settings: Settings
    repo: RepoSettings
    groups: Mapping[str, Group]
    services: Mapping[ServiceId, Service]
    cas: Mapping[str, CertificateAuthority]
    classes: Mapping[str, ServerClass] = field(default_factory=dict)
    dns: DnsSettings | None = None
    dns_primary: Mapping[str, Endpoint] = field(default_factory=dict)
    dns_servers: Mapping[str, tuple[Endpoint, ...]] = field(default_factory=dict)
    accepts: tuple[Consent, ...] = ()

    def active(self) -> tuple[Service, ...]:
        """Return the services of active groups, sorted by id."""
        return tuple(service for key, service in sorted(self.services.items()) if self.groups[key.group].active)

    def hold_on(self, service: Service, now: datetime) -> Hold | None:
        """Return the hold in force on *service* at *now*: its own, its group's or the global one."""
        holds = (service.hold, self.groups[service.id.group].hold, self.settings.hold)
        return next((hold for hold in holds if hold and (hold.until is None or now < hold.until)), None)

    def acme_ca(self, service: Service) -> CertificateAuthority | None:
        """Return the ACME server that signs *service*; null when an own CA does."""
        ca = self.cas.get(service.signing_ca)
        return ca if ca is not None and ca.type is CaType.ACME else None

    def primary_of(self, apex: str) -> Endpoint | None:
        """Return who tells NS and MX of *apex*; null: the system's resolver."""
        return self.dns_primary.get(apex, self.dns_primary.get("default"))

    def signer_of(self, service: Service) -> ServiceId | None:
        """Return the own CA that signs *service*; null for ACME, and for a root that signs itself."""
        ca = self.cas.get(service.signing_ca)
        if ca is None or ca.type is CaType.ACME:
            return None
        return ServiceId(CA_GROUP, ca.name)
