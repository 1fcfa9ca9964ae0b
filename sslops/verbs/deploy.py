"""`sslops deploy`: hosts serve what `main` says, and it is proven."""

from __future__ import annotations

from typing import TYPE_CHECKING

import click

from sslops.verbs import options
from sslops.verbs.outcome import Form, Outcome, finish
from sslops.verbs.session import current
from sslops.wiring import Request, carry_out

if TYPE_CHECKING:
    from sslops.errors import ExitCode
    from sslops.model.inventory import Consent
    from sslops.wiring import Site


@click.command(name="deploy")
@options.targets()
@options.apply()
@click.option("--host", "hosts", multiple=True, metavar="HOST", help="Only this host, now: its backoff does not count.")
@click.option("--force-restart", is_flag=True, help="Restart although nothing changed, and prove again what is served.")
@click.option("--forget", multiple=True, metavar="HOST", help="End the entries of a host that left the inventory.")
@options.plan_digest()
@options.accept()
@options.fetch()
@options.json()
@options.detailed_exitcode()
def command(
    *,
    targets: tuple[str, ...],
    apply: bool,
    hosts: tuple[str, ...],
    force_restart: bool,
    forget: tuple[str, ...],
    plan_digest: str | None,
    accept: tuple[Consent, ...],
    fetch: bool,
    as_json: bool,
    detailed_exitcode: bool,
) -> ExitCode:
    """Make hosts serve what main says: send, switch, restart, verify; go back once when that fails.

    Only what changed is sent. A host that is down delays only itself.
    """
    session = current()
    request = Request(apply, fetch, accept, targets)

    def act(site: Site) -> Outcome:
        asked = site.deploy_options(hosts=hosts, force_restart=force_restart, forget=forget)
        return site.deploy(asked, plan_digest) if apply else Outcome(site.plan_deploy(asked))

    return finish(session, carry_out(session, request, act), Form(as_json=as_json, detailed=detailed_exitcode))
