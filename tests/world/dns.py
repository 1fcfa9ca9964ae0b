"""A primary and a secondary name server (knot, DNSSEC-signed) that serve a checkout of a bare DNS repository.

A push to its `main` loads the zones, as a hook of a real site does. The secondary can be held back: it then goes on
answering what it had.
"""

from __future__ import annotations

import subprocess
from typing import TYPE_CHECKING

from sslops.model.inventory import Endpoint
from tests.world import dns_files
from tests.world.knot import Knot
from tests.world.loopback import DNS_PORT, fresh_address
from tests.world.peers import need
from tests.world.programs import wait_until
from tests.world.remotes import Person, bare_repository, git_environment, install_hook

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from pathlib import Path

PRIMARY = "ns1"
SECONDARY = "ns2"
APEXES = ("example.com", "example.net")


class DnsWorld:
    """Two name servers and the repository behind them; `primary` and `secondary` are where they answer."""

    def __init__(
        self,
        folder: Path,
        *,
        apexes: Sequence[str] = APEXES,
        mail: Mapping[str, Sequence[str]] | None = None,
        ttl_seconds: int = 1,
        repo: Path | None = None,
    ) -> None:
        """Start both servers below *folder*; *mail* maps an apex to the addresses of its MX host (192.0.2.1).

        *repo* is a bare repository of somebody else's, who calls `load` whenever its `main` moves.
        """
        self.folder = folder
        self.apexes = tuple(apexes)
        self.primary = Endpoint(fresh_address(), DNS_PORT)
        self.secondary = Endpoint(fresh_address(), DNS_PORT)
        folder.mkdir(parents=True, exist_ok=True)
        if repo is not None:
            (folder / "dns.git").symlink_to(repo)
        self.repo = repo or bare_repository(folder / "dns.git")
        hook = dns_files.deploy_hook(folder, need("kzonecheck"), need("knotc"), self.apexes)
        self._hook = install_hook(self.repo, "post-receive" if repo is None else "load-zones", hook)
        self._person = Person(self.repo, folder / "person")
        servers = (self.primary.address, self.secondary.address)
        zones = {
            apex: dns_files.zone_file(apex, servers, (mail or {}).get(apex, ("192.0.2.1",)), ttl_seconds)
            for apex in self.apexes
        }
        self.edit(dns_files.repository_files(zones), "the zones")
        if repo is not None:
            self.load()
        self._servers = {PRIMARY: Knot(self.folder / PRIMARY, self._primary_config())}
        self._wait_for_zones(PRIMARY)
        self._servers[SECONDARY] = Knot(self.folder / SECONDARY, self.secondary_config(SECONDARY, self.secondary))
        self.settle()

    def edit(self, files: Mapping[str, str | None], message: str = "an edit") -> str:
        """Push a commit with *files* (null: removed) to `main`, as a person would; return the commit."""
        return self._person.push(files, message)

    def read(self, path: str) -> str:
        """Return a file as the tip of `main` has it."""
        return self._person.show(f"main:{path}")

    def lag(self) -> None:
        """Hold the secondary back: it answers what it has now until `catch_up`."""
        self._servers[SECONDARY].lag()

    def catch_up(self) -> None:
        """Let the secondary follow again, and wait until both show the same."""
        self._servers[SECONDARY].follow()
        self.settle()

    def hold(self) -> None:
        """Let pushes be accepted without being loaded, until `release`."""
        (self.folder / "hold").touch()

    def release(self) -> None:
        """Load what was pushed meanwhile."""
        (self.folder / "hold").unlink()
        self.load()

    def load(self) -> None:
        """Load what `main` has now, as a hook does after a push; before the servers run it only checks it out."""
        subprocess.run(
            [self._hook], check=hasattr(self, "_servers"), timeout=30, env=git_environment(), capture_output=True
        )

    def stop(self, name: str) -> None:
        """Stop the server `ns1` or `ns2`; its address then refuses."""
        self._servers[name].stop()

    def start(self, name: str) -> None:
        """Start a stopped server again."""
        self._servers[name].start()

    def close(self) -> None:
        """End both servers."""
        for server in self._servers.values():
            server.stop()

    def endpoint(self, name: str) -> Endpoint:
        """Return where the server `ns1` or `ns2` answers."""
        return {PRIMARY: self.primary, SECONDARY: self.secondary}[name]

    def answers(self, server: str, owner: str, rdtype: str = "TLSA") -> frozenset[str]:
        """Return what `ns1` or `ns2` answers, each record as a zone file writes it; empty when there is none."""
        return self.rrset(server, owner, rdtype)[1]

    def rrset(self, server: str, owner: str, rdtype: str = "TLSA") -> tuple[int, frozenset[str]]:
        """Return TTL (seconds) and records that `ns1` or `ns2` answers; 0 and nothing when there are none."""
        return ask(self.endpoint(server), owner, rdtype)

    def show(self, owner: str, rdtype: str = "TLSA") -> tuple[frozenset[str], frozenset[str]]:
        """Return the answers of both servers."""
        return self.answers(PRIMARY, owner, rdtype), self.answers(SECONDARY, owner, rdtype)

    def settle(self) -> None:
        """Wait until the secondary has every zone as the primary has it."""
        wait_until(lambda: all(self._agree(apex) for apex in self.apexes), lambda: "the name servers differ")

    def _agree(self, apex: str) -> bool:
        primary, secondary = self.show(apex, "SOA")
        return bool(primary) and primary == secondary

    def _wait_for_zones(self, name: str) -> None:
        wait_until(lambda: all(self.answers(name, apex, "SOA") for apex in self.apexes), lambda: "no zone was loaded")

    def secondary_config(self, name: str, at: Endpoint) -> str:
        """Configure a secondary *name* of the primary, to answer *at*."""
        return dns_files.secondary_config(self.folder / name, _at(at), _at(self.primary), self.apexes)

    def _primary_config(self) -> str:
        home = self.folder / PRIMARY
        return dns_files.primary_config(home, _at(self.primary), _at(self.secondary), self.apexes)


def _at(endpoint: Endpoint) -> str:
    return f"{endpoint.address}@{endpoint.port}"


def ask(endpoint: Endpoint, owner: str, rdtype: str = "TLSA") -> tuple[int, frozenset[str]]:
    """Return TTL (seconds) and records that *endpoint* answers; 0 and nothing when there are none."""
    import dns.exception
    import dns.message
    import dns.query
    import dns.rdatatype

    query = dns.message.make_query(owner, rdtype)
    try:
        response = dns.query.tcp(query, endpoint.address, timeout=10, port=endpoint.port)
    except (OSError, dns.exception.DNSException):
        return 0, frozenset()
    wanted = dns.rdatatype.from_text(rdtype)
    found = [rrset for rrset in response.answer if rrset.rdtype == wanted]
    ttl_seconds = max((rrset.ttl for rrset in found), default=0)
    return ttl_seconds, frozenset(str(record) for rrset in found for record in rrset)
