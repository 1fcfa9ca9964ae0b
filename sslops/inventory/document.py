r"""One YAML file: plain values to work with, and the places of those values for whoever finds a fault.

Reading is the fast path; places are looked up only when something is wrong.

>>> document = read("inventory/cas.yaml", b"my-root:\n  ca_type: self\n")
>>> document.plain, str(document.place(("my-root", "ca_type")))
({'my-root': {'ca_type': 'self'}}, 'inventory/cas.yaml:2:12')
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING, Any, Protocol

import yaml

from sslops.errors import Faults, InventoryError, Location

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping

    from yaml.nodes import Node


Plain = dict[str, Any]
"""A table as YAML writes it: text keys; texts, numbers, booleans, null, lists and tables as values."""

KeyPath = tuple[str | int, ...]
"""The way to a value: keys and list places from the top."""

# libyaml builds nested nodes on the C stack, so a file that could be that deep is looked through first.
_SMALL_BYTES = 10_000
_LARGEST_BYTES = 4_000_000
_LIBYAML_TOO_DEEP = "exceeded maximum nesting depth"
"""What newer versions of libyaml say of a nest that is far deeper than ours may be."""
_DEEPEST = 32
_CONFLICT, _RESOLVE = "a merge-conflict marker", "take one of the two sides, and remove the three marker lines"
_MARKER, _MIDDLE = re.compile(rb"^(?:<{7}|>{7}|\|{7})(?: |\r?$)", re.MULTILINE), b"======="
_NO_SPACE = re.compile(r"\s*(?:- +)?(?P<key>[A-Za-z_][A-Za-z0-9_-]*):(?P<value>[^\s:/].*)")
_SHOWN = 40
_DECIMAL = re.compile(r"[-+]?(0|[1-9][0-9]*)\Z")
_FLOAT = re.compile(r"[-+]?([0-9]+(\.[0-9]*)?|\.[0-9]+)([eE][-+]?[0-9]+)?\Z")
# YAML 1.1 reads `NO` as a boolean and 0640 as an octal number; editors, which read YAML 1.2, do not. Nor do we.
_BOOLEANS = {"true": True, "True": True, "TRUE": True, "false": False, "False": False, "FALSE": False}
_TAG = "tag:yaml.org,2002:"


class _Mark(Protocol):
    """A place as PyYAML and libyaml count it: from 0."""

    @property
    def line(self) -> int: ...
    @property
    def column(self) -> int: ...


@dataclass(frozen=True)
class Document:
    """A file that is one table: its name relative to the repository's root, its content, its values."""

    file: str
    raw: bytes
    plain: Plain

    @cached_property
    def _root(self) -> Node:
        """The nodes, which take many times the room of the values: made again where a place is asked for."""
        root: Node = yaml.CSafeLoader(self.raw).get_single_node()  # type: ignore[assignment]
        return root

    def place(self, path: KeyPath = (), *, key: bool = False) -> Location:
        """Return where the value at *path* begins, or its key; the nearest table around it when it is not there."""
        node = self._root
        for step in path[:-1]:
            node = _child(node, step) or node
        found = _key(node, path[-1]) if key and path else None
        if found is None:
            found = (_child(node, path[-1]) if path else None) or node
        return _location(self.file, found.start_mark)


def read(file: str, raw: bytes) -> Document:
    """Read *raw*, the content of *file*. Raises `Faults` with everything that is wrong with it as YAML."""
    _refuse_hostile(file, raw)
    try:
        root = yaml.CSafeLoader(raw).get_single_node()
    except yaml.YAMLError as error:
        raise Faults([_syntax_fault(file, raw, error)]) from error
    if not isinstance(root, yaml.MappingNode):
        message = f"'{file}' holds no table of keys and values"
        where, hint = _without_space(file, raw, 1, forward=True) or (
            Location(file, 1, 1),
            "write it as 'key: value' lines",
        )
        raise Faults([InventoryError(message, where=where, hint=hint)])
    faults: list[InventoryError] = []
    plain = _table(file, root, faults, 0)
    if faults:
        raise Faults(faults)
    return Document(file, raw, plain)


def without_nulls(table: Plain) -> Plain:
    """Return *table* without the keys that say nothing, in the tables inside too."""
    return {key: _without_nulls(value) for key, value in table.items() if value is not None}


def _without_nulls(value: object) -> object:
    if isinstance(value, dict):
        return without_nulls(value)
    return [_without_nulls(item) for item in value] if isinstance(value, list) else value


