"""Commit messages: a subject that says what, a sentence that says why, trailers that programs read.

>>> print(message("roll", "example.com/mail-ec", "20261125T021705Z-77aa", "It was seen everywhere.", {}), end="")
roll(example.com/mail-ec): 20261125T021705Z-77aa
<BLANKLINE>
It was seen everywhere.
<BLANKLINE>
Sslops-Action: roll
"""

from __future__ import annotations

import textwrap
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Mapping

    from sslops.model.change import AccountChange, Change, Note

BODY_WIDTH = 72
ACTION = "Sslops-Action"
SERVICE = "Sslops-Service"
GENERATION = "Sslops-Generation"
PLAN = "Sslops-Plan"
RUN = "Sslops-Run"


def change_message(change: Change, run: str | None) -> str:
    """Return the message of the commit that makes *change*; *run* names the run (a URL in CI)."""
    trailers = {
        SERVICE: str(change.service),
        GENERATION: change.generation,
        PLAN: change.plan,
        RUN: run,
    }
    return message(change.action, str(change.service), change.title, change.why, trailers)


def account_message(change: AccountChange, run: str | None) -> str:
    """Return the message of the commit that stores an account."""
    return message("account", change.account, change.title, change.why, {RUN: run})


def note_message(note: Note, run: str | None) -> str:
    """Return the message of a commit on `ledger`."""
    return message(note.action, None, note.title, note.why, {**note.trailers, RUN: run})


def message(action: str, about: str | None, title: str, why: str, trailers: Mapping[str, str | None]) -> str:
    """Return subject, wrapped body and trailers; a trailer that is null is left out.

    Titles, reasons and values may quote a peer: they become one line each, so that none can pose as a trailer.
    """
    subject = f"{action}({about})" if about else action
    body = textwrap.wrap(one_line(why), BODY_WIDTH, break_long_words=False, break_on_hyphens=False)
    closing = {ACTION: action, **trailers}
    lines = [f"{key}: {one_line(value)}" for key, value in closing.items() if value]
    return "\n".join([f"{subject}: {one_line(title)}", "", *([*body, ""] if body else []), *lines, ""])


def one_line(text: str) -> str:
    """Return *text* without line breaks and control characters."""
    return " ".join("".join(char if char.isprintable() else " " for char in text).split())
