"""Times are said as a person says them."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import pytest

from sslops.report.text import clock, days_left, span, until

NOW = datetime(2026, 11, 24, 14, 30, tzinfo=UTC)


@pytest.mark.parametrize(
    ("length", "said"),
    [
        (timedelta(seconds=4), "4 s"),
        (timedelta(seconds=0), "0 s"),
        (timedelta(seconds=-5), "0 s"),
        (timedelta(minutes=1, seconds=30), "1 min 30 s"),
        (timedelta(hours=2), "2 h"),
        (timedelta(hours=2, seconds=5), "2 h"),
        (timedelta(days=1, hours=3), "1 day 3 h"),
        (timedelta(days=29, hours=3), "29 days"),
    ],
)
def test_a_span_has_at_most_two_units(length: timedelta, said: str) -> None:
    """The two largest units say enough."""
    assert said == span(length)


def test_another_day_has_its_date() -> None:
    """A time alone would be read as today's."""
    assert "in 1 day 10 h (2026-11-26 00:30 UTC)" == until(NOW + timedelta(hours=34), NOW)


def test_what_is_past_is_since() -> None:
    """A moment that has come is not said to lie ahead."""
    assert "since 14:00 UTC" == until(NOW - timedelta(minutes=30), NOW)


def test_no_moment_is_said_too() -> None:
    """A wait without an end says so."""
    assert "without a date" == until(None, NOW)


def test_seconds_count_when_it_is_soon() -> None:
    """Within two minutes the minute alone would be a riddle."""
    assert "14:30:04 UTC" == clock(NOW + timedelta(seconds=4), NOW)


@pytest.mark.parametrize(
    ("hours", "left"), [(24, 1.0), (2.4, 0.1), (2.3, 0.0), (-1, -0.1), (717.6, 29.9), (24 * 90 - 0.1, 89.9)]
)
def test_days_left_are_rounded_down(hours: float, left: float) -> None:
    """A certificate never has more days than are said, and one that has expired has less than none."""
    assert left == days_left(NOW + timedelta(hours=hours), NOW)
