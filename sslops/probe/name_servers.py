"""What the authoritative servers of an apex show, each asked by address; and where an apex keeps its servers and mail.

A server is believed when one of its addresses answers; where its addresses disagree the worst is taken for true.
"""

from __future__ import annotations

import ipaddress
import re
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, replace
from itertools import chain
from typing import TYPE_CHECKING

from sslops.dane.wildcards import joined
from sslops.errors import DnsError
from sslops.model.inventory import Endpoint
from sslops.model.names import is_address
from sslops.model.observations import ServerSeen, Surroundings
from sslops.model.tlsa import EMPTY, Rrset
from sslops.probe.dns_question import (
    AliasError,
    Conversation,
    FamilyLackingError,
    Patience,
    SilentError,
    ask,
    authoritative_tlsa,
    broken,
    distrust,
    has_way_to,
    is_authoritative,
    is_recursive,
    records_of,
)
from sslops.probe.surroundings import surroundings

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Mapping
    from concurrent.futures import Executor

    import dns.message
    import dns.rdata


MAX_HOSTS = 64
"""More name servers, mail hosts or addresses than this are an attack or an accident."""

WORKERS = 32
MOST_ADDRESSES = 64
"""So many addresses of name servers are asked at a time."""
CONNECTIONS = 4
"""By TCP so many at once to one address: name servers limit them."""

_HOST_NAME = re.compile(r"(?=.{1,254}\Z)([a-z0-9_]([a-z0-9_-]{0,61}[a-z0-9_])?\.)+\Z")


@dataclass(frozen=True, slots=True)
class _Answer:
    """What one address said for one owner: records, or why not."""

    rrset: Rrset | None = None
    error: DnsError | None = None


_Answers = list[tuple[tuple[Endpoint, str], _Answer]]


