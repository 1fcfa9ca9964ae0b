r"""Reading a state file that a person edited: comments, other quotes, other layout, but the same few kinds of value.

>>> read_edited("curr: 'a'   # by hand\nnext:\n", "slots.yaml")
{'curr': 'a', 'next': None}
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import yaml

from sslops.errors import Location, StateError

if TYPE_CHECKING:
    from sslops.state.plain_yaml import Value

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
        found[key.value] = _value(value, file)
    return found


def _value(node: yaml.Node, file: str) -> Value:
    if isinstance(node, yaml.ScalarNode):
        return None if not node.style and node.value in _NULLS else str(node.value)
    if isinstance(node, yaml.SequenceNode):
        return [_value(entry, file) for entry in node.value]
    if isinstance(node, yaml.MappingNode):
        return _map(node, file)
    message = "a value of an unknown kind"
    raise StateError(message, where=_place(node, file))


def _place(what: yaml.Node | yaml.Event, file: str) -> Location:
    mark = what.start_mark
    return Location(file, mark.line + 1, mark.column + 1) if mark else Location(file, 1, 1)
