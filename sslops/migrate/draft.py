"""What an import comes to: the inventory with its comments, the versions found, and a line for what was left out.

A reader of one tool's tree fills a `Draft`. No key of the old tool may get lost on the way: a table is read through
`Keys`, which tells every key that nobody took.
"""

from __future__ import annotations

import json
import re
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from sslops.errors import InventoryError, Location

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping
    from datetime import datetime
    from pathlib import Path

    from sslops.model.names import ServiceId
    from sslops.model.secret import Secret

SETTINGS = "inventory/sslops.yaml"
CAS = "inventory/cas.yaml"
DNS_URL = "git@git.example.com:infra/dns.git"
"""Stands in the inventory until somebody says where the zone files are."""

Plain = dict[str, Any]
KeyPath = tuple[str | int, ...]


@dataclass(frozen=True, slots=True)
class Remark:
    """One key or file of the old tree, and what became of it. *is_open*: a person has to act."""

    source: str
    what: str
    is_open: bool = False

    def __str__(self) -> str:
        """Return the line that a person reads."""
        return f"{self.source}: {self.what}"


@dataclass(frozen=True, slots=True)
class OldVersion:
    """One version of a service in the old tree: where it was, in which slot, its files, and when it was written."""

    service: ServiceId
    slot: str
    where: str
    key: Secret
    cert: bytes
    chain: bytes
    written_at: datetime


@dataclass(slots=True)
class Draft:
    """What an import has come to so far: tables by file of the inventory, comments by place, versions, remarks."""

    tool: str
    files: dict[str, Plain] = field(default_factory=dict)
    comments: dict[tuple[str, KeyPath], list[str]] = field(default_factory=dict)
    versions: list[OldVersion] = field(default_factory=list)
    remarks: list[Remark] = field(default_factory=list)

    @property
    def settings(self) -> Plain:
        """The table of `sslops.yaml`."""
        return self.files.setdefault(SETTINGS, {})

    def tell(self, source: str, what: str, *at: str | int, file: str = "", is_open: bool = False) -> None:
        """Print a line about *source*; with a *file* it is a comment there too, before the key at path *at*."""
        self.remarks.append(Remark(one_line(source), one_line(what), is_open))
        if file:
            self.comments.setdefault((file, at), []).append(one_line(f"{source}: {what}"))

    def inventory_files(self) -> Mapping[str, bytes]:
        """Return the files of the inventory by path."""
        return {file: self._text(file).encode() for file in sorted(self.files)}

    def _text(self, file: str) -> str:
        kind = {SETTINGS: ".schema/sslops.json", CAS: ".schema/cas.json"}.get(file, "../.schema/service.json")
        head = [f"# yaml-language-server: $schema={kind}", "#", f"# Imported from {self.tool}."]
        notes = {at: lines for (of, at), lines in self.comments.items() if of == file}
        head += [f"# {line}" for line in notes.pop((), [])]
        return "\n".join([*head, *_block(self.files[file], (), notes), ""])


def service_file(service: ServiceId) -> str:
    """Return the inventory's file of *service*."""
    return f"inventory/{service}.yaml"


def one_line(text: str) -> str:
    """Return *text* without line breaks and control characters."""
    return " ".join("".join(char if char.isprintable() else " " for char in text).split())


