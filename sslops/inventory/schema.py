"""The schema of the inventory: every table, key and kind of text; the JSON Schemas are made of it.

It is the one module that uses pydantic at the top, and is imported only to explain a fault or to write the JSON Schemas
anew; see `sslops.inventory.validation`.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated, Literal

from pydantic import BaseModel, ConfigDict, Discriminator, Field, RootModel, Tag

from sslops.inventory import names as patterns
from sslops.model import forges

TEXT, LIST, TABLE = "<text>", "<list>", "<table>"
"""How a value was written, where several ways are good. Angle brackets keep them apart from keys of the file."""


class Table(BaseModel):
    """A table of the inventory: unknown keys and values of another type are faults."""

    model_config = ConfigDict(extra="forbid", frozen=True, strict=True, use_attribute_docstrings=True)


def form(value: object) -> str | None:
    """Return how *value* was written; null when it is neither text nor list nor table."""
    return next((name for kind, name in ((str, TEXT), (list, LIST), (dict, TABLE)) if isinstance(value, kind)), None)


def either(what: str) -> Discriminator:
    """Choose between several forms of a value by how it is written; *what* names the forms in the error."""
    return Discriminator(form, custom_error_type="form", custom_error_message=f"must be {what}")


Domain = Annotated[str, Field(pattern=patterns.DOMAIN, max_length=253)]
AnyOrDomain = Annotated[str, Field(pattern=patterns.ANY_OR_DOMAIN, max_length=253)]
Name = Annotated[str, Field(pattern=patterns.NAME, max_length=64)]
HostName = Annotated[str, Field(pattern=patterns.HOST, max_length=253)]
Address = Annotated[str, Field(pattern=patterns.ADDRESS, max_length=253)]
ServerAndPort = Annotated[str, Field(pattern=patterns.ENDPOINT, max_length=64)]
User = Annotated[str, Field(pattern=patterns.USER, max_length=32)]
Absolute = Annotated[str, Field(pattern=patterns.ABSOLUTE, max_length=1024)]
Relative = Annotated[str, Field(pattern=patterns.RELATIVE, max_length=1024)]
AnyFile = Annotated[str, Field(pattern=patterns.ANY_FILE, max_length=1024)]
WebAddress = Annotated[str, Field(pattern=patterns.WEB_ADDRESS, max_length=1024)]
Branch = Annotated[str, Field(pattern=patterns.BRANCH, max_length=200)]
Line = Annotated[str, Field(pattern=patterns.LINE, max_length=1024)]
Words = Annotated[str, Field(pattern=patterns.WORDS, max_length=1024)]
Identity = Annotated[str, Field(pattern=patterns.IDENTITY, max_length=200)]
Moment = Annotated[str, Field(pattern=patterns.MOMENT)]
GitUrl = Annotated[str, Field(pattern=patterns.GIT_URL, max_length=1024)]
ForgeUrl = Annotated[str, Field(pattern=patterns.FORGE_URL, max_length=1024)]

PortNumber = Annotated[int, Field(ge=1, le=65535)]
DayCount = Annotated[int, Field(ge=1, le=36500)]
Days = Annotated[float, Field(ge=0, le=36500)]
Minutes = Annotated[int, Field(ge=0, le=100_000)]
Merge = Literal["auto", "review"]
if TYPE_CHECKING:
    Forge = str
else:
    Forge = Literal[(forges.NO_FORGE, *map(str, forges.Forge))]
Knots = dict[Annotated[str, Field(pattern=patterns.DAYS)], Annotated[float, Field(ge=-36500, le=36500)]]

Commands = Annotated[
    Annotated[Line, Tag(TEXT)] | Annotated[list[Line], Tag(LIST)],
    either("a command or a list of commands"),
]


class HoldTable(Table):
    """Keeps the bot away, visibly."""

    reason: Words
    """Why; status shows it."""
    until: Moment | None = None
    """The hold ends at this moment (a day: when it begins, UTC); without it, when a person removes the hold."""


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
    "xtra-ns-unreachable",
    "dnssec-bogus",
    "host-removed",
    "name-unproven",
    "wildcard",
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
    """How many old generations of a service `run` and `prune` keep, beside those in slots or in use."""
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
    blocked_grace_mins: Minutes | None = None
    """Minutes until what is blocked is a failure, for every cause; without it docs/exit-codes.md says how long."""
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
    """What is staged; the engine's own."""
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


ReportAddress = Annotated[str, Field(pattern=patterns.REPORT_ADDRESS, max_length=1024)]
MxPattern = Annotated[str, Field(pattern=patterns.MX_PATTERN, max_length=253)]


