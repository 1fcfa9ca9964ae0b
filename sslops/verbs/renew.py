"""`sslops renew`: keys, CSRs and certificates for what is due, onto the branch next."""

from __future__ import annotations

from typing import TYPE_CHECKING

import click

from sslops.errors import UsageError
from sslops.verbs import options, stage

if TYPE_CHECKING:
    from sslops.errors import ExitCode
    from sslops.issue.rules import RenewOptions
    from sslops.wiring import Site


@click.command(name="renew")
@options.targets()
@click.option("--force", is_flag=True, help="Renew although nothing is due.")
@click.option("--new-key", is_flag=True, help="Discard the key on deck (it leaked, say) and make a new one.")
@click.option("--reuse-key", is_flag=True, help="Certify the key that is live once more.")
@click.option("--staging", is_flag=True, help="Rehearse at the CAs' staging servers; nothing of it is ever rolled.")
@stage.asked()
def command(asked: stage.Asked, *, force: bool, new_key: bool, reuse_key: bool, staging: bool) -> ExitCode:
    """Renew what is due: keys, CSRs and certificates, signers first.

    Due is asked of the newest certificate, the one on deck or else the live one. What is on deck and due again, or
    forced, keeps its own key.
    """
    if new_key and reuse_key:
        message = "--new-key and --reuse-key exclude each other"
        raise UsageError(message)

    def wanted(site: Site) -> RenewOptions:
        return site.renew_options(force=force, new_key=new_key, reuse_key=reuse_key, staging=staging)

    def place(site: Site) -> Site:
        return site.rehearsing() if staging else site

    return stage.conduct(
        asked,
        lambda site: place(site).plan_renew(wanted(site)),
        lambda site: place(site).renew(wanted(site), asked.plan_digest),
    )
