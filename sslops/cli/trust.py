"""`sslops trust`: how this machine, or another, comes to trust the roots of the own CAs."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import click

from sslops.cli import options
from sslops.cli.options import current
from sslops.errors import ExitCode, UsageError
from sslops.system.files import writing

if TYPE_CHECKING:
    from collections.abc import Mapping


@click.command(name="trust", epilog=options.examples("sslops trust"))
@click.option(
    "--export",
    "folder",
    metavar="DIR",
    type=click.Path(file_okay=False, path_type=Path),
    help="Write each root to DIR as SERVICE.crt, under the same name after every renewal.",
)
def command(folder: Path | None) -> ExitCode:
    """Print how to trust the roots of the own CAs that are live on main: Debian, Fedora, Arch, NSS (Firefox, Chromium).

    Nothing on this machine is changed but the files that --export writes.

    Example: sslops trust --export /srv/trust
    """
    from sslops.app.subjects import own_roots
    from sslops.report.trust import as_text

    session = current()
    roots = own_roots(session)
    if not roots:
        raise UsageError("no own root is live on main", hint="sslops renew --apply, then sslops roll --apply")
    if folder is not None:
        _export(roots, session.start / folder)
    session.show(as_text(roots, None if folder is None else str(folder)))
    return ExitCode.DONE


def _export(roots: Mapping[str, bytes], folder: Path) -> None:
    with writing(folder):
        folder.mkdir(parents=True, exist_ok=True)
        for service, pem in roots.items():
            (folder / f"{service.partition('/')[2]}.crt").write_bytes(pem)
