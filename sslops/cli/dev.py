"""`sslops dev`: the single steps of a service's life, as ssl-mgr's `dev` options name them."""

from __future__ import annotations

from typing import TYPE_CHECKING

import click

from sslops.app.dashboard import with_dashboard
from sslops.cli import options, stage
from sslops.cli.options import current
from sslops.errors import UsageError

if TYPE_CHECKING:
    from sslops.app.site import Site
    from sslops.errors import ExitCode
    from sslops.issue.rules import RenewOptions
    from sslops.roll.rules import RollOptions

NEXT_TO_CURR = "next-to-curr"
STEPS = ("keys", "csr", "cert", NEXT_TO_CURR)


@click.command(
    name="dev",
    epilog=options.examples(
        "sslops dev keys example.com/mail-ec",
        "sslops dev cert example.com/mail-ec --reason 'a test' --apply",
        "sslops dev next-to-curr example.com/mail-ec --apply",
    ),
)
@click.argument("step", type=click.Choice(STEPS))
@options.targets()
@options.reason("SSLOPS_DEV_REASON")
@stage.asked()
def command(asked: stage.Asked, *, step: str, reason: str) -> ExitCode:
    """Take a single step for each TARGET, under the same rules as the verb that takes it when it is due.

    keys: the key of the following generation, with its CSR; a prepublished one is replaced (renew).
    csr: the CSR as the inventory has it now, with a key of its own; nothing where it says that already (renew).
    cert: the certificate, due or not, for the prepublished key if there is one (renew --force).
    next-to-curr: promote next to curr without waiting for min_roll_mins (roll --force). It waits, all the same, until
    every cache has the TLSA record, and says until when: no step may break DANE.

    A step that has to wait says until when and why; one that cannot be taken at all fails. Hosts follow by deploy.
    """
    if not asked.request.targets:
        message = "a single step is for a service, and none is named"
        raise UsageError(message, hint=f"sslops dev {step} GROUP/SERVICE")
    if step == NEXT_TO_CURR:
        return _roll(asked, reason)
    if step == "cert" and not reason and current().job.is_job:
        message = "a forced renewal in a job needs a reason"
        raise UsageError(message, hint="--reason TEXT")

    def wanted(site: Site) -> RenewOptions:
        from sslops.issue.rules import Step

        return site.renew_options(step=Step(step), force=step == Step.CERT, said=reason)

    return stage.conduct(
        asked,
        lambda site: site.plan_renew(wanted(site)),
        lambda site: site.renew(wanted(site), asked.plan_digest),
        "renew",
    )


def _roll(asked: stage.Asked, reason: str) -> ExitCode:
    if reason:
        message = "a roll has no reason of its own: it promotes what is staged"
        raise UsageError(message, hint=f"sslops dev {NEXT_TO_CURR} TARGET --apply")

    def wanted(site: Site) -> RollOptions:
        return site.roll_options(force=True)

    return stage.conduct(
        asked,
        lambda site: site.plan_roll(wanted(site)),
        with_dashboard(lambda site: site.roll(wanted(site), asked.plan_digest)),
        "roll",
    )
