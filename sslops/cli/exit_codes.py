"""Which exit codes each verb can end in: docs/exit-codes.md has this table, and a test reaches every one of them.

>>> ExitCode.BUSY in CODES["deploy"], ExitCode.BUSY in CODES["check"]
(True, False)
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from sslops.errors import ExitCode

if TYPE_CHECKING:
    from collections.abc import Mapping

_STAGE = frozenset(ExitCode)
_WRITES = frozenset({ExitCode.DONE, ExitCode.USAGE})
_LOOKS = _WRITES | {ExitCode.FAILED}
_FETCHES = _LOOKS | {ExitCode.BUSY}
"""It waits for the lock of the clone to fetch, for watchdog always, for others with `--fetch`."""

CODES: Mapping[str, frozenset[ExitCode]] = {
    "check": _LOOKS,
    "schema": _WRITES,
    "plan": _STAGE,
    "renew": _STAGE,
    "publish": _STAGE,
    "roll": _STAGE,
    "deploy": _STAGE,
    "prune": _STAGE,
    "revoke": _STAGE - {ExitCode.WAITING},
    "rekey": _STAGE - {ExitCode.WAITING},
    "run": _STAGE,
    "simulate": _FETCHES,
    "status": _FETCHES,
    "report": _FETCHES,
    "audit": _FETCHES,
    "notify": _FETCHES,
    "watchdog": _FETCHES,
    "info": _LOOKS,
    "verify": _LOOKS,
    "tlsa": _LOOKS,
    "tlsrpt": _FETCHES | {ExitCode.REFUSED},
    "trust": _LOOKS,
    "dhparm": _WRITES,
    "dev": _STAGE,
    "doctor": _LOOKS,
    "completion": _WRITES,
    "init": _LOOKS,
    "import": _LOOKS,
    "demo": _LOOKS,
}
"""Verb, in the order of the help, to what it may end in."""
