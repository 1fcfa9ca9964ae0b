"""The command line: a table of verbs, each loaded only when it is the one asked for.

`sslops --help` imports no verb. The clock is read here, once, and nowhere below.
"""

from __future__ import annotations

import gc
import importlib
import keyword
import os
import sys
from datetime import UTC, datetime
from io import TextIOWrapper
from pathlib import Path
from typing import TYPE_CHECKING, NoReturn, TextIO

import click

from sslops import __version__
from sslops.app.session import Session
from sslops.ci.environment import current
from sslops.cli.words import ELSEWHERE, meant
from sslops.errors import ExitCode, Faults, SslopsError, UsageError
from sslops.system.debug_log import LOG, LoggedEffects
from sslops.system.effects import NO_EFFECTS
from sslops.system.own_environment import environment, give_back, take_secrets

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence
    from types import TracebackType

    from sslops.system.effects import Effects


__all__ = ["VERBS", "Session", "command", "main", "module_of", "run"]

VERBS = {
    "check": "is the inventory sound, and does state fit it?",
    "schema": "the JSON Schemas of the inventory files",
    "plan": "what can be done now, what waits, until when and why",
    "renew": "keys and certificates that are due, onto the branch next",
    "publish": "TLSA include files to the DNS repository",
    "roll": "promote next to curr once every cache has its TLSA record",
    "deploy": "make hosts serve curr, restart, verify, write it down",
    "prune": "take out of state/ the generations that nothing needs any more",
    "revoke": "tell the CA that a certificate counts no more, and start its replacement",
    "rekey": "wrap keys for the recipients that .sops.yaml names now",
    "run": "renew, publish, roll, deploy, prune, publish: the one scheduled job",
    "simulate": "the time ahead: every step of the coming weeks, with its date",
    "status": "every service: phase, days left, what it waits for",
    "report": "one page for people who look: what needs one of them, time lines, DANE, hosts, CAs",
    "audit": "does all of history keep the rules, and how did each certificate come",
    "notify": "tell people what changed for the worse, once, and when it is over",
    "watchdog": "fail when a scheduled stage is overdue (dead man's switch)",
    "info": "what is in a key, CSR, certificate, chain, bundle or sops document",
    "verify": "is a certificate good: dates, chain, names, key, revocation",
    "tlsa": "TLSA records of a certificate or host, and what a sender with DANE does at it",
    "tlsrpt": "what mail senders reported about TLS here (RFC 8460)",
    "trust": "how a machine comes to trust the roots of the own CAs",
    "dhparm": "Diffie-Hellman parameters of RFC 7919 as files",
    "dev": "a single step: keys, csr, cert or next-to-curr of a service",
    "doctor": "what is missing on this machine, and for which verb",
    "completion": "how bash, zsh and fish complete verbs, options, services and hosts",
    "init": "a new ops repository",
    "import": "an ops repository from a site of ssl-mgr, certbot, lego or acme.sh",
    "demo": "the whole loop in a throw-away world",
}
"""Every verb and what it is for, in the order of the help; verb `x` is `command` of `module_of("x")`."""


def module_of(verb: str) -> str:
    """Return the module of a verb: `sslops.cli.VERB`, with a final underscore where Python has the word itself."""
    return f"sslops.cli.{verb}_" if keyword.iskeyword(verb) else f"sslops.cli.{verb}"


JOB_KEYS = frozenset({"SSLOPS_SSH_KEY", "SSLOPS_SIGNING_KEY"})
"""Variables in which a forge hands ssh keys to a job; they are gone before any verb starts."""

COMPLETION = "_SSLOPS_COMPLETE"
"""In which the script of `sslops completion` says what a shell wants to know."""

_INTERRUPTED = 130
# A run is short and keeps what it reads: looking for cycles every 700 objects costs a tenth of it and finds none.
_GC_THRESHOLD = 100_000


def variable(verb: str, option: click.Option) -> str:
    """Return the variable that sets *option* of *verb* where the command line does not.

    >>> variable("renew", click.Option(["--new-key"]))
    'SSLOPS_RENEW_NEW_KEY'
    """
    longest = max(option.opts, key=len)
    return f"SSLOPS_{verb}_{longest.lstrip('-')}".upper().replace("-", "_")