class Resolver:
    """Asks name servers by address; without a given one, the resolver of this machine.

    *say* hears what a person should know and the answers do not tell: address families skipped, dead addresses.
    """

    def __init__(
        self, say: Callable[[str], None] = lambda _: None, patience: Patience = Patience(), *, is_quick: bool = False
    ) -> None:
        """Use *patience* for each question; *is_quick* asks for TLSA by UDP, which is no base for a decision."""
        self._say = say
        self._patience = patience
        self._by_udp_only: set[Endpoint] = set()
        self._is_quick = is_quick

    def name_servers(
        self, apex: str, primary: Endpoint | None, fixed: tuple[Endpoint, ...]
    ) -> dict[str, tuple[Endpoint, ...]]:
        """Return the servers of *apex*: each of *fixed* if given, else every NS with every address it has, port 53.

        Of *fixed*, addresses of a family that this machine lacks are left out, and said, unless none would be left. A
        server without an address has none in the value. DnsError when the NS records themselves are not to be had.
        """
        if fixed:
            return {str(endpoint): self._addresses_of(endpoint, primary) for endpoint in self._within_reach(fixed)}
        names = [host_name(str(record.target), apex) for record in self._about(apex, "NS", primary)]  # type: ignore[attr-defined]
        if not names:
            raise DnsError(
                f"'{apex}' has no name servers", hint="set dns_primary or dns_servers in inventory/sslops.yaml"
            )
        with ThreadPoolExecutor(WORKERS) as pool:
            found = pool.map(lambda name: self._addresses_or_none(name, primary), names)
            return {name: tuple(map(Endpoint, addresses)) for name, addresses in zip(names, found, strict=True)}

    def mx(self, apex: str, via: Endpoint | None) -> tuple[str, ...]:
        """Return the MX hosts of *apex*, absolute and lower case, sorted; empty when there is none.

        A null MX (RFC 7505) names no host. DnsError when the question was not answered, or the domain does not exist.
        """
        targets = (str(record.exchange) for record in self._about(apex, "MX", via))  # type: ignore[attr-defined]
        return tuple(sorted({host_name(target, apex) for target in targets if target != "."}))

    def addresses(self, host: str, via: Endpoint | None) -> tuple[str, ...]:
        """Return every A and AAAA of *host*, IPv4 first; empty when it has none. DnsError when it was not answered.

        *via* is asked first; a name that it is not responsible for goes to the resolver of this machine.
        """
        found = {str(record.address) for rdtype in ("A", "AAAA") for record in self._anywhere(host, rdtype, via)}  # type: ignore[attr-defined]
        return tuple(sorted(found, key=lambda text: (":" in text, ipaddress.ip_address(text).packed)))

    def texts(self, name: str, via: Endpoint | None) -> tuple[str, ...]:
        """Return every TXT record of *name*, its strings joined; empty when it has none.

        *via* is asked first, as for `addresses`. DnsError when it was not answered.
        """
        found = (b"".join(record.strings) for record in self._anywhere(name, "TXT", via))  # type: ignore[attr-defined]
        return tuple(sorted(each.decode("utf-8", "replace") for each in found))

    def tlsa(self, servers: Mapping[str, tuple[Endpoint, ...]], owners: Iterable[str]) -> tuple[ServerSeen, ...]:
        """Ask every address of every server for every owner, in parallel, and return one value for each server.

        By TCP, since nobody off the path can forge that; an address that does not answer there is asked by UDP, and
        that is said. *owners* are absolute, lower-case names. A server that gives no usable answer has `error` set.
        """
        return self.tlsa_of_zones({"": (servers, owners)})[""]

    def tlsa_of_zones(
        self, zones: Mapping[str, tuple[Mapping[str, tuple[Endpoint, ...]], Iterable[str]]]
    ) -> dict[str, tuple[ServerSeen, ...]]:
        """Ask as `tlsa` does for many zones at once: apex to its servers and owners, and to what each of them shows.

        An address that serves several of them is asked over the same connections, and an address that gives no answer
        costs one time-out, whatever it is asked for.
        """
        self._by_udp_only.clear()
        asked = {apex: (servers, tuple(sorted(set(owners)))) for apex, (servers, owners) in zones.items()}
        wanted: dict[Endpoint, dict[str, None]] = {}
        for servers, owners in asked.values():
            for endpoint in (each for addresses in servers.values() for each in addresses):
                wanted.setdefault(endpoint, {}).update(dict.fromkeys(owners))
        answers = self._ask_all({endpoint: tuple(owners) for endpoint, owners in wanted.items() if owners})
        return {
            apex: tuple(self._merge(name, servers[name], owners, answers) for name in sorted(servers))
            for apex, (servers, owners) in asked.items()
        }

    def _ask_all(self, wanted: Mapping[Endpoint, tuple[str, ...]]) -> dict[tuple[Endpoint, str], _Answer]:
        if not wanted:
            return {}
        most = min(len(wanted), MOST_ADDRESSES)
        with ThreadPoolExecutor(most) as addresses, ThreadPoolExecutor(most * CONNECTIONS) as connections:
            found = addresses.map(lambda endpoint: self._ask_one(endpoint, wanted[endpoint], connections), wanted)
            return dict(chain.from_iterable(found))

    def _ask_one(self, endpoint: Endpoint, owners: tuple[str, ...], pool: Executor) -> _Answers:
        """Ask one address for all *owners*: first for one, so that a dead one costs its time-outs once."""
        first, rest = owners[:1], owners[1:]
        with Conversation(endpoint) as conversation:
            found = self._tlsa_of(endpoint, first, conversation)
            if _is_silent(found[0][1]):
                return found + [((endpoint, owner), found[0][1]) for owner in rest]
            count = CONNECTIONS if self._speaks_tcp(endpoint) else WORKERS
            own, *others = [part for number in range(count) if (part := rest[number::count])] or [()]
            under_way = [pool.submit(self._tlsa_elsewhere, endpoint, part) for part in others]
            found += self._tlsa_of(endpoint, own, conversation)
            return found + [answer for future in under_way for answer in future.result()]

    def _tlsa_elsewhere(self, endpoint: Endpoint, owners: tuple[str, ...]) -> _Answers:
        with Conversation(endpoint) as conversation:
            return self._tlsa_of(endpoint, owners, conversation)

    def _tlsa_of(self, endpoint: Endpoint, owners: tuple[str, ...], conversation: Conversation) -> _Answers:
        """Ask for *owners* over one connection; once the address gives no answer nobody waits for the rest of it."""
        if len(owners) > 1 and self._speaks_tcp(endpoint):
            conversation.ask_ahead(owners, self._patience.timeout_seconds)
        found: _Answers = []
        for owner in owners:
            is_over = bool(found) and _is_silent(found[-1][1])
            found.append(((endpoint, owner), found[-1][1] if is_over else self._answer(endpoint, owner, conversation)))
        return found

    def _answer(self, endpoint: Endpoint, owner: str, conversation: Conversation) -> _Answer:
        try:
            found = self._by_tcp(endpoint, owner, conversation)
            return _Answer(authoritative_tlsa(endpoint, owner, self._patience) if found is None else found)
        except DnsError as error:
            return _Answer(error=error)

    def _by_tcp(self, endpoint: Endpoint, owner: str, conversation: Conversation) -> Rrset | None:
        """Return the answer by TCP; null when the address has none there, which is found out once."""
        if not self._speaks_tcp(endpoint):
            return None
        try:
            return authoritative_tlsa(endpoint, owner, replace(self._patience, tries=1), conversation)
        except SilentError:
            self._by_udp_only.add(endpoint)
            return None

    def _speaks_tcp(self, endpoint: Endpoint) -> bool:
        return not self._is_quick and endpoint not in self._by_udp_only

    def _merge(
        self,
        name: str,
        endpoints: tuple[Endpoint, ...],
        owners: tuple[str, ...],
        answers: Mapping[tuple[Endpoint, str], _Answer],
    ) -> ServerSeen:
        if not endpoints:
            return ServerSeen(name, error=f"name server '{name}' has no address")
        errors = {endpoint: error for endpoint in endpoints if (error := _first_error(endpoint, owners, answers))}
        alive = [endpoint for endpoint in endpoints if endpoint not in errors]
        if not alive:
            told = [error for error in errors.values() if not isinstance(error, FamilyLackingError)]
            return ServerSeen(name, error="; ".join(error.what for error in told or errors.values()))
        for error in errors.values():
            self._say(f"{error.what}; another address of '{name}' answered")
        for endpoint in self._by_udp_only.intersection(alive):
            self._say(f"name server '{endpoint}' does not answer by TCP (RFC 7766): what it says could be forged")
        seen = {owner: [_rrset_of(answers[endpoint, owner]) for endpoint in alive] for owner in owners}
        aliases = {
            owner: error.what
            for owner in owners
            for endpoint in alive
            if isinstance(error := answers[endpoint, owner].error, AliasError)
        }
        differing = frozenset(owner for owner, rrsets in seen.items() if len({each.records for each in rrsets}) > 1)
        worst = {owner: _worst(rrsets) for owner, rrsets in seen.items()}
        return ServerSeen(name, worst, differing=differing | aliases.keys(), aliases=aliases)

    def surroundings(
        self, servers: Mapping[str, tuple[Endpoint, ...]], apex: str, owners: Iterable[str]
    ) -> dict[str, Surroundings]:
        """Return for each of *owners* in the zone *apex* what its existence decides, all that any server tells.

        Owners are absolute, lower-case names. Where no server of the zone answers, or two tell different things, the
        value has `error` set: what one of them says may be carried into the zone.
        """
        wanted = sorted(set(owners))
        asked = [(owner, addresses) for owner in wanted for addresses in servers.values()]
        with ThreadPoolExecutor(WORKERS) as pool:
            found = list(pool.map(lambda each: self._surroundings_at(each[1], apex, each[0]), asked))
        return {
            owner: joined([near for (about, _), near in zip(asked, found, strict=True) if about == owner])
            for owner in wanted
        }

    def _surroundings_at(self, addresses: tuple[Endpoint, ...], apex: str, owner: str) -> Surroundings:
        """Return what the first address that answers tells."""
        errors = []
        for endpoint in addresses:
            try:
                return self._surroundings_of(endpoint, apex, owner)
            except DnsError as error:
                errors.append(error.what)
        return Surroundings(error="; ".join(errors) or "a name server has no address")

    def _surroundings_of(self, endpoint: Endpoint, apex: str, owner: str) -> Surroundings:
        """Ask by TCP, and by UDP an address that has none there."""
        if self._speaks_tcp(endpoint):
            try:
                with Conversation(endpoint) as conversation:
                    return surroundings(endpoint, apex, owner, self._patience, conversation)
            except SilentError:
                self._by_udp_only.add(endpoint)
        return surroundings(endpoint, apex, owner, self._patience)

    def unsigned(self, validator: Endpoint, owners: Iterable[str]) -> dict[str, str]:
        """Return the owners that *validator* does not vouch for, each with the reason."""
        asked = sorted(set(owners))
        with ThreadPoolExecutor(WORKERS) as pool:
            found = pool.map(lambda owner: distrust(validator, owner, self._patience), asked)
            return {owner: why for owner, why in zip(asked, found, strict=True) if why is not None}

    def bogus(self, validator: Endpoint, questions: Iterable[tuple[str, str]]) -> dict[tuple[str, str], str]:
        """Return those of *questions* (name, record type) that *validator* finds bogus, each with the reason."""
        asked = sorted(set(questions))
        with ThreadPoolExecutor(WORKERS) as pool:
            found = pool.map(lambda question: broken(validator, question[0], question[1], self._patience), asked)
            return {question: why for question, why in zip(asked, found, strict=True) if why is not None}

    def _about(self, apex: str, rdtype: str, via: Endpoint | None) -> list[dns.rdata.Rdata]:
        """Return records of *apex* itself; a domain that does not exist has no say about its mail."""
        if via is None:
            return _system(apex, rdtype, self._patience, must_exist=True)
        import dns.rcode

        response = ask(via, apex, rdtype, self._patience, recursive=True)
        if response.rcode() != dns.rcode.NOERROR or not _is_final(response):
            rcode = dns.rcode.to_text(response.rcode())
            raise DnsError(f"name server '{via}' does not know '{apex}' ({rcode})", hint="look at dns_primary")
        return _bounded(list(records_of(response, apex, rdtype) or ()), apex)

    def _anywhere(self, host: str, rdtype: str, via: Endpoint | None) -> list[dns.rdata.Rdata]:
        """Return address records of *host*, following aliases."""
        if via is None:
            return _system(host, rdtype, self._patience)
        import dns.exception
        import dns.rcode

        response = ask(via, host, rdtype, self._patience, recursive=True)
        if response.rcode() not in (dns.rcode.NOERROR, dns.rcode.NXDOMAIN) or not _is_final(response):
            return _system(host, rdtype, self._patience)
        try:
            chain = response.resolve_chaining()  # type: ignore[attr-defined]
        except dns.exception.DNSException as error:
            raise DnsError(f"name server '{via}' gave a broken answer for {rdtype} '{host}'") from error
        if chain.answer is None and chain.cnames:
            return _system(str(chain.canonical_name), rdtype, self._patience)
        return _bounded(list(chain.answer or ()), host)

    def _within_reach(self, endpoints: tuple[Endpoint, ...]) -> tuple[Endpoint, ...]:
        near = tuple(endpoint for endpoint in endpoints if has_way_to(endpoint))
        for endpoint in endpoints:
            if near and endpoint not in near:
                self._say(f"name server '{endpoint}' is left out: this machine lacks its address family")
        return near or endpoints

    def _addresses_of(self, endpoint: Endpoint, primary: Endpoint | None) -> tuple[Endpoint, ...]:
        if is_address(endpoint.address):
            return (endpoint,)
        return tuple(Endpoint(address, endpoint.port) for address in self._addresses_or_none(endpoint.address, primary))

    def _addresses_or_none(self, name: str, primary: Endpoint | None) -> tuple[str, ...]:
        try:
            return self.addresses(name, primary)
        except DnsError as error:
            self._say(error.what)
            return ()


