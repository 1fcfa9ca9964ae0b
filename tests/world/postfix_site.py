"""A site whose two MX hosts run a real postfix each, on port 25, watched through validating resolvers. Root only.

`mx1.example.com` and `mx2.example.com` are the MX hosts of `example.com`; each has its own server and its own records.
"""

from __future__ import annotations

import subprocess
from typing import TYPE_CHECKING

from tests.world.dns_files import ZONES
from tests.world.judge import Judge
from tests.world.loopback import SMTP_PORT
from tests.world.peers import need
from tests.world.postfix import Postfix
from tests.world.site import MAIL_EC, RESTART, Site
from tests.world.validating_resolver import ValidatingResolver

if TYPE_CHECKING:
    from pathlib import Path

    from tests.world.sshd import SshHost

PORT = 25
TTL_SECONDS = 2
MX_HOSTS = ("mx1.example.com", "mx2.example.com")
OWNERS = tuple(f"_{PORT}._tcp.{host}." for host in MX_HOSTS)
MAIL_FILE, RSA_FILE = "inventory/example.com/mail-ec.yaml", "inventory/example.com/mail-rsa.yaml"
SETTINGS = "inventory/sslops.yaml"
MAIL_YAML = (
    MAIL_EC.replace("dane_tls_ttl: 1\n", f"dane_tls_ttl: {TTL_SECONDS}\n")
    .replace("CN: mail.example.com", f"CN: {MX_HOSTS[0]}")
    .replace("sans: [mail.example.com, example.com]", f"sans: [{', '.join(MX_HOSTS)}]")
)
RSA_YAML = MAIL_YAML.replace("{ktype: ec, ec_algo: secp256r1}", "{ktype: rsa, rsa_bits: 2048}")
NO_DANE = "".join(line for line in MAIL_YAML.splitlines(keepends=True) if not line.startswith("dane_tls"))


class PostfixSite:
    """All of it: `site`, the two `postfixes`, the `resolvers`."""

    def __init__(self, folder: Path, resolvers: int = 2) -> None:
        """Start everything below *folder*."""
        # postfix drops its privileges and has to get through to its folders.
        folder.chmod(0o755)
        self.site = Site(folder, ttl_seconds=TTL_SECONDS)
        hosts = self.site.hosts.values()
        self.postfixes = [_postfix(host) for host in hosts]
        self._name_the_mail_hosts([host.address for host in hosts])
        self.settings = self.site.inventory_files()[SETTINGS].replace(f"port: {SMTP_PORT}", f"port: {PORT}")
        self.site.ops.edit({SETTINGS: self.settings, MAIL_FILE: MAIL_YAML})
        self.resolvers = [ValidatingResolver(folder / f"resolver{n}", self.site.dns) for n in range(resolvers)]

    def judge(self) -> Judge:
        """Return a judge of both MX hosts through all resolvers."""
        return Judge(self.postfixes[0].config, self.resolvers, MX_HOSTS)

    def records(self) -> list[frozenset[str]]:
        """Return what the primary shows for each MX host."""
        return [self.site.dns.answers("ns1", owner) for owner in OWNERS]

    def restart_all(self) -> None:
        """Let each server load the files that are there."""
        for host in self.site.hosts.values():
            subprocess.run([host.folder / "bin" / RESTART], check=True, capture_output=True, timeout=60)

    def close(self) -> None:
        """End every server."""
        for resolver in self.resolvers:
            resolver.stop()
        for postfix in self.postfixes:
            postfix.stop()
        self.site.close()

    def _name_the_mail_hosts(self, addresses: list[str]) -> None:
        path, dns = f"{ZONES}/example.com.zone", self.site.dns
        names = [host.partition(".")[0] for host in MX_HOSTS]
        lines = [f"@ MX 10 {name}" for name in names]
        lines += [f"{name} A {address}" for name, address in zip(names, addresses, strict=True)]
        dns.edit({path: dns.read(path).replace("@ MX 10 mail", "\n".join(lines)) + "\n"})
        dns.settle()


def _postfix(host: SshHost) -> Postfix:
    """Start the postfix of *host*, and install a restart command that gives it the chains that are there."""
    served = host.prod_cert_dir / "example.com"
    postfix = Postfix(host.folder / "postfix", served / "mail-ec/curr", address=host.address, smtp_port=PORT)
    host.install(
        RESTART,
        f"""\
#!/bin/sh
set -e
chains=
# One file holds key and chain, so that nobody meets the key of one certificate and the chain of another.
for curr in "{served}"/*/curr; do
    chains="$chains $curr/bundle.pem,"
done
{need("postconf")} -c {postfix.config} -e "smtpd_tls_chain_files = ${{chains%,}}"
exec {postfix.restart_cmd}
""",
    )
    return postfix
