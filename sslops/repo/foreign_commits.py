"""Commits on the engine's branches that the bot did not make: each stops the run, named.

Without `allowed_signers` on main a commit is the bot's by its committer's address, which anybody can write. With it
only the bot's signature counts. Two kinds of another hand's commit are harmless, and told by their content alone: a
merge of main whose tree is the one that the engine computes, and the copy of a bot commit that a rebase made. Without
signatures our trailers make a commit on a branch of requests such a copy; what it would bring is compared elsewhere.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from sslops.errors import Refused
from sslops.repo.next_branch import ACTION
from sslops.repo.snapshot import LEDGER_BRANCH, ROLL_BRANCH
from sslops.repo.state_files import STATE

if TYPE_CHECKING:
    from collections.abc import Collection, Iterable, Sequence

    from sslops.repo.git import Git, LoggedCommit, Person
    from sslops.repo.signatures import Signers
    from sslops.repo.snapshot import Snapshot


def refuse_foreign(git: Git, bot: Person, snapshot: Snapshot, next_branch: str, signers: Signers | None) -> None:
    """Raise Refused when `next`, the roll branch or `ledger` has a commit of somebody else that main does not have.

    *signers*: whose signatures count; null: none, and addresses count.
    """
    main, following, roll = snapshot.main_commit, snapshot.next_commit, snapshot.roll_commit
    own: list[LoggedCommit] = []
    if following is not None:
        own = git.log(following, since=[main])
        others = _of_others(git, bot, own, signers)
        _refuse(next_branch, (row for row in others if not _merges_main(git, row[0], main)))
        if signers is not None and git.merge_base(main, following) is None:
            # The bot signed it, but for another branch.
            _refuse(next_branch, [(own[0], "it has no commit in common with main")])
    if roll is not None and roll != following:
        rows = git.log(roll, since=[main, *([following] if following else [])])
        others = _of_others(git, bot, rows, signers)
        _refuse(
            ROLL_BRANCH,
            (
                row
                for row in others
                if not (_says_so(row[0], signers) or _merges_main(git, row[0], main) or _is_copy(git, row[0], own))
            ),
        )
    if snapshot.ledger_commit is not None:
        # Any run since would have stopped at an earlier one, so the last commit tells.
        tip = git.log(snapshot.ledger_commit, limit=1)
        _refuse(LEDGER_BRANCH, _of_others(git, bot, tip, signers))
        if signers is not None and git.merge_base(main, snapshot.ledger_commit) is not None:
            _refuse(LEDGER_BRANCH, [(tip[0], f"it is a commit of another branch, and '{LEDGER_BRANCH}' is an orphan")])


def refuse_others(git: Git, bot: Person, branch: str, tip: str, base: str, signers: Signers | None) -> None:
    """Raise Refused when *branch* of the DNS repository, at *tip*, has a commit that *base* has not and another made.

    A merge of *base* is harmless where it is the one that git makes. Without signatures so is what carries our
    trailers: a forge's rebase button made it of our commits, and nobody can tell it from a forgery.
    """
    rows = _of_others(git, bot, git.log(tip, since=[base]), signers)
    _refuse(
        branch,
        (row for row in rows if not (_says_so(row[0], signers) or _merges_base(git, row[0], base))),
    )


Foreign = tuple["LoggedCommit", str]
"""A commit, and why it is not the bot's."""


def _of_others(git: Git, bot: Person, commits: Sequence[LoggedCommit], signers: Signers | None) -> list[Foreign]:
    if signers is None:
        return [
            (one, f"its committer is '{one.committer.email}'") for one in commits if one.committer.email != bot.email
        ]
    faults = signers.faults(git, [one.sha for one in commits])
    return [(one, faults[one.sha]) for one in commits if one.sha in faults]


def _says_so(commit: LoggedCommit, signers: Signers | None) -> bool:
    """Whether our trailers are enough, as nothing else tells what a rebase made of our commits: without signatures."""
    return signers is None and ACTION in dict(commit.trailers)


def _merges_main(git: Git, commit: LoggedCommit, main: str) -> bool:
    """Whether it is a merge of main with the tree that the engine computes: `state/` stays, all else is main's."""
    for taken, kept in _parents(commit):
        if git.is_ancestor(taken, main):
            outside, kept_there = git.entries(taken), git.entries(kept)
            if not git.is_ancestor(kept, taken):
                outside.pop(STATE, None)
                outside |= {STATE: kept_there[STATE]} if STATE in kept_there else {}
            if git.entries(commit.sha) == outside:
                return True
    return False


def _merges_base(git: Git, commit: LoggedCommit, base: str) -> bool:
    """Whether it is a merge of *base* with the tree that git's merge has, and nothing beside."""
    return any(
        git.is_ancestor(taken, base) and git.merged_tree(kept, taken) == git.subtree(commit.sha, "")
        for taken, kept in _parents(commit)
    )


def _parents(commit: LoggedCommit) -> Iterable[tuple[str, str]]:
    """Return the two parents of a merge in both orders; nothing for any other commit."""
    if len(commit.parents) != 2:  # noqa: PLR2004  (an octopus is never harmless)
        return ()
    first, second = commit.parents
    return ((first, second), (second, first))


def _is_copy(git: Git, commit: LoggedCommit, own: Collection[LoggedCommit]) -> bool:
    """Whether it says and changes what one of our *own* commits does, as after a rebase: same files, same contents."""
    if len(commit.parents) != 1 or ACTION not in dict(commit.trailers):
        return False
    originals = [one for one in own if (one.message, one.author) == (commit.message, commit.author)]
    if not originals:
        return False
    changes = git.diff_of(commit.sha)
    return any(git.diff_of(one.sha) == changes for one in originals if len(one.parents) == 1)


def _refuse(branch: str, rows: Iterable[Foreign]) -> None:
    for commit, why in rows:
        kind = "merge " if len(commit.parents) > 1 else ""
        message = (
            f"branch '{branch}' has {kind}commit {commit.sha[:10]} of '{commit.committer.email}', "
            f"and only the bot of 'repo.bot' writes there: {why}"
        )
        raise Refused(message, hint=f"take it off '{branch}', or merge it after review")
