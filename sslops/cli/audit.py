"""`sslops audit`: does all of history keep the rules, and which certificate came how?"""

from __future__ import annotations

import click

from sslops.cli import options
from sslops.cli.options import current
from sslops.errors import ExitCode


@click.command(name="audit", epilog=options.examples("sslops audit", "sslops audit --since 2026-01-01 --json"))
@click.option("--since", metavar="DATE|COMMIT", help="Judge what is not older than this date or commit.")
@options.fetch()
@options.json()
def command(*, since: str | None, fetch: bool, as_json: bool) -> ExitCode:
    """Replay the history of state/, the ledger and the DNS repository, and name the first commit that breaks a rule.

    Asked is: trailers complete, signatures good, nobody else's contents, issued generations unchanged, each roll
    allowed by the evidence recorded at that time, no private key in clear in any commit, recipients as .sops.yaml said
    then. After that every certificate: when, by whom, why, which run, which merge request, which CT logs. Exit 1 when a
    rule is broken or a repository could not be read; what could not be judged is listed as not proved.

    Example: sslops audit --since 2026-11-01 --json
    """
    from sslops.app.audit import audit
    from sslops.report import audit as report

    session = current()
    found = audit(session, since=since, fetch=fetch)
    session.show(report.as_json(found) if as_json else report.as_text(found))
    for failure in found.failures:
        session.complain(failure)
    return ExitCode.FAILED if found.breaches or found.failures else ExitCode.DONE
