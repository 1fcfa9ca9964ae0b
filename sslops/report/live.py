"""What `status --live` adds: name servers and ports, each told in the words of the repository's generations."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from sslops.model.tlsa import EMPTY
from sslops.report.text import columns

if TYPE_CHECKING:
    from sslops.dane.records import Keys
    from sslops.model.names import GenerationId, ServiceId
    from sslops.model.observations import PortSeen, ServerSeen
    from sslops.model.tlsa import TlsaRecord
    from sslops.probe.live import LiveName, LivePort


FOREIGN = "not ours"


class Legend:
    """Tells whose a record or a certificate is, from the public facts of all generations."""

    def __init__(self, keys: Keys) -> None:
        """Index the certificates by their hash."""
        self._keys = keys
        self._certificates = {
            facts.issued.cert_sha256: (service, generation)
            for (service, generation), facts in keys.generations.items()
            if facts.issued is not None
        }

    def record(self, record: TlsaRecord) -> str:
        """Return `service generation` of a record."""
        for service, generation in sorted(self._keys.generations):
            if self._keys.record(record.owner, record.params, service, generation) == record:
                return f"{service} {generation}"
        return FOREIGN

    def certificate(self, sha256: str) -> tuple[ServiceId, GenerationId] | None:
        """Return whose certificate has this hash; null when it is not ours."""
        return self._certificates.get(sha256)


@dataclass(frozen=True, slots=True)
class LiveView:
    """What was shown, and the legend that tells whose it is."""

    names: tuple[LiveName, ...]
    ports: tuple[LivePort, ...]
    legend: Legend

    def as_text(self) -> str:
        """Return names, then ports, in plain columns."""
        rows = [(name.owner, *words) for name in self.names for words in _name_rows(name, self.legend)]
        rows += [(port.host, f"port {port.port}", _shown(port.seen, self.legend)) for port in self.ports]
        if not rows:
            return "live: no name and no port to ask; a class is asked where it has `verify`"
        return columns([("live", "asked at", "shows"), *rows])

    def as_json(self) -> dict[str, object]:
        """Return `{names: {owner: {server: [record] or null}}, ports: [{host, port, service, shows, error}]}`."""
        return {
            "names": {
                name.owner: {server.server: _records(server, name.owner) for server in name.servers}
                for name in self.names
            },
            "ports": [_port_json(port, self.legend) for port in self.ports],
        }


def _name_rows(name: LiveName, legend: Legend) -> list[tuple[str, str]]:
    if name.error is not None:
        return [("-", name.error)]
    return [(server.server, _answer(server, name.owner, legend)) for server in name.servers]


def _answer(server: ServerSeen, owner: str, legend: Legend) -> str:
    records = _rrset(server, owner)
    if records is None:
        return f"no answer: {server.error or 'not asked'}"
    return "; ".join(sorted(f"{record.params} {legend.record(record)}" for record in records)) or "no record"


def _records(server: ServerSeen, owner: str) -> list[str] | None:
    records = _rrset(server, owner)
    return None if records is None else sorted(str(record) for record in records)


def _rrset(server: ServerSeen, owner: str) -> frozenset[TlsaRecord] | None:
    if server.error is not None or owner not in server.answers:
        return None
    return server.answers.get(owner, EMPTY).records


def _shown(seen: PortSeen, legend: Legend) -> str:
    if seen.error is not None:
        return seen.error
    found = (legend.certificate(each) for each in sorted(seen.certificates))
    return "; ".join(FOREIGN if each is None else " ".join(map(str, each)) for each in found)


def _port_json(port: LivePort, legend: Legend) -> dict[str, object]:
    found = [legend.certificate(each) for each in sorted(port.seen.certificates)]
    return {
        "host": port.host,
        "port": port.port,
        "service": str(port.service),
        "shows": [None if each is None else each[1] for each in found],
        "error": port.seen.error,
    }
