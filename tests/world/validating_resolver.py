"""A validating resolver with a cache (unbound), as a mail sender's: it trusts the keys of the zones of a `DnsWorld`.

It answers on port 53 too where the test may take it, since programs that use the C library know no other.
"""

from __future__ import annotations

import os
import subprocess
from typing import TYPE_CHECKING

from sslops.model.inventory import Endpoint
from tests.world.loopback import DNS_PORT, fresh_address
from tests.world.peers import need
from tests.world.programs import Program, listens

if TYPE_CHECKING:
    from collections.abc import Collection, Sequence
    from pathlib import Path

    from tests.world.dns import DnsWorld

WELL_KNOWN_PORT = 53


class ValidatingResolver:
    """A running resolver for the zones of a `DnsWorld`; it refuses all other names.

    It keeps answers for their TTL, and asks whichever name server it likes.
    """

    def __init__(
        self,
        folder: Path,
        world: DnsWorld,
        *,
        servers: Sequence[Endpoint] | None = None,
        untrusted: Collection[str] = (),
    ) -> None:
        """Start it with its files below *folder*.

        *servers* are asked in place of those of *world*. It has no keys for the apexes in *untrusted*: to it they are
        unsigned.
        """
        self.endpoint = Endpoint(fresh_address(), DNS_PORT)
        folder.mkdir(parents=True)
        config = folder / "unbound.conf"
        config.write_text(
            _configuration(folder, self.endpoint, world, servers or (world.primary, world.secondary), untrusted)
        )
        self.resolv_conf = folder / "resolv.conf"
        """What the C library reads to ask it."""
        self.resolv_conf.write_text(f"nameserver {self.endpoint.address}\noptions trust-ad edns0\n")
        self._program = Program([need("unbound"), "-d", "-c", config], folder / "log")
        self._program.wait_until(lambda: listens(self.endpoint.address, self.endpoint.port))

    def stop(self) -> None:
        """End it; its address then refuses."""
        self._program.stop()


def _ports() -> tuple[int, ...]:
    return (DNS_PORT, WELL_KNOWN_PORT) if os.geteuid() == 0 else (DNS_PORT,)


def _anchors(world: DnsWorld, apex: str) -> list[str]:
    words: list[str | Path] = [need("keymgr"), "-c", world.folder / "ns1/knot.conf", apex, "ds"]
    done = subprocess.run(words, check=True, capture_output=True, timeout=30, text=True)
    return [line for line in done.stdout.splitlines() if " DS " in line]


def _configuration(
    folder: Path, endpoint: Endpoint, world: DnsWorld, servers: Sequence[Endpoint], untrusted: Collection[str]
) -> str:
    stubs = "".join(
        f'stub-zone:\n    name: "{apex}"\n'
        + "".join(f"    stub-addr: {server.address}@{server.port}\n" for server in servers)
        for apex in world.apexes
    )
    zones = "".join(
        f'    local-zone: "{apex}" transparent\n'
        + "".join(f'    trust-anchor: "{anchor}"\n' for anchor in _anchors(world, apex) if apex not in untrusted)
        for apex in world.apexes
    )
    interfaces = "".join(f"    interface: {endpoint.address}@{port}\n" for port in _ports())
    return f"""\
server:
{interfaces}    outgoing-interface: {endpoint.address}
    access-control: 127.0.0.0/8 allow
    directory: "{folder}"
    username: ""
    chroot: ""
    pidfile: ""
    use-syslog: no
    num-threads: 1
    module-config: "validator iterator"
    do-ip6: no
    do-not-query-localhost: no
    qname-minimisation: no
    # A bogus answer, and a server that was down, are asked again at once: tests change such things.
    val-bogus-ttl: 0
    infra-host-ttl: 1
    val-log-level: 2
    local-zone: "." refuse
{zones}remote-control:
    control-enable: no
{stubs}"""
