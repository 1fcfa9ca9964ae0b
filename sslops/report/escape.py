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
