"""The daemons that people point at `curr/`, each real, from Debian, and configured by the lines of docs/deploy.md.

They run as root, below one folder, on addresses of their own. exim conflicts with postfix as a package, so
`tools/install-exim` only unpacks it.
"""

from __future__ import annotations

import os
import re
import shlex
import shutil
import subprocess
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from tests.world.loopback import free_ports, fresh_address
from tests.world.peers import missing, need
from tests.world.programs import Program, listens

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

DOCUMENT = Path(__file__).parents[2] / "docs/deploy.md"
DOCUMENTED_FOLDER = "/etc/ssl-mgr/prod-certs"
EXIM = Path(__file__).parents[2] / ".venv/exim/usr/sbin/exim4"
EXIM_USER = "Debian-exim"
MAIL_PORT, WEB_PORT = 10025, 10465
APACHE_MODULES = "/usr/lib/apache2/modules"


@dataclass(frozen=True, slots=True)
class Kind:
    """One daemon: its configuration around the *settings* of docs/deploy.md, how it starts and how it reloads.

    *config* gets the folder, the address and the settings; *words* and *reload* the folder. *versions* maps `1.2` and
    `1.3` to the setting for that version of TLS only.
    """

    name: str
    config: Callable[[Path, str, str], str]
    words: Callable[[Path], list[str]]
    reload: Callable[[Path], list[str]]
    versions: Mapping[str, str]
    port: int = WEB_PORT
    starttls: str | None = None


def documented(name: str, is_double: bool) -> str | None:
    """Return what docs/deploy.md says under the daemon's name: the block for one key, or for two; null without one."""
    section = DOCUMENT.read_text().partition(f"\n### {name}\n")[2]
    section = re.split(r"\n##+ ", section)[0]
    blocks = re.findall(r"```text\n(.*?)```", section, re.DOTALL)
    assert blocks, f"docs/deploy.md says nothing about {name}"
    wanted = 1 if is_double else 0
    return blocks[wanted] if wanted < len(blocks) else None


class Daemon:
    """One of them, with certificates below *prod_cert_dir* as a deploy puts them there. It is not started by itself."""

    def __init__(self, kind: Kind, folder: Path, prod_cert_dir: Path) -> None:
        """Lay out its folder."""
        if os.geteuid() != 0:
            missing(f"{kind.name} is started as root, as a server starts it")
        self.kind, self.folder, self._certificates = kind, folder, prod_cert_dir
        self.address, self.port, self.starttls = fresh_address(), kind.port, kind.starttls
        folder.mkdir(parents=True)
        # Most of them drop their privileges and have to get through to their folders.
        for above in (folder, *folder.parents[:1]):
            above.chmod(0o755)
        self._program: Program | None = None

    def configure(self, *, is_double: bool = False, version: str | None = None) -> None:
        """Write its configuration: the documented lines for one key or for both, and one TLS *version* (null: all)."""
        settings = documented(self.kind.name, is_double)
        assert settings is not None
        self.configure_as(settings, version)

    def configure_as(self, settings: str, version: str | None = None) -> None:
        """Write its configuration around *settings*, which name certificates as the docs do."""
        more = "" if version is None else self.kind.versions[version] + "\n"
        settings = settings.replace(DOCUMENTED_FOLDER, str(self._certificates)) + more
        (self.folder / "config").write_text(self.kind.config(self.folder, self.address, settings))

    def start(self) -> None:
        """Start it and wait until it answers; AssertionError when it does not come up."""
        self._program = Program(self.kind.words(self.folder), self.folder / "output")
        self._program.wait_until(lambda: listens(self.address, self.port))

    @property
    def restart_cmd(self) -> tuple[tuple[str, ...], ...]:
        """What a class would name: its check and its reload, as its systemd unit has them."""
        return tuple(tuple(shlex.split(words)) for words in self.kind.reload(self.folder))

    def stop(self) -> None:
        """End it."""
        if self._program is not None:
            self._program.stop()


def _pid(folder: Path, signal: str) -> str:
    return f"sh -c 'kill -{signal} $(cat {folder}/pid)'"


