"""Ask a port of a host what it serves, from the runner or, where `verify` says so, from the host itself through ssh."""

from __future__ import annotations

import contextlib
import hashlib
import time
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Protocol

from sslops.errors import Bug, PeerError, bugs_of
from sslops.model.observations import PortSeen
from sslops.probe.tls import NoSuchKeyError, ask_port, leaf_certificate, may_speak_otherwise, starttls_hint

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable

    from sslops.model.inventory import Host, Verify
    from sslops.probe.starttls import Channel


class Forwarder(Protocol):
    """Makes connections at the far end of an ssh connection."""

    def connect(self, host: Host, address: str, port: int, patience_seconds: float) -> Channel:
        """Return a channel from *host* to *address*:*port* for so many seconds; OSError when it cannot be begun.

        Where the far end gave no connection it must raise PeerError with the reason as soon as something is read.
        """
        ...


HERE = "127.0.0.1"
"""Where a port is asked on the machine itself."""
HINT_SECONDS = 10.0
"""For a question about the protocol that a port speaks, which may have to log in first."""
BRIEF_SECONDS = 20
"""How long a host may take that is asked only to be sure: a mail server that greets late is still heard."""
OWN = "own"
"""What `verify.address` says for the address where ssh goes."""


@dataclass(frozen=True, slots=True)
class AskedPorts:
    """The ports of all hosts; *sleep* takes seconds, *forwarder* connects at a host's end."""

    forwarder: Forwarder
    sleep: Callable[[float], None] = time.sleep

    def show(
        self,
        host: Host,
        verify: Verify,
        server_name: str,
        *,
        connections: int,
        over_seconds: float,
        key_types: tuple[str | None, ...] = (None,),
    ) -> PortSeen:
        """Make *connections* new connections for each of *key_types*, over *over_seconds*; return what they showed."""
        is_there = verify.asked_from == "host" and not host.is_local
        address = port_address(host, verify)
        if is_there:
            return self._through_host(host, verify, server_name, key_types, connections, over_seconds, address)
        return ask_port(
            address,
            verify.port,
            starttls=verify.starttls,
            server_name=server_name,
            key_types=key_types,
            connections=connections,
            over_seconds=over_seconds,
            timeout_seconds=verify.patience_seconds,
            sleep=self.sleep,
        )

    def from_hosts(
        self, hosts: Iterable[Host], address: str, verify: Verify, server_name: str, key_types: tuple[str | None, ...]
    ) -> PortSeen:
        """Ask *address* once for each of *key_types* from the first of *hosts* that gets there; else say why none did.

        Where the runner cannot reach a port, an address that need not be one of ours is asked from our hosts.
        """
        seen = PortSeen(error="no host to ask it from")
        for host in hosts:
            seen = self._through_host(host, verify, server_name, key_types, 1, 0, address)
            if seen.error is None:
                break
        return seen

    def _through_host(
        self,
        host: Host,
        verify: Verify,
        server_name: str,
        key_types: tuple[str | None, ...],
        connections: int,
        over_seconds: float,
        address: str,
    ) -> PortSeen:
        begun, found = time.monotonic(), set[str]()
        for number in range(connections):
            if number:
                self.sleep(over_seconds / (connections - 1))
            try:
                for key_type in key_types:
                    with contextlib.suppress(NoSuchKeyError):
                        found.add(self._once(host, address, verify, server_name, key_type))
            except (OSError, PeerError) as error:
                why = (
                    error.what
                    if isinstance(error, PeerError)
                    else (f"no answer within {verify.patience_seconds:g} s, or ssh ended")
                )
                said = f"asked on '{host.name}', at {address}: {why}"
                hint = (
                    None
                    if found or not may_speak_otherwise(error, verify.starttls)
                    else starttls_hint(self._opener(host, address, verify, HINT_SECONDS), verify.starttls, server_name)
                )
                return PortSeen(frozenset(found), number, time.monotonic() - begun, said, hint)
        return PortSeen(frozenset(found), connections, time.monotonic() - begun)

    def _once(self, host: Host, address: str, verify: Verify, server_name: str, key_type: str | None) -> str:
        connect = self._opener(host, address, verify, verify.patience_seconds)
        return hashlib.sha256(leaf_certificate(connect, verify.starttls, server_name, key_type)).hexdigest()

    def _opener(self, host: Host, address: str, verify: Verify, seconds: float) -> Callable[[], Channel]:
        return lambda: self.forwarder.connect(host, address, verify.port, seconds)


@dataclass(frozen=True, slots=True)
class GuardedPorts:
    """*ports*, of which an answer that nobody foresaw is a port that gave none, and a bug that *tell* hears of."""

    ports: AskedPorts
    tell: Callable[[Bug], None]

    def show(
        self,
        host: Host,
        verify: Verify,
        server_name: str,
        *,
        connections: int,
        over_seconds: float,
        key_types: tuple[str | None, ...] = (None,),
    ) -> PortSeen:
        """Make the connections, as `AskedPorts.show` does."""
        return guarded(
            f"port {verify.port} of '{host.name}'",
            lambda: self.ports.show(
                host,
                verify,
                server_name,
                connections=connections,
                over_seconds=over_seconds,
                key_types=key_types,
            ),
            self.tell,
        )


def guarded(about: str, ask: Callable[[], PortSeen], tell: Callable[[Bug], None]) -> PortSeen:
    """Return what *ask* sees; where a library raises what nobody foresaw, *tell* it and see a port without an answer.

    One server that speaks nonsense then stops what is about it, and nothing else.
    """
    try:
        with bugs_of(about):
            return ask()
    except Bug as bug:
        tell(bug)
        return PortSeen(error=bug.what)


def port_address(host: Host, verify: Verify) -> str:
    """Return which address is asked; where `verify` says so, from the host itself."""
    if verify.address == OWN and not host.is_local:
        return host.address
    if verify.address is not None and verify.address != OWN:
        return verify.address
    return HERE if verify.asked_from == "host" or host.is_local else host.address


def briefly(verify: Verify) -> Verify:
    """Return *verify* for a question that has to be short, because much is asked though little is in doubt."""
    return replace(verify, given_patience=min(int(verify.patience_seconds), BRIEF_SECONDS))
