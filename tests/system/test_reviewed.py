"""A merge request's inventory may name any server; a token goes only to the one that main's names."""

from __future__ import annotations

from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from threading import Thread
from typing import TYPE_CHECKING

import pytest

from sslops.app.forges import Project, Reviewed, dns_project
from sslops.inventory.loading import load
from tests.world.ops import OpsRepository

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

TOKEN = "a-token-of-the-dns-project"
FILES = {
    "inventory/cas.yaml": "my-root: {ca_type: self}\n",
    "inventory/ca/my-root.yaml": "signing_ca: self\nx509: {CN: Root}\nca: {sign_end_days: 90}\n",
    "inventory/example.com/web-ec.yaml": "signing_ca: my-root\nx509: {CN: a.example.com, sans: [a.example.com]}\n",
}


class Listener(ThreadingHTTPServer):
    """Answers nothing but that a password is wanted, and keeps the passwords it is shown."""

    def __init__(self) -> None:
        """Listen on a free port of this machine."""
        super().__init__(("127.0.0.1", 0), Asking)
        self.shown: list[str] = []

    @property
    def url(self) -> str:
        """Where it is."""
        return f"http://127.0.0.1:{self.server_port}"


class Asking(BaseHTTPRequestHandler):
    """One request."""

    def do_GET(self) -> None:
        """Ask for a password."""
        assert isinstance(self.server, Listener)
        self.server.shown += filter(None, [self.headers.get("Authorization")])
        self.send_response(401)
        self.send_header("WWW-Authenticate", 'Basic realm="git"')
        self.send_header("Content-Length", "0")
        self.end_headers()

    def log_message(self, *_: object) -> None:
        """Say nothing."""


@contextmanager
def listening() -> Iterator[Listener]:
    """Yield a server that listens."""
    with Listener() as server:
        thread = Thread(target=server.serve_forever, daemon=True)
        thread.start()
        yield server
        server.shutdown()
        thread.join()


def inventory(url: str, forge_url: str | None = None) -> dict[str, str]:
    """Return an inventory whose DNS repository, and its forge, are at these."""
    forge = f", forge_url: '{forge_url}'" if forge_url else ""
    text = (
        "groups:\n  - {domain: example.com, active: true, services: ALL}\n"
        "  - {domain: ca, active: true, services: ALL}\n"
        f"dns:\n  repo: {{url: '{url}/infra/dns.git', branch: main, forge: gitlab, project: infra/dns{forge}}}\n"
        "  tlsa_dirs: [include-tlsa]\n"
    )
    return FILES | {"inventory/sslops.yaml": text}


@pytest.mark.parametrize("main_names_it", [True, False])
def test_the_token_goes_to_no_git_server_that_main_does_not_name(world_folder: Path, main_names_it: bool) -> None:
    """Where main names it, git shows it the token; where only the working tree does, nothing and it says so."""
    with listening() as server:
        reviewed = server.url if main_names_it else "http://127.0.0.1:9"
        ops = OpsRepository(world_folder, inventory(reviewed))
        (ops.folder / "inventory/sslops.yaml").write_text(inventory(server.url)["inventory/sslops.yaml"])
        done = ops.sslops("plan", environment={"SSLOPS_DNS_TOKEN": TOKEN})

    assert main_names_it == bool(server.shown)
    assert main_names_it != ("SSLOPS_DNS_TOKEN was not shown to this one" in done.stderr)
    assert TOKEN not in done.stdout + done.stderr


def project(forge_url: str | None) -> Project:
    """Return the DNS project of an inventory whose forge is there."""
    dns = reviewed(forge_url).inventory
    found = dns_project(dns.dns) if dns and dns.dns else None
    assert found is not None
    return found


def reviewed(forge_url: str | None) -> Reviewed:
    """Return what such an inventory names."""
    files = {name: text.encode() for name, text in inventory("https://git.example.com", forge_url).items()}
    return Reviewed(load(files), None)


def test_no_forge_is_asked_that_main_does_not_name() -> None:
    """The same host on another port is another forge; without a sound main there is none."""
    there = "https://git.example.com"
    asked = {each: reviewed(None).has_forge_of(project(each)) for each in (None, there, f"{there}:8443", f"{there}/x")}

    assert {None: True, there: True, f"{there}:8443": False, f"{there}/x": False} == asked
    assert not Reviewed(None, None).has_forge_of(project(None))
