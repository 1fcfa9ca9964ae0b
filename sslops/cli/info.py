"""`sslops info`: what is in a key, a CSR, a certificate, a chain, a bundle or a sops document."""

from __future__ import annotations

import click

from sslops.cli import options
from sslops.cli.options import current
from sslops.errors import ExitCode


@click.command(name="info", epilog=options.examples("sslops info cert.pem", "sslops info mail.example.com:25"))
@click.argument("subjects", nargs=-1, required=True, metavar="FILE|HOST:PORT|GROUP/SVC|-...")
@options.starttls()
@options.server_name()
@options.json()
def command(*, subjects: tuple[str, ...], starttls: str | None, server_name: str | None, as_json: bool) -> ExitCode:
    """Show what is in keys, CSRs, certificates, chains, bundles and sops documents, or what a port shows.

    Only public facts: of a private key its type and the hash of its public half, of a sops document who can open it.
    GROUP/SVC is what is live on main. Exit 1 when something cannot be read.

    Example: sslops info /etc/ssl/mail.pem mail.example.com:25 example.com/mail-ec
    """
    from sslops.app.subjects import find_subject
    from sslops.pki.inspection import inspect
    from sslops.report.inspection import items_as_json, items_as_text

    session = current()
    asked = [find_subject(session, word, starttls=starttls, server_name=server_name) for word in subjects]
    found = [(subject.name, inspect(subject.content)) for subject in asked]
    if as_json:
        session.show(items_as_json(found))
    else:
        session.show("\n\n".join(items_as_text(name, items, session.now) for name, items in found))
    is_broken = any("error" in item.facts for _, items in found for item in items)
    return ExitCode.FAILED if is_broken else ExitCode.DONE
