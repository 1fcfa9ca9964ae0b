"""Was a roll of the past allowed by what the ledger had at that time? Pure: the ledger's entries in, sentences out."""

from __future__ import annotations

from typing import TYPE_CHECKING

from sslops.dane.evidence import ready_at
from sslops.model.names import format_time

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping
    from datetime import datetime

    from sslops.dane.records import Keys
    from sslops.model.ledger import ApexEntry, Evidence
    from sslops.model.names import GenerationId, ServiceId
    from sslops.model.tlsa import TlsaRecord


def roll_faults(
    service: ServiceId,
    before: GenerationId,
    after: GenerationId,
    at: datetime,
    apexes: Mapping[str, ApexEntry],
    keys: Keys,
) -> Iterator[str]:
    """Say what forbade to make *after* curr instead of *before* at the moment *at*; nothing when all was well.

    *apexes* is the ledger as it stood then. Every record that matches *before* must have, at the same name and with the
    same parameters, one for *after* whose evidence no cache can contradict any more (design section 2). A name where
    the ledger knew no record of *after* counts only where it knew none at any name: a name that the service had lost
    keeps the old record until it is withdrawn.
    """
    known = {record: proof for entry in apexes.values() for record, proof in entry.records.items()}
    replaced = [record for record in known if record in keys.matching(record.owner, record.params, service, before)]
    named = {record.owner for record in known if record in keys.matching(record.owner, record.params, service, after)}
    if replaced and not named:
        owners = ", ".join(sorted({record.owner for record in replaced}))
        yield f"'{after}' of '{service}' was rolled without any evidence of its TLSA record at {owners}"
        return
    for record in sorted(replaced):
        if record.owner in named:
            yield from _record_faults(record, service, after, at, known, keys)


def _record_faults(
    record: TlsaRecord,
    service: ServiceId,
    after: GenerationId,
    at: datetime,
    known: Mapping[TlsaRecord, Evidence],
    keys: Keys,
) -> Iterator[str]:
    wanted = keys.matching(record.owner, record.params, service, after)
    ready = [ready_at(known[each]) for each in wanted if each in known]
    if not ready:
        yield f"'{after}' of '{service}' was rolled without evidence of its record {record.params} at {record.owner}"
    elif min(ready) > at:
        moment = format_time(min(ready))
        yield f"'{after}' of '{service}' was rolled before {moment}; until then caches may lack its {record.owner}"
