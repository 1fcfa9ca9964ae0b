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

import difflib
import functools
import json
import re
from pathlib import Path
from typing import TYPE_CHECKING, Any

from sslops.inventory import names as patterns
from sslops.inventory.document import Complaint
from sslops.system.files import writing

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator, Mapping

    from pydantic import BaseModel
    from pydantic_core import ErrorDetails

    from sslops.inventory.document import Document, KeyPath

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


NAMES = ("sslops", "cas", "service")
"""The three kinds of file: `sslops.yaml`, `cas.yaml`, and every service's."""

IN_INVENTORY = "inventory/.schema"
"""Where an ops repository keeps them for its editors."""

_FOLDER = Path(__file__).with_name("example") / ".schema"


def text(name: str) -> str:
    """Return the JSON Schema *name* (one of `NAMES`) as text that ends in a newline."""
    return (_FOLDER / f"{name}.json").read_text(encoding="utf-8")


def texts() -> str:
    """Return all of them as one JSON object by name, as text that ends in a newline."""
    return json.dumps({name: schema(name) for name in NAMES}, indent=2) + "\n"


@functools.cache
def schema(name: str) -> Mapping[str, Any]:
    """Return the JSON Schema *name* as a value."""
    return json.loads(text(name))  # type: ignore[no-any-return]


@functools.cache
def fits(name: str) -> Callable[[object], bool]:
    """Return the question whether a value has the shape of schema *name*."""
    return compile_schema(schema(name))


def generate() -> Mapping[str, str]:
    """Return every schema as pydantic has it now, by name."""
    return {
        name: json.dumps(
            {"$schema": "https://json-schema.org/draft/2020-12/schema", **_tidy(model(name).model_json_schema())},
            indent=2,
            ensure_ascii=True,
        )
        + "\n"
        for name in NAMES
    }


def write(folder: Path) -> tuple[Path, ...]:
    """Write every schema as `<name>.json` into *folder*, which is made when it is not there; return the files.

    UsageError where that cannot be written.
    """
    files = tuple(folder / f"{name}.json" for name in NAMES)
    with writing(folder):
        folder.mkdir(parents=True, exist_ok=True)
        for name, file in zip(NAMES, files, strict=True):
            file.write_text(text(name), encoding="utf-8")
    return files


def stale(top: Path) -> tuple[str, ...]:
    """Return the schemas in the ops repository at *top* that are of another release, sorted; its editors go by them."""
    kept = ((top / IN_INVENTORY / f"{name}.json", text(name)) for name in sorted(NAMES))
    return tuple(
        f"{IN_INVENTORY}/{file.name}" for file, ours in kept if file.is_file() and file.read_text("utf-8") != ours
    )


def _tidy(value: Any) -> Any:  # noqa: ANN401  (JSON)
    """Leave away what no reader needs: titles that repeat the name, and defaults that say nothing."""
    if isinstance(value, list):
        return [_tidy(item) for item in value]
    if not isinstance(value, dict):
        return value
    tidy = {
        key: {name: _tidy(each) for name, each in inner.items()} if key in {"properties", "$defs"} else _tidy(inner)
        for key, inner in value.items()
        if not (key == "title" and isinstance(inner, str)) and not (key == "default" and _says_nothing(inner))
    }
    return {**tidy, "additionalProperties": False} if "patternProperties" in tidy else tidy


def _says_nothing(default: object) -> bool:
    return default is None or isinstance(default, list | dict)


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
    """Return the pydantic table behind schema *name*; imported at need, since that costs more than reading it all."""
    from sslops.inventory.schema import CasFile, ServiceFile, SettingsFile

    tables: Mapping[str, type[BaseModel]] = {"sslops": SettingsFile, "cas": CasFile, "service": ServiceFile}
    return tables[name]


def complaints(document: Document, name: str) -> tuple[Complaint, ...]:
    """Return everything that keeps *document* from having the shape of schema *name*; nothing when it has it."""
    from pydantic import ValidationError

    try:
        # JSON is how pydantic reads strictly and still takes a list for a tuple.
        model(name).model_validate_json(json.dumps(document.plain))
    except ValidationError as error:
        return tuple(_complaint(document, name, found) for found in error.errors(include_url=False))
    return ()


