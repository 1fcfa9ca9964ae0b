"""`sslops roll`: a ready `next` becomes `curr`."""

from __future__ import annotations

from typing import TYPE_CHECKING

import click

from sslops.app.dashboard import with_dashboard
from sslops.cli import options, stage
from sslops.errors import UsageError

if TYPE_CHECKING:
    from sslops.app.site import Site
    from sslops.errors import ExitCode
    from sslops.roll.rules import RollOptions


@click.command(
    name="roll", epilog=options.examples("sslops roll --apply", "sslops roll --back example.com/mail-ec --apply")
)
@options.targets()
@click.option(
    "--force",
    is_flag=True,
    help="Skip min_roll_mins, a refusal and a declined merge request; never the rules that keep DANE whole.",
)
@click.option("--min-roll-mins", type=click.IntRange(min=0), help="Age of next in minutes, instead of the inventory's.")
@click.option("--back", is_flag=True, help="Take the last roll of each TARGET back: prev becomes curr again.")
@stage.asked()
def command(asked: stage.Asked, *, force: bool, min_roll_mins: int | None, back: bool) -> ExitCode:
    """Promote next to curr once every cache has its TLSA record, for every service or TARGET.

    With --back go the other way: what was live before becomes live again, by a merge request where main is reviewed.
    Hosts follow when every cache has its record. What is taken back is not rolled again without --force.
    """
    if back and not asked.request.targets:
        message = "'--back' needs at least one TARGET"
        raise UsageError(message, hint="sslops roll --back GROUP/SERVICE")

    def wanted(site: Site) -> RollOptions:
        return site.roll_options(force=force, min_roll_minutes=min_roll_mins, back=back)

    return stage.conduct(
        asked,
        lambda site: site.plan_roll(wanted(site)),
        with_dashboard(lambda site: site.roll(wanted(site), asked.plan_digest)),
    )
