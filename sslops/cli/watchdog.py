"""`sslops watchdog`: fail when a scheduled stage is overdue (dead man's switch)."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

import click

from sslops.cli import options
from sslops.cli.options import current
from sslops.errors import ExitCode
from sslops.model.heartbeat import STAGES, judge
from sslops.model.names import format_time
from sslops.report.text import as_code, columns, markdown_table, span

if TYPE_CHECKING:
    from collections.abc import Sequence
    from datetime import datetime, timedelta

    from sslops.model.heartbeat import StageHeartbeat


_HEADS = ("stage", "heartbeat", "run")


def _age(context: click.Context, parameter: click.Parameter, given: str) -> timedelta:
    age = options.span(context, parameter, given)
    if not age:
        message = "a heartbeat may be some time old: 90m, 26h, 2d"
        raise click.BadParameter(message)
    return age


@click.command(name="watchdog", epilog=options.examples("sslops watchdog renew deploy --max-age 26h"))
@click.argument("stages", nargs=-1, type=click.Choice(STAGES), metavar="[STAGE]...")
@click.option(
    "--max-age", default="26h", callback=_age, metavar="AGE", help="How old a heartbeat may be: 90m, 26h, 2d."
)
@options.json()
def command(*, stages: tuple[str, ...], max_age: timedelta, as_json: bool) -> ExitCode:
    """Fail when the heartbeat of a STAGE (default: all that this repository has) is too old.

    A heartbeat is the last run of a forge's job, with --apply and without TARGET, that ended with exit code 0; `sslops
    run` writes one for every stage. It is read from the remote. Schedule the watchdog at a second place: a scheduler
    that stops takes its own watchdog with it.
    """
    from sslops.app.heartbeats import known_heartbeats, stages_here

    session = current()
    found = judge(known_heartbeats(session), stages or stages_here(session), session.now, max_age)
    late = [each for each in found if each.is_late]
    session.show(_as_json(found) if as_json else columns([_HEADS, *_rows(found, session.now)]))
    cells = [(stage, when, as_code(run)) for stage, when, run in _rows(found, session.now)]
    session.summarise(markdown_table(_HEADS, cells))
    for each in late:
        session.say(
            f"late: {each.stage}: {'no heartbeat was ever seen' if each.last is None else 'no heartbeat since'}"
            + ("" if each.last is None else f" {format_time(each.last.at)}")
        )
    return ExitCode.FAILED if late else ExitCode.DONE


def _rows(found: Sequence[StageHeartbeat], now: datetime) -> list[tuple[str, str, str]]:
    return [(each.stage, _when(each, now), (each.last.run if each.last else None) or "-") for each in found]


def _when(finding: StageHeartbeat, now: datetime) -> str:
    if finding.last is None:
        return "never"
    return f"{span(now - finding.last.at)} ago{', too long' if finding.is_late else ''}"


def _as_json(found: Sequence[StageHeartbeat]) -> str:
    stages = [
        {
            "stage": each.stage,
            "at": None if each.last is None else format_time(each.last.at),
            "run": None if each.last is None else each.last.run,
            "late": each.is_late,
        }
        for each in found
    ]
    return json.dumps({"stages": stages}, indent=2)
