"""A fault of the inventory before its line is known: which file, which value in it, what is wrong and what helps."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from sslops.errors import InventoryError, Location

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping

    from sslops.inventory.document import Document, Path


@dataclass(frozen=True, slots=True)
class Complaint:
    """*path* leads to the value in *file*; *at_key* when the key itself is what is wrong."""

    file: str
    path: Path
    what: str
    hint: str | None = None
    at_key: bool = False

    def located(self, documents: Mapping[str, Document]) -> InventoryError:
        """Return the error with its place; line 1 of a file that could not be read."""
        document = documents.get(self.file)
        where = Location(self.file, 1, 1) if document is None else document.place(self.path, key=self.at_key)
        return InventoryError(self.what, where=where, hint=self.hint)


def unreadable(file: str, path: Path, value: Any, reader: Callable[[Any], object]) -> Iterator[Complaint]:  # noqa: ANN401
    """Yield the complaint that *reader* refuses *value* (with a ValueError that says why); none for null."""
    if value is None:
        return
    try:
        reader(value)
    except ValueError as error:
        key = next(step for step in reversed(path) if isinstance(step, str))
        yield Complaint(file, path, f"'{key}' cannot be {value!r}: {error}")
