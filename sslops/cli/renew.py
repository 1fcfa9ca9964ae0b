"""`sslops renew`: keys, CSRs and certificates for what is due, onto the branch next."""

from __future__ import annotations

from typing import TYPE_CHECKING

import click

from sslops.cli import options, stage
from sslops.cli.options import current
from sslops.errors import UsageError

if TYPE_CHECKING:
    from sslops.app.site import Site
    from sslops.cli.options import Decorator
    from sslops.errors import ExitCode
    from sslops.issue.rules import RenewOptions


def _flag(name: str, text: str) -> Decorator:
    """Take a flag that the form of a forge may set, through a variable of this verb's own."""
    return click.option(f"--{name}", is_flag=True, envvar=f"SSLOPS_RENEW_{name.upper().replace('-', '_')}", help=text)


@click.command(
    name="renew",
    epilog=options.examples(
        "sslops renew",
        "sslops renew --apply",
        "sslops renew example.com/mail-ec --new-key --reason 'the key leaked' --apply",
    ),
)
@options.targets("SSLOPS_RENEW_TARGETS")
@_flag("force", "Renew although nothing is due.")
@_flag("new-key", "Discard the staged key (it leaked, say) and make a new one.")
@_flag("reuse-key", "Certify the key that is live once more.")
@_flag("staging", "Rehearse at the CAs' staging servers; nothing of it is ever rolled.")
@click.option(
    "--new-account",
    "new_accounts",
    metavar="CA",
    multiple=True,
    help="Leave the account at this ACME CA (it was deactivated, say) and make a new one.",
)
@options.reason("SSLOPS_RENEW_REASON")
@stage.asked()
def command(
    asked: stage.Asked,
    *,
    force: bool,
    new_key: bool,
    reuse_key: bool,
    staging: bool,
    new_accounts: tuple[str, ...],
    reason: str,
) -> ExitCode:
    """Renew what is due: keys, CSRs and certificates, signers first.

    Renewal is decided by the newest certificate: the staged one if there is one, else the live one. A staged
    certificate that is due again, or forced, keeps its own key.

    A forge's form sets SSLOPS_RENEW_TARGETS, _FORCE, _NEW_KEY, _REUSE_KEY, _STAGING and _REASON.
    """
    if new_key and reuse_key:
        message = "--new-key and --reuse-key exclude each other"
        raise UsageError(message)
    if force and not reason and current().job.is_job:
        message = "a forced renewal in a job needs a reason"
        raise UsageError(message, hint="the form's field 'reason', or --reason TEXT")

    if reason and not (force or new_key or reuse_key or staging or new_accounts or asked.request.targets):
        message = "a reason was given for nothing: no target, and none of --force, --new-key, --reuse-key and --staging"
        raise UsageError(
            message, hint='a dispatch by API sets a box by "true", on Forgejo before 14 by "on"; docs/ci.md'
        )

    def wanted(site: Site) -> RenewOptions:
        return site.renew_options(
            force=force,
            new_key=new_key,
            reuse_key=reuse_key,
            staging=staging,
            said=reason,
            new_accounts=new_accounts,
        )

    def place(site: Site) -> Site:
        return site.rehearsing() if staging else site

    return stage.conduct(
        asked,
        lambda site: place(site).plan_renew(wanted(site)),
        lambda site: place(site).renew(wanted(site), asked.plan_digest),
    )
