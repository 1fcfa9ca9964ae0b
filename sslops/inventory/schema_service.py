"""The service files and `cas.yaml` as pydantic tables; the texts become the JSON Schemas and `docs/inventory.md`."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import Discriminator, Field, RootModel, Tag

from sslops.inventory import patterns
from sslops.inventory.schema_types import (
    AnyFile,
    DayCount,
    Days,
    Domain,
    HoldTable,
    Line,
    Minutes,
    Name,
    PortNumber,
    Relative,
    Table,
    WebAddress,
    Words,
)

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
