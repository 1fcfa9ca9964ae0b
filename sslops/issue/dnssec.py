"""A broken DNSSEC chain stops an order before it is made: CAs validate what they look up.

A CA that looks at CAA records and at challenges through a validating resolver (for all public CAs a rule since March
2026, CA/Browser Forum ballot SC-085) gets no answer from a zone whose signatures do not hold, and the order fails
and counts. Names that are not signed at all are no hazard here. Pure.

>>> caa_names("*.mail.example.com", "example.com")
('mail.example.com', 'example.com')
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from sslops.issue.rules import What
from sslops.model.names import ServiceId, is_address
from sslops.model.plan import Hazard, HazardName, Plan, Verb

if TYPE_CHECKING:
    from collections.abc import Mapping

    from sslops.model.inventory import Inventory
    from sslops.model.plan import Action, Consents

    Question = tuple[str, str]

_BY_CHALLENGE = {"dns-01": (("_acme-challenge.", "TXT"),), "http-01": (("", "A"), ("", "AAAA"))}


def questions(plan: Plan, inventory: Inventory) -> tuple[Question, ...]:
    """Return what CAs will look up for the orders of *plan*: names (relative to the root, no dot) and record types."""
    found = [asked for action in plan.actions for asked in _of(action, inventory).values()]
    return tuple(sorted({question for asked in found for question in asked}))


def withheld(plan: Plan, inventory: Inventory, bogus: Mapping[Question, str], consents: Consents) -> Plan:
    """Return *plan* without the orders that rest on an answer in *bogus* (question to reason), and with their hazards.

    The subject of a hazard is a name of the certificate. An order goes ahead when all of its hazards were consented to.
    """
    kept: list[Action] = []
    hazards: list[Hazard] = []
    for action in plan.actions:
        refused = [each for each in _hazards(action, inventory, bogus) if not consents.cover(each)]
        hazards += refused
        kept += [] if refused else [action]
    return Plan(tuple(kept), plan.waits, plan.hazards) + Plan(hazards=tuple(hazards))


def caa_names(san: str, apex: str) -> tuple[str, ...]:
    """Return where a CA looks for the CAA records of *san*, from the name itself up to *apex* (RFC 8659 section 3)."""
    name = san.removeprefix("*.")
    found = [name]
    while found[-1] != apex and found[-1].endswith(f".{apex}"):
        found.append(found[-1].partition(".")[2])
    return tuple(found)


def _hazards(action: Action, inventory: Inventory, bogus: Mapping[Question, str]) -> list[Hazard]:
    found = {name: sorted(asked & bogus.keys()) for name, asked in _of(action, inventory).items()}
    return [
        Hazard(HazardName.DNSSEC_BOGUS, name, bogus[broken[0]], Verb.RENEW, action.group, action.service)
        for name, broken in sorted(found.items())
        if broken
    ]


def _of(action: Action, inventory: Inventory) -> dict[str, frozenset[Question]]:
    """Return what the CA will look up for each name of one action; nothing unless it ends with an ACME certificate."""
    service = inventory.services.get(ServiceId(action.group, action.service))
    if service is None or action.verb is not Verb.RENEW or not What(action.what).signs:
        return {}
    ca = inventory.acme_ca(service)
    if ca is None:
        return {}
    challenge = _BY_CHALLENGE.get(ca.validation or "", ())
    return {san: frozenset(_lookups(san, service.id.group, challenge)) for san in service.sans if not is_address(san)}


def _lookups(san: str, apex: str, challenge: tuple[tuple[str, str], ...]) -> list[Question]:
    found = [(name, "CAA") for name in caa_names(san, apex)]
    return found + [(f"{prefix}{san.removeprefix('*.')}", kind) for prefix, kind in challenge]
