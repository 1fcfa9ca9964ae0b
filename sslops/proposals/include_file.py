"""A TLSA include file that somebody else wrote or changed, read as a name server reads it (RFC 1035 section 5)."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

from sslops.dane.zonefile import parse_lines, record_of
from sslops.errors import Location, StateError
from sslops.model.tlsa import Rrset, TlsaRecord

if TYPE_CHECKING:
    import dns.name
    import dns.rdata
    import dns.tokenizer

    from sslops.model.observations import Zone


def parse(text: str, path: str) -> Zone:
    """Read the include file at *path*, whose name ends in the apex, as a name server reads it (RFC 1035 section 5).

    Names that are not absolute belong to the apex: that is where a zone includes the file. StateError names the place
    of what is not a TLSA record, or has no TTL of its own, of the one before or of a `$TTL`: nobody could tell how long
    a cache keeps that.
    """
    zone = parse_lines(text)
    return _parse_zone(text, path) if zone is None else zone


def _parse_zone(text: str, path: str) -> Zone:
    """Read what somebody else wrote: relative names, `$ORIGIN`, `$TTL`, parentheses, data in several words."""
    import dns.exception
    import dns.rdataclass
    import dns.tokenizer
    import dns.zonefile

    class Tokens(dns.tokenizer.Tokenizer):
        """Knows in which line the record began that is being read."""

        began = 1

        def get(self, want_leading: bool = False, want_comment: bool = False) -> dns.tokenizer.Token:  # noqa: FBT001, FBT002
            if want_leading and want_comment:
                self.began = self.line_number
            return super().get(want_leading, want_comment)

    # What only Python takes for a digit or for space becomes neither.
    lines = [
        "".join(c if c == "\t" or (c.isascii() and c.isprintable()) else "?" for c in _ended(line))
        for line in text.split("\n")
    ]
    apex = path.rpartition("/")[2].removeprefix("tlsa.")
    tokens = Tokens("\n".join([f"$ORIGIN {apex}.", *lines, ""]), path)
    found = _Collected()
    reader = dns.zonefile.Reader(tokens, dns.rdataclass.IN, found, allow_directives=("$ORIGIN", "$TTL"))  # type: ignore[arg-type]
    try:
        reader.read()
    except (dns.exception.DNSException, ValueError) as error:
        number = max(tokens.began - 1, 1)
        line = lines[min(number, len(lines)) - 1]
        where = Location(path, number, len(line) - len(line.lstrip()) + 1)
        why = re.sub(r"^.*?:\d+: ", "", str(error), flags=re.DOTALL)
        message = f"not a TLSA record with a TTL, as a name server reads it: {why!a}"
        hint = "only sslops writes this file; restore it from its history"
        raise StateError(message, where=where, hint=hint) from error
    return {owner: Rrset(found.ttls[owner], frozenset(records)) for owner, records in found.records.items()}


def _ended(line: str) -> str:
    """Return *line* without the first half of a line end from elsewhere."""
    return line.removesuffix("\r")


class _Collected:
    """Takes what dnspython reads, in the place of a transaction; ValueError for what is no TLSA record of ours."""

    def __init__(self) -> None:
        self.records: dict[str, set[TlsaRecord]] = {}
        self.ttls: dict[str, int] = {}
        self.manager = self

    def origin_information(self) -> tuple[dns.name.Name, bool, dns.name.Name]:
        """Return the root: which names lie in the zone is for its name server to say."""
        import dns.name

        return dns.name.root, False, dns.name.root

    def check_put_rdataset(self, check: object) -> None:
        """Leave out the check for CNAMEs: there are none here."""

    def _set_origin(self, origin: object) -> None:
        """Leave the origin as it is: a file has no say about the zone."""

    def add(self, name: dns.name.Name, ttl_seconds: int, data: dns.rdata.Rdata) -> None:
        """Take one record."""
        import dns.rdatatype

        if data.rdtype != dns.rdatatype.TLSA:
            message = f"{name} has {dns.rdatatype.to_text(data.rdtype)}"
            raise ValueError(message)
        found = record_of(f"{name} {ttl_seconds} IN TLSA {data.usage} {data.selector} {data.mtype} {data.cert.hex()}")  # type: ignore[attr-defined]
        if found is None:
            message = f"{name} has parameters, a TTL or a name that sslops does not know"
            raise ValueError(message)
        record, _ = found
        self.records.setdefault(record.owner, set()).add(record)
        self.ttls[record.owner] = max(ttl_seconds, self.ttls.get(record.owner, 0))
