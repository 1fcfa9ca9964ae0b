"""`sslops prune`: old generations leave `state/`."""

from __future__ import annotations

from typing import TYPE_CHECKING

import click

from sslops.cli import options, stage
from sslops.errors import UsageError

if TYPE_CHECKING:
    from sslops.app.site import Site
    from sslops.errors import ExitCode
    from sslops.prune.rules import PruneOptions


@click.command(name="prune", epilog=options.examples("sslops prune", "sslops prune --keep 2 --all --apply"))
@options.targets()
@click.option(
    "--keep",
    metavar="N",
    type=click.IntRange(min=1),
    help="Keep the newest N beside those in slots, instead of the inventory's clean_keep.",
)
@click.option(
    "--all",
    "every",
    is_flag=True,
    help="Also services that left the inventory, and those of groups that are not active.",
)
@stage.asked()
def command(asked: stage.Asked, *, keep: int | None, every: bool) -> ExitCode:
    """Take out of state/ the generations that nothing needs any more.

    What stays: every slot of main and of next, whatever a host may serve, a TLSA record names or a certificate of a
    generation that stays was signed with, CAs that have not expired, and beside those the newest clean_keep of each
    service. It is one commit on next; main follows with the next roll. Git keeps what was taken out.
    """
    if every and asked.request.targets:
        message = "--all and TARGET exclude each other"
        raise UsageError(message, hint="sslops prune --all")

    def wanted(site: Site) -> PruneOptions:
        return site.prune_options(keep=keep, every=every)

    return stage.conduct(
        asked,
        lambda site: site.plan_prune(wanted(site)),
        lambda site: site.prune(wanted(site), asked.plan_digest),
    )
