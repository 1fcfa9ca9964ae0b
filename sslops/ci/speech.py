r"""How a job speaks so that its forge shows it to people: annotations, folded sections, and what must not be obeyed.

Runners of Actions read commands out of a job's log (`::add-mask::...`). Names, DNS answers and what peers say end up in
that log, so a line of theirs that looks like a command is written so that no runner takes it for one.

>>> from sslops.errors import InventoryError, Location
>>> fault = InventoryError("no CA 'le'", where=Location("inventory/cas.yaml", 3, 5), hint="add it")
>>> print(annotation(Forge.GITHUB, fault))
::error title=sslops,file=inventory/cas.yaml,line=3,col=5::no CA 'le'%0Ahint: add it
>>> print(defused(Forge.GITHUB, "it said\n::stop-commands::x"))
it said
\::stop-commands::x
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

from sslops.model.forges import Forge

if TYPE_CHECKING:
    from datetime import datetime

    from sslops.errors import SslopsError


SUMMARY_BYTES = 1_000_000
"""What a step's summary holds; GitHub drops one of more than 1,024 KiB as a whole."""
MOST_ANNOTATIONS = 10
"""GitHub shows ten errors of a step, and takes the others silently away."""

_ACTIONS = frozenset(Forge) - {Forge.GITLAB}
_COMMAND = re.compile(r"^(\s*)(?=::)", re.MULTILINE)
_OLD_COMMAND = "##["
"""GitHub's runner looks for this one anywhere in a line (`ActionCommand.TryParse`), for `::` at its beginning only."""
_CUT = "\n\nThis was cut: it is longer than a page of this forge takes. The log of the job has the rest.\n"


def defused(forge: Forge | None, text: str) -> str:
    """Return *text* with everything that a runner of *forge* would obey marked as plain text; JSON stays JSON."""
    if forge not in _ACTIONS:
        return text
    parted = text.replace(_OLD_COMMAND, "## [")
    return _COMMAND.sub(r"\1\\", parted) if "::" in parted else parted


def annotation(forge: Forge | None, fault: SslopsError) -> str | None:
    """Return the line that shows *fault* at its place in the changes of a merge request; null where there is none."""
    if forge is None or not forge.row.shows_annotations:
        return None
    properties = {"title": "sslops"}
    if fault.where is not None:
        properties |= {"file": fault.where.file, "line": str(fault.where.line), "col": str(fault.where.column)}
    told = ",".join(f"{name}={_property(value)}" for name, value in properties.items())
    text = fault.what if fault.hint is None else f"{fault.what}\nhint: {fault.hint}"
    return f"::error {told}::{_text(text)}"


def section_start(forge: Forge | None, name: str, title: str, now: datetime) -> str | None:
    """Return the line that begins a folded part of the log; *name* of letters, digits, dashes; null: no folding."""
    if forge is Forge.GITLAB:
        return f"\x1b[0Ksection_start:{int(now.timestamp())}:{name}[collapsed=true]\r\x1b[0K{title}"
    return f"::group::{_text(title)}" if forge in _ACTIONS else None


def section_end(forge: Forge | None, name: str, now: datetime) -> str | None:
    """Return the line that ends what `section_start` began."""
    if forge is Forge.GITLAB:
        return f"\x1b[0Ksection_end:{int(now.timestamp())}:{name}\r\x1b[0K"
    return "::endgroup::" if forge in _ACTIONS else None


def fitting(markdown: str, room_bytes: int) -> str:
    """Return as many whole lines of *markdown* as *room_bytes* hold, and if that is not all, a word that it was cut."""
    encoded = markdown.encode()
    if len(encoded) <= room_bytes:
        return markdown
    room = room_bytes - len(_CUT.encode())
    if room <= 0:
        return ""
    whole, _, _ = encoded[:room].rpartition(b"\n")
    return whole.decode("utf-8", "ignore") + _CUT


def _text(text: str) -> str:
    return text.replace("%", "%25").replace("\r", "%0D").replace("\n", "%0A")


def _property(text: str) -> str:
    return _text(text).replace(":", "%3A").replace(",", "%2C")
