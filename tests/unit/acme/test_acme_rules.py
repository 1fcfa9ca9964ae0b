"""What is done about an order, as the server shows it."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from sslops.acme.order_rules import (
    Failed,
    Fetch,
    Finalize,
    LookAgain,
    Show,
    ask_again_at,
    chosen_time,
    deadline,
    is_too_early,
    is_transient,
    next_step,
    profile_for,
    retry_at,
)
from sslops.errors import AcmeError
from sslops.model.acme import (
    AuthorizationSeen,
    ChallengeSeen,
    ChallengeType,
    Directory,
    OrderSeen,
    Proof,
    RenewalWindow,
)
from sslops.model.inventory import CaType, CertificateAuthority
from sslops.model.names import GenerationId, ServiceId
from sslops.model.state import Issued

NOW = datetime(2026, 11, 24, 14, 30, tzinfo=UTC)
WEB = ServiceId("example.com", "web-ec")
DNS_01 = ChallengeType.DNS_01


def order(status: str = "pending", **facts: object) -> OrderSeen:
    """Return an order as the server shows it."""
    return OrderSeen("https://ca/order/1", status, "https://ca/finalize/1", **facts)  # type: ignore[arg-type]


def authorization(status: str = "pending", challenge: str = "pending", kind: str = "dns-01") -> AuthorizationSeen:
    """Return an authorization with a challenge of an unknown type and one of *kind*."""
    unknown = ChallengeSeen("quantum-02", "https://ca/challenge/0", "pending")
    return AuthorizationSeen(
        "https://ca/authz/1",
        "example.com",
        status,
        NOW + timedelta(hours=1),
        challenges=(unknown, ChallengeSeen(kind, "https://ca/challenge/1", challenge, "token")),
    )


def test_a_pending_challenge_is_shown_and_answered() -> None:
    """The one of the type that the inventory names; others do not disturb."""
    found = next_step(order(), [authorization()], DNS_01)

    assert isinstance(found, Show)
    assert ["dns-01"] == [challenge.type for _, challenge in found.challenges]


@pytest.mark.parametrize("challenge", ["processing", "valid"])
def test_a_challenge_that_was_answered_is_left_alone(challenge: str) -> None:
    """An earlier run told the server; a second answer would be a second validation."""
    assert LookAgain() == next_step(order(), [authorization(challenge=challenge)], DNS_01)


def test_an_authorization_that_is_valid_needs_no_proof() -> None:
    """The server remembers an earlier one."""
    assert LookAgain() == next_step(order(), [authorization("valid")], DNS_01)


@pytest.mark.parametrize("status", ["invalid", "expired", "revoked", "deactivated", "whatever"])
def test_an_authorization_that_is_over_ends_the_order(status: str) -> None:
    """The reason names it."""
    found = next_step(order(), [authorization(status)], DNS_01)

    assert isinstance(found, Failed)
    assert f"'example.com': {status}" == found.why


def test_a_server_that_does_not_offer_the_wanted_type_is_a_failure_with_what_it_offers() -> None:
    """A wildcard by http-01, say."""
    found = next_step(order(), [authorization(kind="http-01")], DNS_01)

    assert Failed("'example.com': the CA offers no dns-01, but http-01, quantum-02") == found


def test_an_order_that_is_further_needs_no_proof() -> None:
    """Ready: finalize; processing: look again; valid: fetch."""
    assert Finalize() == next_step(order("ready"), [], DNS_01)
    assert LookAgain() == next_step(order("processing"), [], DNS_01)
    assert Fetch() == next_step(order("valid", certificate="https://ca/cert/1"), [], DNS_01)
    assert Failed("the order is invalid") == next_step(order("invalid"), [], DNS_01)


def test_the_deadline_is_that_of_the_name_that_ends_first() -> None:
    """Pending authorizations of some profiles live for an hour, their orders for days."""
    end = NOW + timedelta(days=7)

    assert NOW + timedelta(hours=1) == deadline(order(expires=end), [authorization()], NOW)
    assert end == deadline(order(expires=end), [authorization("valid")], NOW)
    assert NOW + timedelta(days=1) == deadline(order(), [], NOW)


@given(st.integers(1, 50), st.integers(0, 1_000_000))
def test_no_try_comes_before_the_server_allows_it(failures: int, asked: int) -> None:
    """And never more than the longer of a day and what it asked."""
    wait = retry_at(NOW, failures, asked) - NOW

    assert asked - 1 <= wait.total_seconds() <= max(86400, asked) + 1


@given(st.floats(0, 1e12), st.integers(0, 3 * 86_400))
def test_a_window_is_asked_about_again_after_a_minute_at_least_and_a_day_at_the_most(asked: float, later: int) -> None:
    """As long as the server says in between; until then it is too early, and from then on it is not."""
    moment = ask_again_at(NOW, asked)
    assert moment is not None
    wait = (moment - NOW).total_seconds()

    assert int(min(max(asked, 60), 86_400)) == wait
    assert is_too_early(NOW + timedelta(seconds=later), moment) is (later < wait)


def test_a_time_that_nobody_can_have_made_is_none() -> None:
    """A clock that was wrong must not keep a CA from being asked for years."""
    assert not is_too_early(NOW, NOW + timedelta(days=2))
    assert not is_too_early(NOW, None)
    assert ask_again_at(NOW, None) is None


@pytest.mark.parametrize(
    ("problem", "status", "transient"),
    [
        ("rateLimited", 429, True),
        ("serverInternal", 500, True),
        (None, 503, True),
        ("timeout", None, True),
        ("rejectedIdentifier", 400, False),
        ("malformed", 404, False),
        (None, None, False),
    ],
)
def test_what_says_nothing_about_the_order_leaves_it_as_it_is(
    problem: str | None, status: int | None, *, transient: bool
) -> None:
    """A server that is ill holds the order still; one that refuses it does not."""
    assert transient is is_transient(AcmeError("no", problem=problem, status=status))


SHA256 = st.text("ABCxyz019-_", min_size=43, max_size=43)
LABELS = st.from_regex(r"[a-z0-9]([a-z0-9-]{0,10}[a-z0-9])?", fullmatch=True)


@given(
    st.lists(LABELS, min_size=2, max_size=5).map(".".join),
    st.text("ABCxyz019-_", min_size=16, max_size=171),
    SHA256,
    st.sampled_from(ChallengeType),
)
def test_a_proof_is_read_back_as_it_was_written(name: str, token: str, value: str, kind: ChallengeType) -> None:
    """And what is none is null."""
    proof = Proof(kind, "example.com", name, token, value if kind is ChallengeType.DNS_01 else f"{token}.{value}")

    assert proof == Proof.parse(str(proof))
    assert Proof.parse(name + "x") is None


@given(st.sampled_from(("group", "name", "token", "value")), st.text(), st.sampled_from(ChallengeType))
def test_a_proof_that_no_ca_can_have_asked_for_is_none(field: str, text: str, kind: ChallengeType) -> None:
    """What lies on a branch that others may write does not get into a zone, or onto a web host."""
    token, value = "token-of-16-chars", "v" * 43
    sound = Proof(
        kind, "example.com", "a.example.com", token, value if kind is ChallengeType.DNS_01 else f"{token}.{value}"
    )
    for bad in (f"{getattr(sound, field)}\n$INCLUDE /etc/passwd", f'{getattr(sound, field)}" ; {text}', f"{text}\n"):
        assert Proof.parse(str(replace(sound, **{field: bad}))) is None  # type: ignore[arg-type]


@given(st.integers(-4000, 4000), st.integers(1, 4000), st.text("abcdef0123456789", min_size=4, max_size=4))
def test_the_chosen_moment_lies_in_the_window_as_far_as_the_certificate_lives(
    start: int, hours: int, tail: str
) -> None:
    """It is the same each time it is asked; a window in the past gives a moment that is past too."""
    issued = Issued(NOW, "1", "CA", NOW, NOW + timedelta(days=90), (), "00")
    window = RenewalWindow(NOW + timedelta(hours=start), NOW + timedelta(hours=start + hours))
    generation = GenerationId(f"20261124T143000Z-{tail}")
    moment = chosen_time(window, WEB, generation, issued)

    assert moment == chosen_time(window, WEB, generation, issued)
    assert issued.not_before < moment <= issued.not_after
    assert window.start <= moment <= window.end or not window.start < moment < window.end


def test_a_profile_is_ordered_only_where_it_is_offered() -> None:
    """A word is worth it when somebody asked for it, or the server has others."""
    plain = CertificateAuthority("le", CaType.ACME)
    gold = CertificateAuthority("le", CaType.ACME, preferred_profile="gold")
    offers = Directory({"classic": "", "tlsserver": ""}, has_renewal_info=True)

    assert ("tlsserver", None) == profile_for(plain, offers)
    assert (None, None) == profile_for(plain, Directory({}, has_renewal_info=False))
    assert (None, "'le' does not offer profile 'gold', so it chooses; profiles there: classic, tlsserver") == (
        profile_for(gold, offers)
    )
