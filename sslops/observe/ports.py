"""Whom a look at DNS asks: the DNS repository, and the name servers."""

from __future__ import annotations

from typing import TYPE_CHECKING, Protocol

if TYPE_CHECKING:
    from collections.abc import Collection, Iterable, Mapping
    from datetime import datetime

    from sslops.model.inventory import Endpoint
    from sslops.model.seen import DnsRepoSeen, ServerSeen

Servers = dict[str, tuple["Endpoint", ...]]
"""Authoritative servers by name, each with all its addresses."""


class Repository(Protocol):
    """The DNS repository as last fetched."""

    def apex(self, apex: str, anchors: Collection[str] = ()) -> DnsRepoSeen:
        """Return what it holds for *apex*; must raise StateError when the include file cannot be read."""
        ...


class NameServers(Protocol):
    """Authoritative servers, each asked by address; every method raises DnsError when it cannot answer."""

    def name_servers(self, apex: str, primary: Endpoint | None, fixed: tuple[Endpoint, ...]) -> Servers:
        """Return the servers of *apex*: *fixed* if given, else every address of every NS as *primary* tells."""
        ...

    def mx(self, apex: str, via: Endpoint | None) -> tuple[str, ...]:
        """Return the MX hosts of *apex*, absolute and lower case, sorted; empty when there is none."""
        ...

    def addresses(self, host: str, via: Endpoint | None) -> tuple[str, ...]:
        """Return every A and AAAA of *host*."""
        ...

    def tlsa(self, servers: Mapping[str, tuple[Endpoint, ...]], owners: Iterable[str]) -> tuple[ServerSeen, ...]:
        """Ask every server for every owner; a server that does not answer is a value with `error`, not an exception."""
        ...

    def unsigned(self, validator: Endpoint, owners: Iterable[str]) -> Mapping[str, str]:
        """Return the owners that a validating resolver does not vouch for, each with the reason."""
        ...


class Clock(Protocol):
    """The moment."""

    def now(self) -> datetime:
        """Return aware UTC in whole seconds, rounded down."""
        ...
