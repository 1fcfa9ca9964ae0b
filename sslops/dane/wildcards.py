"""What begins and what ends when a name begins to exist: wildcards and empty non-terminals (RFC 4592).

A record at `_25._tcp.mail` makes `_tcp.mail` and `mail` exist. A wildcard answers only for names that do not exist: it
stops for all three, and for what lies below them. What somebody relies on there is looked at before the record is made.

>>> names_above("_25._tcp.mail.example.com.", "example.com")
('_tcp.mail.example.com.', 'mail.example.com.')
"""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

from sslops.model.observations import Surroundings

if TYPE_CHECKING:
    from sslops.model.observations import WildcardAnswer

_HOST_TYPES = ("A", "AAAA", "CNAME", "MX", "TXT", "CAA", "HTTPS", "SVCB", "SSHFP", "NAPTR", "URI")
_SERVICE_TYPES = ("TLSA", "SRV", "SVCB", "HTTPS", "URI")
_MOST_LINES = 12
"""More lines than these are counted and not quoted."""


def names_above(owner: str, apex: str) -> tuple[str, ...]:
    """Return the names between *owner* (absolute) and *apex*, nearest first: those that exist with it."""
    labels = owner.rstrip(".").split(".")
    depth = len(labels) - len(apex.rstrip(".").split("."))
    return tuple(f"{'.'.join(labels[place:])}." for place in range(1, depth))


def types_at(name: str) -> tuple[str, ...]:
    """Return the record types that somebody may ask *name* itself for; a name of a service, as `_tcp.mail`, has none.

    >>> types_at("_tcp.mail.example.com.")
    ()
    """
    return _HOST_TYPES if is_host(name) else ()


def types_below(name: str) -> tuple[str, ...]:
    """Return the record types that somebody may ask names below *name* for."""
    return tuple(dict.fromkeys((*_HOST_TYPES, *_SERVICE_TYPES))) if is_host(name) else _SERVICE_TYPES


def joined(found: list[Surroundings]) -> Surroundings:
    """Return what the servers of a zone answer alike, TTLs aside; an unreachable one is left out."""
    answered = [near for near in found if near.error is None]
    if not answered:
        return Surroundings(error="; ".join(sorted({near.error or "" for near in found})) or "no name server is known")
    told = {frozenset(replace(each, ttl_seconds=0) for each in (*near.ending, *near.beginning)) for near in answered}
    if len(told) > 1 or len({near.cut for near in answered}) > 1:
        return Surroundings(error="the name servers do not show the same")
    longest = {
        replace(answer, ttl_seconds=0): answer
        for answer in sorted(each for near in answered for each in (*near.ending, *near.beginning))
    }
    return replace(
        answered[0],
        ending=tuple(longest[replace(each, ttl_seconds=0)] for each in answered[0].ending),
        beginning=tuple(longest[replace(each, ttl_seconds=0)] for each in answered[0].beginning),
    )


def is_host(name: str) -> bool:
    """Whether no label of *name* begins with an underscore (RFC 8552): a host or a mail domain may have that name."""
    return not any(label.startswith("_") for label in name.split("."))


def lines(answers: tuple[WildcardAnswer, ...]) -> tuple[str, ...]:
    """Return the lines of a zone file that go on giving *answers* without the wildcard, sorted."""
    return tuple(sorted({line for answer in answers for line in answer.lines()}))


def ending_words(owner: str, near: Surroundings) -> str | None:
    """Say what ends when *owner* begins to exist, and what to add to the zone first; null when nothing does."""
    if not near.ending:
        return None
    names = {answer.name.removeprefix("*.") for answer in near.ending}
    exist, wildcards = ", ".join(sorted(names, key=len)), _sources(near.ending)
    return (
        f"a record at {owner} makes {exist} exist, and the wildcard {wildcards} no longer answers there "
        f"(RFC 4592): first add to the zone what is needed of {_quoted(near.ending)}"
    )


def beginning_words(owner: str, near: Surroundings) -> str | None:
    """Say what a wildcard would answer at *owner* once its own records are gone; null when nothing."""
    if not near.beginning:
        return None
    return (
        f"without records of its own {owner} is answered by the wildcard {_sources(near.beginning)} (RFC 4592), and no "
        f"server need match that: first take it out of the zone: {_quoted(near.beginning)}"
    )


def _sources(answers: tuple[WildcardAnswer, ...]) -> str:
    return ", ".join(sorted({answer.wildcard for answer in answers}))


def _quoted(answers: tuple[WildcardAnswer, ...]) -> str:
    found = lines(answers)
    more = f" (and {len(found) - _MOST_LINES} more)" if len(found) > _MOST_LINES else ""
    return ", ".join(f"'{line}'" for line in found[:_MOST_LINES]) + more
