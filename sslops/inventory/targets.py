"""TARGET words of the command line: `group`, `group/svc`, `group:svc1,svc2` or `group:ALL`.

A service is printed as `group/svc` everywhere, and what is printed can be typed; the colon is ssl-mgr's.
"""

from __future__ import annotations

import re
from difflib import get_close_matches
from typing import TYPE_CHECKING

from sslops.errors import UsageError
from sslops.model.names import ServiceId

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from sslops.model.inventory import Inventory


EVERY = ("ALL", "*")
"""The two words for every service of a group."""
_LISTED = 10
_SEPARATOR = re.compile("[:/]")


def parse_targets(words: Sequence[str], inventory: Inventory) -> frozenset[ServiceId] | None:
    """Return the services that *words* name; null without words, which means all active groups.

    UsageError for a group or service that the inventory does not have.
    """
    if not words:
        return None
    return frozenset(service for word in words for service in _parse(word, inventory))


def _parse(word: str, inventory: Inventory) -> Iterable[ServiceId]:
    separator = _SEPARATOR.search(word)
    group, listed = (word, EVERY[0]) if separator is None else (word[: separator.start()], word[separator.end() :])
    if group not in inventory.groups:
        raise _unknown(group, inventory.groups)
    names = [name.strip() for name in listed.split(",")]
    known = {service.name for service in inventory.services if service.group == group}
    if any(name in EVERY for name in names):
        return [ServiceId(group, name) for name in known]
    for name in names:
        if name not in known:
            raise _unknown(name, known, word[: len(word) - len(listed)])
    return [ServiceId(group, name) for name in names]


def _unknown(given: str, known: Iterable[str], prefix: str = "") -> UsageError:
    near = get_close_matches(given, list(known), n=1)
    listed = ", ".join(sorted(known)[:_LISTED])
    hint = f"did you mean '{prefix}{near[0]}'?" if near else f"there are: {listed or 'none'}"
    return UsageError(f"the inventory has no '{prefix}{given}'", hint=hint)
