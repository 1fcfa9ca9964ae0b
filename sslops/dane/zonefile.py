r"""The include file `tlsa.<apex>`: text to zone and back, one record a line, sorted (RFC 1035 section 5).

>>> zone = parse_lines("_25._tcp.mail.example.com. 1800 IN TLSA 3 1 1 9b1c ; example.com/mail-ec curr\n")
>>> [str(record) for record in zone["_25._tcp.mail.example.com."].records]
['_25._tcp.mail.example.com. 3 1 1 9b1c']
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

from sslops.errors import StateError
from sslops.model.tlsa import Rrset, TlsaParams, TlsaRecord

if TYPE_CHECKING:
    from collections.abc import Callable

    from sslops.model.observations import Zone


HEADER = "; written by sslops: changes made here are lost\n"

LOST = "of a generation that is lost"
"""What the engine says behind a record of its own that no generation explains. Comments are for people only."""
LISTED = "an issuer of"
"""What it says, with the name of the CA, behind an issuer of its list that signed no generation."""
_LONGEST_TTL = 2**31 - 1  # RFC 2181 section 8
_LINE = re.compile(
    r"(?P<owner>[0-9A-Za-z_.-]+\.)[ \t]+(?P<ttl>[0-9]{1,10})[ \t]+IN[ \t]+TLSA[ \t]+"
    r"(?P<usage>[0-3])[ \t]+(?P<selector>[01])[ \t]+(?P<match>[0-2])[ \t]+(?P<data>(?:[0-9A-Fa-f]{2})+)",
)


def parse_lines(text: str) -> Zone | None:
    """Read what the engine writes, one record a line; null for what has any other line."""
    records: dict[str, set[TlsaRecord]] = {}
    ttls: dict[str, int] = {}
    # Only what a name server takes for a line end is one: `str.splitlines` knows many more.
    for line in text.split("\n"):
        content = line.partition(";")[0].strip(" \t\r")
        if not content:
            continue
        found = record_of(content)
        if found is None:
            return None
        record, ttl_seconds = found
        records.setdefault(record.owner, set()).add(record)
        ttls[record.owner] = max(ttl_seconds, ttls.get(record.owner, 0))
    return {owner: Rrset(ttls[owner], frozenset(found)) for owner, found in records.items()}


def render(zone: Zone, comment: Callable[[TlsaRecord], str]) -> str:
    """Write *zone*, with what *comment* says about each record behind it."""
    lines = [
        f"{_line(record, rrset.ttl_seconds)} ; {_one_line(comment(record))}\n"
        for _, rrset in sorted(zone.items())
        for record in sorted(rrset.records)
    ]
    return HEADER + "".join(lines)


def render_records(zone: Zone, wanted: Callable[[TlsaRecord], bool]) -> str:
    """Write those records of *zone* that are *wanted*, without header and comments."""
    return "".join(
        f"{_line(record, rrset.ttl_seconds)}\n"
        for _, rrset in sorted(zone.items())
        for record in sorted(rrset.records)
        if wanted(record)
    )


def _line(record: TlsaRecord, ttl_seconds: int) -> str:
    """Write one record; StateError when a part of it could leave its field (RFC 6698 section 2.2), whoever read it."""
    line = f"{record.owner} {ttl_seconds} IN TLSA {record.params} {record.data}"
    if _LINE.fullmatch(line) is None or ttl_seconds > _LONGEST_TTL:
        message = f"a TLSA record that cannot be is not written: {line!a}"
        raise StateError(message, hint="sslops check says which file of state/ it comes from")
    return line


def _one_line(text: str) -> str:
    return " ".join(text.split())


def record_of(content: str) -> tuple[TlsaRecord, int] | None:
    """Read one record on one line, as the engine writes it, and its TTL; null for anything else."""
    found = _LINE.fullmatch(content)
    if found is None:
        return None
    params = TlsaParams(int(found["usage"]), int(found["selector"]), int(found["match"]))
    return TlsaRecord(found["owner"].lower(), params, found["data"].lower()), int(found["ttl"])
