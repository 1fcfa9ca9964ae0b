"""Answers that follow from one frozen value alone: computed once, kept as long as the value lives, no longer.

>>> class Value: ...
>>> @derived
... def answer(value): return []
>>> value = Value()
>>> answer(value) is answer(value), answer(value) is answer(Value())
(True, False)
"""

from __future__ import annotations

import weakref
from functools import wraps
from typing import TYPE_CHECKING, TypeVar

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable


_Key = TypeVar("_Key")
_Value = TypeVar("_Value")
_Answer = TypeVar("_Answer")


def derived(make: Callable[[_Value], _Answer]) -> Callable[[_Value], _Answer]:
    """Let *make* be asked once for each value.

    The value must never change and must take weak references. It is known by identity, not by what it equals: a copy
    with one field replaced is another value, and nothing of the first is believed of it.
    """
    known: dict[int, tuple[weakref.ref[_Value], _Answer]] = {}

    @wraps(make)
    def remembered(value: _Value) -> _Answer:
        key = id(value)
        entry = known.get(key)
        # A number is used again after its object is gone; the reference tells whose it is.
        if entry is not None and entry[0]() is value:
            return entry[1]
        answer = make(value)

        def forget(reference: weakref.ref[_Value]) -> None:
            present = known.get(key)
            if present is not None and present[0] is reference:
                del known[key]

        known[key] = weakref.ref(value, forget), answer
        return answer

    return remembered


def grouped(pairs: Iterable[tuple[_Key, _Value]]) -> dict[_Key, tuple[_Value, ...]]:
    """Return key to its values, each once, in their order.

    >>> grouped([("a", 1), ("b", 2), ("a", 3), ("a", 1)])
    {'a': (1, 3), 'b': (2,)}
    """
    found: dict[_Key, dict[_Value, None]] = {}
    for key, value in pairs:
        found.setdefault(key, {})[value] = None
    return {key: tuple(values) for key, values in found.items()}
