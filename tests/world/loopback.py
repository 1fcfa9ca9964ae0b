"""Addresses and ports that no other world uses, so that tests run side by side.

Linux answers on all of 127.0.0.0/8. Each test process has a /24 of its own, so a server keeps its address and port
while it is stopped, and nothing else can take them.
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

_PORTS = (DNS_PORT, SSH_PORT, SMTP_PORT, TLS_PORT, CONTROL_PORT, HTTP_PORT, ACME_PORT, ACME_CONTROL_PORT)
_last_bytes = itertools.cycle(range(1, 255))


def fresh_address() -> str:
    """Return an address of 127.0.0.0/8 on which none of the ports above is in use."""
    for _ in range(254):
        address = _next_address()
        if all(_is_free(address, port) for port in _PORTS):
            return address
    message = "every loopback address of this process is in use"
    raise RuntimeError(message)


def free_ports(count: int, address: str = "127.0.0.1") -> tuple[int, ...]:
    """Return different ports that are free on *address* now; for peers that cannot have an address of their own."""
    with contextlib.ExitStack() as held:
        servers = [held.enter_context(socket.create_server((address, 0))) for _ in range(count)]
        return tuple(int(server.getsockname()[1]) for server in servers)


def _next_address() -> str:
    pid = os.getpid()
    return f"127.{1 + (pid >> 8) % 250}.{pid % 256}.{next(_last_bytes)}"


def _is_free(address: str, port: int) -> bool:
    try:
        with socket.create_server((address, port)):
            return True
    except OSError:
        return False
