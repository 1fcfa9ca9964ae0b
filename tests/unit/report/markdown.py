"""Markdown as a forge reads it: a parser of its own (CommonMark with the tables of GitHub), not ours."""

from __future__ import annotations

import re

from markdown_it import MarkdownIt

_CELL = re.compile(r"<t[dh][^>]*>")
_TAG = re.compile(r"<[a-zA-Z][^>]*>")
OURS = frozenset({"<p>", "<h3>", "<ul>", "<li>", "<strong>", "<code>", "<table>", "<thead>", "<tbody>", "<tr>", "<br>"})
"""The elements that our documents are made of, beside cells and foldable parts."""


def html(text: str) -> str:
    """Return what a reader's browser gets."""
    return str(MarkdownIt("commonmark").enable("table").render(text))


def cells(text: str) -> int:
    """Return how many table cells a reader sees."""
    return len(_CELL.findall(html(text)))


def elements(text: str) -> set[str]:
    """Return every kind of element a reader's browser gets, cells aside."""
    return {tag for tag in _TAG.findall(html(text)) if not _CELL.fullmatch(tag)}
