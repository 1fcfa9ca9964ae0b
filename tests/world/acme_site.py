"""A site whose certificates come from an ACME CA: `Site`, with pebble behind a `Front` in place of the own CA.

`example.com` has `mail-ec` (DANE on port 25) and `web-ec`, `example.net` has `web-ec`, all by dns-01 from `le-dns`.
With a web host there is also `example.com/site-ec` by http-01 from `le-http`, for `web.example.com`.
"""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING

from tests.world.acme_faults import Front
from tests.world.acme_resolver import Resolver
from tests.world.acme_tls import EndpointCa
from tests.world.dns_files import ACME_DIR, ZONES
from tests.world.loopback import HTTP_PORT, fresh_address
from tests.world.pebble import Pebble, Policy
from tests.world.programs import Program, listens
from tests.world.site import MAIL_EC, WEB_EC, Site, host_entry
from tests.world.sshd import SshHost

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path

    from tests.world.forge import Forge

SERVICES = ("example.com/mail-ec", "example.com/web-ec", "example.net/web-ec")
WEB_HOST = "web.internal.example.com"
WEB_NAME = "web.example.com"
_CA_GROUP = "  - {domain: ca, active: true, services: ALL}\n"


class AcmeSite(Site):
    """A site with `pebble`, and in front of it `ca`, whose directory the inventory names; `web` when there is one."""

    def __init__(
        self,
        folder: Path,
        *,
        files: Mapping[str, str] | None = None,
        policy: Policy | None = None,
        ca_settings: Mapping[str, str] | None = None,
        has_web: bool = False,
        has_remote: bool = True,
        ttl_seconds: int = 1,
        forge: Forge | None = None,
    ) -> None:
        """Start everything below *folder*.

        *files* replace or add to the inventory; *ca_settings* (YAML words) are added to both CAs of `cas.yaml`.
        """
        endpoint_ca, address = EndpointCa(folder / "endpoints"), fresh_address()
        self.ca = Front(address, endpoint_ca)
        self._ca_settings = dict(ca_settings or {})
        super().__init__(folder, files=files, has_remote=has_remote, ttl_seconds=ttl_seconds, forge=forge)
        self.resolver = Resolver(folder / "resolver", self.dns)
        self.pebble = Pebble(
            folder / "pebble", self.resolver.endpoint, policy, address=address, endpoint_ca=endpoint_ca
        )
        self.web = WebServer(SshHost(folder / "web", WEB_HOST, self.login)) if has_web else None
        if self.web is not None:
            self._add(self.web)

    def inventory_files(self) -> dict[str, str]:
        """Return the inventory that describes this site, path to text; there is no own CA."""
        files = {path: text for path, text in super().inventory_files().items() if "/ca/" not in path}
        return files | {
            "inventory/sslops.yaml": files["inventory/sslops.yaml"].replace(_CA_GROUP, ""),
            "inventory/cas.yaml": self._cas(),
            "inventory/example.com/mail-ec.yaml": _from_acme(MAIL_EC),
            "inventory/example.com/web-ec.yaml": _from_acme(WEB_EC.format(domain="example.com")),
            "inventory/example.net/web-ec.yaml": _from_acme(WEB_EC.format(domain="example.net")),
        }

    def challenge_files(self) -> dict[str, str]:
        """Return apex to the text of its challenge file, as the DNS repository has it on `main`."""
        return {apex: self.dns.read(f"{ACME_DIR}/acme-challenge.{apex}") for apex in self.dns.apexes}

    def close(self) -> None:
        """End every server."""
        if self.web is not None:
            self.web.stop()
        self.ca.stop()
        self.pebble.stop()
        self.resolver.stop()
        super().close()

    def _cas(self) -> str:
        common = {"ca_type": "acme", "directory": self.ca.directory, "ca_bundle": str(self.ca.ca_bundle)}
        cas = {
            "le-dns": common | {"ca_desc": "ACME by dns-01", "ca_validation": "dns-01"} | self._ca_settings,
            "le-http": common | {"ca_desc": "ACME by http-01", "ca_validation": "http-01"} | self._ca_settings,
        }
        return "".join(
            f"{name}:\n" + "".join(f"  {key}: {value}\n" for key, value in settings.items())
            for name, settings in cas.items()
        )

    def _add(self, web: WebServer) -> None:
        zone = f"{ZONES}/example.com.zone"
        name = WEB_NAME.removesuffix(".example.com")
        self.dns.edit({zone: f"{self.dns.read(zone)}\n{name} A {web.host.address}\n"}, "the web server")
        self.dns.settle()
        settings, known_hosts = "inventory/sslops.yaml", "inventory/known_hosts"
        self.ops.edit(
            {
                settings: f"{self.ops.show('main', settings)}\n{web.server_class()}",
                known_hosts: f"{self.ops.show('main', known_hosts)}\n{web.host.known_hosts}",
                "inventory/example.com/site-ec.yaml": SITE_EC,
            },
            "the web server",
        )


class WebServer:
    """A host with a web server that shows its `server_dir` on `HTTP_PORT`."""

    def __init__(self, host: SshHost) -> None:
        """Start it on *host*."""
        self.host = host
        self.server_dir = host.folder / "http"
        self.server_dir.mkdir()
        words: list[str | Path] = [sys.executable, "-I", "-S", "-m", "http.server", str(HTTP_PORT)]
        words += ["--bind", host.address, "--directory", self.server_dir]
        self._program = Program(words, host.folder / "http.log")
        self._program.wait_until(lambda: listens(host.address, HTTP_PORT))

    @property
    def log(self) -> str:
        """What was fetched, one request a line."""
        return self._program.log.read_text()

    def server_class(self) -> str:
        """Write the server class `web` with this host, for the end of `sslops.yaml`."""
        return (
            f"  web:\n    hosts:\n      - {host_entry(self.host)}\n    server_dir: {self.server_dir}\n"
            "    svc_depends: [[example.com, [site-ec]]]\n"
        )

    def stop(self) -> None:
        """End both."""
        self._program.stop()
        self.host.stop()


def _from_acme(service: str) -> str:
    return service.replace("signing_ca: my-sub", "signing_ca: le-dns")


SITE_EC = """\
name: Site
signing_ca: le-http
key_opts: {ktype: ec, ec_algo: secp256r1}
x509: {CN: web.example.com, sans: [web.example.com]}
"""
