"""From what is rolled on `next` and not yet on `main`, to the merge request that makes it live.

A name without evidence on the ledger is told: there deploy waits, whoever merges.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from sslops.dane.evidence import ready_at
from sslops.dane.names import covers
from sslops.dane.records import CA_USAGES, Index, Keys
from sslops.inventory.reach import deliveries
from sslops.report.document import listed
from sslops.report.escape import as_code, for_markdown
from sslops.report.merge_request_view import BODY_LIMIT, Deadline, HostRow, RollRow, RollView, ShownRow
from sslops.roll.rules import does_not_last

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping

    from sslops.dane.records import Material, Version
    from sslops.inventory.reach import Delivery
    from sslops.model.inventory import Inventory
    from sslops.model.ledger import Ledger
    from sslops.model.names import ServiceId
    from sslops.model.state import Branches, Generation, ServiceState
    from sslops.model.tlsa import TlsaRecord

_WHY = {
    "first": "it has no certificate yet",
    "due": "the present certificate was due for renewal",
    "forced": "somebody asked for a new certificate",
    "new-key": "somebody asked for a new key",
    "ca-changed": "the inventory names another CA",
    "inventory-changed": "the inventory asks for another certificate",
    "standing-key": "the present certificate was due for renewal; its key was ready beforehand",
    "csr-changed": "the inventory asks for another certificate",
}
"""The reasons of `sslops.issue.rules.Reason`, as a reviewer reads them."""
_READY = "a new certificate is ready"


def roll_view(
    inventory: Inventory,
    branches: Branches,
    ledger: Ledger,
    digest: str,
    material: Mapping[Version, Material] | None = None,
    limit: int = BODY_LIMIT,
) -> RollView:
    """Return what the request about every roll that `main` lacks says; *digest* is that of the rolls."""
    rolled = tuple(_rolled(branches))
    backs = {service for service, _ in rolled if _is_back(service, branches)}
    rows = tuple(_row(service, branches.main[service], new, is_back=service in backs) for service, new in rolled)
    shown = tuple(_shown(rolled, Keys.of(branches, material), ledger))
    names = {service for service, _ in rolled}
    return RollView(
        rows=rows,
        why=(*_why([each for each in rolled if each[0] not in backs]), *_why_back(inventory, branches, rolled, backs)),
        hosts=tuple(_host(each, names) for each in deliveries(inventory) if names & set(each.services)),
        shown=shown,
        lacking=tuple(sorted({row.record.owner for row in shown if row.since is None})),
        deadline=_deadline(rows),
        digest=digest,
        limit=limit,
    )


def _rolled(branches: Branches) -> Iterator[tuple[ServiceId, Generation]]:
    for service in sorted(branches.next.services):
        state = branches.next[service]
        if state.curr is not None and state.curr.issued and state.curr.id != branches.main[service].slots.curr:
            yield service, state.curr


def _is_back(service: ServiceId, branches: Branches) -> bool:
    """Whether what main has of *service* is what somebody took back."""
    live = branches.main[service].slots.curr
    return live is not None and live == branches.next[service].slots.refused


def _why_back(
    inventory: Inventory, branches: Branches, rolled: Iterable[tuple[ServiceId, Generation]], backs: set[ServiceId]
) -> Iterator[str]:
    """Yield a sentence for each roll that is taken back, and whether what was live before can stay so."""
    for service, former in rolled:
        if service in backs:
            passing = does_not_last(inventory, service, former)
            live = as_code(str(branches.main[service].slots.curr))
            taken = f"{as_code(str(service))}: the roll to {live} is taken back."
            yield f"{taken} {for_markdown(passing[:1].upper() + passing[1:])}." if passing else taken


def _why(rolled: Iterable[tuple[ServiceId, Generation]]) -> Iterator[str]:
    """Yield one sentence for each cause, with the services it concerns."""
    causes: dict[str, list[str]] = {}
    for service, new in rolled:
        causes.setdefault(_WHY.get(new.reason, _READY), []).append(str(service))
    for why, services in sorted(causes.items()):
        yield f"{listed(services)}: {why}."


def _row(service: ServiceId, main: ServiceState, new: Generation, *, is_back: bool) -> RollRow:
    old, issued = main.curr, new.issued
    if issued is None:
        message = f"'{service}' is rolled without a certificate"
        raise ValueError(message)
    before = set(old.issued.sans) if old and old.issued else set()
    names = [f"+{name}" for name in issued.sans if old and name not in before]
    names += sorted(f"-{name}" for name in before - set(issued.sans))
    return RollRow(
        service=service,
        curr=old.id if old else "",
        generation=new.id,
        curr_ends=old.issued.not_after if old and old.issued else None,
        not_before=issued.not_before,
        not_after=issued.not_after,
        key=_key(old, new),
        issuer=issued.issuer,
        names=tuple(names),
        is_back=is_back,
    )


def _key(old: Generation | None, new: Generation) -> str:
    kind = " ".join(as_code(word) for word in (new.key_type, new.key_size) if word)
    if old is None:
        return kind
    if old.spki_sha256 == new.spki_sha256:
        return f"the same, {kind}"
    was = " ".join(as_code(word) for word in (old.key_type, old.key_size) if word)
    return f"new, {kind}" if was == kind else f"new, {kind} (was {was})"


def _host(delivery: Delivery, rolled: set[ServiceId]) -> HostRow:
    parts = [part for part in delivery.parts if rolled & part.services]
    restarts = dict.fromkeys(" ".join(command) for part in parts for command in part.restart_cmd)
    ports = dict.fromkeys(str(part.verify.port) for part in parts if part.serves and part.verify)
    serves = bool(rolled & delivery.serving)
    proof = f"port {', '.join(ports)}" if ports else "the hash of its files" if serves else "nothing: it keeps copies"
    services = tuple(str(service) for service in delivery.services if service in rolled)
    return HostRow(delivery.host.name, services, tuple(restarts), proof)


def _shown(rolled: Iterable[tuple[ServiceId, Generation]], keys: Keys, ledger: Ledger) -> Iterator[ShownRow]:
    """Yield the records of what is rolled at each of its names on the ledger; *since* null where there is none."""
    known = {record: proof for entry in ledger.apexes.values() for record, proof in entry.records.items()}
    index = Index.of(keys, frozenset(record.params for record in known))
    for service, new in rolled:
        mine = {(record.owner, record.params) for record in known if _tells_of(record, service, new, index)}
        for owner, params in sorted(mine):
            wanted = sorted(keys.matching(owner, params, service, new.id))
            found = [record for record in wanted if record in known] or wanted[:1]
            for record in found:
                proof = known.get(record)
                since, ready = (None, None) if proof is None else (proof.since, ready_at(proof))
                yield ShownRow(record, f"{service} {new.id}", since, ready)


def _tells_of(record: TlsaRecord, service: ServiceId, new: Generation, index: Index) -> bool:
    """Whether *record* means that *service* has its name: a CA says so only of names in the certificate."""
    if not any(each == service for each, _ in index.versions(record)):
        return False
    sans = new.issued.sans if new.issued else ()
    return record.params.usage not in CA_USAGES or covers(sans, record.owner)


def _deadline(rows: tuple[RollRow, ...]) -> Deadline | None:
    found = [(row.curr_ends, row.service) for row in rows if row.curr_ends is not None]
    if not found:
        return None
    at, service = min(found)
    return Deadline(at, f"the certificate of {as_code(str(service))} that is served now ends then")
