"""The ssh client against a real sshd: whose word counts, what is refused, and what it says then."""

from __future__ import annotations

import os
import stat
import subprocess
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from sslops.deploy.receiver import Receivers
from sslops.model.inventory import Host, Verify
from sslops.model.shipment import Outcome
from sslops.probe.host_ports import AskedPorts
from sslops.system import ssh as ssh_module
from sslops.system.clock import SystemClock
from sslops.system.ssh import LocalShell, Ssh
from tests.world.certificates import write_certificate

if TYPE_CHECKING:
    from collections.abc import Callable

    from tests.world.mailhost import MailHost
    from tests.world.sshd import Login, SshHost

NAME = "smtp1.internal.example.com"


@pytest.fixture
def server(ssh_host: Callable[[str], SshHost]) -> SshHost:
    """Return a server."""
    return ssh_host(NAME)


@pytest.fixture
def environ(login: Login) -> dict[str, str]:
    """Return an environment that can log in, and holds a secret."""
    return {**os.environ, **login.environment, "SOPS_AGE_KEY": "secret-identity", "DNS_TOKEN": "secret-token"}


def inventory_host(server: SshHost, *, verify: Verify | None = None) -> Host:
    """Return the server as an inventory has it."""
    return Host(server.name, server.address, server.port, server.user, str(server.prod_cert_dir), verify)


def look(known_hosts: str, host: Host, environ: dict[str, str]) -> tuple[Outcome, str]:
    """Look at *host*, and return how that ended and what is said about it."""
    with Ssh(known_hosts, [host], environ=environ) as ssh:
        answer = Receivers(ssh, LocalShell(environ), SystemClock().now).look(host)
    return answer.outcome, answer.trouble.render() if answer.trouble else ""


def key_of(server: SshHost) -> str:
    """Return type and key of the server's host key."""
    return server.known_hosts.partition(" ")[2].strip()


def test_a_host_is_known_by_its_inventory_name(server: SshHost, environ: dict[str, str]) -> None:
    """The line in `known_hosts` names the host as the inventory does, whatever its address and port."""
    assert (Outcome.DONE, "") == look(f"{NAME} {key_of(server)}\n", inventory_host(server), environ)


def test_a_host_is_known_by_address_and_port(server: SshHost, environ: dict[str, str]) -> None:
    """What `ssh-keyscan -p PORT ADDRESS` prints can be put into the inventory as it is."""
    line = f"[{server.address}]:{server.port} {key_of(server)}\n"

    assert (Outcome.DONE, "") == look(line, inventory_host(server), environ)


def test_a_changed_host_key_is_refused(server: SshHost, environ: dict[str, str]) -> None:
    """Another key than the reviewed one ends it before anything is sent, and the message says what to do."""
    before = server.known_hosts
    server.change_host_key()
    outcome, words = look(before, inventory_host(server), environ)

    assert Outcome.HOST_KEY == outcome
    assert f"'{NAME}': host key refused" in words
    assert "inventory/known_hosts" in words


def test_an_unknown_host_key_is_refused(server: SshHost, environ: dict[str, str]) -> None:
    """Nothing is trusted at first sight."""
    assert Outcome.HOST_KEY == look("", inventory_host(server), environ)[0]


def test_a_revoked_host_key_is_refused(server: SshHost, environ: dict[str, str]) -> None:
    """A line `@revoked` counts, under the host's name too."""
    lines = f"{NAME} {key_of(server)}\n@revoked [{server.address}]:{server.port} {key_of(server)}\n"

    assert Outcome.HOST_KEY == look(lines, inventory_host(server), environ)[0]


def test_a_host_that_is_down_is_unreachable(server: SshHost, environ: dict[str, str]) -> None:
    """A refused connection is told as such."""
    server.stop()

    assert Outcome.UNREACHABLE == look(server.known_hosts, inventory_host(server), environ)[0]


def test_a_name_that_does_not_resolve_is_unreachable(environ: dict[str, str]) -> None:
    """So is a host that DNS does not know."""
    assert Outcome.UNREACHABLE == look("", Host("gone", "gone.invalid"), environ)[0]


