"""`sslops doctor`: what is missing on this machine, and for which verb."""

from __future__ import annotations

from typing import TYPE_CHECKING

import click

from sslops.cli import options
from sslops.cli.options import current
from sslops.errors import ExitCode, UsageError
from sslops.system.own_environment import environment

if TYPE_CHECKING:
    from pathlib import Path

    from sslops.app.session import Session


VERBS = ("check", "plan", "renew", "publish", "roll", "deploy", "run", "status")


@click.command(name="doctor", epilog=options.examples("sslops doctor", "sslops doctor deploy"))
@click.argument("verbs", nargs=-1, type=click.Choice(VERBS), metavar="[VERB]...")
@options.json()
def command(verbs: tuple[str, ...], *, as_json: bool) -> ExitCode:
    """Look for what VERB needs (default: any verb) and say how to get what is missing.

    Exit 1 when something that VERB needs is missing. Nothing is changed.
    """
    from sslops.doctor.examination import examine
    from sslops.doctor.findings import is_ill
    from sslops.report import doctor

    session = current()
    findings = tuple(each for each in examine(_folder(session), environment(), session.now) if each.concerns(verbs))
    session.show(doctor.as_json(findings) if as_json else doctor.as_text(findings))
    return ExitCode.FAILED if is_ill(findings) else ExitCode.DONE


def _folder(session: Session) -> Path | None:
    """Return the ops repository; null when there is none, which a fresh machine may be in."""
    try:
        return session.folder
    except UsageError:
        return None
