"""What is remembered of a value is about that value and no other."""

from __future__ import annotations

import gc
from dataclasses import dataclass, replace

from sslops.model.derived import derived


@dataclass(frozen=True, slots=True, weakref_slot=True)
class Value:
    """A frozen value."""

    number: int


@derived
def doubled(value: Value) -> list[int]:
    """Return twice the number, in a list of its own."""
    return [2 * value.number]


def test_an_answer_is_made_once() -> None:
    """The very same object comes back."""
    value = Value(1)

    assert doubled(value) is doubled(value)


def test_an_equal_value_is_told_apart() -> None:
    """What somebody did to the answer about one does not reach the other."""
    value = Value(1)
    doubled(value).append(99)

    assert ([2, 99], [2], [4]) == (doubled(value), doubled(replace(value)), doubled(replace(value, number=2)))


def test_a_value_at_the_address_of_one_that_is_gone_is_another() -> None:
    """Python gives the address of a dead object to the next one; its answer must die with it."""
    for number in range(1000):
        value = Value(number)

        assert [2 * number] == doubled(value)
        del value
    gc.collect()
