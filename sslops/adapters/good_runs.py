"""Where good runs are written down: a ref for each verb, below `refs/sslops/good/`, that points at a commit of its own.

A run that changes nothing writes nothing, on `main`, `next` and `ledger`; so that a schedule which stopped can still be
told from one with nothing to do, each good run of a job moves its ref. The commit before it is forgotten: this is no
history. Whoever may read the repository can ask, from anywhere, which a forge's own list of pipelines does not allow.
"""

from __future__ import annotations

from datetime import UTC, datetime
from typing import TYPE_CHECKING

from sslops.adapters.git import NewCommit
from sslops.model.good_run import GoodRun

if TYPE_CHECKING:
    from collections.abc import Sequence

    from sslops.adapters.git import Git

PREFIX = "refs/sslops/good/"
_FORMAT = "%(committerdate:unix)%00%(refname)%00%(contents:trailers:key=Sslops-Run,valueonly)"


def write_good_run(git: Git, verb: str, run: str | None) -> None:
    """Write down that *verb* ended well just now; GitError when the remote does not take it."""
    trailer = f"\nSslops-Run: {run}\n" if run else ""
    commit = git.commit_all(None, [NewCommit(f"good({verb})\n\nThis run of the job ended well.\n{trailer}")])
    git.keep({f"{PREFIX}{verb}": commit})


def read_good_runs(git: Git) -> Sequence[GoodRun]:
    """Ask the remote, and return the last good run of each verb; GitError when it cannot be reached."""
    if git.remote is not None:
        git.process.ask("fetch", "--quiet", "--prune", "--no-tags", git.remote, f"+{PREFIX}*:{PREFIX}*")
    lines = git.process.read("for-each-ref", f"--format={_FORMAT}", PREFIX).stdout.decode("utf-8", "replace")
    return [_run(line) for line in lines.splitlines() if line.count("\0") == 2]  # noqa: PLR2004  (three parts)


def _run(line: str) -> GoodRun:
    seconds, ref, run = line.split("\0")
    return GoodRun(ref.removeprefix(PREFIX), datetime.fromtimestamp(int(seconds), UTC), run.strip() or None)
