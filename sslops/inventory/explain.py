"""What is wrong with a value that does not fit the schema: pydantic's findings in our words.

Imported only when something is wrong, because pydantic is slow to load.
"""

from __future__ import annotations

import difflib
import json
from typing import TYPE_CHECKING, Any

from pydantic import ValidationError

from sslops.inventory import patterns
from sslops.inventory.complaint import Complaint
from sslops.inventory.schema_service import CasFile, ServiceFile
from sslops.inventory.schema_settings import SettingsFile
from sslops.inventory.schemas import schema

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from pydantic import BaseModel
    from pydantic_core import ErrorDetails

    from sslops.inventory.document import Document, Path

_MODELS: Mapping[str, type[BaseModel]] = {"sslops": SettingsFile, "cas": CasFile, "service": ServiceFile}

_TYPES = {
    "string_type": "text",
    "int_type": "a whole number",
    "int_from_float": "a whole number",
    "float_type": "a number",
    "bool_type": "true or false",
    "list_type": "a list",
    "tuple_type": "a list",
    "dict_type": "a table of keys and values",
    "model_type": "a table of keys and values",
    "model_attributes_type": "a table of keys and values",
}
_LIMITS = {
    "greater_than_equal": ("at least", "ge"),
    "less_than_equal": ("at most", "le"),
    "too_short": ("a list of at least", "min_length"),
    "too_long": ("a list of at most", "max_length"),
    "string_too_long": ("text of at most", "max_length"),
}


def model(name: str) -> type[BaseModel]:
    """Return the pydantic table behind schema *name*."""
    return _MODELS[name]


def complaints(document: Document, name: str) -> tuple[Complaint, ...]:
    """Return everything that keeps *document* from having the shape of schema *name*; nothing when it has it."""
    try:
        # JSON is how pydantic reads strictly and still takes a list for a tuple.
        _MODELS[name].model_validate_json(json.dumps(document.plain))
    except ValidationError as error:
        return tuple(_complaint(document, name, found) for found in error.errors(include_url=False))
    return ()


def _complaint(document: Document, name: str, found: ErrorDetails) -> Complaint:
    path = _path(found)
    key = str(path[-1]) if path else document.file
    kind = found["type"]
    if kind == "extra_forbidden":
        known = _known(name, path[:-1])
        hint = _nearest(key, known) or f"keys here: {', '.join(known)}"
        return Complaint(document.file, path, f"unknown key '{_short(key)}'", hint, at_key=True)
    if kind == "missing" and isinstance(path[-1], int):
        return Complaint(document.file, path[:-1], f"an entry of '{_title(path)}' has too few values")
    if kind == "missing":
        return Complaint(document.file, path, f"key '{key}' is missing")
    if found["loc"] and found["loc"][-1] == "[key]":
        return Complaint(document.file, path, f"key '{_short(key)}' is not {_rule(found)}", at_key=True)
    what = f"'{_short(_title(path))}' must be {_rule(found)}, not {_shown(found['input'])}"
    return Complaint(document.file, path, what, _word(found))


def _path(found: ErrorDetails) -> Path:
    """Return the place without the names of the alternatives that pydantic tried."""
    return tuple(step for step in found["loc"] if not (isinstance(step, str) and step[0:1] in {"<", "["}))


def _title(path: Path) -> str:
    """Name a value by its last key, with the place when it stands in a list."""
    places = [str(step) for step in path if isinstance(step, str)]
    return places[-1] if places else "value"


def _rule(found: ErrorDetails) -> str:
    kind, context = found["type"], found.get("ctx", {})
    if kind == "string_pattern_mismatch":
        return patterns.PHRASES.get(context["pattern"], "of another form")
    if kind == "literal_error":
        return f"one of {context['expected'].replace(' or ', ', ')}"
    if kind == "form":
        return found["msg"].removeprefix("must be ")
    if kind in _LIMITS:
        words, limit = _LIMITS[kind]
        return f"{words} {context[limit]:g}" + (" characters" if kind == "string_too_long" else "")
    return _TYPES.get(kind, found["msg"])


def _word(found: ErrorDetails) -> str | None:
    if found["type"] != "literal_error" or not isinstance(found["input"], str):
        return None
    words = [word.strip().strip("'") for word in found["ctx"]["expected"].replace(" or ", ", ").split(",")]
    return _nearest(found["input"], words)


def _nearest(word: str, known: list[str]) -> str | None:
    """Suggest the word that was probably meant, whatever the case of its letters; null when none is near."""
    folded = {each.casefold(): each for each in known}
    close = difflib.get_close_matches(word.casefold(), folded, n=1, cutoff=0.6)
    if close:
        return f"did you mean '{folded[close[0]]}'?"
    return None


def _known(name: str, path: Path) -> list[str]:
    """Return the keys that the schema knows in the table at *path*."""
    whole = schema(name)
    here = [_resolve(whole, whole)]
    for step in path:
        here = [branch for place in here for each in _inside(place, step) for branch in _branches(whole, each)]
    return sorted({key for place in here for key in place.get("properties", {})})


def _inside(place: Mapping[str, Any], step: str | int) -> Iterator[Mapping[str, Any]]:
    if isinstance(step, int):
        first = place.get("prefixItems", [])
        yield from first[step : step + 1] or ([place["items"]] if "items" in place else [])
    elif step in place.get("properties", {}):
        yield place["properties"][step]
    else:
        yield from place.get("patternProperties", {}).values()
        if isinstance(place.get("additionalProperties"), dict):
            yield place["additionalProperties"]


def _branches(whole: Mapping[str, Any], place: Mapping[str, Any]) -> Iterator[Mapping[str, Any]]:
    place = _resolve(whole, place)
    for branch in place.get("anyOf", place.get("oneOf", [place])):
        if branch is place:
            yield place
        else:
            yield from _branches(whole, branch)


def _resolve(whole: Mapping[str, Any], place: Mapping[str, Any]) -> Mapping[str, Any]:
    reference = place.get("$ref")
    resolved: Mapping[str, Any] = whole["$defs"][reference.removeprefix("#/$defs/")] if reference else place
    return resolved


def _shown(value: object) -> str:
    """Show what was written, as YAML would."""
    if isinstance(value, dict):
        return "a table"
    if isinstance(value, list):
        return "a list"
    if isinstance(value, str):
        return f"'{_short(value)}'"
    return json.dumps(value)


def _short(text: str, longest: int = 60) -> str:
    """Cut a long text, and show characters that a terminal would obey as escapes."""
    seen = text if text.isprintable() else text.encode("unicode_escape").decode()
    return seen if len(seen) <= longest else f"{seen[: longest - 3]}..."
