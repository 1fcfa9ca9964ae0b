"""Diffie-Hellman parameters on a server: the receiver behind a real sshd brings them, and a real postfix loads them."""

from __future__ import annotations

import os
import subprocess
from dataclasses import replace
from typing import TYPE_CHECKING

from sslops.deploy.receiver import Receivers
from sslops.model.inventory import Host
from sslops.model.names import GenerationId, ServiceId
from sslops.model.secret import Secret
from sslops.model.shipment import DhFiles, Outcome, Parcel, Restart, ServiceFiles, Shipment
from sslops.pki.dh_groups import parameters
from sslops.system.clock import SystemClock
from sslops.system.ssh import LocalShell, Ssh
from tests.unit.deploy.shipments import ISSUED_AT
from tests.world.certificates import write_certificate
from tests.world.peers import need

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from tests.world.postfix import Postfix
    from tests.world.sshd import Login, SshHost

RSA = ServiceId("example.com", "mail-rsa")
GENERATION = GenerationId("20261124T143000Z-9b1c")
DHPARM = DhFiles("example.com", {name: parameters(name) for name in ("ffdhe3072", "ffdhe2048")})


def test_parameters_arrive_beside_certificates_and_a_daemon_uses_them(
    world_folder: Path, ssh_host: Callable[[str], SshHost], login: Login, postfix: Callable[[Path], Postfix]
) -> None:
    """They are there before the restart, and what is there already stays, whoever put it there."""
    world_folder.chmod(0o755)
    far = ssh_host("smtp1.internal.example.com")
    host = Host(far.name, far.address, far.port, far.user, str(far.prod_cert_dir))
    curr, dh = far.prod_cert_dir / "example.com/mail-rsa/curr", far.prod_cert_dir / "example.com/dh"
    write_certificate(world_folder / "made", key_type="rsa")
    cert, key = ((world_folder / "made" / name).read_bytes() for name in ("fullchain.pem", "privkey.pem"))
    parcel = Parcel(RSA, GENERATION, ServiceFiles(b"csr\n", cert, b""), Secret(key), "0a", ISSUED_AT, None, ISSUED_AT)
    mail = postfix(curr)
    mail.configure(f"smtpd_tls_dh1024_param_file = {dh}/dhparam.pem")
    first = Shipment((parcel,), (), (Restart("smtp", (tuple(mail.restart_cmd.split()),)),), (DHPARM,))
    environ = {**os.environ, **login.environment}
    with Ssh(far.known_hosts, [host], environ=environ) as ssh:
        receivers = Receivers(ssh, LocalShell(environ), SystemClock().now)
        came = receivers.put(host, 1, first)
        brought = {path.name: path.read_bytes() for path in dh.iterdir()}
        used = _key_exchange(mail)
        (dh / "dh-ffdhe3072.pem").write_bytes(parameters("ffdhe4096"))
        again = receivers.put(host, 2, Shipment(dhparm=(DHPARM,)))
        elsewhere = far.folder / "theirs"
        elsewhere.mkdir()
        (far.prod_cert_dir / "example.net").mkdir()
        (far.prod_cert_dir / "example.net/dh").symlink_to(elsewhere)
        linked = receivers.put(host, 3, Shipment(dhparm=(replace(DHPARM, group="example.net"),)))

    assert (Outcome.DONE, frozenset({"example.com"})) == (came.outcome, came.dhparm)
    assert {"dhparam.pem", "dh-ffdhe3072.pem", "dh-ffdhe2048.pem"} == brought.keys()
    assert parameters("ffdhe3072") == brought["dhparam.pem"]
    assert "DH, 3072 bits" in used
    assert (Outcome.DONE, parameters("ffdhe4096")) == (again.outcome, (dh / "dhparam.pem").read_bytes())
    assert (Outcome.DONE, frozenset({"example.net"}), []) == (linked.outcome, linked.dhparm, list(elsewhere.iterdir()))


def _key_exchange(mail: Postfix) -> str:
    """Return what openssl says of a session that may only agree on a key by finite-field Diffie-Hellman."""
    words = [str(need("openssl")), "s_client", "-starttls", "smtp", "-connect", f"{mail.address}:{mail.smtp_port}"]
    words += ["-tls1_2", "-cipher", "DHE-RSA-AES128-GCM-SHA256"]
    done = subprocess.run(words, check=False, capture_output=True, text=True, stdin=subprocess.DEVNULL, timeout=30)
    return done.stdout + done.stderr
