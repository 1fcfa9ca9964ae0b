"""Many names on many servers cost a few round trips; a dead server costs its time-outs once. Counted, not timed."""

from __future__ import annotations

import socketserver
import threading
from contextlib import contextmanager
from typing import TYPE_CHECKING

import dns.flags
import dns.message
import dns.rrset
import pytest

from sslops.model.inventory import Endpoint
from sslops.probe.dns_question import Patience
from sslops.probe.name_servers import CONNECTIONS, Resolver
from tests.world.loopback import fresh_address

if TYPE_CHECKING:
    import socket
    from collections.abc import Iterator

NAMES = 300
OWNERS = tuple(f"_25._tcp.s{number:04}.example.com." for number in range(NAMES))
QUIET_SECONDS = 0.05


def _data(owner: str) -> str:
    return f"3 1 1 {owner[10:14] * 16}"


class FarServer(socketserver.ThreadingTCPServer):
    """A name server so far away that it has everything its peer sends in one go before the first answer is back."""

    allow_reuse_address = True
    daemon_threads = True

    def __init__(self, *, lasts: int | None = None, lame: str = "", is_curt: bool = False) -> None:
        """Listen; *lasts* so many answers, then say nothing any more; refuse what ends in *lame*.

        *is_curt*: one answer, and the connection ends.
        """
        super().__init__((fresh_address(), 0), _Far)
        self.lasts, self.lame, self.is_curt = lasts, lame, is_curt
        self.connections = self.rounds = self.questions = 0
        self.lock = threading.Lock()

    @property
    def endpoint(self) -> Endpoint:
        """Where it answers."""
        address, port = self.server_address[:2]
        return Endpoint(str(address), int(port))

    def answer(self, wire: bytes) -> bytes | None:
        """Return the answer to one question; null when it says nothing."""
        query = dns.message.from_wire(wire)
        with self.lock:
            self.questions += 1
            if self.lasts is not None and self.questions > self.lasts:
                return None
        response = dns.message.make_response(query)
        owner = query.question[0].name.to_text()
        if self.lame and owner.endswith(self.lame):
            response.set_rcode(dns.rcode.REFUSED)
            return response.to_wire()
        response.flags |= dns.flags.AA
        if not owner.startswith("_25."):
            response.set_rcode(dns.rcode.NXDOMAIN)
            return response.to_wire()
        response.answer.append(dns.rrset.from_text(owner, 60, "IN", "TLSA", _data(owner)))
        return response.to_wire()


class _Far(socketserver.BaseRequestHandler):
    server: FarServer
    request: socket.socket

    def handle(self) -> None:
        """Collect what is sent in one go, then answer all of it, in the order of arrival."""
        with self.server.lock:
            self.server.connections += 1
        received = b""
        arrived: list[bytes] = []
        while True:
            self.request.settimeout(QUIET_SECONDS if arrived else None)
            try:
                chunk = self.request.recv(65536)
            except TimeoutError:
                with self.server.lock:
                    self.server.rounds += 1
                heard = arrived[:1] if self.server.is_curt else arrived
                answers = [made for wire in heard if (made := self.server.answer(wire)) is not None]
                self.request.sendall(b"".join(len(made).to_bytes(2, "big") + made for made in answers))
                if self.server.is_curt:
                    return
                arrived = []
                continue
            if not chunk:
                return
            received += chunk
            while len(received) >= 2 and len(received) >= (end := 2 + int.from_bytes(received[:2], "big")):
                arrived.append(received[2:end])
                received = received[end:]


@contextmanager
def far(*servers: FarServer) -> Iterator[dict[str, tuple[Endpoint, ...]]]:
    """Let *servers* answer; yields them as the servers of a zone."""
    threads = [threading.Thread(target=server.serve_forever, daemon=True) for server in servers]
    for thread in threads:
        thread.start()
    try:
        yield {f"ns{number}": (server.endpoint,) for number, server in enumerate(servers)}
    finally:
        for server in servers:
            server.shutdown()
            server.server_close()


def test_many_names_take_few_round_trips_over_few_connections() -> None:
    """Each address is asked the first question alone, the others without waiting for answers."""
    servers = (FarServer(), FarServer(), FarServer())
    with far(*servers) as zone:
        seen = Resolver().tlsa(zone, OWNERS)

    assert {(owner, _data(owner)[-64:]) for owner in OWNERS} == {
        (owner, record.data) for each in seen for owner, rrset in each.answers.items() for record in rrset.records
    }
    for server in servers:
        # Without signatures a second question tells each answer from a wildcard's.
        assert 2 * NAMES == server.questions
        assert server.connections <= CONNECTIONS
        # One after another it would be 150 on each connection; how a busy machine cuts what arrives may add a few.
        assert server.rounds <= NAMES / 10


def test_zones_on_the_same_servers_are_asked_over_the_same_connections() -> None:
    """And one for which a server is lame fails alone."""
    server = FarServer(lame=".d7.example.")
    owners = {f"d{number}.example": (f"_25._tcp.s000{number}.d{number}.example.",) for number in range(10)}
    with far(server) as servers:
        seen = Resolver().tlsa_of_zones({apex: (servers, asked) for apex, asked in owners.items()})

    assert server.connections <= CONNECTIONS
    assert ["d7.example"] == [apex for apex, (each,) in seen.items() if each.error is not None]


@pytest.mark.parametrize("lasts", [0, 1, 150])
def test_a_server_that_is_silent_costs_its_patience_once(lasts: int) -> None:
    """From the first question on, or in the middle: nobody waits for the rest of the names."""
    dead, alive = FarServer(lasts=lasts), FarServer()
    with far(dead, alive) as zone:
        first, second = Resolver(patience=Patience(0.5, 2)).tlsa(zone, OWNERS)

    assert "gave no answer" in (first.error or "")
    assert (None, NAMES) == (second.error, len(second.answers))
    # Each connection has asked its share ahead, once, and then the one question that nobody answers.
    assert dead.questions <= 2 * NAMES + 2 * CONNECTIONS


def test_a_server_that_ends_the_connection_is_asked_again() -> None:
    """What it did not answer ahead is asked one by one."""
    curt = FarServer(is_curt=True)
    with far(curt) as zone:
        (seen,) = Resolver(patience=Patience(1.0, 2)).tlsa(zone, OWNERS[:20])

    assert (None, 20) == (seen.error, len(seen.answers))


def test_an_answer_to_another_question_is_not_taken() -> None:
    """A number alone makes no answer: the question in it counts too."""

    class Confused(FarServer):
        def answer(self, wire: bytes) -> bytes | None:
            query = dns.message.from_wire(wire)
            if query.question[0].name.to_text() == OWNERS[5]:
                other = dns.message.make_query(OWNERS[6], "TLSA")
                other.id = query.id
                return super().answer(other.to_wire())
            return super().answer(wire)

    confused = Confused()
    with far(confused) as zone:
        (seen,) = Resolver(patience=Patience(0.5, 1)).tlsa(zone, OWNERS[:10])

    assert seen.error is not None
