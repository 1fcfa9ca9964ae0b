"""`sslops tlsrpt`: what mail senders reported about TLS at this site (RFC 8460)."""

from __future__ import annotations

import click

from sslops.cli import options
from sslops.cli.options import current
from sslops.errors import ExitCode, StateError, UsageError


@click.command(
    name="tlsrpt",
    epilog=options.examples("sslops tlsrpt report.json.gz", "sslops tlsrpt /var/mail/tlsrpt/Maildir --apply"),
)
@click.argument("subjects", nargs=-1, required=True, metavar="FILE|MAILDIR|-...")
@options.apply()
@options.json()
def command(*, subjects: tuple[str, ...], apply: bool, as_json: bool) -> ExitCode:
    """Read TLS reports (JSON, gzip, mails with one attached) and show what senders saw, per day, host and generation.

    With --apply the ledger keeps how many sessions went well and failed on each day, for 90 days, once for each report,
    and `sslops report --html` shows it. Anybody may send a report, so no decision rests on them. Exit 1 when one
    cannot be read.
    """
    from sslops.app import tlsrpt
    from sslops.report import tlsrpt as report
    from sslops.report.text import count

    session = current()
    found = tlsrpt.read(session, subjects)
    rows = report.seen(found.reports, tlsrpt.generations_of(session))
    session.show(report.as_json(rows, found.unread) if as_json else report.as_text(rows))
    try:
        session.folder  # noqa: B018  (asks whether there is one)
        new, others = tlsrpt.keep(session, found.reports, apply=apply)
    except UsageError:
        if apply:
            raise
        new, others = 0, frozenset()
    if others:
        session.say(f"about no group of the inventory, and not kept: {', '.join(sorted(others)[:10])}")
    if new:
        done = "kept on the ledger" if apply else "not on the ledger yet; --apply keeps it"
        session.say(f"{count(new, 'report')}: {done}")
    if found.others:
        session.say(f"{count(found.others, 'file')} without a report")
    for name, cause in found.unread.items():
        session.complain(StateError(f"'{name}' is no report that can be read: {cause}"))
    return ExitCode.FAILED if found.unread else ExitCode.DONE
