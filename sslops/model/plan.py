"""A plan is data: what can be done now, what waits, which hazards refuse it."""

from __future__ import annotations

import hashlib
import json
from dataclasses import dataclass
from enum import StrEnum
from typing import TYPE_CHECKING

from sslops.errors import Refused
from sslops.model.cause import MEANINGS, Cause, Kind

if TYPE_CHECKING:
    from collections.abc import Iterable
    from datetime import datetime

    from sslops.model.inventory import Consent, Inventory
    from sslops.model.names import GenerationId


class Verb(StrEnum):
    """The stage verbs, in the order of the work."""

    RENEW = "renew"
    PUBLISH = "publish"
    ROLL = "roll"
    DEPLOY = "deploy"
    PRUNE = "prune"
    REVOKE = "revoke"
    REKEY = "rekey"


@dataclass(frozen=True, slots=True, order=True)
class Action:
    """One thing that can be done now.

    *what* names the kind of step (`issue`, `key`, `tlsa`, `roll`, `serve`, ...), *reason* is from a closed list and
    part of the digest, *why* is prose and is not. *service* is empty when the action is about a whole group; *targets*
    are hosts or records, sorted.
    """

    verb: Verb
    group: str
    service: str
    what: str
    reason: str
    generation: GenerationId | None = None
    """Null when it is not made yet."""
    targets: tuple[str, ...] = ()
    why: str = ""


@dataclass(frozen=True, slots=True)
class Wait:
    """A step that may not happen now: which one, until when (null: no date is known), why, and its *cause*.

    The cause says whether it waits or is blocked. *fatal*: the wait would outlive the certificate, or it has been
    blocked *since* longer than its cause has grace, which makes it a failure from *deadline* on. Both are null until
    `sslops.model.blocked` has looked them up.
    """

    verb: Verb
    group: str
    service: str
    what: str
    until: datetime | None
    why: str
    cause: Cause
    fatal: bool = False
    since: datetime | None = None
    deadline: datetime | None = None

    @property
    def is_blocked(self) -> bool:
        """Whether somebody has to act; what has a date waits, whatever its cause."""
        return self.until is None and MEANINGS[self.cause].kind is Kind.BLOCKED

    @property
    def end(self) -> str:
        """What ends it: for what waits until when, in words; for what is blocked what to do next."""
        target = f"{self.group}/{self.service}" if self.service else self.group
        return MEANINGS[self.cause].end.format(target=target, what=self.what, verb=self.verb)

    @property
    def key(self) -> str:
        """What tells it from every other one, the same in each run that meets it."""
        return f"{self.verb} {self.group}/{self.service} {self.what} {self.cause}"


@dataclass(frozen=True, slots=True)
class Obstacle:
    """Why a step cannot be taken yet: *what* is waited for, the sentence for a person, and the cause."""

    what: str
    why: str
    cause: Cause


class HazardName(StrEnum):
    """The closed list of hazards; each is consented to by its own name."""

    TLSA_MISSING = "tlsa-missing"
    TLSA_FOREIGN = "tlsa-foreign"
    NS_UNREACHABLE = "ns-unreachable"
    NS_LAGGING = "ns-lagging"
    XTRA_NS_UNREACHABLE = "xtra-ns-unreachable"
    DNSSEC_BOGUS = "dnssec-bogus"
    HOST_REMOVED = "host-removed"
    NAME_UNPROVEN = "name-unproven"
    WILDCARD = "wildcard"
    CLOCK = "clock"


_WITHOUT_CONSENT = frozenset({HazardName.TLSA_MISSING, HazardName.NS_LAGGING})
"""Hazards of `may_serve` about hosts and name servers that can be asked (design section 2)."""


@dataclass(frozen=True, slots=True, order=True)
class Hazard:
    """A danger that stops one step until a person consents (or it goes away)."""

    name: HazardName
    subject: str
    why: str
    verb: Verb = Verb.PUBLISH
    group: str = ""
    service: str = ""

    @property
    def consent(self) -> str:
        """The exact words that accept it; empty where nobody can: may_serve is for no person to override."""
        return "" if self.name in _WITHOUT_CONSENT else f"--accept {self.name}={self.subject}"


@dataclass(frozen=True, slots=True)
class Consents:
    """The hazards a person accepted, on the command line or in the inventory; subject null: all of that name.

    A subject is a name, an address or a server: case, and the dot at the end of an absolute name, make no other one.

    >>> Consents(frozenset({("wildcard", "_25._TCP.mail.example.com")})).cover(
    ...     Hazard(HazardName.WILDCARD, "_25._tcp.mail.example.com.", "")
    ... )
    True
    """

    given: frozenset[tuple[str, str | None]] = frozenset()

    def cover(self, hazard: Hazard) -> bool:
        """Whether *hazard* was accepted."""
        subject = _same_for_all(hazard.subject)
        of_name = [each for name, each in self.given if name == hazard.name]
        return any(each is None or _same_for_all(each) == subject for each in of_name)


def _same_for_all(subject: str) -> str:
    return subject.rstrip(".").lower()


@dataclass(frozen=True, slots=True)
class Plan:
    """Actions in a stable order, what waits, and the hazards nobody consented to."""

    actions: tuple[Action, ...] = ()
    waits: tuple[Wait, ...] = ()
    hazards: tuple[Hazard, ...] = ()

    def of(self, *verbs: Verb) -> Plan:
        """Return the part of it that belongs to *verbs*."""
        return Plan(
            tuple(action for action in self.actions if action.verb in verbs),
            tuple(wait for wait in self.waits if wait.verb in verbs),
            tuple(hazard for hazard in self.hazards if hazard.verb in verbs),
        )

    def __add__(self, other: Plan) -> Plan:
        """Join two plans, sorted again."""
        return joined((self, other))


def joined(plans: Iterable[Plan]) -> Plan:
    """Return many plans as one, sorted once."""
    parts = tuple(plans)
    return Plan(
        tuple(sorted((action for part in parts for action in part.actions), key=_action_order)),
        tuple(wait for part in parts for wait in part.waits),
        tuple(sorted({hazard for part in parts for hazard in part.hazards})),
    )


def _action_order(action: Action) -> tuple[int, str, str, str, tuple[str, ...]]:
    return list(Verb).index(action.verb), action.group, action.service, action.what, action.targets


def digest(plan: Plan) -> str:
    """Return `sha256:` and the hash of the canonical JSON of the plan's actions."""
    actions = [
        {
            "verb": str(action.verb),
            "group": action.group,
            "service": action.service,
            "what": action.what,
            "reason": str(action.reason),
            "generation": action.generation,
            "targets": list(action.targets),
        }
        for action in plan.actions
    ]
    canonical = json.dumps(actions, sort_keys=True, separators=(",", ":"), ensure_ascii=False)
    return "sha256:" + hashlib.sha256(canonical.encode()).hexdigest()


def require(plan: Plan, expected: str | None) -> None:
    """Do nothing when *plan* is the one asked for; Refused otherwise."""
    actual = digest(plan)
    if expected is not None and actual != expected:
        message = f"the plan is now {actual}, not {expected}"
        raise Refused(message, hint="sslops plan")


def consents(inventory: Inventory, given: Iterable[Consent], now: datetime) -> Consents:
    """Join what the command line accepts with what the inventory still does at *now*."""
    standing = [consent for consent in inventory.accepts if consent.until is None or now < consent.until]
    return Consents(frozenset((consent.hazard, consent.subject) for consent in (*standing, *given)))
