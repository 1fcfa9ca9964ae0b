"""`sslops verify`: is a certificate good? Dates, chain, purpose, names, key, revocation; the exit code says it."""

from __future__ import annotations

from pathlib import Path

import click

from sslops.cli import options
from sslops.cli.options import current
from sslops.errors import ExitCode

_FILE = click.Path(exists=True, dir_okay=False, path_type=Path)


@click.command(
    name="verify",
    epilog=options.examples(
        "sslops verify mail.example.com:25 --name mail.example.com",
        "sslops verify cert.pem --chain chain.pem --key privkey.pem",
    ),
)
@click.argument("subject", metavar="FILE|HOST:PORT|GROUP/SVC|-")
@click.option("--chain", type=_FILE, metavar="FILE", help="Certificates between it and a root, beside those it brings.")
@click.option("--root", "roots", type=_FILE, multiple=True, metavar="FILE", help="Trust these roots and no others.")
@click.option("--key", type=_FILE, metavar="FILE", help="The private key that should belong to it.")
@click.option("--name", "names", multiple=True, metavar="HOST", help="A name or address it must be for.")
@click.option("--offline", is_flag=True, help="Do not fetch the CA's list of revoked certificates.")
@options.starttls()
@options.json()
def command(  # a verb has as many options as it has questions
    *,
    subject: str,
    chain: Path | None,
    roots: tuple[Path, ...],
    key: Path | None,
    names: tuple[str, ...],
    offline: bool,
    starttls: str | None,
    as_json: bool,
) -> ExitCode:
    """Verify a certificate: dates, chain to a root, purpose, names, key, and revocation where the CA says it.

    Without --root the own CAs of this repository and the roots of this machine are trusted. Of a port the name it was
    asked by must be in the certificate. Exit 1 when any check fails.

    Example: sslops verify mail.example.com:25 --root state/ca/my-root/GENERATION/cert.pem
    """
    from sslops.app.subjects import find_subject, known_roots
    from sslops.model.secret import Secret
    from sslops.pki.verification import Expected, verify
    from sslops.probe.documents import fetch
    from sslops.report.inspection import checks_as_json, checks_as_text

    session = current()
    found = find_subject(session, subject, starttls=starttls, server_name=names[0] if names else None)
    expected = Expected(
        roots=[root.read_bytes() for root in roots] or known_roots(session),
        now=session.now,
        names=names or ((found.host,) if found.host else ()),
        key=Secret(key.read_bytes()) if key else None,
        fetch=None if offline else fetch,
    )
    checks = verify(found.content + (chain.read_bytes() if chain else b""), expected)
    session.show(checks_as_json([(found.name, checks)]) if as_json else checks_as_text(found.name, checks))
    return ExitCode.DONE if all(check.is_good for check in checks) else ExitCode.FAILED
