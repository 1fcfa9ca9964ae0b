"""The demo's small servers do what their grown-up relatives do."""

from __future__ import annotations

import os
import subprocess
import sys
from typing import TYPE_CHECKING

import dns.flags
import dns.message
import dns.query
import dns.rcode
import pytest

from sslops.cli.main import run
from sslops.demo.watch import ADDRESS, certificate_served, key_served, tlsa_records
from sslops.demo.world import World, world
from tests.world.peers import need

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

OWNER = "_25._tcp.mail.example.com."


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> Iterator[World]:
    """Start the servers once; every test leaves the world as it found it, or writes what the next one ignores."""
    with world(tmp_path_factory.mktemp("demo"), run) as running:
        yield running


def ask(made: World, name: str, rdtype: str, *, tcp: bool = False) -> dns.message.Message:
    """Ask the demo's name server."""
    exchange = dns.query.tcp if tcp else dns.query.udp
    return exchange(dns.message.make_query(name, rdtype), ADDRESS, port=made.ports.dns, timeout=30)


def publish(made: World, text: str) -> None:
    """Commit *text* as the include file of example.com, and push it to the DNS repository."""
    (made.folder / "dns/include/tlsa.example.com").write_text(text)
    made.git(made.folder / "dns", "commit", "--quiet", "--all", "--allow-empty", "--message", "change")
    made.git(made.folder / "dns", "push", "--quiet", str(made.dns), "main")


def issue(folder: Path) -> None:
    """Put a fresh self-signed certificate where the mail server looks for its own."""
    folder.mkdir(parents=True, exist_ok=True)
    command = [str(need("openssl")), "req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes"]
    command += ["-keyout", str(folder / "privkey.pem"), "-out", str(folder / "fullchain.pem"), "-subj", "/CN=mail"]
    subprocess.run(command, capture_output=True, timeout=30, check=True)


def restart(made: World, pidfile: Path) -> int:
    """Run the demo's restart_cmd."""
    command = [sys.executable, "-m", "sslops.demo.restart", str(pidfile)]
    return subprocess.run(command, env=dict(made.environ), capture_output=True, timeout=30, check=False).returncode


@pytest.mark.parametrize("tcp", [False, True])
def test_it_answers_with_authority(made: World, tcp: bool) -> None:
    """Both transports, flag AA, the record of the zone file."""
    reply = ask(made, "example.com", "MX", tcp=tcp)

    assert reply.flags & dns.flags.AA
    assert "10 mail.example.com." == str(next(iter(reply.answer[0])))


def test_a_name_without_the_type_has_no_data(made: World) -> None:
    """NOERROR with the SOA (RFC 2308), also for a name that only has names below it (RFC 8020)."""
    publish(made, f"{OWNER} 2 IN TLSA 3 1 1 {'ab' * 32}\n")
    for name in ("mail.example.com", "_tcp.mail.example.com"):
        reply = ask(made, name, "AAAA")

        assert (dns.rcode.NOERROR, 0, 1) == (reply.rcode(), len(reply.answer), len(reply.authority))


def test_a_name_that_is_not_there_does_not_exist(made: World) -> None:
    """NXDOMAIN, and REFUSED for a zone of somebody else."""
    assert dns.rcode.NXDOMAIN == ask(made, "nowhere.example.com", "A").rcode()
    assert dns.rcode.REFUSED == ask(made, "example.org", "A").rcode()


def test_a_push_is_served_at_once(made: World) -> None:
    """The hook checks out the base branch, and the next answer is from it."""
    for data in ("ab" * 32, "cd" * 32):
        publish(made, f"{OWNER} 2 IN TLSA 3 1 1 {data}\n")

        assert {data} == tlsa_records(made.ports.dns, OWNER)


def test_a_zone_that_does_not_load_leaves_the_last_one(made: World) -> None:
    """A broken include file takes nothing off the air."""
    publish(made, f"{OWNER} 2 IN TLSA 3 1 1 {'ef' * 32}\n")

    assert {"ef" * 32} == tlsa_records(made.ports.dns, OWNER)
    publish(made, f'{OWNER} 2 IN TLSA 3 1 1 "open quote\n')

    assert {"ef" * 32} == tlsa_records(made.ports.dns, OWNER)


def test_what_is_not_dns_gets_no_answer(made: World) -> None:
    """Rubbish does not stop the server."""
    import socket

    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as peer:
        peer.sendto(b"\xff" * 40, (ADDRESS, made.ports.dns))

    assert dns.rcode.NOERROR == ask(made, "example.com", "SOA").rcode()


@pytest.mark.key_in_clear
def test_a_certificate_is_served_from_the_restart_on(made: World) -> None:
    """Nothing before there is one, and the old one until the listener is told to read again."""
    folder = made.folder / "mail/certs/example.com/mail-ec/curr"

    assert certificate_served(made.ports.smtp) is None
    issue(folder)
    assert certificate_served(made.ports.smtp) is None
    assert 0 == restart(made, made.folder / "mail/listener.pid")
    first = key_served(made.ports.smtp)
    issue(folder)
    assert (first, False) == (key_served(made.ports.smtp), first is None)
    assert 0 == restart(made, made.folder / "mail/listener.pid")
    assert first != key_served(made.ports.smtp)


@pytest.mark.key_in_clear
def test_a_restart_of_a_listener_that_is_gone_fails(made: World, tmp_path: Path) -> None:
    """As a service manager would say."""
    ended = subprocess.Popen([sys.executable, "-c", ""])
    ended.wait(timeout=30)
    (tmp_path / "listener.pid").write_text(f"{ended.pid} 1\n")

    assert 1 == restart(made, tmp_path / "listener.pid")


def test_nobody_elses_settings_reach_the_world(made: World) -> None:
    """No key, token or git setting of whoever runs the demo is in its environment."""
    assert set() == {name for name in made.environ if name.startswith(("SOPS_", "SSH_", "GITHUB_", "GITLAB_", "AGE_"))}
    assert os.environ.get("HOME") != made.environ["HOME"]


def test_the_servers_end_with_the_world(tmp_path: Path) -> None:
    """Nothing is left running."""
    with world(tmp_path / "demo", run) as running:
        ports = running.ports

    with pytest.raises(OSError, match=r"refused|timed out"):
        dns.query.tcp(dns.message.make_query("example.com", "MX"), ADDRESS, port=ports.dns, timeout=1)
