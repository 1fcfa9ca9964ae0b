r"""A machine-written file as typed values: each getter says what must be there, each fault says where it is not.

>>> Record.read(b'failures: "2"\n', "slots.yaml", known=frozenset({"failures"})).count("failures")
2
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, NoReturn, TypeVar

from sslops.errors import Location, StateError
from sslops.model.names import parse_time
from sslops.repo.plain_yaml import line_of, read

if TYPE_CHECKING:
    from collections.abc import Callable, Collection, Mapping
    from datetime import datetime

    from sslops.repo.plain_yaml import Value


Parsed = TypeVar("Parsed")


@dataclass(frozen=True, slots=True)
class Record:
    """The values of one map in *file*; *content* is the whole file, for the line of a fault."""

    values: Mapping[str, Value]
    file: str
    content: bytes = field(repr=False)
    anchor: str | None = None
    """The key of the map itself where it is not the file's top."""

    @classmethod
    def read(cls, content: bytes, file: str, *, known: Collection[str]) -> Record:
        """Read a file whose keys are among *known*; StateError otherwise."""
        record = cls(read(content, file), file, content)
        record.check_keys(known)
        return record

    def check_keys(self, known: Collection[str]) -> None:
        """Refuse keys that are not among *known*."""
        for key in self.values:
            if key not in known:
                self.fail(key, f"unknown key '{key}'")

    def has(self, key: str) -> bool:
        """Whether *key* is there and not null."""
        return self.values.get(key) is not None

    def text(self, key: str) -> str:
        """Return a string that must be there."""
        value = self.values.get(key)
        if not isinstance(value, str):
            self.fail(key, f"'{key}' must be a string")
        return value

    def text_or_null(self, key: str) -> str | None:
        """Return a string or null."""
        return None if self.values.get(key) is None else self.text(key)

    def moment(self, key: str) -> datetime:
        """Return a time that must be there."""
        return self._as(key, parse_time, "a time like 2026-11-24T14:30:00Z")

    def moment_or_null(self, key: str) -> datetime | None:
        """Return a time or null."""
        return None if self.values.get(key) is None else self.moment(key)

    def count(self, key: str, default: int | None = None) -> int:
        """Return a number from 0 up, which the file keeps as a string; *default* when the key is null or missing."""
        if default is not None and self.values.get(key) is None:
            return default
        return self._as(key, _count, "a number from 0 up")

    def texts(self, key: str) -> tuple[str, ...]:
        """Return a list of strings; a missing one is empty."""
        value = self.values.get(key)
        if value is None:
            return ()
        if isinstance(value, str | dict) or not all(isinstance(entry, str) for entry in value):
            self.fail(key, f"'{key}' must be a list of strings")
        return tuple(map(str, value))

    def texts_or_nulls(self, key: str) -> tuple[str | None, ...]:
        """Return a list of strings and nulls that must be there."""
        value = self.values.get(key)
        if not isinstance(value, list) or not all(entry is None or isinstance(entry, str) for entry in value):
            self.fail(key, f"'{key}' must be a list of strings and nulls")
        return tuple(None if entry is None else str(entry) for entry in value)

    def inner(self, key: str, *, known: Collection[str]) -> Record:
        """Return the map under *key*, whose keys are among *known*."""
        value = self.values.get(key)
        if not isinstance(value, dict):
            self.fail(key, f"'{key}' must be a map")
        inner = Record(value, self.file, self.content, key)
        inner.check_keys(known)
        return inner

    def inner_or_null(self, key: str, *, known: Collection[str]) -> Record | None:
        """Return the map under *key*, or null."""
        return self.inner(key, known=known) if self.has(key) else None

    def entries(self, key: str, *, known: Collection[str]) -> Mapping[str, Record]:
        """Return the maps that the map under *key* holds; a missing one is empty."""
        value = self.values.get(key)
        if value is None:
            return {}
        if not isinstance(value, dict):
            self.fail(key, f"'{key}' must be a map")
        outer = Record(value, self.file, self.content, key)
        return {name: outer.inner(name, known=known) for name in value}

    def fail(self, key: str, what: str) -> NoReturn:
        """Raise StateError for *key*, at its line or else at the line of the map."""
        line = line_of(self.content, key)
        if line == 1 and self.anchor is not None:
            line = line_of(self.content, self.anchor)
        raise StateError(what, where=Location(self.file, line, 1))

    def _as(self, key: str, parse: Callable[[str], Parsed], wanted: str) -> Parsed:
        text = self.text(key)
        try:
            return parse(text)
        except ValueError:
            self.fail(key, f"'{key}' must be {wanted}, not '{text}'")


def _count(text: str) -> int:
    if not (text.isascii() and text.isdigit()):
        raise ValueError(text)
    return int(text)
