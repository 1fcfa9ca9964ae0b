"""`sslops init DIR`: a new ops repository, made at once, and the two age identities it needs."""

from __future__ import annotations

import os
import shlex
from pathlib import Path
from typing import TYPE_CHECKING

import click

from sslops.ci.secrets import ROWS, Need
from sslops.cli import options
from sslops.cli.options import current
from sslops.errors import ExitCode
from sslops.model.forges import Forge

if TYPE_CHECKING:
    from collections.abc import Sequence

    from sslops.init.identities import Identity
    from sslops.init.signing import SigningKey


@click.command(name="init", epilog=options.examples("sslops init ops", "sslops init ops --forge gitlab"))
@click.argument("directory", metavar="DIR", type=click.Path(path_type=Path))
@click.option(
    "--forge",
    type=click.Choice([str(forge) for forge in Forge]),
    help="Add the jobs for this forge, and name their secrets.",
)
def command(directory: Path, forge: str | None) -> ExitCode:
    """Make a new ops repository in DIR: one commit on main, no remote.

    Two age identities are put into $XDG_CONFIG_HOME/sslops, renew.key and deploy.key, unless they are there. With
    --forge so is an ssh key, signing.key: only commits that it signs count on the branches of the bot.

    Example: sslops init certs --forge gitlab
    """
    from sslops.init.identities import identities
    from sslops.init.repository import make_repository, require_empty
    from sslops.init.signing import signing_key

    session = current()
    wanted = Forge.of(forge) if forge else None
    folder = (session.start / directory).absolute()
    require_empty(folder)
    found = identities(os.environ)
    renew, deploy = found
    signing = signing_key(os.environ) if wanted is not None else None
    recipients = {"renew": renew.recipient, "deploy": deploy.recipient}
    make_repository(folder, recipients, forge=wanted, signing=signing)
    session.show(_told(directory, found, signing))
    if wanted is not None and signing is not None:
        session.show(_secrets(wanted, found, signing))
    return ExitCode.DONE


def _told(directory: Path, identities: Sequence[Identity], signing: SigningKey | None) -> str:
    keys = [(each.path, each.recipient, each.is_reused) for each in identities]
    keys += [(signing.path, f"{signing.public}, in 'allowed_signers'", signing.is_reused)] if signing else []
    return "\n".join(
        [
            f"made '{directory}': an ops repository with an example inventory, one commit on main",
            *(f"{'reused' if is_reused else 'made'} '{path}': {public}" for path, public, is_reused in keys),
            "",
            "Whoever has the identities can open the private keys: keep a copy of both offline.",
            "Next, once the inventory says what you want:",
            "",
            f"  cd {shlex.quote(str(directory))}",
            "  sslops check",
            "  sslops plan",
        ]
    )


def _secrets(forge: Forge, identities: Sequence[Identity], signing: SigningKey) -> str:
    """Name every secret of every job, and for the identities and the signing key the file whose content it is."""
    files = dict(zip(("renew", "deploy"), (each.path for each in identities), strict=True))
    place = "in the environment '{}'" if forge.row.has_environments else "in the repository, for the job '{}'"
    lines = ["", f"Then push it to {forge.label}, with these secrets ({forge.guide}):"]
    width = max(len(row.name_on(forge, job)) for job, rows in ROWS.items() for row in rows)
    for job, rows in ROWS.items():
        lines += ["", f"  {place.format(job)}"]
        for row in rows:
            content = f"the line AGE-SECRET-KEY-... of '{files[job]}'" if row.name == "SOPS_AGE_KEY" else row.content
            content = f"the whole file '{signing.path}'" if row.need is Need.SIGNING else content
            lines.append(f"    {row.name_on(forge, job):<{width}}  {content} ({row.when})")
    lines += ["", "Last the variable SSLOPS_ENABLED=true: without it, as in a fork, nothing starts by itself."]
    return "\n".join(lines)
