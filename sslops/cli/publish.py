"""`sslops publish`: TLSA include files to the DNS repository."""

from __future__ import annotations

from typing import TYPE_CHECKING

import click

from sslops.app.site import Site
from sslops.cli import options, stage

if TYPE_CHECKING:
    from sslops.errors import ExitCode


@click.command(name="publish", epilog=options.examples("sslops publish", "sslops publish --apply"))
@click.option("--force", is_flag=True, help="Propose once more what a person declined by closing a merge request.")
@stage.asked()
def command(asked: stage.Asked, *, force: bool) -> ExitCode:
    """Bring the TLSA include files in the DNS repository up to date.

    Every active group is rendered. A record is added when something will need it and withdrawn when nothing does.
    """
    return stage.conduct(asked, Site.plan_publish, lambda site: site.publish(asked.plan_digest, force=force))
