"""unbound on an address of its own: it answers for the zones of a `DnsWorld` and refuses all other names."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from sslops.model.inventory import Endpoint
from tests.world.loopback import fresh_address
from tests.world.peers import need
from tests.world.programs import Program, listens

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from pathlib import Path


@dataclass(frozen=True, slots=True)
class Settings:
    """How one unbound differs: its ports (the first is told in `endpoint`), and lines of its configuration."""

    ports: Sequence[int]
    server: Sequence[str]
    stub: Sequence[str] = ()
    """For each zone's `stub-zone` clause."""
    zones: Mapping[str, Sequence[str]] = field(default_factory=dict)
    """For the `server` clause, by apex."""


class Unbound:
    """A running resolver that asks *servers* about *apexes*."""

    def __init__(self, folder: Path, apexes: Sequence[str], servers: Sequence[Endpoint], settings: Settings) -> None:
        """Start it with its files below *folder*."""
        self.endpoint = Endpoint(fresh_address(), settings.ports[0])
        folder.mkdir(parents=True)
        config = folder / "unbound.conf"
        config.write_text(_configuration(folder, self.endpoint.address, apexes, servers, settings))
        self._program = Program([need("unbound"), "-d", "-c", config], folder / "log")
        self._program.wait_until(lambda: listens(self.endpoint.address, self.endpoint.port))

    def stop(self) -> None:
        """End it; its address then refuses."""
        self._program.stop()


def _configuration(
    folder: Path, address: str, apexes: Sequence[str], servers: Sequence[Endpoint], settings: Settings
) -> str:
    lines = [
        "server:",
        *(f"    interface: {address}@{port}" for port in settings.ports),
        f"    outgoing-interface: {address}",
        "    access-control: 127.0.0.0/8 allow",
        f'    directory: "{folder}"',
        '    username: ""',
        '    chroot: ""',
        '    pidfile: ""',
        "    use-syslog: no",
        "    num-threads: 1",
        "    do-ip6: no",
        "    do-not-query-localhost: no",
        "    qname-minimisation: no",
        *(f"    {line}" for line in settings.server),
        '    local-zone: "." refuse',
    ]
    for apex in apexes:
        lines += [f'    local-zone: "{apex}" transparent', *(f"    {line}" for line in settings.zones.get(apex, ()))]
    lines += ["remote-control:", "    control-enable: no"]
    for apex in apexes:
        lines += ["stub-zone:", f'    name: "{apex}"', *(f"    {line}" for line in settings.stub)]
        lines += [f"    stub-addr: {server.address}@{server.port}" for server in servers]
    return "\n".join([*lines, ""])
