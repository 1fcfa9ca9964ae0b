"""MTA-STS and TLS reporting: `check` offline, `status --live` beside real name servers and a real web server."""

from __future__ import annotations

import json
import os
import ssl
import threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import TYPE_CHECKING

import pytest

from sslops.model.mail_policy import StsPolicy, policy_text
from tests.world.acme_tls import EndpointCa
from tests.world.dns_files import ZONES
from tests.world.loopback import fresh_address
from tests.world.ops import OpsRepository
from tests.world.peers import missing

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

    from tests.world.dns import DnsWorld

HOST, PATH = "mta-sts.example.com", "/.well-known/mta-sts.txt"
ID = "20261201T000000Z"
GROUP = f"""\
groups:
  - domain: example.com
    active: true
    services: [web]
    mta_sts: {{mode: enforce, mx: [mail.example.com], id: "{ID}"}}
    tls_rpt: ["mailto:tls@example.com"]
servers: {{web: {{hosts: [web1.example.com], server_dir: /srv/http}}}}
"""
FILES = {
    "inventory/cas.yaml": "le: {ca_desc: x, ca_type: acme, ca_validation: http-01}\n",
    "inventory/example.com/web.yaml": f"signing_ca: le\nx509: {{CN: {HOST}, sans: [{HOST}, mail.example.com]}}\n",
}
TXT = f'_mta-sts TXT "v=STSv1; " "id={ID};"\n_smtp._tls TXT "v=TLSRPTv1; rua=mailto:tls@example.com"\n'


class Web:
    """A web server for HOST on port 443 of `address`; `policy` is what it answers (null: a redirection)."""

    def __init__(self, folder: Path, name: str) -> None:
        """Begin, with a certificate for *name* by a CA of its own, in `bundle`."""
        self.address, self.policy = fresh_address(), ""
        ca = EndpointCa(folder)
        self.bundle = ca.bundle
        web = self

        class Handler(BaseHTTPRequestHandler):
            def do_GET(self) -> None:
                found = self.path == PATH and self.headers["Host"] == HOST and web.policy is not None
                self.send_response(200 if found else 302)
                self.send_header("Content-Type", "text/plain; charset=utf-8")
                self.send_header("Location", f"https://www.example.com{PATH}")
                self.end_headers()
                self.wfile.write((web.policy or "").encode())

            def log_message(self, *_: object) -> None:
                pass

        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        context.load_cert_chain(*ca.write_leaf(name))
        self._server = ThreadingHTTPServer((self.address, 443), Handler)
        self._server.socket = context.wrap_socket(self._server.socket, server_side=True)
        self._thread = threading.Thread(target=self._server.serve_forever, daemon=True)
        self._thread.start()

    def close(self) -> None:
        """End."""
        self._server.shutdown()
        self._thread.join()
        self._server.server_close()


@pytest.fixture
def start_web(world_folder: Path) -> Iterator[Callable[..., Web]]:
    """Yield a function that starts the web server with a certificate for a name."""
    if os.geteuid() != 0:
        missing("port 443 can be taken by root only")
    started: list[Web] = []

    def start(name: str = HOST) -> Web:
        started.append(Web(world_folder / f"web{len(started)}", name))
        return started[-1]

    yield start
    for each in started:
        each.close()


def repository(folder: Path, world: DnsWorld) -> OpsRepository:
    """Return an ops repository whose group has both policies."""
    primary = f"dns_primary: [{{domain: default, server: {world.primary.address}, port: {world.primary.port}}}]\n"
    return OpsRepository(folder, FILES | {"inventory/sslops.yaml": GROUP + primary}, has_remote=False)


def live(ops: OpsRepository, web: Web) -> tuple[int, list[str]]:
    """Return the exit code of `status --live`, and what it found to differ."""
    done = ops.sslops("status", "--live", "--json", environment={"SSL_CERT_FILE": str(web.bundle)})
    return done.exit_code, [f"{each['subject']}: {each['what']}" for each in json.loads(done.stdout)["alarms"]]


