"""What the history says: commits with their trailers, and what happened to a path on a branch's own line."""

from __future__ import annotations

from dataclasses import dataclass, fields
from datetime import UTC, datetime
from typing import TYPE_CHECKING

from sslops.model.derived import grouped
from sslops.repo.git_commits import LoggedCommit, Person

if TYPE_CHECKING:
    from collections.abc import Collection, Iterator, Mapping, Sequence

    from sslops.repo.git_process import GitProcess


_LOG_FORMAT = "%H%x00%P%x00%cn%x00%ce%x00%an%x00%ae%x00%B%x00%(trailers:only,unfold)%x00%x01"
_ACTION_FORMAT = "%ct%x00%(trailers:key=Sslops-Action,valueonly)%x00%(trailers:key=Sslops-Run,valueonly)%x01"
_RECENT_FORMAT = "%H%x00%ct%x00%s%x00%an%x00%(trailers:key=Sslops-Run,valueonly)%x01"
_COMMIT = "\x02"
_LAST_SECOND = 253402300799  # 9999-12-31T23:59:59Z


@dataclass(frozen=True, slots=True)
class PathChange:
    """One commit gave *path* another content; *blob* is its hash, null when the path was deleted."""

    commit: str
    path: str
    blob: str | None


@dataclass(frozen=True, slots=True)
class LastAction:
    """The newest commit of one verb: when it was made, and the run that made it (empty: the commit does not say)."""

    verb: str
    at: datetime
    run: str


@dataclass(frozen=True, slots=True)
class RecentCommit:
    """One commit for a list: *run* is the run that made it, empty where the commit does not say."""

    sha: str
    at: datetime
    subject: str
    author: str
    run: str


@dataclass(frozen=True, slots=True)
class FileChange:
    """One commit gave *path* the blob *new* instead of *old*; null: there was none, or is none any more."""

    path: str
    old: str | None
    new: str | None


@dataclass(frozen=True, slots=True)
class PastCommit:
    """One commit of the past: when it was made (committer's clock), and what it changed against its first parent."""

    logged: LoggedCommit
    at: datetime
    changes: tuple[FileChange, ...]


def past_commits(git: GitProcess, tips: Sequence[str], paths: Sequence[str] = ()) -> list[PastCommit]:
    """Return every ancestor of *tips* and they themselves, each after its parents; of *paths* only, where given."""
    if not tips:
        return []
    plain = ["log", "--no-show-signature", "--no-color", "--topo-order", "--reverse", "--full-history"]
    only = ["--", *paths] if paths else []
    ended = git.read(*plain, f"--format={_LOG_FORMAT}", *tips, *only)
    logged = [_logged(row) for row in ended.stdout.decode("utf-8", "replace").split("\0\x01") if row.strip()]
    raw = ["--diff-merges=first-parent", "--root", "--raw", "--no-abbrev", "--no-renames", "-z"]
    ended = git.read(*plain, *raw, "--format=format:%x02%H %ct", *tips, *only)
    rows = _rows(ended.stdout.decode("utf-8", "surrogateescape").split("\0"))
    # A merge that changes *paths* against another parent than the first has a line in one of the two only.
    return [PastCommit(one, *rows[one.sha]) for one in logged if not only or one.sha in rows]


def _rows(tokens: Sequence[str]) -> dict[str, tuple[datetime, tuple[FileChange, ...]]]:
    """Read `%x02%H %ct` and raw rows in turn; what follows a row is a path, whatever it looks like."""
    rows: dict[str, tuple[datetime, list[FileChange]]] = {}
    sha, facts = "", ""
    for token in tokens:
        if facts:
            rows[sha][1].append(_file_change(facts, token))
            facts = ""
        elif token.startswith(_COMMIT):
            head, _, facts = token.removeprefix(_COMMIT).partition("\n")
            sha, seconds = head.split(" ")
            rows[sha] = (commit_time(int(seconds)), [])
        else:
            facts = token
    return {sha: (at, tuple(made)) for sha, (at, made) in rows.items()}


def _file_change(facts: str, path: str) -> FileChange:
    _, _, old, new, _ = facts.split(" ")
    return FileChange(path, old if old.strip("0") else None, new if new.strip("0") else None)