class MtaStsTable(Table):
    """An MTA-STS policy (RFC 8461 section 3.2)."""

    mode: Literal["enforce", "testing", "none"]
    """What senders do with a host that does not comply: refuse it, report it, or neither."""
    mx: Annotated[list[MxPattern], Field(min_length=1)]
    """The MX hosts: names, or `*.` and a domain for one label."""
    max_age: Annotated[int, Field(ge=0, le=31557600)] = 604800
    """For how many seconds senders keep it."""
    id: Annotated[str, Field(pattern=patterns.STS_ID)] | None = None
    """The id of its TXT record; without it any counts."""


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
    mta_sts: MtaStsTable | None = None
    """The MTA-STS policy that senders should find; `status --live` compares (RFC 8461)."""
    tls_rpt: list[ReportAddress] | None = None
    """Where senders should send TLS reports: `mailto:` or `https:` (RFC 8460); `status --live` compares."""


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
    """The folders of the DNS repository that get `tlsa.<apex>`; `.` is its top."""
    acme_dir: Relative | None = None
    """The folder of the DNS repository that gets `acme-challenge.<apex>`; `.` is its top."""
    acme_aliases: list[Domain] | None = None
    """Domains in zones of others whose `_acme-challenge` names are aliases (CNAME) into a zone of an active group: the
    challenges of names at and below them go where the alias leads."""
    merge: DnsMerge | None = None
    """Who merges."""
    restart_cmd: Line | None = None
    """Run here after a publish; an empty one is none."""
    depends: list[Literal["dns"]] | None = None
    """ssl-mgr's word for when `restart_cmd` runs. It may stay and changes nothing: it runs after every publish."""


class VerifyTable(Table):
    """How a server is asked what it serves. Without it the proof is the hash of the files."""

    port: PortNumber
    """The port that shows the certificate."""
    starttls: Literal["smtp", "imap", "pop3", "ldap", "xmpp"] | None = None
    """The protocol spoken before TLS; without it plain TLS."""
    asked_from: Literal["runner", "host"] = Field("runner", alias="from")
    """`runner`, or `host`: asked there over ssh."""
    patience: Annotated[int, Field(ge=1, le=3600)] | None = None
    """Seconds that a connection may take; by default 300 with `starttls: smtp` (RFC 5321 section 4.5.3.2), else 10."""
    address: Address | None = None
    """Which address is asked; without it the server's own, or 127.0.0.1 where it is asked `from` the host itself.
    `own`: the server's own in any case, for a daemon that listens there only."""


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


DhGroup = Literal["ffdhe2048", "ffdhe3072", "ffdhe4096", "ffdhe6144", "ffdhe8192"]


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
    """Run there once after all files are in place; split into words like a shell would, run without one. An empty
    one is none."""
    svc_depends: (
        Annotated[
            list[tuple[AnyOrDomain, ServiceNames]],
            Field(min_length=1),
        ]
        | None
    ) = None
    """`[group, [services]]` that these servers get and restart for; group `any` stands for all,
    and `[group, ALL]` for all services of a group, those to come included. Without it they get every leaf of the
    active groups."""
    depends: list[Literal["dns"]] | None = None
    """`dns`: restart also when a `tlsa.<apex>` on the server changed."""
    server_dir: Absolute | None = None
    """Where http-01 challenges go."""
    dhparm: list[DhGroup] | None = None
    """Diffie-Hellman parameters of RFC 7919 that these servers get as `GROUP/dh/dh-NAME.pem` for each group of their
    services, with a link `GROUP/dh/dhparam.pem` to the first. What is there already stays. Default: none."""
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


Sized64 = Annotated[str, Field(pattern=patterns.LINE, max_length=64)]
Sized128 = Annotated[str, Field(pattern=patterns.LINE, max_length=128)]
Proto = Literal["tcp", "udp", "sctp"]
Usage = Annotated[int, Field(ge=0, le=3)]
Selector = Annotated[int, Field(ge=0, le=1)]
Match = Annotated[int, Field(ge=0, le=2)]
Purpose = Literal["serverAuth", "clientAuth", "emailProtection", "codeSigning", "timeStamping", "OCSPSigning"]


def _entry_length(value: object) -> str:
    return "<six>" if isinstance(value, list) and len(value) > 5 else "<five>"  # noqa: PLR2004


DaneEntry = Annotated[
    Annotated[tuple[PortNumber, Proto, Usage, Selector, Match], Tag("<five>")]
    | Annotated[tuple[PortNumber, Proto, Usage, Selector, Match, Literal["MX", "SANS"]], Tag("<six>")],
    Discriminator(_entry_length),
]


class KeyOptions(Table):
    """The kind of key."""

    ktype: Literal["ec", "rsa", "ed25519"] = "ec"
    """`ec`, `rsa`, or `ed25519` (own CAs only)."""
    ec_algo: Literal["secp256r1", "prime256v1", "secp384r1", "secp521r1"] = "secp384r1"
    """The curve of an `ec` key; `prime256v1` is another name of `secp256r1`."""
    rsa_bits: Annotated[int, Field(ge=2048, le=8192)] = 4096
    """The size of an `rsa` key."""


