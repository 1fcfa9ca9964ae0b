"""What `status --live` adds: name servers and ports, each told in the words of the repository's generations.

Where git, DNS and what is served differ it says so: that is drift. A host that a roll has not reached yet serves what
the ledger says it may, and its records match: that is no drift, and the phase of the service tells it.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING

from sslops.dane.records import CA_USAGES, Index, standing
from sslops.model.mail_policy import differences, parse_policy, report_addresses, sts_id
from sslops.model.names import CA_GROUP, format_time
from sslops.model.plan import Hazard, HazardName
from sslops.model.tlsa import EMPTY
from sslops.report.status import Alarm, AlarmKind
from sslops.report.text import columns

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from sslops.dane.records import Keys, Version
    from sslops.model.inventory import Inventory
    from sslops.model.ledger import Evidence, Ledger
    from sslops.model.mail_policy import MailPolicySeen, StsPolicy
    from sslops.model.names import GenerationId, ServiceId
    from sslops.model.observations import PortSeen, ServerSeen
    from sslops.model.plan import Consents
    from sslops.model.state import Branches
    from sslops.model.tlsa import TlsaParams, TlsaRecord
    from sslops.probe.live import LiveName, LivePort


UNMANAGED = "unmanaged"


@dataclass(frozen=True)
class Known:
    """What git and the ledger know, by which answers are named and judged."""

    inventory: Inventory
    branches: Branches
    ledger: Ledger
    keys: Keys

    def certificate(self, sha256: str) -> Version | None:
        """Return whose certificate has this hash; null when it is unmanaged."""
        return self._certificates.get(sha256)

    def versions(self, record: TlsaRecord) -> tuple[Version, ...]:
        """Return the generations that *record* matches, sorted; of the record of an own CA that CA's only."""
        if record.params not in self._indexes:
            self._indexes[record.params] = Index.of(self.keys, frozenset({record.params}))
        found = sorted(self._indexes[record.params].versions(record))
        own = [version for version in found if version[0].group == CA_GROUP]
        return tuple(own if record.params.usage in CA_USAGES and own else found)

    def record(self, record: TlsaRecord) -> str:
        """Return `service generation` of a record, and how many more it matches."""
        found = self.versions(record)
        if not found:
            return UNMANAGED
        more = f" and {len(found) - 1} more" if len(found) > 1 else ""
        return f"{' '.join(map(str, found[0]))}{more}"

    def is_listed(self, record: TlsaRecord, services: frozenset[ServiceId]) -> bool:
        """Whether *record* is of a public CA that the inventory lists for one of *services*."""
        return any(
            record in standing(record.owner, record.params, each, self.inventory, self.branches, self.keys)
            for each in services
            if each in self.inventory.services
        )

    def may_serve(self, host: str, service: ServiceId) -> frozenset[GenerationId]:
        """Return what *host* may rightly show of *service*: main's curr, and what the ledger says it may serve."""
        known = {each for each in self.ledger.host(host).serves(service).may_serve if each is not None}
        curr = self.branches.main[service].slots.curr
        return frozenset(known | ({curr} if curr else set()))

    def needed(self, owner: str) -> Mapping[TlsaRecord, Evidence]:
        """Return the records with evidence at *owner* that a slot or a host still needs, sorted."""
        found = sorted(self._evidence.get(owner, {}).items(), key=lambda each: each[0])
        return {record: proof for record, proof in found if not self._in_use.isdisjoint(self.versions(record))}

    @cached_property
    def _indexes(self) -> dict[TlsaParams, Index]:
        return {}

    @cached_property
    def _evidence(self) -> Mapping[str, Mapping[TlsaRecord, Evidence]]:
        found: dict[str, dict[TlsaRecord, Evidence]] = {}
        for entry in self.ledger.apexes.values():
            for record, proof in entry.records.items():
                found.setdefault(record.owner, {})[record] = proof
        return found

    @cached_property
    def _in_use(self) -> frozenset[Version]:
        branches = (self.branches.main, self.branches.next)
        slots = {
            (service, key)
            for branch in branches
            for service, state in branch.services.items()
            for key in (state.slots.curr, state.slots.next)
            if key is not None
        }
        served = {
            (service, key)
            for entry in self.ledger.hosts.values()
            for service, each in entry.services.items()
            for key in each.may_serve
            if key is not None
        }
        return frozenset(slots | served)

    @cached_property
    def _certificates(self) -> Mapping[str, Version]:
        return {
            facts.issued.cert_sha256: version
            for version, facts in self.keys.generations.items()
            if facts.issued is not None
        }


