"""`sslops roll`: a ready `next` becomes `curr`."""

from __future__ import annotations

from typing import TYPE_CHECKING

import click

from sslops.verbs import options, stage
from sslops.wiring.telling import with_dashboard

if TYPE_CHECKING:
    from sslops.errors import ExitCode
    from sslops.roll.rules import RollOptions
    from sslops.wiring import Site


@click.command(name="roll")
@options.targets()
@click.option(
    "--force",
    is_flag=True,
    help="Skip min_roll_mins, a refusal and a declined merge request; never the rules that keep DANE whole.",
)
@click.option("--min-roll-mins", type=click.IntRange(min=0), help="Age of next in minutes, instead of the inventory's.")
@stage.asked()
def command(asked: stage.Asked, *, force: bool, min_roll_mins: int | None) -> ExitCode:
    """Make next curr, for every service (or TARGET) whose DNS has shown both for long enough."""

    def wanted(site: Site) -> RollOptions:
        return site.roll_options(force=force, min_roll_minutes=min_roll_mins)

    return stage.conduct(
        asked,
        lambda site: site.plan_roll(wanted(site)),
        with_dashboard(lambda site: site.roll(wanted(site), asked.plan_digest)),
    )