def last_actions(git: GitProcess, commits: Sequence[str], limit: int) -> list[LastAction]:
    """Return the newest commit of each `Sslops-Action` among the *limit* newest ancestors of *commits*, sorted."""
    if not commits:
        return []
    words = ["log", "--no-show-signature", "--no-color", f"--max-count={limit}", f"--format={_ACTION_FORMAT}"]
    found: dict[str, LastAction] = {}
    for row in git.read(*words, *commits).stdout.decode("utf-8", "replace").split("\x01"):
        seconds, *trailers = (each.strip() for each in row.split("\0"))
        if len(trailers) == len(("action", "run")) and trailers[0]:
            at = commit_time(int(seconds))
            found.setdefault(trailers[0], LastAction(trailers[0], at, trailers[1]))
    return [found[verb] for verb in sorted(found)]


def recent_commits(git: GitProcess, commits: Sequence[str], limit: int) -> list[RecentCommit]:
    """Return the *limit* newest ancestors of *commits*, the newest first by the committer's clock."""
    if not commits:
        return []
    words = ["log", "--no-show-signature", "--no-color", "--date-order", f"--max-count={limit}"]
    rows = git.read(*words, f"--format={_RECENT_FORMAT}", *commits).stdout.decode("utf-8", "replace").split("\x01")
    split = [row.strip("\n").split("\0") for row in rows]
    return [
        RecentCommit(sha, commit_time(int(seconds)), subject, author, run.strip())
        for sha, seconds, subject, author, run in (row for row in split if len(row) == len(fields(RecentCommit)))
    ]


def line_times(git: GitProcess, commit: str) -> dict[str, datetime]:
    """Return when *commit* and each one before it on its own branch was made (committer's clock), oldest first."""
    rows = (row.split(" ") for row in git.read("rev-list", "--first-parent", "--timestamp", commit).text.splitlines())
    return dict(reversed([(sha, commit_time(int(seconds))) for seconds, sha in rows]))


def commit_time(seconds: int) -> datetime:
    """Return a time that somebody's git wrote; one that no calendar has is the last there is."""
    return datetime.fromtimestamp(min(max(seconds, 0), _LAST_SECOND), UTC)


def changed_at(git: GitProcess, commit: str, path: str) -> datetime | None:
    """Return when *path* last changed in the history of *commit* (committer's clock); null: it never was there."""
    words = ["log", "--no-show-signature", "--no-color", "--max-count=1", "--format=%ct", commit, "--", path]
    text = git.read(*words).text
    return commit_time(int(text)) if text else None


def log(git: GitProcess, commit: str, since: Sequence[str], limit: int | None = None) -> list[LoggedCommit]:
    """Return *commit* and its ancestors, newest first and at most *limit*, without what *since* already contains."""
    arguments = ["log", "--no-show-signature", "--no-color", "--topo-order", f"--format={_LOG_FORMAT}"]
    if limit is not None:
        arguments.append(f"--max-count={limit}")
    ended = git.read(*arguments, commit, *without(git, commit, since))
    return [_logged(row) for row in ended.stdout.decode("utf-8", "replace").split("\0\x01") if row.strip()]


def without(git: GitProcess, commit: str, since: Sequence[str]) -> list[str]:
    """Return the arguments that leave out of the history of *commit* what *since* already contains.

    git goes by the dates of commits there, and gives up too early where six or more of them are dated before their
    parents: a clock was wrong, or somebody chose them. Where two lines parted it finds in any case.
    """
    parted = (git.read("merge-base", "--all", commit, sha, allowed=(0, 1)).text.split() for sha in since)
    return [f"^{sha}" for sha in dict.fromkeys([*since, *(base for bases in parted for base in bases)])]


def first_parent_changes(git: GitProcess, commit: str, paths: Sequence[str]) -> list[PathChange]:
    """Return every change of *paths* along the first parents of *commit*, oldest first; a merge is one change."""
    return changes(git, commit, paths, "--first-parent")


