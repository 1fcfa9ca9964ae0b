"""The whole examination, from the programs on this machine to the servers beyond it."""

from __future__ import annotations

from typing import TYPE_CHECKING

from sslops.doctor.acme_accounts import acme_accounts
from sslops.doctor.findings import admit
from sslops.doctor.forges import forges
from sslops.doctor.keys import keys
from sslops.doctor.network import network
from sslops.doctor.programs import programs
from sslops.doctor.repository import repository
from sslops.doctor.secrets import secrets

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping
    from datetime import datetime
    from pathlib import Path

    from sslops.doctor.findings import Finding


def examine(folder: Path | None, environ: Mapping[str, str], now: datetime) -> Iterator[Finding]:
    """Look at everything; *folder* is the ops repository, null when there is none."""
    patient = admit(folder, environ, now)
    for look in (programs, repository, keys, secrets, network, acme_accounts, forges):
        yield from look(patient)
