r"""Reading a state file that a person edited: comments, other quotes, other layout, but the same few kinds of value.

>>> read_edited("curr: 'a'   # by hand\nnext:\n", "slots.yaml")
{'curr': 'a', 'next': None}
"""

from __future__ import annotations

import json
import re
from typing import TYPE_CHECKING, TypeAlias

import yaml

from sslops.errors import Location, StateError

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence


MAX_DEPTH = 16
_NULLS = frozenset({"", "~", "null", "Null", "NULL"})
_LOADER = getattr(yaml, "CSafeLoader", yaml.SafeLoader)


def read_edited(text: str, file: str) -> dict[str, Value]:
    """Read *text*, a map at its top; StateError, with its line, for what is not made of strings, nulls, lists and maps.

    Plain numbers and times are taken as the text they are written as.
    """
    try:
        _refuse_bombs(text, file)
        node = yaml.compose(text, Loader=_LOADER)
    except yaml.MarkedYAMLError as error:
        mark = error.problem_mark or error.context_mark
        where = Location(file, mark.line + 1, mark.column + 1) if mark else Location(file, 1, 1)
        message = f"'{file}' is not YAML: {error.problem}"
        raise StateError(message, where=where) from error
    except yaml.YAMLError as error:
        message = f"'{file}' is not YAML"
        raise StateError(message, where=Location(file, 1, 1)) from error
    if not isinstance(node, yaml.MappingNode):
        message = f"'{file}' is not a map"
        raise StateError(message, where=Location(file, 1, 1))
    return _map(node, file)


def _refuse_bombs(text: str, file: str) -> None:
    """Refuse, before anything is built, what grows when it is read: aliases, and nesting that no state file has."""
    depth = 0
    for event in yaml.parse(text, Loader=_LOADER):
        if isinstance(event, yaml.CollectionStartEvent):
            depth += 1
        elif isinstance(event, yaml.CollectionEndEvent):
            depth -= 1
        if isinstance(event, yaml.AliasEvent) or depth > MAX_DEPTH:
            what = "an alias" if depth <= MAX_DEPTH else f"more than {MAX_DEPTH} levels"
            raise StateError(f"'{file}' has {what}, which state files do not use", where=_place(event, file))


def _map(node: yaml.MappingNode, file: str) -> dict[str, Value]:
    found: dict[str, Value] = {}
    for key, value in node.value:
        if not isinstance(key, yaml.ScalarNode):
            message = "a key must be a string"
            raise StateError(message, where=_place(key, file))
        if key.value in found:
            message = f"key '{key.value}' occurs twice"
            raise StateError(message, where=_place(key, file))
        found[key.value] = _edited_value(value, file)
    return found


def _edited_value(node: yaml.Node, file: str) -> Value:
    if isinstance(node, yaml.ScalarNode):
        return None if not node.style and node.value in _NULLS else str(node.value)
    if isinstance(node, yaml.SequenceNode):
        return [_edited_value(entry, file) for entry in node.value]
    if isinstance(node, yaml.MappingNode):
        return _map(node, file)
    message = "a value of an unknown kind"
    raise StateError(message, where=_place(node, file))


def _place(what: yaml.Node | yaml.Event, file: str) -> Location:
    mark = what.start_mark
    return Location(file, mark.line + 1, mark.column + 1) if mark else Location(file, 1, 1)


Value: TypeAlias = "str | Sequence[Value] | Mapping[str, Value] | None"

MAX_BYTES = 4_000_000

# YAML readers refuse these raw; JSON's escape is YAML's too.
_ESCAPED = re.compile("[\x7f-\x9f\u2028\u2029\ufeff\ufffe\uffff\ud800-\udfff]")
# Keys that no YAML reader takes for anything but a string: our own words, and names with a dot or slash and a letter.
_SIMPLE_KEY = re.compile(r"[a-z][a-z0-9]*(?:_[a-z0-9]+)*|(?=[^\"]*[./])[A-Za-z][A-Za-z0-9._/-]*[A-Za-z0-9]")
_WORDS = frozenset({"null", "true", "false", "yes", "no", "on", "off", "y", "n"})
_FLAT_LINE = re.compile(r'^([a-z][a-z0-9_]*): (?:"([^"\\\n]*)"|(\S.*))$', re.MULTILINE)
_STRING = r'"(?:[^"\\]|\\.)*"'
_LINE = re.compile(rf"(  )?({_STRING}|[A-Za-z][A-Za-z0-9_./-]*):(?: (\S.*))?")
_FLOW_KEY = re.compile(rf"({_STRING})|([A-Za-z][A-Za-z0-9_./-]*)(?=: )")


class Block(dict[str, Value]):
    """A map that is written with one line for each entry; every other map is one line as a whole."""


