"""When a certificate is renewed and how long a new one lasts: the rules of design section 4, in days.

>>> BUILT_IN.at(90), BUILT_IN.at(365)
(30.0, 73.0)
"""

from __future__ import annotations

import hashlib
from bisect import bisect_right
from dataclasses import dataclass
from datetime import timedelta
from typing import TYPE_CHECKING

from sslops.model.certificates import Validity

if TYPE_CHECKING:
    from collections.abc import Mapping
    from datetime import datetime

    from sslops.model.inventory import Service, Settings
    from sslops.model.names import GenerationId


BACKDATED = timedelta(hours=1)
"""How far a start lies in the past, for clocks that are slow."""
SMALLEST_SHARE, LARGEST_SHARE = 1 / 50, 2 / 3
"""Whatever the settings say, a certificate is due when between 2 % and two thirds of its life are left.

With more, each run would renew it again; with less, there would be no time to roll.
"""
_SECONDS_PER_DAY = 86400.0


@dataclass(frozen=True, slots=True)
class Knots:
    """A function of the lifetime in days, linear between `(lifetime, value)` knots.

    It begins at 0 for a lifetime of 0. Beyond the last knot it keeps that knot's value, or with *proportional* that
    knot's share of the lifetime.
    """

    points: tuple[tuple[float, float], ...]
    proportional: bool = False

    def at(self, lifetime_days: float) -> float:
        """Return the value for *lifetime_days*."""
        points = sorted({0.0: 0.0, **dict(self.points)}.items())
        lifetime_days = max(lifetime_days, 0.0)
        place = bisect_right(points, (lifetime_days, float("inf")))
        if place == len(points):
            last, value = points[-1]
            return value * lifetime_days / last if self.proportional and last else value
        (left, low), (right, high) = points[place - 1], points[place]
        return low + (high - low) * (lifetime_days - left) / (right - left)

    def overridden(self, points: Mapping[float, float]) -> Knots:
        """Return the function with *points* in the place of those at the same lifetimes."""
        return Knots(tuple(sorted({**dict(self.points), **points}.items())), self.proportional)


BUILT_IN = Knots(
    ((1, 0.5), (2, 1), (5, 2), (10, 5), (45, 10), (60, 20), (90, 30), (120, 45), (300, 60)), proportional=True
)
"""How many days before its end a certificate is renewed; above 300 days it is 20 % of the lifetime."""


def renewal_target_days(lifetime_days: float, settings: Settings, asked_days: float | None = None) -> float:
    """Return how many days before its end a certificate that lasts *lifetime_days* is renewed.

    *asked_days* is `renew_expire_days`; without it `renew_info.target` overrides knots of the built-in rule.
    """
    if asked_days is None:
        asked_days = BUILT_IN.overridden(dict(settings.renew_targets.target or ())).at(lifetime_days)
    return _sane(asked_days, lifetime_days)


def spread_days(lifetime_days: float, settings: Settings) -> float:
    """Return by how many days at most the moment is moved, either way."""
    if settings.renew_targets.rand_adj is not None:
        return abs(Knots(settings.renew_targets.rand_adj).at(lifetime_days))
    return abs(settings.renew_expire_days_spread)


def renew_at(
    validity: Validity, settings: Settings, service: Service, generation: GenerationId, asked_days: float | None = None
) -> datetime:
    """Return when the certificate of *generation* is to be renewed, in whole seconds.

    The spread is drawn from a hash of service and generation: the same in every run, and another one next time.
    """
    lifetime = lifetime_days(validity)
    draw = 2 * fraction(f"{service.id} {generation}") - 1
    target = renewal_target_days(lifetime, settings, asked_days) + draw * spread_days(lifetime, settings)
    kept = timedelta(days=_sane(target, lifetime))
    return (validity.not_after - kept).replace(microsecond=0)


def ca_renew_at(validity: Validity, longest_days: float) -> datetime:
    """Return when an own CA is to be renewed: when less is left than the longest lifetime it signs, *longest_days*."""
    kept = timedelta(days=_sane(longest_days, lifetime_days(validity)))
    return (validity.not_after - kept).replace(microsecond=0)


def lifetime_days(validity: Validity) -> float:
    """Return how long a certificate lasts; its last second counts (RFC 5280 section 4.1.2.5)."""
    return (validity.not_after - validity.not_before + timedelta(seconds=1)).total_seconds() / _SECONDS_PER_DAY


def validity(now: datetime, days: int, issuer: Validity | None = None) -> Validity:
    """Return from when until when a certificate made *now* for *days* is valid, within the time of its *issuer*."""
    start, end = now - BACKDATED, now - BACKDATED + timedelta(days=days, seconds=-1)
    if issuer is None:
        return Validity(start, end)
    return Validity(max(start, issuer.not_before), min(end, issuer.not_after))


def _sane(days: float, lifetime_days: float) -> float:
    return max(SMALLEST_SHARE * lifetime_days, min(days, LARGEST_SHARE * lifetime_days))


def fraction(text: str) -> float:
    """Return a number of [0, 1) that belongs to *text*."""
    return int.from_bytes(hashlib.sha256(text.encode()).digest()[:8], "big") / 2**64
