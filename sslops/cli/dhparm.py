"""`sslops dhparm DIR`: Diffie-Hellman parameters of RFC 7919 as files, for daemons that want one."""

from __future__ import annotations

from pathlib import Path

import click

from sslops.cli import options
from sslops.cli.options import current
from sslops.errors import ExitCode
from sslops.pki.dh_groups import GROUPS, parameters
from sslops.system.files import writing

DEFAULT = "ffdhe4096"
LINK = "dhparam.pem"


@click.command(name="dhparm", epilog=options.examples("sslops dhparm /etc/ssl-mgr/dh --group ffdhe4096"))
@click.argument("folder", metavar="DIR", type=click.Path(file_okay=False, path_type=Path))
@click.option("-k", "--group", "groups", multiple=True, type=click.Choice(GROUPS), help=f"Default: {DEFAULT}.")
def command(*, folder: Path, groups: tuple[str, ...]) -> ExitCode:
    """Write `dh-GROUP.pem` into DIR for each group of RFC 7919, and `dhparam.pem`, a link to the first.

    What is there already is left as it is: the groups are public constants, and never need renewal.

    Example: sslops dhparm /etc/ssl/dh -k ffdhe2048 -k ffdhe4096
    """
    session = current()
    top, chosen = session.start / folder, groups or (DEFAULT,)
    with writing(folder):
        top.mkdir(parents=True, exist_ok=True)
        for group in chosen:
            path = top / f"dh-{group}.pem"
            if not path.exists():
                path.write_bytes(parameters(group))
                session.show(f"wrote {folder / path.name}")
        link = top / LINK
        if not (link.exists() or link.is_symlink()):
            link.symlink_to(f"dh-{chosen[0]}.pem")
            session.show(f"linked {folder / LINK} -> dh-{chosen[0]}.pem")
    return ExitCode.DONE
