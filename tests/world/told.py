"""A program that says where it is and what it was given; with the word `sleep` it does nothing for a long time."""

from __future__ import annotations

import os
import sys
import time
from pathlib import Path

if __name__ == "__main__":
    if sys.argv[1:] == ["sleep"]:
        time.sleep(600)
    names = [f"{name}={value}" if name == "NAME" else name for name, value in sorted(os.environ.items())]
    print(Path.cwd(), *names)
