"""The words of the field, held: messages, help texts, docstrings and pages say one thing by one word."""

from __future__ import annotations

import ast
import re
from typing import TYPE_CHECKING

import pytest

from sslops.cli.main import VERBS
from tests.world.ops import PROJECT

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

RETIRED = {
    r"on deck": "staged",
    r"standing keys?": "prepublished key (RFC 6781)",
    r"not (proven|proved) to": "not yet verified",
    r"is not (proven|proved)": "is not verified",
    r"(came|comes|come) to nothing": "failed",
    r"nobody here": "nothing is configured",
    r"shows? proofs by": "solver",
    r"stands? in the way": "refused, waits or blocked: cause",
    r"own hands": "bot commit",
    r"way back": "rollback, rollback target",
    r"due is asked of": "is decided by",
    r"good runs?": "heartbeat",
    r"is in DNS since": "has been visible on all name servers since",
    r"something changes": "blocked: cause",
    r"nobody reads": "unexpected file",
    r"strangers?(?!\.py)": "unmanaged record, or another person",
    r"nobody's": "unmanaged",
    r"(could|can) ?not be looked at": "could not be observed",
    r"(is|are) (silent|mute)": "is unreachable, gives no answer",
    r"zones? of ours": "zone that sslops manages",
    r"at work on": "pending",
    r"(is|are|was|were) told": "is reported, is notified",
}
"""What nobody who comes from RFC 6781, 7671, 8555, lego or terraform would search for, and the word instead."""

PAGES = (
    "README.md",
    "docs/*.md",
    "sslops/init/files/**/*.md",
    "sslops/ci/files/**/*.yml",
    "sslops/inventory/example/**/*.yaml",
)


def _strings(path: Path) -> Iterator[tuple[int, str]]:
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if isinstance(node, ast.Constant) and isinstance(node.value, str):
            yield node.lineno, node.value


def _texts() -> Iterator[tuple[str, str]]:
    for path in sorted((PROJECT / "sslops").rglob("*.py")):
        for line, text in _strings(path):
            yield f"{path.relative_to(PROJECT)}:{line}", text
    for pattern in PAGES:
        for path in sorted(PROJECT.glob(pattern)):
            yield str(path.relative_to(PROJECT)), path.read_text(encoding="utf-8")


TEXTS = tuple(_texts())


@pytest.mark.parametrize("word", RETIRED)
def test_a_retired_word_is_in_no_message_and_on_no_page(word: str) -> None:
    """A word that sslops made up is replaced by the one of the field, wherever a person reads it."""
    pattern = re.compile(rf"\b{word}\b".replace(" ", r"\s+"), re.IGNORECASE)
    found = [f"{place}: say {RETIRED[word]!r}" for place, text in TEXTS if pattern.search(text)]

    assert [] == found


def test_the_search_reads_what_people_read() -> None:
    """Messages in pieces, docstrings and every page are among the texts; the search would see a retired word."""
    places = {place.split(":")[0] for place, _ in TEXTS}

    assert {"README.md", "docs/dane.md", "sslops/cli/main.py"} <= places
    assert re.search(r"\bon\s+deck\b", "it is on\ndeck") is not None


def test_a_command_in_a_message_or_on_a_page_names_a_verb_that_exists() -> None:
    """A hint that cannot be typed helps nobody."""
    typed = re.compile(r"(?:`|\A|^    |^\$ )sslops ([a-z]+)", re.MULTILINE)
    unknown = {
        f"{place}: sslops {verb}"
        for place, text in TEXTS
        for verb in typed.findall(text if ".py:" in place else f"\n{text}")
        if verb not in VERBS
    }

    assert set() == unknown
