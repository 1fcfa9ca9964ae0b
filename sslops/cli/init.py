"""`sslops init DIR`: a new ops repository, made at once, and the two age identities it needs."""

from __future__ import annotations

import os
import shlex
from pathlib import Path
from typing import TYPE_CHECKING

import click

from sslops.ci.secrets import ROWS
from sslops.cli.options import current
from sslops.errors import ExitCode
from sslops.model.forges import Forge

if TYPE_CHECKING:
    from collections.abc import Sequence

    from sslops.init.identities import Identity


@click.command("init")
@click.argument("directory", metavar="DIR", type=click.Path(path_type=Path))
@click.option(
    "--forge",
    type=click.Choice([str(forge) for forge in Forge]),
    help="Add the jobs for this forge, and name their secrets.",
)
def command(directory: Path, forge: str | None) -> ExitCode:
    """Make a new ops repository in DIR: one commit on main, no remote.

    Two age identities are put into $XDG_CONFIG_HOME/sslops, renew.key and deploy.key, unless they are there.
    """
    from sslops.init.identities import identities
    from sslops.init.repository import make_repository, require_empty

    session = current()
    wanted = Forge.of(forge) if forge else None
    folder = (session.start / directory).absolute()
    require_empty(folder)
    found = identities(os.environ)
    renew, deploy = found
    make_repository(folder, {"renew": renew.recipient, "deploy": deploy.recipient}, forge=wanted)
    session.show(_told(directory, found))
    if wanted is not None:
        session.show(_secrets(wanted, found))
    return ExitCode.DONE


def _told(directory: Path, identities: Sequence[Identity]) -> str:
    return "\n".join(
        [
            f"made '{directory}': an ops repository with an example inventory, one commit on main",
            *(f"{'reused' if each.is_reused else 'made'} '{each.path}': {each.recipient}" for each in identities),
            "",
            "Whoever has the identities can open the private keys: keep a copy of both offline.",
            "Next, once the inventory says what you want:",
            "",
            f"  cd {shlex.quote(str(directory))}",
            "  sslops check",
            "  sslops plan",
        ]
    )


def _secrets(forge: Forge, identities: Sequence[Identity]) -> str:
    """Name every secret of every job, and for the identities the file whose content it is."""
    files = dict(zip(("renew", "deploy"), (each.path for each in identities), strict=True))
    place = "in the environment '{}'" if forge.row.has_environments else "in the repository, for the job '{}'"
    lines = ["", f"Then push it to {forge.label}, with these secrets ({forge.guide}):"]
    width = max(len(row.name_on(forge, job)) for job, rows in ROWS.items() for row in rows)
    for job, rows in ROWS.items():
        lines += ["", f"  {place.format(job)}"]
        for row in rows:
            content = f"the line AGE-SECRET-KEY-... of '{files[job]}'" if row.name == "SOPS_AGE_KEY" else row.content
            lines.append(f"    {row.name_on(forge, job):<{width}}  {content} ({row.when})")
    lines += ["", "Last the variable SSLOPS_ENABLED=true: without it, as in a fork, nothing starts by itself."]
    return "\n".join(lines)
