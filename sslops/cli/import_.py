"""`sslops import`: a site of ssl-mgr, certbot, lego or acme.sh becomes an ops repository; the old tree is only read."""

from __future__ import annotations

import os
import shlex
from pathlib import Path
from typing import TYPE_CHECKING

import click

from sslops.cli import options
from sslops.cli.options import current
from sslops.errors import ExitCode, UsageError
from sslops.model.forges import Forge

if TYPE_CHECKING:
    from sslops.app.import_site import Imported
    from sslops.app.session import Session
    from sslops.migrate.draft import Draft

_FOLDER = click.Path(path_type=Path)


@click.command(
    name="import",
    epilog=options.examples(
        "sslops import /etc/ssl-mgr/conf.d --into ops", "sslops import --certbot /etc/letsencrypt --into ops --apply"
    ),
)
@click.argument("conf_d", metavar="[CONF_D]", required=False, type=_FOLDER)
@click.option("--certs", metavar="DIR", type=_FOLDER, help="ssl-mgr's certs/; without it the one beside CONF_D.")
@click.option("--no-certs", is_flag=True, help="Only the inventory: no keys and certificates are taken over.")
@click.option(
    "--certbot", metavar="DIR", type=_FOLDER, help="certbot's folder, as /etc/letsencrypt, in place of CONF_D."
)
@click.option("--lego", metavar="DIR", type=_FOLDER, help="lego's folder, as .lego, in place of CONF_D.")
@click.option("--acme-sh", "acme_sh", metavar="DIR", type=_FOLDER, help="acme.sh's folder, as ~/.acme.sh, likewise.")
@click.option(
    "--into", metavar="DIR", type=_FOLDER, help="The new ops repository, or one that `sslops init` just made."
)
@click.option("--dns-url", metavar="URL", help="The git repository with the zone files.")
@click.option("--dns-top", metavar="DIR", type=_FOLDER, help="The folder of ssl-mgr's [dns] paths that is its top.")
@click.option("--apex", "apexes", metavar="DOMAIN", multiple=True, help="A zone that names of certificates lie in.")
@click.option("--forge", type=click.Choice([str(forge) for forge in Forge]), help="Add the jobs for this forge.")
@click.option("--apply", "is_applied", is_flag=True, help="Do it, where a repository is there already.")
def command(
    *,
    conf_d: Path | None,
    certs: Path | None,
    no_certs: bool,
    certbot: Path | None,
    lego: Path | None,
    acme_sh: Path | None,
    into: Path | None,
    dns_url: str | None,
    dns_top: Path | None,
    apexes: tuple[str, ...],
    forge: str | None,
    is_applied: bool,
) -> ExitCode:
    """Turn a site of ssl-mgr (CONF_D), certbot, lego or acme.sh into an ops repository.

    The inventory says in comments what was decided; keys and certificates in use become generations, keys encrypted
    on the way in. Every key of the old configuration ends in the inventory or in a line that says why not. The old
    tree is only read.

    A new repository is made at once. In one that `sslops init` made, and whose inventory is still the example, this
    is a dry-run unless --apply is given.

    Example: sslops import /etc/ssl-mgr/conf.d --certs /etc/ssl-mgr/certs --into ops
    """
    from sslops.app.import_site import bring_in

    session = current()
    others = {"certbot": certbot, "lego": lego, "acme_sh": acme_sh}
    given = [source for source in (conf_d, *others.values()) if source is not None]
    if len(given) != 1:
        message = "one old site is needed: CONF_D, --certbot DIR, --lego DIR or --acme-sh DIR"
        raise UsageError(message, hint="sslops import /etc/ssl-mgr/conf.d")
    if conf_d is not None:
        draft = _read_ssl_mgr(session, conf_d, certs, dns_url, dns_top, has_certs=not no_certs)
    else:
        from sslops.migrate import acme_clients

        tool, folder = next((tool, folder) for tool, folder in others.items() if folder is not None)
        old = Path(os.path.normpath(session.start.absolute() / folder))
        draft = acme_clients.read(tool, old, dns_url, apexes, has_certs=not no_certs)
    target = (session.start / into).absolute() if into else None
    done = bring_in(session, draft, target, Forge.of(forge) if forge else None, is_applied=is_applied)
    session.show(_told(draft, done))
    if not done.is_applied:
        session.say("nothing was changed; --apply does it")
    return ExitCode.DONE


def _read_ssl_mgr(
    session: Session, conf_d: Path, certs: Path | None, dns_url: str | None, dns_top: Path | None, *, has_certs: bool
) -> Draft:
    from sslops.migrate.ssl_mgr import read

    start = session.start.absolute()
    folder = Path(os.path.normpath(start / conf_d))
    beside = (folder if (folder / "conf.d").is_dir() else folder.parent) / "certs"
    versions = start / certs if certs else beside if beside.is_dir() else None
    return read(folder, versions if has_certs else None, dns_url, start / dns_top if dns_top else None)


def _told(draft: Draft, done: Imported) -> str:
    taken = [f"{each.service}: {each.title} ({each.why.rpartition(': ')[2].rstrip('.')})" for each in done.changes]
    open_ones = [each for each in draft.remarks if each.is_open]
    rest = [each for each in draft.remarks if not each.is_open]
    verb = "made" if done.is_new else "imported into" if done.is_applied else "would import into"
    lines = [f"{verb} '{done.folder}': {done.counted}"]
    for title, items in (
        ("Taken over, with its key:", taken),
        ("What was decided, and what was left out:", rest),
        ("For a person to look at:", open_ones),
    ):
        if items:
            lines += ["", title, *(f"  {each}" for each in items)]
    for identity in done.identities:
        lines += ["", f"{'reused' if identity.is_reused else 'made'} '{identity.path}': {identity.recipient}"]
    lines += [
        "",
        "Host keys of the servers belong into inventory/known_hosts. Stop the old tool before --apply. Then:",
        "",
        f"  cd {shlex.quote(str(done.folder))}",
        "  sslops check",
        "  sslops plan",
    ]
    return "\n".join(lines)
