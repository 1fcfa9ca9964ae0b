"""Other hands on the bot's branches: a commit there that the bot did not make stops it, visibly."""

from __future__ import annotations

from typing import TYPE_CHECKING

from sslops.errors import Refused
from sslops.state.messages import ACTION
from sslops.state.snapshot import LEDGER_BRANCH, ROLL_BRANCH

if TYPE_CHECKING:
    from collections.abc import Iterable

    from sslops.adapters.git import Git, LoggedCommit, Person
    from sslops.state.snapshot import Snapshot


def refuse_foreign(git: Git, bot: Person, snapshot: Snapshot, next_branch: str) -> None:
    """Raise Refused when `next`, the roll branch or `ledger` has a commit of somebody else that main does not have.

    A merge of main is harmless anywhere. On the roll branch so is what a forge's rebase button makes of our commits:
    another committer, our trailers.
    """
    main = snapshot.main_commit
    if snapshot.next_commit is not None:
        found = git.log(snapshot.next_commit, since=[main])
        _refuse(next_branch, (one for one in found if not _is_ours(bot, one) and not _merges(git, one, main)))
    if snapshot.roll_commit is not None and snapshot.roll_commit != snapshot.next_commit:
        known = [main, *([snapshot.next_commit] if snapshot.next_commit else [])]
        found = git.log(snapshot.roll_commit, since=known)
        strangers = (one for one in found if not _is_ours(bot, one) and ACTION not in dict(one.trailers))
        _refuse(ROLL_BRANCH, (one for one in strangers if not _merges(git, one, main)))
    if snapshot.ledger_commit is not None:
        # Any run since would have stopped at an earlier one, so the last commit tells.
        tip = git.log(snapshot.ledger_commit, limit=1)
        _refuse(LEDGER_BRANCH, (one for one in tip if not _is_ours(bot, one)))


def _is_ours(bot: Person, commit: LoggedCommit) -> bool:
    return commit.committer.email == bot.email


def _merges(git: Git, commit: LoggedCommit, main: str) -> bool:
    return len(commit.parents) > 1 and any(git.is_ancestor(parent, main) for parent in commit.parents)


def _refuse(branch: str, commits: Iterable[LoggedCommit]) -> None:
    for commit in commits:
        message = (
            f"branch '{branch}' has commit {commit.sha[:10]} of '{commit.committer.email}', "
            "and only the bot of 'repo.bot' writes there"
        )
        raise Refused(message, hint=f"take it off '{branch}', or merge it into main after review")
