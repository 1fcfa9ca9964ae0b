"""Other hands on the bot's branches: a commit there that the bot did not make stops it, visibly."""

from __future__ import annotations

from typing import TYPE_CHECKING

from sslops.errors import Refused
from sslops.repo.next_branch import ACTION
from sslops.repo.snapshot import LEDGER_BRANCH, ROLL_BRANCH

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from sslops.repo.git import Git, LoggedCommit, Person
    from sslops.repo.snapshot import Snapshot


def refuse_foreign(git: Git, bot: Person, snapshot: Snapshot, next_branch: str) -> None:
    """Raise Refused when `next`, the roll branch or `ledger` has a commit of somebody else that main does not have."""
    main, following, roll = snapshot.main_commit, snapshot.next_commit, snapshot.roll_commit
    if following is not None:
        refuse_others(git, bot, next_branch, following, [main], main)
    if roll is not None and roll != following:
        known = [main, *([following] if following else [])]
        refuse_others(git, bot, ROLL_BRANCH, roll, known, main, allows_rebased=True)
    if snapshot.ledger_commit is not None:
        # Any run since would have stopped at an earlier one, so the last commit tells.
        tip = git.log(snapshot.ledger_commit, limit=1)
        _refuse(LEDGER_BRANCH, (one for one in tip if not _is_ours(bot, one)))


def refuse_others(
    git: Git,
    bot: Person,
    branch: str,
    tip: str,
    since: Sequence[str],
    base: str,
    *,
    allows_rebased: bool = False,
) -> None:
    """Raise Refused when *branch*, at *tip*, has a commit that *since* have not and somebody else made.

    A merge of *base* is harmless anywhere. On a branch that requests come from so is what a forge's rebase button makes
    of our commits (*allows_rebased*): another committer, our trailers.
    """
    for one in git.log(tip, since=since):
        if _is_ours(bot, one) or (allows_rebased and ACTION in dict(one.trailers)) or _merges(git, one, base):
            continue
        _refuse(branch, [one])


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
        raise Refused(message, hint=f"take it off '{branch}', or merge it after review")