def first_parent_times(git: GitProcess, commit: str, path: str) -> list[tuple[str, datetime]]:
    """Return the commits of the own line of *commit* that changed *path*, newest first, and when each was made."""
    ended = git.read("log", "--first-parent", "-m", "--no-show-signature", "--format=%H %ct", commit, "--", path)
    rows = (row.split() for row in ended.text.splitlines() if row)
    return [(sha, commit_time(int(seconds))) for sha, seconds in rows]


def last_change(git: GitProcess, commit: str, path: str) -> str:
    """Return the last commit up to *commit* that changed *path*; *commit* itself where history does not tell."""
    return git.read("log", "-1", "--no-show-signature", "--format=%H", commit, "--", path).text or commit


def changes(git: GitProcess, commit: str, paths: Sequence[str], *how: str) -> list[PathChange]:
    """Return every change of *paths* up to *commit*, oldest first, on whichever line it was made."""
    ended = git.read(
        "log",
        *how,
        "-m",
        "--root",
        "--reverse",
        "--raw",
        "--no-abbrev",
        "--no-renames",
        "--no-show-signature",
        "-z",
        "--format=format:%x02%H",
        commit,
        "--",
        *paths,
    )
    chunks = ended.stdout.decode("utf-8", "surrogateescape").split(_COMMIT)
    return [change for chunk in chunks if chunk for change in _changes(chunk)]


def _changes(chunk: str) -> Iterator[PathChange]:
    commit, _, rest = chunk.partition("\n")
    tokens = [token for token in rest.split("\0") if token]
    for facts, path in zip(tokens[::2], tokens[1::2], strict=False):
        _, _, _, blob, kind = facts.split(" ")
        yield PathChange(commit, path, None if kind == "D" else blob)


def _logged(row: str) -> LoggedCommit:
    sha, parents, committer, committer_email, author, author_email, message, trailers = row.lstrip("\n").split("\0")
    pairs = (line.partition(": ") for line in trailers.splitlines())
    return LoggedCommit(
        sha,
        tuple(parents.split()),
        Person(committer, committer_email),
        Person(author, author_email),
        message.rstrip() + "\n",
        tuple((key, value) for key, colon, value in pairs if colon),
    )


@dataclass(frozen=True, slots=True)
class LineHistory:
    """What happened below some folders up to one commit, on its own line and beside it."""

    times: Mapping[str, datetime]
    """Every commit of the first-parent line, oldest first, and when each was made (committer's clock)."""
    own: Mapping[str, tuple[str, ...]]
    """Path to the commits of the line that changed it, oldest first; a merge is one change."""
    beside: Mapping[str, tuple[tuple[int, str, str], ...]]
    """Path to the commits beside the line that changed it: the place of each among all of them, the older ones first,
    the commit, and the one of the line that brought it there. A `git pull` before a push is such a merge: what the
    branch was until then becomes its second parent."""


def line_history(git: GitProcess, commit: str, folders: Sequence[str]) -> LineHistory:
    """Return what happened below *folders* up to *commit*, read in one go for all paths in them."""
    own = grouped((each.path, each.commit) for each in first_parent_changes(git, commit, folders))
    times = line_times(git, commit)
    beside: list[tuple[str, tuple[int, str, str]]] = []
    if git.read("rev-list", "--min-parents=2", "--max-count=1", commit).text:
        brought = _brought(git, commit, times)
        touched = grouped(
            (each.commit, each.path)
            for each in changes(git, commit, folders, "--topo-order", "--full-history")
            if each.commit in brought
        )
        beside = [
            (path, (place, one, brought[one])) for place, (one, paths) in enumerate(touched.items()) for path in paths
        ]
    return LineHistory(times, own, grouped(beside))


def _brought(git: GitProcess, commit: str, line: Collection[str]) -> dict[str, str]:
    """Return the commits beside the first parents of *commit*, *line*, each with the one of these that brought it."""
    text = git.read("rev-list", "--topo-order", "--reverse", "--parents", commit).text
    parents = {one: rest for one, *rest in (row.split() for row in text.splitlines())}
    brought: dict[str, str] = {}
    for one in line:
        below = parents[one][1:]
        while below:
            found = below.pop()
            if found in parents and found not in line and found not in brought:
                brought[found] = one
                below += parents[found]
    return brought
