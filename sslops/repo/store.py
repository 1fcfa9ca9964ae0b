"""The ops repository: one look at its branches, and the three ways to write (`next`, a roll, `ledger`).

Every write is a row of commits and one push that says what it expects to find; Moved means that another run was faster
and everything must be looked at again. Nothing due writes nothing.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from datetime import UTC, datetime
from functools import cached_property
from typing import TYPE_CHECKING

from sslops.errors import Refused, StateError
from sslops.repo import known_heads
from sslops.repo.foreign_commits import refuse_foreign
from sslops.repo.git_checkout import Checkout, shown
from sslops.repo.git_commits import NewCommit, Person, RefUpdate
from sslops.repo.ledger_files import BLOCKED, HOSTS, REPORTS, TLSA, write_ledger
from sslops.repo.next_branch import LEDGER, NEXT, REPLACES, ROLL, RUN, note_message, taking_in
from sslops.repo.signatures import Signers
from sslops.repo.snapshot import INVENTORY, LEDGER_BRANCH, ROLL_BRANCH, Looker, Snapshot, moves
from sslops.repo.state_files import STATE
from sslops.repo.state_trees import GenerationDocuments, StateReader, read_documents
from sslops.system.file_lock import locked

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping, Sequence
    from contextlib import AbstractContextManager
    from pathlib import Path

    from sslops.model.change import AccountChange, BulkChange, Change, Note
    from sslops.model.inventory import RepoSettings
    from sslops.model.ledger import Ledger
    from sslops.model.names import GenerationId, ServiceId
    from sslops.repo.git import Git
    from sslops.repo.next_branch import Trailers


LOCK_WAIT_SECONDS = 60.0
FORMER_INVENTORIES = 200
"""How many former inventories are looked through at the most."""


@dataclass(frozen=True)
class OpsRepo:
    """The ops repository behind *git*, with its *settings*.

    *author* is the person at the terminal (null: the bot); *run* names this run in the trailers.
    """

    git: Git
    settings: RepoSettings
    author: Person | None = None
    run: str | None = None

    def __post_init__(self) -> None:
        """Commit as the bot of the settings, whatever identity git is configured with."""
        bot = Person(self.settings.bot_name, self.settings.bot_email)
        object.__setattr__(self, "git", self.git.acting_as(bot))

    # Looking.

    def refresh(self) -> Snapshot:
        """Fetch, then look; hold `lock` around it. GitError when the remote cannot be reached.

        Raises Refused where main asks for signatures and a commit of the engine's branches has none of the bot's.
        """
        return self.verified(self.fetch())

    def fetch(self) -> Snapshot:
        """Fetch, then look, for who does not yet know whether `settings` are those of main (see `verified`)."""
        self.git.fetch()
        if self.git.remote is not None:
            self._fetched_marker.parent.mkdir(parents=True, exist_ok=True)
            self._fetched_marker.touch()
        return self.snapshot()

    def snapshot(self) -> Snapshot:
        """Look at the branches as last fetched; changes nothing. GitError without a main branch."""
        return self._looker.snapshot()

    def verified(self, snapshot: Snapshot) -> Snapshot:
        """Return *snapshot*; Refused where main asks for signatures and a commit of the engine's branches has none."""
        if self.signers(snapshot) is not None:
            self._refuse_foreign(snapshot)
        return snapshot

    def forged(self, snapshot: Snapshot) -> tuple[Refused, ...]:
        """Return the refusal that `verified` raises, for verbs that only look and go on; empty where there is none."""
        try:
            self.verified(snapshot)
        except Refused as refusal:
            return (refusal,)
        return ()

    def went_back(self, snapshot: Snapshot) -> tuple[StateError, ...]:
        """Return a fault for each branch of the engine that went back to an older commit; empty where none did."""
        return known_heads.faults(self.git, snapshot, self.settings.next_branch)

    def remember_heads(self, snapshot: Snapshot) -> None:
        """Keep in this clone where the branches are, so that it notices when one goes back. Hold `lock` around it."""
        known_heads.remember(self.git, snapshot, self.settings.next_branch)

    def signers(self, snapshot: Snapshot) -> Signers | None:
        """Return whose signatures count by main; null where it asks for none."""
        return Signers.of(self.git, snapshot.main_commit, self.settings.bot_email)

    def read(self, commit: str, path: str) -> bytes | None:
        """Return the content of *path* at *commit*; null when there is no such file."""
        if not path.startswith(f"{STATE}/"):
            return self.git.file(commit, path)
        sha = self._looker.tree(commit).get(path)
        return None if sha is None else self.git.blobs([sha])[sha]

    def inventory_files(self, snapshot: Snapshot) -> Mapping[str, bytes]:
        """Return the files below `inventory/` at main, by path."""
        return self.git.files(snapshot.main_commit, INVENTORY)

    def tree(self, commit: str) -> Mapping[str, str]:
        """Return path to blob hash of what *commit* has below `state/`."""
        return self._looker.tree(commit)

    def former_inventories(self, snapshot: Snapshot, since: datetime) -> Iterator[Mapping[str, bytes]]:
        """Yield the files below `inventory/` as main had them, newest first, back to those of *since*."""
        for commit, at in self.git.first_parent_times(snapshot.main_commit, INVENTORY)[:FORMER_INVENTORIES]:
            yield self.git.files(commit, INVENTORY)
            if at <= since:
                return

    def documents(
        self, snapshot: Snapshot, wanted: Iterable[tuple[ServiceId, GenerationId]]
    ) -> Mapping[tuple[ServiceId, GenerationId], GenerationDocuments]:
        """Return the files of many generations, read at once: main's, but for a key that next has wrapped anew."""
        main = self._looker.tree(snapshot.main_commit)
        following = self._looker.tree(snapshot.next_commit) if snapshot.next_commit else main
        return read_documents(self.git.blobs, main, following, snapshot.branches.main, wanted)

    def fetched_at(self) -> datetime | None:
        """Return when the remote was last fetched (by us or by hand); null when never, and without a remote."""
        if self.git.remote is None:
            return None
        markers = (self._fetched_marker, self.git.git_dir / "FETCH_HEAD")
        times = [marker.stat().st_mtime for marker in markers if marker.exists()]
        return datetime.fromtimestamp(int(max(times)), UTC) if times else None

    # Writing.

    def lock(self) -> AbstractContextManager[None]:
        """Hold this clone for one run; Busy when another process keeps it too long."""
        return locked(self.git.private_dir / "lock", LOCK_WAIT_SECONDS)

    def write_next(self, snapshot: Snapshot, changes: Sequence[Change | AccountChange | BulkChange] = ()) -> Snapshot:
        """Commit *changes* on next, one each, with main taken in, and push once; return what is then.

        Without changes only a revert on main is written down; otherwise nothing happens. Raises Moved, GitError,
        Refused (somebody else's commit on a bot branch).
        """
        if not changes and not snapshot.take_in.changed:
            return snapshot
        self._refuse_foreign(snapshot)
        self._push(snapshot, [self._next(snapshot, changes)])
        return self._remembered(self.snapshot())

    def write_roll(self, snapshot: Snapshot, changes: Sequence[Change] = (), *, is_declined: bool = False) -> Snapshot:
        """Commit rolls on next and move the roll branch along, when the set of rolls in it changes.

        With `forge: none` main goes forward in the same push, and a checkout of main with it where there is no remote.
        *is_declined*: nobody wants these rolls, and the roll branch brings nothing.
        """
        moved = moves(snapshot, changes, has_forge=self.settings.forge != "none", is_declined=is_declined)
        if moved is None:
            if self.settings.forge != "none":
                self._refuse_foreign(snapshot)
            return snapshot
        self._refuse_foreign(snapshot)
        following = self._next(snapshot, changes)
        updates, tip = [following], following.new
        if moved.proposes is not None:
            head = tip if moved.proposes else snapshot.main_commit
            updates.append(RefUpdate(ROLL_BRANCH, head, snapshot.roll_commit, may_rewrite=True))
        if moved.merges:
            updates.append(RefUpdate(self.settings.branch, tip, snapshot.main_commit))
        self._push(snapshot, updates)
        return self._remembered(self.snapshot())

    def write_ledger(self, snapshot: Snapshot, ledger: Ledger, note: Note) -> Snapshot:
        """Make `ledger` say *ledger*, in one commit and one push; nothing when it says so already. Raises Moved."""
        current = self.git.files(snapshot.ledger_commit) if snapshot.ledger_commit else {}
        ours = {path: content for path, content in current.items() if path.startswith((HOSTS, TLSA, BLOCKED, REPORTS))}
        wanted = write_ledger(ledger)
        edits = {path: wanted.get(path) for path in {**ours, **wanted} if wanted.get(path) != ours.get(path)}
        if not edits:
            return snapshot
        self._refuse_foreign(snapshot)
        heads = {RUN: self.run, NEXT: snapshot.next_commit, ROLL: snapshot.roll_commit}
        commit = NewCommit(note_message(note, heads), edits, author=self.author)
        tip = self.git.asking(self.signers(snapshot)).commit_all(snapshot.ledger_commit, [commit])
        self.git.push([RefUpdate(LEDGER_BRANCH, tip, snapshot.ledger_commit)])
        return self._remembered(replace(snapshot, ledger=ledger, ledger_commit=tip))

    # The work tree.

    def require_clean(self) -> None:
        """Refuse to work beside uncommitted changes where the local main is the truth; nothing with a remote.

        Finishes first what a killed run left there. Hold `lock` around it.
        """
        self._checkout.follow()
        changed = self._checkout.changed_paths() if self._checkout.follows else []
        if changed:
            message = f"the work tree has changes that are not committed: {shown(changed)}"
            raise StateError(message, hint="git add -A && git commit, or git stash")

    def work_tree_note(self, snapshot: Snapshot) -> str | None:
        """Return the sentence about a work tree that is not what `--apply` reads; null when there is none to say."""
        if self.git.remote is None:
            here = None if self.git.is_bare else self.git.head_branch() or "a commit without a branch"
            if here in {None, self.settings.branch}:
                return None
            return (
                f"'{here}' is checked out, and --apply reads '{self.settings.branch}': only what is merged there counts"
            )
        changed = self._checkout.difference(snapshot.main_commit)
        if not changed:
            return None
        branch = f"{self.git.remote}/{self.settings.branch}"
        return f"the work tree differs from '{branch}', which is what --apply reads: {shown(changed)}"

    # How.

    def _next(self, snapshot: Snapshot, changes: Sequence[Change | AccountChange | BulkChange]) -> RefUpdate:
        """Make the commits for *changes* on next with main taken in, and return the move of next to them."""
        git = self.git.asking(self.signers(snapshot))
        closing: Trailers = {RUN: self.run, LEDGER: snapshot.ledger_commit}
        if snapshot.next_commit is None:
            closing = {**closing, REPLACES: known_heads.named_next(git, snapshot.ledger_commit)}
        row = taking_in(git, snapshot, self.settings.branch, self.author, closing)
        tip = row.make(git, changes, self.author, closing)
        return RefUpdate(self.settings.next_branch, tip, snapshot.next_commit, may_rewrite=row.rewrites)

    def _push(self, snapshot: Snapshot, updates: Sequence[RefUpdate]) -> None:
        """Push what moves, and let a checkout of main follow when main is among it."""
        moves = [update for update in updates if update.new != update.expected]
        main = next((move.new for move in moves if move.branch == self.settings.branch), None)
        follows = main is not None and self._checkout.follows
        if follows and main is not None:
            self._checkout.announce(snapshot.main_commit, main)
        if moves:
            self.git.push(moves)
        if follows:
            self._checkout.follow()

    def _remembered(self, snapshot: Snapshot) -> Snapshot:
        self.remember_heads(snapshot)
        return snapshot

    def _refuse_foreign(self, snapshot: Snapshot) -> None:
        signers = self.signers(snapshot)
        refuse_foreign(self.git, self.git.committer, snapshot, self.settings.next_branch, signers)

    @cached_property
    def _looker(self) -> Looker:
        return Looker(self.git, self.settings, StateReader(self.git.blobs))

    @cached_property
    def _checkout(self) -> Checkout:
        return Checkout(self.git, self.settings.branch)

    @property
    def _fetched_marker(self) -> Path:
        return self.git.private_dir / "fetched"
