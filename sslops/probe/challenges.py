"""Where challenge records belong, and which name servers do not show them yet.

A CNAME at `_acme-challenge` is followed to the zone that owns its target, but not one that only a wildcard of ours
gives: a TXT record there takes its place (RFC 4592 section 3.3.1). One in a zone of others is followed where the
inventory says so. Every authoritative server is asked by address, then the servers of `dns_xtra_ns`, which may cache
and so are asked last.
"""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from sslops.errors import DnsError, Unprovable
from sslops.model.inventory import Endpoint
from sslops.model.names import zone_of
from sslops.model.plan import Consents, Hazard, HazardName, Verb
from sslops.probe.dns_question import FamilyLackingError, Patience, ask, records_of, wildcard_of, zone_cut
from sslops.probe.name_servers import alias_of

if TYPE_CHECKING:
    from collections.abc import Iterable

    from sslops.model.inventory import Inventory
    from sslops.model.observations import Surroundings, WildcardAnswer
    from sslops.probe.survey import NameServers, Servers


WORKERS = 16
LONGEST_CHAIN = 8
PATIENCE = Patience()

Record = tuple[str, str]
"""Owner (absolute, lower case) and TXT value."""


@dataclass(slots=True)
class ChallengeLook:
    """One run's looks at challenge records; who the servers of an apex are is asked once."""

    inventory: Inventory
    name_servers: NameServers
    patience: Patience = PATIENCE
    consents: Consents = Consents()
    """Lets a server of `dns_xtra_ns` that gives no answer be left out."""
    hazards: tuple[Hazard, ...] = ()
    """Why the last look at what is missing failed although every authoritative server shows everything: servers of
    `dns_xtra_ns` that gave no answer. Empty when anything else was lacking."""
    _servers: dict[str, Servers] = field(default_factory=dict)

    def zone_of(self, owner: str) -> str | None:
        """Return the active group whose zone *owner* lies in: the longest that fits; null when none is ours."""
        return zone_of(owner, [name for name, group in self.inventory.groups.items() if group.active])

    def targets(self, owners: Iterable[str]) -> dict[str, str | DnsError]:
        """Return where the records of each of *owners* belong, aliases followed; DnsError where nobody tells.

        Unprovable where the name, or an alias of its own, leads out of our zones and the inventory names no alias back:
        no time changes that.
        """
        wanted = sorted(set(owners))
        for apex in {apex for owner in wanted if (apex := self.zone_of(owner)) is not None}:
            self._load(apex)
        with ThreadPoolExecutor(WORKERS) as pool:
            return dict(zip(wanted, pool.map(self._target, wanted), strict=True))

    def ending(self, owners: Iterable[str]) -> dict[str, tuple[WildcardAnswer, ...] | DnsError]:
        """Return what a wildcard answers at and around each of *owners* that ends with a record there.

        DnsError where the name servers do not tell, or not the same.
        """
        by_apex: dict[str, list[str]] = {}
        for owner in sorted(set(owners)):
            by_apex.setdefault(self.zone_of(owner) or "", []).append(owner)
        found: dict[str, Surroundings] = {}
        for apex, wanted in by_apex.items():
            found |= self.name_servers.surroundings(self._load(apex), apex, wanted)
        return {owner: near.ending if near.error is None else DnsError(near.error) for owner, near in found.items()}

    def missing(self, records: Iterable[Record]) -> dict[Record, str]:
        """Return those of *records* that some server does not show, and which; an unreachable server shows none."""
        wanted = sorted(set(records))
        asked = [(record, name) for record in wanted for name in self._load(self.zone_of(record[0]) or "")]
        self.hazards = ()
        lacking = self._unseen(asked)
        if lacking:
            return lacking
        extra = [(record, server) for record in wanted for server in self.inventory.settings.dns_xtra_ns]
        with ThreadPoolExecutor(WORKERS) as pool:
            answers = list(pool.map(self._lacks_extra, extra))
        silent = {server: why for (_, server), why in zip(extra, answers, strict=True) if isinstance(why, Hazard)}
        refused = {server: hazard for server, hazard in silent.items() if not self.consents.cover(hazard)}
        lacking = _told(extra, [None if isinstance(why, Hazard) else why for why in answers])
        if lacking:
            return lacking
        self.hazards = tuple(refused[server] for server in sorted(refused))
        return _told(extra, [refused[server].why if server in refused else None for _, server in extra])

    def _unseen(self, asked: list[tuple[Record, str]]) -> dict[Record, str]:
        """Ask one record of each zone at each server first: while that is not there, the others need not be asked."""
        firsts = list({self._place(pair): pair for pair in asked}.values())
        with ThreadPoolExecutor(WORKERS) as pool:
            answers = list(pool.map(self._lacks, firsts))
            behind = {self._place(pair): why for pair, why in zip(firsts, answers, strict=True) if why}
            known = set(firsts)
            rest = [pair for pair in asked if pair not in known and self._place(pair) not in behind]
            lacking = _told(rest, list(pool.map(self._lacks, rest)))
        return lacking | {pair[0]: behind[place] for pair in asked if (place := self._place(pair)) in behind}

    def _place(self, pair: tuple[Record, str]) -> tuple[str | None, str]:
        """Return which zone at which server a question is about."""
        return self.zone_of(pair[0][0]), pair[1]

    def _lacks(self, pair: tuple[Record, str]) -> str | None:
        """Say why a server does not show a record; null when every address that answers does, and one answers."""
        (owner, value), name = pair
        endpoints = self._load(self.zone_of(owner) or "")[name]
        whys: list[str] = []
        answers = 0
        for endpoint in endpoints:
            try:
                if value not in self._txt(endpoint, owner):
                    return f"'{name}' does not show the challenge at '{owner}' yet"
                answers += 1
            except FamilyLackingError:
                continue
            except DnsError as error:
                whys.append(error.what)
        return None if answers else "; ".join(whys) or f"name server '{name}' has no address that this machine can ask"

    def _lacks_extra(self, pair: tuple[Record, str]) -> str | Hazard | None:
        """Say why a server of `dns_xtra_ns` does not show a record; a hazard where it gave no answer at all."""
        (owner, value), server = pair
        try:
            seen = self._txt(Endpoint(server), owner, recursive=True)
        except DnsError as error:
            why = f"{error.what}; every authoritative name server shows the challenge"
            return Hazard(HazardName.XTRA_NS_UNREACHABLE, server, why, Verb.RENEW)
        return None if value in seen else f"'{server}' (dns_xtra_ns) does not show the challenge at '{owner}' yet"

    def _target(self, owner: str) -> str | DnsError:
        seen = owner
        for _ in range(LONGEST_CHAIN):
            apex = self.zone_of(seen)
            via = f", where '{owner}' leads," if seen != owner else ""
            try:
                if apex is None:
                    outside = f"'{seen}'{via} is in no zone that sslops manages"
                    alias: str | None = self._alias_of_others(owner, seen, outside)
                else:
                    alias = self._own_alias(apex, owner, seen)
            except DnsError as error:
                return error
            if alias is None:
                return seen
            seen = alias
        return Unprovable(f"'{owner}' is an alias of more than {LONGEST_CHAIN} others")

    def _own_alias(self, apex: str, owner: str, seen: str) -> str | None:
        """Return where an alias at *seen* leads, in our zone *apex* or one that it delegates; null when it is none."""
        try:
            return self._alias(apex, seen)
        except Unprovable as cut:
            return self._alias_of_others(owner, seen, cut.what)

    def _alias_of_others(self, owner: str, seen: str, why_not: str) -> str:
        """Return where the alias of *seen* leads, which another's zone has; Unprovable where *owner* may not, or none.

        Others may point it anywhere, so it is followed only for domains that the inventory names.
        """
        dns = self.inventory.dns
        if dns is None or zone_of(owner, dns.acme_aliases) is None:
            hint = "dns.acme_aliases in inventory/sslops.yaml, where an alias leads into a zone that sslops manages"
            raise Unprovable(why_not, hint=hint)
        alias = alias_of(seen, self.inventory.primary_of(owner.rstrip(".")), self.patience)
        if alias is None:
            what = f"{why_not}, and no alias leads from '{seen}' into one, though 'dns.acme_aliases' says so"
            raise Unprovable(what, hint=f"{seen} CNAME NAME.IN.A.ZONE.OF.OURS.")
        return alias

    def _alias(self, apex: str, owner: str) -> str | None:
        """Return what *owner* is an alias of, as the first server that answers says; null when it is none of its own.

        Unprovable where another zone, or nothing at all, answers for it.
        """
        failure: DnsError | None = None
        for endpoint in (endpoint for endpoints in self._load(apex).values() for endpoint in endpoints):
            try:
                response = ask(endpoint, owner, "CNAME", self.patience, is_signed=True)
                found = records_of(response, owner, "CNAME")
                wildcard = found and wildcard_of(response, endpoint, owner, "CNAME", self.patience)
            except DnsError as error:
                failure = error
                continue
            if found and not wildcard:
                return str(found[0].target).lower()
            cut = zone_cut(response, apex, owner)
            if cut is not None:
                raise Unprovable(cut)
            return None
        raise failure or DnsError(f"'{apex}' has no name servers", hint="set dns_servers in inventory/sslops.yaml")

    def _txt(self, endpoint: Endpoint, owner: str, *, recursive: bool = False) -> frozenset[str]:
        response = ask(endpoint, owner, "TXT", self.patience, recursive=recursive)
        found = records_of(response, owner, "TXT") or ()
        return frozenset(b"".join(record.strings).decode("ascii", "replace") for record in found)

    def _load(self, apex: str) -> Servers:
        if apex not in self._servers:
            primary = self.inventory.primary_of(apex)
            fixed = self.inventory.dns_servers.get(apex, ())
            self._servers[apex] = self.name_servers.name_servers(apex, primary, fixed)
        return self._servers[apex]


def _told(asked: list[tuple[Record, str]], answers: list[str | None]) -> dict[Record, str]:
    return {record: why for (record, _), why in zip(asked, answers, strict=True) if why}
