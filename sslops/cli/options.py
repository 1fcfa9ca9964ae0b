"""What every verb is handed: the repository it works on, the moment it runs at, and where it may speak.

The clock is read once, by the command line, and never again below it.
"""

from __future__ import annotations

import re
from datetime import timedelta
from typing import TYPE_CHECKING, Any

import click

from sslops.app.session import Session

if TYPE_CHECKING:
    from collections.abc import Callable

    from sslops.model.inventory import Consent

    Decorator = Callable[[Callable[..., Any]], Callable[..., Any]]


def current() -> Session:
    """Return the session of the verb that is running."""
    session = click.get_current_context().obj
    if not isinstance(session, Session):
        message = "a verb was called without the command line"
        raise TypeError(message)
    return session


def examples(*commands: str) -> str:
    """Return the end of a verb's help: command lines as they can be typed. A test parses each."""
    lines = "\n".join(f"  {each}" for each in commands)
    return f"\b\nExamples:\n{lines}"


def _services(_context: click.Context, _parameter: click.Parameter, incomplete: str) -> list[str]:
    """Return the groups and services that begin so, as a shell completes them: by the names of files."""
    from pathlib import Path

    found = [path.relative_to("inventory").with_suffix("") for path in sorted(Path("inventory").glob("*/*.yaml"))]
    names = dict.fromkeys([*(str(each.parent) for each in found), *map(str, found)])
    return [name for name in names if name.startswith(incomplete)]


def hosts(_context: click.Context, _parameter: click.Parameter, incomplete: str) -> list[str]:
    """Return the hosts that begin so, as a shell completes them; none where the inventory is not sound."""
    from pathlib import Path

    from sslops.errors import SslopsError
    from sslops.inventory.files import read_folder
    from sslops.inventory.loading import load

    try:
        classes = load(read_folder(Path())).classes.values()
    except (SslopsError, OSError):
        return []
    names = {host.name for each in classes for host in each.hosts}
    return sorted(name for name in names if name.startswith(incomplete))


def _hazards(_context: click.Context, _parameter: click.Parameter, incomplete: str) -> list[str]:
    from sslops.model.plan import HazardName

    return [str(name) for name in HazardName if name.startswith(incomplete)]


MAX_REASON = 300
_SPAN = re.compile(r"([0-9]{1,5})([mhd])")
_UNITS = {"m": "minutes", "h": "hours", "d": "days"}
_DIGEST = re.compile(r"sha256:[0-9a-f]{64}")


def targets(variable: str | None = None) -> Decorator:
    """Take *targets*, a tuple of `group`, `group/svc`, `group:svc1,svc2` or `group:ALL`; empty means all active groups.

    Where none are given they are the words of the environment's *variable*.
    """
    return click.argument("targets", nargs=-1, metavar="[TARGET]...", envvar=variable, shell_complete=_services)


def apply() -> Decorator:
    """Take *apply*: without it a verb only says what it would do."""
    return click.option("--apply", is_flag=True, help="Do it. Without this, only say what would be done.")


def json() -> Decorator:
    """Take *as_json*: the result as one JSON document."""
    return click.option("--json", "as_json", is_flag=True, help="Print the result as JSON.")


def markdown() -> Decorator:
    """Take *as_markdown*: the result as Markdown, for a merge request or a chat."""
    return click.option("--markdown", "as_markdown", is_flag=True, help="Print the result as Markdown.")


def fetch() -> Decorator:
    """Take *fetch*: ask the remote first, which a verb that only reads does not do by itself."""
    return click.option("--fetch", is_flag=True, help="Fetch from the remote first; else state is as last fetched.")


def starttls() -> Decorator:
    """Take *starttls*: the protocol that is spoken before TLS at a port, null where the port's usual one is right."""
    return click.option(
        "--starttls",
        metavar="PROTOCOL",
        help="smtp, imap, pop3, ldap, xmpp or none before TLS; by default what is usual for the port.",
    )


def server_name() -> Decorator:
    """Take *server_name*: the name a port is asked by (SNI), null for the host itself."""
    return click.option("--name", "server_name", metavar="HOST", help="Ask a port by this name (SNI).")


def plan_digest() -> Decorator:
    """Take *plan_digest*, `sha256:...` or null: apply that plan and no other."""
    return click.option(
        "--plan", "plan_digest", metavar="DIGEST", callback=_digest, help="Refuse (exit 3) unless the plan is this one."
    )


def detailed_exitcode() -> Decorator:
    """Take *detailed_exitcode*: exit 4 when something waits, 6 when changes are pending."""
    return click.option(
        "--detailed-exitcode", is_flag=True, help="Exit 6 when changes are pending, 4 when something waits."
    )


def span(_context: click.Context, _parameter: click.Parameter, given: str | None) -> timedelta | None:
    """Read a number with m, h or d behind it; null when the option was not given."""
    if given is None:
        return None
    found = _SPAN.fullmatch(given)
    if found is None:
        message = f"'{given}' is not a number with m, h or d behind it, as 36h or 7d"
        raise click.BadParameter(message)
    return timedelta(**{_UNITS[found[2]]: int(found[1])})


def accept() -> Decorator:
    """Take *accept*, a tuple of `Consent`, one for each `--accept NAME[=SUBJECT]`."""
    return click.option(
        "--accept",
        multiple=True,
        metavar="NAME[=SUBJECT]",
        callback=_consents,
        shell_complete=_hazards,
        help="Accept this hazard (for this subject only). May be given several times.",
    )


def reason(variable: str) -> Decorator:
    """Take *reason*, one line that says why; the empty string when nobody does."""
    return click.option(
        "--reason",
        default="",
        metavar="TEXT",
        envvar=variable,
        callback=one_line,
        help="Why, in a sentence; it ends in the commit. With --force a job of a forge needs one.",
    )


def one_line(_context: click.Context, _parameter: click.Parameter, given: str) -> str:
    """Take a sentence for a commit: one line, without its full stop, not too long."""
    line = " ".join("".join(each if each.isprintable() else " " for each in given).split())
    if len(line) > MAX_REASON:
        message = f"a reason of {len(line)} characters is too long: {MAX_REASON} at most"
        raise click.BadParameter(message)
    return line.rstrip(".")


def _digest(_context: click.Context, _parameter: click.Parameter, given: str | None) -> str | None:
    if given is not None and not _DIGEST.fullmatch(given):
        message = f"'{given}' is not 'sha256:' and 64 hex digits"
        raise click.BadParameter(message)
    return given


def _consents(_context: click.Context, _parameter: click.Parameter, given: tuple[str, ...]) -> tuple[Consent, ...]:
    return tuple(_consent(word) for word in given)


def _consent(word: str) -> Consent:
    from sslops.model.inventory import Consent
    from sslops.model.plan import HazardName

    name, _, subject = word.partition("=")
    if name not in set(HazardName):
        message = f"'{name}' is no hazard; hazards are {', '.join(HazardName)}"
        raise click.BadParameter(message)
    return Consent(hazard=name, subject=subject or None, until=None, reason="accepted on the command line")
