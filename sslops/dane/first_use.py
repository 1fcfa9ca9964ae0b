"""Before the first record of a name: does everything that may answer under it show what the record will say?

Our hosts are asked by deploy and the ledger has what they said; the addresses of the name itself are asked here too,
because an MX may be somebody else's machine.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from sslops.model.cause import Cause
from sslops.model.inventory import Endpoint

if TYPE_CHECKING:
    from collections.abc import Mapping

    from sslops.model.names import GenerationId, ServiceId
    from sslops.model.observations import PortSeen


@dataclass(frozen=True, slots=True)
class AddressSeen:
    """What the port of one address of a name showed."""

    address: str
    port: int
    seen: PortSeen
    host: str | None = None
    """The host of the inventory that was asked by its own address; null: an address of the name."""


@dataclass(frozen=True, slots=True)
class Live:
    """One service before the first record of a name: what is live of it, and what each of its hosts is proven to serve.

    *is_new*: no generation of it was ever live, so no host can serve one.
    """

    service: ServiceId
    curr: GenerationId | None
    cert_sha256: str | None = None
    hosts: Mapping[str, GenerationId | None] = field(default_factory=dict)
    is_new: bool = False


@dataclass(frozen=True, slots=True)
class FirstUse:
    """What is known before the first record: the services, each with its hosts, and the addresses of the name."""

    services: tuple[Live, ...]
    addresses: tuple[AddressSeen, ...] = ()

    def unproven_host(self) -> tuple[str, Cause] | None:
        """Return why it is not certain that every host serves what is live, and the cause; null when it is."""
        live = [each for each in self.services if not (each.is_new and each.curr is None)]
        if not live:
            return "no certificate is live yet", Cause.EARLIER_STEP
        for each in live:
            if each.curr is None:
                return f"no certificate of {each.service} is live any more", Cause.EARLIER_STEP
            if not each.hosts:
                return f"no host serves {each.curr}", Cause.NO_HOST
            host = next((host for host, settled in sorted(each.hosts.items()) if settled != each.curr), None)
            if host is not None:
                return f"{host} is not yet verified to serve {each.curr}", Cause.EARLIER_STEP
        return None

    def unproven_address(self) -> str | None:
        """Return an address that shows anything but what is live; the empty string when there is none."""
        certificates = frozenset(each.cert_sha256 for each in self.services if each.cert_sha256 is not None)
        return unproven_address(self.addresses, certificates)


def unproven_address(addresses: tuple[AddressSeen, ...], certificates: frozenset[str]) -> str | None:
    """Return an address that shows anything but *certificates* (SHA-256), or nothing; null: all show only these.

    The empty string: there is no address to ask, or no certificate to expect.
    """
    if not certificates or not addresses:
        return ""
    shown = {entry.address: False for entry in addresses}
    for entry in addresses:
        if entry.seen.error is None and not (entry.seen.certificates and entry.seen.certificates <= certificates):
            return str(Endpoint(entry.address, entry.port))
        shown[entry.address] |= entry.seen.error is None
    return next((address for address, answered in sorted(shown.items()) if not answered), None)
