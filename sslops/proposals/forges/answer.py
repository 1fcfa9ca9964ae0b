"""What a forge's answer says, and what it means that something was left out: decided here, for all clients.

Go servers write `null` for an empty list, and any server may leave a field out that its published schema does not
promise. So an absent list is empty, an absent text is empty, an absent flag is off. What identifies a thing (its
number, its state, its branches) has to be there.

>>> listed(None), text({"body": None}, "body"), flag({}, "draft")
([], '', False)
"""

from __future__ import annotations

from typing import Any

from sslops.errors import ForgeError

_HINT = "is 'forge' the right kind, and 'forge_url' the right address?"


def listed(found: object) -> list[dict[str, Any]]:
    """Return the tables of a list; null, and whatever in it is no table, count as absent. ForgeError for another."""
    if found is None:
        return []
    if not isinstance(found, list):
        raise ForgeError("the forge's answer is no list", hint=_HINT)
    return [each for each in found if isinstance(each, dict)]


def table(found: object, *names: str) -> dict[str, Any]:
    """Return the table at *names*; empty when it, or one above it, is absent."""
    for name in names:
        found = found.get(name) if isinstance(found, dict) else None
    return found if isinstance(found, dict) else {}


def document(found: object) -> dict[str, Any]:
    """Return an answer that has to be a table; ForgeError when it is none."""
    if not isinstance(found, dict):
        raise ForgeError("the forge's answer is no table", hint=_HINT)
    return found


def text(facts: object, *names: str) -> str:
    """Return the text at *names*; empty when it is absent."""
    *above, last = names
    found = table(facts, *above).get(last)
    return found if isinstance(found, str) else ""


def flag(facts: object, name: str) -> bool:
    """Return whether *name* is on; absent, it is off."""
    return table(facts).get(name) is True


def required(facts: object, *names: str) -> str:
    """Return the text at *names*; ForgeError when there is none."""
    found = text(facts, *names)
    if not found:
        raise ForgeError(f"the forge's answer has no '{'.'.join(names)}'", hint=_HINT)
    return found


def number(facts: object, *names: str) -> int:
    """Return the number at *names*; ForgeError when there is none."""
    *above, last = names
    found = table(facts, *above).get(last)
    if not isinstance(found, int) or isinstance(found, bool):
        raise ForgeError(f"the forge's answer has no '{'.'.join(names)}'", hint=_HINT)
    return found


def prose(facts: object, name: str) -> str:
    """Return a text that people wrote, with line feeds only: forges change line ends, and cut space at the end."""
    return unified(text(facts, name))


def same_prose(one: str | None, other: str | None) -> bool:
    """Whether two texts are the same to a reader."""
    return unified(one) == unified(other)


def unified(written: str | None) -> str:
    """Return *written* with line feeds only, without space around it."""
    return (written or "").replace("\r\n", "\n").replace("\r", "\n").strip()