def _refuse_hostile(file: str, raw: bytes) -> None:
    """Refuse what no loader should be given: other encodings, huge files, deep nests, and anchors."""
    if len(raw) > _LARGEST_BYTES:
        message = f"'{file}' is larger than {_LARGEST_BYTES} bytes"
        raise Faults([InventoryError(message, where=Location(file, 1, 1))])
    try:
        raw.decode()
    except UnicodeDecodeError as error:
        where = _byte_location(file, raw, error.start)
        raise Faults([InventoryError(f"'{file}' is not UTF-8", where=where, hint="save it as UTF-8")]) from error
    conflicts = [InventoryError(_CONFLICT, where=where, hint=_RESOLVE) for where in _conflicts(file, raw)]
    if conflicts:
        raise Faults(conflicts)
    if len(raw) > _SMALL_BYTES or b"&" in raw or b"*" in raw:
        faults = list(_hostile_events(file, raw))
        if faults:
            raise Faults(faults)


def _conflicts(file: str, raw: bytes) -> Iterator[Location]:
    """Yield the lines that git left in a file which two sides changed; YAML may read them as part of a text."""
    if _MARKER.search(raw) is None:
        return
    for number, line in enumerate(raw.split(b"\n"), 1):
        if _MARKER.match(line) or line.rstrip() == _MIDDLE:
            yield Location(file, number, 1)


def _without_space(file: str, raw: bytes, line: int, *, forward: bool = False) -> tuple[Location, str] | None:
    """Return where a `key:value` stands that lacks its space, and what helps; null where none is near *line*.

    YAML takes it for a text, which goes on in the next line, so it stands there or above (*forward*: anywhere below).
    """
    lines = raw.decode(errors="replace").split("\n")
    numbers = range(line, len(lines) + 1) if forward else range(line, 0, -1)
    for number in numbers:
        text = lines[number - 1] if number <= len(lines) else ""
        found = _NO_SPACE.match(text)
        if found is not None:
            hint = f"a space belongs after ':', as in '{found['key']}: {found['value'].strip()[:_SHOWN]}'"
            return Location(file, number, found.start("key") + 1), hint
        if number != line and text.strip() and not text.lstrip().startswith("#"):
            return None
    return None


def _hostile_events(file: str, raw: bytes) -> Iterator[InventoryError]:
    depth = 0
    try:
        for event in yaml.parse(raw, Loader=yaml.CSafeLoader):
            anchor, mark = getattr(event, "anchor", None), event.start_mark
            depth += isinstance(event, yaml.CollectionStartEvent) - isinstance(event, yaml.CollectionEndEvent)
            if anchor is not None and mark is not None:
                hint = "write the value out; a text that begins with & or * needs quotes"
                yield InventoryError(
                    f"anchor or alias {anchor!r} in the inventory", where=_location(file, mark), hint=hint
                )
            if depth > _DEEPEST and mark is not None:
                yield _too_deep(file, mark)
                return
    except yaml.YAMLError as error:
        yield _syntax_fault(file, raw, error)


def _plain(file: str, node: Node, faults: list[InventoryError], depth: int) -> object:
    if isinstance(node, yaml.ScalarNode):
        tag = node.tag
        if tag == "tag:yaml.org,2002:str":
            return node.value
        convert = _SCALARS.get(tag)
        if convert is not None:
            return convert(node.value)
    elif depth > _DEEPEST:
        faults.append(_too_deep(file, node.start_mark))
        return None
    elif node.tag == "tag:yaml.org,2002:map":
        return _table(file, node, faults, depth + 1)
    elif node.tag == "tag:yaml.org,2002:seq":
        return [_plain(file, item, faults, depth + 1) for item in node.value]
    faults.append(
        InventoryError(
            f"tag {node.tag.removeprefix(_TAG)!r} in the inventory",
            where=_location(file, node.start_mark),
            hint="leave the tag away",
        )
    )
    return None


def _table(file: str, node: Node, faults: list[InventoryError], depth: int) -> Plain:
    plain: Plain = {}
    for key, value in node.value:
        if not isinstance(key, yaml.ScalarNode):
            faults.append(InventoryError("a key that is not text", where=_location(file, key.start_mark)))
        elif key.tag == f"{_TAG}merge":
            hint = "write the keys of the other table out here"
            where = _location(file, key.start_mark)
            faults.append(InventoryError(f"merge key {key.value!r} in the inventory", where=where, hint=hint))
        elif key.value in plain:
            faults.append(
                InventoryError(
                    f"key {key.value!r} is there twice",
                    where=_location(file, key.start_mark),
                    hint=f"the first one is in line {_first_line(node, key.value)}; keep one",
                )
            )
        else:
            plain[key.value] = _plain(file, value, faults, depth)
    return plain


