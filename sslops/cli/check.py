"""`sslops check`: is the inventory sound, and does `state/` fit it? The required status check of a merge request."""

from __future__ import annotations

import json
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from sslops.ci.environment import Event
from sslops.cli import options
from sslops.cli.options import current
from sslops.errors import ExitCode, Faults
from sslops.inventory import validation as schemas
from sslops.inventory.files import read_folder
from sslops.inventory.loading import load
from sslops.inventory.remarks import remarks
from sslops.report.text import as_code, count, for_markdown, markdown_table
from sslops.system.files import writing

if TYPE_CHECKING:
    from collections.abc import Sequence

    from sslops.app.session import Session
    from sslops.errors import SslopsError
    from sslops.model.inventory import Inventory


_JUNIT = "Write the faults to FILE as JUnit, for a forge that shows tests."


@click.command(name="check", epilog=options.examples("sslops check", "sslops check --junit faults.xml"))
@options.json()
@click.option("--junit", "report", metavar="FILE", type=click.Path(dir_okay=False, path_type=Path), help=_JUNIT)
def command(*, as_json: bool, report: Path | None) -> ExitCode:
    """Check `inventory/` and `state/` as the working tree has them: every fault at once, each with its place.

    Exit 0 when there is none, 1 otherwise. What is sound and may be a slip is a note, and no fault. Nothing is
    fetched, and no server is asked.
    """
    session = current()
    try:
        inventory = _checked(session)
    except Faults as faults:
        _write(report, faults.faults)
        session.summarise(_as_markdown(faults.faults))
        if not as_json:
            raise
        session.show(_as_json(faults.faults))
        return ExitCode.FAILED
    _write(report, ())
    session.summarise(f"**sslops check**: {_sound(inventory)}")
    for name in schemas.stale(session.folder):
        session.say(f"'{name}' is of another release of sslops; sslops schema --write {schemas.IN_INVENTORY}")
    from sslops.pki.state_check import to_be_rewrapped

    outdated = to_be_rewrapped(session.folder)
    notes = [*remarks(inventory, read_folder(session.folder), session.now), *([outdated] if outdated else [])]
    for note in () if as_json else notes:
        session.say(f"sslops: note: {note.what}\n  at {note.where}")
    session.show(_as_json((), inventory, notes) if as_json else _sound(inventory))
    return ExitCode.DONE


def _checked(session: Session) -> Inventory:
    """Return the inventory of *session*; `Faults` when it is not sound, or `state/` does not fit it."""
    from sslops.app.entry import reviewed_settings
    from sslops.pki.state_check import Review, state_faults
    from sslops.repo.git import Git

    inventory = load(read_folder(session.folder))
    branch = reviewed_settings(session, Git.discover(session.folder)).branch
    review = Review(branch, session.job.source_branch, is_required=session.job.event is Event.MERGE_REQUEST)
    found = state_faults(session.folder, inventory, review)
    if found:
        raise Faults(found)
    return inventory


def _write(report: Path | None, faults: Sequence[SslopsError]) -> None:
    if report is None:
        return
    from sslops.ci.junit import junit

    with writing(report):
        report.write_text(junit(faults), encoding="utf-8")


def _as_markdown(faults: Sequence[SslopsError]) -> str:
    rows = [(as_code(str(fault.where or "")), for_markdown(fault.what)) for fault in faults]
    return f"**sslops check**: {count(len(faults), 'fault')}\n\n{markdown_table(('where', 'what'), rows)}"


def _sound(inventory: Inventory) -> str:
    hosts = {host.name for each in inventory.classes.values() for host in each.hosts}
    services, groups = count(len(inventory.services), "service"), count(len(inventory.groups), "group")
    return f"sound: {services} in {groups}, {count(len(hosts), 'server')}"


def _as_json(
    faults: Sequence[SslopsError], inventory: Inventory | None = None, notes: Sequence[SslopsError] = ()
) -> str:
    services = None if inventory is None else len(inventory.services)
    found = {"faults": [_fault(fault) for fault in faults], "notes": [_fault(note) for note in notes]}
    return json.dumps(found | {"services": services}, indent=2)


def _fault(fault: SslopsError) -> dict[str, Any]:
    where = fault.where
    return {
        "file": where.file if where else None,
        "line": where.line if where else None,
        "column": where.column if where else None,
        "what": fault.what,
        "hint": fault.hint,
    }
