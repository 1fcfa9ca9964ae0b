"""TLSA records (RFC 6698, RFC 7671) as values.

>>> record = TlsaRecord.parse("_25._tcp.mail.example.com. 3 1 1 9b1c")
>>> record.owner, str(record.params), record.data
('_25._tcp.mail.example.com.', '3 1 1', '9b1c')
"""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True, order=True)
class TlsaParams:
    """Usage, selector and matching type: how a record is compared with a certificate."""

    usage: int
    selector: int
    match: int

    def __str__(self) -> str:
        """Return the three numbers as a zone file writes them."""
        return f"{self.usage} {self.selector} {self.match}"


@dataclass(frozen=True, slots=True, order=True)
class TlsaRecord:
    """One record: *owner* is absolute and lower case, *data* lower-case hex."""

    owner: str
    params: TlsaParams
    data: str

    def __str__(self) -> str:
        """Return `owner usage selector match data`, the key used on the ledger."""
        return f"{self.owner} {self.params} {self.data}"

    @classmethod
    def parse(cls, text: str) -> TlsaRecord:
        """Read the ledger's form back; ValueError when it is not five words."""
        owner, usage, selector, match, data = text.split(" ")
        return cls(owner, TlsaParams(int(usage), int(selector), int(match)), data)


@dataclass(frozen=True, slots=True)
class Rrset:
    """All TLSA records of one name as one source shows them; an empty set has no records."""

    ttl_seconds: int
    records: frozenset[TlsaRecord]
    wildcard: str | None = None
    """Where a name server made it of a wildcard's records (RFC 4592 section 3.3), that wildcard: the answer ends when
    any record is created at the name. *ttl_seconds* then is the time for which a resolver may go on making it."""

    @property
    def combinations(self) -> frozenset[TlsaParams]:
        """Every {usage, selector, match} in it: each must match by itself (RFC 7671 section 9)."""
        return frozenset(record.params for record in self.records)


EMPTY = Rrset(0, frozenset())


def owner_name(port: int, proto: str, host: str) -> str:
    """Name the owner of the records for *host*: `_25._tcp.mail.example.com.`."""
    return f"_{port}._{proto}.{host.rstrip('.').lower()}."


def port_and_host(owner: str) -> tuple[int, str]:
    """Return what an owner name is about.

    >>> port_and_host("_25._tcp.mail.example.com.")
    (25, 'mail.example.com')
    """
    port, _, host = owner.split(".", 2)
    return int(port.removeprefix("_")), host.rstrip(".")