def test_what_senders_find_is_compared_with_the_inventory_and_dns(
    world_folder: Path, dns_world: DnsWorld, start_web: Callable[..., Web]
) -> None:
    """Policy, id, MX hosts, certificate and the address for reports; each that differs is told, with exit 1."""
    web, other = start_web(), start_web("www.example.com")
    web.policy = policy_text(StsPolicy("enforce", ("mail.example.com",)))
    zone = dns_world.read(f"{ZONES}/example.com.zone")

    def publish(text: str) -> None:
        dns_world.edit({f"{ZONES}/example.com.zone": f"{zone}\n{text}"})
        dns_world.settle()

    publish(f"mta-sts A {web.address}\n{TXT}")
    ops = repository(world_folder, dns_world)

    assert (0, []) == live(ops, web)

    web.policy = policy_text(StsPolicy("testing", ("mx9.example.com",)))
    assert (
        1,
        [
            f"{HOST}: MX host mail.example.com is in no mx line of the policy: senders will report it",
            f"{HOST}: mx line mx9.example.com of the policy names no MX host that DNS has",
            f"{HOST}: the policy lacks mx mail.example.com of the inventory",
            f"{HOST}: the policy names mx mx9.example.com, the inventory does not",
            f"{HOST}: the policy says mode testing, the inventory enforce",
        ],
    ) == (live(ops, web)[0], sorted(live(ops, web)[1]))

    web.policy = None  # type: ignore[assignment]
    publish(f'mta-sts A {web.address}\n_mta-sts TXT "v=STSv1; id=1;"\n_smtp._tls TXT "v=spf1"\n')
    assert (
        1,
        [
            "_mta-sts.example.com.: its id is 1, and the inventory says 20261201T000000Z: senders keep what they had",
            "_smtp._tls.example.com.: there are 0 TXT records that begin with v=TLSRPTv1, and one counts",
            f"example.com: https://{HOST}{PATH}: the answer is 302, and redirections do not count",
        ],
    ) == (live(ops, web)[0], sorted(live(ops, web)[1]))

    publish(f"mta-sts A {other.address}\n{TXT}")
    code, told = live(ops, other)
    assert (1, True) == (code, "hostname mismatch" in told[0].lower())


def test_a_policy_beside_an_own_ca_is_told(world_folder: Path) -> None:
    """Senders that go by MTA-STS know public roots only, and refuse what an own CA signed."""
    own = {
        "inventory/cas.yaml": FILES["inventory/cas.yaml"] + "own: {ca_desc: x, ca_type: self}\n",
        "inventory/ca/own.yaml": "signing_ca: self\nx509: {CN: Own}\nca: {sign_end_days: 90}\n",
        "inventory/example.com/web.yaml": FILES["inventory/example.com/web.yaml"].replace(": le", ": own"),
        "inventory/sslops.yaml": GROUP.replace("servers:", "  - {domain: ca, active: true, services: [own]}\nservers:"),
    }
    noted = OpsRepository(world_folder, own, has_remote=False).sslops("check").succeeded().stderr

    assert "'example.com/web' is signed by an own CA, and senders that go by MTA-STS trust public ones only" in noted


def test_check_compares_what_it_can_without_asking_anybody(world_folder: Path) -> None:
    """A policy of which the certificates know nothing is told at its line; a pattern that is none is a fault."""
    text = GROUP.replace("mx: [mail.example.com]", 'mx: ["mx1.example.net", "*.example.com"]')
    ops = OpsRepository(world_folder, FILES | {"inventory/sslops.yaml": text}, has_remote=False)
    noted = ops.sslops("check").succeeded().stderr
    ops.edit({"inventory/sslops.yaml": GROUP.replace("mail.example.com", "'*.*.example.com'")})
    refused = ops.sslops("check")

    assert "no certificate here is for an MX host that 'mx1.example.net' names" in noted
    assert "inventory/sslops.yaml:5:" in noted
    assert "'*.example.com' names" not in noted
    assert 1 == refused.exit_code
    assert "a host name in lower case, or '*.' and a domain" in refused.stderr