class Keys:
    """One table of the old configuration; each key is taken once, and `rest` tells those that nobody took."""

    def __init__(self, table: object, where: str, draft: Draft) -> None:
        """Read *table*, which messages call *where*; something else than a table is reported and counts as empty."""
        self.where, self._draft = where, draft
        self._empty: list[str] = []
        self._table: Plain = dict(table) if isinstance(table, dict) else {}
        if table is not None and not isinstance(table, dict):
            self.leave_out("", f"left out: not a table but {json.dumps(table, default=str)}")

    def __contains__(self, key: str) -> bool:
        """Whether *key* is there and was not taken yet."""
        return key in self._table

    def take(self, key: str, *kinds: type) -> Any:  # noqa: ANN401  (a value of one of the kinds)
        """Return the value of *key* if it is of one of *kinds*; null, and a line when it is another, without one."""
        value = self._table.pop(key, None)
        if value in ("", [], {}):
            self._empty.append(key)
        if value is None or type(value) in kinds:
            return value
        self.leave_out(key, f"left out: {json.dumps(value, default=str)} is of the wrong type")
        return None

    def text(self, key: str) -> str | None:
        """Return the text of *key*; null when it is empty or not there."""
        text = self.take(key, str)
        return text.strip() or None if text is not None else None

    def leave_out(self, key: str, what: str, *, file: str = "", is_open: bool = False) -> None:
        """Tell what became of *key*, and take it."""
        self._table.pop(key, None)
        self._draft.tell(f"{self.where} {key}".strip(), what, file=file, is_open=is_open)

    def leave_out_if(self, key: str, what: str) -> None:
        """Tell what became of *key* if it is there."""
        if key in self:
            self.leave_out(key, what)

    @property
    def untaken(self) -> tuple[str, ...]:
        """The keys that nobody took yet."""
        return tuple(self._table)

    def rest(self, why: str, file: str = "") -> None:
        """Tell each key that is left, and the empty ones."""
        if self._empty:
            self._draft.tell(f"{self.where} {', '.join(self._empty)}", "left out: empty")
            self._empty = []
        for key in list(self._table):
            self.leave_out(key, why, file=file)


def read_bytes(path: Path) -> bytes | None:
    """Return the content of a file of the old tree; null when there is none. InventoryError when it may not be read."""
    try:
        return path.read_bytes()
    except (FileNotFoundError, NotADirectoryError, IsADirectoryError, ValueError):
        return None  # a name with a null byte is one of nothing
    except OSError as error:
        message = f"'{path}' cannot be read: {error.strerror}"
        raise InventoryError(message, where=Location(str(path), 1, 1), hint="run as its owner, or copy it") from error


@contextmanager
def names_of_files(folder: Path) -> Iterator[None]:
    """Turn what the system says of a name that can be none of a file into InventoryError: the tree names it so."""
    try:
        yield
    except OSError as error:
        message = f"'{folder}' names a file that cannot be looked at: {error.strerror}"
        hint = f"shorten or remove {str(error.filename)[:120]!a}" if error.filename else None
        raise InventoryError(message, hint=hint) from error


# A key that is plain in YAML without quotes; everything else is quoted as JSON, which YAML reads alike.
_BARE = re.compile(r"[A-Za-z/*][A-Za-z0-9_./@ -]*[A-Za-z0-9_/-]|[A-Za-z]")
_WORDS = frozenset({"true", "false", "null", "yes", "no", "on", "off", "y", "n", "~"})


def _scalar(value: object) -> str:
    if isinstance(value, str):
        is_bare = _BARE.fullmatch(value) and value.lower() not in _WORDS and not value.startswith("*")
        return value if is_bare else json.dumps(value, ensure_ascii=False)
    return json.dumps(value)


def _flow(value: object) -> str:
    if isinstance(value, dict):
        return "{" + ", ".join(f"{_scalar(key)}: {_flow(each)}" for key, each in value.items()) + "}"
    if isinstance(value, list | tuple):
        return "[" + ", ".join(map(_flow, value)) + "]"
    return _scalar(value)


_LONGEST_FLOW = 100


def _block(table: Plain, path: KeyPath, notes: Mapping[KeyPath, list[str]]) -> Iterator[str]:
    """Yield the lines of a table, each key below its comments; what is short and has none inside stands in one line."""
    indent = "  " * len(path)
    for key, value in table.items():
        here = (*path, key)
        is_large = isinstance(value, dict) or (isinstance(value, list) and value and isinstance(value[0], dict))
        if not path and (is_large or key == next(iter(table))):
            yield ""
        yield from (f"{indent}# {line}" for line in notes.get(here, ()))
        has_notes = any(at[: len(here)] == here and at != here for at in notes)
        flow = f"{indent}{_scalar(key)}: {_flow(value)}"
        if isinstance(value, dict) and value and (not path or has_notes or len(flow) > _LONGEST_FLOW):
            yield f"{indent}{_scalar(key)}:"
            yield from _block(value, here, notes)
        elif isinstance(value, list) and value and (isinstance(value[0], dict) or len(flow) > _LONGEST_FLOW):
            yield f"{indent}{_scalar(key)}:"
            for place, each in enumerate(value):
                yield from (f"{indent}  # {line}" for line in notes.get((*here, place), ()))
                yield f"{indent}  - {_flow(each)}"
        else:
            yield flow
