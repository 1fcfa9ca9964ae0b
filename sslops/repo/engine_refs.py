"""Refs of the engine's own: heartbeats, what people were notified of, and when to ask CAs for renewal windows.

They lie at `refs/sslops/good/`, `refs/sslops/told/` and, one for each group, below `refs/sslops/windows/`. Each points
at a commit of its own without history; the text of the last has a line for each certificate. An answer that says
nothing new so leaves `next` as it is, and a roll's request free of commits about nothing. What is lost with such a ref
is a courtesy: a CA is asked early, once.
"""

from __future__ import annotations

import json
from functools import cached_property
from typing import TYPE_CHECKING

from sslops.errors import GitError
from sslops.model.heartbeat import Heartbeat
from sslops.model.names import GenerationId, ServiceId, format_time, parse_time
from sslops.repo.git import WINDOWS, NewCommit
from sslops.repo.git_history import commit_time

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping, Sequence
    from datetime import datetime

    from sslops.repo.git import Git
    from sslops.repo.signatures import Signers


_WINDOW_FORMAT = "%(refname)%00%(contents:body)%00"
_WHY = "When the CA wants to be asked again about the renewal window of each certificate."


class StoredAppointments:
    """The appointments of all groups, as last fetched; those made are kept in memory until `store`."""

    def __init__(self, git: Git, say: Callable[[str], None]) -> None:
        """Let *say* tell a person what could not be written."""
        self._git, self._say = git, say
        self._made: dict[tuple[ServiceId, GenerationId], datetime] = {}

    @cached_property
    def _known(self) -> dict[tuple[ServiceId, GenerationId], datetime]:
        return dict(_read(self._git))

    def at(self, service: ServiceId, generation: GenerationId) -> datetime | None:
        """Return when to ask again about a certificate; null when nobody said."""
        return self._known.get((service, generation))

    def make(self, service: ServiceId, generation: GenerationId, moment: datetime) -> None:
        """Ask about it again at *moment*. Safe for several threads."""
        self._made[service, generation] = moment

    def store(self, now: datetime) -> None:
        """Push what was made; a remote that does not take it is reported, and is asked early by the next run."""
        groups = sorted({service.group for service, _ in self._made})
        if not groups:
            return
        kept = {key: moment for key, moment in self._known.items() if moment > now} | self._made
        try:
            self._git.keep({f"{WINDOWS}{group}": _commit(self._git, group, kept) for group in groups})
        except GitError as error:
            self._say(f"when CAs want to be asked about renewal windows could not be written down: {error.what}")


def _commit(git: Git, group: str, kept: dict[tuple[ServiceId, GenerationId], datetime]) -> str:
    lines = [
        f"{service.name} {generation} {format_time(moment)}\n"
        for (service, generation), moment in sorted(kept.items())
        if service.group == group
    ]
    return git.commit_all(None, [NewCommit(f"windows({group})\n\n{_WHY}\n\n{''.join(lines)}")])


def _read(git: Git) -> Iterator[tuple[tuple[ServiceId, GenerationId], datetime]]:
    """Read every line that is one of ours; what is none says nothing."""
    text = git.process.read("for-each-ref", f"--format={_WINDOW_FORMAT}", WINDOWS).stdout.decode("utf-8", "replace")
    rows = text.split("\0")
    for ref, body in zip(rows[::2], rows[1::2], strict=False):
        group = ref.strip().removeprefix(WINDOWS)
        for line in body.splitlines():
            try:
                name, generation, moment = line.split(" ")
                yield (ServiceId(group, name), GenerationId(generation)), parse_time(moment)
            except ValueError:
                continue


PREFIX = "refs/sslops/good/"
_ROW = ("commit", "seconds", "ref", "subject", "run")
_HEARTBEAT_FORMAT = (
    "%(objectname)%00%(committerdate:unix)%00%(refname)%00%(contents:subject)"
    "%00%(contents:trailers:key=Sslops-Run,valueonly)"
)


def write_heartbeat(git: Git, verb: str, run: str | None) -> None:
    """Write down that *verb* ended well just now; GitError when the remote does not take it."""
    trailer = f"\nSslops-Run: {run}\n" if run else ""
    commit = git.commit_all(None, [NewCommit(f"{_subject(verb)}\n\nThis run of the job ended well.\n{trailer}")])
    git.keep({f"{PREFIX}{verb}": commit})


def read_heartbeats(git: Git, signers: Signers | None = None) -> Sequence[Heartbeat]:
    """Ask the remote, and return the heartbeat of each verb; GitError when it cannot be reached.

    One of another verb tells nothing, wherever its commit was put; nor does one that the bot did not sign, where
    *signers* count.
    """
    if git.remote is not None:
        git.process.ask("fetch", "--quiet", "--prune", "--no-tags", git.remote, f"+{PREFIX}*:{PREFIX}*")
    text = git.process.read("for-each-ref", f"--format={_HEARTBEAT_FORMAT}", PREFIX).stdout.decode("utf-8", "replace")
    rows = [line.split("\0") for line in text.splitlines()]
    known = [row for row in rows if len(row) == len(_ROW)]
    forged = signers.faults(git, [row[0] for row in known]) if signers is not None else {}
    return [
        Heartbeat(ref.removeprefix(PREFIX), commit_time(int(seconds)), run.strip() or None)
        for commit, seconds, ref, subject, run in known
        if commit not in forged and subject == _subject(ref.removeprefix(PREFIX)) and seconds.isdecimal()
    ]


TOLD = "refs/sslops/told/news"
"""Points at a commit without history, whose text has a line of JSON for each thing that people were notified of."""


def read_told(git: Git) -> dict[str, str]:
    """Ask the remote, and return what people were notified of: key to text. GitError when it cannot be reached."""
    if git.remote is not None:
        prefix = TOLD.rpartition("/")[0]
        git.process.ask("fetch", "--quiet", "--prune", "--no-tags", git.remote, f"+{prefix}/*:{prefix}/*")
    body = git.process.read("for-each-ref", "--format=%(contents:body)", TOLD).stdout.decode("utf-8", "replace")
    told = {}
    for line in body.splitlines():
        try:
            key, text = json.loads(line)
        except ValueError:
            continue  # no line of ours says nothing
        told[str(key)] = str(text)
    return told


def write_told(git: Git, told: Mapping[str, str]) -> None:
    """Write down what people were notified of and what is not over; GitError when the remote does not take it."""
    lines = "\n".join(json.dumps([key, text]) for key, text in sorted(told.items()))
    git.keep({TOLD: git.commit_all(None, [NewCommit(f"told({len(told)})\n\n{lines}\n")])})


def _subject(verb: str) -> str:
    return f"good({verb})"
