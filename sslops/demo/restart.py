"""The `restart_cmd` of the demo's servers: make a listener read its certificates again, and wait until it did.

Run as `python -m sslops.demo.restart PIDFILE`; exits 1 when the listener is gone or does not answer.
"""

from __future__ import annotations

import os
import signal
import sys
import time
from pathlib import Path

_TRIES = 100
_PAUSE_SECONDS = 0.02


def restart(pidfile: Path) -> bool:
    """Tell the listener of *pidfile* to read again; whether it did so within two seconds."""
    before = pidfile.read_text()
    os.kill(int(before.split()[0]), signal.SIGHUP)
    for _ in range(_TRIES):
        if pidfile.read_text() != before:
            return True
        time.sleep(_PAUSE_SECONDS)
    return False


if __name__ == "__main__":
    sys.exit(0 if restart(Path(sys.argv[1])) else 1)
