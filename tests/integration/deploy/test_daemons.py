"""The daemons of docs/deploy.md: first start, renewal and a second key, in the documented order and by those lines."""

from __future__ import annotations

import os
import subprocess
from typing import TYPE_CHECKING

import pytest

from sslops.deploy.receiver import Receivers
from sslops.model.inventory import FileModes, Host
from sslops.model.names import GenerationId, ServiceId
from sslops.model.secret import Secret
from sslops.model.shipment import Outcome, Parcel, Restart, ServiceFiles, Shipment
from sslops.probe.tls import ask_port
from sslops.system.clock import SystemClock
from sslops.system.ssh import LocalShell
from tests.unit.deploy.shipments import ISSUED_AT
from tests.world.certificates import write_certificate
from tests.world.daemons import EXIM_USER, KINDS, Daemon, GnutlsServer, documented
from tests.world.peers import need
from tests.world.programs import wait_until

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

NAME = "mail.example.com"
EC, RSA = ServiceId("example.com", "mail-ec"), ServiceId("example.com", "mail-rsa")
EVERY = (None, "ec", "rsa")
IN_EVERY_RUN = ("postfix", "dovecot", "nginx")
DAEMONS = [pytest.param(name, marks=() if name in IN_EVERY_RUN else pytest.mark.soak) for name in KINDS]


class Server:
    """This machine as a host: certificates arrive by the receiver, *daemon* reads them."""

    def __init__(self, folder: Path, name: str) -> None:
        self.folder, self.root = folder, folder / "prod-certs"
        folder.mkdir()
        for each in (folder, folder.parent):
            each.chmod(0o755)
        self.host = Host("here", "local", prod_cert_dir=str(self.root))
        self.daemon = Daemon(KINDS[name], folder / name, self.root)
        (self.daemon.folder / "address").write_text(self.daemon.address)
        shell = LocalShell(os.environ)
        self._receivers, self._number = Receivers(shell, shell, SystemClock().now), 0
        self._modes = FileModes(group=EXIM_USER, key_mode="0640") if name == "exim" else FileModes()

    def put(self, service: ServiceId, restarts: tuple[tuple[str, ...], ...] | None = None) -> tuple[Outcome, str]:
        """Send a new certificate; return what came of it and its SHA-256."""
        self._number += 1
        made = self.folder / f"made{self._number}"
        digest = write_certificate(made, NAME, "rsa" if service == RSA else "ec")
        cert, key = (made / "fullchain.pem").read_bytes(), Secret((made / "privkey.pem").read_bytes())
        generation = GenerationId(f"20261124T1430{self._number:02d}Z-9b1c")
        files = ServiceFiles(b"csr\n", cert, b"")
        parcel = Parcel(service, generation, files, key, "0a", ISSUED_AT, None, ISSUED_AT, self._modes)
        commands = self.daemon.restart_cmd if restarts is None else restarts
        shipment = Shipment((parcel,), (), (Restart("mail", commands),))
        self.shipment = shipment
        return self._receivers.put(self.host, self._number, shipment).outcome, digest

    def back(self) -> Outcome:
        """Undo the last put, as after a port that showed something else."""
        return self._receivers.back(self.host, self._number, self.shipment).outcome

    def shown(self, *key_types: str | None) -> frozenset[str]:
        """Return what the port shows to clients of these types."""
        seen = ask_port(
            self.daemon.address, self.daemon.port, starttls=self.daemon.starttls, server_name=NAME, key_types=key_types
        )
        return seen.certificates

    def shows(self, *digests: str) -> None:
        """Wait until the port shows these certificates, and no others, whoever asks; a reload takes its time."""
        wait_until(lambda: self.shown(*EVERY) == set(digests), lambda: f"{self.shown(*EVERY)}, not {digests}")


@pytest.fixture
def server(world_folder: Path) -> Iterator[Callable[[str], Server]]:
    """Yield a function that makes this machine a host of one daemon."""
    made: list[Server] = []

    def make(name: str) -> Server:
        made.append(Server(world_folder / name, name))
        return made[-1]

    yield make
    for each in made:
        each.daemon.stop()