def alias_of(name: str, via: Endpoint | None, patience: Patience) -> str | None:
    """Return where the CNAME of *name*, in whosever zone, leads (absolute, lower case); null when it has none.

    *via* is asked, or the resolver of this machine: where it is null, and where it does not know the name.
    """
    import dns.rcode

    found: list[dns.rdata.Rdata] | None = None
    if via is not None:
        response = ask(via, name, "CNAME", patience, recursive=True)
        if response.rcode() in (dns.rcode.NOERROR, dns.rcode.NXDOMAIN) and _is_final(response):
            found = list(records_of(response, name, "CNAME") or ())
    if found is None:
        found = _system(name, "CNAME", patience)
    return str(found[0].target).lower() if found else None  # type: ignore[attr-defined]


def _first_error(
    endpoint: Endpoint, owners: tuple[str, ...], answers: Mapping[tuple[Endpoint, str], _Answer]
) -> DnsError | None:
    given = (answers.get((endpoint, owner)) for owner in owners)
    return next((answer.error for answer in given if answer and _is_dead(answer)), None)


def _is_dead(answer: _Answer) -> bool:
    """Whether the address gave no answer; that a name is an alias is one, about that name alone."""
    return answer.error is not None and not isinstance(answer.error, AliasError)


def _is_silent(answer: _Answer) -> bool:
    """Whether the address itself said nothing, whatever it would be asked; a refusal is about one name."""
    return isinstance(answer.error, SilentError | FamilyLackingError)


