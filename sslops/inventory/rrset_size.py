"""How many TLSA records can come together under one name, where the issuers of a public CA are among them.

A name has a record of every kind ({usage, selector, match}) that any service there asks for, for all that any service
there may show: `curr` and `next` of each, or of its own CA, or every issuer that is listed for its public CA. Names are
told apart as far as the inventory does: the MX hosts of a group are one, whichever they are.
"""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass
from typing import TYPE_CHECKING

from sslops.inventory.complaint import Complaint
from sslops.inventory.values import SMTP_PORT
from sslops.model.addresses import is_address

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

    from sslops.inventory.document import Document, Plain
    from sslops.inventory.found import Found
    from sslops.model.names import ServiceId

CA_USAGES = frozenset({0, 2})
MOST_RECORDS = 12
"""What the senders of a large mail service read (seen in 2024)."""
VERSIONS = 2
"""`curr` and `next`; a server that was not reached may keep a third in DNS for a while."""

_Kind = tuple[int, int, int]
_Name = tuple[str, int, str]


@dataclass(frozen=True, slots=True)
class _Asked:
    """One entry of one service's `dane_tls`."""

    service: ServiceId
    document: Document
    place: int
    kind: _Kind

    @property
    def ca(self) -> str:
        return str(self.document.plain["signing_ca"])


def too_many_records(found: Found, cas: Plain) -> Iterator[Complaint]:
    """Yield the entries of `dane_tls` by which more records could come under a name than everybody reads."""
    told: set[tuple[str, int]] = set()
    for asked in _names(found).values():
        listed = [each for each in asked if each.kind[0] in CA_USAGES and _issuers(cas, each.ca, each.kind)]
        if not listed or any(_is_long(cas, each.ca) for each in listed):
            continue
        services = {each.service: each.ca for each in asked}
        of_issuers, others = _count({each.kind for each in asked}, services, cas)
        first = listed[0]
        if of_issuers + others <= MOST_RECORDS or (first.document.file, first.place) in told:
            continue
        told.add((first.document.file, first.place))
        what = (
            f"{of_issuers + others} records could come under one name, {of_issuers} of issuers and {others} of"
            f" 'curr' and 'next'; {MOST_RECORDS} are read everywhere"
        )
        hint = "list fewer issuers, or ask for fewer kinds of record, in all services at that name"
        yield Complaint(first.document.file, ("dane_tls", first.place), what, hint)


def _names(found: Found) -> dict[_Name, list[_Asked]]:
    """Return what is asked for under each name, by active groups."""
    groups = found.settings.plain["groups"] if found.settings is not None else ()
    active = {group["domain"] for group in groups if group["active"]}
    names: dict[_Name, list[_Asked]] = {}
    for service, document in sorted(found.services.items(), key=lambda pair: pair[0]):
        entries = document.plain.get("dane_tls") or () if service.group in active else ()
        for place, (port, proto, usage, selector, match, *owners) in enumerate(entries):
            by_mx = (owners or ["MX" if port == SMTP_PORT else "SANS"])[0] == "MX"
            for host in (f"MX of {service.group}",) if by_mx else _hosts(document):
                asked = _Asked(service, document, place, (usage, selector, match))
                names.setdefault((host, port, proto), []).append(asked)
    return names


def _hosts(document: Document) -> Iterable[str]:
    sans = (document.plain.get("x509") or {}).get("sans") or ()
    return {san.lower() for san in sans if not san.startswith("*.") and not is_address(san)}


def _count(kinds: set[_Kind], services: dict[ServiceId, str], cas: Plain) -> tuple[int, int]:
    """Return how many records there can be, those of listed issuers and the others."""
    of_issuers, others = 0, 0
    for kind in kinds:
        if kind[0] not in CA_USAGES:
            others += VERSIONS * len(services)
            continue
        listed = {name: _issuers(cas, name, kind) for name in services.values()}
        of_issuers += len(frozenset[str]().union(*listed.values()))
        others += VERSIONS * sum(_is_own(cas, name) for name in listed)
    return of_issuers, others


def _issuers(cas: Plain, name: str, kind: _Kind) -> frozenset[str]:
    entries = (cas.get(name) or {}).get("tlsa_issuers") or ()
    return frozenset(entry for entry in entries if entry.startswith(f"{kind[1]} {kind[2]} "))


def _is_long(cas: Plain, name: str) -> bool:
    """Whether the list of the CA itself is too long, which is told there."""
    entries = (cas.get(name) or {}).get("tlsa_issuers") or ()
    return max(Counter(entry.rpartition(" ")[0] for entry in entries).values(), default=0) > MOST_RECORDS


def _is_own(cas: Plain, name: str) -> bool:
    return (cas.get(name) or {}).get("ca_type") in {"local", "self"}
