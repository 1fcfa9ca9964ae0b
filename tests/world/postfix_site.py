"""A site whose two MX hosts run a real postfix each, watched through validating resolvers. Root only.

`mx1.example.com` and `mx2.example.com` are the MX hosts of `example.com`; each has its own server and its own records.
The second has an AAAA too, where the kernel has ::1. There is only one of that, so the port is one of this process.
"""

from __future__ import annotations

import subprocess
from typing import TYPE_CHECKING

from tests.world.dns_files import ZONES, address_type
from tests.world.judge import Judge, Way
from tests.world.loopback import IPV6, SMTP_PORT, fresh_port, has_ipv6
from tests.world.peers import need
from tests.world.postfix import Postfix
from tests.world.site import MAIL_EC, RESTART, Site
from tests.world.validating_resolver import ValidatingResolver

if TYPE_CHECKING:
    from pathlib import Path

    from tests.world.sshd import SshHost

MAIL_PORT = 25
TTL_SECONDS = 2
MX_HOSTS = ("mx1.example.com", "mx2.example.com")
MAIL_FILE, RSA_FILE = "inventory/example.com/mail-ec.yaml", "inventory/example.com/mail-rsa.yaml"
SETTINGS = "inventory/sslops.yaml"


class PostfixSite:
    """All of it: `site`, the two `postfixes`, the `resolvers`, the `ways` to the MX hosts, and the `settings`."""

    def __init__(self, folder: Path, resolvers: int = 2) -> None:
        """Start everything below *folder*."""
        # postfix drops its privileges and has to get through to its folders.
        folder.chmod(0o755)
        self.site = Site(folder, ttl_seconds=TTL_SECONDS)
        first, second = self.site.hosts.values()
        others = (IPV6,) if has_ipv6() else ()
        self.port = fresh_port() if others else MAIL_PORT
        self.postfixes = [_postfix(first, self.port), _postfix(second, self.port, *others)]
        self._name_the_mail_hosts()
        self.settings = self.site.inventory_files()[SETTINGS].replace(f"port: {SMTP_PORT}", f"port: {self.port}")
        self.site.ops.edit({SETTINGS: self.settings, MAIL_FILE: self.mail_yaml})
        self.resolvers = [ValidatingResolver(folder / f"resolver{n}", self.site.dns) for n in range(resolvers)]
        self.ways = [Way(host, self.port, "ipv4") for host in MX_HOSTS]
        self.ways += [Way(MX_HOSTS[1], self.port, "ipv6") for _ in others]

    @property
    def mail_yaml(self) -> str:
        """The service `mail-ec`, with DANE for both MX hosts."""
        return (
            MAIL_EC.replace("dane_tls_ttl: 1\n", f"dane_tls_ttl: {TTL_SECONDS}\n")
            .replace("[[25, tcp", f"[[{self.port}, tcp")
            .replace("CN: mail.example.com", f"CN: {MX_HOSTS[0]}")
            .replace("sans: [mail.example.com, example.com]", f"sans: [{', '.join(MX_HOSTS)}]")
        )

    @property
    def rsa_yaml(self) -> str:
        """The same with an RSA key."""
        return self.mail_yaml.replace("{ktype: ec, ec_algo: secp256r1}", "{ktype: rsa, rsa_bits: 2048}")

    @property
    def owners(self) -> list[str]:
        """Where the records of the two MX hosts are."""
        return [f"_{self.port}._tcp.{host}." for host in MX_HOSTS]

    def judge(self) -> Judge:
        """Return a judge of every way to an MX host by all resolvers."""
        return Judge(self.postfixes[0].config, self.resolvers, self.ways)

    def records(self) -> list[frozenset[str]]:
        """Return what the primary shows for each MX host."""
        return [self.site.dns.answers("ns1", owner) for owner in self.owners]

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

    def _name_the_mail_hosts(self) -> None:
        path, dns = f"{ZONES}/example.com.zone", self.site.dns
        lines = []
        for host, postfix in zip(MX_HOSTS, self.postfixes, strict=True):
            name = host.partition(".")[0]
            lines += [f"@ MX 10 {name}", *(f"{name} {address_type(each)} {each}" for each in postfix.addresses)]
        dns.edit({path: dns.read(path).replace("@ MX 10 mail", "\n".join(lines)) + "\n"})
        dns.settle()


def _postfix(host: SshHost, port: int, *others: str) -> Postfix:
    """Start the postfix of *host*, on *others* too, and install a restart command that gives it all chains."""
    served = host.prod_cert_dir / "example.com"
    source = served / "mail-ec/curr"
    postfix = Postfix(host.folder / "postfix", source, address=host.address, smtp_port=port, others=others)
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
