"""`sslops schema`: the JSON Schemas of the inventory's files, for editors."""

from __future__ import annotations

from pathlib import Path

import click

from sslops.cli import options
from sslops.cli.options import current
from sslops.errors import ExitCode, UsageError
from sslops.inventory import validation as schemas


@click.command(
    name="schema", epilog=options.examples("sslops schema service", "sslops schema --write inventory/.schema")
)
@click.argument("name", required=False, type=click.Choice(schemas.NAMES))
@click.option("--write", "folder", metavar="DIR", type=click.Path(path_type=Path), help="Write all of them into DIR.")
def command(*, name: str | None, folder: Path | None) -> ExitCode:
    """Print the JSON Schema NAME: of sslops.yaml, of cas.yaml, or of a service's file.

    Without NAME, all three as one JSON object. Editors find them in `inventory/.schema` through the first line of each
    file; after an upgrade of sslops, `sslops schema --write inventory/.schema` writes them anew.
    """
    session = current()
    if folder is None:
        session.show((schemas.text(name) if name else schemas.texts()).rstrip("\n"))
        return ExitCode.DONE
    if name is not None:
        what = "a name and --write do not go together"
        raise UsageError(what, hint=f"sslops schema --write {folder}")
    for file in schemas.write(session.start / folder):
        session.show(f"wrote '{file}'")
    return ExitCode.DONE
