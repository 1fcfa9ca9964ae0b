"""`sslops rekey`: the recipients of `.sops.yaml` changed, and keys are wrapped for those that it names now."""

from __future__ import annotations

from typing import TYPE_CHECKING

import click

from sslops.cli import options, stage

if TYPE_CHECKING:
    from sslops.errors import ExitCode


@click.command(name="rekey", epilog=options.examples("sslops rekey", "sslops rekey --apply"))
@stage.asked()
def command(asked: stage.Asked) -> ExitCode:
    """Encrypt the keys and accounts of state/ to the recipients that .sops.yaml on main names now.

    A person runs it after a recipient joined or left, with an identity that opens them (renew and deploy keys both).
    Keys are opened and encrypted in memory, and go to next in one commit; deploy and renew take them from there. Who
    left keeps what git history has: the commands that replace such keys are printed.
    """
    return stage.conduct(
        asked,
        lambda site: site.plan_rekey(),
        lambda site: site.rekey(asked.plan_digest),
    )
