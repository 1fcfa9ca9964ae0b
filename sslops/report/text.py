r"""Text from outside, made harmless for the place where it is shown.

Names, DNS answers and what peers write to stderr are hostile until proved otherwise: they could move the cursor of a
terminal or close a table of a merge request.

>>> print(visible("mail\x1b[2J.example.com"))
mail\x1b[2J.example.com
>>> print(for_markdown("a|b <!-- c"))
a\|b &lt;!-- c
"""

from __future__ import annotations

import re
from dataclasses import dataclass, field
from datetime import UTC, timedelta
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence
    from datetime import datetime


_MARKDOWN_ACTIVE = re.compile(r"([\\`*_\[\]|~$])")
_BLOCK_START = re.compile(r"^(\d{0,9})([.)#+=-])(?=\s|$|[#+=-])")
_REFERENCE = re.compile(r"(&amp;|[@#!%~$])(?=[\w\"])")


def visible(text: str) -> str:
    """Return *text* with every character that a terminal would obey, but line feed and tab, written as its escape."""
    if text.isprintable():
        return text
    return "".join(each if each.isprintable() or each in "\n\t" else _escaped(each) for each in text)


def on_one_line(text: str) -> str:
    """Return *text* fit for a table cell: as `visible`, and white space of any kind becomes one space."""
    return visible(" ".join(text.split()))


def for_markdown(text: str) -> str:
    """Return *text* as it reads in a Markdown table cell, without mark-up, HTML, mentions or references of its own."""
    shown = on_one_line(text).replace("&", "&amp;").replace("<", "&lt;").replace(">", "&gt;")
    parted = _REFERENCE.sub(r"\1<!-- -->", shown)  # no forge honours a backslash before a mention
    return _BLOCK_START.sub(r"\1\\\2", _MARKDOWN_ACTIVE.sub(r"\\\1", parted))


def as_code(text: str) -> str:
    """Return *text* as a Markdown code span; back-ticks and pipes cannot end it."""
    shown = on_one_line(text).replace("`", "'").replace("|", "\\|")
    return f"`{shown}`" if shown else ""


def _escaped(character: str) -> str:
    return character.encode("unicode_escape").decode("ascii")


_STYLES = {"green": 32, "red": 31, "yellow": 33, "bold": 1, "dim": 2}


@dataclass(frozen=True, slots=True)
class Paint:
    r"""Gives text a colour, where there are any.

    >>> Paint(is_on=True)("added", "green"), Paint()("added", "green")
    ('\x1b[32madded\x1b[0m', 'added')
    """

    is_on: bool = False

    def __call__(self, text: str, style: str | None) -> str:
        """Return *text*, which is escaped already, in *style*: a colour, `bold` or `dim`; null: as it is."""
        return f"\x1b[{_STYLES[style]}m{text}\x1b[0m" if self.is_on and style is not None else text


_TENTH_OF_A_DAY = timedelta(days=1) / 10
_SECONDS_A_DAY = 86400
_TWO_WORDS_UNTIL = timedelta(days=10)


def span(length: timedelta) -> str:
    """Say how long *length* is, in its two largest units; what is negative or under a second is `0 s`."""
    seconds = max(0, int(length.total_seconds()))
    days, rest = divmod(seconds, _SECONDS_A_DAY)
    hours, rest = divmod(rest, 3600)
    minutes, seconds = divmod(rest, 60)
    if length >= _TWO_WORDS_UNTIL:
        return count(days, "day")
    words = [
        (days, count(days, "day")),
        (hours, f"{hours} h"),
        (minutes, f"{minutes} min"),
        (seconds, f"{seconds} s"),
    ]
    first = next((place for place, (amount, _) in enumerate(words) if amount), len(words) - 1)
    return " ".join(word for amount, word in words[first : first + 2] if amount or first == len(words) - 1)


def until(moment: datetime | None, now: datetime) -> str:
    """Say when *moment* is, seen from *now*: in how long, and at what time (with the date when it is another day)."""
    if moment is None:
        return "without a date"
    if moment <= now:
        return f"since {clock(moment, now)}"
    return f"in {span(moment - now)} ({clock(moment, now)})"


def clock(moment: datetime, now: datetime) -> str:
    """Write *moment* in UTC: the time alone on the day of *now*, seconds only within two minutes of it."""
    moment, now = moment.astimezone(UTC), now.astimezone(UTC)
    time = f"{moment:%H:%M:%S}" if abs(moment - now) < timedelta(minutes=2) else f"{moment:%H:%M}"
    return f"{time} UTC" if moment.date() == now.date() else f"{moment:%Y-%m-%d} {time} UTC"


def stamp(moment: datetime) -> str:
    """Write *moment* in UTC with its date, the same whenever it is read.

    >>> from datetime import datetime
    >>> stamp(datetime(2026, 11, 24, 14, 30, tzinfo=UTC))
    '2026-11-24 14:30 UTC'
    """
    return f"{moment.astimezone(UTC):%Y-%m-%d %H:%M} UTC"


def days_left(end: datetime, now: datetime) -> float:
    """Return the days from *now* to *end*, to a tenth, rounded down; negative when *end* has passed."""
    return (end - now) // _TENTH_OF_A_DAY / 10