@pytest.mark.parametrize("name", DAEMONS)
def test_a_daemon_starts_renews_and_gets_a_second_key(server: Callable[[str], Server], name: str) -> None:
    """Configured first, it cannot start; the files of the failed run stay, and from then on everything works."""
    here = server(name)
    here.daemon.configure()
    outcome, first = here.put(EC)

    assert Outcome.STAYED == outcome
    here.daemon.start()
    here.shows(first)

    outcome, second = here.put(EC)
    assert Outcome.DONE == outcome
    here.shows(second)

    if documented(name, is_double=True) is not None:
        # The daemon does not read the second key yet: it is not shown, and stays all the same.
        outcome, rsa = here.put(RSA)
        assert (Outcome.DONE, Outcome.DONE) == (outcome, here.back())
        here.shows(second)
        here.daemon.configure(is_double=True)
        outcome, third = here.put(EC)
        assert Outcome.DONE == outcome
        here.shows(third, rsa)


@pytest.mark.soak
def test_a_postfix_map_of_names_holds_copies(server: Callable[[str], Server]) -> None:
    """It shows the new certificate only after `postmap -F` made it again, as docs/deploy.md says."""
    here = server("postfix")
    folder = here.daemon.folder
    (folder / "sni").write_text(f"{NAME} {here.root}/{RSA}/curr/bundle.pem\n")
    settings = documented("postfix", is_double=False)
    assert settings is not None
    here.daemon.configure_as(f"{settings}tls_server_sni_maps = hash:{folder}/sni\n")
    _, other = here.put(EC, ())
    _, first = here.put(RSA, ())
    again = ((str(need("postmap")), "-c", f"{folder}/etc", "-F", f"hash:{folder}/sni"), *here.daemon.restart_cmd)
    subprocess.run(again[0], check=True, timeout=30)
    here.daemon.start()
    here.shows(first)

    assert Outcome.DONE == here.put(RSA)[0]
    here.shows(first)
    outcome, third = here.put(RSA, again)
    assert Outcome.DONE == outcome
    here.shows(third)
    assert other not in here.shown(*EVERY)


ASKED_IN_EVERY_RUN = {("dovecot", None, ("ec",)), ("nginx", "1.3", ("ec", "rsa"))}


@pytest.mark.parametrize(
    ("name", "version", "keys"),
    [
        pytest.param(name, version, keys, marks=() if (name, version, keys) in ASKED_IN_EVERY_RUN else pytest.mark.soak)
        for name in KINDS
        for version in (None, "1.2", "1.3")
        for keys in (("ec",), ("rsa",), ("ec", "rsa"))
        if len(keys) == 1 or documented(name, is_double=True) is not None
    ],
)  # fmt: skip
def test_a_port_is_asked_for_each_key_type(
    server: Callable[[str], Server], name: str, version: str | None, keys: tuple[str, ...]
) -> None:
    """In TLS 1.2 and 1.3, whether the daemon refuses by an alert or just closes (dovecot 2.3)."""
    here = server(name)
    made = {key: here.put(RSA if key == "rsa" else EC, ())[1] for key in keys}
    settings = documented(name, is_double=len(keys) > 1)
    assert settings is not None
    here.daemon.configure_as(settings if keys != ("rsa",) else settings.replace("mail-ec", "mail-rsa"), version)
    here.daemon.start()
    here.shows(*made.values())

    assert {key: {made[key]} if key in made else set() for key in ("ec", "rsa")} == {
        key: here.shown(key) for key in ("ec", "rsa")
    }


@pytest.mark.parametrize("version", [pytest.param(None, marks=pytest.mark.soak), "1.3"])
@pytest.mark.parametrize("keys", [("ec",), ("ec", "rsa")])
def test_gnutls_is_asked_for_each_key_type(world_folder: Path, version: str | None, keys: tuple[str, ...]) -> None:
    """With TLS 1.3 only it answers a client of TLS 1.2 as if it had no such key: that must not be believed."""
    made = {key: write_certificate(world_folder / key, NAME, key) for key in keys}
    running = GnutlsServer(world_folder / "gnutls", [world_folder / key for key in keys], version)
    try:
        shown = {
            key: ask_port(running.address, running.port, starttls=None, server_name=NAME, key_types=(key,))
            for key in ("ec", "rsa")
        }
    finally:
        running.stop()

    assert {key: {made[key]} if key in made else set() for key in shown} == {
        key: seen.certificates for key, seen in shown.items()
    }
    assert {None} == {seen.error for seen in shown.values()}
