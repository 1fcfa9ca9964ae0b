"""Reports of mail senders: from files, a Maildir or standard input to what is shown, and to the ledger."""

from __future__ import annotations

import sys
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

from sslops.app.entry import Request, carry_out
from sslops.errors import StateError, UsageError
from sslops.model.change import Note
from sslops.probe.tls_reports import MAX_BYTES, NoReportError, read_reports
from sslops.report.text import count
from sslops.report.tlsrpt import kept, ledger_entries

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence
    from pathlib import Path

    from sslops.app.session import Session
    from sslops.app.site import Site
    from sslops.probe.tls_reports import TlsReport
    from sslops.report.tlsrpt import Whose

STDIN = "-"
MOST_FILES = 100_000
_MAILDIR = ("cur", "new")


@dataclass(frozen=True, slots=True)
class Mailbag:
    """What was read: the reports, what could not be read (name to cause), and how many other mails lay there."""

    reports: tuple[TlsReport, ...]
    unread: dict[str, str]
    others: int


def read(session: Session, words: Sequence[str]) -> Mailbag:
    """Read every report that *words* name: files, folders, Maildirs, or `-`; UsageError for what is none of these.

    In a folder a mail without a report is no fault; one with a broken report is.
    """
    reports: list[TlsReport] = []
    unread: dict[str, str] = {}
    others = 0
    for word in words:
        for name, path in _sources(session, word):
            try:
                reports += read_reports(_content(path))
            except NoReportError as error:
                others += 1
                if path is None or name == word:
                    unread[name] = error.what
            except StateError as error:
                unread[name] = error.what
    return Mailbag(tuple(reports), unread, others)


def _sources(session: Session, word: str) -> Iterator[tuple[str, Path | None]]:
    """Yield name and file of all that *word* means; null is standard input. Links are not followed in folders."""
    if word == STDIN:
        yield "standard input", None
        return
    path = session.start / word
    if path.is_dir():
        folders = [path / each for each in _MAILDIR if (path / each).is_dir()] or [path]
        found = sorted(each for folder in folders for each in folder.iterdir())
        if len(found) > MOST_FILES:
            message = f"'{word}' has {len(found)} files; {MOST_FILES} are read at once"
            raise UsageError(message, hint="move the mails of past months elsewhere")
        yield from ((str(each), each) for each in found if each.is_file() and not each.is_symlink())
    elif path.is_file():
        yield word, path
    else:
        raise UsageError(f"there is no file or folder '{word}'", hint="sslops tlsrpt FILE|MAILDIR|-")


def _content(path: Path | None) -> bytes:
    """Return the content, one byte more than is read at most where there is more."""
    if path is None:
        return sys.stdin.buffer.read(MAX_BYTES + 1)
    try:
        with path.open("rb") as file:
            return file.read(MAX_BYTES + 1)
    except OSError as error:
        message = f"it cannot be read: {error.strerror}"
        raise StateError(message) from error


def generations_of(session: Session) -> Whose:
    """Return what names the generations of a record; outside of an ops repository nothing is ours."""

    def namer(site: Site) -> Whose:
        from sslops.dane.records import Keys
        from sslops.report.live import Known

        branches = site.snapshot.branches
        known = Known(site.inventory, branches, site.snapshot.ledger, Keys.of(branches, site.material))
        return lambda record: (f"{service} {generation}" for service, generation in known.versions(record))

    try:
        return carry_out(session, Request(), namer)
    except UsageError:
        return lambda _: ()


def keep(session: Session, reports: Sequence[TlsReport], *, apply: bool) -> tuple[int, frozenset[str]]:
    """Let the ledger keep the sessions of each day; return how many reports are new there, and the other domains.

    Without *apply* nothing is written.
    """

    def act(site: Site) -> tuple[int, frozenset[str]]:
        domains = frozenset(site.inventory.groups)
        found = kept(ledger_entries(reports, domains), site.session.now)
        before = site.snapshot.ledger.reports
        new = {key: each for key, each in found.items() if before.get(key) != each}
        if apply and new:
            days = sorted({key.partition(" ")[0] for key in new})
            subject = f"{count(len(new), 'report')} of senders, {days[0]} to {days[-1]}"
            ledger = replace(site.snapshot.ledger, reports=kept({**before, **new}, site.session.now))
            site.ops.write_ledger(site.snapshot, ledger, Note("observe", subject, "No decision rests on them."))
        told = {result.domain for report in reports for result in report.policies}
        return len(new), frozenset(told - domains)

    return carry_out(session, Request(apply=apply), act)
