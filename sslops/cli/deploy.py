"""`sslops deploy`: hosts serve what `main` says, and it is verified."""

from __future__ import annotations

from typing import TYPE_CHECKING

import click
from click.core import ParameterSource

from sslops.cli import options, stage

if TYPE_CHECKING:
    from sslops.app.site import Site
    from sslops.deploy.host_plan import DeployOptions
    from sslops.errors import ExitCode


_HOST = (
    "Only this host, now: its backoff does not count. SSLOPS_DEPLOY_HOSTS has those of a fleet's job, where it does."
)


def _print_receiver(context: click.Context, _: click.Parameter, is_asked: bool) -> None:  # noqa: FBT001  (click's)
    if is_asked:
        from sslops.deploy.receiver import forced_script

        click.echo(forced_script(), nl=False)
        context.exit()


@click.command(
    name="deploy", epilog=options.examples("sslops deploy", "sslops deploy --host smtp1.example.com --apply")
)
@options.targets()
@click.option(
    "--host",
    "hosts",
    multiple=True,
    metavar="HOST",
    envvar="SSLOPS_DEPLOY_HOSTS",
    shell_complete=options.hosts,
    help=_HOST,
)
@click.option("--force-restart", is_flag=True, help="Restart although nothing changed, and prove again what is served.")
@click.option("--forget", multiple=True, metavar="HOST", help="End the entries of a host that left the inventory.")
@click.option(
    "--print-receiver",
    is_flag=True,
    is_eager=True,
    expose_value=False,
    callback=_print_receiver,
    help="Print what a host may limit the deploy key to, and end: docs/deploy.md.",
)
@stage.asked()
def command(asked: stage.Asked, *, hosts: tuple[str, ...], force_restart: bool, forget: tuple[str, ...]) -> ExitCode:
    """Make hosts serve what main says: send, switch, restart, verify; go back once when that fails.

    Only what changed is sent. A host that is down delays only itself.
    """
    is_shard = click.get_current_context().get_parameter_source("hosts") is ParameterSource.ENVIRONMENT

    def wanted(site: Site) -> DeployOptions:
        return site.deploy_options(hosts=hosts, is_shard=is_shard, force_restart=force_restart, forget=forget)

    return stage.conduct(
        asked,
        lambda site: site.plan_deploy(wanted(site)),
        lambda site: site.deploy(wanted(site), asked.plan_digest),
    )