def write(values: Mapping[str, Value]) -> bytes:
    """Return *values* as text, in their order."""
    lines: list[str] = []
    for key, value in values.items():
        if isinstance(value, Block) and value:
            lines.append(f"{_key(key)}:")
            lines.extend(f"  {_key(name)}: {_flow(entry)}" for name, entry in value.items())
        else:
            lines.append(f"{_key(key)}: {_flow(value)}")
    return "\n".join([*lines, ""]).encode()


def read(content: bytes, file: str) -> dict[str, Value]:
    """Read what `write` wrote or a person edited; StateError, with its line in *file*, where that cannot be."""
    if len(content) > MAX_BYTES:
        message = f"'{file}' is larger than {MAX_BYTES} bytes"
        raise StateError(message, where=Location(file, 1, 1))
    try:
        text = content.decode()
    except UnicodeDecodeError as error:
        message = f"'{file}' is not UTF-8"
        raise StateError(message, where=Location(file, content.count(b"\n", 0, error.start) + 1, 1)) from error
    found = _read_fast(text)
    if found is not None:
        return found

    return read_edited(text, file)


def line_of(content: bytes, key: str) -> int:
    """Return the line, from 1, on which *key* stands; 1 when it is not there."""
    lines = content.decode("utf-8", "replace").splitlines()
    heads = (f"{key}:", f'"{key}":', f"{json.dumps(key)}:")
    return next((number for number, line in enumerate(lines, 1) if line.lstrip().startswith(heads)), 1)


def _read_fast(text: str) -> dict[str, Value] | None:
    """Read the exact form; null when *text* is anything else, be it right or wrong."""
    rows = _FLAT_LINE.findall(text)
    try:
        if not rows or len(rows) != text.count("\n") or not text.endswith("\n"):
            return _read_blocks(text)
        found: dict[str, Value] = {key: _value(raw) if raw else string for key, string, raw in rows}
    except (ValueError, RecursionError):
        return None
    return found if len(found) == len(rows) else None


def _read_blocks(text: str) -> dict[str, Value] | None:
    """Read a file that has maps with one line for each entry; ValueError or null when it is not the exact form."""
    found: dict[str, Value] = {}
    block: dict[str, Value] | None = None
    for line in text.splitlines():
        match = _LINE.fullmatch(line)
        if match is None:
            return None
        indent, quoted, raw = match.groups()
        key = json.loads(quoted) if quoted.startswith('"') else quoted
        target = block if indent else found
        if target is None or key in target or (indent and raw is None):
            return None
        target[key] = {} if raw is None else _value(raw)
        if not indent:
            inner = target[key]
            block = inner if raw is None and isinstance(inner, dict) else None
    return found if found and ({} not in found.values() or _flows_only(text, found)) else None


def _flows_only(text: str, found: Mapping[str, Value]) -> bool:
    """Whether every empty map is written as one, since a key without a value is null to YAML."""
    return all(f"{_key(key)}: {{}}" in text for key, value in found.items() if value == {})


def _value(raw: str) -> Value:
    """Read one value in JSON, or a flow map with bare keys; ValueError for anything else."""
    if raw == "null":
        return None
    if raw[0] == '"' and raw[-1] == '"' and raw.count('"') == 2 and "\\" not in raw:  # noqa: PLR2004
        return raw[1:-1]
    if raw[0] == "{":
        raw = _FLOW_KEY.sub(lambda match: match[1] or f'"{match[2]}"', raw)
    value: Value = _DECODER.decode(raw)
    if not _known(value):
        raise ValueError(raw)
    return value


def _known(value: object) -> bool:
    """Whether *value* is made of strings, nulls, lists and maps only."""
    if isinstance(value, list):
        return all(map(_known, value))
    if isinstance(value, dict):
        return all(map(_known, value.values()))
    return value is None or isinstance(value, str)


def _unique(pairs: list[tuple[str, Value]]) -> dict[str, Value]:
    found = dict(pairs)
    if len(found) != len(pairs):
        message = "a key occurs twice"
        raise ValueError(message)
    return found


_DECODER = json.JSONDecoder(object_pairs_hook=_unique)


def _key(key: str) -> str:
    return key if _SIMPLE_KEY.fullmatch(key) and key not in _WORDS else _string(key)


def _flow(value: Value) -> str:
    if value is None:
        return "null"
    if isinstance(value, str):
        return _string(value)
    if isinstance(value, dict):
        return "{" + ", ".join(f"{_key(key)}: {_flow(entry)}" for key, entry in value.items()) + "}"
    return "[" + ", ".join(_flow(entry) for entry in value) + "]"


def _string(text: str) -> str:
    quoted = json.dumps(text, ensure_ascii=False)
    return _ESCAPED.sub(lambda match: f"\\u{ord(match[0]):04x}", quoted)
