"""What an ACME server shows, as plain values (RFC 8555 section 7.1): directory, orders, authorisations, challenges."""

from __future__ import annotations

import json
import re
from dataclasses import dataclass
from enum import StrEnum
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Mapping
    from datetime import datetime

    from sslops.model.secret import Secret

_NAME = re.compile(r"[a-z0-9](?:[a-z0-9_-]{0,61}[a-z0-9])?(?:\.[a-z0-9](?:[a-z0-9-]{0,61}[a-z0-9])?)+")
_LONGEST_NAME = 253
_TOKEN = re.compile(r"[A-Za-z0-9_-]{16,171}")
_SHA256 = re.compile(r"[A-Za-z0-9_-]{43}")


class ChallengeType(StrEnum):
    """The ways to show control of a name that sslops knows; a server may offer others, which do not disturb."""

    DNS_01 = "dns-01"
    HTTP_01 = "http-01"


class OrderStatus(StrEnum):
    """How far an order is (RFC 8555 section 7.1.6)."""

    PENDING = "pending"
    READY = "ready"
    PROCESSING = "processing"
    VALID = "valid"
    INVALID = "invalid"


class AuthorizationStatus(StrEnum):
    """How far an authorisation is; a challenge has `processing` too."""

    PENDING = "pending"
    PROCESSING = "processing"
    VALID = "valid"
    INVALID = "invalid"
    DEACTIVATED = "deactivated"
    EXPIRED = "expired"
    REVOKED = "revoked"


@dataclass(frozen=True, slots=True)
class Directory:
    """What a server says about itself: its profiles (name: description), and whether it suggests renewal windows."""

    profiles: Mapping[str, str]
    has_renewal_info: bool


class AccountStatus(StrEnum):
    """What a CA says of an account (RFC 8555 section 7.1.2); `unknown`: it has none with this key, or said nothing."""

    VALID = "valid"
    DEACTIVATED = "deactivated"
    REVOKED = "revoked"
    UNKNOWN = "unknown"

    @property
    def is_closed(self) -> bool:
        """Whether nothing will ever be issued by it again."""
        return self in {AccountStatus.DEACTIVATED, AccountStatus.REVOKED}


def closed_account(ca: str, status: AccountStatus) -> str:
    """Return the sentence about an account that is closed, with the command that makes another."""
    command = f"sslops renew --new-account {ca} --apply"
    return f"the account at '{ca}' is {status}, and issues nothing any more; '{command}' makes a new one"


def tells_closed_account(failure: str | None, ca: str) -> bool:
    """Whether *failure*, as a generation keeps it, is that sentence about the account at *ca*."""
    return failure in {closed_account(ca, status) for status in AccountStatus if status.is_closed}


@dataclass(frozen=True, slots=True)
class Account:
    """The account at one CA: its private key as a JWK, and its URL once the CA gave one."""

    key: Secret
    url: str | None = None
    directory: str | None = None
    """The directory of the server that it belongs to; null in documents that older releases wrote."""

    def belongs_to(self, directory: str) -> bool:
        """Whether it is one at the server with that *directory*.

        Where only the account's own address tells, that is one on the same host.
        """
        if self.directory is not None:
            return self.directory == directory
        return self.url is None or self.url.split("/")[:3] == directory.split("/")[:3]


@dataclass(frozen=True, slots=True)
class ChallengeSeen:
    """One way that the server offers to prove control of a name."""

    type: str
    url: str
    status: str
    token: str = ""
    error: str | None = None


@dataclass(frozen=True, slots=True)
class AuthorizationSeen:
    """One name of an order: how far its proof is, and by what ways it may be given."""

    url: str
    identifier: str
    status: str
    expires: datetime | None = None
    challenges: tuple[ChallengeSeen, ...] = ()

    def challenge(self, kind: ChallengeType) -> ChallengeSeen | None:
        """Return the challenge of that *kind*; null when it is not offered."""
        return next((each for each in self.challenges if each.type == kind), None)

    @property
    def error(self) -> str | None:
        """What the server found wrong, of the challenge that failed."""
        return next((each.error for each in self.challenges if each.error), None)


@dataclass(frozen=True, slots=True)
class OrderSeen:
    """An order as the server shows it now."""

    url: str
    status: str
    finalize: str
    authorizations: tuple[str, ...] = ()
    expires: datetime | None = None
    certificate: str | None = None
    error: str | None = None
    retry_after_seconds: float | None = None


@dataclass(frozen=True, slots=True)
class OrderWish:
    """What is ordered: names (A-labels, wildcards, IP addresses), profile, and the certificate that it replaces."""

    names: tuple[str, ...]
    profile: str | None = None
    replaces: bytes | None = None
    """The certificate (PEM) that is renewed, for a server with renewal information (RFC 9773 section 5)."""


@dataclass(frozen=True, slots=True, order=True)
class Proof:
    """What has to be shown for one challenge: for *name* (without `*.`) the file *token* or the TXT record *value*.

    *group* is that of the service.
    """

    type: ChallengeType
    group: str
    name: str
    token: str
    value: str
    """`dns-01`: the digest for TXT; `http-01`: the content of the file (RFC 8555 sections 8.3 and 8.4)."""

    @classmethod
    def parse(cls, text: str) -> Proof | None:
        """Read the line of JSON back; null for what this version does not know, and for what no CA can have asked."""
        try:
            fields = json.loads(text)
            kind = ChallengeType(fields["type"])
            proof = cls(kind, *(str(fields[key]) for key in ("group", "name", "token", "value")))
        except (ValueError, KeyError, TypeError, RecursionError):
            return None
        return proof if proof.fault is None else None

    def __str__(self) -> str:
        """Return one line of JSON, as `generation.yaml` keeps it."""
        fields = {"type": self.type, "group": self.group, "name": self.name, "token": self.token, "value": self.value}
        return json.dumps(fields, separators=(",", ":"))

    @property
    def fault(self) -> str | None:
        """Why no CA and no account of ours can have made it (RFC 8555 section 8); null for a sound one.

        It is read back from a branch that others may write, and ends in zones and on web hosts.
        """
        if _NAME.fullmatch(self.name) is None or len(self.name) > _LONGEST_NAME or _NAME.fullmatch(self.group) is None:
            return "its name is no host name"
        if _TOKEN.fullmatch(self.token) is None:
            return "its token is not base64url of 128 to 1024 bits"
        value = self.value
        if self.type == ChallengeType.HTTP_01:
            token, _, value = value.partition(".")
            if token != self.token:
                return "its file does not begin with its token"
        return None if _SHA256.fullmatch(value) else "its value is not the base64url form of a SHA-256"


@dataclass(frozen=True, slots=True)
class RenewalWindow:
    """When the server wants a certificate to be renewed (RFC 9773 section 4.2)."""

    start: datetime
    end: datetime
    explanation_url: str | None = None
    retry_after_seconds: float | None = None
    """After which time it wants to be asked again (RFC 9773 section 4.3); null when it does not say."""


@dataclass(frozen=True, slots=True)
class ExternalAccount:
    """What binds an ACME account to an account that the CA knows by other means (RFC 8555 section 7.3.4)."""

    kid: str
    hmac_key: Secret
    """base64url, as CAs give it."""
