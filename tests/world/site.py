"""A whole site: name servers, a DNS repository, two mail servers reached by ssh, and the ops repository that runs them.

Two groups and an own CA: `example.com` with `mail-ec` (DANE on port 25) and `web-ec`, `example.net` with `web-ec`. Both
mail servers are addresses of `mail.example.com`, the only MX of `example.com`.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from tests.world.dns import DnsWorld
from tests.world.dns_files import ACME_DIR, TLSA_DIRS
from tests.world.loopback import CONTROL_PORT, IPV6, SMTP_PORT, TLS_PORT, fresh_port
from tests.world.mailhost import MailHost
from tests.world.ops import Finished, OpsRepository
from tests.world.sshd import Login, SshHost

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path

    from tests.world.forge import Forge

HOSTS = ("smtp1.internal.example.com", "smtp2.internal.example.com")
MX_HOST = "mail.example.com"
OWNER = "_25._tcp.mail.example.com."
RESTART = "restart-mail"
"""A command on each server's PATH: the class has one `restart_cmd`, and each server its own listener."""


class Site:
    """All of it: `dns`, `hosts` and `mail` by host name, `ops`; each part can be stopped, held back or told to fail."""

    def __init__(
        self,
        folder: Path,
        *,
        files: Mapping[str, str] | None = None,
        has_remote: bool = True,
        ttl_seconds: int = 1,
        forge: Forge | None = None,
        is_dual: bool = False,
    ) -> None:
        """Start everything below *folder*; *files* replace or add to the inventory files of `inventory_files`.

        With a *forge* its projects `infra/certs` and `infra/dns` are the two remotes. If it *is_dual* the second mail
        server is an AAAA of `mail.example.com`, and reached by IPv6 only.
        """
        self.folder = folder
        self.login = Login(folder / "login")
        first, second = HOSTS
        smtp_port = fresh_port() if is_dual else SMTP_PORT
        self.hosts = {first: self._host(first), second: self._host(second, is_ipv6=is_dual)}
        self.mail = {name: _listener(host, smtp_port) for name, host in self.hosts.items()}
        mail = {"example.com": self.mail_addresses}
        dns_repo = forge.project("infra/dns").path if forge is not None else None
        self.dns = DnsWorld(folder / "dns", mail=mail, ttl_seconds=ttl_seconds, repo=dns_repo)
        files, remote = dict(files or {}), forge.project("infra/certs").path if forge is not None else None
        self.ops = OpsRepository(folder, self.inventory_files() | files, has_remote=has_remote, remote=remote)
        self.ops.environment |= self.login.environment

    @property
    def mail_addresses(self) -> tuple[str, ...]:
        """The addresses of `mail.example.com`."""
        return tuple(host.address for host in self.hosts.values())

    def sslops(self, *words: str, environment: Mapping[str, str] | None = None) -> Finished:
        """Run the real command line in the ops repository."""
        return self.ops.sslops(*words, environment=environment)

    def served(self) -> dict[str, str | None]:
        """Return the SHA-256 (hex) of the certificate that each host shows on its SMTP port; null when none."""
        return {name: listener.served() for name, listener in self.mail.items()}

    def close(self) -> None:
        """End every server."""
        for listener in self.mail.values():
            listener.stop()
        for host in self.hosts.values():
            host.stop()
        self.dns.close()

    def inventory_files(self) -> dict[str, str]:
        """Return the inventory that describes this site, path to text."""
        return {
            "inventory/sslops.yaml": self._sslops_yaml(),
            "inventory/cas.yaml": CAS,
            "inventory/known_hosts": "".join(host.known_hosts for host in self.hosts.values()),
            "inventory/ca/my-root.yaml": MY_ROOT,
            "inventory/ca/my-sub.yaml": MY_SUB,
            "inventory/example.com/mail-ec.yaml": MAIL_EC,
            "inventory/example.com/web-ec.yaml": WEB_EC.format(domain="example.com"),
            "inventory/example.net/web-ec.yaml": WEB_EC.format(domain="example.net"),
        }

    def _host(self, name: str, *, is_ipv6: bool = False) -> SshHost:
        folder = self.folder / name.partition(".")[0]
        if is_ipv6:
            return SshHost(folder, name, self.login, address=IPV6, port=fresh_port())
        return SshHost(folder, name, self.login)

    def _sslops_yaml(self) -> str:
        hosts = "\n".join(f"      - {host_entry(host)}" for host in self.hosts.values())
        return SSLOPS_YAML.format(
            dns_url=self.dns.repo,
            acme_dir=ACME_DIR,
            tlsa_dirs=", ".join(TLSA_DIRS),
            primary=self.dns.primary,
            primary_address=self.dns.primary.address,
            primary_port=self.dns.primary.port,
            secondary=self.dns.secondary,
            smtp_port=next(iter(self.mail.values())).smtp_port,
            restart=RESTART,
            hosts=hosts,
        )


