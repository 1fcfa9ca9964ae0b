"""What the bot asks a forge to merge, and what a forge shows of such a request.

A request carries the digest of its plan in a comment that no reader sees; closed unmerged, it declines that digest.

>>> mark("sha256:" + "a" * 64)[:26]
'<!-- sslops-plan: sha256:a'
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from enum import StrEnum

WITHDRAWN = "withdrawn"
"""Stands in the mark of a request that the bot itself closed, so that closing it declines nothing."""

_MARK = re.compile(r"<!-- sslops-plan: (sha256:[0-9a-f]{64}|withdrawn) -->")


TLSA_TITLE = "TLSA of "
"""How the title begins of every request that proposes records: what a forge squashes keeps that, and often no more."""


CARRIED = "Sslops-Carried"
"""The trailer with a record (as `str` has it) that a commit carries along from a wildcard: it stays somebody else's."""


class Kind(StrEnum):
    """What a merge request is about; also the key of `merge:` in the inventory."""

    ACME = "acme"
    TLSA = "tlsa"
    ROLL = "roll"

    @property
    def branch(self) -> str:
        """The one branch that requests of this kind come from."""
        return f"sslops/{self}"


class RequestState(StrEnum):
    """What became of a merge request."""

    OPEN = "open"
    MERGED = "merged"
    CLOSED = "closed"
    """Closed without a merge."""


class Merging(StrEnum):
    """What a forge made of being asked to merge."""

    MERGED = "merged"
    SCHEDULED = "scheduled"
    """The forge merges by itself once its own conditions hold, or did so already in between."""
    BLOCKED = "blocked"
    """Neither: somebody has to do something about it first."""


@dataclass(frozen=True, slots=True)
class MergeAnswer:
    """What a forge made of being asked to merge; *why* it is not merged: what is waited for, or what is in the way."""

    merging: Merging
    why: str = ""
    is_behind: bool = False
    """Whether all that is in the way is that the branch does not stand on the newest commit of its target."""


@dataclass(frozen=True, slots=True)
class Text:
    """What people read: a title of one line, and a body of Markdown that ends in a mark."""

    title: str
    body: str


@dataclass(frozen=True, slots=True)
class Proposal:
    """What shall be merged from the kind's branch at commit *head* into *target*.

    *digest* names the decision behind it (a plan's), *body* is Markdown that ends in `mark(digest)`.
    """

    kind: Kind
    target: str
    head: str
    digest: str
    title: str
    body: str


@dataclass(frozen=True, slots=True)
class MergeRequest:
    """A merge request as the forge shows it; *head* is the commit its branch is at, null when the branch is gone."""

    number: int
    url: str
    state: RequestState
    source: str
    target: str
    head: str | None
    title: str
    body: str
    is_scheduled: bool = False
    """Whether the forge shows that it merges the request by itself once its own conditions hold."""
    is_our_schedule: bool = False
    """Whether it was we who asked for that, and no person."""
    is_draft: bool = False
    """Whether a person marked it as one: nobody merges it until it is ready."""

    @property
    def digest(self) -> str | None:
        """The digest in its mark; null when it has none, or was closed by the bot itself."""
        found = _MARK.findall(self.body)
        return found[-1] if found and found[-1] != WITHDRAWN else None


def mark(digest: str) -> str:
    """Return the line that carries *digest* through a forge, unseen by a reader."""
    return f"<!-- sslops-plan: {digest} -->"


def marked(body: str, digest: str) -> str:
    r"""Return *body* with every mark replaced by that of *digest*, which is added where there is none.

    >>> marked("text", "withdrawn")
    'text\n\n<!-- sslops-plan: withdrawn -->\n'
    """
    text, count = _MARK.subn(mark(digest), body)
    return text if count else f"{body.rstrip()}\n\n{mark(digest)}\n"
