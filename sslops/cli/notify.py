"""`sslops notify`: people are notified of what changed for the worse, once, and when it is over."""

from __future__ import annotations

from typing import TYPE_CHECKING

import click

from sslops.cli import options
from sslops.cli.options import current
from sslops.errors import ExitCode, UsageError

if TYPE_CHECKING:
    from collections.abc import Sequence
    from datetime import timedelta

    from sslops.app.session import Session
    from sslops.errors import SslopsError
    from sslops.model.heartbeat import StageHeartbeat
    from sslops.notify.news import Notice


@click.command(
    name="notify", epilog=options.examples("sslops notify", "sslops notify --under 14d --max-age 26h --apply")
)
@options.apply()
@options.fetch()
@click.option(
    "--under",
    default="7d",
    callback=options.span,
    metavar="AGE",
    help="Tell of certificates with less than this left: 36h, 7d (the default).",
)
@click.option(
    "--max-age",
    callback=options.span,
    metavar="AGE",
    help="Tell of stages whose heartbeat is older than this, as watchdog does.",
)
def command(*, apply: bool, fetch: bool, under: timedelta, max_age: timedelta | None) -> ExitCode:
    """Tell people what changed for the worse since the last time, and what of that is over.

    That is what status fails for, what is blocked, hosts that a deploy failed at, certificates that end soon, stages
    that are overdue. What was sent is remembered on the remote, so that it is sent once, whichever job runs this;
    nothing is sent when nothing is new. Without --apply it is only printed.

    Where it goes comes by environment: SSLOPS_NOTIFY_URL (a webhook; SSLOPS_NOTIFY_FORM is json, slack, mattermost or
    matrix, SSLOPS_NOTIFY_TOKEN a bearer token), SSLOPS_NOTIFY_COMMAND (gets the JSON on stdin), SSLOPS_NOTIFY_MAIL
    (addresses; SSLOPS_NOTIFY_FROM, SSLOPS_NOTIFY_SMTP host:port, else sendmail).
    """
    from sslops.app.entry import ops_repository
    from sslops.notify.news import since
    from sslops.notify.senders import Destinations
    from sslops.repo.engine_refs import read_told, write_told
    from sslops.system.own_environment import environment

    session = current()
    destinations = Destinations.of(environment())
    if apply and not destinations.are_any:
        message = "nobody is to be told: none of SSLOPS_NOTIFY_URL, SSLOPS_NOTIFY_COMMAND and SSLOPS_NOTIFY_MAIL is set"
        raise UsageError(message, hint="docs/monitoring.md has the variables")
    ops = ops_repository(session)
    found = _notices(session, under, max_age, fetch=fetch or apply)
    with ops.lock():
        news = since(found, read_told(ops.git))
        session.show("\n".join([news.headline, *news.lines()]) if news.is_any else "nothing new")
        if not news.is_any or not apply:
            return ExitCode.DONE
        failures = list(destinations.send(news, _site(session), session.now))
        for failure in failures:
            session.complain(failure)
        if failures:
            return ExitCode.FAILED
        write_told(ops.git, news.open)
    return ExitCode.DONE


def _notices(session: Session, under: timedelta, max_age: timedelta | None, *, fetch: bool) -> tuple[Notice, ...]:
    from sslops.app.heartbeats import known_heartbeats, stages_here
    from sslops.cli.status import report_of
    from sslops.model.heartbeat import judge
    from sslops.notify.news import notices

    faults: tuple[SslopsError, ...]
    report, faults = report_of(session, (), fetch=fetch)
    late: Sequence[StageHeartbeat] = ()
    if max_age is not None:
        judged = judge(known_heartbeats(session), stages_here(session), session.now, max_age)
        late = tuple(each for each in judged if each.is_late)
    return notices(report, under, late, faults)


def _site(session: Session) -> str:
    """Name the repository: as its forge does, else by its folder."""
    return session.job.project or session.folder.name
