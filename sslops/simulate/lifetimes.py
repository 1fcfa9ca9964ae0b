"""How long certificates last, as far as it is announced; a play of years must know of changes to come.

>>> LETS_ENCRYPT_LIFETIMES["shortlived"][-1][1] / timedelta(hours=1)
160.0
"""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from sslops.model.inventory import CertificateAuthority, Inventory


CLASSIC = "classic"
"""The profile of an order that names none, or one that the server does not have."""

_EVER = datetime.min.replace(tzinfo=UTC)
LETS_ENCRYPT_LIFETIMES = {
    CLASSIC: (
        (_EVER, timedelta(days=90)),
        (datetime(2027, 2, 10, tzinfo=UTC), timedelta(days=64)),
        (datetime(2028, 2, 16, tzinfo=UTC), timedelta(days=45)),
    ),
    "tlsserver": ((_EVER, timedelta(days=90)), (datetime(2026, 5, 13, tzinfo=UTC), timedelta(days=45))),
    "shortlived": ((_EVER, timedelta(hours=160)),),
}
"""By profile, from when on: https://letsencrypt.org/2025/12/02/from-90-to-45 and /docs/profiles.

Its staging changes about a month earlier, which nothing rests on.
"""

UNANNOUNCED = timedelta(days=90)
"""What is assumed of an ACME server that announces nothing known here."""


def announced(ca: CertificateAuthority, at: datetime) -> timedelta:
    """Return how long a certificate lasts that *ca*, an ACME server, issues *at* that moment."""
    return next(span for since, span in reversed(_steps(ca)) if since <= at)


def acme_cas(inventory: Inventory) -> tuple[CertificateAuthority, ...]:
    """Return the ACME servers that an active service uses, by name."""
    found = {ca.name: ca for service in inventory.active() if (ca := inventory.acme_ca(service)) is not None}
    return tuple(ca for _, ca in sorted(found.items()))


def in_words(ca: CertificateAuthority, begins: datetime, until: datetime) -> str:
    """Say how long the certificates of *ca* last between two moments, and where that is from."""
    said = f"{_span(announced(ca, begins))}"
    for since, span in _steps(ca):
        said += f", from {since:%Y-%m-%d} on {_span(span)}" if begins < since <= until else ""
    source = f"announced for '{_profile(ca)}'" if ca.is_lets_encrypt else "assumed; nothing announced is known"
    return f"certificates of '{ca.name}' last {said} ({source})"


def shortest(inventory: Inventory, lifetime: timedelta | None, until: datetime) -> timedelta | None:
    """Return the shortest life of any certificate that is issued before *until*; null when there are none."""
    spans = [lifetime or announced(ca, until) for ca in acme_cas(inventory)]
    for service in inventory.active():
        signer = inventory.signer_of(service)
        own = None if signer is None else inventory.services.get(signer)
        spans += [] if own is None or own.ca is None else [timedelta(days=own.ca.sign_end_days)]
    return min(spans, default=None)


def _steps(ca: CertificateAuthority) -> tuple[tuple[datetime, timedelta], ...]:
    return LETS_ENCRYPT_LIFETIMES[_profile(ca)] if ca.is_lets_encrypt else ((_EVER, UNANNOUNCED),)


def _profile(ca: CertificateAuthority) -> str:
    return ca.wanted_profile if ca.wanted_profile in LETS_ENCRYPT_LIFETIMES else CLASSIC


def _span(span: timedelta) -> str:
    hours = span / timedelta(hours=1)
    return f"{hours:.0f} hours" if hours % 24 else f"{hours / 24:.0f} days"
