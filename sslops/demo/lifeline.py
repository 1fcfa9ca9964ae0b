"""How the demo's servers know that the demo is over: their standard input ends.

It does so even when the demo was killed, so nothing is left running.
"""

from __future__ import annotations

import os
import sys
import threading


def end_with_parent() -> None:
    """End this process at once when whoever started it closes our standard input, or is gone."""
    threading.Thread(target=_wait_for_the_end, daemon=True).start()


def _wait_for_the_end() -> None:
    sys.stdin.buffer.read()
    os._exit(0)
