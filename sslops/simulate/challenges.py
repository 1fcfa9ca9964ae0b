"""The challenge files of the DNS repository: what `renew` does there, beside the TLSA records of everybody.

They lie in the same base, so each of their commits moves what `publish` leases on.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from sslops.errors import Moved

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

    from sslops.model.observations import WildcardAnswer
    from sslops.model.plan import Hazard
    from sslops.simulate.dns import Dns

    Files = Mapping[str, bytes]


@dataclass(frozen=True, slots=True)
class ChallengeHead:
    """Where `sslops/acme` points; *start* is what the base had where it left, null once that has it."""

    commit: str
    files: Files
    start: Files | None


@dataclass(slots=True)
class Challenges:
    """The files in the base, and the branch that they are proposed on."""

    dns: Dns
    files: Files = field(default_factory=dict)
    head: ChallengeHead | None = None
    heads_made: int = 0

    def move(self, files: Files, start: Files | None) -> None:
        """Move the branch to a commit that nobody saw before."""
        self.heads_made += 1
        self.head = ChallengeHead(f"a{self.heads_made}", files, start)

    def commit(self, files: Files) -> None:
        """Let the base have *files*."""
        self.files = {**self.files, **files}
        self.dns.commit({})

    def merge(self) -> bool:
        """Merge what the branch brings; false when that is nothing, or when git finds a conflict."""
        if self.head is None or self.head.start is None:
            return False
        changed = changes(self.head)
        if not changed or any(self.files.get(apex, b"") != self.head.start.get(apex, b"") for apex in changed):
            return False
        self.commit(changed)
        self.head = ChallengeHead(self.head.commit, self.head.files, None)
        return True


@dataclass(slots=True)
class ChallengeClone:
    """The challenge files as one run fetched them; every push compares with what is there by then."""

    of: Challenges
    base: str = field(init=False)
    files: Files = field(init=False)
    fetched: ChallengeHead | None = field(init=False)

    def __post_init__(self) -> None:
        """Fetch."""
        self.refresh()

    def refresh(self) -> None:
        """Fetch again."""
        self.base, self.files, self.fetched = self.of.dns.bases[-1], self.of.files, self.of.head

    @property
    def head(self) -> str | None:
        """The commit of the branch as fetched."""
        return None if self.fetched is None else self.fetched.commit

    def require_own_hands(self) -> None:
        """Find nobody else's commits."""

    def read(self, apexes: Iterable[str]) -> dict[str, bytes]:
        """Return the file of each apex as fetched."""
        return {apex: self.files.get(apex, b"") for apex in sorted(apexes)}

    def write(self, files: Files, _what: str) -> None:
        """Move base and branch to *files* at once; Moved when either is another one by now."""
        if self.base != self.of.dns.bases[-1]:
            message = "the DNS base moved"
            raise Moved(message)
        self._expect()
        self.of.commit(files)
        self.of.move(self.of.files, None)
        self.refresh()

    def brings(self, files: Files) -> bool:
        """Whether a merge of the branch makes the base have just this, and nothing else."""
        return self.fetched is not None and self.fetched.start is not None and changes(self.fetched) == files

    def is_open(self, apexes: Iterable[str]) -> bool:
        """Whether a merge of the branch would change a file of *apexes*."""
        return self.fetched is not None and bool(changes(self.fetched).keys() & set(apexes))

    def propose(self, files: Files, _what: str) -> None:
        """Move the branch to *files*; Moved when it is another one by now."""
        self._expect()
        self.of.move({**self.files, **files}, self.files)
        self.fetched = self.of.head

    def empty(self) -> None:
        """Let the branch bring nothing; Moved when it is another one by now."""
        self.propose({}, "")

    def _expect(self) -> None:
        if self.head != (None if self.of.head is None else self.of.head.commit):
            message = "the branch of challenges moved"
            raise Moved(message)


@dataclass(frozen=True, slots=True)
class ChallengeLook:
    """Name servers that show every challenge at once, and know of no wildcard."""

    apexes: tuple[str, ...]
    hazards: tuple[Hazard, ...] = ()

    def zone_of(self, owner: str) -> str | None:
        """Return the apex that *owner* lies in."""
        return next((apex for apex in self.apexes if owner.endswith(f".{apex}.")), None)

    def targets(self, owners: Iterable[str]) -> dict[str, str]:
        """Return each owner itself: no name is an alias."""
        return {owner: owner for owner in owners}

    def ending(self, owners: Iterable[str]) -> dict[str, tuple[WildcardAnswer, ...]]:
        """Find nothing that would end."""
        return dict.fromkeys(owners, ())

    def missing(self, _records: Iterable[tuple[str, str]]) -> dict[tuple[str, str], str]:
        """Miss nothing."""
        return {}


def changes(head: ChallengeHead) -> dict[str, bytes]:
    """Return what a merge of a branch would change."""
    start = head.start
    if start is None:
        return {}
    return {apex: content for apex, content in head.files.items() if content != start.get(apex, b"")}
