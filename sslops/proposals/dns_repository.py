"""The DNS repository: its base branch, the history of our include files, and the one branch we propose on.

With `forge: none` the engine merges: the proposal and the base move in one atomic push, so that a run which slept
can do neither once somebody else moved either. With a forge only the proposal moves, under a lease.
"""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Collection
from dataclasses import dataclass, field
from functools import cached_property
from operator import itemgetter
from typing import TYPE_CHECKING

from sslops.errors import GitError, StateError
from sslops.model.observations import BaseCommit, DnsRepoSeen
from sslops.model.proposal import CARRIED, TLSA_TITLE, Kind
from sslops.model.tlsa import TlsaRecord
from sslops.proposals.branch import ProposalBranch
from sslops.proposals.include_file import parse
from sslops.repo.next_branch import ACTION

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping, Sequence
    from datetime import datetime

    from sslops.model.observations import Zone
    from sslops.repo.git import Git
    from sslops.repo.git_commits import LoggedCommit
    from sslops.repo.git_history import LineHistory
    from sslops.repo.signatures import Signers


@dataclass(frozen=True)
class OwnRecords(Collection[TlsaRecord]):
    """The records of the include files *paths* at *base* that a commit of the engine brought there; read when asked.

    Whoever added a record last says whose it is. Where *signers* count only the bot's signature does. Without them a
    commit is the engine's by committer, author or trailers, or by the title of a request that was squashed: whatever a
    forge makes of it. Unless *is_any* a record has to be the engine's in each file, and none that came from a wildcard.
    """

    git: Git
    base: str
    paths: tuple[str, ...]
    signers: Signers | None
    is_any: bool = False

    def __contains__(self, record: object) -> bool:
        """Whether a commit of the engine brought *record*."""
        return record in self._records

    def __iter__(self) -> Iterator[TlsaRecord]:
        """Iterate over them."""
        return iter(self._records)

    def __len__(self) -> int:
        """Count them."""
        return len(self._records)

    @cached_property
    def _records(self) -> frozenset[TlsaRecord]:
        # A merge brings what one of its sides added.
        steps = [one for one in self.git.past_commits([self.base], self.paths) if len(one.logged.parents) <= 1]
        hashes = {sha for one in steps for each in one.changes for sha in (each.old, each.new) if sha}
        held = {sha: _records(content, "") for sha, content in self.git.blobs(hashes).items()}
        nothing = frozenset[TlsaRecord]()
        added: dict[tuple[str, TlsaRecord], LoggedCommit] = {}
        carried: set[tuple[str, TlsaRecord]] = set()
        for one in steps:
            for each in one.changes:
                old, new = held[each.old] if each.old else nothing, held[each.new] if each.new else nothing
                brought = {(each.path, record) for record in new - old}
                added |= dict.fromkeys(brought, one.logged)
                carried -= brought
                carried |= {(each.path, record) for record in _carried(one.logged, old, new)}
        present = {
            (path, record)
            for path, content in zip(self.paths, self._contents(), strict=True)
            for record in _records(content, path)
        }
        last = {key: commit for key, commit in added.items() if key in present}
        ours = self._ours(list({commit.sha: commit for commit in last.values()}.values()))
        by_us = {record for (_, record), commit in last.items() if commit.sha in ours}
        if self.is_any:
            return frozenset(by_us)
        others = {key[1] for key, commit in last.items() if commit.sha not in ours or key in carried}
        return frozenset(by_us - others)

    def _contents(self) -> list[bytes]:
        return [content or b"" for content in self.git.objects([f"{self.base}:{path}" for path in self.paths])]

    def _ours(self, commits: Sequence[LoggedCommit]) -> set[str]:
        if self.signers is not None:
            return {one.sha for one in commits} - set(self.signers.faults(self.git, [one.sha for one in commits]))
        bot = self.git.committer.email
        return {one.sha for one in commits if bot in {one.committer.email, one.author.email} or _says_so(one)}


