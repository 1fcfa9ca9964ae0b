"""Reading one YAML file: plain values, places, and what no loader should be given."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from sslops.errors import Faults, Location
from sslops.inventory.document import read

FILE = "inventory/x.yaml"


def faults(raw: bytes) -> list[tuple[str, str]]:
    """Return `line:col` and words of every fault in *raw*."""
    with pytest.raises(Faults) as caught:
        read(FILE, raw)
    return [(f"{fault.where}".removeprefix(f"{FILE}:"), fault.what) for fault in caught.value.faults]


def test_scalars_have_the_types_that_editors_see() -> None:
    """Octal-looking modes, the country NO, clock times and dates stay text."""
    raw = b"mode: 0640\ncountry: NO\ntime: 1:30\nday: 2026-12-01\nn: 7\nhalf: .5\nyes: true\nnone: ~\nbig: 1_000\n"

    assert {
        "mode": "0640",
        "country": "NO",
        "time": "1:30",
        "day": "2026-12-01",
        "n": 7,
        "half": 0.5,
        "yes": True,
        "none": None,
        "big": "1_000",
    } == read(FILE, raw).plain


def test_a_value_has_its_place() -> None:
    """Values and keys are found by line and column, in tables and lists."""
    document = read(FILE, b"a:\n  b: [1, {c: 2}]\n")

    assert Location(FILE, 2, 14) == document.place(("a", "b", 1, "c"))
    assert Location(FILE, 2, 11) == document.place(("a", "b", 1, "c"), key=True)


def test_a_missing_key_is_placed_at_the_table_around_it() -> None:
    """There is no better place for what is not there."""
    document = read(FILE, b"a:\n  b: {c: 1}\n")

    assert Location(FILE, 2, 6) == document.place(("a", "b", "d"))


def test_every_duplicate_key_is_told_with_its_place() -> None:
    """A key that is there twice is a fault at the second one, in inner tables too."""
    assert [("2:1", "key 'a' is there twice"), ("3:11", "key 'c' is there twice")] == faults(
        b"a: 1\na: 2\nb: {c: 1, c: 2}\n"
    )


@pytest.mark.parametrize(
    ("raw", "place", "what"),
    [
        (b"a:\n\tb: 1\n", "2:1", "not YAML: found character that cannot start any token"),
        (b"a: [1\n", "2:1", "not YAML: did not find expected ',' or ']'"),
        (b"a: b: c\n", "1:5", "not YAML: mapping values are not allowed in this context"),
        (b"a: 1\n---\nb: 2\n", "2:1", "not YAML: but found another document"),
        (b"a: \x01\n", "1:4", "not YAML: control characters"),
        (b"a: \xff\n", "1:4", f"'{FILE}' is not UTF-8"),
        (b"", "1:1", f"'{FILE}' holds no table of keys and values"),
        (b"- a\n", "1:1", f"'{FILE}' holds no table of keys and values"),
        (b"? [a]\n: b\n", "1:3", "a key that is not text"),
        (b"a: !!python/object:os.system x\n", "1:4", "tag 'python/object:os.system' in the inventory"),
        (b"a: !secret x\n", "1:4", "tag '!secret' in the inventory"),
    ],
)
def test_what_is_no_plain_yaml_is_refused(raw: bytes, place: str, what: str) -> None:
    """Syntax errors, other encodings, several documents, tags and keys that are no text are faults with their place."""
    assert [(place, what)] == faults(raw)


def test_tabs_get_a_hint() -> None:
    """The commonest mistake in YAML is named."""
    with pytest.raises(Faults) as caught:
        read(FILE, b"a:\n\tb: 1\n")

    assert "indent with spaces, never tabs" == caught.value.faults[0].hint


def test_anchors_and_aliases_are_refused() -> None:
    """What could unfold to gigabytes never gets that far."""
    bomb = b"a: &a [x, x]\n" + b"".join(b"%c: &%c [*%c, *%c]\n" % (c + 1, c + 1, c, c) for c in range(97, 120))

    assert ("1:4", "anchor or alias 'a' in the inventory") == faults(bomb)[0]


def test_texts_with_ampersand_and_asterisk_are_fine() -> None:
    """Only anchors and aliases are refused, not the characters."""
    assert {"O": "A & B", "san": "*.example.com"} == read(FILE, b'O: A & B\nsan: "*.example.com"\n').plain


@pytest.mark.parametrize("depth", [40, 5_000, 500_000])
def test_deep_nests_are_refused(depth: int) -> None:
    """A nest of brackets neither ends the process nor the stack."""
    assert "values nested more than 32 deep" in [what for _, what in faults(b"a: " + b"[" * depth + b"]" * depth)]


@given(st.binary(max_size=200))
def test_any_bytes_are_read_or_told_about(raw: bytes) -> None:
    """Whatever the file holds, reading it ends in values or in `Faults`."""
    try:
        ending: object = read(FILE, raw).plain
    except Faults as found:
        ending = found.faults

    assert ending is not None
