"""A resolver (unbound) between an ACME server and the name servers: it asks any of them and follows aliases.

pebble follows no CNAME by itself. The resolver remembers nothing, so an answer is always that of a name server now; it
may be the one that lags.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from sslops.model.inventory import Endpoint
from tests.world.loopback import DNS_PORT, fresh_address
from tests.world.peers import need
from tests.world.programs import Program, listens

if TYPE_CHECKING:
    from pathlib import Path

    from tests.world.dns import DnsWorld


class Resolver:
    """A running resolver for the zones of a `DnsWorld`; it refuses all other names."""

    def __init__(self, folder: Path, world: DnsWorld, port: int = DNS_PORT) -> None:
        """Start it with its files below *folder*."""
        self.endpoint = Endpoint(fresh_address(), port)
        folder.mkdir(parents=True)
        config = folder / "unbound.conf"
        config.write_text(_configuration(folder, self.endpoint, world))
        self._program = Program([need("unbound"), "-d", "-c", config], folder / "log")
        self._program.wait_until(lambda: listens(self.endpoint.address, self.endpoint.port))

    def stop(self) -> None:
        """End it; its address then refuses."""
        self._program.stop()


def _configuration(folder: Path, endpoint: Endpoint, world: DnsWorld) -> str:
    servers = (world.primary, world.secondary)
    stubs = "".join(
        f'stub-zone:\n    name: "{apex}"\n    stub-no-cache: yes\n'
        + "".join(f"    stub-addr: {server.address}@{server.port}\n" for server in servers)
        for apex in world.apexes
    )
    open_zones = "".join(f'    local-zone: "{apex}" transparent\n' for apex in world.apexes)
    return f"""\
server:
    interface: {endpoint.address}@{endpoint.port}
    outgoing-interface: {endpoint.address}
    access-control: 127.0.0.0/8 allow
    directory: "{folder}"
    username: ""
    chroot: ""
    pidfile: ""
    use-syslog: no
    num-threads: 1
    module-config: "iterator"
    do-ip6: no
    do-not-query-localhost: no
    qname-minimisation: no
    cache-max-ttl: 0
    cache-max-negative-ttl: 0
    local-zone: "." refuse
{open_zones}remote-control:
    control-enable: no
{stubs}"""