def count(amount: int, noun: str, plural: str | None = None) -> str:
    """Say *amount* of *noun*.

    >>> count(1, "service"), count(2, "service")
    ('1 service', '2 services')
    """
    return f"{amount} {noun if amount == 1 else plural or noun + 's'}"


def columns(rows: Sequence[Sequence[str]], *, indent: str = "") -> str:
    """Return *rows* aligned, each cell on one line and escaped for a terminal; all rows have the same length."""
    cells = [[on_one_line(cell) for cell in row] for row in rows]
    widths = [max(map(len, column)) for column in zip(*cells, strict=True)]
    return "\n".join(_line(row, widths, indent) for row in cells)


def _line(row: Sequence[str], widths: Sequence[int], indent: str) -> str:
    padded = (cell.ljust(width) for cell, width in zip(row, widths, strict=True))
    return indent + "  ".join(padded).rstrip()


_SHOWN = 4


@dataclass(frozen=True, slots=True)
class Table:
    """A table; heads and cells are Markdown already. Rows go from the end when the document is too long."""

    heads: tuple[str, ...]
    rows: tuple[tuple[str, ...], ...]


@dataclass(frozen=True, slots=True)
class Part:
    """A heading (empty: none) and what stands below it, Markdown already; *folded* behind a line to click on."""

    heading: str
    blocks: tuple[str | Table, ...]
    folded: bool = False


@dataclass(frozen=True, slots=True)
class Written:
    """What goes to the forge as *text*; *overflow* is the whole of it where the text had to be cut, else null."""

    text: str
    overflow: str | None = None


@dataclass(slots=True)
class _Cut:
    """How many rows of each table are shown; *artifact* is where the others are."""

    artifact: str
    shown: dict[int, int] = field(default_factory=dict)

    def of(self, table: Table) -> int:
        return self.shown.get(id(table), len(table.rows))


def fitted(parts: tuple[Part, ...], end: str, limit: int, artifact: str) -> Written:
    """Return the document of at most *limit* characters that ends in the line *end*; *artifact* names the rest."""
    cut = _Cut(artifact)
    whole = _document(parts, end, cut)
    if len(whole) <= limit:
        return Written(whole)
    tables = [block for part in parts for block in part.blocks if isinstance(block, Table)]
    excess = len(whole) - limit + len(tables) * len(_more(len(whole), artifact))
    _shorten(tables, excess, cut)
    kept = parts
    while len(text := _document(kept, end, cut)) > limit and len(kept) > 1:
        kept = kept[:-1]
    return Written(text, whole)


def listed(names: Sequence[str], shown: int = _SHOWN) -> str:
    """Return *names* as code, in one breath: the first few, and how many more.

    >>> listed(["a", "b", "c"], 2)
    '`a`, `b` and 1 more'
    """
    words = ", ".join(as_code(name) for name in names[:shown])
    return words if len(names) <= shown else f"{words} and {len(names) - shown} more"


def bullets(sentences: Iterable[str]) -> str:
    """Return *sentences* as a list."""
    return "\n".join(f"- {sentence}" for sentence in sentences)


def on_one_row(text: str, longest: int = 300) -> str:
    """Return *text* from outside as a cell that stays readable, however much somebody sent.

    >>> on_one_row("abcdef", 4)
    'abc…'
    """
    return for_markdown(text if len(text) <= longest else f"{text[: longest - 1]}…")


def _shorten(tables: list[Table], excess: int, cut: _Cut) -> None:
    """Take rows from the end of whichever table is the longest, until *excess* characters are gone."""
    sizes = {id(table): [len(_row(row)) + 1 for row in table.rows] for table in tables}
    left = {key: sum(rows) for key, rows in sizes.items()}
    while excess > 0 and any(left.values()):
        longest = max(left, key=lambda key: left[key])
        gone = sizes[longest].pop()
        left[longest] -= gone
        excess -= gone
    cut.shown = {key: len(rows) for key, rows in sizes.items()}


def _document(parts: tuple[Part, ...], end: str, cut: _Cut) -> str:
    return "\n\n".join([*(_part(part, cut) for part in parts), end])


def _part(part: Part, cut: _Cut) -> str:
    blocks = [_table(block, cut) if isinstance(block, Table) else block for block in part.blocks]
    if part.folded:
        return "\n\n".join([f"<details>\n<summary>{part.heading}</summary>", *blocks, "</details>"])
    return "\n\n".join([f"### {part.heading}", *blocks] if part.heading else blocks)


def _table(table: Table, cut: _Cut) -> str:
    shown = cut.of(table)
    lines = markdown_table(table.heads, table.rows[:shown])
    hidden = len(table.rows) - shown
    return f"{lines}\n\n{_more(hidden, cut.artifact)}" if hidden else lines


def _more(hidden: int, artifact: str) -> str:
    return f"{count(hidden, 'more row')}: {as_code(artifact)}"


def markdown_table(heads: Sequence[str], rows: Iterable[Sequence[str]]) -> str:
    """Return a Markdown table; cells are Markdown already (`as_code`, `for_markdown`).

    >>> print(markdown_table(("host", "serves"), [("smtp1", "curr")]))
    | host | serves |
    | --- | --- |
    | smtp1 | curr |
    """
    return "\n".join(map(_row, (heads, ("---",) * len(heads), *rows)))


def _row(cells: Sequence[str]) -> str:
    return f"| {' | '.join(cells)} |"
