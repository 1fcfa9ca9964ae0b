"""The `restart_cmd` of the demo's servers: make a listener read its certificates again, and wait until it did.

Run as `python -m sslops.demo.restart PIDFILE`; exits 1 when the listener is gone or does not answer.
"""

from __future__ import annotations

import os
import signal
import sys
import time
from pathlib import Path

_PATIENCE_SECONDS = 60.0
"""A machine at work may hold the listener up for long; one that is gone is not waited for."""
_PAUSE_SECONDS = 0.02


def restart(pidfile: Path) -> bool:
    """Tell the listener of *pidfile* to read again; whether it did so before it was gone, or patience ended."""
    before = pidfile.read_text()
    pid, end = int(before.split()[0]), time.monotonic() + _PATIENCE_SECONDS
    try:
        os.kill(pid, signal.SIGHUP)
        while pidfile.read_text() == before and time.monotonic() < end:
            time.sleep(_PAUSE_SECONDS)
            os.kill(pid, 0)
    except ProcessLookupError:
        return False
    return pidfile.read_text() != before


if __name__ == "__main__":
    sys.exit(0 if restart(Path(sys.argv[1])) else 1)
