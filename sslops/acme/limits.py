"""What a run may order from a CA that publishes its limits, counted from what the repository holds.

Let's Encrypt's limits are buckets: each holds so many tokens, every order takes one, and they come back one by one
(https://letsencrypt.org/docs/rate-limits, 2026-08-05). Renewals inside of a suggested window that say what they replace
are exempt from all of them.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import timedelta
from typing import TYPE_CHECKING

from sslops.acme.order_rules import backoff
from sslops.model.inventory import LETS_ENCRYPT, LETS_ENCRYPT_STAGING

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator
    from datetime import datetime

    from sslops.model.inventory import CertificateAuthority, Inventory, Service
    from sslops.model.state import Generation, ServiceState, Slots, State


@dataclass(frozen=True, slots=True)
class Limit:
    """At most *tokens* at once; an empty bucket is full again after *period*."""

    name: str
    tokens: int
    period: timedelta


@dataclass(frozen=True, slots=True)
class Limits:
    """The four limits that a well-behaved client can meet."""

    orders: Limit
    domain: Limit
    same_names: Limit
    failures: Limit

    def each(self) -> tuple[Limit, ...]:
        """Return all four."""
        return self.orders, self.domain, self.same_names, self.failures


_WEEK = timedelta(days=7)
PUBLISHED = {
    LETS_ENCRYPT: Limits(
        Limit("new orders", 300, timedelta(hours=3)),
        Limit("certificates for one registered domain", 50, _WEEK),
        Limit("certificates for the same names", 5, _WEEK),
        Limit("failed proofs of one name", 5, timedelta(hours=1)),
    ),
    LETS_ENCRYPT_STAGING: Limits(
        Limit("new orders", 1500, timedelta(hours=3)),
        Limit("certificates for one registered domain", 30000, _WEEK),
        Limit("certificates for the same names", 30000, _WEEK),
        Limit("failed proofs of one name", 200, timedelta(hours=1)),
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
        for key, found in state.services.items():
            for generation in found.generations.values():
                if generation.comes_from(ca) and generation.issued is not None:
                    budget._take(generation.issued.sans, inventory, generation.issued.issued_at)
            service = inventory.services.get(key)
            if service is not None and found.next is not None and found.next.comes_from(ca):
                budget._take_failures(service, found.slots)
        return budget

    def order(self, service: Service, inventory: Inventory, replaced: ServiceState) -> Cost:
        """Take one order of *service*, or say from when on there are tokens for it."""
        if _is_exempt(service, inventory, replaced, self.now):
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

    def left(self) -> tuple[str, ...]:
        """Say of each bucket that something was taken from how much is left, the emptiest first."""
        found = []
        for name, key in self._spent:
            limit = next(each for each in self.limits.each() if each.name == name)
            used = len(self._recent(limit, key))
            if used:
                about = f" ({key})" if key else ""
                found.append(
                    (
                        used / limit.tokens,
                        f"{limit.name}{about}: {used} of {limit.tokens} used in {_span(limit.period)}",
                    )
                )
        return tuple(words for _, words in sorted(found, reverse=True))

    def why(self, service: Service, inventory: Inventory) -> str:
        """Say which buckets are empty for *service*."""
        empty = dict.fromkeys(limit for limit, key in self._keys(service.sans, inventory) if self._free_at(limit, key))
        return " and ".join(f"{limit.tokens} {limit.name} in {_span(limit.period)}" for limit in empty)

    def _keys(self, sans: Iterable[str], inventory: Inventory) -> Iterator[tuple[Limit, str]]:
        names = sorted(set(sans))
        yield self.limits.orders, ""
        yield self.limits.same_names, " ".join(names)
        for domain in sorted({registered_domain(name, inventory) for name in names}):
            yield self.limits.domain, domain
        for name in names:
            yield self.limits.failures, name

    def _take(self, sans: Iterable[str], inventory: Inventory, at: datetime) -> None:
        """Take what one certificate takes; an order that comes to its end fails no proof."""
        for limit, key in self._keys(sans, inventory):
            if limit is self.limits.failures:
                continue
            self._spent.setdefault((limit.name, key), []).append(at)

    def _take_failures(self, service: Service, slots: Slots) -> None:
        """Take an order and a proof of each name for every failure in a row, as if all were as late as the last.

        The slots do not keep when the others were, and `--force` may have made them follow each other at once.
        """
        times = [_last_failure(slots, self.now)] * slots.failures
        self._spent.setdefault((self.limits.orders.name, ""), []).extend(times)
        for name in service.sans:
            self._spent.setdefault((self.limits.failures.name, name), []).extend(times)

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


def _last_failure(slots: Slots, now: datetime) -> datetime:
    """Return when the last of the failures in a row took place, or a little later where the server asked for more."""
    return now if slots.retry_at is None else min(now, slots.retry_at - backoff(max(1, slots.failures)))


def _is_exempt(service: Service, inventory: Inventory, replaced: ServiceState, now: datetime) -> bool:
    window, present, ca = replaced.slots.ari, _newest(replaced), inventory.acme_ca(service)
    if window is None or present is None or present.issued is None or ca is None or not present.comes_from(ca):
        return False
    return window.start <= now and not set(service.sans).isdisjoint(present.issued.sans)


def _newest(state: ServiceState) -> Generation | None:
    return next((found for found in (state.next, state.curr) if found is not None and found.issued is not None), None)


def _span(period: timedelta) -> str:
    hours = int(period.total_seconds()) // 3600
    return f"{period.days} days" if period.days else "an hour" if hours == 1 else f"{hours} hours"
