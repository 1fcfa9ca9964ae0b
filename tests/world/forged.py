"""A signed zone whose signatures do not hold for some names, as after a signer that broke: served by another knot."""

from __future__ import annotations

from typing import TYPE_CHECKING

from sslops.model.inventory import Endpoint
from tests.world.loopback import DNS_PORT, fresh_address
from tests.world.peers import need
from tests.world.programs import Program, listens

if TYPE_CHECKING:
    from collections.abc import Collection
    from pathlib import Path

    import dns.zone


class ForgedServer:
    """A name server that has *apex* as *source* shows it now, with the signatures at some owners broken."""

    def __init__(self, folder: Path, source: Endpoint, apex: str, broken: Collection[str] | None = None) -> None:
        """Start it with its files below *folder*; *broken* are absolute names, null means every name of the zone."""
        self.endpoint = Endpoint(fresh_address(), DNS_PORT)
        (folder / "db").mkdir(parents=True)
        (folder / f"{apex}.zone").write_text(_forged(_transferred(source, apex), broken))
        (folder / "knot.conf").write_text(_configuration(folder, self.endpoint, apex))
        self._program = Program([need("knotd"), "-c", folder / "knot.conf"], folder / "log")
        self._program.wait_until(lambda: listens(self.endpoint.address, self.endpoint.port))

    def stop(self) -> None:
        """End it."""
        self._program.stop()


def _transferred(source: Endpoint, apex: str) -> dns.zone.Zone:
    import dns.query
    import dns.zone

    messages = dns.query.xfr(source.address, f"{apex}.", port=source.port, timeout=10, relativize=False)
    return dns.zone.from_xfr(messages, relativize=False)


def _forged(zone: dns.zone.Zone, broken: Collection[str] | None) -> str:
    """Write *zone* with a bit of every signature at *broken* turned over; those of the keys stay as they are."""
    import dns.rdataset
    import dns.rdatatype

    for name, rdataset in list(zone.iterate_rdatasets()):
        is_signature = rdataset.rdtype == dns.rdatatype.RRSIG and rdataset.covers != dns.rdatatype.DNSKEY
        if is_signature and (broken is None or str(name) in broken):
            turned = [each.replace(signature=_turned(each.signature)) for each in rdataset]
            zone.replace_rdataset(name, dns.rdataset.from_rdata_list(rdataset.ttl, turned))
    return str(zone.to_text(relativize=False))


def _turned(signature: bytes) -> bytes:
    return bytes([signature[0] ^ 1]) + signature[1:]


def _configuration(folder: Path, endpoint: Endpoint, apex: str) -> str:
    return f"""\
server:
    rundir: {folder}
    listen: {endpoint.address}@{endpoint.port}
    udp-workers: 1
    tcp-workers: 1
    background-workers: 1
database:
    storage: {folder}/db
control:
    listen: {folder}/knot.sock
log:
  - target: stderr
    any: info
template:
  - id: default
    storage: {folder}
    file: "%s.zone"
    zonefile-sync: -1
zone:
  - domain: {apex}
"""