def test_a_login_that_is_refused_is_told(server: SshHost, environ: dict[str, str], tmp_path: Path) -> None:
    """With another login key the host says no."""
    other = tmp_path / "other"
    subprocess.run(["ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-f", other], check=True)
    config = tmp_path / "config"
    config.write_text(f"Host *\n    IdentityFile {other}\n    IdentitiesOnly yes\n    IdentityAgent none\n")
    outcome, words = look(
        server.known_hosts, inventory_host(server), {**environ, ssh_module.CONFIG_VARIABLE: str(config)}
    )

    assert Outcome.DENIED == outcome
    assert "authorized_keys" in words


def test_an_ssh_config_of_ones_own_does_not_weaken_it(
    server: SshHost, environ: dict[str, str], login: Login, tmp_path: Path
) -> None:
    """`StrictHostKeyChecking no` and a known_hosts file in the person's ssh_config change nothing."""
    theirs = tmp_path / "theirs"
    theirs.write_text(f"{NAME} {key_of(server)}\n")
    config = tmp_path / "config"
    config.write_text(
        f"{login.config.read_text()}    StrictHostKeyChecking no\n    UserKnownHostsFile {theirs}\n"
        f"    GlobalKnownHostsFile {theirs}\n    RemoteCommand id\n    RequestTTY force\n    ForwardAgent yes\n"
    )
    environ = {**environ, ssh_module.CONFIG_VARIABLE: str(config)}

    assert Outcome.HOST_KEY == look("", inventory_host(server), environ)[0]
    assert Outcome.DONE == look(server.known_hosts, inventory_host(server), environ)[0]


def test_the_child_does_not_get_secrets(environ: dict[str, str], tmp_path: Path) -> None:
    """Age identities and tokens are not in the environment of what runs on hosts."""
    done = LocalShell(environ).run(Host("here", "local"), ["env"], payload=b"", timeout_seconds=60)

    assert b"PATH=" in done.stdout
    assert b"secret-" not in done.stdout
    with Ssh("", [], environ=environ) as ssh:
        channel = ssh.client(Host("here", "192.0.2.1"))
    assert not any("secret-" in word for word in channel)
    assert tmp_path.exists()


def test_a_restricted_login_is_enough(
    server: SshHost,
    environ: dict[str, str],
    login: Login,
    mail_host: Callable[..., MailHost],
    tmp_path: Path,
) -> None:
    """What docs/deploy.md puts into authorized_keys lets the receiver run, and one port be asked."""
    expected = write_certificate(tmp_path / "mail")
    port = mail_host(tmp_path / "mail", is_shared=True).smtp_port
    permitted = f'restrict,port-forwarding,permitopen="127.0.0.1:{port}" {login.public}'
    (server.folder / "authorized_keys").write_text(permitted)
    host = inventory_host(server)
    with Ssh(server.known_hosts, [host], environ=environ) as ssh:
        outcome = Receivers(ssh, LocalShell(environ), SystemClock().now).ask(host, 1).outcome
        seen = AskedPorts(ssh).show(
            host, Verify(port, "smtp", "host"), "mail.example.com", connections=1, over_seconds=0
        )

    assert (Outcome.DONE, True) == (outcome, seen.shows_only(expected))


@pytest.mark.parametrize(
    ("shell", "outcome", "words"),
    [
        ("printf 'Welcome '; eval \"$SSH_ORIGINAL_COMMAND\"", Outcome.DONE, ""),
        (r"""printf '\033]0;x\007'; eval "$SSH_ORIGINAL_COMMAND"; printf '\nbye\033[0m'""", Outcome.DONE, ""),
        (
            r"printf '\033[2JThis account\n is not available'; exit 1",
            Outcome.BROKEN,
            "[2JThis account is not available",
        ),
        ("echo no such shell >&2; exit 127", Outcome.BROKEN, "no such shell"),
        ("exit 3", Outcome.BROKEN, "printed nothing, and ended with exit code 3"),
    ],
)
def test_whatever_a_login_shell_prints(
    server: SshHost, environ: dict[str, str], login: Login, shell: str, outcome: Outcome, words: str
) -> None:
    """Around the answer it does not matter; in place of one it is passed on, escaped."""
    server.install("login-shell", f"#!/bin/sh\n{shell}\n")
    (server.folder / "authorized_keys").write_text(f'command="{server.folder}/bin/login-shell" {login.public}')
    ended, said = look(server.known_hosts, inventory_host(server), environ)

    assert outcome == ended
    assert words in said
    assert "\x1b" not in said


