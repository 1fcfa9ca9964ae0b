"""Write the generated parts of README.md and docs/*.md, or with --check say where they are stale.

`sslops/cli/help.txt` is one of them: what `sslops --help` prints without loading anything that could write it. So is
the manual page `docs/sslops.1`.

A generated part stands between `<!-- generated: NAME -->` and `<!-- end -->`, each on a line of its own; NAME is a key
of `PARTS`, with a word after it where the part takes one. Run by `make docs` and `make docs-check`.
"""

from __future__ import annotations

import argparse
import difflib
import importlib
import re
import sys
from pathlib import Path
from typing import TYPE_CHECKING

from sslops.errors import ExitCode

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator, Mapping
    from datetime import timedelta

PROJECT = Path(__file__).parents[1]
WIDTH = 100

_PART = re.compile(
    r"(?P<open>^<!-- generated: (?P<name>[a-z-]+)(?: (?P<word>\S+))? -->\n).*?(?P<close>^<!-- end -->)",
    re.DOTALL | re.MULTILINE,
)

MEANINGS = {
    ExitCode.DONE: "done, or nothing to do",
    ExitCode.FAILED: "failed: an invalid inventory, an unreachable host, a failed order, what is blocked for too long",
    ExitCode.USAGE: "the command line itself is wrong",
    ExitCode.REFUSED: "refused: a hazard without consent, or a plan that is not the one given by `--plan`",
    ExitCode.WAITING: "something waits (only with `--detailed-exitcode`)",
    ExitCode.BUSY: "another run was faster, five times, or works in this clone",
    ExitCode.PENDING: "changes are pending (only with `--detailed-exitcode`)",
}


def verbs(_: str) -> str:
    """Return the table of verbs."""
    from sslops.cli.main import VERBS

    return _table(("verb", "what it is for"), ((f"`{name}`", purpose) for name, purpose in VERBS.items()))


def first_help() -> str:
    """Return what `sslops --help` prints, 80 columns wide."""
    import click

    from sslops.cli.main import command

    top = click.Context(command, info_name="sslops", terminal_width=80, **command.context_settings)
    return f"{command.get_help(top)}\n"


def help_text(verb: str) -> str:
    """Return what `sslops VERB --help` prints; without a verb, what `sslops --help` prints."""
    import click

    from sslops.cli.main import VERBS, command, module_of

    if verb and verb not in VERBS:
        message = f"there is no verb '{verb}'"
        raise SystemExit(message)
    top = click.Context(command, info_name="sslops", terminal_width=WIDTH, **command.context_settings)
    if not verb:
        return _code(command.get_help(top))
    shown: click.Command = importlib.import_module(module_of(verb)).command
    return _code(shown.get_help(click.Context(shown, info_name=verb, parent=top, **shown.context_settings)))


def exit_codes(_: str) -> str:
    """Return the table of exit codes."""
    return _table(("code", "meaning"), ((str(int(code)), MEANINGS[code]) for code in sorted(ExitCode)))


def verb_codes(_: str) -> str:
    """Return the table of the exit codes that each verb can end in."""
    from sslops.cli.exit_codes import CODES

    heads = ("verb", *(str(int(code)) for code in sorted(ExitCode)))
    rows = (
        (f"`{verb}`", *("x" if code in codes else "" for code in sorted(ExitCode))) for verb, codes in CODES.items()
    )
    return _table(heads, rows)


def causes(kind: str) -> str:
    """Return the table of the causes that are *kind* (`waits` or `blocked`), as the code has them."""
    from sslops.model.cause import MEANINGS, Kind

    wanted = Kind(kind)
    rows = [(f"`{cause}`", each) for cause, each in MEANINGS.items() if each.kind is wanted and cause != "consent"]
    if wanted is Kind.WAITS:
        return _table(("waits", "because", "until"), ((name, each.says, each.end) for name, each in rows))
    head = ("blocked", "because", "what to do", "a failure after")
    return _table(head, ((name, each.says, _placeholders(each.end), _grace(each.grace)) for name, each in rows))


def _grace(grace: timedelta | None) -> str:
    from sslops.report.text import span

    return span(grace) if grace else "at once"


