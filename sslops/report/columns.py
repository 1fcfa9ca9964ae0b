"""Plain columns, for pipes, files and people without colour: as wide as the widest cell, two spaces apart.

>>> print(columns([("renew", "example.com/mail-ec", ""), ("roll", "a/b", "soon")]))
renew  example.com/mail-ec
roll   a/b                  soon
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from sslops.report.escape import on_one_line

if TYPE_CHECKING:
    from collections.abc import Sequence


def columns(rows: Sequence[Sequence[str]], *, indent: str = "") -> str:
    """Return *rows* aligned, each cell on one line and escaped for a terminal; all rows have the same length."""
    cells = [[on_one_line(cell) for cell in row] for row in rows]
    widths = [max(map(len, column)) for column in zip(*cells, strict=True)]
    return "\n".join(_line(row, widths, indent) for row in cells)


def _line(row: Sequence[str], widths: Sequence[int], indent: str) -> str:
    padded = (cell.ljust(width) for cell, width in zip(row, widths, strict=True))
    return indent + "  ".join(padded).rstrip()
