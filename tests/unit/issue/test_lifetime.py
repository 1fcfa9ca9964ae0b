"""When a certificate is renewed: the knots of the design, the settings, and what holds for every lifetime."""

from __future__ import annotations

from dataclasses import replace
from datetime import timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from sslops.model.inventory import RenewTargets, Settings
from sslops.model.names import GenerationId
from sslops.pki.lifetime import (
    BUILT_IN,
    ca_renew_at,
    lifetime_days,
    renew_at,
    renewal_target_days,
    spread_days,
    validity,
)
from tests.unit.issue.site import NOW, WEB, leaf

LIFETIMES = st.floats(0.001, 20_000)
GENERATION = GenerationId("20261124T143000Z-9b1c")
SERVICE = leaf(WEB, "www.example.com")


@pytest.mark.parametrize(
    ("lifetime", "target"),
    [(0, 0), (0.5, 0.25), (1, 0.5), (2, 1), (5, 2), (6, 2.6), (10, 5), (30, 5 + 20 / 7), (45, 10), (60, 20), (90, 30),
     (120, 45), (300, 60), (365, 73), (1825, 365), (3650, 730)],
)  # fmt: skip
def test_the_built_in_rule_is_linear_between_its_knots(lifetime: float, target: float) -> None:
    """The numbers of design section 4, between them by proportion, above 300 days a fifth."""
    assert pytest.approx(target) == BUILT_IN.at(lifetime)


@given(LIFETIMES, LIFETIMES)
def test_a_longer_certificate_is_never_renewed_with_less_left(one: float, other: float) -> None:
    """The rule has no dents."""
    shorter, longer = sorted((one, other))

    assert BUILT_IN.at(shorter) <= BUILT_IN.at(longer) + 1e-9


def test_renew_expire_days_replaces_the_rule() -> None:
    """A number in the inventory is what counts, for every lifetime it can hold for."""
    assert [20.0, 60.0] == [renewal_target_days(365, Settings(), days) for days in (20, 60)]


def test_knots_of_the_inventory_override_those_of_the_rule() -> None:
    """`renew_info: {target: {90: 40}}` changes the rule around 90 days and nowhere else."""
    settings = Settings(renew_targets=RenewTargets(target=((90.0, 40.0),)))

    assert [10.0, 40.0, 60.0] == [renewal_target_days(days, settings) for days in (45, 90, 300)]


def test_the_spread_comes_from_its_own_knots_or_from_one_number() -> None:
    """`rand_adj` wins over `renew_expire_days_spread`; beyond its last knot it stays as it is."""
    knots = RenewTargets(rand_adj=((90.0, 3.0),))

    assert 2.0 == spread_days(90, Settings(renew_expire_days_spread=2))
    assert [1.0, 3.0, 3.0] == [spread_days(days, Settings(renew_targets=knots)) for days in (30, 90, 400)]


def test_the_spread_is_the_same_in_every_run_and_another_for_each_generation() -> None:
    """It is drawn from a hash: a plan does not change by being made again."""
    settings = Settings(renew_expire_days_spread=5)
    time = validity(NOW, 90)

    first, again = (renew_at(time, settings, SERVICE, GENERATION) for _ in range(2))
    others = {renew_at(time, settings, SERVICE, GenerationId(f"{number:04x}")) for number in range(50)}

    assert first == again
    assert 40 < len(others)
    assert all(abs(moment - (time.not_after - timedelta(days=30))) <= timedelta(days=5, seconds=1) for moment in others)


@given(
    LIFETIMES,
    st.floats(0, 10_000),
    st.none() | st.floats(0, 100_000),
    st.none() | st.lists(st.tuples(st.floats(0, 10_000), st.floats(0, 10_000)), max_size=4).map(tuple),
)
def test_whatever_the_settings_a_fresh_certificate_is_not_due_and_an_ended_one_is(
    lifetime: float, spread: float, asked: float | None, knots: tuple[tuple[float, float], ...] | None
) -> None:
    """Nothing a person writes makes every run renew, or no run."""
    settings = Settings(renew_expire_days_spread=spread, renew_targets=RenewTargets(target=knots))
    time = replace(validity(NOW, 1), not_after=NOW + timedelta(days=lifetime))

    moment = renew_at(time, settings, SERVICE, GENERATION, asked)

    assert time.not_before < moment <= time.not_after
    assert lifetime < 0.2 or NOW < moment


def test_a_ca_is_due_when_less_is_left_than_it_signs_for() -> None:
    """Otherwise what it signs would end early."""
    time = validity(NOW, 3650)

    assert time.not_after - timedelta(days=365) == ca_renew_at(time, 365)


def test_a_ca_that_signs_for_as_long_as_it_lasts_is_not_always_due() -> None:
    """The rule cannot be met then: two thirds of its life are the most that is asked for."""
    time = validity(NOW, 365)

    assert NOW + timedelta(days=100) < ca_renew_at(time, 365)


def test_a_lifetime_counts_its_last_second() -> None:
    """RFC 5280 section 4.1.2.5: both ends are included."""
    assert 90.0 == lifetime_days(validity(NOW, 90))
