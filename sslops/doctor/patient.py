"""What the doctor examines: this machine, and the ops repository if there is one."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from sslops.adapters.sops_rules import CONFIG_NAME
from sslops.errors import SslopsError
from sslops.inventory import load, read_folder

if TYPE_CHECKING:
    from collections.abc import Mapping
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
