"""From the proofs that orders under way need, and those in the DNS base, to the merge request about challenges."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from sslops.report.escape import as_code
from sslops.report.merge_request_view import BODY_LIMIT, AcmeView, ChallengeRow, Deadline

if TYPE_CHECKING:
    from collections.abc import Collection

    from sslops.model.acme import Proof
    from sslops.model.names import ServiceId
    from sslops.model.state import Generation

Record = tuple[str, str]
"""Owner and value of a TXT record."""


@dataclass(frozen=True, slots=True)
class Wanted:
    """One proof that is to be shown as TXT at *owner*, for the order of one generation."""

    proof: Proof
    owner: str
    service: ServiceId
    generation: Generation

    @property
    def record(self) -> Record:
        """Owner and value."""
        return self.owner, self.proof.value


def acme_view(
    wanted: Collection[Wanted], present: Collection[Record], digest: str, limit: int = BODY_LIMIT
) -> AcmeView:
    """Return what the request says that brings the include files from *present* to *wanted*."""
    new = sorted((each for each in wanted if each.record not in present), key=lambda each: (each.owner, each.proof))
    gone = sorted(set(present) - {each.record for each in wanted})
    rows = [_row(each) for each in new] + [ChallengeRow(False, owner, value, "", "", "") for owner, value in gone]
    services = tuple(sorted({each.service for each in new}))
    return AcmeView(tuple(rows), services, _deadline(new), digest, limit)


def _row(each: Wanted) -> ChallengeRow:
    of = f"{each.service} {each.generation.id}"
    return ChallengeRow(True, each.owner, each.proof.value, each.proof.name, of, each.generation.ca)


def _deadline(new: Collection[Wanted]) -> Deadline | None:
    orders = [
        (each.generation.order.expires, each.service, each.generation.ca) for each in new if each.generation.order
    ]
    if not orders:
        return None
    at, service, ca = min(orders)
    return Deadline(at, f"the order of {as_code(str(service))} at {as_code(ca)} ends then")
