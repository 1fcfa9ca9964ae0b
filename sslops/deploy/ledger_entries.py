"""How a host's entry on the ledger changes: intent before anything is sent, outcome afterwards. Pure.

An outcome counts only while the entry still has the number of our intent; otherwise another run was there since, and
everything it and we may have done stays in the entry until a host is asked again.

>>> from sslops.model.names import GenerationId, ServiceId, parse_time
>>> service, at = ServiceId("example.com", "mail-ec"), parse_time("2026-11-24T14:30:00Z")
>>> intend(HostEntry(41), 42, {service: GenerationId("20261124T143000Z-9b1c")}, at=at).serves(service).may_serve
(None, '20261124T143000Z-9b1c')
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

from sslops.model.ledger import COPY, HostEntry, Served
from sslops.model.waiting import backoff

if TYPE_CHECKING:
    from collections.abc import Collection, Iterable, Mapping
    from datetime import datetime

    from sslops.model.inventory import FileModes
    from sslops.model.names import GenerationId, ServiceId


BACKOFF_MINUTES = (1, 10, 100, 24 * 60)
"""After the first, second, third and every further failure of a restart or a verification."""


@dataclass(frozen=True, slots=True)
class Proven:
    """What a host serves of one service, and how that is known: `port` or `files`."""

    generation: GenerationId
    proof: str
    files: FileModes | None = None
    """Owner, group and key mode that its files have; null: those that the entry tells."""


def intend(
    entry: HostEntry,
    seq: int,
    targets: Mapping[ServiceId, GenerationId],
    *,
    at: datetime,
    copies: Collection[ServiceId] = (),
) -> HostEntry:
    """Return the entry that says: from *at* on the host may serve what it may serve now, or the targets.

    Of the *copies* it serves nothing, before and after.

    Nothing is dropped. An entry without any generation of ours becomes an unknown one: it counts as settled no longer.
    """
    services = dict(entry.services)
    for service, generation in targets.items():
        old = entry.serves(service)
        may_serve = _joined(old.may_serve or (None,), generation)
        services[service] = replace(old, may_serve=may_serve, at=at, proof=COPY if service in copies else None)
    return replace(entry, seq=seq, services=services)


def settle(entry: HostEntry, seq: int, proven: Mapping[ServiceId, Proven], *, at: datetime) -> HostEntry:
    """Return the entry after the host was shown to serve exactly *proven*; unchanged when *seq* is no longer ours."""
    if entry.seq != seq:
        return entry
    settled = {
        service: Served((fact.generation,), at, fact.proof, files=fact.files or entry.serves(service).files)
        for service, fact in proven.items()
    }
    return replace(entry, services={**entry.services, **settled})


def went_back(
    entry: HostEntry, seq: int, proven: Mapping[ServiceId, Proven], failed: Collection[ServiceId], *, at: datetime
) -> HostEntry:
    """Return the entry after a session failed: *proven* is what the host is known to serve again, if anything.

    Every service in *failed* waits longer before the next try; those that are not proven may still serve either.
    """
    if entry.seq != seq:
        return entry
    services = dict(settle(entry, seq, proven, at=at).services)
    for service in failed:
        failures = entry.serves(service).failures + 1
        services[service] = replace(services.get(service, Served()), failures=failures, retry_at=retry_at(failures, at))
    return replace(entry, services=services)


def doubt(entry: HostEntry, seq: int, services: Iterable[ServiceId]) -> HostEntry:
    """Return the entry with *services* perhaps serving something unknown: the host holds what our intent did not name.

    Until it is asked again and proven nothing is withdrawn.
    """
    if entry.seq != seq:
        return entry
    known = {service: entry.serves(service) for service in services}
    unsure = {s: replace(old, may_serve=(None, *filter(None, old.may_serve))) for s, old in known.items()}
    return replace(entry, services={**entry.services, **unsure})


def restore(entry: HostEntry, seq: int, before: HostEntry, services: Iterable[ServiceId]) -> HostEntry:
    """Return the entry with *services* as they were *before* our intent, because nothing of them was sent."""
    if entry.seq != seq:
        return entry
    kept = dict(entry.services)
    for service in services:
        if service in before.services:
            kept[service] = before.services[service]
        else:
            kept.pop(service, None)
    return replace(entry, services=kept)


def hold_includes(entry: HostEntry, seq: int, includes: Mapping[str, str]) -> HostEntry:
    """Return the entry after the host got include files (apex to SHA-256)."""
    return entry if entry.seq != seq else replace(entry, tlsa={**entry.tlsa, **includes})


def hold_dhparm(entry: HostEntry, seq: int, dhparm: Mapping[str, tuple[str, ...]]) -> HostEntry:
    """Return the entry after the host got Diffie-Hellman parameters (group to names of RFC 7919)."""
    return entry if entry.seq != seq else replace(entry, dhparm={**entry.dhparm, **dhparm})


def forgive(entry: HostEntry, seq: int, services: Iterable[ServiceId]) -> HostEntry:
    """Return the entry without the failures of *services*, whose daemons were restarted well."""
    if entry.seq != seq:
        return entry
    known = {service: entry.services[service] for service in services if service in entry.services}
    cleared = {service: replace(served, failures=0, retry_at=None) for service, served in known.items()}
    return replace(entry, services={**entry.services, **cleared})


def close(entry: HostEntry, services: Collection[ServiceId]) -> HostEntry:
    """Return the entry without *services*: nothing they may serve can matter any more."""
    return replace(entry, services={key: served for key, served in entry.services.items() if key not in services})


def vacate(entry: HostEntry, seq: int, services: Iterable[ServiceId], *, at: datetime) -> HostEntry:
    """Return the entry of a host that was seen to have nothing of *services*; unchanged when *seq* is not ours now."""
    if entry.seq != seq:
        return entry
    return replace(entry, services={**entry.services, **{service: Served((), at) for service in services}})


def retry_at(failures: int, now: datetime) -> datetime:
    """Return the moment of the next try after that many failures in a row."""
    return now + backoff(failures, BACKOFF_MINUTES)


def _joined(may_serve: tuple[GenerationId | None, ...], generation: GenerationId) -> tuple[GenerationId | None, ...]:
    return may_serve if generation in may_serve else (*may_serve, generation)
