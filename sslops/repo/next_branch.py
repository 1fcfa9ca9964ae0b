"""Commits on `next`: subject, reason and trailers of each, and the one that takes in `main`.

>>> print(message("roll", "example.com/mail-ec", "20261125T021705Z-77aa", "It was seen everywhere.", {}), end="")
roll(example.com/mail-ec): 20261125T021705Z-77aa
<BLANKLINE>
It was seen everywhere.
<BLANKLINE>
Sslops-Action: roll
"""

from __future__ import annotations

import textwrap
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

from sslops.model.change import BulkChange, Change
from sslops.repo.git_commits import NewCommit
from sslops.repo.state_files import STATE, account_path, generation_folder, parse_path, slots_path, write_slots
from sslops.repo.state_trees import bulk_edits, edits_of

if TYPE_CHECKING:
    from collections.abc import Iterable

    from sslops.model.change import AccountChange, Note
    from sslops.repo.git import Git, LoggedCommit, Person
    from sslops.repo.snapshot import Snapshot


BODY_WIDTH = 72
ACTION = "Sslops-Action"
SERVICE = "Sslops-Service"
GENERATION = "Sslops-Generation"
PLAN = "Sslops-Plan"
RUN = "Sslops-Run"
LEDGER = "Sslops-Ledger"
"""Where `ledger` was, on commits of `next`; the two below where `next` and the roll branch were, on `ledger`'s."""
NEXT = "Sslops-Next"
ROLL = "Sslops-Roll"
REPLACES = "Sslops-Replaces"
"""A commit that was on `next` before it was begun anew."""

Trailers = Mapping[str, "str | Sequence[str] | None"]


def change_message(change: Change, closing: Trailers) -> str:
    """Return the message of the commit that makes *change*; *closing* are trailers of the run."""
    trailers = {
        SERVICE: str(change.service),
        GENERATION: change.generation,
        PLAN: change.plan,
        **closing,
    }
    return message(change.action, str(change.service), change.title, change.why, trailers)


def account_message(change: AccountChange, closing: Trailers) -> str:
    """Return the message of the commit that stores an account."""
    return message("account", change.account, change.title, change.why, closing)


MOST_NAMED = 100
"""How many services the trailers of a commit about many of them name at the most."""


def bulk_message(change: BulkChange, closing: Trailers) -> str:
    """Return the message of the commit that makes *change*; it names its services unless they are too many."""
    parts = map(parse_path, change.documents)
    services = tuple(map(str, sorted({*change.dropped, *(each.service for each in parts if each is not None)})))
    named = {SERVICE: services if len(services) <= MOST_NAMED else ()}
    return message(change.action, None, change.title, change.why, {**named, PLAN: change.plan, **closing})


def note_message(note: Note, closing: Trailers) -> str:
    """Return the message of a commit on `ledger`."""
    return message(note.action, None, note.title, note.why, {**note.trailers, **closing})


def message(action: str, about: str | None, title: str, why: str, trailers: Trailers) -> str:
    """Return subject, wrapped body and trailers; a trailer that is null is left out, one of several is repeated.

    Titles, reasons and values may quote a peer: they become one line each, so that none can pose as a trailer.
    """
    subject = f"{action}({about})" if about else action
    body = textwrap.wrap(one_line(why), BODY_WIDTH, break_long_words=False, break_on_hyphens=False)
    closing = {key: (value,) if isinstance(value, str) else value for key, value in trailers.items()}
    lines = [
        f"{key}: {one_line(each)}" for key, of in {ACTION: (action,), **closing}.items() for each in of or () if each
    ]
    return "\n".join([f"{subject}: {one_line(title)}", "", *([*body, ""] if body else []), *lines, ""])


def one_line(text: str) -> str:
    """Return *text* without line breaks and control characters."""
    return " ".join("".join(char if char.isprintable() else " " for char in text).split())


MERGE = "merge"


@dataclass(frozen=True, slots=True)
class Row:
    """Commits to be made on *start*; *rewrites*: the old tip of next is not among their ancestors."""

    start: str
    commits: tuple[NewCommit, ...]
    rewrites: bool = False

    def make(
        self, git: Git, changes: Iterable[Change | AccountChange | BulkChange], author: Person | None, closing: Trailers
    ) -> str:
        """Make them, and one for each of *changes*; return the tip. No branch moves."""
        ours = (_commit(change, author, closing) for change in changes)
        commits = [*self.commits, *ours]
        return git.commit_all(self.start, commits) if commits else self.start