def _listener(host: SshHost, smtp_port: int) -> MailHost:
    served = [host.prod_cert_dir / f"example.com/{service}/curr" for service in ("mail-ec", "mail-rsa")]
    tls_port, control_port = (fresh_port(), fresh_port()) if host.address == IPV6 else (TLS_PORT, CONTROL_PORT)
    listener = MailHost(
        host.folder, host.address, served, smtp_port=smtp_port, tls_port=tls_port, control_port=control_port
    )
    host.install(RESTART, f'#!/bin/sh\nexec {listener.restart_cmd} "$@"\n')
    return listener


def host_entry(host: SshHost) -> str:
    """Write *host* as an entry of a server class."""
    return (
        f"{{host: {host.name}, address: '{host.address}', port: {host.port}, user: {host.user}, "
        f"prod_cert_dir: {host.prod_cert_dir}}}"
    )


SSLOPS_YAML = """\
globals: {{clean_keep: 5, min_roll_mins: 0}}
repo:
  {{branch: main, next_branch: next, forge: none, merge: {{roll: auto}}, bot: {{email: sslops@example.com}}}}
groups:
  - {{domain: example.com, active: true, services: ALL}}
  - {{domain: example.net, active: true, services: ALL}}
  - {{domain: ca, active: true, services: ALL}}
dns_primary:
  - {{domain: default, server: {primary_address}, port: {primary_port}}}
dns_servers:
  - {{domain: example.com, servers: ["{primary}", "{secondary}"]}}
  - {{domain: example.net, servers: ["{primary}", "{secondary}"]}}
dns:
  repo: {{url: {dns_url}, branch: main, forge: none}}
  acme_dir: {acme_dir}
  tlsa_dirs: [{tlsa_dirs}]
  merge: {{acme: auto, tlsa: auto}}
servers:
  smtp:
    hosts:
{hosts}
    restart_cmd: {restart}
    svc_depends: [[example.com, [mail-ec]]]
    verify: {{port: {smtp_port}, starttls: smtp, from: runner}}
"""

CAS = """\
my-root: {ca_desc: own root, ca_type: self}
my-sub: {ca_desc: own intermediate, ca_type: local}
"""

MY_ROOT = """\
name: Example Root
signing_ca: self
key_opts: {ktype: ec, ec_algo: secp384r1}
x509: {CN: Example Root, O: Example Company, C: US}
ca: {sign_end_days: 3650, digest: sha384}
"""

MY_SUB = """\
name: Example Intermediate
signing_ca: my-root
key_opts: {ktype: ec, ec_algo: secp384r1}
x509: {CN: Example Intermediate, O: Example Company, C: US}
ca: {sign_end_days: 365, digest: sha384}
"""

MAIL_EC = """\
name: Example.com Mail
signing_ca: my-sub
dane_tls: [[25, tcp, 3, 1, 1, MX]]
dane_tls_ttl: 1
key_opts: {ktype: ec, ec_algo: secp256r1}
x509: {CN: mail.example.com, sans: [mail.example.com, example.com]}
"""

WEB_EC = """\
name: Web
signing_ca: my-sub
key_opts: {{ktype: ec, ec_algo: secp256r1}}
x509: {{CN: www.{domain}, sans: [www.{domain}, {domain}]}}
"""
