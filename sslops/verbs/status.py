"""`sslops status`: where every service stands, read from the repository alone."""

from __future__ import annotations

from typing import TYPE_CHECKING

import click

from sslops.errors import ExitCode
from sslops.verbs import options
from sslops.verbs.session import current

if TYPE_CHECKING:
    from sslops.report.status_view import StatusReport
    from sslops.verbs.session import Session


@click.command("status")
@options.targets()
@options.fetch()
@options.json()
@options.markdown()
def command(targets: tuple[str, ...], *, fetch: bool, as_json: bool, as_markdown: bool) -> ExitCode:
    """Show every service (or TARGET): its phase, days left, what it waits for, which hosts serve it.

    Reads the repository as last fetched and nothing else: no DNS, no server. Changes nothing, ever.
    """
    from sslops.report import status

    session = current()
    report = _report(session, targets, fetch=fetch)
    if as_json:
        session.show(status.as_json(report))
    elif as_markdown:
        session.show(status.as_markdown(report))
    elif session.is_terminal:
        session.show(status.as_rich(report), styled=True)
    else:
        session.show(status.as_text(report))
    return ExitCode.DONE


def _report(session: Session, targets: tuple[str, ...], *, fetch: bool) -> StatusReport:
    from sslops.adapters.git import Git
    from sslops.inventory import load, read_folder
    from sslops.inventory.reach import deliveries
    from sslops.plan.targets import parse_targets
    from sslops.report.status_view import receivers, status_report
    from sslops.state.store import OpsRepo

    inventory = load(read_folder(session.folder))
    wanted = parse_targets(targets, inventory)
    repository = OpsRepo(Git.discover(session.folder), inventory.repo)
    if fetch:
        with repository.lock():
            snapshot = repository.refresh()
    else:
        snapshot = repository.snapshot()
    report = status_report(
        inventory,
        snapshot.branches,
        snapshot.ledger,
        receivers(deliveries(inventory)),
        session.now,
        repository.fetched_at(),
    )
    return report.only(wanted)
