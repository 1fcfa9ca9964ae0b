"""What to do about an ACME order, as decisions: what to show, what to say, when to try again, when to renew.

Everything here takes as arguments what the server showed and what time it is; nothing is asked and nothing waits.

>>> [backoff(failures).total_seconds() / 60 for failures in (1, 2, 3, 4, 9)]
[1.0, 10.0, 100.0, 1440.0, 1440.0]
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import timedelta
from typing import TYPE_CHECKING

from sslops.model import waiting
from sslops.model.acme import AuthorizationStatus, ChallengeType, OrderStatus, Proof
from sslops.model.plan import Action, Plan, Verb
from sslops.model.state import AriWindow
from sslops.pki.lifetime import fraction

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence
    from datetime import datetime

    from sslops.errors import AcmeError
    from sslops.model.acme import AuthorizationSeen, ChallengeSeen, Directory, OrderSeen, RenewalWindow
    from sslops.model.inventory import CertificateAuthority
    from sslops.model.names import GenerationId, ServiceId
    from sslops.model.state import Generation, Issued, Order, State


_BACKOFF_MINUTES = (1, 10, 100, 24 * 60)
_DAILY = timedelta(days=1)
_SHORTEST_WAIT = timedelta(minutes=1)
_TRANSIENT = frozenset({"rateLimited", "serverInternal", "badNonce", "connection", "timeout", "garbled"})
_MOST_NAMED = 12
"""How many of its own words a CA is quoted with."""
_CLIENT_ERROR, _SERVER_ERROR, _TOO_MANY = 400, 500, 429
SHORTEST_LIFE = timedelta(hours=1)
"""A certificate that ends sooner is over before every host has it."""
_LONGEST_LIVES = {"classic": timedelta(days=90), "tlsserver": timedelta(days=90), "shortlived": timedelta(days=7)}
"""What a certificate of these profiles lives at the most (https://letsencrypt.org/docs/profiles, 2026-07-14)."""
_LONGEST_LIFE = timedelta(days=5 * 366)


@dataclass(frozen=True, slots=True)
class Show:
    """The order is pending: these challenges have to be shown and then answered."""

    challenges: tuple[tuple[AuthorizationSeen, ChallengeSeen], ...]


@dataclass(frozen=True, slots=True)
class LookAgain:
    """The server is at work; nothing is to be said to it."""


@dataclass(frozen=True, slots=True)
class Finalize:
    """Every name is proved: hand in the CSR."""


@dataclass(frozen=True, slots=True)
class Fetch:
    """The certificate is there."""


@dataclass(frozen=True, slots=True)
class Failed:
    """The order failed (RFC 8555 section 7.1.6); *why* is for a person."""

    why: str


Step = Show | LookAgain | Finalize | Fetch | Failed


def next_step(order: OrderSeen, authorizations: Sequence[AuthorizationSeen], kind: ChallengeType) -> Step:
    """Return what an order needs now (RFC 8555 section 7.1.6); its names are proved by *kind*.

    A challenge that the server no longer calls pending was answered, by this run or an earlier one, and is left alone.
    """
    if order.status == OrderStatus.VALID and order.certificate:
        return Fetch()
    if order.status == OrderStatus.READY:
        return Finalize()
    bad = [each for each in authorizations if each.status not in _GOOD_AUTHORIZATIONS]
    if order.status == OrderStatus.INVALID or bad:
        return Failed(_why_invalid(order, bad))
    if order.status != OrderStatus.PENDING:
        return LookAgain()
    return _proofs(authorizations, kind)


_GOOD_AUTHORIZATIONS = frozenset(
    {AuthorizationStatus.PENDING, AuthorizationStatus.PROCESSING, AuthorizationStatus.VALID}
)


def _proofs(authorizations: Sequence[AuthorizationSeen], kind: ChallengeType) -> Step:
    pending = []
    for authorization in authorizations:
        if authorization.status != AuthorizationStatus.PENDING:
            continue
        challenge = authorization.challenge(kind)
        if challenge is None:
            offered = ", ".join(sorted({each.type for each in authorization.challenges})[:_MOST_NAMED]) or "nothing"
            return Failed(f"'{authorization.identifier}': the CA offers no {kind}, but {offered}")
        if challenge.status == AuthorizationStatus.PENDING:
            pending.append((authorization, challenge))
    return Show(tuple(pending)) if pending else LookAgain()


def _why_invalid(order: OrderSeen, bad: Iterable[AuthorizationSeen]) -> str:
    reasons = [f"'{each.identifier}': {each.error or each.status}" for each in bad]
    return "; ".join(reasons) or order.error or f"the order is {order.status}"


def deadline(order: OrderSeen, authorizations: Iterable[AuthorizationSeen], now: datetime) -> datetime:
    """Return until when the order can still be brought to its end: that of the order or of a name not yet proved.

    A server that tells no end is believed for a day.
    """
    ends = [each.expires for each in authorizations if each.status == AuthorizationStatus.PENDING]
    return min((end for end in (order.expires, *ends) if end is not None), default=now + _DAILY)


def backoff(failures: int) -> timedelta:
    """Return how long to wait after that many failures in a row: 1, 10, 100 minutes, then a day."""
    return waiting.backoff(failures, _BACKOFF_MINUTES)


def retry_at(now: datetime, failures: int, asked_seconds: float | None = None) -> datetime:
    """Return when to try again after the *failures*-th failure in a row, never before the server asks to."""
    wait = max(backoff(failures), timedelta(seconds=asked_seconds or 0))
    return (now + wait).replace(microsecond=0)


def is_transient(error: AcmeError) -> bool:
    """Whether *error* says nothing about the order itself, which therefore goes on when the server is well again."""
    status = error.status or _CLIENT_ERROR
    return error.problem in _TRANSIENT or status >= _SERVER_ERROR or status == _TOO_MANY


def proofs_of(order: Order | None) -> frozenset[Proof]:
    """Return what was to be shown for *order*."""
    texts = order.challenges if order is not None else ()
    return frozenset(proof for proof in map(Proof.parse, texts) if proof is not None)


def open_proofs(state: State, now: datetime) -> frozenset[Proof]:
    """Return what orders under way need shown; expired ones need nothing."""
    orders = (found.next.order for found in state.services.values() if found.next is not None)
    live = [order for order in orders if order is not None and order.expires > now]
    return frozenset(proof for order in live for proof in proofs_of(order))


def orders(state: State) -> dict[Proof, tuple[ServiceId, Generation]]:
    """Return for each proof that an order under way asks for whose order that is."""
    return {
        proof: (service, found.next)
        for service, found in state.services.items()
        if found.next is not None
        for proof in proofs_of(found.next.order)
    }


def challenge_request(
    generations: Iterable[tuple[ServiceId, GenerationId]], present: Iterable[tuple[str, str]]
) -> Plan:
    """Return what a merge request about challenges is about, as a plan: its digest is what a person declines.

    That is the generations whose names it proves; where it proves none, the records (*present*) that it takes away.
    """
    actions = [
        Action(Verb.RENEW, service.group, service.name, "challenge", "order", generation)
        for service, generation in sorted(generations)
    ]
    gone = tuple(sorted(f"-{owner} {value}" for owner, value in present))
    return Plan(tuple(actions) or (Action(Verb.RENEW, "", "", "challenge", "clean", targets=gone),))


def chosen_time(window: RenewalWindow, service: ServiceId, generation: GenerationId, issued: Issued) -> datetime:
    """Return the moment within *window* at which the certificate is renewed (RFC 9773 section 4.2).

    It is drawn from a hash, so that every run draws the same. A window that lies in the past gives the earliest moment
    that counts: right after the certificate was issued.
    """
    drawn = window.start + fraction(f"ari {service} {generation}") * (window.end - window.start)
    latest, earliest = issued.not_after, issued.not_before + timedelta(seconds=1)
    return max(earliest, min(drawn, latest)).replace(microsecond=0)


def ask_again_at(now: datetime, asked_seconds: float | None) -> datetime | None:
    """Return when the server wants to be asked about a window again; null when it did not say.

    As RFC 9773 section 4.3.2 has it, what it asks for counts as a minute at least and a day at the most.
    """
    if asked_seconds is None:
        return None
    wait = max(timedelta(seconds=min(asked_seconds, _DAILY.total_seconds())), _SHORTEST_WAIT)
    return (now + wait).replace(microsecond=0)


def is_too_early(now: datetime, appointment: datetime | None) -> bool:
    """Whether a CA does not want to be asked about a window yet; an appointment that nobody can have made is none."""
    return appointment is not None and now < appointment <= now + _DAILY


def longest_life(profile: str | None) -> timedelta:
    """Return how long a certificate of *profile* may live; five years where the name does not tell.

    Such a one is of a CA of somebody's own, whose rules nobody else knows; one for decades is a mistake there too.
    """
    return _LONGEST_LIVES.get(profile or "", _LONGEST_LIFE)


def as_slot(window: RenewalWindow) -> AriWindow:
    """Return *window* as `slots.yaml` keeps it."""
    return AriWindow(window.start, window.end, window.explanation_url)


def profile_for(ca: CertificateAuthority, directory: Directory) -> tuple[str | None, str | None]:
    """Return the profile to order, null for the server's own choice, and what a person should know about it.

    A profile that nobody asked for by name, of a server that has no profiles at all, is not worth a word.
    """
    wanted = ca.wanted_profile
    if wanted in directory.profiles:
        return wanted, None
    if ca.preferred_profile is None and not directory.profiles:
        return None, None
    offered = ", ".join(sorted(directory.profiles)[:_MOST_NAMED]) or "none"
    return None, f"'{ca.name}' does not offer profile '{wanted}', so it chooses; profiles there: {offered}"