def _postfix(folder: Path, address: str, settings: str) -> str:
    for name, owner in (("etc", "root"), ("queue", "root"), ("data", "postfix")):
        (folder / name).mkdir(exist_ok=True)
        shutil.chown(folder / name, owner)
    (folder / "etc/master.cf").write_text(
        f"""\
{address}:{MAIL_PORT} inet n - n - - smtpd
postlog unix-dgram n - n - 1 postlogd
cleanup unix n - n - 0 cleanup
rewrite unix - - n - - trivial-rewrite
proxymap unix - - n - - proxymap
anvil unix - - n - 1 anvil
tlsmgr unix - - n 1000? 1 tlsmgr
"""
    )
    text = f"""\
compatibility_level = 3.6
queue_directory = {folder}/queue
data_directory = {folder}/data
maillog_file = {folder}/mail.log
maillog_file_prefixes = {folder}
myhostname = mail.example.com
mydestination =
inet_interfaces = loopback-only
smtpd_peername_lookup = no
alias_maps =
local_recipient_maps =
{settings}
"""
    (folder / "etc/main.cf").write_text(text)
    # It makes the folders of the queue.
    subprocess.run([need("postfix"), "-c", folder / "etc", "check"], check=True, capture_output=True, timeout=60)
    return text


def _dovecot(folder: Path, address: str, settings: str) -> str:
    return f"""\
base_dir = {folder}/run
state_dir = {folder}/state
log_path = {folder}/log
protocols = imap
listen = {address}
service imap-login {{
  inet_listener imap {{
    port = 0
  }}
  inet_listener imaps {{
    port = {WEB_PORT}
  }}
}}
passdb {{
  driver = static
}}
{settings}
"""


def _nginx(folder: Path, address: str, settings: str) -> str:
    return f"""\
pid {folder}/pid;
error_log {folder}/log;
events {{}}
http {{
  access_log off;
  server {{
    listen {address}:{WEB_PORT} ssl;
    {settings}
  }}
}}
"""


def _apache(folder: Path, address: str, settings: str) -> str:
    return f"""\
ServerRoot {folder}
PidFile {folder}/pid
ServerName mail.example.com
LoadModule mpm_event_module {APACHE_MODULES}/mod_mpm_event.so
LoadModule authz_core_module {APACHE_MODULES}/mod_authz_core.so
LoadModule ssl_module {APACHE_MODULES}/mod_ssl.so
User www-data
ErrorLog {folder}/log
Listen {address}:{WEB_PORT}
{settings}
"""


def _haproxy(folder: Path, address: str, settings: str) -> str:
    del folder
    bind, _, more = settings.replace("bind :443", f"bind {address}:{WEB_PORT}").strip().partition("\n")
    return f"""\
defaults
  mode http
  timeout client 5s
  timeout server 5s
  timeout connect 5s
frontend web
  {bind} {more}
"""


def _exim(folder: Path, _address: str, settings: str) -> str:
    for name in ("spool", "logs"):
        (folder / name).mkdir(exist_ok=True)
        shutil.chown(folder / name, EXIM_USER, EXIM_USER)
    return f"""\
exim_path = {EXIM}
spool_directory = {folder}/spool
log_file_path = {folder}/logs/%s
pid_file_path = {folder}/pid
primary_hostname = mail.example.com
keep_environment =
acl_smtp_rcpt = deny
{settings}
begin acl
begin routers
begin transports
"""


def _lighttpd(folder: Path, address: str, settings: str) -> str:
    return f"""\
server.modules = ("mod_openssl")
server.document-root = "{folder}"
server.bind = "{address}"
server.port = {WEB_PORT}
server.errorlog = "{folder}/log"
server.pid-file = "{folder}/pid"
{settings}
"""


def _exim_words(folder: Path) -> list[str]:
    if not EXIM.exists():
        missing("exim is not there: tools/install-exim")
    address = next(line for line in (folder / "address").read_text().splitlines())
    return [str(EXIM), "-bdf", "-C", f"{folder}/config", "-oX", f"[{address}]:{MAIL_PORT}", "-oP", f"{folder}/pid"]


