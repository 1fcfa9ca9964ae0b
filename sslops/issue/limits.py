"""What a run may order from a CA that publishes its limits, counted from what the repository holds.

Let's Encrypt's limits are buckets: each holds so many tokens, every order takes one, and they come back one by one
(https://letsencrypt.org/docs/rate-limits, 2026-08-05). Renewals inside of a suggested window that say what they replace
are exempt from all of them.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import timedelta
from typing import TYPE_CHECKING

from sslops.model.inventory import LETS_ENCRYPT, LETS_ENCRYPT_STAGING

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator
    from datetime import datetime

    from sslops.model.inventory import CertificateAuthority, Inventory, Service
    from sslops.model.state import Generation, ServiceState, State


@dataclass(frozen=True, slots=True)
class Limit:
    """At most *tokens* at once; an empty bucket is full again after *period*."""

    name: str
    tokens: int
    period: timedelta


@dataclass(frozen=True, slots=True)
class Limits:
    """The three limits that a well-behaved client can meet."""

    orders: Limit
    domain: Limit
    same_names: Limit


_WEEK = timedelta(days=7)
PUBLISHED = {
    LETS_ENCRYPT: Limits(
        Limit("new orders", 300, timedelta(hours=3)),
        Limit("certificates for one registered domain", 50, _WEEK),
        Limit("certificates for the same names", 5, _WEEK),
    ),
    LETS_ENCRYPT_STAGING: Limits(
        Limit("new orders", 1500, timedelta(hours=3)),
        Limit("certificates for one registered domain", 30000, _WEEK),
        Limit("certificates for the same names", 30000, _WEEK),
    ),
}
"""Limits by directory; a CA that is not here has none that are known."""


@dataclass(frozen=True, slots=True)
class Cost:
    """What one order takes: *words* for a person; *until* is set when it has to wait for tokens."""

    words: str
    until: datetime | None = None


@dataclass(slots=True)
class Budget:
    """The buckets of one CA during one plan: what was issued, and what this plan has taken so far."""

    limits: Limits
    now: datetime
    _spent: dict[tuple[str, str], list[datetime]] = field(default_factory=dict)

    @classmethod
    def of(cls, ca: CertificateAuthority, inventory: Inventory, state: State, now: datetime) -> Budget | None:
        """Return the budget at *ca* after all that *state* knows of; null when no limits are known."""
        limits = PUBLISHED.get(ca.directory)
        if limits is None:
            return None
        budget = cls(limits, now)
        for service_state in state.services.values():
            for sans, at in _events(ca.name, service_state, now):
                budget._take(sans, inventory, at)
        return budget

    def order(self, service: Service, inventory: Inventory, replaced: ServiceState) -> Cost:
        """Take one order of *service*, or say from when on there are tokens for it."""
        if _is_exempt(service, replaced, self.now):
            return Cost("a renewal in the suggested window, exempt from limits")
        full = [free_at for key in self._keys(service.sans, inventory) if (free_at := self._free_at(*key))]
        if full:
            return Cost("", max(full))
        self._take(service.sans, inventory, self.now)
        used = {limit.name: len(self._recent(limit, key)) for limit, key in self._keys(service.sans, inventory)}
        shown = ", ".join(
            f"{used[limit.name]} of {limit.tokens} {limit.name}"
            for limit in (self.limits.domain, self.limits.same_names)
        )
        return Cost(shown)

    def why(self, service: Service, inventory: Inventory) -> str:
        """Say which buckets are empty for *service*."""
        empty = [limit for limit, key in self._keys(service.sans, inventory) if self._free_at(limit, key)]
        return " and ".join(f"{limit.tokens} {limit.name} in {_span(limit.period)}" for limit in empty)

    def _keys(self, sans: Iterable[str], inventory: Inventory) -> Iterator[tuple[Limit, str]]:
        names = sorted(set(sans))
        yield self.limits.orders, ""
        yield self.limits.same_names, " ".join(names)
        for domain in sorted({registered_domain(name, inventory) for name in names}):
            yield self.limits.domain, domain

    def _take(self, sans: Iterable[str], inventory: Inventory, at: datetime) -> None:
        for limit, key in self._keys(sans, inventory):
            self._spent.setdefault((limit.name, key), []).append(at)

    def _recent(self, limit: Limit, key: str) -> list[datetime]:
        return [at for at in self._spent.get((limit.name, key), ()) if self.now - at < limit.period]

    def _free_at(self, limit: Limit, key: str) -> datetime | None:
        """Return when the bucket has a token again; null when it has one now."""
        spent = sorted(self._spent.get((limit.name, key), ()))
        tokens, last = float(limit.tokens), min(spent, default=self.now)
        per_token = limit.period / limit.tokens
        for at in spent:
            tokens = min(limit.tokens, tokens + (at - last) / per_token) - 1
            last = at
        tokens = min(limit.tokens, tokens + max(timedelta(), self.now - last) / per_token)
        if tokens >= 1:
            return None
        return (self.now + (1 - tokens) * per_token + timedelta(seconds=1)).replace(microsecond=0)


def registered_domain(name: str, inventory: Inventory) -> str:
    """Return under which domain a name counts: the shortest group that it belongs to, else its last two labels."""
    bare = name.removeprefix("*.")
    groups = [domain for domain in inventory.groups if bare == domain or bare.endswith(f".{domain}")]
    return min(groups, key=len, default=".".join(bare.split(".")[-2:]))


def _events(ca: str, found: ServiceState, now: datetime) -> Iterator[tuple[tuple[str, ...], datetime]]:
    """Yield names and time of each certificate of *ca*, and of failed orders as far as the slots remember them."""
    sans: tuple[str, ...] = ()
    for generation in sorted(found.generations.values(), key=lambda each: each.id):
        if generation.ca == ca and generation.issued is not None:
            sans = generation.issued.sans
            yield sans, generation.issued.issued_at
    if found.next is not None and found.next.ca == ca and sans:
        for number in range(found.slots.failures):
            yield sans, now - timedelta(minutes=number)


def _is_exempt(service: Service, replaced: ServiceState, now: datetime) -> bool:
    window, present = replaced.slots.ari, _newest(replaced)
    if window is None or present is None or present.issued is None or present.ca != service.signing_ca:
        return False
    return window.start <= now and not set(service.sans).isdisjoint(present.issued.sans)


def _newest(state: ServiceState) -> Generation | None:
    return next((found for found in (state.next, state.curr) if found is not None and found.issued is not None), None)


def _span(period: timedelta) -> str:
    return f"{period.days} days" if period.days else f"{period.seconds // 3600} hours"
