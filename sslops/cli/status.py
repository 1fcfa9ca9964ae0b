"""`sslops status`: where every service stands, read from the repository alone."""

from __future__ import annotations

from typing import TYPE_CHECKING

import click

from sslops.cli import options
from sslops.cli.options import current
from sslops.errors import ExitCode

if TYPE_CHECKING:
    from sslops.app.session import Session
    from sslops.errors import SslopsError
    from sslops.report.live import LiveView
    from sslops.report.status import StatusReport


@click.command("status")
@options.targets()
@click.option("--live", is_flag=True, help="Ask the name servers and the servers' ports too.")
@options.fetch()
@options.json()
@options.markdown()
def command(targets: tuple[str, ...], *, live: bool, fetch: bool, as_json: bool, as_markdown: bool) -> ExitCode:
    """Show every service (or TARGET): its phase, days left, what it waits for, which hosts serve it.

    Reads the repository as last fetched and, without --live, nothing else: no DNS, no server. Changes nothing, ever.
    Exit 1 when a certificate that is to be served has expired.
    """
    from sslops.report import status

    session = current()
    report, faults = _report(session, targets, fetch=fetch)
    shown = _live(session, targets) if live else None
    for fault in faults:
        session.complain(fault)
    session.summarise(status.as_markdown(report))
    if as_json:
        session.show(status.as_json(report, shown.as_json() if shown else None))
        return _exit_code(report, faults)
    if as_markdown:
        session.show(status.as_markdown(report))
    elif session.is_terminal:
        session.show(status.as_rich(report), styled=True)
    else:
        session.show(status.as_text(report))
    if shown is not None:
        session.show(f"\n{shown.as_text()}")
    return _exit_code(report, faults)


def _exit_code(report: StatusReport, faults: tuple[SslopsError, ...]) -> ExitCode:
    """Return 1 when something that is to be served has expired, or next contradicts main."""
    from sslops.report.status import Phase

    is_expired = any(each.phase is Phase.EXPIRED for each in report.services)
    return ExitCode.FAILED if is_expired or faults else ExitCode.DONE


def _live(session: Session, targets: tuple[str, ...]) -> LiveView:
    from sslops.app.entry import Request, carry_out
    from sslops.app.looks import live

    return carry_out(session, Request(targets=targets), live)


def _report(session: Session, targets: tuple[str, ...], *, fetch: bool) -> tuple[StatusReport, tuple[SslopsError, ...]]:
    """Return the report, and what makes `next` unbelievable."""
    from sslops.inventory.files import read_folder
    from sslops.inventory.loading import load
    from sslops.inventory.reach import deliveries
    from sslops.inventory.targets import parse_targets
    from sslops.repo.git import Git
    from sslops.repo.store import OpsRepo
    from sslops.report.status import receivers, status_report

    inventory = load(read_folder(session.folder))
    wanted = parse_targets(targets, inventory)
    git = Git.discover(session.folder)
    if fetch:
        from sslops.app.forges import ops_clone

        git = ops_clone(git, inventory.repo)
    repository = OpsRepo(git, inventory.repo)
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
        None if inventory.repo.forge == "none" else snapshot.proposed,
    )
    return report.only(wanted), snapshot.faults