def _carried(commit: LoggedCommit, old: frozenset[TlsaRecord], new: frozenset[TlsaRecord]) -> frozenset[TlsaRecord]:
    """Return which of the records that *commit* brought a wildcard may have answered until then, if it is the engine's.

    Its trailers say so. Where a forge that squashed left none they may be any of those that a name began with.
    """
    if ACTION in dict(commit.trailers):
        said = {value for key, value in commit.trailers if key == CARRIED}
        return frozenset(record for record in new - old if str(record) in said)
    known = {record.owner for record in old}
    return frozenset(record for record in new if record.owner not in known)


def _says_so(commit: LoggedCommit) -> bool:
    return ACTION in dict(commit.trailers) or commit.subject.startswith(TLSA_TITLE)


def _records(content: bytes, path: str) -> frozenset[TlsaRecord]:
    view = _view(content, path, strict=False)
    return frozenset(record for rrset in view.values() for record in rrset.records)


@dataclass(frozen=True, slots=True)
class DnsRepository:
    """A private bare clone of the DNS repository; *tlsa_dirs* each get every include file."""

    git: Git
    branch: str
    tlsa_dirs: tuple[str, ...]
    _lines: dict[str, _Line] = field(default_factory=dict, repr=False)

    def refresh(self) -> None:
        """Fetch; GitError when the repository cannot be reached."""
        fetch(self.git)

    @property
    def base(self) -> str:
        """The commit of the base branch as last fetched; GitError when the branch does not exist."""
        return self._proposal.base

    @property
    def head(self) -> str | None:
        """The commit of the proposal branch as last fetched; null when there is none."""
        return self._proposal.head

    def require_own_hands(self) -> None:
        """Raise Refused when somebody else committed to the proposal branch."""
        self._proposal.require_own_hands()

    def paths(self, apex: str) -> tuple[str, ...]:
        """Return the include files of *apex*, one in each of the `tlsa_dirs`."""
        return tuple(_inside(folder, f"tlsa.{apex}") for folder in self.tlsa_dirs)

    def apex(self, apex: str, anchors: Collection[str] = ()) -> DnsRepoSeen:
        """Return what the repository holds for *apex*; *anchors* are the base commits that the ledger names.

        Raises StateError when the include file in base is not one that sslops wrote.
        """
        base, paths = self.base, self.paths(apex)
        line = self._line(base)
        commits, places = line.commits(paths, anchors)
        contents = self._contents([base, *commits], paths)
        # What a merge brought from beside the line became the base with that merge.
        times = [line.moments[place] for place in places]
        history = [
            BaseCommit(commit, _views(contents[commit], paths, strict=False), at)
            for commit, at in zip(commits, times, strict=True)
        ]
        if line.root not in commits:
            history.insert(0, BaseCommit(line.root, tuple({} for _ in paths), line.moments[0]))
            places.insert(0, 0)
        return DnsRepoSeen(
            base=BaseCommit(base, _views(contents[base], paths, strict=True), line.moments[-1]),
            history=tuple(history),
            line={
                anchor: bisect_right(places, line.numbers[anchor]) - 1 for anchor in anchors if anchor in line.numbers
            },
            head=self._open_proposal(paths),
            head_commit=self.head,
            written_by_us=OwnRecords(self.git, base, paths, self.git.signers),
            maybe_by_us=OwnRecords(self.git, base, paths, None, is_any=True),
            missing=tuple(path for path, found in zip(paths, contents[base], strict=True) if found is None),
        )

    def include(self, apex: str) -> bytes | None:
        """Return the include file of *apex* in base, from the first of the `tlsa_dirs`; null when there is none."""
        return self.git.file(self.base, self.paths(apex)[0])

    def publish(self, base: str, head: str | None, files: Mapping[str, bytes], message: str) -> str:
        """Propose *files* on *base* and merge at once; return the new base.

        Raises Moved when the base or the proposal branch is not what the caller saw, GitError when the remote refused.
        """
        commit = self._proposal.commit(base, files, message)
        self._proposal.move_with_base(commit, head, base)
        return commit

    def propose(self, base: str, head: str | None, files: Mapping[str, bytes], message: str) -> str:
        """Propose *files* on *base* and return the commit; Moved when the proposal branch is not at *head*."""
        commit = self._proposal.commit(base, files, message)
        self._proposal.move(commit, head)
        return commit

    def fence(self, head: str | None, message: str) -> str:
        """Move the proposal branch by a commit of our own, so that the lease of a run that sleeps fails.

        It brings nothing then. Moved when the branch is not at *head*.
        """
        return self._proposal.empty(head, message)

    def brings(self, zones: Mapping[str, Zone]) -> bool:
        """Whether merging the proposal makes these apexes' include files say *zones*, and changes nothing else."""
        paths = {path: zone for apex, zone in zones.items() for path in self.paths(apex)}
        head = self.head
        if head is None or not self._proposal.has_exactly(paths):
            return False
        contents = self._proposal.contents(head, list(paths))
        return all(_says(content, path, zone) for (path, zone), content in zip(paths.items(), contents, strict=True))

    def base_says(self, zones: Mapping[str, Zone]) -> bool:
        """Whether the include files of these apexes in base say *zones*."""
        return all(
            _says(content, path, zone)
            for apex, zone in zones.items()
            for path in self.paths(apex)
            for content in self._proposal.contents(self.base, [path])
        )

    def is_open(self, apexes: Iterable[str] | None = None) -> bool:
        """Whether merging the proposal would change an include file of *apexes*; null: whatever file."""
        if apexes is None:
            return self._proposal.is_open()
        return bool(self._proposal.brings([path for apex in apexes for path in self.paths(apex)]))

    def _line(self, base: str) -> _Line:
        """Return what the base branch has been: read once, for all include files."""
        if base not in self._lines:
            # Only the present base is asked about; what it was before a push is never asked again.
            self._lines.clear()
            self._lines[base] = _Line(self.git.line_history(base, self.tlsa_dirs))
        return self._lines[base]

    @property
    def _proposal(self) -> ProposalBranch:
        return ProposalBranch(self.git, Kind.TLSA.branch, self.branch)

    def _open_proposal(self, paths: tuple[str, ...]) -> BaseCommit | None:
        found = self._proposal.brings(paths)
        views = tuple(view for contents in found for view in _views(contents, paths, strict=False))
        return BaseCommit(self.head or "", views) if found else None

    def _contents(self, commits: Sequence[str], paths: tuple[str, ...]) -> dict[str, list[bytes | None]]:
        found = self.git.objects([f"{commit}:{path}" for commit in commits for path in paths])
        width = len(paths)
        return {commit: found[n * width : (n + 1) * width] for n, commit in enumerate(commits)}


