"""`sslops demo`: the whole loop in a throw-away world, on real parts, checked as it goes."""

from __future__ import annotations

import tempfile
from pathlib import Path

import click

from sslops.cli import options
from sslops.cli.options import current
from sslops.errors import ExitCode


@click.command(name="demo", epilog=options.examples("sslops demo"))
@click.argument("directory", metavar="[DIR]", required=False, type=click.Path(path_type=Path))
def command(directory: Path | None) -> ExitCode:
    """Run the whole loop in a throw-away world: two cycles of renew, publish, roll and deploy.

    Everything happens on loopback and in DIR (default: a new temporary folder), which stays to be looked at.
    """
    from sslops.cli.main import run
    from sslops.demo.scenario import perform
    from sslops.demo.telling import Telling
    from sslops.init.repository import require_empty
    from sslops.system.files import writing

    session = current()
    if directory is None:
        folder = Path(tempfile.mkdtemp(prefix="sslops-demo-"))
    else:
        folder = (session.start / directory).absolute()
        require_empty(folder)
        with writing(folder):
            folder.mkdir(parents=True, exist_ok=True)
    telling = Telling(lambda line: session.show(line, styled=True), is_coloured=session.paint.is_on)
    perform(folder, telling, run)
    session.say(f"{len(telling.failed)} claims did not hold" if telling.failed else "every claim held")
    session.say(f"the world of the demo stays in '{folder}'; rm -r it when you have seen enough")
    return ExitCode.FAILED if telling.failed else ExitCode.DONE
