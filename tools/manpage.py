"""Write the manual page from the table of verbs and their options: `docs/sslops.1`, by `make docs`."""

from __future__ import annotations

import importlib
import re
from typing import TYPE_CHECKING

import click

from sslops import __version__
from sslops.cli.main import VERBS, command, module_of, variable

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from sslops.errors import ExitCode

WHAT = "certificates as reviewed commits"

_ENVIRONMENT = {
    "SSLOPS_VERB_OPTION": "Sets an option of a verb where the command line does not: each option below has its "
    "variable beside it. A flag takes 1 or true; several values are separated by spaces.",
    "SSLOPS_DIR, SSLOPS_COLOR, SSLOPS_VERBOSE, SSLOPS_LOG": "-C, --color, -v and --log.",
    "NO_COLOR": "Not empty: no colours, unless --color always is given.",
    "SSLOPS_SSH_CONFIG": "An ssh_config to use in place of the user's own.",
    "SSLOPS_FORGE_TOKEN, SSLOPS_DNS_TOKEN, SSLOPS_SSH_KEY, SSLOPS_SIGNING_KEY, SOPS_AGE_KEY": "Secrets of a job. They "
    "leave the environment before anything else happens, and no option of the command line takes one.",
}
_FILES = {
    "inventory/": "What should exist; edited by people.",
    "state/": "What exists; written by sslops alone, private keys encrypted with sops.",
    ".sops.yaml": "To whom private keys are encrypted.",
}


def page(exit_codes: Mapping[ExitCode, str]) -> str:
    """Return the page in man(7); *exit_codes* says what each means."""
    return "\n".join([*_head(), *_verbs(), *_end(exit_codes), ""])


def _head() -> Iterator[str]:
    yield '.\\" Written by tools/manpage.py from the command line itself: make docs'
    yield f'.TH SSLOPS 1 "" "sslops {__version__}" "User Commands"'
    yield from (".SH NAME", f"sslops \\- {WHAT}", ".SH SYNOPSIS", ".B sslops")
    yield from ("[\\fIOPTIONS\\fR] \\fIVERB\\fR [\\fIARGS\\fR]...", ".SH DESCRIPTION")
    yield from _prose(command.help or "")
    yield from (".SH OPTIONS", *_options(command, None))


def _verbs() -> Iterator[str]:
    yield ".SH VERBS"
    for verb, purpose in VERBS.items():
        shown: click.Command = importlib.import_module(module_of(verb)).command
        context = click.Context(shown, info_name=verb, **shown.context_settings)
        words = " ".join(shown.collect_usage_pieces(context))
        yield f'.SS "sslops {verb} {_quoted(words)}"'
        yield from _prose(
            f"{purpose[:1].upper()}{purpose[1:].rstrip('.?')}{purpose[-1] if purpose[-1] == '?' else '.'}"
        )
        yield ".PP"
        yield from _prose(shown.help or "")
        yield from _options(shown, verb)
        lines = [line.strip() for line in (shown.epilog or "").splitlines() if line.strip().startswith("sslops ")]
        yield from (".PP", "Examples:", ".PP", ".nf", ".RS", *map(_text, lines), ".RE", ".fi") if lines else ()


def _options(shown: click.Command, verb: str | None) -> Iterator[str]:
    for option in shown.params:
        if isinstance(option, click.Option) and "--version" not in option.opts:
            value = "" if option.is_flag else f" \\fI{_text(option.make_metavar(click.Context(shown)))}\\fR"
            names = ", ".join(f"\\fB{_text(name)}\\fR" for name in option.opts)
            named = option.envvar if isinstance(option.envvar, str) or verb is None else variable(verb, option)
            yield from (".TP", f"{names}{value}", _text(f"{option.help or ''} [{named}]"))


def _end(exit_codes: Mapping[ExitCode, str]) -> Iterator[str]:
    yield ".SH ENVIRONMENT"
    for name, text in _ENVIRONMENT.items():
        yield from (".TP", f"\\fB{_text(name)}\\fR", _text(text))
    yield ".SH FILES"
    for name, text in _FILES.items():
        yield from (".TP", f"\\fI{_text(name)}\\fR", _text(text))
    yield ".SH EXIT STATUS"
    for code, meaning in sorted(exit_codes.items()):
        yield from (".TP", f"\\fB{int(code)}\\fR", _text(meaning.replace("`", "")))
    yield from (".SH SEE ALSO", "\\fBsops\\fR(1), \\fBage\\fR(1), \\fBgit\\fR(1), \\fBssh_config\\fR(5)")


def _prose(text: str) -> Iterator[str]:
    """Yield the paragraphs of a help text."""
    for number, paragraph in enumerate(re.split(r"\n\s*\n", text.replace("\b", "").strip())):
        if number:
            yield ".PP"
        yield _text(" ".join(paragraph.split()))


def _text(text: str) -> str:
    """Return *text* as roff reads it as nothing but text."""
    escaped = text.replace("\\", "\\e").replace("-", "\\-").replace("`", "")
    return f"\\&{escaped}" if escaped[:1] in {".", "'"} else escaped


def _quoted(text: str) -> str:
    return _text(text).replace('"', '""')