def test_a_call_ends_in_time(server: SshHost, environ: dict[str, str]) -> None:
    """A command that hangs is given up, and that is told by a missing exit code."""
    host = inventory_host(server)
    with Ssh(server.known_hosts, [host], environ=environ) as ssh:
        assert ssh.run(host, ["sleep", "60"], payload=b"", timeout_seconds=0.5).code is None


def test_a_flood_is_cut(server: SshHost, environ: dict[str, str], monkeypatch: pytest.MonkeyPatch) -> None:
    """A peer that talks without end does not fill our memory."""
    monkeypatch.setattr("sslops.system.processes.STDOUT_LIMIT_BYTES", 1000)
    host = inventory_host(server)
    with Ssh(server.known_hosts, [host], environ=environ) as ssh:
        done = ssh.run(host, ["head", "-c", "1000000", "/dev/zero"], payload=b"", timeout_seconds=60)

    assert (0, 1000) == (done.code, len(done.stdout))


def test_words_arrive_as_they_are(server: SshHost, environ: dict[str, str]) -> None:
    """The remote login shell sees quoted words."""
    words = ["a b", "$(id)", "it's", "*", "new\nline", "\\", ""]
    host = inventory_host(server)
    with Ssh(server.known_hosts, [host], environ=environ) as ssh:
        done = ssh.run(host, ["printf", "%s|", *words], payload=b"", timeout_seconds=60)

    assert "".join(f"{word}|" for word in words).encode() == done.stdout


def test_the_private_folder_is_private_and_goes_away(environ: dict[str, str]) -> None:
    """Sockets and host keys lie in a folder of ours, short enough for a socket, and only while it is needed."""
    with Ssh("", [], environ=environ) as ssh:
        words = ssh.client(Host("here", "192.0.2.1"))
        socket = Path(next(word.partition("=")[2] for word in words if word.startswith("ControlPath=")))
        assert 0o700 == stat.S_IMODE(socket.parent.stat().st_mode)
        assert len(str(socket.parent)) <= 48
    assert not socket.parent.exists()


def test_a_port_is_asked_on_the_host_itself(
    server: SshHost, environ: dict[str, str], mail_host: Callable[..., MailHost], tmp_path: Path
) -> None:
    """`verify: {from: host}`: the connection is made at the host's end, to 127.0.0.1 or the address named."""
    expected = write_certificate(tmp_path / "mail")
    listener = mail_host(tmp_path / "mail", is_shared=True)
    bound = mail_host(tmp_path / "mail")
    host = inventory_host(server)
    with Ssh(server.known_hosts, [host], environ=environ) as ssh:
        verify = Verify(listener.smtp_port, "smtp", "host")
        seen = AskedPorts(ssh).show(host, verify, "mail.example.com", connections=3, over_seconds=0.2)
        named = Verify(bound.smtp_port, "smtp", "host", address=bound.address)
        elsewhere = AskedPorts(ssh).show(host, named, "mail.example.com", connections=1, over_seconds=0)
        nobody, own = (
            AskedPorts(ssh).show(
                host, Verify(1, None, "host", address=at), "mail.example.com", connections=1, over_seconds=0
            )
            for at in (None, "own")
        )

        mistaken = Verify(listener.tls_port, "smtp", "host")
        silent = AskedPorts(ssh).show(host, mistaken, "mail.example.com", connections=1, over_seconds=0)

    assert elsewhere.shows_only(expected)
    assert "the port begins with TLS at once: leave 'starttls' out of 'verify'" == silent.hint
    assert f"asked on '{host.name}', at {host.address}: " in (own.error or "")
    assert seen.shows_only(expected)
    assert 3 == seen.connections
    assert nobody.error is not None
    assert "refused" in nobody.error
