"""A DANE site moves from ssl-mgr to sslops on real servers, and no sender ever meets a key that DNS does not name."""

from __future__ import annotations

import shutil
from typing import TYPE_CHECKING

from tests.system.test_cycle import both, certificate, record, roll_when_ready
from tests.world.dns_files import ACME_DIR, TLSA_DIRS
from tests.world.ops import ROLES
from tests.world.remotes import git
from tests.world.site import HOSTS, OWNER, RESTART, host_entry
from tests.world.ssl_mgr_tree import SslMgrTree
from tests.world.watch import Watch

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from tests.world.site import Site
    from tests.world.ssl_mgr_tree import Version

CONF = """\
[globals]
    verb = true
    prod_cert_dir = '/etc/ssl-mgr/prod-certs'
    min_roll_mins = 0
[[groups]]
    active = true
    domain = 'example.com'
    services = ['mail-ec']
[[groups]]
    active = true
    domain = 'ca'
    services = ['my-root', 'my-sub']
[[dns_primary]]
    domain = 'default'
    server = '{address}'
    port = {port}
[dns]
    restart_cmd = '/etc/dns_tools/scripts/resign.sh'
    acme_dir = '/etc/dns_tool/{acme}'
    tlsa_dirs = ['/etc/dns_tool/{tlsa[0]}', '/etc/dns_tool/{tlsa[1]}']
[smtp]
    servers = ['{hosts[0]}', '{hosts[1]}']
    restart_cmd = '{restart}'
    svc_depends = [['example.com', ['mail-ec']]]
    depends = ['dns']
"""
CA_INFO = """\
[my-root]
    ca_desc = 'own root'
    ca_type = 'self'
[my-sub]
    ca_desc = 'own intermediate'
    ca_type = 'local'
"""
SERVICE = """\
name = '{name}'
group = '{group}'
service = '{name}'
signing_ca = '{signer}'
{dane}
[KeyOpts]
    ktype = 'ec'
    ec_algo = 'secp384r1'
[X509]
    CN = '{cn}'
    O = 'Example Company'
    C = 'US'
    sans = {sans}
{ca}
"""
NAMES = ["mail.example.com", "example.com"]


def old_site(site: Site, folder: Path) -> tuple[SslMgrTree, Version]:
    """Let both hosts serve what an ssl-mgr tree has in curr, and DNS have ssl-mgr's include file of it."""
    primary = site.dns.primary
    texts = {"address": primary.address, "port": primary.port, "acme": ACME_DIR, "tlsa": TLSA_DIRS}
    ca = "[CA]\n    sign_end_days = {}\n    digest = 'sha384'"
    dane = "dane_tls = [[25, 'tcp', 3, 1, 1, 'MX']]\ndane_tls_ttl = 1"
    files = {
        "ssl-mgr.conf": CONF.format(**texts, hosts=HOSTS, restart=RESTART),
        "ca-info.conf": CA_INFO,
        "ca/my-root": SERVICE.format(
            name="my-root", group="ca", signer="self", dane="", cn="my-root", sans=[], ca=ca.format(3650)
        ),
        "ca/my-sub": SERVICE.format(
            name="my-sub", group="ca", signer="my-root", dane="", cn="my-sub", sans=[], ca=ca.format(90)
        ),
        "example.com/mail-ec": SERVICE.format(
            name="mail-ec", group="example.com", signer="my-sub", dane=dane, cn=NAMES[0], sans=NAMES, ca=""
        ),
    }
    tree = SslMgrTree(folder, files)
    root = tree.add("ca/my-root", "curr", days=3650)
    sub = tree.add("ca/my-sub", "curr", signer=root, days=1000)
    tree.add("example.com/mail-ec", "prev", names=NAMES, signer=sub, age_days=60)
    mail = tree.add("example.com/mail-ec", "curr", names=NAMES, signer=sub)
    for name, host in site.hosts.items():
        shutil.copytree(mail.folder, host.prod_cert_dir / "example.com/mail-ec/curr")
        site.mail[name].stop()
        site.mail[name].start()
    include = f";; mail-ec : curr\n{OWNER} 1  IN TLSA {mail.record}\n"
    site.dns.edit({f"{folder}/tlsa.example.com": include for folder in TLSA_DIRS})
    site.dns.settle()
    return tree, mail


def test_a_dane_site_moves_from_ssl_mgr_without_one_broken_look(
    start_site: Callable[..., Site], world_folder: Path
) -> None:
    """The old key stays in use; the next is in DNS for 2 x TTL before a host serves it; the old tree is as it was."""
    site = start_site(has_remote=False)
    tree, mail = old_site(site, world_folder / "ssl-mgr")
    before = tree.contents()
    folder = world_folder / "moved"
    for role in ROLES:
        site.ops.identities.take_away(role)  # a person who comes from ssl-mgr has none

    assert dict.fromkeys(HOSTS, mail.cert_sha256) == site.served()
    assert both(mail.record) == site.dns.show(OWNER)

    with Watch(site.dns, OWNER, list(site.mail.values())) as watch:
        said = site.sslops("import", str(tree.conf_d), "--into", str(folder), "--dns-url", str(site.dns.repo))

        assert "example.com/mail-ec: " in said.succeeded().stdout
        assert before == tree.contents()

        site.ops.folder = folder
        settings = (folder / "inventory/sslops.yaml").read_text()
        listed = f"hosts: [{', '.join(HOSTS)}]"
        entries = ", ".join(host_entry(host) for host in site.hosts.values())
        port = next(iter(site.mail.values())).smtp_port
        servers = f'["{site.dns.primary}", "{site.dns.secondary}"]'

        assert listed in settings

        settings = settings.replace(listed, f"hosts: [{entries}]").replace("port: 25,", f"port: {port},")
        settings += f"dns_servers: [{{domain: example.com, servers: {servers}}}]\n"
        known_hosts = "".join(host.known_hosts for host in site.hosts.values())
        (folder / "inventory/sslops.yaml").write_text(settings)
        (folder / "inventory/known_hosts").write_text(known_hosts)
        git(folder, "commit", "--all", "--quiet", "-m", "what only this site knows")

        assert mail.cert_sha256 == certificate_on_main(site)

        site.sslops("check").succeeded()
        site.sslops("plan").succeeded()
        for _ in range(3):
            site.sslops("run", "--apply").succeeded()

        assert dict.fromkeys(HOSTS, mail.cert_sha256) == site.served()
        assert both(mail.record, record(site, "next")) == site.dns.show(OWNER)

        site.sslops("renew", "example.com:mail-ec", "--force", "--apply").succeeded()
        roll_when_ready(site)
        site.sslops("deploy", "--apply").succeeded()
        site.sslops("publish", "--apply").succeeded()

        assert mail.cert_sha256 != certificate(site, "curr")
        assert dict.fromkeys(HOSTS, certificate(site, "curr")) == site.served()
        assert both(record(site, "curr")) == site.dns.show(OWNER)

    assert watch.looks > 0
    assert before == tree.contents()


def certificate_on_main(site: Site) -> str:
    """Return the SHA-256 of what main has live, by the facts of its generation."""
    site.ops.git("branch", "--force", "next", "main")
    return certificate(site, "curr")
