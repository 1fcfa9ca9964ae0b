"""What the doctor examines: this machine, and the ops repository if there is one."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum
from typing import TYPE_CHECKING

from sslops.errors import SslopsError
from sslops.inventory.files import read_folder
from sslops.inventory.loading import load
from sslops.secrets.recipients import CONFIG_NAME

if TYPE_CHECKING:
    from collections.abc import Collection, Iterable, Mapping
    from datetime import datetime
    from pathlib import Path

    from sslops.model.inventory import Inventory


@dataclass(frozen=True, slots=True)
class Patient:
    """A machine with *environ*; *folder* is the ops repository (null: none here), the rest what was read from it."""

    environ: Mapping[str, str]
    now: datetime
    folder: Path | None = None
    inventory: Inventory | None = None
    sops_config: str | None = None
    complaint: SslopsError | None = None
    """Why the inventory could not be read."""


def admit(folder: Path | None, environ: Mapping[str, str], now: datetime) -> Patient:
    """Read what the repository at *folder* says; an unsound inventory is a complaint, not an error."""
    if folder is None:
        return Patient(environ, now)
    config = folder / CONFIG_NAME
    text = config.read_text(encoding="utf-8", errors="replace") if config.is_file() else None
    try:
        return Patient(environ, now, folder, load(read_folder(folder)), text)
    except SslopsError as error:
        return Patient(environ, now, folder, None, text, error)


ALL = ("check", "plan", "renew", "publish", "roll", "deploy", "run", "status")
"""Verbs that work on an ops repository."""


class Health(StrEnum):
    """`ok`; `missing`: the named verbs cannot do their work; `note`: it works, and somebody should know."""

    OK = "ok"
    MISSING = "missing"
    NOTE = "note"


@dataclass(frozen=True, slots=True)
class Finding:
    """What was examined, how it is, what was seen, for which verbs it matters, and the command or edit that helps."""

    name: str
    health: Health
    what: str
    verbs: tuple[str, ...] = ()
    fix: str | None = None

    def concerns(self, verbs: Collection[str]) -> bool:
        """Whether one of *verbs* needs it; empty means any verb at all."""
        return not verbs or not self.verbs or bool(set(self.verbs) & set(verbs))


def is_ill(findings: Iterable[Finding]) -> bool:
    """Whether something is missing."""
    return any(finding.health is Health.MISSING for finding in findings)
