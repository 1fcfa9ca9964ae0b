"""Every key of the inventory as Markdown tables, made of the JSON Schemas for `docs/inventory.md`.

>>> print(tables("cas").splitlines()[0])
#### `<name>`
"""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

from sslops.inventory.validation import schema

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    Schema = Mapping[str, Any]

_WORDS = {"integer": "whole number", "number": "number", "boolean": "`true` or `false`", "string": "text"}


def tables(name: str) -> str:
    """Return the tables of schema *name* (`sslops`, `cas` or `service`), a section for each kind of table in it."""
    return "\n".join(_sections(schema(name))).strip()


def _sections(whole: Schema) -> Iterator[str]:
    """Yield the lines of one section for each kind of table, outer ones first, with every place where it stands."""
    places: dict[int, list[str]] = {}
    kinds: dict[int, Schema] = {}
    for title, table in _walk(whole):
        kinds.setdefault(id(table), table)
        places.setdefault(id(table), []).append(title)
    for number, table in kinds.items():
        yield from _section(places[number], table, whole)


def _walk(whole: Schema) -> Iterator[tuple[str, Schema]]:
    waiting = [("", whole)]
    while waiting:
        title, place = waiting.pop(0)
        keys = place.get("properties", {})
        if keys:
            yield title, place
        inner = [(f"{title}.{key}".lstrip("."), each) for key, each in keys.items()]
        inner += [(f"{title}.<name>".lstrip("."), each) for each in place.get("patternProperties", {}).values()]
        waiting = [(name, table) for name, each in inner for table in _tables_in(each, whole)] + waiting


def _section(titles: list[str], place: Schema, whole: Schema) -> Iterator[str]:
    if titles != [""]:
        yield f"#### {', '.join(f'`{title}`' for title in titles)}"
        yield ""
        yield _plain(place.get("description", ""))
        yield ""
    yield "| key | value | what |"
    yield "|---|---|---|"
    required = place.get("required", ())
    for key, each in place["properties"].items():
        default = each.get("default")
        value = "; ".join(filter(None, [_value(each, whole), "required" if key in required else _default(default)]))
        yield f"| `{key}` | {value} | {_plain(each.get('description', ''))} |"
    yield ""


def _default(default: object) -> str:
    return "" if default is None else f"default `{default if isinstance(default, str) else json.dumps(default)}`"


def _plain(text: str) -> str:
    return " ".join(text.split()).replace("|", "\\|")


def _branches(place: Schema, whole: Schema) -> list[Schema]:
    """Return the alternatives of *place*, references followed and null left out."""
    if "$ref" in place:
        return [whole["$defs"][place["$ref"].removeprefix("#/$defs/")]]
    several = place.get("anyOf") or place.get("oneOf")
    if several is None:
        return [place] if place.get("type") != "null" else []
    return [branch for each in several for branch in _branches(each, whole)]


def _tables_in(place: Schema, whole: Schema) -> Iterator[Schema]:
    """Yield the tables that are values at *place*, be it in a list or by name."""
    for branch in _branches(place, whole):
        if "properties" in branch or branch.get("patternProperties"):
            yield branch
        elif "items" in branch:
            yield from _tables_in(branch["items"], whole)


def _value(place: Schema, whole: Schema) -> str:
    words = [_words(branch, whole) for branch in _branches(place, whole)]
    return " or ".join(dict.fromkeys(words))


def _words(place: Schema, whole: Schema) -> str:
    kind = place.get("type")
    if kind == "array":
        return _list_words(place, whole)
    if kind == "object":
        return "table"
    allowed = place.get("enum", [place["const"]] if "const" in place else [])
    if allowed:
        return ", ".join(f"`{word}`" for word in allowed)
    if "minimum" in place and "maximum" in place and kind == "integer":
        return f"{place['minimum']} to {place['maximum']}"
    return _WORDS[str(kind)]


def _list_words(place: Schema, whole: Schema) -> str:
    if "prefixItems" in place:
        return "list"
    inner = _value(place["items"], whole)
    return f"list of {inner}s" if inner in {"list", "table"} else f"list of {inner}"
