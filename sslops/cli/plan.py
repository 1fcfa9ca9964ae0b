"""`sslops plan`: what can be done now, stage by stage, and what waits."""

from __future__ import annotations

from typing import TYPE_CHECKING

import click

from sslops.app.blocked import seen
from sslops.app.entry import Request, carry_out
from sslops.ci.matrix import FORMS
from sslops.cli import options
from sslops.cli.options import current
from sslops.cli.output import Form, finish
from sslops.errors import ExitCode, Faults

if TYPE_CHECKING:
    from collections.abc import Callable

    from sslops.app.outcome import Outcome
    from sslops.app.session import Session
    from sslops.app.site import Site
    from sslops.ci.matrix import Shards
    from sslops.model.inventory import Consent


@click.command(name="plan", epilog=options.examples("sslops plan", "sslops plan example.com/mail-ec --fetch --json"))
@options.targets()
@options.accept()
@options.fetch()
@options.json()
@options.markdown()
@click.option("--comment", "is_told", is_flag=True, help="Write it as a comment on the merge request of this job.")
@click.option("--request", "number", type=click.IntRange(min=1), metavar="NUMBER", help="Comment on this one instead.")
@click.option(
    "--matrix", type=click.Choice(FORMS), help="Print the shards of a fleet instead: renew by group, deploy by host."
)
@options.detailed_exitcode()
def command(
    *,
    targets: tuple[str, ...],
    accept: tuple[Consent, ...],
    fetch: bool,
    as_json: bool,
    as_markdown: bool,
    is_told: bool,
    number: int | None,
    matrix: str | None,
    detailed_exitcode: bool,
) -> ExitCode:
    """Show what can be done now, what waits, until when and why. Changes nothing.

    It looks at DNS; the inventory is the one in the working tree.
    """
    session = current()
    request, form = Request(fetch=fetch, accept=accept, targets=targets), Form(as_json, as_markdown, detailed_exitcode)
    if number is not None and not is_told:
        message = "--request goes with --comment"
        raise click.UsageError(message)
    act = _told(session, number) if is_told else _planned
    outcome = carry_out(session, request, act)
    return finish(session, outcome, form) if matrix is None else _sharded(session, outcome, FORMS[matrix])


def _planned(site: Site) -> Outcome:
    return seen(site, site.plan())


def _sharded(session: Session, outcome: Outcome, write: Callable[[Shards, Shards], str]) -> ExitCode:
    """Show the shards and nothing else; what failed is reported beside them."""
    from sslops.app.shards import matrix

    found = matrix(outcome.plan)
    session.show(write(found.renew, found.deploy))
    for failure in outcome.failures:
        session.complain(failure)
    return ExitCode.FAILED if outcome.failures else ExitCode.DONE


def _told(session: Session, asked: int | None) -> Callable[[Site], Outcome]:
    """Return what plans and comments; a broken inventory is commented on at once."""
    from sslops.app import dashboard as telling
    from sslops.inventory.files import read_folder
    from sslops.inventory.loading import load

    number = telling.request_number(session, asked)
    try:
        load(read_folder(session.folder))
    except Faults as error:
        telling.comment_faults(session, error, number)
        raise
    return lambda site: telling.comment_plan(site, _planned(site), number)
