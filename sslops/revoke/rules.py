"""Which generations a revocation is about. Pure.

Who says that a key leaked means every certificate with that key; any other reason is about one certificate.
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum
from typing import TYPE_CHECKING

from sslops.model.cause import Cause
from sslops.model.inventory import CaType
from sslops.model.names import GenerationId, ServiceId, format_time
from sslops.model.plan import Action, Plan, Verb, Wait, joined

if TYPE_CHECKING:
    from collections.abc import Mapping
    from datetime import datetime

    from sslops.model.inventory import Inventory
    from sslops.model.state import Branches, Generation


class RevokeReason(StrEnum):
    """Why, in the words of RFC 5280 section 5.3.1 that CAs take from a subscriber."""

    UNSPECIFIED = "unspecified"
    KEY_COMPROMISE = "key-compromise"
    AFFILIATION_CHANGED = "affiliation-changed"
    SUPERSEDED = "superseded"
    CESSATION = "cessation-of-operation"

    @property
    def code(self) -> int:
        """The number that the CA gets (RFC 8555 section 7.6)."""
        return _CODES[self]


_CODES = {
    RevokeReason.UNSPECIFIED: 0,
    RevokeReason.KEY_COMPROMISE: 1,
    RevokeReason.AFFILIATION_CHANGED: 3,
    RevokeReason.SUPERSEDED: 4,
    RevokeReason.CESSATION: 5,
}


@dataclass(frozen=True, slots=True)
class RevokeOptions:
    """What the command line asks for: services, each with a generation or null (what is live), and the reason."""

    wanted: Mapping[ServiceId, GenerationId | None]
    reason: RevokeReason


def plan(inventory: Inventory, branches: Branches, now: datetime, options: RevokeOptions) -> Plan:
    """Return what can be revoked, and why the rest cannot."""
    return joined(_planned(service, inventory, branches, now, options) for service in sorted(options.wanted))


def is_told(inventory: Inventory, generation: Generation) -> bool:
    """Whether a CA has to be told: an own one keeps no list of what it revoked."""
    ca = inventory.cas.get(generation.ca)
    return generation.directory is not None or (ca is not None and ca.type is CaType.ACME)


def known(branches: Branches, service: ServiceId) -> dict[GenerationId, Generation]:
    """Return every generation of *service*; what main has issued is what main says of it."""
    return {**branches.next[service].generations, **branches.main[service].generations}


def _planned(
    service: ServiceId, inventory: Inventory, branches: Branches, now: datetime, options: RevokeOptions
) -> Plan:
    found = known(branches, service)
    live = branches.main[service].slots.curr
    wanted = options.wanted[service] or live or branches.next[service].slots.next
    chosen = None if wanted is None else found.get(wanted)
    if chosen is None or chosen.issued is None:
        why = "there is no certificate to revoke" if wanted is None else f"{wanted} has no certificate in state/"
        return Plan(waits=(_wait(service, why),))
    if chosen.issued.not_after <= now:
        why = f"{chosen.id} has expired on {format_time(chosen.issued.not_after)}: there is nothing to revoke any more"
        return Plan(waits=(_wait(service, why),))
    same = [chosen]
    if options.reason is RevokeReason.KEY_COMPROMISE:
        same = [
            each
            for _, each in sorted(found.items())
            if each.spki_sha256 == chosen.spki_sha256 and each.issued is not None and each.issued.not_after > now
        ]
    return Plan(tuple(_action(service, each, live, inventory, options.reason) for each in same))


def _action(
    service: ServiceId, generation: Generation, live: GenerationId | None, inventory: Inventory, reason: RevokeReason
) -> Action:
    ends = "" if generation.issued is None else f" until {generation.issued.not_after:%Y-%m-%d}"
    if is_told(inventory, generation):
        parts = [f"'{generation.ca}' is asked to revoke it"]
    else:
        parts = [f"'{generation.ca}' is an own CA, which publishes no list: whoever trusts it accepts this one{ends}"]
    if generation.id == live:
        parts.append("it is live: hosts serve it until renew, roll and deploy have replaced it")
    parts.append("it is never rolled again")
    return Action(Verb.REVOKE, service.group, service.name, "revoke", reason, generation.id, why="; ".join(parts))


def _wait(service: ServiceId, why: str) -> Wait:
    return Wait(Verb.REVOKE, service.group, service.name, "revoke", None, why, Cause.IMPOSSIBLE, fatal=True)
