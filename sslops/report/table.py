r"""One table, whoever reads it: columns that say a row in plain text, in Markdown and in JSON.

>>> print(*as_lines([Column("n", str), Column("twice", lambda n: str(n * 2))], [7, 10]), sep="\n")
n   twice
7   14
10  20
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Generic, TypeVar

from sslops.report.text import for_markdown, markdown_table, on_one_line

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence


Row = TypeVar("Row")

EMPTY = "-"
"""What plain text shows where there is nothing, so that a column can be cut out by its number."""
_GAP = "  "


@dataclass(frozen=True, slots=True)
class Column(Generic[Row]):
    """One column: its head, a row's cell as *text*, as *markdown* (null: the text, escaped), and its part of JSON."""

    head: str
    text: Callable[[Row], str]
    markdown: Callable[[Row], str] | None = None
    document: Callable[[Row], Mapping[str, object]] | None = None

    def in_markdown(self, row: Row) -> str:
        """Return the cell as Markdown."""
        return for_markdown(self.text(row)) if self.markdown is None else self.markdown(row)


def as_lines(columns: Sequence[Column[Row]], rows: Sequence[Row], *, width: int | None = None) -> list[str]:
    """Return the head and a line for each row, aligned and escaped for a terminal.

    Where *width* is given no line is longer: the first column gives way, by an ellipsis in its middle.
    """
    cells = [[each.head for each in columns]]
    cells += [[on_one_line(each.text(row)) or EMPTY for each in columns] for row in rows]
    widths = [max(map(len, column)) for column in zip(*cells, strict=True)]
    if width is not None:
        rest = sum(widths[1:]) + len(_GAP) * (len(widths) - 1)
        widths[0] = min(widths[0], max(width - rest, len(columns[0].head)))
        cells = [[_middle(row[0], widths[0]), *row[1:]] for row in cells]
    lines = [_GAP.join(cell.ljust(wide) for cell, wide in zip(row, widths, strict=True)).rstrip() for row in cells]
    return lines if width is None else [shortened(line, width) for line in lines]


def as_markdown_table(columns: Sequence[Column[Row]], rows: Sequence[Row]) -> str:
    """Return a Markdown table."""
    return markdown_table(
        [each.head for each in columns], [[each.in_markdown(row) for each in columns] for row in rows]
    )


def as_documents(columns: Sequence[Column[Row]], rows: Sequence[Row]) -> list[dict[str, object]]:
    """Return an object for each row, of what its columns say."""
    return [
        {key: value for each in columns if each.document is not None for key, value in each.document(row).items()}
        for row in rows
    ]


def shortened(line: str, width: int) -> str:
    """Return *line* in at most *width* characters, the last of them an ellipsis where it had to be cut.

    >>> shortened("abcdef", 4)
    'abc…'
    """
    return line if len(line) <= width else f"{line[: max(width - 1, 0)]}…"


def _middle(text: str, width: int) -> str:
    """Return *text* in at most *width* characters, cut in its middle: both ends of a service's name tell it apart."""
    if len(text) <= width:
        return text
    front = (width - 1) // 2
    return f"{text[:front]}…{text[len(text) - (width - 1 - front) :]}"
