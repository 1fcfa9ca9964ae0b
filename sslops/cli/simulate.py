"""`sslops simulate`: the coming weeks of this repository, step by step."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING

import click

from sslops.app.entry import Request, carry_out
from sslops.app.looks import foreseen
from sslops.cli import options
from sslops.cli.options import current
from sslops.errors import ExitCode
from sslops.model.outlook import Assumptions

if TYPE_CHECKING:
    from sslops.app.site import Site
    from sslops.model.outlook import Forecast


_HOUR = timedelta(hours=1)


def _day(_context: click.Context, _parameter: click.Parameter, given: str) -> datetime:
    try:
        return datetime.strptime(given, "%Y-%m-%d").replace(tzinfo=UTC)
    except ValueError:
        message = f"'{given}' is not a date like 2027-03-31"
        raise click.BadParameter(message) from None


@click.command(name="simulate", epilog=options.examples("sslops simulate --until 2030-03-31 --every 6h"))
@click.option("--until", required=True, metavar="DATE", callback=_day, help="Play until this day, as 2027-03-31.")
@click.option(
    "--lifetime",
    metavar="SPAN",
    callback=options.span,
    help="How long ACME certificates last [what Let's Encrypt announced; 90d of others].",
)
@click.option("--every", default="1h", metavar="SPAN", callback=options.span, help="How often the jobs run [1h].")
@click.option(
    "--merge-delay", default="0m", metavar="SPAN", callback=options.span, help="How long people take to merge [0m]."
)
@options.fetch()
@options.json()
def command(
    *, until: datetime, lifetime: timedelta | None, every: timedelta, merge_delay: timedelta, fetch: bool, as_json: bool
) -> ExitCode:
    """Play the time ahead: every step of renew, publish, roll and deploy, with its date. Changes nothing, asks nobody.

    The rules are the real ones; DNS and hosts are as the ledger knows them. A SPAN is a number and m, h or d: 160h.
    Exit 1 when something cannot work: a certificate that expires, a step that would break DANE, or one
    that waits for ever.
    """
    from sslops.report import forecast

    session = current()
    if every <= timedelta() or (lifetime or _HOUR) < _HOUR or until <= session.now:
        message = "--until must be ahead, and --every and --lifetime longer than nothing"
        raise click.UsageError(message)
    assumptions = Assumptions(until, every, merge_delay, lifetime)

    def play(site: Site) -> Forecast:
        return foreseen(site, assumptions)

    found = carry_out(session, Request(fetch=fetch), play)
    session.show(forecast.as_json(found) if as_json else forecast.as_text(found))
    return ExitCode.FAILED if found.flags else ExitCode.DONE
