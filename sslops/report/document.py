"""A Markdown document for a forge: tables and sentences that fit the length it takes.

What is too long is cut at the end of the longest tables, between two rows, and the reader is told where the rest is.

>>> table = Table(("name",), tuple((letter * 40,) for letter in "abc"))
>>> print(fitted((Part("", (table,)),), "<!-- end -->", 130, "sslops-tlsa.md").text)
| name |
| --- |
| aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa |
<BLANKLINE>
2 more rows: `sslops-tlsa.md`
<BLANKLINE>
<!-- end -->
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from sslops.report.escape import as_code, for_markdown
from sslops.report.words import count

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

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
    lines = "\n".join(map(_row, (table.heads, ("---",) * len(table.heads), *table.rows[:shown])))
    hidden = len(table.rows) - shown
    return f"{lines}\n\n{_more(hidden, cut.artifact)}" if hidden else lines


def _more(hidden: int, artifact: str) -> str:
    return f"{count(hidden, 'more row')}: {as_code(artifact)}"


def _row(cells: tuple[str, ...]) -> str:
    return f"| {' | '.join(cells)} |"
