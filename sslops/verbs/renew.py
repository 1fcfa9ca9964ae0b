"""`sslops renew`: keys, CSRs and certificates for what is due, onto the branch next."""

from __future__ import annotations

from typing import TYPE_CHECKING

import click

from sslops.errors import UsageError
from sslops.verbs import options
from sslops.verbs.outcome import Form, Outcome, finish
from sslops.verbs.session import current
from sslops.wiring import Request, carry_out

if TYPE_CHECKING:
    from sslops.errors import ExitCode
    from sslops.wiring import Site


@click.command(name="renew")
@options.targets()
@options.apply()
@click.option("--force", is_flag=True, help="Renew although nothing is due.")
@click.option("--new-key", is_flag=True, help="Discard the key on deck (it leaked, say) and make a new one.")
@click.option("--reuse-key", is_flag=True, help="Certify the key that is live once more.")
@click.option("--staging", is_flag=True, help="Rehearse at the CAs' staging servers; nothing of it is ever rolled.")
@options.plan_digest()
@options.fetch()
@options.json()
@options.detailed_exitcode()
def command(
    *,
    targets: tuple[str, ...],
    apply: bool,
    force: bool,
    new_key: bool,
    reuse_key: bool,
    staging: bool,
    plan_digest: str | None,
    fetch: bool,
    as_json: bool,
    detailed_exitcode: bool,
) -> ExitCode:
    """Renew what is due: keys, CSRs and certificates, signers first.

    Due is asked of the newest certificate, the one on deck or else the live one. What is on deck and due again, or
    forced, keeps its own key.
    """
    if new_key and reuse_key:
        message = "--new-key and --reuse-key exclude each other"
        raise UsageError(message)
    session = current()
    request = Request(apply=apply, fetch=fetch, targets=targets)

    def act(site: Site) -> Outcome:
        asked = site.renew_options(force=force, new_key=new_key, reuse_key=reuse_key, staging=staging)
        site = site.rehearsing() if staging else site
        return site.renew(asked, plan_digest) if apply else Outcome(site.plan_renew(asked))

    return finish(session, carry_out(session, request, act), Form(as_json=as_json, detailed=detailed_exitcode))
