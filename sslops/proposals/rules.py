"""What becomes of one proposal and the requests there are: opened, edited, withdrawn, left alone. Pure.

A person who closes a request unmerged declines its digest: it is not opened again for it until somebody forces that,
reopens the request, or the digest changes. What the bot closes itself declines nothing (its mark says `withdrawn`).
"""

from __future__ import annotations

import re
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

from sslops.model.cause import Cause
from sslops.model.proposal import WITHDRAWN, Merging, RequestState, marked

if TYPE_CHECKING:
    from collections.abc import Sequence

    from sslops.model.proposal import MergeAnswer, MergeRequest, Proposal


_DRAFT = re.compile(r"\s*(\[draft\]|\(draft\)|draft:|\[wip\]|wip:)\s*", re.IGNORECASE)
"""What GitLab, Forgejo and Gitea read at the start of a title as the mark of a draft; GitHub keeps it apart."""


@dataclass(frozen=True, slots=True)
class Nothing:
    """Nothing is proposed, and no request of this kind is open."""


@dataclass(frozen=True, slots=True)
class Open:
    """Open a request."""

    proposal: Proposal


@dataclass(frozen=True, slots=True)
class Keep:
    """The open request says it all already."""

    request: MergeRequest


@dataclass(frozen=True, slots=True)
class Edit:
    """Bring the open request up to date; *comment* tells its readers that the plan is another one, null: it is not."""

    request: MergeRequest
    proposal: Proposal
    comment: str | None = None


@dataclass(frozen=True, slots=True)
class Withdraw:
    """Nothing is left to propose: these requests are marked `withdrawn` and closed."""

    requests: tuple[MergeRequest, ...]


@dataclass(frozen=True, slots=True)
class Declined:
    """A person closed *request*, which had this very digest; other requests that are open are *stale*."""

    request: MergeRequest
    stale: tuple[MergeRequest, ...] = ()


Decision = Nothing | Open | Keep | Edit | Withdraw | Declined


@dataclass(frozen=True, slots=True)
class Proposed:
    """What stands on the forge now: the request, whether it declines the plan, whether the forge was asked to merge."""

    request: MergeRequest
    is_declined: bool = False
    answer: MergeAnswer | None = None
    """What the forge said to being asked to merge; null: a person merges it."""

    @property
    def is_merging(self) -> bool:
        """Whether the forge merged it, or does so by itself."""
        return self.answer is not None and self.answer.merging is not Merging.BLOCKED

    @property
    def is_behind(self) -> bool:
        """Whether the forge would merge it if its branch stood on the newest commit of its target."""
        return self.answer is not None and self.answer.is_behind

    @property
    def cause(self) -> Cause:
        """Whether somebody is known to be at it."""
        if self.is_declined:
            return Cause.DECLINED
        is_blocked = self.answer is not None and self.answer.merging is Merging.BLOCKED
        return Cause.NOT_MERGEABLE if is_blocked else Cause.REVIEW

    @property
    def address(self) -> str:
        """Where it is to be seen."""
        return self.request.url

    @property
    def is_merged(self) -> bool:
        """Whether the forge has merged it already."""
        return self.answer is not None and self.answer.merging is Merging.MERGED

    @property
    def why(self) -> str:
        """What is waited for, in words, with the address of the request."""
        url = self.request.url
        if self.is_declined:
            return f"declined: {url} was closed; --force opens it again"
        if self.request.is_draft:
            return f"{url} is a draft; mark it as ready, and it is merged as others are"
        if self.answer is None:
            return f"{url} waits for a person to merge it"
        if self.answer.merging is Merging.BLOCKED:
            return f"the forge does not merge {url}: {self.answer.why}"
        waits = f": {self.answer.why}" if self.answer.why else ""
        return f"{url} is to be merged by the forge, which did not do so yet{waits}"


@dataclass(frozen=True, slots=True)
class Asked:
    """What was asked of the project *place* by a push of *branch*, where nobody may ask what became of it."""

    place: str
    branch: str
    is_merging: bool = False
    """Whether the forge was asked to merge it; else a person does."""
    is_behind: bool = False
    """Nobody can tell."""
    is_declined: bool = False

    @property
    def cause(self) -> Cause:
        """Whether somebody is known to be at it; who may not ask the forge believes so."""
        return Cause.DECLINED if self.is_declined else Cause.REVIEW

    is_merged: bool = False
    """Nobody can tell."""

    @property
    def address(self) -> str:
        """Where it is to be seen."""
        return self.place

    @property
    def why(self) -> str:
        """What is waited for, in words."""
        wish = "a merge request that the forge merges" if self.is_merging else "a merge request"
        unknown = "the token may only push, so whether it is open, declined or scheduled is to be seen there"
        return f"{self.place} was asked for {wish} by the push of '{self.branch}'; {unknown}; --force asks again"


def decide(proposal: Proposal | None, requests: Sequence[MergeRequest], *, force: bool = False) -> Decision:
    """Return what to do about *proposal* (null: nothing is left to propose); *requests* are newest first."""
    still_open = tuple(each for each in requests if each.state is RequestState.OPEN)
    if proposal is None:
        return Withdraw(still_open) if still_open else Nothing()
    refusal = None if force else declined(proposal.digest, requests)
    if refusal is not None:
        return Declined(refusal, still_open)
    if not still_open:
        return Open(proposal)
    request = still_open[0]
    wanted = replace(proposal, title=as_draft(proposal.title, request))
    if (request.title, normal(request.body)) == (wanted.title, normal(wanted.body)):
        return Keep(request)
    return Edit(request, wanted, changed(request.digest, wanted.digest))


def as_draft(title: str, request: MergeRequest) -> str:
    """Return *title* with the mark of a draft that a person put before the title of *request*, if there is one."""
    found = _DRAFT.match(request.title) if request.is_draft else None
    return title if found is None else f"{found[0]}{title}"


def declined(digest: str, requests: Sequence[MergeRequest]) -> MergeRequest | None:
    """Return the request by whose closing a person declined *digest*; null when nobody did.

    The newest with that digest counts: one that was reopened, or opened again by force and merged, takes it back.
    """
    newest = next((each for each in requests if each.digest == digest), None)
    return newest if newest is not None and newest.state is RequestState.CLOSED else None


def withdrawn(request: MergeRequest) -> str | None:
    """Return the body of a request that the bot is about to close itself; null when it has that already."""
    body = marked(request.body, WITHDRAWN)
    return None if body == request.body else body


def changed(before: str | None, now: str) -> str | None:
    """Return the comment about a plan that changed; null when it is the same one.

    >>> changed("sha256:" + "a" * 64, "sha256:" + "b" * 64)
    'The plan changed: `aaaaaaaaaaaa` -> `bbbbbbbbbbbb`. The description above says what it is now.'
    """
    if before == now:
        return None
    was = "" if before is None else f": `{_short(before)}` -> `{_short(now)}`"
    return f"The plan changed{was}. The description above says what it is now."


def normal(text: str) -> str:
    r"""Return *text* as forges keep it apart from line ends and the space around it.

    >>> normal("a\r\nb \n") == normal("a\nb")
    True
    """
    return "\n".join(line.rstrip() for line in text.splitlines()).strip()


def _short(digest: str) -> str:
    return digest.partition(":")[2][:12]
