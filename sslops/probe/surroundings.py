"""What one name server answers at and around a name that is about to begin, or to cease, to exist.

A wildcard shows in the signatures, or where there are none in what a name that nobody made is answered.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from sslops.dane.wildcards import is_host, names_above, types_at, types_below
from sslops.model.observations import Surroundings, WildcardAnswer
from sslops.probe.dns_question import UNKNOWN_WILDCARD, ask, records_of, stranger, wildcard_of, zone_cut

if TYPE_CHECKING:
    from collections.abc import Iterator

    import dns.message

    from sslops.model.inventory import Endpoint
    from sslops.probe.dns_question import Conversation, Patience


def surroundings(
    endpoint: Endpoint, apex: str, owner: str, patience: Patience, conversation: Conversation | None = None
) -> Surroundings:
    """Return what the existence of *owner* decides in the zone *apex* as *endpoint* has it; DnsError without an answer.

    Both names are as elsewhere: *owner* absolute and lower case, *apex* without the last dot.
    """
    place = _Place(endpoint, f"{apex.rstrip('.')}.", patience, conversation)
    cut = zone_cut(place.ask(owner, "TLSA"), place.apex, owner)
    if cut is not None:
        return Surroundings(cut=cut)
    above = names_above(owner, apex)
    ending = [answer for name in above for answer in (*place.at(name), *place.below(name))]
    if is_host(owner):
        # Any record ends all that a wildcard gives the owner; an alias could not stand beside it (RFC 2181, 10.1).
        ending += [answer for answer in place.at(owner) if answer.rdtype not in {"TXT", "CNAME"}]
        ending += place.below(owner)
    return Surroundings(tuple(ending), tuple(place.uncovered(owner, (*above, place.apex))))


class _Place:
    """One name server of one zone."""

    def __init__(self, endpoint: Endpoint, apex: str, patience: Patience, conversation: Conversation | None) -> None:
        self.apex = apex
        self._endpoint, self._patience, self._conversation = endpoint, patience, conversation

    def ask(self, name: str, rdtype: str) -> dns.message.Message:
        return ask(self._endpoint, name, rdtype, self._patience, is_signed=True, conversation=self._conversation)

    def at(self, name: str) -> Iterator[WildcardAnswer]:
        """Yield what a wildcard answers for *name* itself."""
        for rdtype in types_at(name):
            response = self.ask(name, rdtype)
            wildcard = self._wildcard(response, name, rdtype)
            if wildcard is not None:
                yield _answer(response, name, rdtype, name, wildcard)

    def below(self, name: str) -> Iterator[WildcardAnswer]:
        """Yield what a wildcard that stands above *name* answers for names below it."""
        below = f"{stranger()}.{name}"
        for asked in types_below(name):
            response, rdtype = self.ask(below, asked), asked
            if asked == "TLSA" and _leads_to(response, "TLSA") and not is_host(name):
                rdtype = "CNAME"
            wildcard = self._wildcard(response, below, rdtype)
            if wildcard is not None and self._is_above(wildcard, name, rdtype, response, below):
                yield _answer(response, below, rdtype, f"*.{name}", wildcard)

    def uncovered(self, owner: str, above: tuple[str, ...]) -> Iterator[WildcardAnswer]:
        """Yield what the nearest wildcard with TLSA records would answer for *owner* if it had no records of its own.

        Whether a name between exists for another reason only its own records tell; without any it is passed over.
        """
        for name in above:
            literal = f"*.{name}"
            response = self.ask(literal, "TLSA")
            # A signature of its own leaves out the asterisk (RFC 4034 section 3.1.3).
            if self._wildcard(response, literal, "TLSA") in {literal, None} and records_of(response, literal, "TLSA"):
                yield _answer(response, literal, "TLSA", owner, literal)
                return
            if any(self._is_own(name, rdtype) for rdtype in types_at(name)):
                return

    def _wildcard(self, response: dns.message.Message, name: str, rdtype: str) -> str | None:
        return wildcard_of(response, self._endpoint, name, rdtype, self._patience, self._conversation)

    def _is_own(self, name: str, rdtype: str) -> bool:
        response = self.ask(name, rdtype)
        return records_of(response, name, rdtype) is not None and self._wildcard(response, name, rdtype) is None

    def _is_above(self, wildcard: str, name: str, rdtype: str, response: dns.message.Message, below: str) -> bool:
        """Whether *wildcard* is that of a name above *name*, and not one of *name*'s own, which stays."""
        if wildcard != UNKNOWN_WILDCARD:
            return wildcard.count(".") <= name.count(".")
        beside = f"{stranger()}.{name.partition('.')[2]}"
        other = records_of(self.ask(beside, rdtype), beside, rdtype)
        return other is not None and set(other) == set(records_of(response, below, rdtype) or ())


def _leads_to(response: dns.message.Message, rdtype: str) -> bool:
    """Whether an alias in the answer ends at records of *rdtype*."""
    import dns.rdatatype

    kinds = {rrset.rdtype for rrset in response.answer}
    return {dns.rdatatype.CNAME, dns.rdatatype.from_text(rdtype)} <= kinds


def _answer(response: dns.message.Message, asked: str, rdtype: str, name: str, wildcard: str) -> WildcardAnswer:
    found = records_of(response, asked, rdtype)
    if found is None:
        raise AssertionError(asked)
    return WildcardAnswer(name, rdtype, found.ttl, tuple(sorted(record.to_text() for record in found)), wildcard)
