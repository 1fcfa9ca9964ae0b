"""`sslops init DIR`: a new ops repository, made at once, and the two age identities it needs."""

from __future__ import annotations

import os
import shlex
from pathlib import Path
from typing import TYPE_CHECKING

import click

from sslops.errors import ExitCode
from sslops.verbs.session import current

if TYPE_CHECKING:
    from collections.abc import Sequence

    from sslops.init.identities import Identity


@click.command("init")
@click.argument("directory", metavar="DIR", type=click.Path(path_type=Path))
def command(directory: Path) -> ExitCode:
    """Make a new ops repository in DIR: one commit on main, no remote.

    Two age identities are put into $XDG_CONFIG_HOME/sslops, renew.key and deploy.key, unless they are there.
    """
    from sslops.init.identities import identities
    from sslops.init.repository import make_repository, require_empty

    session = current()
    folder = (session.start / directory).absolute()
    require_empty(folder)
    found = identities(os.environ)
    renew, deploy = found
    make_repository(folder, {"renew": renew.recipient, "deploy": deploy.recipient})
    session.show(_told(directory, found))
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
