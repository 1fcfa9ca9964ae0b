"""`sslops publish`: TLSA include files to the DNS repository."""

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


@click.command(name="publish")
@options.apply()
@options.plan_digest()
@options.accept()
@options.fetch()
@options.json()
@options.detailed_exitcode()
def command(
    *,
    apply: bool,
    plan_digest: str | None,
    accept: tuple[Consent, ...],
    fetch: bool,
    as_json: bool,
    detailed_exitcode: bool,
) -> ExitCode:
    """Bring the TLSA include files in the DNS repository up to date.

    Every active group is rendered. A record is added when something will need it and withdrawn when nothing does.
    """
    session = current()
    request = Request(apply=apply, fetch=fetch, accept=accept)

    def act(site: Site) -> Outcome:
        return site.publish(plan_digest) if apply else Outcome(site.plan_publish())

    return finish(session, carry_out(session, request, act), Form(as_json=as_json, detailed=detailed_exitcode))
