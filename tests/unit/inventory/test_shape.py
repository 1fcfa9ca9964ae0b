"""The quick judgement of a shape agrees with pydantic's."""

from __future__ import annotations

import copy
import json
from pathlib import Path
from typing import Any

import pytest
import yaml
from hypothesis import given
from hypothesis import strategies as st
from pydantic import ValidationError

from sslops.inventory import shipped
from sslops.inventory import validation as schemas
from sslops.inventory.document import read
from sslops.inventory.validation import compile_schema, complaints, model

DOCUMENTS = {
    name: read(file, shipped.files()[file]).plain
    for name, file in {
        "sslops": "inventory/sslops.yaml",
        "cas": "inventory/cas.yaml",
        "service": "inventory/example.com/mail-ec.yaml",
    }.items()
}
SCALARS = st.one_of(
    st.none(),
    st.booleans(),
    st.integers(-3, 70_000),
    st.floats(allow_nan=False, allow_infinity=False),
    st.text(max_size=8),
    st.sampled_from(["ALL", "*", "any", "a\n", "2026-12-01", "gitlab", "-x", "/a/b", "a/../b", "0640", "self", "MX"]),
)
KEYS = st.sampled_from(
    ["hold", "verify", "files", "host", "services", "x509", "sans", "nope", "a b", "until", "reason"]
)
VALUES = st.recursive(
    SCALARS,
    lambda inner: st.one_of(st.lists(inner, max_size=3), st.dictionaries(KEYS, inner, max_size=3)),
    max_leaves=6,
)


def spots(value: Any, way: tuple[Any, ...] = ()) -> list[tuple[Any, ...]]:
    """Return the way to every value inside *value*, itself included."""
    inner = value.items() if isinstance(value, dict) else enumerate(value) if isinstance(value, list) else ()
    return [way, *(spot for key, each in inner for spot in spots(each, (*way, key)))]


def spoil(draw: st.DrawFn, whole: Any) -> Any:
    """Return *whole* with one value replaced, or one key added or taken away."""
    whole = copy.deepcopy(whole)
    *way, last = draw(st.sampled_from(spots(whole)[1:]))
    place = whole
    for step in way:
        place = place[step]
    deed = draw(st.sampled_from(["replace", "add", "remove"]))
    if deed == "replace" or (deed == "add" and isinstance(place, list)):
        place[last] = draw(VALUES)
    elif deed == "add":
        place[draw(KEYS | st.text(max_size=5))] = draw(VALUES)
    else:
        del place[last]
    return whole


@st.composite
def spoiled(draw: st.DrawFn) -> tuple[str, Any]:
    """Return a schema's name and a document that once had its shape, spoiled once or twice."""
    name = draw(st.sampled_from(schemas.NAMES))
    document = DOCUMENTS[name]
    for _ in range(draw(st.integers(0, 2))):
        document = spoil(draw, document)
        if len(spots(document)) == 1:
            break
    return name, document


@given(spoiled())
def test_both_judge_alike(case: tuple[str, Any]) -> None:
    """A value fits exactly when pydantic accepts it, and when it does not, at least one fault is told."""
    name, value = case
    try:
        model(name).model_validate_json(json.dumps(value))
        accepted = True
    except ValidationError:
        accepted = False

    assert accepted is schemas.fits(name)(value)


@given(spoiled())
def test_what_does_not_fit_is_explained_at_a_place(case: tuple[str, Any]) -> None:
    """Every fault has words and a place inside the file."""
    name, value = case
    document = read("inventory/x.yaml", yaml.safe_dump(value, allow_unicode=True).encode())
    if schemas.fits(name)(document.plain):
        return

    found = [complaint.located({document.file: document}) for complaint in complaints(document, name)]

    assert found
    assert {document.file} == {fault.where and fault.where.file for fault in found}


def test_unknown_keywords_are_refused() -> None:
    """A schema that says more than is understood is not half obeyed."""
    with pytest.raises(ValueError, match="uniqueItems"):
        compile_schema({"type": "array", "uniqueItems": True})


def test_the_kept_schemas_are_those_of_the_tables() -> None:
    """No table changes without its JSON Schema; `make docs` writes them anew."""
    assert {name: schemas.text(name) for name in schemas.NAMES} == schemas.generate()


def test_the_top_level_example_is_the_shipped_one() -> None:
    """What the project shows at its top is what `sslops init` copies."""
    top = Path(__file__).parents[3]
    shown = {
        path.relative_to(top).as_posix(): path.read_bytes() for path in (top / "inventory").rglob("*") if path.is_file()
    }

    assert shipped.files() == shown