@dataclass(frozen=True)
class _Line:
    """The commits that the base has been, oldest first, each with its number, and what changed the include files."""

    history: LineHistory

    @cached_property
    def numbers(self) -> Mapping[str, int]:
        """Commit to its number."""
        return {commit: number for number, commit in enumerate(self.history.times)}

    @cached_property
    def moments(self) -> Sequence[datetime]:
        """When each became the base."""
        return list(self.history.times.values())

    @property
    def root(self) -> str:
        """The first one."""
        return next(iter(self.history.times))

    def commits(self, paths: Sequence[str], anchors: Collection[str]) -> tuple[list[str], list[int]]:
        """Return the commits that changed *paths*, and the number at which each became the base.

        Those of side lines stand before the merge that brought them, from the oldest of *anchors* on: what a `git pull`
        put beside the line was the base as well; of the others nobody can tell that they were not.
        """
        oldest = min((self.numbers[anchor] for anchor in anchors if anchor in self.numbers), default=-1)
        found = sorted({each for path in paths for each in self.history.beside.get(path, ())})
        beside = {one: self.numbers[merge] for _, one, merge in found if self.numbers[merge] > oldest}
        merges = {merge for _, one, merge in found if one in beside}
        own = {commit: self.numbers[commit] for path in paths for commit in self.history.own.get(path, ())}
        own |= {merge: self.numbers[merge] for merge in merges}
        # Those beside come first where they share a place, for the merge has the last word, changed or not.
        ordered = sorted([*beside.items(), *own.items()], key=itemgetter(1))
        return [commit for commit, _ in ordered], [number for _, number in ordered]


def _views(contents: Sequence[bytes | None], paths: Sequence[str], *, strict: bool) -> tuple[Zone, ...]:
    return tuple(_view(content, path, strict=strict) for content, path in zip(contents, paths, strict=True))