def _commit(change: Change | AccountChange | BulkChange, author: Person | None, closing: Trailers) -> NewCommit:
    if isinstance(change, Change):
        return NewCommit(change_message(change, closing), edits_of(change), author=author)
    if isinstance(change, BulkChange):
        return NewCommit(bulk_message(change, closing), bulk_edits(change), author=author)
    return NewCommit(account_message(change, closing), {account_path(change.account): change.document}, author=author)


def taking_in(git: Git, snapshot: Snapshot, main_branch: str, author: Person | None, closing: Trailers) -> Row:
    """Return what takes main into next, without a commit where one of the two already has all of the other."""
    main, following = snapshot.main_commit, snapshot.next_commit
    if following is None:
        return Row(main, ())
    changed = snapshot.take_in.changed
    if git.is_ancestor(main, following):
        pointers = NewCommit(_message(snapshot, main_branch, closing), _slots(snapshot), author=author)
        return Row(following, (pointers,) if changed else ())
    if git.is_ancestor(following, main):
        same = git.subtree(following, STATE) == git.subtree(main, STATE)
        return Row(main, () if same and not changed else (_merge(git, snapshot, main_branch, author, closing),))
    rest = _not_rebased(git, main, following)
    if rest is None:
        merge = _merge(git, snapshot, main_branch, author, closing)
        return Row(following, (merge,))
    left = {**closing, REPLACES: [one.sha for one in git.log(following, since=[main])]}
    return _on_top(git, snapshot, rest, _merge(git, snapshot, main_branch, author, left))


def _on_top(git: Git, snapshot: Snapshot, rest: Sequence[LoggedCommit], last: NewCommit) -> Row:
    """Return main, then *rest* with the state that each had, and *last*, which says what next had until now."""
    replayed = tuple(
        NewCommit(one.message, grafts={STATE: git.subtree(one.sha, STATE)}, author=one.author) for one in rest
    )
    own = NewCommit(last.message, last.edits, last.grafts, author=last.author)
    return Row(snapshot.main_commit, (*replayed, own), rewrites=True)


def _not_rebased(git: Git, main: str, following: str) -> list[LoggedCommit] | None:
    """Return what comes, oldest first, after the last commit that main has a rebased copy of; null if none."""
    copies = {_name(one) for one in git.log(main, since=[following]) if _is_step(one)}
    own = git.log(following, since=[main])[::-1]
    rebased = [place for place, one in enumerate(own) if _is_step(one) and _name(one) in copies]
    if not rebased:
        return None
    return [one for one in own[rebased[-1] + 1 :] if _is_step(one)]


def _is_step(commit: LoggedCommit) -> bool:
    return len(commit.parents) == 1 and dict(commit.trailers).get(ACTION, MERGE) != MERGE


def _name(commit: LoggedCommit) -> tuple[str, Person]:
    return commit.message, commit.author


def _merge(git: Git, snapshot: Snapshot, main_branch: str, author: Person | None, closing: Trailers) -> NewCommit:
    """Return the commit whose tree is main's, but for `state/`, which is next's and obeys a revert."""
    main, following = snapshot.main_commit, snapshot.next_commit or ""
    parents = (main,) if git.is_ancestor(following, main) else (following, main)
    grafts = {STATE: git.subtree(following, STATE)} | _restored(git, snapshot)
    return NewCommit(
        _message(snapshot, main_branch, closing), _slots(snapshot), grafts, parents=parents, tree=main, author=author
    )


def _slots(snapshot: Snapshot) -> dict[str, bytes]:
    following = snapshot.branches.next
    return {slots_path(service): write_slots(following[service].slots) for service in snapshot.take_in.changed}


def _restored(git: Git, snapshot: Snapshot) -> dict[str, str | None]:
    folders = (
        generation_folder(service, generation)
        for service, generations in snapshot.take_in.restored.items()
        for generation in generations
    )
    return {folder: git.subtree(snapshot.main_commit, folder) for folder in folders}


def _message(snapshot: Snapshot, main_branch: str, closing: Trailers) -> str:
    changed = snapshot.take_in.changed
    why = f"Everything outside state/ is as on {main_branch}, state/ stays as on next."
    if changed:
        names = ", ".join(map(str, changed))
        why = f"{why} These slots follow {main_branch}, which has another curr: {names}."
    services = {SERVICE: tuple(map(str, changed))}
    return message(MERGE, main_branch, f"take in {snapshot.main_commit[:12]}", why, {**services, **closing})
