"""`sslops check`: is the inventory sound, and does `state/` fit it? The required status check of a merge request."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

import click

from sslops.errors import ExitCode, Faults
from sslops.inventory import load, read_folder, schemas
from sslops.report.words import count
from sslops.verbs import options
from sslops.verbs.session import current

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

    from sslops.errors import SslopsError
    from sslops.model.inventory import Inventory


@click.command(name="check")
@options.json()
def command(*, as_json: bool) -> ExitCode:
    """Check `inventory/` and `state/` as the working tree has them: every fault at once, each with its place.

    Exit 0 when there is none, 1 otherwise. Nothing is fetched, and no server is asked.
    """
    session = current()
    try:
        inventory = _checked(session.folder)
    except Faults as faults:
        if not as_json:
            raise
        session.show(_as_json(faults.faults))
        return ExitCode.FAILED
    for name in schemas.stale(session.folder):
        session.say(f"'{name}' is of another release of sslops; sslops schema --write {schemas.IN_INVENTORY}")
    session.show(_as_json((), inventory) if as_json else _sound(inventory))
    return ExitCode.DONE


def _checked(top: Path) -> Inventory:
    """Return the inventory at *top*; `Faults` when it is not sound, or `state/` does not fit it."""
    from sslops.state.check import state_faults

    inventory = load(read_folder(top))
    found = state_faults(top, inventory)
    if found:
        raise Faults(found)
    return inventory


def _sound(inventory: Inventory) -> str:
    hosts = {host.name for each in inventory.classes.values() for host in each.hosts}
    services, groups = count(len(inventory.services), "service"), count(len(inventory.groups), "group")
    return f"sound: {services} in {groups}, {count(len(hosts), 'server')}"


def _as_json(faults: Sequence[SslopsError], inventory: Inventory | None = None) -> str:
    services = None if inventory is None else len(inventory.services)
    return json.dumps({"faults": [_fault(fault) for fault in faults], "services": services}, indent=2)


def _fault(fault: SslopsError) -> dict[str, Any]:
    where = fault.where
    return {
        "file": where.file if where else None,
        "line": where.line if where else None,
        "column": where.column if where else None,
        "what": fault.what,
        "hint": fault.hint,
    }
