"""What ports show, and what that proves; asked of listeners that restart late, mix, or hold another certificate."""

from __future__ import annotations

import contextlib
import shlex
import socket
import subprocess
import time
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from typing import TYPE_CHECKING

import pytest

from sslops.deploy.host_session import Prover
from sslops.deploy.session_plan import Question, Shown
from sslops.model.inventory import Host, Verify
from sslops.model.names import ServiceId
from sslops.probe.host_ports import AskedPorts
from sslops.system.ssh import Ssh
from tests.world.certificates import write_certificate

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from tests.world.mailhost import MailHost

MAIL, WEB = ServiceId("example.com", "mail-ec"), ServiceId("example.com", "web-ec")


@pytest.fixture
def prover() -> Prover:
    """Return a prover with little patience."""
    return Prover(AskedPorts(Ssh("", [], environ={})), time.sleep, (0.1,))


def question(listener: MailHost, own: str, *others: str, service: ServiceId = MAIL, connections: int = 1) -> Question:
    """Return a question to the STARTTLS port of *listener*."""
    verify = Verify(listener.smtp_port, "smtp")
    return Question(service, verify, "mail.example.com", connections, 0.2, own, frozenset(others))


def ask(prover: Prover, listener: MailHost, asked: Question) -> Shown:
    """Put one question to *listener*."""
    return prover.prove(Host("smtp1", listener.address), {asked.service: (asked,)})[asked.service]


def test_the_right_certificate_is_a_proof(prover: Prover, mail_host: Callable[..., MailHost], tmp_path: Path) -> None:
    """Every connection showed it."""
    own = write_certificate(tmp_path)

    assert Shown("port") == ask(prover, mail_host(tmp_path), question(mail_host(tmp_path), own, connections=3))


def test_another_certificate_is_none(prover: Prover, mail_host: Callable[..., MailHost], tmp_path: Path) -> None:
    """Both hashes are told, shortened, with the port."""
    shown, listener = write_certificate(tmp_path), mail_host(tmp_path)
    found = ask(prover, listener, question(listener, "ab" * 32))

    assert found.proof is None
    assert f"port {listener.smtp_port} of 'smtp1' shows {shown[:16]}, not {'ab' * 8}" == found.why


def test_a_neighbour_of_the_same_class_proves_the_reload_only(
    prover: Prover, mail_host: Callable[..., MailHost], tmp_path: Path
) -> None:
    """A port with two keys, or without names, shows one of them: the files are the proof of the other."""
    shown, listener = write_certificate(tmp_path), mail_host(tmp_path)

    assert Shown("files") == ask(prover, listener, question(listener, "ab" * 32, shown))


def test_under_a_further_name_only_a_former_certificate_counts(
    prover: Prover, mail_host: Callable[..., MailHost], tmp_path: Path
) -> None:
    """A sibling's certificate, or no answer, is not about this service; its own former one says that it goes on."""
    shown, listener = write_certificate(tmp_path), mail_host(tmp_path)
    asked = question(listener, "ab" * 32)
    found = ask(prover, listener, replace(asked, server_name="mx.example.com", former=frozenset({shown, "cd" * 32})))

    assert found.proof is None
    assert f"port {listener.smtp_port} of 'smtp1' shows {shown[:16]} for mx.example.com, not {'ab' * 8}" == found.why
    sibling = replace(asked, former=frozenset({"cd" * 32}))
    assert Shown("files") == ask(prover, listener, sibling)
    listener.stop()
    assert Shown("files") == ask(prover, listener, sibling)


def test_old_workers_are_waited_for(prover: Prover, mail_host: Callable[..., MailHost], tmp_path: Path) -> None:
    """Some connections still show the old certificate: not proven until none does."""
    write_certificate(tmp_path)
    listener = mail_host(tmp_path)
    listener.linger(600)
    new = write_certificate(tmp_path)

    def restart(_: float = 0) -> None:
        # What lingers after the second one is the new certificate.
        subprocess.run(shlex.split(listener.restart_cmd), check=True)

    restart()
    patient = Prover(prover.ports, restart, (0.5, 1.0, 2.0, 4.0))

    assert ask(prover, listener, question(listener, new, connections=3)).proof is None
    assert Shown("port") == ask(patient, listener, question(listener, new, connections=3))


def test_a_port_that_is_closed_is_told(prover: Prover, mail_host: Callable[..., MailHost], tmp_path: Path) -> None:
    """A daemon that did not come up again."""
    own, listener = write_certificate(tmp_path), mail_host(tmp_path)
    listener.stop()
    found = ask(prover, listener, question(listener, own))

    assert found.proof is None
    assert "could not be asked" in found.why


@pytest.mark.parametrize(
    ("is_tls", "starttls", "hint"),
    [
        (True, "smtp", "the port begins with TLS at once: leave 'starttls' out of 'verify'"),
        (False, None, "the port greets as smtp does: 'starttls: smtp' in 'verify'"),
        (False, "imap", "the port greets as smtp does: 'starttls: smtp' in 'verify'"),
    ],
)
def test_another_protocol_is_told_at_once(
    prover: Prover, mail_host: Callable[..., MailHost], tmp_path: Path, is_tls: bool, starttls: str | None, hint: str
) -> None:
    """No patience helps there: what `verify` should say comes with the first answer."""
    rests: list[float] = []
    own, listener = write_certificate(tmp_path), mail_host(tmp_path)
    patient = Prover(prover.ports, rests.append, (0.5, 1.0))
    verify = Verify(listener.tls_port if is_tls else listener.smtp_port, starttls)
    found = ask(patient, listener, replace(question(listener, own), verify=verify))

    assert (None, hint, []) == (found.proof, found.hint, rests)


def test_what_is_waited_for_is_told(prover: Prover) -> None:
    """A port that accepts connections and says nothing; each reason is told once."""
    told: list[str] = []
    with socket.create_server(("127.0.0.1", 0)) as silent, ThreadPoolExecutor() as pool:
        pool.submit(_accept_and_leave, silent)
        waiting = Prover(prover.ports, time.sleep, (0.1, 0.5, 0.5), say=told.append, silent_seconds=0.1)
        port = silent.getsockname()[1]
        asked = Question(MAIL, Verify(port, "smtp"), "mail.example.com", 1, 0.0, "ab" * 32, frozenset())
        waiting.prove(Host("smtp1", "127.0.0.1"), {MAIL: (asked,)})
        silent.shutdown(socket.SHUT_RDWR)

    closed = f"port {port} of '127.0.0.1': the connection was closed before TLS began"
    assert [
        f"port {port} of 'smtp1' does not answer: waiting for its greeting, as 'starttls: smtp' says",
        f"waiting for 1 s more: port {port} of 'smtp1' could not be asked: {closed}",
    ] == told


def _accept_and_leave(silent: socket.socket) -> None:
    with contextlib.suppress(OSError):
        while True:
            connection, _ = silent.accept()
            with connection:
                time.sleep(0.4)


def test_a_service_without_a_port_is_proven_by_its_files(prover: Prover) -> None:
    """No class of it says how to ask."""
    assert {WEB: Shown("files")} == prover.prove(Host("smtp1", "192.0.2.1"), {WEB: ()})
