"""`sslops status`: where every service stands, read from the repository alone."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import click

from sslops.cli import options
from sslops.cli.options import current
from sslops.errors import ExitCode

if TYPE_CHECKING:
    from datetime import timedelta

    from sslops.app.session import Session
    from sslops.errors import SslopsError
    from sslops.report.live import LiveView
    from sslops.report.status import StatusReport


@click.command(name="status", epilog=options.examples("sslops status", "sslops status --live --fail-under 7d"))
@options.targets()
@click.option("--live", is_flag=True, help="Ask the name servers and the servers' ports too.")
@click.option("-v", "--verbose", is_flag=True, help="Show names, issuer, key and lifetime of each certificate too.")
@click.option(
    "--fail-under",
    metavar="SPAN",
    callback=options.span,
    help="Exit 1 when a certificate that is to be served has less left: 7d, 36h.",
)
@click.option(
    "--prometheus",
    type=click.Path(dir_okay=False, path_type=Path),
    metavar="FILE",
    help="Write metrics to FILE too, for node_exporter's textfile collector.",
)
@options.fetch()
@options.json()
@options.markdown()
def command(
    *,
    targets: tuple[str, ...],
    live: bool,
    verbose: bool,
    fail_under: timedelta | None,
    prometheus: Path | None,
    fetch: bool,
    as_json: bool,
    as_markdown: bool,
) -> ExitCode:
    """Show every service (or TARGET): its phase, days left, what it waits for, which hosts serve it.

    Reads the repository as last fetched and, without --live, nothing else: no DNS, no server. Changes nothing but the
    FILE of --prometheus.
    Exit 1 when a certificate that is to be served has expired, when what a host may serve has no TLSA record that
    matches it, and with --live when git, DNS (TLSA, MTA-STS, TLS-RPT) and what is served differ or something gives no
    answer; the first line then says so.
    """
    from sslops.report import status

    session = current()
    report, faults = report_of(session, targets, fetch=fetch)
    shown = _live(session, targets) if live else None
    for fault in faults:
        session.complain(fault)
    if shown is not None:
        report = report.alarmed(shown.alarms())
    if fail_under is not None:
        report = report.alarmed(report.ending(fail_under))
    if prometheus is not None:
        from sslops.report.metrics import exposition
        from sslops.system.files import write_whole

        write_whole(prometheus, exposition(report, is_live=live).encode())
    code = ExitCode.FAILED if report.alarms or faults else ExitCode.DONE
    markdown = status.as_markdown(report, verbose=verbose)
    session.summarise(markdown)
    if as_json:
        session.show(status.as_json(report, shown.as_json() if shown else None, verbose=verbose))
        return code
    if shown is not None and not report.alarms:
        session.show(f"{shown.verdict()}\n")
    if as_markdown:
        session.show(markdown)
    elif session.is_terminal:
        session.show(status.as_rich(report, verbose=verbose, is_coloured=session.paint.is_on), styled=True)
    else:
        session.show(status.as_text(report, verbose=verbose))
    if shown is not None and not as_markdown:
        session.show(f"\n{shown.as_text()}")
    return code


def _live(session: Session, targets: tuple[str, ...]) -> LiveView:
    from sslops.app.entry import Request, carry_out
    from sslops.app.looks import live

    return carry_out(session, Request(targets=targets), live)


def report_of(
    session: Session, targets: tuple[str, ...], *, fetch: bool
) -> tuple[StatusReport, tuple[SslopsError, ...]]:
    """Return the report, and what makes `next` unbelievable."""
    from sslops.inventory.files import read_folder
    from sslops.inventory.loading import load
    from sslops.inventory.reach import deliveries
    from sslops.inventory.targets import parse_targets
    from sslops.pki.stored import StoredMaterial
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
            snapshot = repository.fetch()
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
        StoredMaterial(repository, snapshot),
    )
    return report.only(wanted), (*repository.forged(snapshot), *snapshot.faults)