def _placeholders(text: str) -> str:
    return text.replace("{target}", "TARGET").replace("{what}", "NAME").replace("{verb}", "VERB")


def phases(_: str) -> str:
    """Return the table of the phases that `sslops status` names."""
    from sslops.report.status import MEANING

    return _table(("phase", "meaning"), ((f"`{phase}`", meaning) for phase, meaning in MEANING.items()))


def schema(name: str) -> str:
    """Return the keys of the inventory file *name* (`sslops`, `cas` or `service`), a table for each table in it."""
    from sslops.inventory.reference import tables

    return tables(name)


def secrets(forge: str) -> str:
    """Return the table of each job's secrets, by the names they have on *forge* (none: the variables)."""
    from sslops.ci.secrets import ROWS
    from sslops.model.forges import Forge

    rows = (
        (job, f"`{row.name_on(Forge.of(forge), job) if forge else row.name}`", row.content, row.when)
        for job, held in ROWS.items()
        for row in held
    )
    return _table(("job", "secret", "what it is", "needed"), rows)


def debian_packages(_: str) -> str:
    """Return the line that installs what the tests run against."""
    words = (PROJECT / "tools/debian-packages.txt").read_text().split()
    return _code(f"apt-get install --no-install-recommends {' '.join(words)}")


def sample(name: str) -> str:
    """Return what people read on a forge, as a quotation: a key of `tools.samples.SAMPLES`."""
    from tools.samples import SAMPLES

    return SAMPLES[name]()


PARTS: Mapping[str, Callable[[str], str]] = {
    "verbs": verbs,
    "help": help_text,
    "exit-codes": exit_codes,
    "verb-codes": verb_codes,
    "causes": causes,
    "phases": phases,
    "schema": schema,
    "secrets": secrets,
    "debian-packages": debian_packages,
    "sample": sample,
}
"""Name of a part to the function that writes it; it gets the word after the name, empty when there is none."""


def regenerated(text: str) -> str:
    """Return *text* with every generated part as it should be."""

    def part(found: re.Match[str]) -> str:
        if found["name"] not in PARTS:
            message = f"no generated part is called '{found['name']}': one of {', '.join(PARTS)}"
            raise SystemExit(message)
        return f"{found['open']}\n{PARTS[found['name']](found['word'] or '').strip()}\n\n{found['close']}"

    return _PART.sub(part, text)


def main() -> int:
    """Write, or check; exit code 1 when a check finds a stale part."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--check", action="store_true", help="change nothing, show what is stale")
    check = parser.parse_args().check
    stale = False
    for path, new in _pages():
        old = path.read_text() if path.exists() else ""
        if old == new:
            continue
        stale = True
        if check:
            sys.stdout.writelines(_difference(path, old, new))
        else:
            path.write_text(new)
            print(f"wrote {path.relative_to(PROJECT)}")
    if check and stale:
        print("documentation is stale: make docs", file=sys.stderr)
    return int(check and stale)


def _pages() -> Iterator[tuple[Path, str]]:
    from tools.figures import FIGURES
    from tools.manpage import page

    for path in (PROJECT / "README.md", *sorted((PROJECT / "docs").glob("*.md"))):
        yield path, regenerated(path.read_text())
    yield PROJECT / "sslops/cli/help.txt", first_help()
    yield PROJECT / "docs/sslops.1", page(MEANINGS)
    for name, draw in FIGURES.items():
        yield PROJECT / "docs/figures" / name, draw()


def _difference(path: Path, old: str, new: str) -> Iterator[str]:
    name = str(path.relative_to(PROJECT))
    return difflib.unified_diff(
        old.splitlines(keepends=True), new.splitlines(keepends=True), name, f"{name} (generated)"
    )


def _table(head: tuple[str, ...], rows: Iterable[tuple[str, ...]]) -> str:
    lines = [head, ("---",) * len(head), *rows]
    return "\n".join(f"| {' | '.join(map(_cell, line))} |" for line in lines)


def _cell(text: str) -> str:
    return text.replace("|", "\\|").replace("\n", " ")


def _code(text: str) -> str:
    return f"```text\n{text.rstrip()}\n```"


if __name__ == "__main__":
    sys.exit(main())
