"""docs/from-ssl-mgr.md answers every option and key of ssl-mgr."""

from __future__ import annotations

import re

from tests.world.ops import PROJECT

ITEMS = range(1, 81)
"""How many options, keys and habits ssl-mgr has: 31 of the command line, 27, 5 and 8 of its files, 9 others."""
_COLUMNS = 4


def rows() -> list[list[str]]:
    """Return the cells of each numbered row."""
    text = (PROJECT / "docs/from-ssl-mgr.md").read_text()
    lines = re.findall(r"^\| \d+ \|.*\|$", text, re.MULTILINE)
    return [[cell.strip() for cell in line.strip("|").split("|")] for line in lines]


def test_every_option_and_key_has_its_row() -> None:
    """None is left out, and none is there twice."""
    assert list(ITEMS) == [int(row[0]) for row in rows()]


def test_no_cell_is_empty() -> None:
    """Each says what is there now, and why it differs."""
    assert [] == [row for row in rows() if len(row) != _COLUMNS or not all(row)]


def test_a_verb_in_the_table_exists() -> None:
    """The first word of a command in the third column is a verb, a key or an option that the code knows."""
    from sslops.cli.main import VERBS

    starts = re.compile(
        r"`(renew|roll|deploy|publish|status|info|verify|dhparm|simulate|check|prune|revoke|tlsa|dev)\b"
    )
    named = {word for row in rows() for word in starts.findall(row[2])}

    assert set() == named - set(VERBS)
