"""Addresses and ports that no other world uses, so that tests run side by side.

Linux answers on all of 127.0.0.0/8. Each test process has a /24 of its own, so a server keeps its address and port
while it is stopped, and nothing else can take them. IPv6 has the one address ::1, where each process has ports of its
own.
"""

from __future__ import annotations

import contextlib
import itertools
import os
import socket

DNS_PORT = 15353
SSH_PORT = 10022
SMTP_PORT = 10025
TLS_PORT = 10465
CONTROL_PORT = 10099
HTTP_PORT = 10080
ACME_PORT = 14000
ACME_CONTROL_PORT = 15000
"""Below the ephemeral range, so that no outgoing connection takes one by chance."""

IPV6 = "::1"
NO_IPV6 = "IPv6 is NOT TESTED here: this machine has no ::1"

_PORTS = (DNS_PORT, SSH_PORT, SMTP_PORT, TLS_PORT, CONTROL_PORT, HTTP_PORT, ACME_PORT, ACME_CONTROL_PORT)
_PORTS_OF_A_PROCESS = 32
_last_bytes = itertools.cycle(range(1, 255))
_numbers = itertools.cycle(range(_PORTS_OF_A_PROCESS))


def fresh_address() -> str:
    """Return an address of 127.0.0.0/8 on which none of the ports above is in use."""
    for _ in range(254):
        address = _next_address()
        if all(_is_free(address, port) for port in _PORTS):
            return address
    message = "every loopback address of this process is in use"
    raise RuntimeError(message)


def has_ipv6() -> bool:
    """Whether the kernel lets a server listen on ::1."""
    try:
        with socket.create_server((IPV6, 0), family=socket.AF_INET6):
            return True
    except OSError:
        return False


def fresh_port() -> int:
    """Return a port that this process has for itself on ::1 (and on every address of `fresh_address`)."""
    # Above the ports of every other server here, below the ephemeral range.
    first = 16000 + os.getpid() % 512 * _PORTS_OF_A_PROCESS
    for _ in range(_PORTS_OF_A_PROCESS):
        port = first + next(_numbers)
        if _is_free(IPV6, port):
            return port
    message = "every port of this process is in use on ::1"
    raise RuntimeError(message)


def free_ports(count: int, address: str = "127.0.0.1") -> tuple[int, ...]:
    """Return different ports that are free on *address* now; for peers that cannot have an address of their own."""
    with contextlib.ExitStack() as held:
        servers = [held.enter_context(socket.create_server((address, 0))) for _ in range(count)]
        return tuple(int(server.getsockname()[1]) for server in servers)


def family_of(address: str) -> socket.AddressFamily:
    """Return the address family of an IP address."""
    return socket.AF_INET6 if ":" in address else socket.AF_INET


def bracketed(address: str) -> str:
    """Return an IP address as it is written before a port."""
    return f"[{address}]" if ":" in address else address


def _next_address() -> str:
    pid = os.getpid()
    return f"127.{1 + (pid >> 8) % 250}.{pid % 256}.{next(_last_bytes)}"


def _is_free(address: str, port: int) -> bool:
    try:
        with socket.create_server((address, port), family=family_of(address)):
            return True
    except OSError:
        return False
