"""What senders find of MTA-STS and TLS reporting: TXT records, the policy at its web address, the MX hosts of DNS.

The policy is fetched as RFC 8461 section 3.3 has it: https, a valid certificate for `mta-sts.<domain>`, no redirection.
"""

from __future__ import annotations

import http.client
import socket
import ssl
import time
from typing import TYPE_CHECKING

from sslops.errors import DnsError
from sslops.model.mail_policy import MailPolicySeen

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

    from sslops.model.inventory import Inventory
    from sslops.probe.name_servers import Resolver

HTTPS_PORT = 443
PATH = "/.well-known/mta-sts.txt"
MAX_POLICY_BYTES = 64 * 1024
TIMEOUT_SECONDS = 15.0
_OK = 200


def live_policies(inventory: Inventory, resolver: Resolver) -> tuple[MailPolicySeen, ...]:
    """Look at every active group that has `mta_sts` or `tls_rpt`."""
    return tuple(
        _seen(name, inventory, resolver, fetches=group.mta_sts is not None)
        for name, group in sorted(inventory.groups.items())
        if group.active and (group.mta_sts is not None or group.tls_rpt)
    )


def _seen(domain: str, inventory: Inventory, resolver: Resolver, *, fetches: bool) -> MailPolicySeen:
    via, errors = inventory.primary_of(domain), list[str]()

    def texts(name: str) -> tuple[str, ...]:
        try:
            return resolver.texts(name, via)
        except DnsError as error:
            errors.append(error.what)
            return ()

    sts, tlsrpt = texts(f"_mta-sts.{domain}.") if fetches else (), texts(f"_smtp._tls.{domain}.")
    mx: tuple[str, ...] = ()
    policy = None
    try:
        mx = resolver.mx(domain, via)
        if fetches:
            host = f"mta-sts.{domain}"
            policy = fetch_policy(host, resolver.addresses(f"{host}.", via))
    except (DnsError, OSError) as error:
        errors.append(error.what if isinstance(error, DnsError) else f"https://mta-sts.{domain}{PATH}: {error}")
    return MailPolicySeen(domain, mx, sts, policy, tlsrpt, tuple(errors))


def fetch_policy(host: str, addresses: Iterable[str]) -> str:
    """Return the policy file of *host* from the first of *addresses* that gives it; OSError says why none did."""
    why = "it has no address"
    for address in addresses:
        try:
            return _fetch(host, address)
        except ssl.SSLError as error:
            why = f"its certificate or TLS is not good: {getattr(error, 'verify_message', '') or error.reason or error}"
        except (OSError, http.client.HTTPException) as error:
            why = str(getattr(error, "strerror", None) or error) or type(error).__name__
    raise OSError(why)


def _fetch(host: str, address: str) -> str:
    end = time.monotonic() + TIMEOUT_SECONDS
    connection = _Connection(host, address)
    try:
        connection.request("GET", PATH, headers={"Accept": "text/plain"})
        answer = connection.getresponse()
        if answer.status != _OK:
            raise OSError(f"the answer is {answer.status}, and redirections do not count")
        if answer.headers.get_content_type() != "text/plain":
            raise OSError(f"its type is {answer.headers.get_content_type()[:60]}, not text/plain")
        return b"".join(_bounded(answer, end)).decode("utf-8", "replace")
    finally:
        connection.close()


def _bounded(answer: http.client.HTTPResponse, end: float) -> Iterator[bytes]:
    size = 0
    while part := answer.read1(8192):
        size += len(part)
        if size > MAX_POLICY_BYTES:
            raise OSError(f"it is larger than {MAX_POLICY_BYTES // 1024} KiB")
        if time.monotonic() > end:
            raise OSError("it does not end")
        yield part


class _Connection(http.client.HTTPSConnection):
    """A connection to one address of a host, whose certificate must be for the host."""

    def __init__(self, host: str, address: str) -> None:
        super().__init__(host, HTTPS_PORT, timeout=TIMEOUT_SECONDS)
        self._address, self._tls = address, ssl.create_default_context()

    def connect(self) -> None:
        """Connect to the address that was given, under the name of the host."""
        plain = socket.create_connection((self._address, HTTPS_PORT), TIMEOUT_SECONDS)
        try:
            self.sock = self._tls.wrap_socket(plain, server_hostname=self.host)
        except BaseException:
            plain.close()
            raise
