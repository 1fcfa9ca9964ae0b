"""`sslops report`: one page about the whole site, for people who look."""

from __future__ import annotations

from datetime import timedelta
from pathlib import Path
from typing import TYPE_CHECKING

import click

from sslops.cli import options
from sslops.cli.options import current
from sslops.errors import ExitCode

if TYPE_CHECKING:
    from sslops.app.site import Site


@click.command(name="report", epilog=options.examples("sslops report --html report.html"))
@click.option(
    "--html",
    required=True,
    type=click.Path(dir_okay=False, path_type=Path),
    metavar="FILE",
    help="Write the page to FILE.",
)
@click.option(
    "--ahead",
    default="90d",
    callback=options.span,
    metavar="SPAN",
    help="How far the planned steps go [90d]; 0d: none.",
)
@options.fetch()
def command(*, html: Path, ahead: timedelta | None, fetch: bool) -> ExitCode:
    """Write one page: what needs a person, every service with its time line, names with DANE, hosts, CAs, commits.

    The page is one file that needs no other and no script. It tells what the repository remembers and what `simulate`
    foresees; no server is asked, and the forge only where its token is at hand. It holds no secret, but names of hosts
    and certificates.
    """
    from sslops.app.entry import Request, carry_out
    from sslops.app.looks import report_page
    from sslops.system.files import write_whole

    session = current()

    def write(site: Site) -> str:
        return report_page(site, ahead or timedelta())

    write_whole(html, carry_out(session, Request(fetch=fetch), write).encode())
    session.say(f"the report is in '{html}'")
    return ExitCode.DONE