class Certificate(Table):
    """Subject and names of the certificate. Empty fields are left out of it."""

    CN: Line | None = None
    """Common name. A leaf's is one of its `sans`; an own CA needs one (64 characters at most)."""
    O: Sized64 | None = None  # noqa: E741  (the X.509 name of the field)
    """Organization."""
    OU: Sized64 | None = None
    """Organizational unit."""
    L: Sized128 | None = None
    """Locality."""
    ST: Sized128 | None = None
    """State or province."""
    C: Annotated[str, Field(pattern=patterns.COUNTRY)] | None = None
    """Country, two capital letters."""
    email: Sized128 | None = None
    """Contact; also for the ACME account."""
    sans: list[Annotated[str, Field(max_length=1024)]] | None = None
    """DNS names (international ones as people write them), wildcards, IP addresses. A leaf needs one, own CAs have
    none."""
    eku: list[Purpose] | None = None
    """What the certificate is for; without it a leaf is for `serverAuth` only."""


class Authority(Table):
    """What an own CA signs."""

    sign_end_days: DayCount
    """How many days the certificates that it signs are valid."""
    digest: Literal["sha256", "sha384", "sha512"] = "sha384"
    """The digest it signs with (Ed25519 brings its own)."""
    end_days: DayCount | None = None
    """How many days a root itself is valid; without it twice `sign_end_days`."""


class ServiceFile(Table):
    """One certificate and its key. The folder is the group, the file's name is the service."""

    signing_ca: Line
    """Who signs: a CA of `cas.yaml`, or `self` for a root."""
    name: Line | None = None
    """What a person calls it; without it the service's name."""
    group: Domain | None = None
    """The folder's name once more; may be left out."""
    service: Name | None = None
    """The file's name once more; may be left out."""
    x509: Certificate | None = None
    """Subject and names of the certificate."""
    key_opts: KeyOptions | None = None
    """The kind of key."""
    dane_tls: list[DaneEntry] | None = None
    """TLSA records: `[port, proto, usage, selector, match]`, then optionally `MX` or `SANS`: whose names own them.
    Without that, `MX` for port 25 and `SANS` for others."""
    dane_tls_ttl: Annotated[int, Field(ge=1, le=604_800)] = 1800
    """TTL of the TLSA records in seconds."""
    dane_apex: bool = False
    """With `MX`: the apex gets records too, though it has MX hosts, for senders that ask for it directly."""
    key_lifecycle: Literal["prepublish", "at-renewal"] | None = None
    """When the following key is made: `prepublish` right after a roll (default with `dane_tls`), or `at-renewal`, when
    the certificate is due (default without)."""
    min_roll_mins: Minutes | None = None
    """Minutes between issue and roll at least; without it the one of `globals`."""
    renew_expire_days: Days | None = None
    """Renew when fewer days are left; without it the one of `globals`."""
    ca: Authority | None = None
    """What it signs; only in group `ca`, and every service there needs it."""
    hold: HoldTable | None = None
    """Keeps the bot away from this service."""


class ExternalAccountTable(Table):
    """What binds the ACME account to an account that the CA knows by other means."""

    kid: Words
    """The key id, as the CA gave it."""
    hmac_key: Relative
    """The file with the MAC key (base64url, as the CA gave it): a sops document below the repository's top."""


class CaEntry(Table):
    """Who can sign."""

    ca_type: Literal["acme", "certbot", "letsencrypt", "local", "self"]
    """`acme` (also written `certbot` or `letsencrypt`), `local` (an own intermediate) or `self` (an own root)."""
    ca_desc: Line | None = None
    """What a person calls it."""
    ca_validation: Literal["dns-01", "http-01"] | None = None
    """How an ACME server sees that a name is ours; without it `dns-01`."""
    ca_preferred_acme_profile: Name | None = None
    """The certificate profile to order where the ACME server offers it; without it `tlsserver`."""
    ca_preferred_chain: Words | None = None
    """The common name of a CA; of the chains that an ACME server offers the first that has it is taken."""
    directory: WebAddress | None = None
    """The directory of the ACME server; without it Let's Encrypt."""
    staging: WebAddress | None = None
    """The directory that `renew --staging` orders from; without it the one of Let's Encrypt, for Let's Encrypt."""
    ca_bundle: AnyFile | None = None
    """The CAs (PEM) that the ACME server's own certificate comes from; without it those of the system. A path below the
    repository's top, or an absolute one on the runner."""
    eab: ExternalAccountTable | None = None
    """The external account binding that an ACME server may ask for."""
    tlsa_issuers: list[Annotated[str, Field(pattern=patterns.TLSA_ISSUER)]] | None = None
    """The CA's active and backup issuers, each as `selector match data` of a TLSA record: for services whose `dane_tls`
    has usage 2. At most 12 of one selector and match, and 12 records in all under one name."""


class CasFile(RootModel[dict[Name, CaEntry]]):
    """CAs by name. For an own CA (`local`, `self`) the service `ca/<name>` has the same name."""
