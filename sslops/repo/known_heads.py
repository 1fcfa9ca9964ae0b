"""Branches of the engine that went back to an older commit: a mirror was restored, or somebody pushed a stale clone.

What `main` does not show nobody would miss: a staged key that replaced a leaked one, or what a host was last seen to
serve. So each branch names the others. A commit of `next` says where `ledger` was (`Sslops-Ledger`), one of `ledger`
where `next` and the roll branch were (`Sslops-Next`, `Sslops-Roll`); a clone that lives long keeps what it saw, of the
branches in the DNS repository too. A branch that somebody deletes, or that the engine begins anew after a rebase, did
not go back: its first commit is younger than what named the old one, or says what it takes the place of
(`Sslops-Replaces`).
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import TYPE_CHECKING

from sslops.errors import StateError
from sslops.repo.next_branch import LEDGER, NEXT, REPLACES, ROLL
from sslops.repo.snapshot import LEDGER_BRANCH, ROLL_BRANCH

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence
    from pathlib import Path

    from sslops.repo.git import Git
    from sslops.repo.snapshot import Snapshot


_SHA = re.compile(r"[0-9a-f]{40}(?:[0-9a-f]{24})?")
_LOOKED_AT = 200
"""How many commits of a branch are looked through for the last one that names another branch."""


@dataclass(frozen=True, slots=True)
class Witness:
    """Who says, since *at* (seconds of a committer's clock), that a branch was at the commit *head*."""

    head: str
    at: int
    by: str


@dataclass(frozen=True, slots=True)
class _Named:
    """A commit and what one of its trailers says."""

    commit: str
    at: int
    values: tuple[str, ...]


def named_next(git: Git, ledger: str | None) -> str | None:
    """Return the head of next that `ledger` names last; null when it names none."""
    found = _last(git, [ledger], NEXT)
    return found.values[0] if found else None


def faults(git: Git, snapshot: Snapshot, next_branch: str) -> tuple[StateError, ...]:
    """Return what went back, each with the commit that is missed and the commands that lead on; empty: nothing did.

    Without a remote nobody else moves the branches, and nothing is asked.
    """
    if git.remote is None:
        return ()
    return tuple(_faults(git, snapshot, next_branch, _read(_memory(git))))


def remember(git: Git, snapshot: Snapshot, next_branch: str) -> None:
    """Keep in this clone where the branches of *snapshot* are."""
    heads = {
        next_branch: snapshot.next_commit,
        LEDGER_BRANCH: snapshot.ledger_commit,
        ROLL_BRANCH: snapshot.roll_commit,
    }
    if git.remote is not None:
        _write(_memory(git), heads)


def _faults(git: Git, snapshot: Snapshot, next_branch: str, seen: Mapping[str, str]) -> Iterator[StateError]:
    main, following, ledger, roll = (
        snapshot.main_commit,
        snapshot.next_commit,
        snapshot.ledger_commit,
        snapshot.roll_commit,
    )
    if following is not None:
        witness = _missing(
            git, [following, main], [*_by(git, [ledger], NEXT, LEDGER_BRANCH), *_own(git, seen, next_branch)]
        )
        if witness is not None and not _begins_after(git, following, witness):
            yield _fault(
                git, next_branch, following, witness, "it then begins anew from main, without what was only staged"
            )
    if ledger is not None:
        witness = _missing(
            git, [ledger], [*_by(git, [following, main], LEDGER, next_branch), *_own(git, seen, LEDGER_BRANCH)]
        )
        if witness is not None and not _is_another(git, ledger, witness):
            yield _fault(git, LEDGER_BRANCH, ledger, witness, "every host and record is then asked anew")
    if roll is not None:
        for witness in (*_by(git, [ledger], ROLL, LEDGER_BRANCH), *_own(git, seen, ROLL_BRANCH)):
            is_behind = git.resolve(witness.head) is not None and git.is_ancestor(roll, witness.head)
            if roll != witness.head and is_behind and not git.is_ancestor(roll, main):
                yield _fault(git, ROLL_BRANCH, roll, witness, "roll then proposes it anew")
                return


def _by(git: Git, tips: Sequence[str | None], key: str, branch: str) -> list[Witness]:
    found = _last(git, tips, key)
    return [] if found is None else [Witness(found.values[0], found.at, f"commit {found.commit[:10]} on '{branch}'")]


def _own(git: Git, seen: Mapping[str, str], branch: str) -> list[Witness]:
    """Return what this clone saw of *branch*; nothing where it has that commit no more."""
    head = seen.get(branch)
    if head is None or git.resolve(head) is None:
        return []
    return [Witness(head, _times(git, head)[0], "this clone, which saw it there,")]


def _missing(git: Git, tips: Sequence[str], witnesses: Sequence[Witness]) -> Witness | None:
    """Return the first of *witnesses* whose commit none of *tips* has."""
    return next((each for each in witnesses if not _has(git, tips, each.head)), None)


def _has(git: Git, tips: Sequence[str], commit: str) -> bool:
    if commit in tips:
        return True
    return git.resolve(commit) is not None and any(git.is_ancestor(commit, tip) for tip in tips)


def _begins_after(git: Git, following: str, witness: Witness) -> bool:
    """Whether next was begun anew in the place of what *witness* names, or later than it."""
    begun = _last(git, [following], REPLACES)
    return begun is not None and (begun.at >= witness.at or witness.head in begun.values)


def _is_another(git: Git, ledger: str, witness: Witness) -> bool:
    """Whether the ledger was begun anew since *witness*: it has no commit in common with that one, or is younger."""
    if git.resolve(witness.head) is not None and git.merge_base(ledger, witness.head) is not None:
        return False
    words = ["log", "--no-show-signature", "--no-color", "--max-parents=0", "--format=%ct", ledger]
    return min((int(each) for each in git.process.read(*words).text.split()), default=0) >= witness.at


def _times(git: Git, commit: str) -> list[int]:
    words = ["log", "--no-show-signature", "--no-color", "--max-count=1", "--format=%ct", commit]
    return [int(each) for each in git.process.read(*words).text.split()]


def _last(git: Git, tips: Sequence[str | None], key: str) -> _Named | None:
    """Return the newest commit of *tips* that has the trailer *key* with a commit in it."""
    known = [tip for tip in tips if tip is not None]
    if not known:
        return None
    form = f"%H%x00%ct%x00%(trailers:key={key},valueonly)%x01"
    words = ["log", "--no-show-signature", "--no-color", "--date-order", f"--max-count={_LOOKED_AT}"]
    rows = git.process.read(*words, f"--format={form}", *known).stdout.decode("utf-8", "replace").split("\x01")
    for row in rows:
        commit, _, rest = row.strip("\n").partition("\0")
        at, _, text = rest.partition("\0")
        values = tuple(each for each in text.split() if _SHA.fullmatch(each))
        if values:
            return _Named(commit, int(at), values)
    return None


def _fault(git: Git, branch: str, tip: str, witness: Witness, otherwise: str) -> StateError:
    what = (
        f"'{branch}' went back: {witness.by} names its commit {witness.head[:10]}, "
        f"which '{branch}' (at {tip[:10]}) does not have any more"
    )
    back = f"git push --force-with-lease={branch}:{tip} {git.remote} {witness.head}:refs/heads/{branch}"
    return StateError(what, hint=f"{back}; or, if nobody has it: git push {git.remote} --delete {branch} ({otherwise})")


# What one clone remembers.


def _memory(git: Git) -> Path:
    return git.private_dir / "heads"


def _read(file: Path) -> dict[str, str]:
    try:
        rows = [line.split(" ") for line in file.read_text(encoding="utf-8").splitlines()]
    except (OSError, UnicodeDecodeError):
        return {}
    return {row[0]: row[1] for row in rows if len(row) == 2 and _SHA.fullmatch(row[1])}  # noqa: PLR2004  (name, hash)


def _write(file: Path, heads: Mapping[str, str | None]) -> None:
    known = _read(file)
    now = {branch: head for branch, head in {**known, **heads}.items() if head is not None}
    if now == known:
        return
    text = "".join(f"{branch} {head}\n" for branch, head in sorted(now.items()))
    file.parent.mkdir(parents=True, exist_ok=True)
    draft = file.with_suffix(".new")
    draft.write_text(text, encoding="utf-8")
    draft.replace(file)
