r"""Charts as SVG text, from values alone: the same input gives the same bytes, and nothing in it runs or is fetched.

A chart has one axis of time; colours are classes, so that the page around it says what they are in light, dark and
print. A lane says in words what its bars show.

>>> from datetime import UTC, datetime, timedelta
>>> day = datetime(2026, 11, 24, tzinfo=UTC)
>>> lane = Lane("curr 9b1c", (Bar(day, day + timedelta(days=10), "curr"),))
>>> "curr 9b1c" in timeline([lane], Span(day, day + timedelta(days=20)), day, 400, "a <chart>")
True
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, timedelta
from html import escape
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Sequence
    from datetime import datetime


@dataclass(frozen=True, slots=True)
class Span:
    """From when to when a chart goes; never empty."""

    begin: datetime
    end: datetime

    def at(self, moment: datetime, width: int) -> float:
        """Return where *moment* lies on *width* pixels, clamped to them."""
        share = (moment - self.begin) / (self.end - self.begin)
        return round(min(max(share, 0.0), 1.0) * width, 1)


@dataclass(frozen=True, slots=True)
class Bar:
    """A stretch of time; *style* is a class of the page."""

    begin: datetime
    end: datetime
    style: str


@dataclass(frozen=True, slots=True)
class Mark:
    """A moment; *style* is a class of the page, *title* what a pointer that rests on it shows."""

    at: datetime
    style: str
    title: str


@dataclass(frozen=True, slots=True)
class Lane:
    """One line of a chart: what it is, and what lies on it."""

    label: str
    bars: tuple[Bar, ...] = ()
    marks: tuple[Mark, ...] = ()


_TOP, _LANE, _BAR, _TEXT = 22, 32, 9, 12
_THINNEST = 4
_LETTER = 6.4
"""How wide a letter is, at most: labels are cut to what fits."""
_TICKS = (1, 2, 7, 14, 30, 61, 91, 182, 365, 730, 1826, 3652)
_LABEL_WIDTH = 76


def timeline(lanes: Sequence[Lane], span: Span, now: datetime, width: int, title: str) -> str:
    """Return *lanes* below each other on one axis of time, *width* pixels wide, with a line at *now*."""
    height = _TOP + _LANE * len(lanes) + 4
    size = f'viewBox="0 0 {width} {height}" width="{width}" height="{height}"'
    parts = [f'<svg {size} role="img" class="chart w{width}" aria-label="{escape(title)}">']
    parts += _axis(span, width, height)
    x = span.at(now, width)
    parts.append(f'<line class="now" x1="{x}" x2="{x}" y1="{_TOP - 6}" y2="{height}"/>')
    for place, lane in enumerate(lanes):
        parts += _lane(lane, span, width, _TOP + _LANE * place)
    return "".join([*parts, "</svg>"])


def _axis(span: Span, width: int, height: int) -> Iterator[str]:
    """Yield a line and a date for every tick; as many as have room."""
    days = (span.end - span.begin) / timedelta(days=1)
    most = max(2, width // _LABEL_WIDTH)
    step = next((each for each in _TICKS if days / each <= most), _TICKS[-1])
    moment = span.begin.astimezone(UTC).replace(hour=0, minute=0, second=0, microsecond=0) + timedelta(days=1)
    while moment < span.end:
        x = span.at(moment, width)
        yield f'<line class="tick" x1="{x}" x2="{x}" y1="{_TOP - 6}" y2="{height}"/>'
        if x + _LABEL_WIDTH <= width:
            yield f'<text class="date" x="{x + 3}" y="{_TEXT}">{moment:%Y-%m-%d}</text>'
        moment += timedelta(days=step)


def _lane(lane: Lane, span: Span, width: int, top: int) -> Iterator[str]:
    fitting = int(width / _LETTER)
    label = lane.label if len(lane.label) <= fitting else f"{lane.label[: fitting - 1]}…"
    yield f'<text class="lane" x="0" y="{top + _TEXT}">{escape(label)}</text>'
    y = top + _TEXT + 5
    yield f'<line class="rail" x1="0" x2="{width}" y1="{y + _BAR / 2}" y2="{y + _BAR / 2}"/>'
    for bar in lane.bars:
        begin, end = span.at(bar.begin, width), span.at(bar.end, width)
        wide = max(round(end - begin, 1), _THINNEST)
        yield f'<rect class="{escape(bar.style)}" x="{begin}" y="{y}" width="{wide}" height="{_BAR}" rx="2"/>'
    yield from _marks(lane.marks, span, width, y + _BAR / 2)


def _marks(marks: Iterable[Mark], span: Span, width: int, y: float) -> Iterator[str]:
    """Yield a diamond for each mark: a shape that no bar has, for whoever does not see the colours."""
    for mark in marks:
        x = min(max(span.at(mark.at, width), 5), width - 5)
        points = f"{x - 5},{y} {x},{y - 5} {x + 5},{y} {x},{y + 5}"
        yield f'<polygon class="{escape(mark.style)}" points="{points}"><title>{escape(mark.title)}</title></polygon>'
