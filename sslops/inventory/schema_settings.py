"""The file `inventory/sslops.yaml` as pydantic tables; the texts become the JSON Schema and `docs/inventory.md`."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import Field, Tag

from sslops.inventory import patterns
from sslops.inventory.schema_types import (
    LIST,
    TABLE,
    TEXT,
    Absolute,
    Address,
    AnyOrDomain,
    Branch,
    Commands,
    Days,
    Domain,
    Forge,
    ForgeUrl,
    GitUrl,
    HoldTable,
    HostName,
    Identity,
    Knots,
    Line,
    Merge,
    Minutes,
    Moment,
    Name,
    PortNumber,
    Relative,
    ServerAndPort,
    Table,
    User,
    Words,
    either,
)

All = Literal["ALL", "*"]
ServiceNames = Annotated[
    Annotated[All, Tag(TEXT)] | Annotated[list[Name], Tag(LIST)],
    either("a list of services or ALL"),
]
HazardName = Literal[
    "tlsa-missing",
    "tlsa-foreign",
    "ns-unreachable",
    "ns-lagging",
    "dnssec-bogus",
    "host-unproven",
    "host-removed",
    "name-unproven",
    "served",
    "clock",
]


class RenewInfo(Table):
    """The lifetime rule: a certificate is due when fewer days are left than its lifetime asks."""

    target: Knots | None = None
    """Lifetime in days: days left. Linear between; without it the built-in rule."""
    rand_adj: Knots | None = None
    """Lifetime in days: spread in days."""


class Globals(Table):
    """Defaults for all services and servers."""

    prod_cert_dir: Absolute = "/etc/ssl-mgr/prod-certs"
    """Where certificates live on the servers."""
    clean_keep: Annotated[int, Field(ge=1, le=1000)] = 5
    """How many old generations `prune` keeps."""
    min_roll_mins: Minutes = 90
    """Minutes between issue and roll at least, unless `renew --force` or `--new-key` asked; DANE has its own waits."""
    renew_expire_days: Days | None = None
    """Renew when fewer days are left; without it the lifetime rule."""
    renew_expire_days_spread: Annotated[float, Field(ge=0, le=3650)] = 0
    """Spreads renewals by up to so many days either way, always the same for one certificate."""
    renew_info: RenewInfo | None = None
    """Overrides the lifetime rule."""
    dns_check_delay: Annotated[int, Field(ge=0, le=86_400)] = 0
    """Seconds to wait before ACME challenges are looked up."""
    dns_xtra_ns: list[Address] | None = None
    """Name servers that are asked too before ACME validation."""
    post_copy_cmd: list[tuple[HostName, Words]] | None = None
    """`[host, command]`: run here as `command host` after something was copied to that host."""
    hold: HoldTable | None = None
    """Keeps the bot away from everything."""


class Bot(Table):
    """As whom the engine commits."""

    name: Identity = "sslops"
    """Committer name."""
    email: Identity = "sslops@localhost"
    """Committer e-mail."""


class OpsMerge(Table):
    """Who merges into this repository."""

    roll: Merge | None = None
    """Rolls: `auto` (the engine; the only choice with `forge: none`) or `review` (a person)."""


class Repo(Table):
    """This repository."""

    branch: Branch = "main"
    """What is live by decision."""
    next_branch: Branch = "next"
    """What is on deck; the engine's own."""
    forge: Forge = "none"
    """Where merge requests live; `none`: the engine merges."""
    project: Line | None = None
    """The project's path on the forge."""
    forge_url: ForgeUrl | None = None
    """Where the forge is, if neither the job nor the git address tells (docs/forges.md)."""
    merge: OpsMerge | None = None
    """Who merges."""
    bot: Bot | None = None
    """As whom the engine commits."""


class GroupEntry(Table):
    """An apex domain with its services, or `ca`."""

    domain: Domain
    """The apex domain (it has its own SOA), or `ca` for own CAs."""
    active: bool
    """An inactive group is frozen: nothing is renewed, rolled or deployed."""
    services: ServiceNames
    """The services of the folder `inventory/<domain>`, or `ALL`. A file that the list leaves out is a fault."""
    hold: HoldTable | None = None
    """Keeps the bot away from this group."""


class DnsPrimary(Table):
    """Who is asked for NS and MX of an apex."""

    domain: AnyOrDomain
    """The group, or `default`."""
    server: Address
    """IP address or host name."""
    port: PortNumber = 53
    """Port."""


class DnsServers(Table):
    """The authoritative servers of an apex, where asking its NS would be wrong."""

    domain: Domain
    """The group."""
    servers: Annotated[list[ServerAndPort], Field(min_length=1)]
    """IP addresses, each with an optional port."""


class DnsRepo(Table):
    """The repository that holds the zone files."""

    url: GitUrl
    """Where it is cloned from and pushed to. Credentials do not belong here."""
    branch: Branch = "main"
    """The branch that the name servers load."""
    forge: Forge = "none"
    """Where merge requests live; `none`: the engine merges."""
    project: Line | None = None
    """The project's path on the forge."""
    forge_url: ForgeUrl | None = None
    """Where the forge is, if neither the job nor the git address tells (docs/forges.md)."""


