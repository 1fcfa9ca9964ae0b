"""How work grows with what it is about, told by counting what the interpreter does and never by time."""

from __future__ import annotations

import math
import sys
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Callable

LINEAR = 1.25
"""The largest exponent that still is linear growth, sorting and a loop over few groups included."""


def steps(work: Callable[[], object]) -> int:
    """Return how many instructions of Python *work* takes."""
    count = 0

    def trace(frame: Any, event: str, _argument: object) -> Any:
        nonlocal count
        frame.f_trace_opcodes, frame.f_trace_lines = True, False
        count += event == "opcode"
        return trace

    before = sys.gettrace()
    sys.settrace(trace)
    try:
        work()
    finally:
        sys.settrace(before)
    return count


def exponent(work_of: Callable[[int], Callable[[], object]], small: int, large: int) -> float:
    """Return the exponent by which the work for *large* exceeds that for *small*; *work_of* prepares one of a size."""
    ratio = steps(work_of(large)) / steps(work_of(small))
    return math.log(ratio) / math.log(large / small)