def _rrset_of(answer: _Answer) -> Rrset:
    if isinstance(answer.error, AliasError):
        return answer.error.rrset
    return answer.rrset or EMPTY


def _worst(rrsets: list[Rrset]) -> Rrset:
    """Return what all addresses agree on, with the largest TTL any of them gives."""
    records = frozenset.intersection(*(rrset.records for rrset in rrsets))
    wildcard = next((rrset.wildcard for rrset in rrsets if rrset.wildcard is not None), None)
    return Rrset(max(rrset.ttl_seconds for rrset in rrsets), records, wildcard)


def _is_final(response: dns.message.Message) -> bool:
    return is_authoritative(response) or is_recursive(response)


def host_name(text: str, apex: str) -> str:
    """Return a host name that DNS gave for *apex*, lower case; DnsError when it is none."""
    name = text.lower()
    if not _HOST_NAME.match(name):
        raise DnsError(f"DNS names a host for '{apex}' that is no host name")
    return name


def _bounded(records: list[dns.rdata.Rdata], name: str) -> list[dns.rdata.Rdata]:
    if len(records) > MAX_HOSTS:
        raise DnsError(f"'{name}' has {len(records)} records of one kind; {MAX_HOSTS} are believed")
    return records


def _system(name: str, rdtype: str, patience: Patience, *, must_exist: bool = False) -> list[dns.rdata.Rdata]:
    """Ask the resolver of this machine."""
    import dns.exception
    import dns.resolver

    try:
        resolver = dns.resolver.Resolver()
        lifetime = patience.timeout_seconds * patience.tries * 2
        answer = resolver.resolve(name, rdtype, raise_on_no_answer=False, search=False, lifetime=lifetime)
    except dns.resolver.NXDOMAIN as error:
        if must_exist:
            raise DnsError(f"'{name}' does not exist in DNS") from error
        return []
    except dns.exception.DNSException as error:
        raise DnsError(f"the system resolver gave no answer for {rdtype} '{name}'") from error
    return _bounded(list(answer.rrset or ()), name)