def _view(content: bytes | None, path: str, *, strict: bool) -> Zone:
    """Read one version of a file; an old version that somebody wrote by hand counts as far as it can be read."""
    text = (content or b"").decode("utf-8", "replace")
    try:
        return parse(text, path)
    except StateError:
        if strict:
            raise
    return parse("".join(f"{line}\n" for line in text.splitlines() if _is_record(line)), path)


def _says(content: bytes | None, path: str, zone: Zone) -> bool:
    """Whether a file says *zone* and nothing else: name servers would load any other line of it too."""
    try:
        return content is not None and _view(content, path, strict=True) == zone
    except StateError:
        return False


def _is_record(line: str) -> bool:
    try:
        parse(line, "")
    except StateError:
        return False
    return True


def fetch(git: Git) -> None:
    """Fetch the DNS repository; a GitError says that it is this one which cannot be reached."""
    try:
        git.fetch()
    except GitError as error:
        what = f"the DNS repository cannot be fetched: {error.what}"
        raise GitError(what, hint="dns.repo.url in inventory/sslops.yaml; sslops doctor asks it") from error


@dataclass(frozen=True, slots=True)
class ChallengeFiles:
    """`<acme_dir>/acme-challenge.<apex>` on *branch* of the DNS repository behind *git*; *run* names this run."""

    git: Git
    branch: str
    acme_dir: str
    run: str

    def refresh(self) -> None:
        """Fetch; GitError when the repository cannot be reached."""
        fetch(self.git)

    @property
    def head(self) -> str | None:
        """The commit of the proposal branch as last fetched; null when there is none."""
        return self._proposal.head

    def require_own_hands(self) -> None:
        """Raise Refused when somebody else committed to the proposal branch."""
        self._proposal.require_own_hands()

    def read(self, apexes: Iterable[str]) -> dict[str, bytes]:
        """Return the file of each of *apexes* on the base as last fetched; empty where there is none."""
        wanted = sorted(apexes)
        found = self._proposal.contents(self._proposal.base, [self._path(apex) for apex in wanted])
        return {apex: content or b"" for apex, content in zip(wanted, found, strict=True)}

    def write(self, files: Mapping[str, bytes], what: str) -> None:
        """Commit *files* (by apex) and merge at once; Moved when base or proposal moved since they were fetched."""
        base, head = self._proposal.base, self.head
        self._proposal.move_with_base(self._commit(base, files, what), head, base)

    def brings(self, files: Mapping[str, bytes]) -> bool:
        """Whether merging the proposal makes the files of these apexes *files*, and changes nothing else."""
        paths = [self._path(apex) for apex in files]
        head = self.head
        if head is None or not self._proposal.has_exactly(paths):
            return False
        return self._proposal.contents(head, paths) == list(files.values())

    def is_open(self, apexes: Iterable[str]) -> bool:
        """Whether merging the proposal would change a file of *apexes*."""
        return bool(self._proposal.brings([self._path(apex) for apex in apexes]))

    def propose(self, files: Mapping[str, bytes], what: str) -> None:
        """Let the proposal bring *files* (by apex) and nothing else; Moved when it moved since it was fetched."""
        self._proposal.move(self._commit(self._proposal.base, files, what), self.head)

    def empty(self) -> None:
        """Let the proposal bring nothing; Moved when it moved since it was fetched."""
        self._proposal.empty(self.head, self._message("nothing is left to propose"))

    def _commit(self, base: str, files: Mapping[str, bytes], what: str) -> str:
        edits = {self._path(apex): content for apex, content in files.items()}
        return self._proposal.commit(base, edits, self._message(what))

    def _message(self, what: str) -> str:
        return f"acme: {what}\n\nSslops-Action: renew\nSslops-Run: {self.run}\n"

    def _path(self, apex: str) -> str:
        return _inside(self.acme_dir, f"acme-challenge.{apex}")

    @property
    def _proposal(self) -> ProposalBranch:
        return ProposalBranch(self.git, Kind.ACME.branch, self.branch)


def _inside(folder: str, name: str) -> str:
    """Return the path of *name* in *folder*, where `.` is the top of the repository."""
    return name if folder == "." else f"{folder}/{name}"
