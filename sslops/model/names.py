"""How services and generations are named, and how times are written.

>>> str(ServiceId("example.com", "mail-ec"))
'example.com/mail-ec'
>>> generation_id(parse_time("2026-11-24T14:30:00Z"), "9b1c77aa")
'20261124T143000Z-9b1c'
"""

from __future__ import annotations

import ipaddress
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import TYPE_CHECKING, NewType

if TYPE_CHECKING:
    from collections.abc import Collection

GenerationId = NewType("GenerationId", str)
"""`<UTC basic time>-<4 hex of the SPKI hash>`; sorts by age, names its key."""

_MARKS = ("-", "-", "T", ":", ":", "Z")

CA_GROUP = "ca"
"""The special group of own CAs; everything else is an apex domain."""

ACCOUNTS = "accounts"
"""Where ACME accounts lie below `state/`, beside the groups; no group has this name."""


@dataclass(frozen=True, slots=True, order=True)
class ServiceId:
    """One certificate and its key: a name that is unique within its group."""

    group: str
    name: str

    def __str__(self) -> str:
        """Return `group/name`, the form used in trailers, the ledger and messages."""
        return f"{self.group}/{self.name}"

    @classmethod
    def parse(cls, text: str) -> ServiceId:
        """Read `group/name` back; ValueError when there is no slash."""
        group, slash, name = text.partition("/")
        if not (slash and group and name):
            message = f"'{text}' is not group/service"
            raise ValueError(message)
        return cls(group, name)


def generation_id(created_at: datetime, spki_sha256: str) -> GenerationId:
    """Name a generation made at *created_at* whose key hashes to *spki_sha256* (hex)."""
    return GenerationId(f"{created_at.astimezone(UTC):%Y%m%dT%H%M%SZ}-{spki_sha256[:4]}")


def format_time(moment: datetime) -> str:
    """Write *moment* as `2026-11-24T14:30:00Z`, the one form used in files."""
    return f"{moment.astimezone(UTC):%Y-%m-%dT%H:%M:%SZ}"


def parse_time(text: str) -> datetime:
    """Read `2026-11-24T14:30:00Z` back as an aware UTC time; ValueError otherwise."""
    # Much faster than strptime, and laxer: the marks pin the one form.
    if len(text) != len("YYYY-MM-DDTHH:MM:SSZ") or (text[4], text[7], text[10], text[13], text[16], text[19]) != _MARKS:
        message = f"'{text}' is not a time like 2026-11-24T14:30:00Z"
        raise ValueError(message)
    return datetime.fromisoformat(text)


def zone_of(host: str, groups: Collection[str]) -> str | None:
    """Return the longest apex of ours that *host* is or ends in; null when there is none."""
    labels = host.rstrip(".").lower().split(".")
    suffixes = (".".join(labels[start:]) for start in range(len(labels)))
    return next((apex for apex in suffixes if apex != CA_GROUP and apex in groups), None)


def is_address(name: str) -> bool:
    """Whether *name* is an IPv4 or IPv6 address."""
    try:
        ipaddress.ip_address(name)
    except ValueError:
        return False
    return True
