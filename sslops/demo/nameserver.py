"""A small authoritative name server: it serves the zone files of one folder and nothing else.

The folder is a checkout of the DNS repository's base branch, made by that repository's hook. `$INCLUDE` is relative to
the folder. A zone file that does not load leaves the last one that did in place, as real servers do.

Run as `python -m sslops.demo.nameserver PORT FOLDER STAMP`; STAMP is the file the hook touches last.
"""

from __future__ import annotations

import re
import socketserver
import struct
import sys
import threading
from pathlib import Path
from typing import TYPE_CHECKING

import dns.exception
import dns.flags
import dns.message
import dns.name
import dns.opcode
import dns.rcode
import dns.rdatatype
import dns.zone

from sslops.demo.lifeline import end_with_parent

if TYPE_CHECKING:
    from dns.rrset import RRset


ADDRESS = "127.0.0.1"
_INCLUDE = re.compile(r"^\$INCLUDE\s+(\S+).*$", re.MULTILINE)
_SUFFIX = ".zone"


class Zones:
    """The zones of *folder*, read again whenever *stamp* has changed."""

    def __init__(self, folder: Path, stamp: Path) -> None:
        """Read nothing yet."""
        self._folder, self._stamp = folder, stamp
        self._read_at: int | None = None
        self._zones: dict[dns.name.Name, dns.zone.Zone] = {}
        self._lock = threading.Lock()

    def holding(self, name: dns.name.Name) -> dns.zone.Zone | None:
        """Return the zone that *name* lies in, as the folder has it now; null when it is not ours."""
        with self._lock:
            changed_at = self._stamp.stat().st_mtime_ns if self._stamp.exists() else 0
            if changed_at != self._read_at:
                self._zones |= dict(filter(None, map(_load, sorted(self._folder.glob(f"*{_SUFFIX}")))))
                self._read_at = changed_at
            inside = [apex for apex in self._zones if name.is_subdomain(apex)]
            return self._zones[max(inside, key=len)] if inside else None


def answer(wire: bytes, zones: Zones) -> bytes:
    """Return the reply to one query: the records asked for, or the SOA when there are none (RFC 2308)."""
    query = dns.message.from_wire(wire)
    reply = dns.message.make_response(query)
    if query.opcode() != dns.opcode.QUERY or len(query.question) != 1:
        reply.set_rcode(dns.rcode.NOTIMP)
        return reply.to_wire()
    asked = query.question[0]
    zone = zones.holding(asked.name)
    if zone is None or zone.origin is None:
        reply.set_rcode(dns.rcode.REFUSED)
        return reply.to_wire()
    reply.flags |= dns.flags.AA
    found = zone.get_rrset(asked.name, asked.rdtype)
    if found is not None:
        reply.answer.append(found)
        return reply.to_wire()
    if not _exists(zone, asked.name):
        reply.set_rcode(dns.rcode.NXDOMAIN)
    reply.authority.append(_soa(zone, zone.origin))
    return reply.to_wire()


class _Udp(socketserver.BaseRequestHandler):
    """One query in one datagram."""

    def handle(self) -> None:
        wire, socket = self.request
        socket.sendto(answer(wire, self.server.zones), self.client_address)  # type: ignore[attr-defined]


class _Tcp(socketserver.StreamRequestHandler):
    """Queries one after another on a connection, each behind its length (RFC 1035 section 4.2.2)."""

    timeout = 5

    def handle(self) -> None:
        while len(head := self.rfile.read(2)) == 2:  # noqa: PLR2004  (a length is two octets)
            reply = answer(self.rfile.read(struct.unpack("!H", head)[0]), self.server.zones)  # type: ignore[attr-defined]
            self.wfile.write(struct.pack("!H", len(reply)) + reply)


class _UdpServer(socketserver.ThreadingUDPServer):
    """A quiet server: what cannot be parsed gets no answer."""

    daemon_threads = True
    zones: Zones

    def handle_error(self, request: object, client_address: object) -> None:
        """Drop what is not DNS."""


class _TcpServer(socketserver.ThreadingTCPServer):
    """A quiet server: what cannot be parsed ends the connection."""

    daemon_threads = True
    allow_reuse_address = True
    zones: Zones

    def handle_error(self, request: object, client_address: object) -> None:
        """Drop what is not DNS."""


def main() -> None:
    """Serve until the parent is gone."""
    port, folder, stamp = sys.argv[1:]
    zones = Zones(Path(folder), Path(stamp))
    with _UdpServer((ADDRESS, int(port)), _Udp) as udp, _TcpServer((ADDRESS, int(port)), _Tcp) as tcp:
        for server in (udp, tcp):
            server.zones = zones
        end_with_parent()
        threading.Thread(target=tcp.serve_forever, daemon=True).start()
        udp.serve_forever()


def _load(path: Path) -> tuple[dns.name.Name, dns.zone.Zone] | None:
    try:
        text = _INCLUDE.sub(lambda found: (path.parent / found[1]).read_text(), path.read_text())
        zone = dns.zone.from_text(text, origin=path.name.removesuffix(_SUFFIX), relativize=False)
    except (OSError, dns.exception.DNSException) as error:
        sys.stderr.write(f"{path.name}: {error}\n")
        return None
    assert zone.origin is not None  # noqa: S101  (from_text was given one)
    return zone.origin, zone


def _exists(zone: dns.zone.Zone, name: dns.name.Name) -> bool:
    """Whether *name* has records, or names below it that have (RFC 8020)."""
    return any(owner.is_subdomain(name) for owner in zone.nodes)


def _soa(zone: dns.zone.Zone, origin: dns.name.Name) -> RRset:
    found = zone.get_rrset(origin, dns.rdatatype.SOA)
    assert found is not None  # noqa: S101  (dnspython loads no zone without one)
    return found


if __name__ == "__main__":
    main()
