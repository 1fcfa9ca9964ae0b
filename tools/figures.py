"""The figures of docs/, as SVG from one source: what is on a line, and when.

`tools/docs.py` writes them into docs/figures/, or with --check says which are stale.
"""

from __future__ import annotations

from html import escape
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable

_BLUE, _GREEN, _GREY = "#cfe2f3", "#d5e8d4", "#eeeeee"


def _text(x: int, y: int, words: str, anchor: str = "middle") -> str:
    return f'<text x="{x}" y="{y}" text-anchor="{anchor}">{escape(words)}</text>'


def _box(x: int, y: int, width: int, lines: tuple[str, ...], colour: str) -> str:
    height = 16 * len(lines) + 14
    words = "".join(_text(x + width // 2, y + 19 + 16 * row, line) for row, line in enumerate(lines))
    return f'<rect x="{x}" y="{y}" width="{width}" height="{height}" rx="4" fill="{colour}" stroke="#555"/>{words}'


def _arrow(x1: int, y1: int, x2: int, y2: int) -> str:
    return f'<line x1="{x1}" y1="{y1}" x2="{x2}" y2="{y2}" stroke="#222" marker-end="url(#tip)"/>'


def _figure(width: int, height: int, title: str, parts: Iterable[str]) -> str:
    body = "\n".join(parts)
    return f"""<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {width} {height}" width="{width}" \
height="{height}" font-family="sans-serif" font-size="12" role="img">
<title>{escape(title)}</title>
<defs><marker id="tip" markerWidth="8" markerHeight="8" refX="7" refY="4" orient="auto">\
<path d="M0,0 L8,4 L0,8 z" fill="#222"/></marker></defs>
<rect width="{width}" height="{height}" fill="#fff"/>
{body}
</svg>
"""


_MOMENTS = ((100, "renew"), (260, "publish"), (440, "roll, deploy"), (600, "renew"), (690, "publish"))


def two_slots() -> str:
    """Return the time line of one key change: what DNS has and what servers present, from renewal to renewal."""
    dns = (
        _box(100, 40, 160, ("A",), _BLUE),
        _box(260, 40, 430, ("A and B",), _GREEN),
        _box(690, 40, 90, ("B and C",), _BLUE),
    )
    hosts = (_box(100, 90, 340, ("A",), _BLUE), _box(440, 90, 340, ("B",), _GREEN))
    marks = [
        f'<line x1="{x}" y1="30" x2="{x}" y2="140" stroke="#222" stroke-dasharray="3 3"/>{_text(x, 156, word)}'
        for x, word in _MOMENTS
    ]
    wait = (_arrow(262, 24, 438, 24), _text(350, 18, "2 x TTL: until no cache lacks B"))
    labels = (_text(88, 60, "TLSA in DNS", "end"), _text(88, 110, "on the hosts", "end"))
    slots = (
        _text(88, 180, "slots", "end"),
        _text(180, 180, "curr A, next B"),
        _text(520, 180, "curr B, prev A"),
        _text(690, 180, "curr B, next C"),
    )
    parts = (*labels, *dns, *hosts, *marks, *wait, *slots)
    return _figure(800, 196, "Key B is prepublished before hosts change to it", parts)


def flow() -> str:
    """Return the way of a change through branches and repositories, with the verb that takes each step."""
    boxes = (
        _box(10, 60, 120, ("inventory/", "edited by people"), _GREY),
        _box(190, 60, 130, ("branch next", "staged certificate"), _BLUE),
        _box(190, 170, 130, ("DNS repository", "branch sslops/tlsa"), _BLUE),
        _box(390, 170, 130, ("DNS repository", "main: TLSA files"), _GREEN),
        _box(590, 170, 140, ("name servers", "asked until all agree"), _GREY),
        _box(390, 60, 130, ("branch sslops/roll", "proposed change"), _BLUE),
        _box(590, 60, 140, ("branch main", "curr is live"), _GREEN),
        _box(590, 280, 140, ("hosts", "switched, verified"), _GREEN),
        _box(390, 280, 130, ("branch ledger", "what was verified"), _GREY),
    )
    steps = (
        (130, 83, 188, 83, "renew", 160, 76),
        (255, 106, 255, 168, "publish", 280, 142),
        (320, 193, 388, 193, "merge", 354, 186),
        (520, 193, 588, 193, "load", 554, 186),
        (320, 83, 388, 83, "roll", 354, 76),
        (520, 83, 588, 83, "merge", 554, 76),
        (588, 303, 522, 303, "write", 555, 296),
        (590, 216, 500, 278, "since when", 515, 246),
    )
    arrows = [_arrow(x1, y1, x2, y2) + _text(x, y, word) for x1, y1, x2, y2, word, x, y in steps]
    deploy = '<polyline points="730,83 770,83 770,303 732,303" fill="none" stroke="#222" marker-end="url(#tip)"/>'
    key = _text(400, 350, "blue: proposed or staged; green: decided or live; grey: read or recorded")
    return _figure(830, 366, "The way of a change", (*boxes, *arrows, deploy, _text(792, 200, "deploy"), key))


FIGURES: dict[str, Callable[[], str]] = {"two-slots.svg": two_slots, "flow.svg": flow}
"""File in docs/figures/ to what draws it."""