def _first_line(node: Node, name: str) -> int:
    return next(int(key.start_mark.line) + 1 for key, _ in node.value if key.value == name)


def _too_deep(file: str, mark: _Mark) -> InventoryError:
    return InventoryError(f"values nested more than {_DEEPEST} deep", where=_location(file, mark))


# Nothing that is counted here is longer, and Python refuses to read thousands of digits.
_MOST_DIGITS = 18


def _integer(text: str) -> int | str:
    return int(text) if len(text) <= _MOST_DIGITS and _DECIMAL.match(text) else text


def _float(text: str) -> float | str:
    return float(text) if _FLOAT.match(text) else text


_SCALARS: dict[str, Callable[[str], object]] = {
    f"{_TAG}null": lambda _: None,
    f"{_TAG}bool": lambda text: _BOOLEANS.get(text, text),
    f"{_TAG}int": _integer,
    f"{_TAG}float": _float,
    f"{_TAG}timestamp": str,
    f"{_TAG}value": str,
    f"{_TAG}merge": str,
}


def _child(node: Node, step: str | int) -> Node | None:
    if isinstance(node, yaml.MappingNode):
        return next((value for key, value in node.value if key.value == str(step)), None)
    if isinstance(node, yaml.SequenceNode) and isinstance(step, int) and step < len(node.value):
        child: Node = node.value[step]
        return child
    return None


def _key(node: Node, step: str | int) -> Node | None:
    pairs = node.value if isinstance(node, yaml.MappingNode) else []
    return next((key for key, _ in pairs if key.value == str(step)), None)


def _location(file: str, mark: _Mark) -> Location:
    return Location(file, mark.line + 1, mark.column + 1)


def _byte_location(file: str, raw: bytes, offset: int) -> Location:
    before = raw[:offset].decode(errors="replace")
    return Location(file, before.count("\n") + 1, len(before) - (before.rfind("\n") + 1) + 1)


def _syntax_fault(file: str, raw: bytes, error: yaml.YAMLError) -> InventoryError:
    """Say what libyaml could not read, in its words, at the place it means."""
    if isinstance(error, yaml.MarkedYAMLError) and error.problem_mark is not None:
        if error.problem == _LIBYAML_TOO_DEEP:
            return _too_deep(file, error.problem_mark)
        where = _location(file, error.problem_mark)
        lines = raw.decode(errors="replace").split("\n")
        line = lines[where.line - 1] if where.line <= len(lines) else ""
        hint = "indent with spaces, never tabs" if "\t" in line[: where.column] else None
        if hint is None:
            where, hint = _without_space(file, raw, where.line) or (where, None)
        return InventoryError(f"not YAML: {error.problem or error.context}", where=where, hint=hint)
    position = getattr(error, "position", None)
    offset = position if isinstance(position, int) else 0
    return InventoryError("not YAML: control characters", where=_byte_location(file, raw, offset))


@dataclass(frozen=True, slots=True)
class Complaint:
    """*path* leads to the value in *file*; *at_key* when the key itself is what is wrong."""

    file: str
    path: KeyPath
    what: str
    hint: str | None = None
    at_key: bool = False

    def located(self, documents: Mapping[str, Document]) -> InventoryError:
        """Return the error with its place; line 1 of a file that could not be read."""
        document = documents.get(self.file)
        where = Location(self.file, 1, 1) if document is None else document.place(self.path, key=self.at_key)
        return InventoryError(self.what, where=where, hint=self.hint)


def unreadable(file: str, path: KeyPath, value: Any, reader: Callable[[Any], object]) -> Iterator[Complaint]:  # noqa: ANN401
    """Yield the complaint that *reader* refuses *value*; none for null.

    It does so with a ValueError that says why, and whose note, if it has one, says what helps.
    """
    if value is None:
        return
    try:
        reader(value)
    except ValueError as error:
        key = next(step for step in reversed(path) if isinstance(step, str))
        hint = next(iter(getattr(error, "__notes__", ())), None)
        yield Complaint(file, path, f"'{key}' cannot be {value!r}: {error}", hint)