class _Verbs(click.Group):
    """A click group whose verbs are modules."""

    def list_commands(self, ctx: click.Context) -> list[str]:  # noqa: ARG002  (click's signature)
        """Return the names in the order of the table."""
        return list(VERBS)

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:  # noqa: ARG002
        """Import the one verb that was asked for; null when there is none of that name."""
        if cmd_name not in VERBS:
            return None
        verb: click.Command = importlib.import_module(module_of(cmd_name)).command
        for option in verb.params:
            if isinstance(option, click.Option) and option.envvar is None:
                option.envvar = variable(cmd_name, option)
        return verb

    def invoke(self, ctx: click.Context) -> object:
        """Run the verb; what it ends in is the last line of a log."""
        try:
            outcome = super().invoke(ctx)
        except BaseException:
            LOG.debug("ends", exc_info=True)
            raise
        LOG.debug("ends with exit code %s", int(outcome or 0))
        return outcome

    def parse_args(self, ctx: click.Context, args: list[str]) -> list[str]:
        """Take `-renew`, which is a word of another tool and none of our options, for what it means."""
        first = next(iter(args), "")
        word = first.lstrip("-")
        own = {name for option in self.params for name in option.opts} | set(ctx.help_option_names)
        if first.startswith("-") and first not in own and (word in VERBS or word in ELSEWHERE):
            raise meant(first, VERBS)
        return super().parse_args(ctx, args)

    def resolve_command(
        self, ctx: click.Context, args: list[str]
    ) -> tuple[str | None, click.Command | None, list[str]]:
        """Return the verb; for a word that is none, say what was probably meant."""
        if args and args[0] not in VERBS and not ctx.resilient_parsing:
            raise meant(args[0], VERBS)
        return super().resolve_command(ctx, args)

    def format_commands(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:  # noqa: ARG002
        """Write the table without importing what it names."""
        with formatter.section("Verbs"):
            formatter.write_dl(list(VERBS.items()))


@click.group(
    cls=_Verbs,
    no_args_is_help=False,
    subcommand_metavar="VERB [ARGS]...",
    context_settings={"help_option_names": ["-h", "--help"], "max_content_width": 100},
    epilog="A verb that changes anything only says what it would do, unless --apply is given. Every option has a"
    " variable, as SSLOPS_RENEW_FORCE; sslops completion SHELL completes them.",
)
@click.version_option(__version__, prog_name="sslops", message="%(prog)s %(version)s")
@click.option(
    "-C",
    "start",
    metavar="DIR",
    default=".",
    envvar="SSLOPS_DIR",
    type=click.Path(exists=True, file_okay=False, path_type=Path),
    help="Work on the ops repository at DIR.",
)
@click.option(
    "--color",
    type=click.Choice(("auto", "always", "never")),
    default="auto",
    envvar="SSLOPS_COLOR",
    help="Colours: by default on a terminal, unless NO_COLOR is set.",
)
@click.option("-v", "is_verbose", is_flag=True, envvar="SSLOPS_VERBOSE", help="Write every step to stderr.")
@click.option(
    "--log",
    metavar="FILE",
    envvar="SSLOPS_LOG",
    type=click.Path(dir_okay=False, path_type=Path),
    help="Append every step to FILE, without secrets.",
)
@click.pass_context
def command(context: click.Context, start: Path, color: str, is_verbose: bool, log: Path | None) -> None:  # noqa: FBT001  (click's)
    """Certificates as reviewed commits: renew, wait, roll, deploy; DANE never breaks."""
    if JOB_KEYS & environment().keys():
        from sslops.secrets.job_keys import job_keys

        give_back(JOB_KEYS)
        context.with_resource(job_keys(os.environ))
    now = datetime.now(tz=UTC).replace(microsecond=0)
    context.obj = Session(start, now, LoggedEffects(context.obj or NO_EFFECTS), current(os.environ), color)
    if is_verbose or log is not None:
        _begin_log(context, log, context.obj.say if is_verbose else None)


def _begin_log(context: click.Context, log: Path | None, say: Callable[[str], None] | None) -> None:
    """Write every step until the end of *context* to *log*, and to *say*."""
    from sslops.system.log_file import logging_to

    try:
        context.with_resource(logging_to(log, say))
    except OSError as error:
        message = f"the log '{log}' cannot be written: {error.strerror}"
        raise UsageError(message, hint="name a file in a folder that exists") from error
    LOG.debug("sslops %s, Python %s, in %s: %s", __version__, sys.version.split()[0], Path.cwd(), sys.argv[1:])


def run(arguments: Sequence[str], effects: Effects = NO_EFFECTS) -> int:
    """Run one command line and return its exit code; foreseen failures are shown, bugs raise.

    *effects* is notified of every change to the outside world.
    """
    if not arguments:
        sys.stderr.write(f"{command.get_help(click.Context(command, info_name='sslops'))}\n")
        return int(ExitCode.USAGE)
    try:
        outcome = command.main(list(arguments), prog_name="sslops", standalone_mode=False, obj=effects)
    except SslopsError as error:
        return _failed(error, arguments)
    except click.ClickException as error:
        return _failed(_as_usage_error(error), arguments)
    except (click.Abort, KeyboardInterrupt):
        sys.stderr.write("sslops: interrupted\n")
        return _INTERRUPTED
    return int(outcome or ExitCode.DONE)


def main() -> NoReturn:
    """Be the program `sslops`."""
    take_secrets()
    gc.set_threshold(_GC_THRESHOLD)
    if COMPLETION in os.environ:
        from click.shell_completion import shell_complete

        sys.exit(shell_complete(command, {}, "sslops", COMPLETION, os.environ[COMPLETION]))
    sys.stdout, sys.stderr = _ready(sys.stdout), _ready(sys.stderr)
    sys.excepthook = _show_bug
    code = run(sys.argv[1:])
    _flush()
    sys.exit(code)


def _ready(stream: TextIO | None) -> TextIO:
    """Make *stream* take any text, on a terminal that knows less than UTF-8 too; null was closed by our caller."""
    if stream is None:
        return Path(os.devnull).open("w", encoding="utf-8")
    if isinstance(stream, TextIOWrapper):
        stream.reconfigure(errors="backslashreplace")
    return stream


def _failed(error: SslopsError, arguments: Sequence[str]) -> int:
    """Tell people on stderr, and a program that asked for JSON on stdout too; return the exit code."""
    verb = next((word for word in arguments if word in VERBS), "")
    if "--json" in arguments or os.environ.get(f"SSLOPS_{verb.upper()}_JSON"):
        import json

        from sslops.report.plan import error_document

        faults = error.faults if isinstance(error, Faults) else (error,)
        document = {"errors": [error_document(fault) for fault in faults], "exit_code": int(error.exit_code)}
        _session().show(json.dumps(document, indent=2, ensure_ascii=False))
    _complain(error)
    return int(error.exit_code)


def _session() -> Session:
    return Session(Path(), datetime.now(tz=UTC), job=current(os.environ))


def _complain(error: SslopsError) -> None:
    _session().complain(error)


def _show_bug(kind: type[BaseException], error: BaseException, trace: TracebackType | None) -> None:
    """Show a traceback as harmless as all else: what a peer said may stand in it."""
    from traceback import format_exception

    job = current(os.environ)
    Session(Path(), datetime.now(tz=UTC), job=job).say("".join(format_exception(kind, error, trace)).rstrip())


def _as_usage_error(error: click.ClickException) -> UsageError:
    """Say what click found in the one style of all errors."""
    what = error.format_message().rstrip(".")
    context = error.ctx if isinstance(error, click.UsageError) else None
    path = context.command_path if context else "sslops"
    return UsageError(what[:1].lower() + what[1:], hint=f"{path} --help")


def _flush() -> None:
    try:
        sys.stdout.flush()
    except BrokenPipeError:
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