class DnsMerge(Table):
    """Who merges into the DNS repository."""

    acme: Merge | None = None
    """Challenges."""
    tlsa: Merge | None = None
    """TLSA records."""


class Dns(Table):
    """The DNS repository and our include files in it."""

    repo: DnsRepo
    """The repository."""
    validator: ServerAndPort | None = None
    """A validating resolver, as `192.0.2.53`: names with DANE must be signed as it sees
    them (AD bit), and nothing is ordered from ACME servers for names whose signatures it finds broken."""
    tlsa_dirs: Annotated[list[Relative], Field(min_length=1)]
    """The folders that get `tlsa.<apex>`."""
    acme_dir: Relative | None = None
    """The folder that gets `acme-challenge.<apex>`."""
    merge: DnsMerge | None = None
    """Who merges."""
    restart_cmd: Words | None = None
    """Run here after a publish."""


class VerifyTable(Table):
    """How a server is asked what it serves. Without it the proof is the hash of the files."""

    port: PortNumber
    """The port that shows the certificate."""
    starttls: Literal["smtp", "imap", "pop3", "ldap", "xmpp"] | None = None
    """The protocol spoken before TLS; without it plain TLS."""
    asked_from: Literal["runner", "host"] = Field("runner", alias="from")
    """`runner`, or `host`: asked there over ssh."""


class FilesTable(Table):
    """Owner and mode of the files on the servers."""

    owner: User | None = None
    """Owner; without it the user that ssh logs in as."""
    group: User | None = None
    """Group; without it that user's."""
    key_mode: Annotated[str, Field(pattern=patterns.KEY_MODE)] = "0600"
    """Mode of the files that hold a key."""


class HostEntry(Table):
    """A server that differs from its class."""

    host: HostName
    """Its name, here and on the ledger."""
    address: Address | None = None
    """Where ssh goes; without it the name. `local`: this machine, without ssh."""
    port: PortNumber | None = None
    """The port of ssh; without it 22."""
    user: User | None = None
    """The user of ssh; without it the class's."""
    prod_cert_dir: Absolute | None = None
    """Where its certificates live; without it the one of `globals`."""
    verify: VerifyTable | None = None
    """How it is asked what it serves; without it the class's."""


class ServerClassTable(Table):
    """Servers that are restarted the same way."""

    hosts: list[
        Annotated[
            Annotated[HostName, Tag(TEXT)] | Annotated[HostEntry, Tag(TABLE)],
            either("a host name or a table with 'host'"),
        ]
    ]
    """The servers: names, or tables for those that differ."""
    user: User | None = None
    """The user of ssh; without it what ssh's configuration says."""
    files: FilesTable | None = None
    """Owner and mode of the files."""
    restart_cmd: Commands | None = None
    """Run there once after all files are in place; split into words like a shell would, run without one."""
    svc_depends: (
        Annotated[
            list[tuple[AnyOrDomain, ServiceNames]],
            Field(min_length=1),
        ]
        | None
    ) = None
    """`[group, [services]]` that these servers get and restart for; group `any` stands for all.
    Without it they get every leaf of the active groups."""
    depends: list[Literal["dns"]] | None = None
    """`dns`: restart also when a `tlsa.<apex>` on the server changed."""
    server_dir: Absolute | None = None
    """Where http-01 challenges go."""
    verify: VerifyTable | None = None
    """How these servers are asked what they serve."""
    serves: bool | None = None
    """Whether they show the certificates to clients; `false`: they only keep copies (default of class `other`)."""


class Consent(Table):
    """A hazard that somebody accepted, for scheduled jobs."""

    hazard: HazardName
    """Its name."""
    reason: Words
    """Why."""
    subject: Line | None = None
    """What it is about, as the refusal names it; without it all."""
    until: Moment | None = None
    """The consent ends at this moment (a day: when it begins, UTC)."""


class SettingsFile(Table):
    """Everything but the certificates: groups, repositories, name servers, servers."""

    globals: Globals | None = None
    """Defaults for all services and servers."""
    repo: Repo | None = None
    """This repository."""
    groups: list[GroupEntry]
    """The apex domains, and `ca`."""
    dns_primary: list[DnsPrimary] | None = None
    """Who is asked for NS and MX of an apex; without it the system's resolver."""
    dns_servers: list[DnsServers] | None = None
    """The authoritative servers of an apex; without it every address of every NS, port 53."""
    dns: Dns | None = None
    """The DNS repository; needed as soon as a service has `dane_tls`."""
    servers: dict[Name, ServerClassTable] | None = None
    """Server classes by name (`smtp`, `imap`, `web`, ...); `other` only keeps copies unless it says `serves: true`."""
    accept: list[Consent] | None = None
    """Hazards that somebody accepted, for scheduled jobs."""