@dataclass(frozen=True, slots=True)
class LiveView:
    """What was shown, and what is known to judge it by."""

    names: tuple[LiveName, ...]
    ports: tuple[LivePort, ...]
    known: Known
    consents: Consents
    policies: tuple[MailPolicySeen, ...] = ()

    def alarms(self) -> tuple[Alarm, ...]:
        """Return where git, DNS and what is served differ, and what gave no answer."""
        found = [*_names_drift(self), *_ports_drift(self), *_policy_drift(self)]
        return tuple(dict.fromkeys(found))

    def verdict(self) -> str:
        """Return the first line of the answer where there is no alarm."""
        if not (self.names or self.ports or self.policies):
            return "live: no name and no port to ask; a class is asked where it has `verify`"
        return "live: git, DNS and what is served agree"

    def as_text(self) -> str:
        """Return names, then ports, in plain columns; empty where nothing was asked."""
        rows = [(name.owner, *words) for name in self.names for words in _name_rows(name, self.known)]
        rows += [(port.host, f"port {port.port}", _shown(port.seen, self.known)) for port in self.ports]
        rows += [row for policy in self.policies for row in _policy_rows(policy)]
        return columns([("live", "asked at", "shows"), *rows]) if rows else ""

    def as_json(self) -> dict[str, object]:
        """Return `{names, ports, policies}`: what is shown, by owner and server, by port, and by domain.

        `names`: `{owner: {server: [record] or null}}`, `ports`: `[{host, port, service, shows, error}]`, `policies`:
        `{domain: {mx, mta_sts_txt, policy, tlsrpt_txt, errors}}`.
        """
        return {
            "names": {
                name.owner: {server.server: _records(server, name.owner) for server in name.servers}
                for name in self.names
            },
            "ports": [_port_json(port, self.known) for port in self.ports],
            "policies": {
                each.domain: {
                    "mx": list(each.mx),
                    "mta_sts_txt": list(each.sts_txt),
                    "policy": each.policy,
                    "tlsrpt_txt": list(each.tlsrpt_txt),
                    "errors": list(each.errors),
                }
                for each in self.policies
            },
        }


# What differs.


def _names_drift(view: LiveView) -> Iterator[Alarm]:
    for name in view.names:
        if name.error is not None:
            yield Alarm(AlarmKind.UNOBSERVED, name.owner, name.error)
        shown: dict[str, frozenset[TlsaRecord]] = {}
        for server in name.servers:
            records = _rrset(server, name.owner)
            if records is None:
                yield Alarm(AlarmKind.UNOBSERVED, name.owner, f"{server.server} gave no answer: {server.error or '-'}")
            elif name.owner in server.aliases:
                yield _drift(name.owner, f"{server.server}: {server.aliases[name.owner]}")
            elif name.owner in server.differing:
                yield _drift(name.owner, f"the addresses of {server.server} show different records")
            else:
                shown[server.server] = records
        for record, evidence in view.known.needed(name.owner).items():
            behind = sorted(server for server, records in shown.items() if record not in records)
            if behind:
                since = f"the ledger has it as visible since {format_time(evidence.since)}"
                yield _drift(name.owner, f"{', '.join(behind)} lacks {_told(record, view.known)}; {since}")
        for record in sorted(frozenset().union(*shown.values())):
            yield from _unexplained(view, name, record, shown)


def _unexplained(
    view: LiveView, name: LiveName, record: TlsaRecord, shown: Mapping[str, frozenset[TlsaRecord]]
) -> Iterator[Alarm]:
    showing = sorted(server for server, records in shown.items() if record in records)
    is_ours = bool(view.known.versions(record)) or view.known.is_listed(record, name.services)
    hazard = Hazard(HazardName.TLSA_FOREIGN, name.owner, "")
    if not is_ours and not view.consents.cover(hazard):
        yield _drift(name.owner, f"{', '.join(showing)} shows {_told(record, view.known)}")
    elif len(showing) < len(shown) and record not in view.known.needed(name.owner):
        others = sorted(shown.keys() - set(showing))
        yield _drift(
            name.owner, f"{', '.join(showing)} shows {_told(record, view.known)}, {', '.join(others)} does not"
        )


def _ports_drift(view: LiveView) -> Iterator[Alarm]:
    for port in view.ports:
        where = f"{port.host}:{port.port}"
        if port.seen.error is not None:
            yield Alarm(AlarmKind.UNOBSERVED, where, port.seen.error, port.service)
        elif not port.seen.certificates:
            yield _drift(where, f"serves no certificate of the key type of {port.service}", port.service)
        for sha256 in sorted(port.seen.certificates):
            served = view.known.certificate(sha256)
            if served is None:
                what = f"serves a certificate that is unmanaged (SHA-256 {sha256[:16]}...) for {port.service}"
                yield _drift(where, what, port.service)
                continue
            if served[1] not in view.known.may_serve(port.host, served[0]):
                curr = view.known.branches.main[served[0]].slots.curr
                yield _drift(where, f"serves {' '.join(map(str, served))}, and main has {curr or 'none'}", port.service)
            yield from _unmatched(view, port, served)