KINDS = {
    kind.name: kind
    for kind in (
        Kind(
            "postfix",
            _postfix,
            lambda folder: ["/usr/lib/postfix/sbin/master", "-c", f"{folder}/etc", "-d"],
            lambda folder: [f"{need('postfix')} -c {folder}/etc reload"],
            {"1.2": "smtpd_tls_protocols = >=TLSv1.2, <=TLSv1.2", "1.3": "smtpd_tls_protocols = >=TLSv1.3"},
            MAIL_PORT,
            "smtp",
        ),
        Kind(
            "dovecot",
            _dovecot,
            lambda folder: [str(need("dovecot")), "-F", "-c", f"{folder}/config"],
            lambda folder: [f"{need('doveadm')} -c {folder}/config reload"],
            # dovecot 2.3 has no setting for the highest version.
            {"1.2": "ssl_cipher_list = HIGH", "1.3": "ssl_min_protocol = TLSv1.3"},
        ),
        Kind(
            "nginx",
            _nginx,
            lambda folder: [str(need("nginx")), "-c", f"{folder}/config", "-g", "daemon off;"],
            lambda folder: [f"{need('nginx')} -t -c {folder}/config", f"{need('nginx')} -s reload -c {folder}/config"],
            {"1.2": "ssl_protocols TLSv1.2;", "1.3": "ssl_protocols TLSv1.3;"},
        ),
        Kind(
            "apache",
            _apache,
            lambda folder: [str(need("apache2")), "-D", "FOREGROUND", "-f", f"{folder}/config"],
            lambda folder: [f"{need('apache2')} -t -f {folder}/config", _pid(folder, "USR1")],
            {"1.2": "SSLProtocol TLSv1.2", "1.3": "SSLProtocol TLSv1.3"},
        ),
        Kind(
            "haproxy",
            _haproxy,
            lambda folder: [str(need("haproxy")), "-W", "-db", "-p", f"{folder}/pid", "-f", f"{folder}/config"],
            lambda folder: [f"{need('haproxy')} -c -q -f {folder}/config", _pid(folder, "USR2")],
            {"1.2": "ssl-max-ver TLSv1.2", "1.3": "ssl-min-ver TLSv1.3"},
        ),
        Kind(
            "exim",
            _exim,
            _exim_words,
            lambda folder: [_pid(folder, "HUP")],
            {
                "1.2": "tls_require_ciphers = NORMAL:-VERS-TLS1.3",
                "1.3": "tls_require_ciphers = NORMAL:-VERS-ALL:+VERS-TLS1.3",
            },
            MAIL_PORT,
            "smtp",
        ),
        Kind(
            "lighttpd",
            _lighttpd,
            lambda folder: [str(need("lighttpd")), "-D", "-f", f"{folder}/config"],
            lambda folder: [f"{need('lighttpd')} -tt -f {folder}/config", _pid(folder, "USR1")],
            {
                "1.2": 'ssl.openssl.ssl-conf-cmd = ("MaxProtocol" => "TLSv1.2")',
                "1.3": 'ssl.openssl.ssl-conf-cmd = ("MinProtocol" => "TLSv1.3")',
            },
        ),
    )
}
"""The daemons by the names of their sections in docs/deploy.md."""


class GnutlsServer:
    """GnuTLS's own server, which answers a ClientHello that it cannot serve as exim in Debian does."""

    starttls = None

    def __init__(self, folder: Path, certificates: list[Path], version: str | None) -> None:
        """Start it with these folders' certificates; *version* is the only one of TLS (null: all)."""
        self.address, (self.port,) = "127.0.0.1", free_ports(1)
        priorities = {None: "NORMAL", "1.2": "NORMAL:-VERS-TLS1.3", "1.3": "NORMAL:-VERS-ALL:+VERS-TLS1.3"}
        words: list[str | Path] = [need("gnutls-serv"), "--echo", "--nocookie", "--port", str(self.port)]
        words += ["--priority", priorities[version]]
        for each in certificates:
            words += ["--x509certfile", each / "fullchain.pem", "--x509keyfile", each / "privkey.pem"]
        folder.mkdir(parents=True)
        self._program = Program(words, folder / "output")
        self._program.wait_until(lambda: listens(self.address, self.port))

    def stop(self) -> None:
        """End it."""
        self._program.stop()
