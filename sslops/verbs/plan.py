"""`sslops plan`: what can be done now, stage by stage, and what waits."""

from __future__ import annotations

from typing import TYPE_CHECKING

import click

from sslops.verbs import options
from sslops.verbs.outcome import Form, finish
from sslops.verbs.session import current
from sslops.wiring import Request, Site, carry_out

if TYPE_CHECKING:
    from sslops.errors import ExitCode
    from sslops.model.inventory import Consent


@click.command(name="plan")
@options.targets()
@options.accept()
@options.fetch()
@options.json()
@options.markdown()
@options.detailed_exitcode()
def command(
    *,
    targets: tuple[str, ...],
    accept: tuple[Consent, ...],
    fetch: bool,
    as_json: bool,
    as_markdown: bool,
    detailed_exitcode: bool,
) -> ExitCode:
    """Show what can be done now, what waits, until when and why. Changes nothing.

    It looks at DNS; the inventory is the one in the working tree.
    """
    session = current()
    outcome = carry_out(session, Request(fetch=fetch, accept=accept, targets=targets), Site.plan)
    return finish(session, outcome, Form(as_json, as_markdown, detailed_exitcode))