def _complaint(document: Document, name: str, found: ErrorDetails) -> Complaint:
    path = _path(found, document.plain)
    key = str(path[-1]) if path else document.file
    kind = found["type"]
    if kind == "extra_forbidden":
        known = _known(name, path[:-1])
        hint = _spaced(key, known) or _new_way(key, path, known) or _nearest(key, known)
        hint = hint or f"keys here: {', '.join(known)}"
        return Complaint(document.file, path, f"unknown key '{_short(key)}'", hint, at_key=True)
    if kind == "missing" and isinstance(path[-1], int):
        return Complaint(document.file, path[:-1], f"an entry of '{_title(path)}' has too few values")
    if kind == "missing":
        return Complaint(document.file, path, f"key '{key}' is missing", _MISSING.get(path))
    if found["loc"] and found["loc"][-1] == "[key]":
        return Complaint(document.file, path, f"key '{_short(key)}' is not {_rule(found)}", at_key=True)
    what = f"'{_short(_title(path))}' must be {_rule(found)}, not {_shown(found['input'])}"
    hint = _spaced(found["input"], _known(name, path)) or _value_hint(key, path, found["input"]) or _word(found)
    return Complaint(document.file, path, what, hint)


def _path(found: ErrorDetails, plain: object) -> KeyPath:
    """Return the place without the names of the alternatives that pydantic tried, unless the file has such a key."""
    path: list[str | int] = []
    for step in found["loc"]:
        is_there = isinstance(plain, dict) and step in plain
        if not is_there and isinstance(step, str) and step[:1] in {"<", "["}:
            continue
        path.append(step)
        in_list = isinstance(plain, list) and isinstance(step, int) and step < len(plain)
        plain = plain[step] if is_there or in_list else None  # type: ignore[index]
    return tuple(path)


def _spaced(written: object, known: list[str]) -> str | None:
    """Return what helps where *written* is a key that is known here, and its value, without the space between them."""
    key, colon, value = written.partition(":") if isinstance(written, str) else ("", "", "")
    if key not in known or not colon:
        return None
    return f"a space belongs after ':', as in '{key}: {_short(value.strip(), 40)}'"


_FORMER_CLASSES = frozenset({"smtp", "imap", "web", "other"})
_FORMER_KEYS = {
    "verb": "leave it out: stderr tells what is done",
    "logdir": "leave it out: stderr and git's history are the log",
    "sslm_auth_hook": "leave it out: sslops shows challenges itself (dns.acme_dir, or server_dir)",
    "skip_prod_copy": "leave it out, and take hosts that get no files out of 'hosts'",
    "preferred_acme_profile": "write 'ca_preferred_acme_profile' for that CA in inventory/cas.yaml",
    "servers": "write 'hosts'",
    "bits": "write 'rsa_bits'",
    "KeyOpts": "write 'key_opts'",
    "X509": "write 'x509'",
    "CA": "write 'ca'",
}
"""Keys of ssl-mgr that are gone or have another name, and what is written in their place."""
_FORMER_TARGET = re.compile(r"(?:renew_)?(target|rand_adj)_([0-9.]+)")
_MISSING: Mapping[KeyPath, str] = {
    ("dns", "repo"): 'repo: {url: "git@git.example.com:infra/dns.git"}, the git repository that holds the zone files',
    ("dns", "tlsa_dirs"): "tlsa_dirs: [zones/include-tlsa], folders of the DNS repository",
}


def _new_way(key: str, path: KeyPath, known: list[str]) -> str | None:
    """Return how an unknown key of ssl-mgr is written here; null for one that it does not have either."""
    target = _FORMER_TARGET.fullmatch(key)
    if target is not None:
        return f"renew_info: {{{target[1]}: {{{target[2]}: ...}}}} below 'globals'"
    if len(path) == 1 and key == "renew_info":
        return "write it below 'globals', as renew_info: {target: {90: 30}}"
    if len(path) == 1 and key in _FORMER_CLASSES and "servers" in known:
        return f"write it below 'servers', with 'hosts': servers: {{{key}: {{hosts: [...]}}}}"
    return _FORMER_KEYS.get(key)


def _value_hint(key: str, path: KeyPath, value: object) -> str | None:
    """Return what helps with a value of ssl-mgr that has another form here."""
    where = path[-2] if path and isinstance(path[-1], int) else key
    if where in {"acme_dir", "tlsa_dirs"} and isinstance(value, str) and value.startswith("/"):
        name = value.rstrip("/").rpartition("/")[2]
        return f"a folder of the DNS repository (dns.repo), as 'zones/{name}'; '.' is its top"
    if where == "prod_cert_dir" and isinstance(value, str):
        return "the folder on the servers, from '/' on, as '/etc/ssl-mgr/prod-certs'"
    if where == "depends" and value in ("cert", "tlsa"):
        return "a change of TLSA files is 'dns'; that of certificates is what 'svc_depends' says"
    return None


def _title(path: KeyPath) -> str:
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


def _known(name: str, path: KeyPath) -> list[str]:
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