def _unmatched(view: LiveView, port: LivePort, served: Version) -> Iterator[Alarm]:
    """Yield the names of the service whose records, of some kind on some server, do not match what is served."""
    for name in view.names:
        for server in name.servers if served[0] in name.services else ():
            records = _rrset(server, name.owner) or frozenset()
            for params in sorted({record.params for record in records}):
                if not view.known.keys.matching(name.owner, params, *served) & records:
                    what = f"serves {served[1]}, and no {params} record at {name.owner} on {server.server} matches it"
                    yield _drift(f"{port.host}:{port.port}", what, port.service)


def _policy_drift(view: LiveView) -> Iterator[Alarm]:
    """Yield where MTA-STS and TLS reporting of a domain are not as the inventory has them."""
    for seen in view.policies:
        group = view.known.inventory.groups[seen.domain]
        yield from (Alarm(AlarmKind.UNOBSERVED, seen.domain, error) for error in seen.errors)
        if group.mta_sts is not None:
            yield from _sts_drift(seen, group.mta_sts, group.mta_sts_id)
        if group.tls_rpt:
            try:
                addresses = report_addresses(seen.tlsrpt_txt)
                if {*addresses} != {*group.tls_rpt}:
                    what = f"reports go to {', '.join(addresses)}, and the inventory says {', '.join(group.tls_rpt)}"
                    yield _drift(f"_smtp._tls.{seen.domain}.", what)
            except ValueError as error:
                yield _drift(f"_smtp._tls.{seen.domain}.", str(error))


def _sts_drift(seen: MailPolicySeen, wanted: StsPolicy, wanted_id: str | None) -> Iterator[Alarm]:
    owner, where = f"_mta-sts.{seen.domain}.", f"mta-sts.{seen.domain}"
    try:
        found = sts_id(seen.sts_txt)
        if wanted_id is not None and found != wanted_id:
            yield _drift(owner, f"its id is {found}, and the inventory says {wanted_id}: senders keep what they had")
    except ValueError as error:
        yield _drift(owner, str(error))
    if seen.policy is None:
        return
    try:
        policy = parse_policy(seen.policy)
    except ValueError as error:
        yield _drift(where, f"the policy cannot be read: {error}")
        return
    yield from (_drift(where, what) for what in differences(policy, wanted, seen.mx))


def _policy_rows(seen: MailPolicySeen) -> Iterator[tuple[str, str, str]]:
    if seen.policy is not None:
        yield seen.domain, "MTA-STS", "; ".join(line.strip() for line in seen.policy.split("\n")[:12] if line.strip())
    for text in seen.tlsrpt_txt:
        yield seen.domain, "TLS-RPT", text


def _drift(subject: str, what: str, service: ServiceId | None = None) -> Alarm:
    return Alarm(AlarmKind.DRIFT, subject, what, service)


def _told(record: TlsaRecord, known: Known) -> str:
    return f"record {record.params} {record.data[:16]} ({known.record(record)})"


# What was shown.


def _name_rows(name: LiveName, known: Known) -> list[tuple[str, str]]:
    if name.error is not None:
        return [("-", name.error)]
    return [(server.server, _answer(server, name.owner, known)) for server in name.servers]


def _answer(server: ServerSeen, owner: str, known: Known) -> str:
    records = _rrset(server, owner)
    if records is None:
        return f"no answer: {server.error or 'not asked'}"
    return "; ".join(sorted(f"{record.params} {known.record(record)}" for record in records)) or "no record"


def _records(server: ServerSeen, owner: str) -> list[str] | None:
    records = _rrset(server, owner)
    return None if records is None else sorted(str(record) for record in records)


def _rrset(server: ServerSeen, owner: str) -> frozenset[TlsaRecord] | None:
    if server.error is not None or owner not in server.answers:
        return None
    return server.answers.get(owner, EMPTY).records


def _shown(seen: PortSeen, known: Known) -> str:
    if seen.error is not None:
        return seen.error
    found = (known.certificate(each) for each in sorted(seen.certificates))
    return "; ".join(UNMANAGED if each is None else " ".join(map(str, each)) for each in found)


def _port_json(port: LivePort, known: Known) -> dict[str, object]:
    found = [known.certificate(each) for each in sorted(port.seen.certificates)]
    return {
        "host": port.host,
        "port": port.port,
        "service": str(port.service),
        "shows": [None if each is None else each[1] for each in found],
        "error": port.seen.error,
    }
