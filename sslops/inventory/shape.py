"""Whether a value has the shape that a JSON Schema asks: yes or no, quickly, with the standard library.

pydantic holds the schema and explains faults, but importing it costs more than reading the whole inventory. So what it
once wrote down as JSON Schema is asked first, and only a value that does not fit meets pydantic. A property test holds
that both judge alike.

>>> port = {"type": "integer", "minimum": 1}
>>> fits = compile_schema({"type": "object", "properties": {"port": port}, "required": ["port"]})
>>> fits({"port": 25}), fits({"port": "25"}), fits({})
(True, False, False)
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Mapping

    Fits = Callable[[object], bool]
    Schema = Mapping[str, Any]

_ANNOTATIONS = frozenset({"$defs", "$schema", "title", "description", "default"})


def compile_schema(schema: Schema) -> Fits:
    """Make a yes-or-no question of *schema*; ValueError when it uses a keyword this module does not know."""
    tables: dict[str, Fits] = {}
    definitions: Mapping[str, Schema] = schema.get("$defs", {})

    def table(reference: str) -> Fits:
        name = reference.removeprefix("#/$defs/")
        if name not in tables:
            tables[name] = _compile(definitions[name], table)
        return tables[name]

    return _compile(schema, table)


def _compile(schema: Schema, table: Callable[[str], Fits]) -> Fits:
    if "$ref" in schema:
        return table(schema["$ref"])
    branches = schema.get("anyOf") or schema.get("oneOf")
    if branches:
        return _any_of([_compile(branch, table) for branch in branches])
    kind = schema.get("type")
    _refuse_unknown(schema, kind)
    if kind == "object":
        return _object(schema, table)
    if kind == "array":
        return _array(schema, table)
    return _scalar(schema, kind)


def _refuse_unknown(schema: Schema, kind: str | None) -> None:
    known = {
        "object": {"properties", "required", "additionalProperties", "patternProperties", "propertyNames"},
        "array": {"items", "prefixItems", "minItems", "maxItems"},
        "string": {"pattern", "maxLength", "enum", "const"},
        "integer": {"minimum", "maximum"},
        "number": {"minimum", "maximum"},
        "boolean": set[str](),
        "null": set[str](),
    }
    unknown = schema.keys() - _ANNOTATIONS - {"type"} - known.get(str(kind), set())
    if unknown or kind not in known:
        message = f"a schema of type '{kind}' with {sorted(unknown)}"
        raise ValueError(message)


def _any_of(branches: list[Fits]) -> Fits:
    return lambda value: any(fits(value) for fits in branches)


def _object(schema: Schema, table: Callable[[str], Fits]) -> Fits:
    required = frozenset(schema.get("required", ()))
    properties = {name: _compile(each, table) for name, each in schema.get("properties", {}).items()}
    patterns: Mapping[str, Schema] = schema.get("patternProperties", {})
    named = [(_pattern(pattern), _compile(each, table)) for pattern, each in patterns.items()]
    names = _compile({"type": "string", **schema["propertyNames"]}, table) if "propertyNames" in schema else None
    rest = schema.get("additionalProperties", not named)
    others = (lambda _: bool(rest)) if isinstance(rest, bool) else _compile(rest, table)

    def fits(value: object) -> bool:
        if not isinstance(value, dict) or not required <= value.keys():
            return False
        for key, each in value.items():
            question = properties.get(key) or next((fit for matches, fit in named if matches(key)), others)
            if not question(each) or (names is not None and not names(key)):
                return False
        return True

    return fits


def _array(schema: Schema, table: Callable[[str], Fits]) -> Fits:
    least, most = schema.get("minItems", 0), schema.get("maxItems", float("inf"))
    first = [_compile(each, table) for each in schema.get("prefixItems", ())]
    items = _compile(schema["items"], table) if "items" in schema else None

    def fits(value: object) -> bool:
        if not isinstance(value, list) or not least <= len(value) <= most:
            return False
        if items is not None:
            return all(map(items, value))
        return all(question(each) for question, each in zip(first, value, strict=False))

    return fits


def _scalar(schema: Schema, kind: str | None) -> Fits:
    if kind == "string":
        return _text(schema)
    if kind in {"integer", "number"}:
        return _number(schema, (int,) if kind == "integer" else (int, float))
    exact = bool if kind == "boolean" else type(None)
    return lambda value: type(value) is exact


def _text(schema: Schema) -> Fits:
    allowed: Iterable[str] | None = schema.get("enum") or ([schema["const"]] if "const" in schema else None)
    if allowed is not None:
        words = frozenset(allowed)
        return lambda value: isinstance(value, str) and value in words
    matches = _pattern(schema.get("pattern", "^"))
    longest = schema.get("maxLength", float("inf"))
    return lambda value: isinstance(value, str) and len(value) <= longest and matches(value)


def _pattern(pattern: str) -> Callable[[str], bool]:
    # `$` of the schema is the end of the text; Python's also matches before a final newline.
    search = re.compile(pattern.removesuffix("$") + (r"\Z" if pattern.endswith("$") else "")).search
    return lambda text: search(text) is not None


def _number(schema: Schema, kinds: tuple[type, ...]) -> Fits:
    least, most = schema.get("minimum", float("-inf")), schema.get("maximum", float("inf"))
    return lambda value: type(value) in kinds and least <= value <= most
